#include "vm/conv.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "vm/conv_walk.h"

const conv_limits CONV_DEFAULT = {.depth = 64, .nodes = 1000000, .bytes = 64u << 20};

/* ".key" or "[index]" for every table that is open, printable and short. */
static void write_path(const conv_walk *w, char *path, size_t cap) {
    path[0] = '\0';
    for (int i = 0; i < w->depth; i++) {
        const conv_frame *f = &w->open[i];
        size_t at = strlen(path);
        if (f->key != NULL) {
            buf shown = BUF_INIT;
            text_sanitise(&shown, f->key, f->at, 60, false);
            snprintf(path + at, cap - at, "%s%s", at > 0 ? "." : "", buf_str(&shown));
            buf_free(&shown);
        } else if (f->at > 0) {
            snprintf(path + at, cap - at, "[%zu]", f->at);
        }
    }
}

int conv_fail(conv_walk *w, const char *code, const char *what) {
    char path[256];
    write_path(w, path, sizeof path);
    err_set(w->e, code, "%s at %s", what, path[0] != '\0' ? path : "the value itself");
    if (strcmp(code, "value_type") == 0 || strcmp(code, "value_key") == 0 || strcmp(code, "value_number") == 0) {
        err_fix(w->e, "give nil, booleans, finite numbers, text, and tables of them: lists, or with strings as keys");
    }
    return -1;
}

int conv_no_memory(conv_walk *w) {
    return conv_fail(w, "out_of_memory", "out of memory");
}

static json_t *fail(conv_walk *w, const char *code, const char *what) {
    conv_fail(w, code, what);
    return NULL;
}

static json_t *out_of_memory(conv_walk *w) {
    conv_no_memory(w);
    return NULL;
}

static json_t *convert(conv_walk *w, int idx);

static json_t *convert_string(conv_walk *w, int idx) {
    size_t n;
    const char *s = lua_tolstring(w->L, idx, &n);
    w->bytes += n;
    if (w->bytes > w->lim->bytes) {
        return fail(w, "value_size", "too many bytes");
    }
    json_t *v = json_stringn(s, n); /* refuses what is not UTF-8 */
    if (v != NULL) {
        return v;
    }
    if (text_utf8_valid(s, n)) {
        return out_of_memory(w); /* jansson gives no reason */
    }
    if (!w->lim->lossy) {
        return fail(w, "value_utf8", "text that is not UTF-8");
    }
    buf b = BUF_INIT;
    if (text_sanitise(&b, s, n, 0, true) == 0) {
        v = json_stringn(buf_str(&b), b.len);
    }
    buf_free(&b);
    return v != NULL ? v : out_of_memory(w);
}

static json_t *convert_number(conv_walk *w, int idx) {
    json_t *v;
    double d = lua_tonumber(w->L, idx);
    if (lua_isinteger(w->L, idx)) {
        v = json_integer((json_int_t)lua_tointeger(w->L, idx));
    } else if (isfinite(d)) {
        v = json_real(d);
    } else if (w->lim->lossy) {
        v = json_string(isnan(d) ? "nan" : d > 0 ? "inf" : "-inf");
    } else {
        return fail(w, "value_number", "a number that JSON does not have (NaN or infinite)");
    }
    return v != NULL ? v : out_of_memory(w);
}

bool conv_is_sequence(lua_State *L, int idx, size_t *count) {
    size_t n = 0;
    size_t highest = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1) {
            lua_pop(L, 1);
            return false;
        }
        size_t key = (size_t)lua_tointeger(L, -1);
        highest = key > highest ? key : highest;
        n++;
    }
    *count = n;
    return n == highest;
}

bool conv_is_marked_array(lua_State *L, int idx) {
    if (!lua_getmetatable(L, idx)) {
        return false;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, CONV_ARRAY);
    bool marked = lua_istable(L, -1) && lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

static json_t *convert_array(conv_walk *w, int idx, size_t n) {
    json_t *out = json_array();
    if (out == NULL) {
        return out_of_memory(w);
    }
    for (size_t i = 1; i <= n; i++) {
        conv_here(w)->at = i;
        lua_rawgeti(w->L, idx, (lua_Integer)i);
        json_t *v = convert(w, lua_gettop(w->L));
        lua_pop(w->L, 1);
        if (v == NULL || json_array_append_new(out, v) != 0) {
            json_decref(out);
            return v == NULL ? NULL : out_of_memory(w);
        }
    }
    return out;
}

/* The key as text, or NULL with the error set. Numbers are keys only in lossy reading. */
static const char *key_text(conv_walk *w, int idx, char scratch[32], size_t *n) {
    lua_State *L = w->L;
    if (lua_type(L, idx) == LUA_TSTRING) {
        const char *s = lua_tolstring(L, idx, n);
        if (!text_utf8_valid(s, *n)) {
            fail(w, "value_utf8", "a key that is not UTF-8");
            return NULL;
        }
        w->bytes += *n;
        return s;
    }
    if (w->lim->lossy && lua_isinteger(L, idx)) {
        *n = (size_t)snprintf(scratch, 32, "%lld", (long long)lua_tointeger(L, idx));
        return scratch;
    }
    fail(w, "value_key", "a key that is not a string in a table that is not a plain list,");
    return NULL;
}

static json_t *convert_object(conv_walk *w, int idx) {
    lua_State *L = w->L;
    json_t *out = json_object();
    if (out == NULL) {
        return out_of_memory(w);
    }
    int base = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        char scratch[32];
        size_t n = 0;
        json_t *v = NULL;
        conv_leave_member(w);
        const char *key = key_text(w, base + 1, scratch, &n);
        if (key != NULL) {
            conv_here(w)->key = key;
            conv_here(w)->at = n;
            v = convert(w, base + 2);
        }
        if (v == NULL || json_object_setn_new(out, key, n, v) != 0) {
            lua_settop(L, base);
            json_decref(out);
            return v == NULL ? NULL : out_of_memory(w);
        }
        lua_settop(L, base + 1);
    }
    return out;
}

