/* A Lua value's canonical bytes without a tree of it, against those by way of one: the same bytes, and the same refusal
 * where a value has one fault. Linked with --wrap=realloc and --wrap=reallocarray, each of which fails once. */
#include "lua_support.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/canon.h"
#include "vm/conv.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

/* Allocations of the writer's until one fails; below 0 = none does. */
static long left = -1;

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) {
    if (left >= 0 && left-- == 0) {
        reached = true;
        return NULL;
    }
    return __real_realloc(p, n);
}

void *__real_reallocarray(void *p, size_t count, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n) {
    if (left >= 0 && left-- == 0) {
        reached = true;
        return NULL;
    }
    return __real_reallocarray(p, count, n);
}

static int push_outcome(lua_State *L, int rc, buf *out, const err *e) {
    if (rc == 0) {
        lua_pushlstring(L, buf_str(out), out->len);
    } else {
        lua_pushfstring(L, "! %s: %s [%s]", e->code, e->message, e->fix);
    }
    buf_free(out);
    return 1;
}

static int by_tree(lua_State *L) {
    err e;
    buf out = BUF_INIT;
    json_t *value = conv_to_json(L, 1, NULL, &e);
    int rc = value != NULL ? canon_value(&out, value, &e) : -1;
    json_decref(value);
    return push_outcome(L, rc, &out, &e);
}

static int direct(lua_State *L) {
    err e;
    buf out = BUF_INIT;
    int top = lua_gettop(L);
    int rc = conv_canonical(L, 1, &out, &e);
    assert_int_equal(top, lua_gettop(L));
    return push_outcome(L, rc, &out, &e);
}

static lua_State *open_both(void) {
    lua_State *L = open_state();
    lua_register(L, "by_tree", by_tree);
    lua_register(L, "direct", direct);
    conv_push_array_meta(L);
    lua_setglobal(L, "ARRAY");
    lua_pushlightuserdata(L, NULL);
    lua_setglobal(L, "null");
    lua_pushlightuserdata(L, L);
    lua_setglobal(L, "pointer");
    return L;
}

static void run(lua_State *L, const char *chunk) {
    if (luaL_dostring(L, chunk) != LUA_OK) {
        fail_msg("%s", lua_tostring(L, -1));
    }
    lua_settop(L, 0);
}

/* Values of every kind, half of them with one fault somewhere. */
static const char RANDOM[] =
    "math.randomseed(94)\n"
    "local below = math.random\n"
    "local TEXTS = {'', 'a', 'tour_instance_id', 'ä', 'a quote \" and more', 'back\\\\slash', '\\0', "
    "'\\n\\r\\t\\b\\f',\n"
    "  '\\u{1F600}', '\\u{FB33}', '\\u{E000}', '\\u{2028}', 'eight ab', 'eight ab\\1', '\\127', ('x'):rep(100) .. "
    "'ö',\n"
    "  ('y'):rep(31) .. '\"', 'sixteen letters!'}\n"
    "local NUMBERS = {0, -0.0, 1, -1, 7, 1.5, -2.25, 0.1, 1/3, 1e21, 1e-7, 1e300, 5e-324, 2^53, -2^53, 2^60, 1 << 60,\n"
    "  -(1 << 53), 123456789.123, 0.000001, 48.2082, 16.3738, 1e15, 999999999999999.9, 4.35, 100.25, "
    "123456789012.345}\n"
    "local FAULTS = {0/0, 1/0, -1/0, print, '\\255', '\\xed\\xa0\\x80', ('x'):rep(20) .. '\\xc3', (1 << 53) + 1,\n"
    "  math.mininteger + 1, math.maxinteger, pointer, coroutine.create(print), {[1] = 1, [3] = 3}, {1, 2, x = 3}, {[0] "
    "= 1},\n"
    "  {[1.5] = 1}, {[true] = 1}, {['\\255'] = 1}, 'CYCLE', 'DEEP'}\n"
    "local SHOWN = {}\n"
    "local function make(depth, above, fault)\n"
    "  local kind = depth > 0 and below(7) or below(3)\n"
    "  if kind == 1 then return TEXTS[below(#TEXTS)] end\n"
    "  if kind == 2 then\n"
    "    return below(3) > 1 and NUMBERS[below(#NUMBERS)] or below(2) > 1 and below(-1000000, 1000000) / 10 ^ below(0, "
    "8)\n"
    "      or below(-10000, 10000)\n"
    "  end\n"
    "  if kind == 3 then return ({true, false, null})[below(3)] end\n"
    "  local out = {}\n"
    "  local n = below(12) == 1 and below(20, 60) or below(0, 5)\n"
    "  for i = 1, n do\n"
    "    local v = make(depth - 1, out, fault)\n"
    "    if kind < 5 then out[i] = v else out[TEXTS[below(#TEXTS)] .. below(n)] = v end\n"
    "  end\n"
    "  if fault.left and below(4) == 1 then\n"
    "    local v = FAULTS[below(#FAULTS)]\n"
    "    if v == 'CYCLE' then v = {{x = out}} end\n"
    "    if v == 'DEEP' then v = {} for _ = 1, 64 do v = below(2) > 1 and {v} or {d = v} end end\n"
    "    if kind < 5 then out[n + 1] = v else out.fault = v end\n"
    "    fault.left = false\n"
    "  end\n"
    "  if next(out) == nil and below(2) > 1 then setmetatable(out, ARRAY) end\n"
    "  return out\n"
    "end\n"
    "local bad = 0\n"
    "for i = 1, 20000 do\n"
    "  local v = make(4, nil, {left = i % 2 == 0})\n"
    "  local a, b = by_tree(v), direct(v)\n"
    "  if a ~= b then error(('value %d\\n  tree:   %s\\n  direct: %s'):format(i, a, b), 0) end\n"
    "  if a:sub(1, 1) == '!' then bad = bad + 1 SHOWN[a:match '^! (%S+):'] = true end\n"
    "end\n"
    "assert(bad > 2000 and bad < 12000, bad)\n"
    "for _, code in ipairs {'value_number', 'value_type', 'value_utf8', 'json_number', 'value_key', 'value_cycle', "
    "'value_depth'} do\n"
    "  assert(SHOWN[code], code)\n"
    "end\n"
    "assert(direct(nil) == 'null' and direct(print):find 'a function at the value itself')\n";

