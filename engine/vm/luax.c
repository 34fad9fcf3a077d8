#include "vm/luax.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void set_text(lua_State *L, const char *key, const char *value) {
    if (value[0] != '\0') {
        lua_pushstring(L, value);
        lua_setfield(L, -2, key);
    }
}

static void append_field(lua_State *L, luaL_Buffer *b, const char *key, const char *before, const char *after) {
    /* luaL_Buffer may keep a box on the stack, so the field is read below it by absolute index. */
    lua_getfield(L, 1, key);
    lua_replace(L, 2);
    size_t n = 0;
    const char *s = lua_type(L, 2) == LUA_TSTRING ? lua_tolstring(L, 2, &n) : NULL;
    if (s != NULL && n > 0) {
        luaL_addstring(b, before);
        luaL_addlstring(b, s, n);
        luaL_addstring(b, after);
    }
}

static int error_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    append_field(L, &b, "code", "", ": ");
    append_field(L, &b, "message", "", "");
    append_field(L, &b, "detail", " (", ")");
    append_field(L, &b, "sqlstate", " [SQLSTATE ", "]");
    append_field(L, &b, "hint", "; hint: ", "");
    append_field(L, &b, "fix", "; fix: ", "");
    luaL_pushresult(&b);
    return 1;
}

void luax_mark_error(lua_State *L) {
    if (luaL_newmetatable(L, LUAX_ERROR)) {
        lua_pushcfunction(L, error_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
}

bool luax_is_error(lua_State *L, int idx) {
    if (lua_type(L, idx) != LUA_TTABLE || !lua_checkstack(L, 3) || !lua_getmetatable(L, idx)) {
        return false;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, LUAX_ERROR);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

void luax_push_error(lua_State *L, const err *e) {
    luaL_checkstack(L, 4, "error");
    lua_createtable(L, 0, 4);
    set_text(L, "code", e->code);
    set_text(L, "message", e->message);
    set_text(L, "detail", e->detail);
    set_text(L, "fix", e->fix);
    luax_mark_error(L);
}

int luax_raise(lua_State *L, const err *e) {
    luax_push_error(L, e);
    return lua_error(L);
}

int luax_fail(lua_State *L, const char *code, const char *fmt, ...) {
    err e;
    va_list ap;
    va_start(ap, fmt);
    err_vset(&e, code, fmt, ap);
    va_end(ap);
    return luax_raise(L, &e);
}

int luax_fail_fix(lua_State *L, const char *code, const char *fix, const char *fmt, ...) {
    err e;
    va_list ap;
    va_start(ap, fmt);
    err_vset(&e, code, fmt, ap);
    va_end(ap);
    err_fix(&e, "%s", fix);
    return luax_raise(L, &e);
}

void luax_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
    if (luaL_newmetatable(L, name)) {
        if (meta != NULL) {
            luaL_setfuncs(L, meta, 0);
        }
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}

void *luax_new(lua_State *L, const char *name, size_t size, int user_values) {
    void *p = lua_newuserdatauv(L, size, user_values);
    memset(p, 0, size);
    luaL_setmetatable(L, name);
    return p;
}

void *luax_check(lua_State *L, int idx, const char *name, const char *fn) {
    void *p = luaL_testudata(L, idx, name);
    if (p == NULL) {
        luax_fail(L, "bad_argument", "%s: expected %s (call it with a colon), got %s", fn, name, luaL_typename(L, idx));
    }
    return p;
}

/* A value as an error message shows it: bounded and printable; short strings and numbers in full. */
static void show(lua_State *L, int idx, char out[96]) {
    switch (lua_type(L, idx)) {
    case LUA_TSTRING: {
        size_t n;
        const char *s = lua_tolstring(L, idx, &n);
        buf b = BUF_INIT;
        text_sanitise(&b, s, n, 60, false);
        snprintf(out, 96, "\"%s\"", buf_str(&b));
        buf_free(&b);
        return;
    }
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx)) {
            snprintf(out, 96, "%lld", (long long)lua_tointeger(L, idx));
        } else {
            snprintf(out, 96, "%.14g", lua_tonumber(L, idx));
        }
        return;
    case LUA_TBOOLEAN:
        snprintf(out, 96, "%s", lua_toboolean(L, idx) ? "true" : "false");
        return;
    default:
        snprintf(out, 96, "%s", luaL_typename(L, idx));
    }
}

static int bad_option(lua_State *L, const char *fn, const char *key, const char *expected, int idx) {
    char got[96];
    show(L, idx, got);
    return luax_fail(L, "bad_argument", "%s: option \"%s\": expected %s, got %s", fn, key, expected, got);
}

void luax_check_table(lua_State *L, int tab, const char *fn) {
    if (lua_type(L, tab) != LUA_TTABLE) {
        luax_fail(L, "bad_argument", "%s: expected a table of options, got %s", fn, luaL_typename(L, tab));
    }
}

static int raw_option(lua_State *L, int tab, const char *key) {
    luaL_checkstack(L, 4, "options");
    tab = lua_absindex(L, tab);
    lua_pushstring(L, key);
    return lua_rawget(L, tab);
}

int luax_opt_value(lua_State *L, int tab, const char *fn, const char *key, int type) {
    int got = raw_option(L, tab, key);
    if (got != LUA_TNIL && got != type) {
        bad_option(L, fn, key, lua_typename(L, type), -1);
    }
    return got;
}

const char *luax_opt_string(lua_State *L, int tab, const char *fn, const char *key, size_t *len, const char *def) {
    if (luax_opt_value(L, tab, fn, key, LUA_TSTRING) == LUA_TNIL) {
        lua_pop(L, 1);
        if (len != NULL) {
            *len = def != NULL ? strlen(def) : 0;
        }
        return def;
    }
    const char *s = lua_tolstring(L, -1, len);
    if (len == NULL && strlen(s) != (size_t)lua_rawlen(L, -1)) {
        luax_fail(L, "bad_argument", "%s: option \"%s\": expected a string without NUL bytes", fn, key);
    }
    lua_pop(L, 1);
    return s;
}

const char *luax_req_string(lua_State *L, int tab, const char *fn, const char *key, size_t *len) {
    const char *s = luax_opt_string(L, tab, fn, key, len, NULL);
    if (s == NULL) {
        luax_fail(L, "bad_argument", "%s: option \"%s\": expected a string, got nothing", fn, key);
    }
    return s;
}

lua_Integer luax_opt_integer(lua_State *L, int tab, const char *fn, const char *key, lua_Integer min, lua_Integer max,
                             lua_Integer def) {
    if (raw_option(L, tab, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return def;
    }
    int is_integer = 0;
    lua_Integer v = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_integer) : 0;
    if (!is_integer || v < min || v > max) {
        char expected[96];
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min, (long long)max);
        bad_option(L, fn, key, expected, -1);
    }
    lua_pop(L, 1);
    return v;
}

