/* The report as workflow commands of GitHub Actions ("Workflow commands for GitHub Actions"): an annotation for each
 * finding, at the gate's script, and one that says how the run ended. */
#include <string.h>

#include "run/report_parts.h"

/* A message: nothing in it ends the line. A property ends at "," and ":" too. */
static void put_escaped(buf *out, const char *text, bool property) {
    for (const char *s = text;; s++) {
        size_t plain = strcspn(s, property ? "%\r\n:," : "%\r\n");
        buf_append(out, s, plain);
        s += plain;
        if (*s == '\0') {
            return;
        }
        buf_printf(out, "%%%02X", (unsigned char)*s);
    }
}

static void put_line(buf *out, const char *label, const char *text) {
    if (text != NULL) {
        buf_puts(out, "%0A");
        put_escaped(out, label, false);
        put_escaped(out, text, false);
    }
}

static void put_entry(buf *out, const json_t *section, const json_t *entry) {
    entry_kind kind = report_kind(entry);
    if (kind == ENTRY_PASS || kind == ENTRY_SKIP) {
        return;
    }
    const char *name = report_member(section, "name");
    const char *script = report_member(section, "script");
    buf_printf(out, "::%s ", kind == ENTRY_ADVISORY ? "warning" : kind == ENTRY_NOTE ? "notice" : "error");
    if (script != NULL && script[0] != '/') {
        buf_puts(out, "file=");
        put_escaped(out, script, true);
        buf_puts(out, ",");
    }
    buf_puts(out, "title=");
    put_escaped(out, name != NULL ? name : "gate-engine", true);
    buf_printf(out, "%%3A %s::", report_kind_name(kind));
    put_escaped(out, report_saying(entry), false);
    put_line(out, "", report_member(entry, "object"));
    if (report_member(entry, "detail") != report_saying(entry)) {
        put_line(out, "", report_member(entry, "detail"));
    }
    put_line(out, "Fix: ", report_member(entry, "fix"));
    put_line(out, "Reproduce: ", report_member(entry, "reproduce"));
    buf_putc(out, '\n');
}

int report_github(buf *out, const json_t *report, err *e) {
    json_t *sections = report_sections(report);
    size_t i, k;
    json_t *section, *entry;
    json_array_foreach(sections, i, section) {
        json_array_foreach(json_object_get(section, "checks"), k, entry) {
            put_entry(out, section, entry);
        }
    }
    const char *status = report_member(report, "status");
    const char *tenant = report_member(report, "tenant");
    bool passed = report_same(status, "PASS");
    buf_printf(out, "::%s title=gate-engine::%s", passed ? "notice" : "error", status != NULL ? status : "ERROR");
    if (tenant != NULL) {
        buf_puts(out, ", tenant ");
        put_escaped(out, tenant, false);
    }
    buf_printf(out, ": %s\n",
               json_is_true(json_object_get(report, "approved")) ? "approved for pilot" : "not approved");
    int rc = sections != NULL && !out->failed ? 0 : -1;
    json_decref(sections);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the annotations");
}
