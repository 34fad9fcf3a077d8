/* sandbox_stack.c: pcall, xpcall and the functions of coroutines, for scripts. They are Lua's own but for one thing: a
 * stack that was too small is remembered, as memory is, so that a script that swallows it still ends as an error. */
#include <lauxlib.h>
#include <string.h>

#include "vm/vm_internal.h"

static bool ends_with(const char *s, size_t n, const char *end) {
    size_t m = strlen(end);
    return n >= m && memcmp(s + n - m, end, m) == 0;
}

/* Is it one of Lua's own messages of a full stack (ldo.c, lauxlib.c of 5.4), with or without a place before it? Lua has
 * no other mark of them. A script that raises such a text has itself to blame. */
static bool is_overflow(lua_State *L, int idx) {
    size_t n;
    const char *s = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &n) : NULL;
    return s != NULL &&
           (ends_with(s, n, "stack overflow") || strstr(s, "stack overflow (") != NULL ||
            ends_with(s, n, "error in error handling") || ends_with(s, n, "error while handling stack error"));
}

/* Remembers it where the value at idx tells of a full stack. [-0, +0, -] */
static void note(lua_State *L, int idx) {
    if (is_overflow(L, idx)) {
        sandbox_vm(L)->stack_hit = true;
    }
}

/* A message handler: what is raised is seen before a __close can put another error in its place. */
static int noting(lua_State *L) {
    note(L, 1);
    return 1;
}

/* The same before the script's own handler (upvalue 1). */
static int noting_then(lua_State *L) {
    note(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* lua_KFunction: the results stand above `below` values. */
static int finish(lua_State *L, int status, lua_KContext below) {
    if (status != LUA_OK && status != LUA_YIELD) {
        note(L, -1);
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)below;
}

static int noted_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    lua_pushcfunction(L, noting);
    lua_pushboolean(L, 1); /* first result where no error is raised */
    lua_rotate(L, 1, 2);
    return finish(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 1, 1, finish), 1);
}

static int noted_xpcall(lua_State *L) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, noting_then, 1);
    lua_replace(L, 2);
    int nargs = lua_gettop(L) - 2;
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return finish(L, lua_pcallk(L, nargs, LUA_MULTRET, 2, 2, finish), 2);
}

/* Resumes the coroutine co with the values of L's stack; its results or its error come onto that of L. The number of
 * results, or -1. */
static int resume(lua_State *L, lua_State *co) {
    int nargs = lua_gettop(L), nres = 0;
    if (!lua_checkstack(co, nargs)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, nargs);
    int status = lua_resume(co, L, nargs, &nres);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, nres + 1)) {
        lua_pop(co, nres);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, nres);
    return nres;
}

/* What coroutine.wrap gives (upvalue 1: the coroutine), after auxwrap in lcorolib.c: Lua's own closes the coroutine,
 * whose __close may replace the error, before anybody sees it. */
static int wrapped(lua_State *L) {
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int n = resume(L, co);
    if (n >= 0) {
        return n;
    }
    note(L, -1);
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        status = lua_resetthread(co);
        lua_xmove(co, L, 1);
        note(L, -1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int noted_wrap(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

int sandbox_note_stack(lua_State *L, int n) {
    if (n == 2 && !lua_toboolean(L, -2)) {
        note(L, -1);
    }
    return n;
}

void sandbox_stack(lua_State *L, int env) {
    static const luaL_Reg OWN[] = {{"pcall", noted_pcall}, {"xpcall", noted_xpcall}, {NULL, NULL}};
    for (const luaL_Reg *f = OWN; f->name != NULL; f++) {
        lua_pushcfunction(L, f->func);
        lua_setfield(L, env, f->name);
    }
    lua_getfield(L, env, "coroutine");
    lua_pushcfunction(L, noted_wrap);
    lua_setfield(L, -2, "wrap");
    lua_pop(L, 1);
}
