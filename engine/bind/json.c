/* json.c: `require "engine.json"`: strict JSON for scripts. What it reads and writes stands in stdlib/meta/json.lua. */
#include <jansson.h>

#include "base/buf.h"
#include "base/canon.h"
#include "vm/conv.h"
#include "vm/luax_work.h"

static int json_decode(lua_State *L) { /* [-1, +1, v] */
    if (lua_type(L, 1) != LUA_TSTRING) {
        return luax_fail(L, "bad_argument", "json.decode: expected a string, got %s", luaL_typename(L, 1));
    }
    size_t n;
    const char *text = lua_tolstring(L, 1, &n);
    err e;
    work *w = work_new(L);
    w->value = canon_parse(text, n, &e);
    if (w->value == NULL) {
        return work_fail(L, w, &e);
    }
    conv_push_json(L, w->value);
    work_free(w);
    return 1;
}

static int json_encode(lua_State *L) { /* [-2, +1, v] */
    static const char *const KEYS[] = {"indent", NULL};
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    int indent = 0;
    if (!lua_isnil(L, 2)) {
        luax_check_table(L, 2, "json.encode");
        luax_only_keys(L, 2, "json.encode", KEYS);
        indent = (int)luax_opt_integer(L, 2, "json.encode", "indent", 0, 16, 0);
    }
    err e;
    work *w = work_new(L);
    w->value = conv_to_json(L, 1, NULL, &e);
    if (w->value == NULL || canon_plain(&w->text, w->value, indent, &e) != 0) {
        return work_fail(L, w, &e);
    }
    lua_pushlstring(L, buf_str(&w->text), w->text.len);
    work_free(w);
    return 1;
}

/* Are the keys of the table at idx exactly 1..n? */
static bool is_list(lua_State *L, int idx, lua_Integer *count) { /* [-0, +0, -] */
    lua_Integer n = 0;
    lua_Integer highest = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1) {
            lua_pop(L, 1);
            return false;
        }
        highest = key > highest ? key : highest;
        n++;
    }
    *count = n;
    return n == highest;
}

/* Has the table at idx the array mark? Pushes nothing. */
static bool is_marked(lua_State *L, int idx) { /* [-0, +0, m] */
    if (!lua_getmetatable(L, idx)) {
        return false;
    }
    conv_push_array_meta(L);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

static int json_mark_array(lua_State *L) { /* [-1, +1, v] */
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    if (lua_type(L, 1) != LUA_TTABLE) {
        return luax_fail(L, "bad_argument", "json.array: expected a list, got %s", luaL_typename(L, 1));
    }
    lua_Integer n = 0;
    if (!is_list(L, 1, &n)) {
        return luax_fail(L, "bad_argument", "json.array: expected a list with the keys 1..n and no others");
    }
    if (is_marked(L, 1)) {
        return 1;
    }
    if (lua_getmetatable(L, 1)) {
        return luax_fail(L, "bad_argument", "json.array: the table has a metatable already");
    }
    conv_push_array_meta(L);
    lua_setmetatable(L, 1);
    return 1;
}

static int json_is_list(lua_State *L) { /* [-1, +1, m] */
    luaL_checkany(L, 1);
    lua_Integer n = 0;
    bool list = lua_type(L, 1) == LUA_TTABLE && is_list(L, 1, &n) && (n > 0 || is_marked(L, 1));
    lua_pushboolean(L, list);
    return 1;
}

LUAX_EXPORT int luaopen_engine_json(lua_State *L);

int luaopen_engine_json(lua_State *L) { /* [-0, +1, m] */
    static const luaL_Reg FUNCTIONS[] = {{"decode", json_decode},
                                         {"encode", json_encode},
                                         {"array", json_mark_array},
                                         {"is_array", json_is_list},
                                         {NULL, NULL}};
    work_class(L);
    luaL_newlib(L, FUNCTIONS);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
