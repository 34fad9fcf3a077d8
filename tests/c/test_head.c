/* What a script says of itself: each rule once, with the message and the line that `gate-engine check` shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "run/head.h"
#include "run/options.h"

#define GATE "\"kind\": \"gate\", \"api\": 1, \"id\": \"g\", \"name\": \"G\", \"run\": {\"$function\": 5}"

static json_t *make_raw(const char *head, const char *source) {
    json_error_t why;
    json_t *parsed = json_loads(head, JSON_DECODE_ANY, &why);
    assert_non_null(parsed);
    json_t *raw = json_pack("{s:s, s:o, s:s}", "path", "/scripts/g.lua", "head", parsed, "source", source);
    assert_non_null(raw);
    return raw;
}

static void refuse(const char *head, const char *message) {
    json_t *raw = make_raw(head, "");
    json_t *out = NULL;
    err e;
    err_clear(&e);
    assert_int_equal(head_check(raw, &out, &e), -1);
    assert_null(out);
    assert_string_equal(e.message, message);
    assert_string_not_equal(e.code, "");
    json_decref(raw);
}

/* One row a mistake, added to a gate that is right. */
static const struct {
    const char *members, *message;
} MISTAKES[] = {
    {"\"nedds\": {}", "nedds: expected a key that is known at the top, found \"nedds\""},
    {"\"needs\": {\"db\": [\"root\"]}", "needs.db[1]: expected \"admin\", \"app\" or \"operator\", found \"root\""},
    {"\"needs\": {\"endpoints\": 1}", "needs.endpoints: expected true or false or a list, found 1"},
    {"\"recover\": true", "recover: expected a function, found true"},
    {"\"options\": {\"Max\": {\"type\": \"integer\"}}",
     "options[\"Max\"]: expected a name ([a-z][a-z0-9_]*) for a key, found \"Max\""},
    {"\"options\": {\"n\": {}}",
     "options.n.type: expected \"string\", \"integer\", \"number\", \"boolean\", \"enum\", \"path\" or \"audit\", "
     "found nothing"},
    {"\"options\": {\"n\": {\"type\": \"integer\", \"default\": \"3\"}}",
     "options.n.default: expected a whole number, found \"3\""},
    {"\"options\": {\"n\": {\"type\": \"integer\", \"default\": 3, \"min\": 4}}",
     "options.n.default: expected a whole number of at least 4, found 3"},
    {"\"options\": {\"n\": {\"type\": \"integer\", \"min\": 4, \"max\": 3}}",
     "options.n.max: expected a number that is not below min, found one that is"},
    {"\"options\": {\"n\": {\"type\": \"enum\"}}",
     "options.n.choices: expected a list of strings that is not empty, found nothing"},
    {"\"options\": {\"n\": {\"type\": \"enum\", \"choices\": [\"a\", \"b\"], \"default\": \"c\"}}",
     "options.n.default: expected a or b, found \"c\""},
    {"\"options\": {\"n\": {\"type\": \"string\", \"min\": 1}}",
     "options.n.min: expected no min for an option of type \"string\", found one"},
    {"\"options\": {\"n\": {\"type\": \"string\", \"multiple\": true, \"default\": \"a\"}}",
     "options.n.default: expected a list, each element a string, found \"a\""},
    {"\"options\": {\"n\": {\"type\": \"string\", \"required\": true, \"default\": \"a\"}}",
     "options.n.required: expected no default for an option that must be given, found one"},
    {"\"options\": {\"tenant\": {\"type\": \"string\"}}",
     "options.tenant: expected a name that is not a flag of gate-engine itself, found one that is"},
    {"\"failures\": {\"f\": {}}", "failures.f.text: expected a string that is not empty, found nothing"},
    {"\"failures\": {\"f\": {\"text\": \"100%d\"}}",
     "failures.f.text: expected no directive but %s and %%, found \"%d\""},
    {"\"failures\": {\"f\": {\"text\": \"100%\"}}",
     "failures.f.text: expected no directive but %s and %%, found \"%\""},
    {"\"failures\": {\"f\": {\"text\": \"%s%s%s%s%s%s%s%s%s\"}}",
     "failures.f.text: expected at most 8 times %s, found more"},
    {"\"purpose\": \"a\\n=== OVERALL: 4/4\"",
     "purpose: expected one line of printable text, found \"a\\x0a=== OVERALL: 4/4\""},
    {"\"pass\": \"\\u001b[2J\"", "pass: expected one line of printable text, found \"\\x1b[2J\""},
    {"\"owner\": \"\\u202e\"", "owner: expected one line of printable text, found \"\\u{202e}\""},
    {"\"runbook\": \"a\\tb\"", "runbook: expected one line of printable text, found \"a\\x09b\""},
    {"\"options\": {\"n\": {\"type\": \"string\", \"help\": \"\\r\"}}",
     "options.n.help: expected one line of printable text, found \"\\x0d\""},
    {"\"failures\": {\"f\": {\"text\": \"a\\nb\"}}",
     "failures.f.text: expected one line of printable text, found \"a\\x0ab\""},
    {"\"failures\": {\"f\": {\"text\": \"a\", \"fix\": \"b\\nc\\u0007\"}}",
     "failures.f.fix: expected printable text, found \"b\\x0ac\\x07\""},
};