const char *conv_enter(conv_walk *w, int idx, const char **what) {
    const void *self = lua_topointer(w->L, idx);
    for (int i = 0; i < w->depth; i++) {
        if (w->open[i].table == self) {
            *what = "a table that contains itself";
            return "value_cycle";
        }
    }
    if (w->depth >= w->lim->depth || w->depth >= CONV_DEPTH_MAX) {
        *what = "nesting that is too deep";
        return "value_depth";
    }
    if (!lua_checkstack(w->L, 8)) {
        *what = "out of stack";
        return "out_of_memory";
    }
    w->open[w->depth++] = (conv_frame){.table = self};
    return NULL;
}

static json_t *convert_table(conv_walk *w, int idx) {
    const char *what = NULL;
    const char *code = conv_enter(w, idx, &what);
    if (code != NULL) {
        bool told = w->lim->lossy && strcmp(code, "out_of_memory") != 0;
        return told ? json_string(strcmp(code, "value_cycle") == 0 ? "<cycle>" : "<too deep>") : fail(w, code, what);
    }
    size_t n = 0;
    json_t *out = conv_is_sequence(w->L, idx, &n) && (n > 0 || conv_is_marked_array(w->L, idx))
                      ? convert_array(w, idx, n)
                      : convert_object(w, idx);
    w->depth--;
    return out;
}

static json_t *convert_function(conv_walk *w, int idx) {
    lua_Debug ar;
    lua_pushvalue(w->L, idx);
    int line = lua_getinfo(w->L, ">S", &ar) ? ar.linedefined : 0;
    json_t *v = json_pack("{s:i}", "$function", line);
    return v != NULL ? v : out_of_memory(w);
}

static json_t *convert(conv_walk *w, int idx) {
    if (++w->nodes > w->lim->nodes) {
        return fail(w, "value_size", "too many values");
    }
    lua_State *L = w->L;
    int type = lua_type(L, idx);
    switch (type) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, idx));
    case LUA_TNUMBER:
        return convert_number(w, idx);
    case LUA_TSTRING:
        return convert_string(w, idx);
    case LUA_TTABLE:
        return convert_table(w, idx);
    default:
        break;
    }
    if (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, idx) == NULL) {
        return json_null();
    }
    if (type == LUA_TFUNCTION && w->lim->mark_functions) {
        return convert_function(w, idx);
    }
    char what[64];
    if (w->lim->lossy) {
        snprintf(what, sizeof what, "<%s>", lua_typename(L, type));
        json_t *v = json_string(what);
        return v != NULL ? v : out_of_memory(w);
    }
    snprintf(what, sizeof what, "a %s", lua_typename(L, type));
    return fail(w, "value_type", what);
}

json_t *conv_to_json(lua_State *L, int idx, const conv_limits *lim, err *e) {
    err local;
    conv_walk w = {.L = L, .lim = lim != NULL ? lim : &CONV_DEFAULT, .e = e != NULL ? e : &local};
    err_clear(w.e);
    if (!lua_checkstack(L, 8)) {
        return fail(&w, "out_of_memory", "out of stack");
    }
    int top = lua_gettop(L);
    json_t *v = convert(&w, lua_absindex(L, idx));
    lua_settop(L, top);
    return v;
}

void conv_push_array_meta(lua_State *L) {
    if (luaL_newmetatable(L, CONV_ARRAY)) {
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
}

static void push_array(lua_State *L, const json_t *v) {
    size_t n = json_array_size(v);
    lua_createtable(L, n < 1000000 ? (int)n : 0, 0);
    for (size_t i = 0; i < n; i++) {
        conv_push_json(L, json_array_get(v, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    if (n == 0) {
        conv_push_array_meta(L);
        lua_setmetatable(L, -2);
    }
}

static void push_object(lua_State *L, const json_t *v) {
    lua_createtable(L, 0, (int)json_object_size(v));
    json_t *object = (json_t *)v; /* jansson's iterator takes it non-const and does not change it */
    for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it)) {
        lua_pushlstring(L, json_object_iter_key(it), json_object_iter_key_len(it));
        conv_push_json(L, json_object_iter_value(it));
        lua_rawset(L, -3);
    }
}

void conv_push_json(lua_State *L, const json_t *v) {
    luaL_checkstack(L, 4, "JSON is nested too deep");
    switch (json_typeof(v)) {
    case JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(v));
        return;
    case JSON_INTEGER:
        lua_pushinteger(L, (lua_Integer)json_integer_value(v));
        return;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(v));
        return;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(v), json_string_length(v));
        return;
    case JSON_ARRAY:
        push_array(L, v);
        return;
    case JSON_OBJECT:
        push_object(L, v);
        return;
    }
}
