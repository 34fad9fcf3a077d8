/* store.c: require "engine.store", named byte strings beneath a directory (stdlib/meta/store.lua is its reference). */
#include <stdint.h>
#include <string.h>

#include "prim/crypto.h"
#include "prim/store.h"
#include "vm/luax.h"

#define STORE "gate.store"
#define SCRATCH "gate.store.scratch"
#define WRITER "gate.store.writer"
#define READER "gate.store.reader"
#define PART_BYTES ((size_t)8 << 20)

typedef struct handle {
    store *s; /* owned; NULL once closed */
    bool file;
} handle;

/* What an operation reads before it becomes Lua values: held by a userdata, since making those may raise. */
typedef struct scratch {
    buf bytes;
    store_list list;
} scratch;

static int scratch_gc(lua_State *L) { /* [-0, +0, -] */
    scratch *x = luaL_checkudata(L, 1, SCRATCH);
    buf_free(&x->bytes);
    store_list_free(&x->list);
    return 0;
}

static int store_gc(lua_State *L) { /* [-0, +0, -] */
    handle *h = luaL_checkudata(L, 1, STORE);
    store *s = h->s;
    h->s = NULL;
    store_close(s);
    return 0;
}

static int store_tostring(lua_State *L) {
    const handle *h = luaL_checkudata(L, 1, STORE);
    lua_pushfstring(L, "store (%s)", h->s == NULL ? "closed" : h->file ? "file" : "local");
    return 1;
}

static store *check_open(lua_State *L, const char *fn) { /* [-0, +0, v] */
    const handle *h = luax_check(L, 1, STORE, fn);
    if (h->s == NULL) {
        luax_fail(L, "store_closed", "%s: the store is closed", fn);
    }
    return h->s;
}

/* The key at index 2; nothing there means the only key of a single-file store. */
static const char *check_key(lua_State *L, const char *fn, const store *s, size_t *len) { /* [-0, +0, v] */
    if (lua_isnoneornil(L, 2) && store_only_key(s) != NULL) {
        *len = strlen(store_only_key(s));
        return store_only_key(s);
    }
    if (lua_type(L, 2) != LUA_TSTRING) {
        luax_fail(L, "bad_argument", "%s: expected a key, got %s", fn, luaL_typename(L, 2));
    }
    return lua_tolstring(L, 2, len);
}

static void push_info(lua_State *L, const char *key, size_t len, const store_info *info) { /* [-0, +1, m] */
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, key, len);
    lua_setfield(L, -2, "key");
    lua_pushinteger(L, (lua_Integer)info->size);
    lua_setfield(L, -2, "size");
    if (info->sha256[0] != '\0') {
        lua_pushstring(L, info->sha256);
        lua_setfield(L, -2, "sha256");
    }
    if (info->modified != 0) {
        lua_pushinteger(L, (lua_Integer)info->modified);
        lua_setfield(L, -2, "modified");
    }
}

static int method_put(lua_State *L) { /* [-3, +1, v] */
    store *s = check_open(L, "store:put");
    size_t len = 0;
    size_t n = 0;
    const char *key = check_key(L, "store:put", s, &len);
    if (lua_type(L, 3) != LUA_TSTRING) {
        return luax_fail(L, "bad_argument", "store:put: expected bytes as a string, got %s", luaL_typename(L, 3));
    }
    const char *bytes = lua_tolstring(L, 3, &n);
    store_info info;
    err e;
    if (store_put(s, key, len, bytes, n, &info, &e) != 0) {
        return luax_raise(L, &e);
    }
    push_info(L, key, len, &info);
    return 1;
}

static const char *check_sha256(lua_State *L, int tab) { /* [-0, +0, v] */
    const char *expect = luax_opt_string(L, tab, "store:get", "expect_sha256", NULL, NULL);
    if (expect != NULL &&
        (strlen(expect) != STORE_SHA256_HEX || strspn(expect, "0123456789abcdef") != STORE_SHA256_HEX)) {
        luax_fail(L, "bad_argument", "store:get: option \"expect_sha256\": expected 64 lower-case hexadecimal digits");
    }
    return expect;
}

static int method_get(lua_State *L) { /* [-3, +2, v] */
    static const char *const KEYS[] = {"expect_sha256", "max", NULL};
    store *s = check_open(L, "store:get");
    size_t len = 0;
    const char *key = check_key(L, "store:get", s, &len);
    const char *expect = NULL;
    lua_Integer max = STORE_GET_MAX;
    if (!lua_isnoneornil(L, 3)) {
        luax_check_table(L, 3, "store:get");
        luax_only_keys(L, 3, "store:get", KEYS);
        expect = check_sha256(L, 3);
        max = luax_opt_integer(L, 3, "store:get", "max", 0, (lua_Integer)1 << 40, max);
    }
    scratch *x = luax_new(L, SCRATCH, sizeof *x, 0);
    store_info info;
    err e;
    if (store_get(s, key, len, (size_t)max, expect, &x->bytes, &info, &e) != 0) {
        buf_free(&x->bytes);
        return luax_raise(L, &e);
    }
    lua_pushlstring(L, buf_str(&x->bytes), x->bytes.len);
    buf_free(&x->bytes);
    push_info(L, key, len, &info);
    return 2;
}