static void each_mistake_in_a_head_has_its_own_message(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof MISTAKES / sizeof *MISTAKES; i++) {
        char head[512], message[512];
        snprintf(head, sizeof head, "{" GATE ", %s}", MISTAKES[i].members);
        snprintf(message, sizeof message, "/scripts/g.lua: %s", MISTAKES[i].message);
        refuse(head, message);
    }
}

/* What an audit may ask for of the weeks before its plan's. */
static void an_audit_asks_for_one_to_eight_earlier_weeks_of_a_roster(void **state) {
    (void)state;
    static const char *const NONE[][2] = {
        {"0", "0"}, {"-1", "-1"}, {"9", "9"}, {"1e9", "1000000000"}, {"\"2\"", "\"2\""}, {"{}", "an empty table"}};
    char head[256], message[256];
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
        snprintf(head, sizeof head,
                 "{\"name\": \"A\", \"pack\": \"roster\", \"needs\": {\"history\": %s}, \"audit\": {\"$function\": 2}}",
                 NONE[i][0]);
        snprintf(message, sizeof message,
                 "/scripts/g.lua: needs.history: expected a whole number from 1 to 8, found %s", NONE[i][1]);
        refuse(head, message);
    }
    refuse(
        "{\"name\": \"A\", \"pack\": \"routing\", \"needs\": {\"history\": 2}, \"audit\": {\"$function\": 2}}",
        "/scripts/g.lua: needs.history: expected no history for an audit of pack \"routing\", whose plans are of one "
        "day, found one");
    json_t *raw = make_raw("{\"name\": \"A\", \"pack\": \"roster\", \"needs\": {\"history\": 8}, \"audit\": "
                           "{\"$function\": 2}}",
                           "");
    json_t *out = NULL;
    err e;
    assert_int_equal(head_check(raw, &out, &e), 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(out, "needs"), "history")), 8);
    json_decref(out);
    json_decref(raw);
}

