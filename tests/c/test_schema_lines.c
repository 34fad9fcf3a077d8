/* Which line of a Lua source a key stands on, whatever else the source holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "run/keyline.h"
#include "run/schema.h"

static void expect_line(const char *source, const char *path, int line) {
    json_t *index = keyline_index(source);
    assert_non_null(index);
    int found = keyline_find(index, path);
    json_decref(index);
    if (found != line) {
        fail_msg("%s: expected line %d, found %d in\n%s", path, line, found, source);
    }
}

static const char SOURCE[] = "local gate = require 'gate'\n"
                             "local t = { id = 'not this one' }\n"
                             "--[==[ a long\n"
                             "comment ]] with { id = 1 }\n"
                             "]==]\n"
                             "return gate.define {\n"
                             "  id = \"x\", -- id = { }\n"
                             "  ['name'] = [[\n"
                             "long } string ]],\n"
                             "  needs = { db = { 'admin',\n"
                             "     'app' } };\n"
                             "  run = function(ctx)\n"
                             "    for k, v in pairs { a = 1 } do if k == v then f { b = 2 } end end\n"
                             "    repeat local x = { id = 3 } until x\n"
                             "    while true do break end\n"
                             "  end,\n"
                             "  options = {\n"
                             "    max = { default = 1 + (2),\n"
                             "            help = \"a \\\" } b\" } },\n"
                             "  [\"a.b\"] = { deep =\n"
                             "     1 },\n"
                             "}\n";

static void keys_are_found_whatever_stands_between_them(void **state) {
    (void)state;
    expect_line(SOURCE, "", 6);
    expect_line(SOURCE, "id", 7);
    expect_line(SOURCE, "name", 8);
    expect_line(SOURCE, "needs.db", 10);
    expect_line(SOURCE, "needs.db[1]", 10);
    expect_line(SOURCE, "needs.db[2]", 11);
    expect_line(SOURCE, "run", 12);
    expect_line(SOURCE, "options.max.help", 19);
    expect_line(SOURCE, "[\"a.b\"].deep", 20);
    /* What is not there: the table it would stand in. */
    expect_line(SOURCE, "needs.solver", 10);
    expect_line(SOURCE, "options.max.min", 18);
    expect_line(SOURCE, "purpose", 6);
}

static void the_table_may_be_a_local_that_is_returned(void **state) {
    (void)state;
    expect_line("local other = { a = 1 }\nlocal t = {\n a = 1,\n}\nreturn t\n", "a", 3);
    expect_line("local t = {\n a = 1,\n}\nreturn require('gate').define(t)\n", "a", 2);
    expect_line("local function f() return { a = 1 } end\nreturn {\n a = 1 }\n", "a", 3);
}

static void broken_sources_give_some_line_and_never_a_crash(void **state) {
    (void)state;
    static const char *const sources[] = {"",
                                          "return",
                                          "return {",
                                          "return { a = {",
                                          "return { [",
                                          "return { [1] = ",
                                          "return {[[",
                                          "return {\"",
                                          "return { a = '\\",
                                          "return { ['a'] ",
                                          "--[[",
                                          "return { function(",
                                          "}}}}",
                                          "return {}}}}}",
                                          "return { a = ",
                                          "return { [f(] = 1 }",
                                          "[==",
                                          "return { 'a' = 1 }",
                                          "return { a\xff = 1, ['\xff'] = {} }"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        json_t *index = keyline_index(sources[i]);
        assert_non_null(index);
        (void)keyline_find(index, "a.b[\"c");
        (void)keyline_find(index, "[");
        json_decref(index);
    }
}

static void look_everywhere(const char *source) {
    static const char *const paths[] = {"id", "needs.db[2]", "options.max.help", "[\"a.b\"].deep"};
    json_t *index = keyline_index(source);
    assert_non_null(index);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int line = keyline_find(index, paths[i]);
        assert_true(line >= 0 && line <= 30);
    }
    json_decref(index);
}