static void random_values(void **state) {
    (void)state;
    lua_State *L = open_both();
    run(L, RANDOM);
    lua_close(L);
}

static void bounds(void **state) {
    (void)state;
    lua_State *L = open_both();
    run(L, "local function same(v)\n"
           "  local a, b = by_tree(v), direct(v)\n"
           "  assert(a == b, #a .. ' ' .. a:sub(1, 200) .. '\\n' .. b:sub(1, 200))\n"
           "  return a\n"
           "end\n"
           "local list = {} for i = 1, 999999 do list[i] = true end\n"
           "assert(same(list):sub(1, 1) == '[')\n"
           "list[1000000] = true\n"
           "assert(same(list) == '! value_size: too many values at [1000000] []')\n"
           "local text = ('x'):rep(1 << 20)\n"
           "local texts = {} for i = 1, 64 do texts[i] = text end\n"
           "assert(same(texts):sub(1, 1) == '[')\n"
           "texts[65] = 'y'\n"
           "assert(same(texts) == '! value_size: too many bytes at [65] []')\n"
           "texts[65] = nil texts.k = nil\n"
           "local many = {} for i = 1, 2000 do many['k' .. i] = {i, {n = i}} end\n"
           "assert(same(many):find('\"k1\":[1,{\"n\":1}],\"k10\":', 1, true) == 2)\n");
    lua_close(L);
}

/* What two tables with the same content are refused for is the same, however they were made. */
static void faults_in_order(void **state) {
    (void)state;
    lua_State *L = open_both();
    run(L, "local first, second = {}, {}\n"
           "for i = 1, 200 do first['k' .. i] = {print} end\n"
           "for i = 200, 1, -1 do second['k' .. i] = {print} end\n"
           "assert(direct(first) == direct(second))\n"
           "assert(direct(first):find('a function at k1[1] ', 1, true), direct(first))\n");
    lua_close(L);
}

static void memory_runs_out(void **state) {
    (void)state;
    lua_State *L = open_both();
    run(L,
        "value = {list = {}, s = ('x'):rep(300)} for i = 1, 100 do value.list[i] = {a = i, b = {tostring(i), {}}} end\n"
        "for i = 1, 200 do value['k' .. i] = {} end good = by_tree(value)");
    int failures = 0;
    reached = true;
    for (long n = 0; reached; n++) {
        err e;
        buf out = BUF_INIT;
        lua_getglobal(L, "value");
        reached = false;
        left = n;
        int rc = conv_canonical(L, 1, &out, &e);
        left = -1;
        assert_int_equal(1, lua_gettop(L));
        if (rc != 0) {
            assert_true(reached);
            assert_string_equal("out_of_memory", e.code);
            failures++;
        } else {
            lua_getglobal(L, "good");
            assert_string_equal(lua_tostring(L, -1), buf_str(&out));
        }
        buf_free(&out);
        lua_settop(L, 0);
    }
    assert_true(failures >= 5);
    lua_close(L);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("random values, half of them with a fault: the bytes and the refusals of the way by a tree",
             random_values),
        TEST("a million values and 64 MB of texts are the most", bounds),
        TEST("of several faults the first in the keys' order is named", faults_in_order),
        TEST("memory that runs out is an error, and nothing is lost", memory_runs_out),
    };
    return cmocka_run_group_tests_name("conv_canonical", tests, NULL, NULL);
}
