/* report_since.c: what is not as it was when the same was run last and passed, in words. */
#include <string.h>

#include "run/report_parts.h"

/* A value in a few characters: hashes by their beginning, tables not at all. */
static void put_value(buf *out, const json_t *value) {
    const char *s = json_string_value(value);
    size_t n = s != NULL ? strlen(s) : 0;
    if (n == 0) {
        buf_puts(out, json_is_null(value) || value == NULL ? "none" : "…");
    } else {
        buf_printf(out, "%.*s%s", n >= 40 ? 12 : (int)n, s, n >= 40 ? "…" : "");
    }
}

bool report_since(buf *out, const json_t *report) {
    const json_t *since = json_object_get(report, "since_pass"), *changed = json_object_get(since, "changed");
    const char *at = report_member(since, "at");
    if (!json_is_array(changed) || at == NULL) {
        return false;
    }
    long long seq = json_integer_value(json_object_get(since, "seq"));
    if (json_array_size(changed) == 0) {
        buf_printf(out,
                   "Since the last pass (record %lld, %s) nothing that is on record changed: "
                   "look at data, services and time.\n",
                   seq, at);
        return true;
    }
    buf_printf(out, "Changed since the last pass (record %lld, %s):\n", seq, at);
    size_t i;
    json_t *change;
    json_array_foreach((json_t *)changed, i, change) {
        const json_t *before = json_object_get(change, "before"), *now = json_object_get(change, "now");
        buf_printf(out, "- %s", report_member(change, "what"));
        if (json_is_string(before) || json_is_string(now)) {
            buf_puts(out, ": ");
            put_value(out, before);
            buf_puts(out, " → ");
            put_value(out, now);
        }
        buf_putc(out, '\n');
    }
    return true;
}
