/* The schema engine: each kind of mistake once, with the exact message a user reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "run/schema.h"

#define END                                                                                                            \
    { .key = NULL }

static const char *const colours[] = {"red", "green", NULL};
static const schema_spec words[] = {{.key = "word", .type = SCHEMA_STRING, .bounds = SCHEMA_MIN, .min = 1}, END};
static const schema_spec counts[] = {{.key = "count", .type = SCHEMA_INTEGER}, END};
static const schema_spec inner[] = {
    {.key = "depth",
     .type = SCHEMA_INTEGER,
     .bounds = SCHEMA_MIN | SCHEMA_MAX,
     .min = 1,
     .max = 9,
     .def = "3",
     .doc = "how deep"},
    {.key = "password", .type = SCHEMA_STRING, .bounds = SCHEMA_MAX, .max = 8, .secret = SCHEMA_SECRET},
    END};
static const schema_spec forms[] = {
    {.key = "one", .type = SCHEMA_STRING}, {.key = "many", .type = SCHEMA_LIST, .children = words}, END};
static const schema_spec disk[] = {{.key = "kind", .type = SCHEMA_STRING},
                                   {.key = "path", .type = SCHEMA_STRING, .required = true, .doc = "where"},
                                   END};
static const schema_spec memory[] = {{.key = "kind", .type = SCHEMA_STRING}, END};
static const schema_spec stores[] = {{.key = "disk", .type = SCHEMA_TABLE, .children = disk},
                                     {.key = "memory", .type = SCHEMA_TABLE, .children = memory},
                                     END};
static const schema_spec keys[] = {
    {.key = "name", .type = SCHEMA_STRING, .required = true, .doc = "its name"},
    {.key = "id", .type = SCHEMA_STRING, .is = text_is_id, .what = "an id"},
    {.key = "colour", .type = SCHEMA_ENUM, .choices = colours, .def = "\"red\""},
    {.key = "ratio", .type = SCHEMA_NUMBER, .bounds = SCHEMA_MIN, .min = 0.5},
    {.key = "on", .type = SCHEMA_BOOLEAN, .def = "false"},
    {.key = "run", .type = SCHEMA_FUNCTION},
    {.key = "words", .type = SCHEMA_LIST, .children = words},
    {.key = "map", .type = SCHEMA_MAP, .key_is = text_is_id, .key_what = "an id", .children = counts},
    {.key = "inner", .type = SCHEMA_TABLE, .def = "{}", .children = inner},
    {.key = "either", .type = SCHEMA_ONE_OF, .children = forms},
    {.key = "store", .type = SCHEMA_VARIANT, .children = stores, .doc = "where it is kept"},
    END};
static const schema_spec root = {.key = "root", .type = SCHEMA_TABLE, .children = keys};

static json_t *parse(const char *text) {
    json_error_t why;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &why);
    assert_non_null(v);
    return v;
}

static void refuse(const char *text, const char *code, const char *message, const char *fix) {
    json_t *v = parse(text);
    schema_source src = {.file = "f.lua"};
    json_t *out = NULL;
    err e;
    err_clear(&e);
    assert_int_equal(schema_check(&root, &src, v, &out, NULL, &e), -1);
    assert_null(out);
    assert_string_equal(e.message, message);
    assert_string_equal(e.code, code);
    assert_string_equal(e.fix, fix);
    json_decref(v);
}

/* One row a mistake; every row also holds the name that is required. */
static const struct {
    const char *members, *code, *message, *fix;
} MISTAKES[] = {
    {"\"nmae\": 1", "schema_unknown_key", "nmae: expected a key that is known at the top, found \"nmae\"",
     "did you mean \"name\"?"},
    {"\"inner\": {\"dept\": 1}", "schema_unknown_key", "inner.dept: expected a key that is known here, found \"dept\"",
     "did you mean \"depth\"?"},
    {"\"inner\": {\"depth\": 10}", "schema_range", "inner.depth: expected a whole number from 1 to 9, found 10",
     "how deep"},
    {"\"inner\": {\"depth\": 1.5}", "schema_type", "inner.depth: expected a whole number from 1 to 9, found 1.5",
     "how deep"},
    {"\"ratio\": 0.25", "schema_range", "ratio: expected a number of at least 0.5, found 0.25", ""},
    {"\"colour\": \"gren\"", "schema_choice", "colour: expected \"red\" or \"green\", found \"gren\"",
     "did you mean \"green\"?"},
    {"\"colour\": \"mauve\"", "schema_choice", "colour: expected \"red\" or \"green\", found \"mauve\"",
     "choose one of red, green"},
    {"\"colour\": \"\\u001b[31m\"", "schema_choice", "colour: expected \"red\" or \"green\", found \"\\x1b[31m\"",
     "choose one of red, green"},
    {"\"on\": \"yes\"", "schema_type", "on: expected true or false, found \"yes\"", ""},
    {"\"run\": {}", "schema_type", "run: expected a function, found an empty table", ""},
    {"\"inner\": {\"$function\": 7}", "schema_type", "inner: expected a table, found a function", ""},
    {"\"id\": \"No\"", "schema_pattern", "id: expected an id, found \"No\"", ""},
    {"\"words\": [\"a\", \"\"]", "schema_range", "words[2]: expected a string that is not empty, found \"\"", ""},
    {"\"words\": {\"a\": 1}", "schema_type", "words: expected a list, found a table", ""},
    {"\"map\": {\"A b\": 1}", "schema_pattern", "map[\"A b\"]: expected an id for a key, found \"A b\"",
     "write it as a_b"},
    {"\"map\": {\"a\": \"1\"}", "schema_type", "map.a: expected a whole number, found \"1\"", ""},
    {"\"either\": 1", "schema_type", "either: expected a string or a list, found 1", ""},
    {"\"either\": [1]", "schema_type", "either[1]: expected a string that is not empty, found 1", ""},
    {"\"store\": {}", "schema_required", "store.kind: expected \"disk\" or \"memory\", found nothing",
     "where it is kept"},
    {"\"store\": {\"kind\": \"dsk\"}", "schema_choice", "store.kind: expected \"disk\" or \"memory\", found \"dsk\"",
     "did you mean \"disk\"?"},
    {"\"store\": {\"kind\": \"disk\"}", "schema_required", "store.path: expected a string, found nothing",
     "write path = \"…\": where"},
    {"\"store\": {\"kind\": \"memory\", \"path\": \"/\"}", "schema_unknown_key",
     "store.path: expected a key that is known here, found \"path\"", "known keys are kind"},
    /* a secret is never shown */
    {"\"inner\": {\"password\": \"far too long a word\"}", "schema_range",
     "inner.password: expected a string of at most 8 bytes, found a string (not shown, it is a secret)", ""},
    {"\"inner\": {\"password\": 123456}", "schema_type",
     "inner.password: expected a string of at most 8 bytes, found a number (not shown, it is a secret)", ""},
};

