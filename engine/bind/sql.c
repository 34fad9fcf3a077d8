/* sql.c: `require "engine.sql"`: PostgreSQL's grammar for scripts. What it reads stands in stdlib/meta/sql.lua. */
#include "prim/sql.h"

#include "vm/conv.h"
#include "vm/luax_work.h"

static const char *check_text(lua_State *L, const char *fn, size_t *n) { /* [-0, +0, v] */
    if (lua_type(L, 1) != LUA_TSTRING) {
        luax_fail(L, "bad_argument", "%s: expected SQL text as a string, got %s", fn, luaL_typename(L, 1));
    }
    return lua_tolstring(L, 1, n);
}

/* Raises *e, with the position where there is one. */
static int fail(lua_State *L, work *w, int position, const err *e) { /* [-0, +0, v] */
    work_free(w);
    luax_push_error(L, e);
    if (position > 0) {
        lua_pushinteger(L, position);
        lua_setfield(L, -2, "position");
    }
    return lua_error(L);
}

static int bind_parse(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *text = check_text(L, "sql.parse", &n);
    err e;
    int position;
    work *w = work_new(L);
    w->value = sql_parse(text, n, &position, &e);
    if (w->value == NULL) {
        return fail(L, w, position, &e);
    }
    conv_push_json(L, w->value);
    work_free(w);
    return 1;
}

static int bind_fingerprint(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *text = check_text(L, "sql.fingerprint", &n);
    char out[SQL_FINGERPRINT_SIZE];
    err e;
    int position;
    work *w = work_new(L);
    if (sql_fingerprint(text, n, out, &position, &e) != 0) {
        return fail(L, w, position, &e);
    }
    lua_pushstring(L, out);
    return 1;
}

static int bind_normalize(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *text = check_text(L, "sql.normalize", &n);
    err e;
    int position;
    work *w = work_new(L);
    if (sql_normalize(text, n, &w->text, &position, &e) != 0) {
        return fail(L, w, position, &e);
    }
    return work_push(L, w);
}

LUAX_EXPORT int luaopen_engine_sql(lua_State *L);

int luaopen_engine_sql(lua_State *L) { /* [-0, +1, m] */
    static const luaL_Reg FUNCTIONS[] = {
        {"parse", bind_parse}, {"fingerprint", bind_fingerprint}, {"normalize", bind_normalize}, {NULL, NULL}};
    work_class(L);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
