/* The Lua state's first ring: what a script cannot have, and what happens when it tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm/alloc.h"
#include "vm/conv.h"
#include "vm/luax.h"
#include "vm/vm.h"

#define MB (1u << 20)

static char printed[256];

static void print_to_buffer(void *ctx, const char *text, size_t n) {
    (void)ctx;
    snprintf(printed, sizeof printed, "%.*s", (int)n, text);
}

/* Runs text in a fresh state; the result as compact JSON, or "CODE: message" of the error. Free it. */
static char *run_in(vm_profile profile, size_t memory, const char *text, bool *memory_hit) {
    err e;
    vm_options o = {.profile = profile, .memory_bytes = memory, .print = print_to_buffer};
    vm *v = vm_new(&o, &e);
    assert_non_null(v);
    char *out = NULL;
    if (vm_load(v, "@test.lua", text, strlen(text), false, &e) == 0 && vm_call(v, 0, 1, &e) == 0) {
        json_t *j = conv_to_json(vm_lua(v), -1, NULL, &e);
        if (j != NULL) {
            out = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
            json_decref(j);
        }
    }
    if (out == NULL) {
        char buffer[ERR_TEXT_MAX + ERR_CODE_MAX + 4];
        snprintf(buffer, sizeof buffer, "%s: %s", e.code, e.message);
        out = strdup(buffer);
    }
    if (memory_hit != NULL) {
        *memory_hit = vm_memory_hit(v);
    }
    vm_free(v);
    return out;
}

static void expect(vm_profile profile, const char *text, const char *wanted) {
    char *got = run_in(profile, 32 * MB, text, NULL);
    if (strstr(got, wanted) == NULL) {
        fail_msg("%s\n  gave      %s\n  expected  %s", text, got, wanted);
    }
    free(got);
}

static void what_is_not_allowed_does_not_exist(void **state) {
    (void)state;
    static const char *const GONE[] = {"io",        "debug",       "package",        "dofile",
                                       "loadfile",  "os.execute",  "os.exit",        "os.remove",
                                       "os.getenv", "string.dump", "collectgarbage", "warn",
                                       "os.rename", "os.tmpname",  "os.setlocale",   "require.loaded"};
    for (size_t i = 0; i < sizeof GONE / sizeof GONE[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "return pcall(function() return %s.x end) and 'there' or 'gone'", GONE[i]);
        expect(VM_SCRIPT, text, "gone");
        snprintf(text, sizeof text, "return %s ~= nil", GONE[i]);
        char *got = run_in(VM_SCRIPT, 32 * MB, text, NULL);
        assert_string_not_equal(got, "true");
        free(got);
    }
}

static void undeclared_globals_are_errors(void **state) {
    (void)state;
    expect(VM_SCRIPT, "return nothing", "script_global: test.lua:1: undeclared global 'nothing'");
    expect(VM_SCRIPT, "x = 1", "script_global: test.lua:1: assignment to undeclared global 'x'");
    expect(VM_SCRIPT, "_G.x = 1", "assignment to undeclared global 'x'");
    expect(VM_SCRIPT, "local x = 1; return x", "1");
}

static void bytecode_is_refused_wherever_it_comes_from(void **state) {
    (void)state;
    expect(VM_SCRIPT, "\x1bLua", "script_syntax");
    expect(VM_SCRIPT, "local f, e = load('\\27Lua'); return f == nil", "true");
    expect(VM_SCRIPT, "return (load('return 1 + 1'))()", "2");
    expect(VM_SCRIPT, "return pcall(load, function() return nil end) == false", "true");
    expect(VM_SCRIPT, "return (load('return x'))", "value_type"); /* a function is no result */
    expect(VM_SCRIPT, "return select(2, pcall(load('return x')))", "undeclared global 'x'");
}

static void a_script_cannot_set_finalisers(void **state) {
    (void)state;
    expect(VM_SCRIPT, "setmetatable({}, {__gc = function() end})", "script_gc");
    expect(VM_SCRIPT, "setmetatable({}, {__gc = true})", "script_gc");
    expect(VM_SCRIPT, "local mt = {}; local t = setmetatable({}, mt); mt.__gc = error; t = nil; return 'fine'", "fine");
}

