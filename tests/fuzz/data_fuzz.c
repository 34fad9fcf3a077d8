/* What people write as data: configurations, heads of scripts, options. The input: a first byte that says which, then
 * JSON as the loader hands it over, or, for options, a declaration and a flag's text with a zero byte between them. */
#include <string.h>

#include "base/canon.h"
#include "base/text.h"
#include "promise.h"
#include "run/config_parts.h"
#include "run/head.h"
#include "run/options.h"

const schema_spec *config_schema(void);

static void said(const err *e) {
    PROMISE(e->code[0] != '\0' && e->message[0] != '\0' && text_is_block(e->message) && text_is_block(e->fix));
}

/* What a schema has let through it lets through again, unchanged. */
static void as_config(const json_t *value) {
    err e;
    schema_source src = {.file = "fuzz"};
    json_t *doc = NULL;
    json_t *again = NULL;
    json_t *problems = json_array();
    int rc = schema_check(config_schema(), &src, value, &doc, NULL, &e);
    int all = schema_check(config_schema(), &src, value, NULL, problems, &e);
    PROMISE(rc == all && (rc == 0) == (json_array_size(problems) == 0));
    json_decref(problems);
    if (rc != 0) {
        said(&e);
        return;
    }
    PROMISE(schema_check(config_schema(), &src, doc, &again, NULL, &e) == 0 && json_equal(doc, again));
    if (config_rules(doc, &src, &e) != 0) {
        said(&e);
    }
    json_decref(again);
    json_decref(doc);
}

static void as_head(json_t *value, const char *source) {
    err e;
    json_t *raw = json_pack("{s:s, s:O, s:s}", "path", "/fuzz/gate.lua", "head", value, "source", source);
    json_t *head = NULL;
    json_t *problems = json_array();
    if (raw == NULL) { /* the source is no UTF-8, which the loader has refused */
        json_decref(problems);
        return;
    }
    int rc = head_check(raw, &head, &e);
    if (rc != 0) {
        said(&e);
    } else {
        PROMISE(json_is_string(json_object_get(head, "kind")) && json_is_string(json_object_get(head, "id")));
        PROMISE(text_is_line(json_string_value(json_object_get(head, "name"))));
    }
    PROMISE(head_problems(raw, NULL, problems, &e) == rc);
    PROMISE((rc == 0) == (json_array_size(problems) == 0));
    json_decref(problems);
    json_decref(head);
    json_decref(raw);
}

static void as_option(const char *bytes, size_t n) {
    err e;
    const char *end = memchr(bytes, '\0', n);
    json_t *spec = end != NULL ? canon_parse(bytes, (size_t)(end - bytes), &e) : NULL;
    json_t *options = json_pack("{s:s, s:i, s:s, s:s, s:{s:i}, s:{s:o?}}", "kind", "gate", "api", 1, "id", "g", "name",
                                "g", "run", "$function", 1, "options", "o", spec);
    json_t *raw = json_pack("{s:s, s:o}", "path", "/fuzz/gate.lua", "head", options);
    json_t *head = NULL;
    if (spec != NULL && head_check(raw, &head, &e) == 0) {
        char *text = strndup(end + 1, n - (size_t)(end + 1 - bytes));
        const json_t *declared = json_object_get(json_object_get(head, "options"), "o");
        json_t *value = options_parse("o", declared, text, &e);
        if (value == NULL) {
            said(&e);
        } else if (!json_is_true(json_object_get(declared, "multiple"))) {
            buf expected = BUF_INIT;
            PROMISE(options_default_fits(declared, value, &expected) == 0);
            buf_free(&expected);
        }
        buf help = BUF_INIT;
        options_help(json_object_get(head, "options"), &help);
        buf_free(&help);
        json_decref(value);
        free(text);
    }
    json_decref(head);
    json_decref(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    err e;
    if (n < 1) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    if (data[0] % 4 == 3) {
        as_option(bytes, n - 1);
        return 0;
    }
    json_t *value = canon_parse(bytes, n - 1, &e);
    if (json_is_object(value) && data[0] % 4 == 0) {
        as_config(value);
    } else if (value != NULL) {
        char *source = strndup(bytes, n - 1);
        as_head(value, source);
        free(source);
    }
    json_decref(value);
    return 0;
}
