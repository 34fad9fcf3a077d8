/* sandbox.c: the allow lists. What is not named here does not exist for a script. */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "base/text.h"
#include "vm/allowed.h"
#include "vm/luax.h"
#include "vm/vm_internal.h"

static const char *const BASE[] = {"assert",       "error",    "ipairs",   "next",   "pairs",    "pcall",
                                   "select",       "tonumber", "tostring", "type",   "rawequal", "rawget",
                                   "getmetatable", "rawlen",   "rawset",   "xpcall", "_VERSION", NULL};
static const char *const STRING[] = {"byte", "char",  "find",   "format",   "gmatch", "gsub",
                                     "len",  "lower", "match",  "pack",     "rep",    "reverse",
                                     "sub",  "upper", "unpack", "packsize", NULL};
static const char *const TABLE[] = {"concat", "insert", "move", "pack", "remove", "sort", "unpack", NULL};
static const char *const MATH[] = {"abs",  "acos", "asin", "atan", "ceil",       "cos",  "deg",        "exp",  "floor",
                                   "fmod", "huge", "log",  "max",  "maxinteger", "min",  "mininteger", "modf", "pi",
                                   "rad",  "sin",  "sqrt", "tan",  "tointeger",  "type", "ult",        NULL};
/* Randomness is a source of differing verdicts; where a gate wants it, hash.random says so in the script. */
static const char *const MATH_SCRIPT[] = {"random", "randomseed", NULL};
static const char *const UTF8[] = {"char", "charpattern", "codepoint", "codes", "len", "offset", NULL};
static const char *const COROUTINE[] = {"close",  "create", "isyieldable", "resume", "running",
                                        "status", "wrap",   "yield",       NULL};
static const char *const OS_SCRIPT[] = {"clock", "date", "difftime", "time", NULL};

vm *sandbox_vm(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_VM);
    vm *v = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return v;
}

/* Copies the named functions of the library at `from` into the table at `to`. A name that is missing is a broken build.
 */
static void copy(lua_State *L, int from, int to, const char *const *names) {
    for (; *names != NULL; names++) {
        if (lua_getfield(L, from, *names) == LUA_TNIL) {
            luaL_error(L, "this Lua lacks %s, which the sandbox allows", *names);
        }
        lua_setfield(L, to, *names);
    }
}

static int refuse_read(lua_State *L) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    const char *fix = vm_instead_of(sandbox_vm(L)->o.profile == VM_AUDIT, name);
    luaL_where(L, 1);
    return luax_fail_fix(L, "script_global",
                         fix != NULL ? fix : "declare it with local, or require the module it belongs to",
                         "%sundeclared global '%.60s'", lua_tostring(L, -1), name);
}

static int refuse_write(lua_State *L) {
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    luaL_where(L, 1);
    return luax_fail_fix(L, "script_global", "declare it with local", "%sassignment to undeclared global '%.60s'",
                         lua_tostring(L, -1), name);
}

/* setmetatable without finalisers: they would run outside every limit (upvalue 1: Lua's own). */
static int safe_setmetatable(lua_State *L) {
    if (lua_type(L, 2) == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) {
            return luax_fail_fix(L, "script_gc", "use a __close variable, or release it yourself",
                                 "setmetatable: a metatable with __gc is not allowed in a script");
        }
        lua_pop(L, 1);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

/* load for text chunks given as one string, with the script's environment unless another is given. */
static int safe_load(lua_State *L) {
    if (lua_type(L, 1) != LUA_TSTRING) {
        return luax_fail(L, "bad_argument", "load: expected the chunk as a string, got %s", luaL_typename(L, 1));
    }
    size_t n;
    const char *text = lua_tolstring(L, 1, &n);
    const char *name = luaL_optstring(L, 2, "=(load)");
    bool own_env = !lua_isnone(L, 4);
    if (luaL_loadbufferx(L, text, n, name, "t") != LUA_OK) {
        luaL_pushfail(L);
        lua_insert(L, -2);
        return 2;
    }
    if (own_env) {
        lua_pushvalue(L, 4);
    } else {
        lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_ENV);
    }
    if (lua_setupvalue(L, -2, 1) == NULL) {
        lua_pop(L, 1);
    }
    return 1;
}

