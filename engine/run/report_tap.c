/* The report as TAP 14 (testanything.org, "TAP 14 specification"): a subtest for each gate, a test for each entry of
 * its checks, with what is known of it as YAML. Readers of older versions skip what is indented and see the gates. */
#include <string.h>

#include "run/report_parts.h"

/* A description: one line in which neither "#" nor "\" means anything. */
static void put_words(buf *out, const char *text) {
    for (const char *s = text;; s++) {
        size_t plain = strcspn(s, "#\\\n\t");
        buf_append(out, s, plain);
        s += plain;
        if (*s == '\0') {
            return;
        }
        if (*s == '#' || *s == '\\') {
            buf_putc(out, '\\');
        }
        buf_putc(out, *s == '\n' || *s == '\t' ? ' ' : *s);
    }
}

/* A member of the diagnostics; a string of JSON is one of YAML 1.2. */
static void put_fact(buf *out, const char *name, const char *value) {
    if (value == NULL) {
        return;
    }
    buf_printf(out, "      %s: ", name);
    report_put_string(out, value, strlen(value), true);
    buf_putc(out, '\n');
}

static void put_entry(buf *out, size_t number, const json_t *entry) {
    entry_kind kind = report_kind(entry);
    bool bad = kind == ENTRY_FAIL || kind == ENTRY_ERROR;
    const char *name = report_member(entry, "name");
    const char *object = report_member(entry, "object");
    buf_printf(out, "    %s %zu - ", bad ? "not ok" : "ok", number);
    put_words(out, name != NULL ? name : "?");
    if (object != NULL) {
        buf_puts(out, " [");
        put_words(out, object);
        buf_puts(out, "]");
    }
    if (kind == ENTRY_SKIP) {
        buf_puts(out, " # SKIP ");
        put_words(out, report_saying(entry));
    }
    buf_putc(out, '\n');
    if (bad || kind == ENTRY_ADVISORY || kind == ENTRY_NOTE) {
        buf_puts(out, "      ---\n");
        put_fact(out, "message", report_saying(entry));
        put_fact(out, "severity", kind == ENTRY_ERROR ? "error" : kind == ENTRY_FAIL ? "fail" : report_kind_name(kind));
        put_fact(out, "class", report_member(entry, "class"));
        put_fact(out, "detail", report_member(entry, "detail"));
        put_fact(out, "fix", report_member(entry, "fix"));
        put_fact(out, "reproduce", report_member(entry, "reproduce"));
        buf_puts(out, "      ...\n");
    }
}

static void put_budget(void *ctx, const report_budget *b) {
    buf *out = ctx;
    buf_puts(out, "    # budget ");
    put_words(out, b->name);
    buf_printf(out, ": current %s, peak %s, limit %s\n", b->current, b->peak, b->limit);
}

static void put_section(buf *out, size_t number, const json_t *section) {
    const json_t *checks = json_object_get(section, "checks");
    const char *name = report_member(section, "name");
    const char *summary = report_member(section, "summary");
    buf_puts(out, "# Subtest: ");
    put_words(out, name != NULL ? name : "?");
    buf_putc(out, '\n');
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)checks, i, entry) {
        put_entry(out, i + 1, entry);
    }
    buf_printf(out, "    1..%zu\n", json_array_size(checks));
    report_budgets(section, put_budget, out);
    bool passed =
        report_same(report_member(section, "status"), "PASS") && !json_is_true(json_object_get(section, "run"));
    buf_printf(out, "%s %zu - ", passed ? "ok" : "not ok", number);
    put_words(out, name != NULL ? name : "?");
    if (summary != NULL) {
        buf_puts(out, ": ");
        put_words(out, summary);
    }
    buf_putc(out, '\n');
}

int report_tap(buf *out, const json_t *report, err *e) {
    json_t *sections = report_sections(report);
    size_t i;
    json_t *section;
    buf_puts(out, "TAP version 14\n");
    buf_printf(out, "1..%zu\n", json_array_size(sections));
    json_array_foreach(sections, i, section) {
        put_section(out, i + 1, section);
    }
    int rc = sections != NULL && !out->failed ? 0 : -1;
    json_decref(sections);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the TAP report");
}