static int method_head(lua_State *L) { /* [-2, +1, v] */
    store *s = check_open(L, "store:head");
    size_t len = 0;
    const char *key = check_key(L, "store:head", s, &len);
    store_info info;
    err e;
    int there = store_head(s, key, len, &info, &e);
    if (there < 0) {
        return luax_raise(L, &e);
    }
    if (there == 0) {
        lua_pushnil(L);
    } else {
        push_info(L, key, len, &info);
    }
    return 1;
}

static int method_list(lua_State *L) { /* [-2, +1, v] */
    store *s = check_open(L, "store:list");
    size_t len = 0;
    if (!lua_isnoneornil(L, 2) && lua_type(L, 2) != LUA_TSTRING) {
        return luax_fail(L, "bad_argument", "store:list: expected a prefix, got %s", luaL_typename(L, 2));
    }
    const char *prefix = luaL_optlstring(L, 2, "", &len);
    scratch *x = luax_new(L, SCRATCH, sizeof *x, 0);
    err e;
    if (store_find(s, prefix, len, &x->list, &e) != 0) {
        store_list_free(&x->list);
        return luax_raise(L, &e);
    }
    lua_createtable(L, (int)x->list.count, 0);
    for (size_t i = 0; i < x->list.count; i++) {
        const store_entry *item = &x->list.items[i];
        push_info(L, item->key, strlen(item->key), &item->info);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    store_list_free(&x->list);
    return 1;
}

static int method_delete(lua_State *L) { /* [-2, +1, v] */
    store *s = check_open(L, "store:delete");
    size_t len = 0;
    const char *key = check_key(L, "store:delete", s, &len);
    err e;
    int removed = store_delete(s, key, len, &e);
    if (removed < 0) {
        return luax_raise(L, &e);
    }
    lua_pushboolean(L, removed);
    return 1;
}

/* ---- values in parts ---- */

typedef struct writer {
    store_writer *w; /* owned; NULL once closed */
} writer;

typedef struct reader {
    store_reader *r; /* owned; NULL once closed */
} reader;

static int method_writer(lua_State *L) { /* [-2, +1, v] */
    store *s = check_open(L, "store:writer");
    size_t len = 0;
    const char *key = check_key(L, "store:writer", s, &len);
    lua_pushlstring(L, key, len);
    writer *x = luax_new(L, WRITER, sizeof *x, 1);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, 1);
    err e;
    x->w = store_writer_open(s, key, len, &e);
    return x->w != NULL ? 1 : luax_raise(L, &e);
}

static writer *check_writer(lua_State *L, const char *fn) { /* [-0, +0, v] */
    writer *x = luax_check(L, 1, WRITER, fn);
    if (x->w == NULL) {
        luax_fail(L, "store_closed", "%s: the writer is closed", fn);
    }
    return x;
}

static int writer_write(lua_State *L) { /* [-2, +1, v] */
    const writer *x = check_writer(L, "writer:write");
    size_t n = 0;
    if (lua_type(L, 2) != LUA_TSTRING) {
        return luax_fail(L, "bad_argument", "writer:write: expected bytes as a string, got %s", luaL_typename(L, 2));
    }
    const char *bytes = lua_tolstring(L, 2, &n);
    err e;
    if (store_writer_add(x->w, bytes, n, &e) != 0) {
        return luax_raise(L, &e);
    }
    lua_settop(L, 1);
    return 1;
}

static int writer_close(lua_State *L) { /* [-0, +0, -] */
    writer *x = luaL_checkudata(L, 1, WRITER);
    store_writer *w = x->w;
    x->w = NULL;
    store_writer_close(w);
    return 0;
}

static int writer_commit(lua_State *L) { /* [-1, +1, v] */
    writer *x = check_writer(L, "writer:commit");
    store_info info;
    err e;
    size_t len = 0;
    int rc = store_writer_commit(x->w, &info, &e);
    writer_close(L);
    if (rc != 0) {
        return luax_raise(L, &e);
    }
    lua_getiuservalue(L, 1, 1);
    const char *key = lua_tolstring(L, -1, &len);
    push_info(L, key, len, &info);
    return 1;
}

