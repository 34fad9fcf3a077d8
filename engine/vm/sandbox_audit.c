/* sandbox_audit.c: what makes an audit give the same verdict and the same bytes each time.
 *
 * Lua seeds its string hash by time and address, so `pairs` walks string keys in another order in each process, and a
 * table's text holds its address. Here keys come sorted (numbers, then strings by bytes) and addresses are masked. */
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "vm/luax.h"
#include "vm/vm_internal.h"

static int key_rank(lua_State *L, int idx) {
    return lua_type(L, idx) == LUA_TNUMBER ? 0 : 1;
}

/* Is the key at a before the key at b? Numbers by value, then strings by bytes: lua_compare on them follows the locale.
 */
static bool key_before(lua_State *L, int a, int b) {
    int ra = key_rank(L, a);
    int rb = key_rank(L, b);
    if (ra != rb) {
        return ra < rb;
    }
    if (ra == 0) {
        return lua_compare(L, a, b, LUA_OPLT);
    }
    size_t na;
    size_t nb;
    const char *sa = lua_tolstring(L, a, &na);
    const char *sb = lua_tolstring(L, b, &nb);
    int c = memcmp(sa, sb, na < nb ? na : nb);
    return c < 0 || (c == 0 && na < nb);
}

/* lua_CFunction(a, b) for table.sort */
static int key_less(lua_State *L) {
    lua_pushboolean(L, key_before(L, 1, 2));
    return 1;
}

static void check_key(lua_State *L, int idx) {
    int t = lua_type(L, idx);
    if (t != LUA_TNUMBER && t != LUA_TSTRING) {
        luax_fail_fix(L, "audit_key_order", "use strings or numbers as keys",
                      "pairs: a %s as a key has no order that is the same in every run", lua_typename(L, t));
    }
}

/* Pushes the sorted keys of the table at idx as a list; upvalue 1 of the caller is table.sort. */
static void push_keys(lua_State *L, int idx) {
    lua_newtable(L);
    int keys = lua_gettop(L);
    lua_Integer n = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        check_key(L, -1);
        lua_pushvalue(L, -1);
        lua_rawseti(L, keys, ++n);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, keys);
    lua_pushcfunction(L, key_less);
    lua_call(L, 2, 0);
}

/* The iterator: upvalues: keys, position, table. Keys whose value became nil are passed over, as next does. */
static int sorted_step(lua_State *L) {
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
    for (;;) {
        i++;
        if (lua_rawgeti(L, lua_upvalueindex(1), i) == LUA_TNIL) {
            return 1;
        }
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL) {
            break;
        }
        lua_pop(L, 2);
    }
    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

static int sorted_pairs(lua_State *L) {
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    push_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, sorted_step, 3);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* next(t): the first key in order, or nil. next(t, k): the one after k, which need not be there any more. Looks through
 * the table without a copy of its keys; who wants all of them uses pairs. */
static int sorted_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    bool first = lua_isnil(L, 2);
    if (!first) {
        check_key(L, 2);
    }
    lua_pushnil(L); /* 3: the smallest key after the one given */
    lua_pushnil(L); /* 4: the walk's key */
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        check_key(L, 4);
        if ((first || key_before(L, 2, 4)) && (lua_isnil(L, 3) || key_before(L, 4, 3))) {
            lua_pushvalue(L, 4);
            lua_replace(L, 3);
        }
    }
    if (lua_isnil(L, 3)) {
        return 1;
    }
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 3);
    lua_rawget(L, 1);
    return 2;
}

/* "table", "function", … instead of a text with an address, unless the value says its text itself. */
static void push_masked(lua_State *L, int idx) {
    idx = lua_absindex(L, idx);
    int t = lua_type(L, idx);
    bool addressed =
        t == LUA_TTABLE || t == LUA_TFUNCTION || t == LUA_TUSERDATA || t == LUA_TTHREAD || t == LUA_TLIGHTUSERDATA;
    if (addressed && luaL_getmetafield(L, idx, "__tostring") == LUA_TNIL) {
        lua_pushstring(L, lua_typename(L, t));
        return;
    }
    if (addressed) {
        lua_pop(L, 1);
    }
    luaL_tolstring(L, idx, NULL);
}

static int masked_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    push_masked(L, 1);
    return 1;
}

/* string.format with addresses masked in what %s shows (upvalue 1: Lua's own). %p is refused. */
static int masked_format(lua_State *L) {
    size_t n;
    const char *fmt = luaL_checklstring(L, 1, &n);
    int arg = 1;
    for (const char *p = fmt; p < fmt + n; p++) {
        if (*p != '%') {
            continue;
        }
        p++;
        p += strspn(p, "-+ #0123456789.");
        arg += *p != '%' ? 1 : 0;
        if (*p == 'p') {
            return luax_fail(L, "audit_address", "string.format: %%p shows an address, which differs in every run");
        }
        if (*p == 's' && arg <= lua_gettop(L)) {
            push_masked(L, arg);
            lua_replace(L, arg);
        }
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static void set_with_sort(lua_State *L, int env, const char *name, lua_CFunction f) {
    lua_getfield(L, env, "table");
    lua_getfield(L, -1, "sort");
    lua_remove(L, -2);
    lua_pushcclosure(L, f, 1);
    lua_setfield(L, env, name);
}

void sandbox_deterministic_base(lua_State *L, int env) {
    set_with_sort(L, env, "pairs", sorted_pairs);
    lua_pushcfunction(L, sorted_next);
    lua_setfield(L, env, "next");
    lua_pushcfunction(L, masked_tostring);
    lua_setfield(L, env, "tostring");
}

void sandbox_deterministic_string(lua_State *L, int lib) {
    lua_getfield(L, lib, "format");
    lua_pushcclosure(L, masked_format, 1);
    lua_setfield(L, lib, "format");
}