/* coroutine.resume and coroutine.close for all but the coroutines of task.map, which wait inside of C functions: those
 * rely on what is on their stacks (upvalue 1: Lua's own function). */
static int safe_coroutine(lua_State *L) {
    if (lua_type(L, 1) == LUA_TTHREAD && lua_getfield(L, LUA_REGISTRYINDEX, LUAX_TASKS) == LUA_TTABLE) {
        lua_pushvalue(L, 1);
        if (lua_rawget(L, -2) != LUA_TNIL) {
            return luax_fail_fix(L, "task_foreign",
                                 "wait for it with task.map, or run the work in a coroutine of your own",
                                 "coroutine: a task of task.map is resumed and closed by task.map alone");
        }
        lua_pop(L, 1);
    }
    if (lua_type(L, 1) == LUA_TTHREAD) {
        lua_pop(L, 1);
    }
    /* In this same call frame: the function looks at its caller's coroutine and stack. */
    return sandbox_note_stack(L, lua_tocfunction(L, lua_upvalueindex(1))(L));
}

/* Puts it before resume and close of the library at the top. [-0, +0, m] */
static void guard_coroutines(lua_State *L) {
    static const char *const NAMES[] = {"resume", "close", NULL};
    for (size_t i = 0; NAMES[i] != NULL; i++) {
        lua_getfield(L, -1, NAMES[i]);
        lua_pushcclosure(L, safe_coroutine, 1);
        lua_setfield(L, -2, NAMES[i]);
    }
}

static int safe_print(lua_State *L) {
    vm *v = sandbox_vm(L);
    int n = lua_gettop(L);
    luaL_Buffer b;
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_ENV);
    lua_getfield(L, -1, "tostring");
    int tostring = lua_gettop(L);
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1) {
            luaL_addchar(&b, '\t');
        }
        lua_pushvalue(L, tostring);
        lua_pushvalue(L, i);
        lua_call(L, 1, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            return luaL_error(L, "print: tostring must give a string");
        }
        luaL_addvalue(&b);
    }
    luaL_pushresult(&b);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    if (v->o.print != NULL) {
        v->o.print(v->o.print_ctx, text, len);
    }
    return 0;
}

static const struct {
    const char *name;
    const char *const *names;
    const char *const *script_names; /* not in an audit */
} LIBS[] = {{"string", STRING, NULL}, {"table", TABLE, NULL},         {"math", MATH, MATH_SCRIPT},
            {"utf8", UTF8, NULL},     {"coroutine", COROUTINE, NULL}, {"os", NULL, OS_SCRIPT}};

static bool in_list(const char *const *list, const char *name) {
    for (; list != NULL && *list != NULL; list++) {
        if (strcmp(*list, name) == 0) {
            return true;
        }
    }
    return false;
}

bool vm_allows(bool audit, const char *lib, const char *name) {
    /* What push_env makes itself. */
    static const char *const MADE[] = {"setmetatable", "load", "print", "require", "_G", NULL};
    if (lib == NULL && (in_list(BASE, name) || in_list(MADE, name))) {
        return true;
    }
    for (size_t i = 0; i < sizeof LIBS / sizeof LIBS[0]; i++) {
        if (LIBS[i].names == NULL && audit) {
            continue;
        }
        if (lib == NULL && strcmp(LIBS[i].name, name) == 0) {
            return true;
        }
        if (lib != NULL && strcmp(LIBS[i].name, lib) == 0) {
            return in_list(LIBS[i].names, name) || (!audit && in_list(LIBS[i].script_names, name));
        }
    }
    return false;
}

