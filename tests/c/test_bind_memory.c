/* The hash, JSON and SQL modules when memory runs out: every allocation of Lua's and of jansson's fails once. An error
 * must come out, nothing may be lost (the leak check of the sanitized build sees to that), and the state must still
 * work. */
#include "lua_support.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

/* Allocations of jansson's until one fails; below 0 = none does. */
static long json_left = -1;

static void *json_alloc(size_t n) {
    if (json_left >= 0 && json_left-- == 0) {
        reached = true;
        return NULL;
    }
    return malloc(n);
}

/* Runs the chunk with the first allocation failing, then the second, until none is reached any more; returns how often
 * it failed. */
static int until_it_passes(lua_State *L, const char *chunk, long *left) {
    int failures = 0;
    reached = true;
    for (long n = 0; reached; n++) {
        assert_int_equal(luaL_loadstring(L, chunk), LUA_OK);
        lua_gc(L, LUA_GCCOLLECT);
        reached = false;
        *left = n;
        int rc = lua_pcall(L, 0, 1, 0);
        *left = -1;
        if (rc == LUA_OK) {
            assert_true(lua_toboolean(L, -1));
        } else {
            const char *text = luaL_tolstring(L, -1, NULL);
            /* jansson's lexer calls a string for which it has no memory an invalid token. */
            bool told = left == &lua_left
                            ? strstr(text, "not enough memory") != NULL
                            : strstr(text, "out_of_memory") != NULL || strstr(text, "json_syntax") != NULL ||
                                  strstr(text, "sql_failed: the parser's tree cannot be read, memory") != NULL;
            if (!reached || !told) {
                fail_msg("allocation %ld: %s", n, text);
            }
            failures++;
        }
        lua_settop(L, 0);
    }
    return failures;
}

/* Both kinds of allocations, with at least so many failures of each. */
static void assert_survives(const char *setup, const char *chunk, int in_lua, int in_json) {
    lua_State *L = open_state();
    if (luaL_dostring(L, setup) != LUA_OK) {
        fail_msg("%s", lua_tostring(L, -1));
    }
    assert_true(until_it_passes(L, chunk, &lua_left) >= in_lua);
    assert_true(until_it_passes(L, chunk, &json_left) >= in_json);
    lua_close(L);
}

static void decoding(void **state) {
    (void)state;
    assert_survives("json = require 'engine.json' text = '{\"a\":[1,2.5,\"x\",null,{\"b\":[]}],\"c\":true}'",
                    "local v = json.decode(text) return v.a[3] == 'x' and v.c", 5, 10);
}

static void encoding(void **state) {
    (void)state;
    assert_survives("json = require 'engine.json' value = {a = {1, 2.5, 'x', {b = {}}}, c = true}",
                    "return json.encode(value) == '{\"a\":[1,2.5,\"x\",{\"b\":{}}],\"c\":true}'", 2, 10);
}

static void marking(void **state) {
    (void)state;
    assert_survives("json = require 'engine.json'", "return json.is_array(json.array())", 1, 0);
}

static void hashing(void **state) {
    (void)state;
    assert_survives("hash = require 'engine.hash' value = {b = {1, 2}, ['\\n'] = 'x'}",
                    "return hash.of(value) == hash.sha256(hash.canonical_json(hash.canonical(value)))", 4, 10);
}

static void streaming(void **state) {
    (void)state;
    assert_survives("hash = require 'engine.hash'", "return hash.stream():update('abc'):final() == hash.sha256('abc')",
                    2, 0);
}

static void spelling(void **state) {
    (void)state;
    assert_survives("hash = require 'engine.hash' bytes = ('x'):rep(300)",
                    "return hash.unhex(hash.hex(bytes)) == hash.unbase64(hash.base64(bytes))", 8, 0);
}

static void signing(void **state) {
    (void)state;
    assert_survives("hash = require 'engine.hash'",
                    "local k = hash.ed25519_keypair(('s'):rep(32)) "
                    "return hash.ed25519_verify(k.public, 'm', hash.ed25519_sign(k.private, 'm'))",
                    4, 0);
}

static void parsing_sql(void **state) {
    (void)state;
    assert_survives("sql = require 'engine.sql'",
                    "return #sql.parse('select a = 1').stmts == 1 and sql.normalize('select 1') == 'select $1'", 5, 10);
}

static void loading(void **state) {
    (void)state;
    assert_survives("",
                    "package.loaded['engine.hash'] = nil package.loaded['engine.json'] = nil "
                    "return require('engine.hash').sha256 and require('engine.json').null ~= nil",
                    20, 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("json.decode", decoding),
        TEST("json.encode", encoding),
        TEST("json.array and is_array", marking),
        TEST("hash.of, canonical and canonical_json", hashing),
        TEST("hash.stream", streaming),
        TEST("hash.hex, unhex, base64 and unbase64", spelling),
        TEST("Ed25519", signing),
        TEST("sql.parse and normalize", parsing_sql),
        TEST("loading the modules", loading),
    };
    json_set_alloc_funcs(json_alloc, free);
    return cmocka_run_group_tests_name("memory runs out in", tests, NULL, NULL);
}