static void strings_have_methods_but_no_metatable_to_reach(void **state) {
    (void)state;
    expect(VM_SCRIPT, "return ('x'):rep(3)", "xxx");
    expect(VM_SCRIPT, "return getmetatable('') == false", "true");
    expect(VM_SCRIPT, "string.rep = nil; return ('x'):rep(2)", "xx");
}

static void running_out_of_memory_is_remembered_when_it_is_swallowed(void **state) {
    (void)state;
    bool hit = false;
    char *got = run_in(VM_SCRIPT, 4 * MB, "pcall(string.rep, 'x', 100000000); return 'passed'", &hit);
    assert_string_equal(got, "\"passed\"");
    assert_true(hit);
    free(got);
    got = run_in(VM_SCRIPT, 4 * MB, "local t = {}; for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", &hit);
    assert_non_null(strstr(got, "script_memory: the script used more than its memory limit of 4 MB"));
    assert_true(hit);
    free(got);
    got = run_in(VM_SCRIPT, 4 * MB, "return 'small'", &hit);
    assert_false(hit);
    free(got);
}

static void errors_are_read_raw_and_bounded(void **state) {
    (void)state;
    expect(VM_SCRIPT, "error({code = 'mine', message = 'said', fix = 'do'})", "mine: said");
    expect(VM_SCRIPT, "error(setmetatable({}, {__tostring = function() while true do end end}))",
           "a table without a message was raised");
    expect(VM_SCRIPT, "error(setmetatable({}, {__index = function() while true do end end}))",
           "a table without a message was raised");
    expect(VM_SCRIPT, "error(nil)", "a nil was raised");
    expect(VM_SCRIPT, "error(42)", "the number 42 was raised");
    expect(VM_SCRIPT, "error('\\27[31mred\\0', 0)", "script_error: \\x1b[31mred");
    expect(VM_SCRIPT, "error(('x'):rep(100000), 0)", "xxxx");
    char *got = run_in(VM_SCRIPT, 256 * MB, "local function f() return f() + 1 end return f()", NULL);
    assert_non_null(strstr(got, "stack overflow"));
    free(got);
}

/* A coroutine has a stack of its own: what it loads is called there. */
static void require_in_a_coroutine(void **state) {
    (void)state;
    static const char TEXT[] =
        "local co = coroutine.wrap(function(...) local e = require 'errors' return ..., type(e.raise) end)\n"
        "return { co(7) }";
    err e;
    vm_options o = {.profile = VM_SCRIPT, .memory_bytes = 32 * MB, .stdlib_dir = "stdlib", .print = print_to_buffer};
    vm *v = vm_new(&o, &e);
    assert_non_null(v);
    int rc = vm_load(v, "@test.lua", TEXT, sizeof TEXT - 1, false, &e);
    if (rc != 0 || vm_call(v, 0, 1, &e) != 0) {
        fail_msg("%s: %s", e.code, e.message);
    }
    json_t *j = conv_to_json(vm_lua(v), -1, NULL, &e);
    char *out = json_dumps(j, JSON_COMPACT);
    assert_string_equal(out, "[7,\"function\"]");
    free(out);
    json_decref(j);
    vm_free(v);
}

static void require_is_limited_to_names(void **state) {
    (void)state;
    expect(VM_SCRIPT, "require '../etc/passwd'", "script_module");
    expect(VM_SCRIPT, "require '/etc/passwd'", "script_module");
    expect(VM_SCRIPT, "require 'a..b'", "script_module");
    expect(VM_SCRIPT, "require 'a/b'", "script_module");
    expect(VM_SCRIPT, "require 'a\\0b'", "script_module");
    expect(VM_SCRIPT, "require(nil)", "script_module");
    expect(VM_SCRIPT, "require 'internal.runner'", "script_module: module internal.runner is the engine's own");
    expect(VM_SCRIPT, "require 'not_there'", "script_module: module not_there was not found");
}

static void an_audit_sees_no_clock_no_randomness_and_no_address(void **state) {
    (void)state;
    expect(VM_AUDIT, "return os", "undeclared global 'os'");
    expect(VM_AUDIT, "return math.random == nil and math.randomseed == nil", "true");
    expect(VM_SCRIPT, "return math.random ~= nil", "true");
    expect(VM_AUDIT, "return tostring({}) .. tostring(print) .. tostring(coroutine.create(print))",
           "\"tablefunctionthread\"");
    expect(VM_AUDIT, "return ('%s %s'):format({}, print)", "\"table function\"");
    expect(VM_AUDIT, "return string.format('%s', {})", "\"table\"");
    expect(VM_AUDIT, "return ('%p'):format({})", "audit_address");
    expect(VM_AUDIT, "return ('%-20p'):format({})", "audit_address");
    expect(VM_AUDIT, "return require 'io'", "module io does not exist for an audit");
}