/* Pushes a fresh environment: its own copies of the libraries, so that no script can change those of another. */
static void push_env(lua_State *L, int libs, vm_profile profile, bool trusted) {
    lua_newtable(L);
    int env = lua_gettop(L);
    copy(L, libs, env, BASE);
    for (size_t i = 0; i < sizeof LIBS / sizeof LIBS[0]; i++) {
        if (LIBS[i].names == NULL && profile == VM_AUDIT) {
            continue;
        }
        lua_getfield(L, libs, LIBS[i].name);
        lua_newtable(L);
        if (LIBS[i].names != NULL) {
            copy(L, lua_gettop(L) - 1, lua_gettop(L), LIBS[i].names);
        }
        if (LIBS[i].script_names != NULL && profile == VM_SCRIPT) {
            copy(L, lua_gettop(L) - 1, lua_gettop(L), LIBS[i].script_names);
        }
        lua_setfield(L, env, LIBS[i].name);
        lua_pop(L, 1);
    }
    lua_getfield(L, libs, "setmetatable");
    lua_pushcclosure(L, safe_setmetatable, 1);
    lua_setfield(L, env, "setmetatable");
    lua_pushcfunction(L, safe_load);
    lua_setfield(L, env, "load");
    lua_pushcfunction(L, safe_print);
    lua_setfield(L, env, "print");
    lua_pushboolean(L, trusted);
    lua_pushcclosure(L, sandbox_require, 1);
    lua_setfield(L, env, "require");
    lua_getfield(L, env, "coroutine");
    guard_coroutines(L);
    lua_pop(L, 1);
    if (!trusted) { /* the runner reports what it catches */
        sandbox_stack(L, env);
    }
    if (profile == VM_AUDIT) {
        sandbox_deterministic_base(L, env);
        lua_getfield(L, env, "string");
        sandbox_deterministic_string(L, lua_gettop(L));
        lua_pop(L, 1);
    }
    lua_pushvalue(L, env);
    lua_setfield(L, env, "_G");
}

/* Closes the environment at the top: reading or writing what it lacks is an error. */
static void seal(lua_State *L) {
    lua_newtable(L);
    lua_pushcfunction(L, refuse_read);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, refuse_write);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

/* Strings' metatable: methods come from a table no script can reach, and the metatable itself cannot be had. */
static void seal_strings(lua_State *L, int env) {
    lua_pushliteral(L, "");
    if (!lua_getmetatable(L, -1)) {
        luaL_error(L, "strings have no metatable");
    }
    lua_newtable(L);
    lua_getfield(L, env, "string");
    copy(L, lua_gettop(L), lua_gettop(L) - 1, STRING);
    lua_pop(L, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

static void open_libraries(lua_State *L) {
    static const luaL_Reg OPEN[] = {{LUA_GNAME, luaopen_base},       {LUA_STRLIBNAME, luaopen_string},
                                    {LUA_TABLIBNAME, luaopen_table}, {LUA_MATHLIBNAME, luaopen_math},
                                    {LUA_UTF8LIBNAME, luaopen_utf8}, {LUA_COLIBNAME, luaopen_coroutine},
                                    {LUA_OSLIBNAME, luaopen_os},     {NULL, NULL}};
    for (const luaL_Reg *lib = OPEN; lib->name != NULL; lib++) {
        luaL_requiref(L, lib->name, lib->func, 1);
        lua_pop(L, 1);
    }
}

int sandbox_open(lua_State *L) {
    vm *v = lua_touserdata(L, 1);
    lua_pushlightuserdata(L, v);
    lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_VM);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_LOADED);
    open_libraries(L);
    lua_pushglobaltable(L);
    int libs = lua_gettop(L);
    if (v->o.profile == VM_CONFIG) {
        lua_newtable(L); /* the loader adds env and file, then seals it */
        seal(L);
        lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_ENV);
        lua_pushliteral(L, "");
        lua_pushnil(L);
        lua_setmetatable(L, -2);
        return 0;
    }
    if (v->o.profile == VM_SCRIPT) {
        sandbox_number_format(L, libs);
    }
    push_env(L, libs, v->o.profile, false);
    seal_strings(L, lua_gettop(L));
    seal(L);
    lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_ENV);
    push_env(L, libs, v->o.profile == VM_AUDIT ? VM_AUDIT : VM_SCRIPT, true);
    seal(L);
    lua_setfield(L, LUA_REGISTRYINDEX, SANDBOX_TRUSTED_ENV);
    return 0;
}