/* Every beginning of a source, and every source with one byte changed: under the sanitizers no read may go astray. */
static void a_source_may_be_cut_or_changed_anywhere(void **state) {
    (void)state;
    char text[sizeof SOURCE];
    for (size_t n = 0; n < sizeof SOURCE; n++) {
        memcpy(text, SOURCE, n);
        text[n] = '\0';
        look_everywhere(text);
    }
    static const char bytes[] = "{}[]()\"'\\-=,;\n\xff";
    for (size_t at = 0; at + 1 < sizeof SOURCE; at++) {
        for (size_t b = 0; b + 1 < sizeof bytes; b++) {
            memcpy(text, SOURCE, sizeof SOURCE);
            text[at] = bytes[b];
            look_everywhere(text);
        }
    }
}

static void nesting_without_end_is_bounded(void **state) {
    (void)state;
    static char deep[200000];
    strcpy(deep, "return ");
    memset(deep + 7, '{', sizeof deep - 8);
    json_t *index = keyline_index(deep);
    assert_non_null(index);
    json_decref(index);
}

static const schema_spec words[] = {{.key = "word", .type = SCHEMA_STRING, .bounds = SCHEMA_MIN, .min = 1},
                                    {.key = NULL}};
static const schema_spec inner[] = {
    {.key = "depth", .type = SCHEMA_INTEGER, .bounds = SCHEMA_MIN | SCHEMA_MAX, .min = 1, .max = 9}, {.key = NULL}};
static const schema_spec keys[] = {{.key = "name", .type = SCHEMA_STRING, .required = true},
                                   {.key = "words", .type = SCHEMA_LIST, .children = words},
                                   {.key = "inner", .type = SCHEMA_TABLE, .children = inner},
                                   {.key = NULL}};
static const schema_spec root = {.key = "root", .type = SCHEMA_TABLE, .children = keys};

static void every_problem_is_collected_with_its_line(void **state) {
    (void)state;
    static const char WRONG[] = "-- a comment with { braces\n"
                                "return {\n"
                                "  nmae = \"x\",\n"
                                "  inner = {\n"
                                "    depth = 10,\n"
                                "  },\n"
                                "  words = { \"a\",\n"
                                "    \"\" },\n"
                                "}\n";
    static const char *const want[] = {"f.lua:3: nmae: expected a key that is known at the top, found \"nmae\"",
                                       "f.lua:2: name: expected a string, found nothing",
                                       "f.lua:8: words[2]: expected a string that is not empty, found \"\"",
                                       "f.lua:5: inner.depth: expected a whole number from 1 to 9, found 10"};
    json_error_t why;
    json_t *v = json_loads("{\"nmae\": \"x\", \"inner\": {\"depth\": 10}, \"words\": [\"a\", \"\"]}", 0, &why);
    json_t *lines = keyline_index(WRONG);
    schema_source src = {.file = "f.lua", .lines = lines};
    json_t *problems = json_array();
    err e;
    assert_int_equal(schema_check(&root, &src, v, NULL, problems, &e), -1);
    assert_int_equal(json_array_size(problems), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *problem = json_array_get(problems, i);
        assert_string_equal(json_string_value(json_object_get(problem, "message")), want[i]);
    }
    assert_string_equal(e.message, want[0]);
    json_decref(problems);
    json_decref(lines);
    json_decref(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_whatever_stands_between_them),
        cmocka_unit_test(the_table_may_be_a_local_that_is_returned),
        cmocka_unit_test(broken_sources_give_some_line_and_never_a_crash),
        cmocka_unit_test(a_source_may_be_cut_or_changed_anywhere),
        cmocka_unit_test(nesting_without_end_is_bounded),
        cmocka_unit_test(every_problem_is_collected_with_its_line),
    };
    return cmocka_run_group_tests_name("schema lines", tests, NULL, NULL);
}