static void what_is_no_script_says_what_a_script_is(void **state) {
    (void)state;
#define NO_SCRIPT                                                                                                      \
    "/scripts/g.lua: expected a script that returns a gate, a suite, an operation or an audit, found one that "        \
    "returns "
    refuse("{}", NO_SCRIPT "a table with nothing in it");
    refuse("{\"kind\": \"gait\"}", NO_SCRIPT "a table with kind");
    refuse("{\"kind\": 3}", NO_SCRIPT "a table with kind");
    refuse("{\"$function\": 3}", NO_SCRIPT "a function");
    refuse("\"gate\"", NO_SCRIPT "a string");
    refuse("7", NO_SCRIPT "a plain value");
    refuse("[1]", NO_SCRIPT "a list");
    refuse(
        "null",
        "/scripts/g.lua: expected a script that returns a gate, a suite, an operation or an audit, found nothing but "
        "white space and comments");
    refuse("{\"kind\": \"gate\", \"api\": 2, \"id\": \"g\", \"name\": \"G\", \"run\": {\"$function\": 5}}",
           "/scripts/g.lua: api: expected 1, the version of the script interface, found 2");
    refuse("{\"kind\": \"suite\", \"api\": 1, \"id\": \"s\", \"name\": \"S\", \"gates\": [\"a\", \"b\", \"a\"]}",
           "/scripts/g.lua: gates[3]: expected a gate that is not in the list yet, found one twice");
    refuse("{\"kind\": \"suite\", \"api\": 1, \"id\": \"s\", \"name\": \"S\", \"gates\": {}}",
           "/scripts/g.lua: gates: expected a list of ids or paths of gates, found an empty table");
    refuse(
        "{\"kind\": \"suite\", \"api\": 1, \"id\": \"s\", \"name\": \"OVERALL: 4/4 GATES PASS\", \"gates\": [\"a\"]}",
        "/scripts/g.lua: name: expected a name that does not look like the report's last line, found one that does");
    refuse("{\"name\": \"A\", \"pack\": \"rooster\", \"audit\": {\"$function\": 2}}",
           "/scripts/g.lua: pack: expected \"roster\" or \"routing\", found \"rooster\"");
    refuse("{\"name\": \"A\", \"pack\": \"roster\", \"audit\": true}",
           "/scripts/g.lua: audit: expected a function, found true");
}

static void every_problem_is_listed_with_its_line(void **state) {
    (void)state;
    static const char SOURCE[] = "return gate.define {\n"
                                 "  api = 1, id = 'g',\n"
                                 "  name = 7,\n"
                                 "  failures = {\n"
                                 "    f = { text = '%d' },\n"
                                 "  },\n"
                                 "  options = { n = {\n"
                                 "    type = 'integer', default = 'x' } },\n"
                                 "  run = function() end,\n"
                                 "}\n";
    static const char *const want[] = {"/scripts/g.lua:3: name: expected a string that is not empty, found 7",
                                       "/scripts/g.lua:8: options.n.default: expected a whole number, found \"x\"",
                                       "/scripts/g.lua:5: failures.f.text: expected no directive but %s and %%, found "
                                       "\"%d\""};
    json_t *raw = make_raw("{\"kind\": \"gate\", \"api\": 1, \"id\": \"g\", \"name\": 7, \"run\": {\"$function\": 9}, "
                           "\"failures\": {\"f\": {\"text\": \"%d\"}}, "
                           "\"options\": {\"n\": {\"type\": \"integer\", \"default\": \"x\"}}}",
                           SOURCE);
    json_t *problems = json_array();
    err e;
    assert_int_equal(head_problems(raw, NULL, problems, &e), -1);
    assert_int_equal(json_array_size(problems), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(json_string_value(json_object_get(json_array_get(problems, i), "message")), want[i]);
    }
    json_decref(problems);
    json_decref(raw);
}

static void a_head_is_completed_with_defaults(void **state) {
    (void)state;
    json_t *raw = make_raw("{" GATE ", \"failures\": {\"f\": {\"text\": \"100%% of %s\"}}, "
                           "\"options\": {\"d\": {\"type\": \"path\"}}, \"recover\": {\"$function\": 6}}",
                           "");
    json_error_t why;
    json_t *want =
        json_loads("{\"kind\": \"gate\", \"api\": 1, \"id\": \"g\", \"name\": \"G\", \"purpose\": \"\", "
                   "\"pass\": \"All checks pass\", \"parallel\": true, \"run\": {\"$function\": 5}, "
                   "\"recover\": {\"$function\": 6}, \"has_run\": true, \"has_recover\": true, \"gates\": [], "
                   "\"needs\": {\"db\": [], \"endpoints\": [], \"stores\": [], \"commands\": [], \"solver\": false, "
                   "\"audits\": false, \"evidence\": false, \"mail\": false, \"webhooks\": false, \"auth\": []}, "
                   "\"failures\": {\"f\": {\"text\": \"100%% of %s\"}}, "
                   "\"options\": {\"d\": {\"type\": \"path\", \"access\": \"read\", \"multiple\": false, "
                   "\"required\": false, \"help\": \"\"}}}",
                   0, &why);
    json_t *head = NULL;
    err e;
    assert_int_equal(head_check(raw, &head, &e), 0);
    assert_true(json_equal(head, want));
    json_decref(head);
    json_decref(want);
    json_decref(raw);
}

