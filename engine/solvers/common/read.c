#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "solvers/common/read.h"

int solver_bad(err *e, const char *at, const char *expected, const json_t *found) {
    static const char *const names[] = {"an object",    "a list", "a text", "an integer", "a number with a fraction",
                                        "true or false"};
    const char *kind = "nothing";
    if (found != NULL) {
        switch (json_typeof(found)) {
        case JSON_OBJECT:
            kind = names[0];
            break;
        case JSON_ARRAY:
            kind = names[1];
            break;
        case JSON_STRING:
            kind = names[2];
            break;
        case JSON_INTEGER:
            err_set(e, "input_value", "%s: expected %s, found %" JSON_INTEGER_FORMAT, at, expected,
                    json_integer_value(found));
            return err_fix(e, "Correct the request; the solver's protocol names every key");
        case JSON_REAL:
            kind = names[4];
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            kind = names[5];
            break;
        case JSON_NULL:
            kind = "null";
            break;
        }
    }
    err_set(e, "input_value", "%s: expected %s, found %s", at, expected, kind);
    return err_fix(e, "Correct the request; the solver's protocol names every key");
}

int solver_check_keys(const json_t *object, const char *at, const char *const *names, err *e) {
    if (!json_is_object(object)) {
        return solver_bad(e, at, "an object", object);
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        bool known = false;
        for (int i = 0; names[i] != NULL; i++) {
            known = known || strcmp(names[i], key) == 0;
        }
        if (!known) {
            const char *near = text_suggest(key, names);
            err_set(e, "input_value", "%s: unknown key \"%.80s\"", at, key);
            return near != NULL ? err_fix(e, "Did you mean \"%s\"?", near) : err_fix(e, "Remove the key");
        }
    }
    return 0;
}

int solver_read_int(const json_t *object, const char *where, const char *key, int64_t min, int64_t max, int64_t *out,
                    err *e) {
    const json_t *value = json_object_get(object, key);
    char at[128];
    snprintf(at, sizeof at, "%s%s%s", where, *where ? "." : "", key);
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max) {
        char expected[96];
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min, (long long)max);
        return solver_bad(e, at, expected, value);
    }
    *out = json_integer_value(value);
    return 0;
}

int solver_read_name(const json_t *object, const char *where, const char *key, bool optional, const char **out,
                     err *e) {
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    if (optional && (value == NULL || json_is_null(value))) {
        return 0;
    }
    char at[128];
    snprintf(at, sizeof at, "%s.%s", where, key);
    if (!json_is_string(value)) {
        return solver_bad(e, at, optional ? "a text or null" : "a text", value);
    }
    const char *s = json_string_value(value);
    size_t n = json_string_length(value);
    bool clean = n > 0 && n <= SOLVER_NAME_MAX;
    for (size_t i = 0; i < n && clean; i++) {
        clean = (unsigned char)s[i] >= 0x20 && s[i] != 0x7f;
    }
    if (!clean) {
        err_set(e, "input_value", "%s: expected a text of 1 to %d bytes without control characters, found %zu bytes",
                at, SOLVER_NAME_MAX, n);
        return err_fix(e, "Give it a short printable name");
    }
    *out = s;
    return 0;
}

int solver_read_document(const char *text, size_t n, json_t **out, err *e) {
    json_error_t why;
    *out = mem_json(text, n, JSON_REJECT_DUPLICATES, &why);
    if (*out == NULL) {
        if (json_error_code(&why) == json_error_out_of_memory || why.text[0] == '\0') {
            return err_set(e, "out_of_memory", "no memory to read %zu bytes of JSON", n);
        }
        err_set(e, "input_json", "standard input, line %d, column %d: %s", why.line, why.column, why.text);
        return err_fix(e, "Give one JSON document without duplicate keys on standard input");
    }
    return 0;
}