static void each_kind_of_mistake_has_its_own_message(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof MISTAKES / sizeof *MISTAKES; i++) {
        char text[256], message[512];
        snprintf(text, sizeof text, "{\"name\": \"x\", %s}", MISTAKES[i].members);
        snprintf(message, sizeof message, "f.lua: %s", MISTAKES[i].message);
        refuse(text, MISTAKES[i].code, message, MISTAKES[i].fix);
    }
    refuse("{}", "schema_required", "f.lua: name: expected a string, found nothing", "write name = \"…\": its name");
    refuse("{\"name\": 3}", "schema_type", "f.lua: name: expected a string, found 3", "write name = \"…\": its name");
    refuse("[1]", "schema_type", "f.lua: expected a table, found a list", "");
}

static void a_string_with_a_nul_in_it_is_refused(void **state) {
    (void)state;
    json_t *nul = json_object();
    json_object_set_new(nul, "name", json_stringn("a\0b", 3));
    schema_source src = {.file = "f.lua"};
    err e;
    assert_int_equal(schema_check(&root, &src, nul, NULL, NULL, &e), -1);
    assert_string_equal(e.code, "schema_pattern");
    json_decref(nul);
}

static void accept(const char *text, const char *expected) {
    json_t *v = parse(text);
    json_t *want = parse(expected);
    schema_source src = {.file = "f.lua"};
    json_t *out = NULL;
    err e;
    assert_int_equal(schema_check(&root, &src, v, &out, NULL, &e), 0);
    assert_true(json_equal(out, want));
    json_decref(out);
    json_decref(want);
    json_decref(v);
}

static void defaults_fill_what_is_left_out(void **state) {
    (void)state;
    accept("{\"name\": \"x\"}", "{\"name\": \"x\", \"colour\": \"red\", \"on\": false, \"inner\": {\"depth\": 3}}");
    /* {} for a list is Lua's empty table, and 4.0 is a whole number: both are put straight. */
    accept("{\"name\": \"x\", \"ratio\": 1, \"words\": {}, \"inner\": {\"depth\": 4.0}}",
           "{\"name\": \"x\", \"colour\": \"red\", \"ratio\": 1, \"on\": false, \"words\": [], "
           "\"inner\": {\"depth\": 4}}");
}

static int secrets_found;

static void on_secret(const schema_spec *spec, const char *value) {
    assert_string_equal(spec->key, "password");
    assert_string_equal(value, "hush");
    secrets_found++;
}

static void secrets_are_found_even_in_a_document_that_is_wrong(void **state) {
    (void)state;
    json_t *v = parse("{\"nmae\": 1, \"inner\": {\"depth\": \"x\", \"password\": \"hush\"}}");
    secrets_found = 0;
    schema_secrets(&root, v, on_secret);
    assert_int_equal(secrets_found, 1);
    json_decref(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_mistake_has_its_own_message),
        cmocka_unit_test(a_string_with_a_nul_in_it_is_refused),
        cmocka_unit_test(defaults_fill_what_is_left_out),
        cmocka_unit_test(secrets_are_found_even_in_a_document_that_is_wrong),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