static void an_audits_pairs_walks_numbers_then_strings_in_order(void **state) {
    (void)state;
    expect(
        VM_AUDIT,
        "local t, o = {z=1, [2.5]=1, a=1, [-1]=1, [1]=1, ['10']=1}, {} for k in pairs(t) do o[#o+1] = tostring(k) end "
        "return table.concat(o, ' ')",
        "\"-1 1 2.5 10 a z\"");
    expect(VM_AUDIT,
           "local t, o = {b=1, a=2}, {} local k, v = next(t) while k do o[#o+1] = k .. v k, v = next(t, k) end return "
           "table.concat(o)",
           "\"a2b1\"");
    expect(VM_AUDIT, "return next({}) == nil", "true");
    /* Integers that no float holds, and floats between them, by their exact values. */
    expect(
        VM_AUDIT,
        "local t, o = {}, {} for _, k in ipairs{2^53 + 1, (1 << 53) + 1, 1 << 53, 2^63, math.mininteger, -2^63 - 1e4, "
        "math.maxinteger, -0.5, 0, 0.5, -1e308, 1e308} do t[k] = 1 end local last "
        "for k in pairs(t) do assert(last == nil or last < k) last = k o[#o + 1] = 1 end return #o",
        "11"); /* 2^53 + 1 rounds to 2^53, which is an integer key */
    /* Many keys in no order, with common beginnings, prefixes of each other, and bytes over 127. */
    expect(VM_AUDIT,
           "local t, n, last = {}, 0 for i = 1, 5000 do t['a common beginning ' .. (i * 7919) % 5003] = 1 "
           "t[('x'):rep(i % 20)] = 1 "
           "t[string.char(i % 256, i % 7)] = 1 end for k in pairs(t) do n = n + 1 "
           "if last then local i = 1 while last:byte(i) and last:byte(i) == k:byte(i) do i = i + 1 end "
           "assert((last:byte(i) or -1) < k:byte(i)) end last = k end "
           "local m, k = 0, next(t) while k do m = m + 1 k = m < 50 and next(t, k) or nil end return n .. ' ' .. m",
           "6812 50");
    expect(VM_AUDIT, "for k in pairs({[{}] = 1}) do end", "audit_key_order");
    expect(VM_AUDIT, "for k in pairs({[true] = 1}) do end", "audit_key_order");
    expect(VM_AUDIT, "local t = {a=1, b=2, c=3} for k in pairs(t) do t[k] = nil end return next(t) == nil", "true");
}

static void print_reaches_the_engine_and_nothing_else(void **state) {
    (void)state;
    expect(VM_SCRIPT, "print('a', 1, nil, true) return 'done'", "done");
    assert_string_equal(printed, "a\t1\tnil\ttrue");
}

static void values_cross_bounded(void **state) {
    (void)state;
    expect(VM_SCRIPT, "return {1, 2, 3}", "[1,2,3]");
    expect(VM_SCRIPT, "return {a = {b = {}}}", "{\"a\":{\"b\":{}}}");
    expect(VM_SCRIPT, "local t = {} t.t = t return t", "value_cycle: a table that contains itself at t");
    expect(VM_SCRIPT, "return {a = {print}}", "value_type: a function at a[1]");
    expect(VM_SCRIPT, "return {x = 0/0}", "value_number: a number that JSON does not have (NaN or infinite) at x");
    expect(VM_SCRIPT, "return {['\\255'] = 1}", "value_utf8");
    expect(VM_SCRIPT, "return {x = '\\255'}", "value_utf8: text that is not UTF-8 at x");
    expect(VM_SCRIPT, "return {[1] = 1, [3] = 3}", "value_key");
    expect(VM_SCRIPT, "local t = {} for i = 1, 100 do t = {t} end return t", "value_depth");
    expect(VM_SCRIPT,
           "return setmetatable({}, {__index = function() error('ran') end, __pairs = function() error('ran') end})",
           "{}");
    expect(VM_SCRIPT, "return 9007199254740993", "9007199254740993");
}