static int method_reader(lua_State *L) { /* [-2, +1, v] */
    store *s = check_open(L, "store:reader");
    size_t len = 0;
    const char *key = check_key(L, "store:reader", s, &len);
    reader *x = luax_new(L, READER, sizeof *x, 0);
    err e;
    x->r = store_reader_open(s, key, len, &e);
    return x->r != NULL ? 1 : luax_raise(L, &e);
}

static int reader_read(lua_State *L) { /* [-1, +1, v] */
    reader *x = luax_check(L, 1, READER, "reader:read");
    if (x->r == NULL) {
        return luax_fail(L, "store_closed", "reader:read: the reader is closed");
    }
    scratch *b = luax_new(L, SCRATCH, sizeof *b, 0);
    err e;
    int rc = store_reader_next(x->r, PART_BYTES, &b->bytes, &e);
    if (rc < 0) {
        buf_free(&b->bytes);
        return luax_raise(L, &e);
    }
    if (rc == 0) {
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, buf_str(&b->bytes), b->bytes.len);
    }
    buf_free(&b->bytes);
    return 1;
}

static int reader_close(lua_State *L) { /* [-0, +0, -] */
    reader *x = luaL_checkudata(L, 1, READER);
    store_reader *r = x->r;
    x->r = NULL;
    store_reader_close(r);
    return 0;
}

/* Nothing but a service behind HTTP has credentials that could be wrong, another tenant's place or a connection. */
static int method_nothing(lua_State *L) { /* [-1, +1, v] */
    (void)check_open(L, "store");
    lua_pushnil(L);
    return 1;
}

static int method_forged(lua_State *L) { /* [-1, +1, v] */
    (void)check_open(L, "store:forged");
    lua_newtable(L);
    return 1;
}

static int lib_open(lua_State *L) { /* [-1, +1, v] */
    static const char *const KEYS[] = {"kind", "path", "readonly", "create", NULL};
    const char *fn = "store.open";
    luax_check_table(L, 1, fn);
    luax_only_keys(L, 1, fn, KEYS);
    const char *kind = luax_opt_string(L, 1, fn, "kind", NULL, "local");
    store_options o = {.path = luax_req_string(L, 1, fn, "path", NULL),
                       .file = strcmp(kind, "file") == 0,
                       .readonly = luax_opt_boolean(L, 1, fn, "readonly", false),
                       .create = luax_opt_boolean(L, 1, fn, "create", false)};
    if (!o.file && strcmp(kind, "local") != 0) {
        return luax_fail(L, "bad_argument", "store.open: option \"kind\": expected \"local\" or \"file\", got \"%s\"",
                         kind);
    }
    if (o.path[0] == '\0') {
        return luax_fail(L, "bad_argument", "store.open: option \"path\": expected a path, got nothing");
    }
    handle *h = luax_new(L, STORE, sizeof *h, 0);
    err e;
    h->file = o.file;
    h->s = store_open(&o, &e);
    return h->s != NULL ? 1 : luax_raise(L, &e);
}

LUAX_EXPORT int luaopen_engine_store(lua_State *L);

int luaopen_engine_store(lua_State *L) {
    static const luaL_Reg METHODS[] = {
        {"put", method_put},           {"get", method_get},       {"head", method_head},     {"list", method_list},
        {"delete", method_delete},     {"writer", method_writer}, {"reader", method_reader}, {"forged", method_forged},
        {"elsewhere", method_nothing}, {"seen", method_nothing},  {"close", store_gc},       {NULL, NULL}};
    static const luaL_Reg WRITER_METHODS[] = {
        {"write", writer_write}, {"commit", writer_commit}, {"close", writer_close}, {NULL, NULL}};
    static const luaL_Reg WRITER_META[] = {{"__gc", writer_close}, {"__close", writer_close}, {NULL, NULL}};
    static const luaL_Reg READER_METHODS[] = {{"read", reader_read}, {"close", reader_close}, {NULL, NULL}};
    static const luaL_Reg READER_META[] = {{"__gc", reader_close}, {"__close", reader_close}, {NULL, NULL}};
    static const luaL_Reg META[] = {
        {"__gc", store_gc}, {"__close", store_gc}, {"__tostring", store_tostring}, {NULL, NULL}};
    static const luaL_Reg NONE[] = {{NULL, NULL}};
    static const luaL_Reg SCRATCH_META[] = {{"__gc", scratch_gc}, {NULL, NULL}};
    static const luaL_Reg FUNCTIONS[] = {{"open", lib_open}, {NULL, NULL}};
    crypto_begin();
    luax_class(L, STORE, METHODS, META);
    luax_class(L, SCRATCH, NONE, SCRATCH_META);
    luax_class(L, WRITER, WRITER_METHODS, WRITER_META);
    luax_class(L, READER, READER_METHODS, READER_META);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