static void an_audit_is_known_by_its_files_name(void **state) {
    (void)state;
    static const struct {
        const char *path, *id;
    } rows[] = {{"/a/Two-Nights.lua", "two_nights"},
                {"/a/7days.lua", "audit_7days"},
                {"/a/x", "x"},
                {"/a/.lua", "audit__lua"},
                {"/a/\xc3\xbc.lua", "audit___"},
                {"/a/abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij.lua",
                 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *raw = make_raw("{\"name\": \"A\", \"pack\": \"roster\", \"audit\": {\"$function\": 2}}", "");
        json_object_set_new(raw, "path", json_string(rows[i].path));
        json_t *head = NULL;
        err e;
        assert_int_equal(head_check(raw, &head, &e), 0);
        assert_string_equal(json_string_value(json_object_get(head, "id")), rows[i].id);
        json_decref(head);
        json_decref(raw);
    }
}

/* ---- values from flags ---- */

static void read_value(const char *spec_text, const char *text, const char *want) {
    json_error_t why;
    json_t *spec = json_loads(spec_text, 0, &why);
    err e;
    err_clear(&e);
    json_t *value = options_parse("some_name", spec, text, &e);
    if (value != NULL) {
        json_t *expected = json_loads(want, JSON_DECODE_ANY, &why);
        assert_non_null(expected);
        assert_true(json_equal(value, expected));
        json_decref(expected);
    } else {
        assert_string_equal(e.message, want);
    }
    json_decref(value);
    json_decref(spec);
}

static void texts_of_flags_become_typed_values_or_a_message(void **state) {
    (void)state;
    static const char INTEGER[] = "{\"type\": \"integer\", \"min\": 1, \"max\": 10}";
    read_value(INTEGER, "10", "10");
    read_value(INTEGER, "11", "--some-name: expected a whole number from 1 to 10, found \"11\"");
    read_value(INTEGER, "3x", "--some-name: expected a whole number from 1 to 10, found \"3x\"");
    read_value(INTEGER, "", "--some-name: expected a whole number from 1 to 10, found \"\"");
    read_value(INTEGER, " 3", "--some-name: expected a whole number from 1 to 10, found \" 3\"");
    read_value("{\"type\": \"integer\"}", "9223372036854775807", "9223372036854775807");
    read_value("{\"type\": \"integer\"}", "9223372036854775808",
               "--some-name: expected a whole number, found \"9223372036854775808\"");
    read_value("{\"type\": \"integer\"}", "-5", "-5");
    read_value("{\"type\": \"number\"}", "2.5e1", "25.0");
    read_value("{\"type\": \"number\"}", "nan", "--some-name: expected a number, found \"nan\"");
    read_value("{\"type\": \"number\"}", "0x10", "--some-name: expected a number, found \"0x10\"");
    read_value("{\"type\": \"number\"}", "1e999", "--some-name: expected a number, found \"1e999\"");
    read_value("{\"type\": \"boolean\"}", "true", "true");
    read_value("{\"type\": \"boolean\"}", "yes", "--some-name: expected true or false, found \"yes\"");
    read_value("{\"type\": \"enum\", \"choices\": [\"a\", \"b\"]}", "b", "\"b\"");
    read_value("{\"type\": \"enum\", \"choices\": [\"a\", \"b\"]}", "B", "--some-name: expected a or b, found \"B\"");
    read_value("{\"type\": \"string\"}", "", "\"\"");
    read_value("{\"type\": \"string\"}", "\xff", "--some-name: expected a string, found \"\\xff\"");
    read_value("{\"type\": \"path\"}", "", "--some-name: expected a path, found \"\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_in_a_head_has_its_own_message),
        cmocka_unit_test(an_audit_asks_for_one_to_eight_earlier_weeks_of_a_roster),
        cmocka_unit_test(what_is_no_script_says_what_a_script_is),
        cmocka_unit_test(every_problem_is_listed_with_its_line),
        cmocka_unit_test(a_head_is_completed_with_defaults),
        cmocka_unit_test(an_audit_is_known_by_its_files_name),
        cmocka_unit_test(texts_of_flags_become_typed_values_or_a_message),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