static void a_syntax_error_names_file_and_line(void **state) {
    (void)state;
    expect(VM_SCRIPT, "local x =\nreturn", "script_syntax: test.lua:2:");
    expect(VM_SCRIPT, "#!/usr/bin/env gate-engine\nreturn nope", "test.lua:2: undeclared global 'nope'");
}

static void the_allocator_counts_and_refuses(void **state) {
    (void)state;
    alloc_cap cap = {.limit = 100};
    void *p = alloc_capped(&cap, NULL, 5, 60);
    assert_non_null(p);
    assert_int_equal(cap.used, 60);
    assert_null(alloc_capped(&cap, NULL, 0, 41));
    assert_true(cap.hit);
    p = alloc_capped(&cap, p, 60, 20);
    assert_int_equal(cap.used, 20);
    assert_int_equal(cap.peak, 60);
    assert_null(alloc_capped(&cap, p, 20, 0));
    assert_int_equal(cap.used, 0);
}

/* What a state that rests has in use, and at most had, after a script that keeps nothing of n times 1000 bytes. */
static void garbage_of(int n, size_t *used, size_t *peak) {
    err e;
    vm_options o = {.profile = VM_SCRIPT, .memory_bytes = 32 * MB, .rest_bytes = 4 * MB};
    vm *v = vm_new(&o, &e);
    assert_non_null(v);
    char text[96];
    snprintf(text, sizeof text, "for i = 1, %d do local s = ('x'):rep(1000) .. i end", n);
    assert_int_equal(vm_load(v, "@test.lua", text, strlen(text), false, &e), 0);
    assert_int_equal(vm_call(v, 0, 0, &e), 0);
    assert_false(vm_memory_hit(v));
    *used = vm_memory_used(v);
    *peak = vm_memory_peak(v);
    vm_free(v);
}

static void nothing_is_collected_before_there_is_enough(void **state) {
    (void)state;
    size_t used = 0;
    size_t peak = 0;
    garbage_of(1500, &used, &peak);
    assert_true(used > 3 * MB); /* the strings, and those they were made of */
    assert_int_equal(used, peak);
    garbage_of(200000, &used, &peak);
    assert_true(peak > 4 * MB);
    assert_true(peak < 12 * MB);
}

/* The state is built and a script run with ever more memory: each refusal is an error and none a crash or a leak. */
static void every_memory_limit_ends_in_an_error_or_a_result(void **state) {
    (void)state;
    size_t done = 0;
    for (size_t limit = 1000; limit < 400000 && done < 3; limit += 997) {
        err e;
        vm_options o = {.profile = VM_AUDIT, .memory_bytes = limit};
        vm *v = vm_new(&o, &e);
        if (v == NULL) {
            assert_string_equal(e.code, "script_memory");
            continue;
        }
        static const char TEXT[] = "local t = {} for i = 1, 200 do t[i] = ('%d'):format(i) end return table.concat(t)";
        bool ok = vm_load(v, "@t", TEXT, sizeof TEXT - 1, false, &e) == 0 && vm_call(v, 0, 1, &e) == 0;
        assert_true(ok || strcmp(e.code, "script_memory") == 0);
        done += ok ? 1 : 0;
        vm_free(v);
    }
    assert_int_equal(done, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_allowed_does_not_exist),
        cmocka_unit_test(undeclared_globals_are_errors),
        cmocka_unit_test(bytecode_is_refused_wherever_it_comes_from),
        cmocka_unit_test(a_script_cannot_set_finalisers),
        cmocka_unit_test(strings_have_methods_but_no_metatable_to_reach),
        cmocka_unit_test(running_out_of_memory_is_remembered_when_it_is_swallowed),
        cmocka_unit_test(errors_are_read_raw_and_bounded),
        cmocka_unit_test(require_in_a_coroutine),
        cmocka_unit_test(require_is_limited_to_names),
        cmocka_unit_test(an_audit_sees_no_clock_no_randomness_and_no_address),
        cmocka_unit_test(an_audits_pairs_walks_numbers_then_strings_in_order),
        cmocka_unit_test(print_reaches_the_engine_and_nothing_else),
        cmocka_unit_test(values_cross_bounded),
        cmocka_unit_test(a_syntax_error_names_file_and_line),
        cmocka_unit_test(the_allocator_counts_and_refuses),
        cmocka_unit_test(nothing_is_collected_before_there_is_enough),
        cmocka_unit_test(every_memory_limit_ends_in_an_error_or_a_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