double luax_opt_number(lua_State *L, int tab, const char *fn, const char *key, double min, double max, double def) {
    if (raw_option(L, tab, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return def;
    }
    bool is_number = lua_type(L, -1) == LUA_TNUMBER;
    double v = is_number ? lua_tonumber(L, -1) : 0;
    if (!is_number || !(v >= min && v <= max)) {
        char expected[96];
        snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
        bad_option(L, fn, key, expected, -1);
    }
    lua_pop(L, 1);
    return v;
}

bool luax_opt_boolean(lua_State *L, int tab, const char *fn, const char *key, bool def) {
    bool v = def;
    if (luax_opt_value(L, tab, fn, key, LUA_TBOOLEAN) != LUA_TNIL) {
        v = lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
    return v;
}

static void refuse_key(lua_State *L, const char *fn, const char *const *names) {
    char shown[96];
    show(L, -1, shown);
    const char *near = lua_type(L, -1) == LUA_TSTRING ? text_suggest(lua_tostring(L, -1), names) : NULL;
    if (near != NULL) {
        luax_fail(L, "bad_argument", "%s: unknown option %s; did you mean \"%s\"?", fn, shown, near);
    }
    luax_fail(L, "bad_argument", "%s: unknown option %s", fn, shown);
}

void luax_only_keys(lua_State *L, int tab, const char *fn, const char *const *names) {
    tab = lua_absindex(L, tab);
    luaL_checkstack(L, 6, "options");
    lua_pushnil(L);
    while (lua_next(L, tab)) {
        lua_pop(L, 1);
        bool known = false;
        if (lua_type(L, -1) == LUA_TSTRING) {
            const char *key = lua_tostring(L, -1);
            for (size_t i = 0; names[i] != NULL && !known; i++) {
                known = strcmp(names[i], key) == 0;
            }
        }
        if (!known) {
            refuse_key(L, fn, names);
        }
    }
}
