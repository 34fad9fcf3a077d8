/* The report as people read it (design §1). Nothing is decided here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/report.h"
#include "run/report_parts.h"

enum { OBJECTS_SHOWN = 10 };

typedef struct page {
    buf *out;
    const report_opts *o;
    bool operation, audit;
} page;

bool report_colour(int fd) {
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fd) && (no == NULL || no[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

/* ECMA-48 section 8.3.117 (SGR). */
static const char *hue(const char *status) {
    return report_same(status, "PASS") || report_same(status, "DONE") || report_same(status, "OK") ? "\033[32m"
           : report_same(status, "SKIP") || report_same(status, "WOULD")                           ? "\033[2m"
           : report_same(status, "ERROR")                                                          ? "\033[33m"
                                                                                                   : "\033[31m";
}

static void put_status(page *p, const char *mark, const char *status) {
    if (p->o->colour) {
        buf_printf(p->out, "%s%s%s%s\033[0m", hue(status), mark, mark[0] != '\0' ? " " : "", status);
    } else {
        buf_printf(p->out, "%s%s%s", mark, mark[0] != '\0' ? " " : "", status);
    }
}

/* Text of several lines keeps its left margin. */
static void put_lines(page *p, const char *margin, const char *text) {
    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, "\n");
        buf_puts(p->out, margin);
        buf_append(p->out, text, n);
        buf_putc(p->out, '\n');
        text += n + (text[n] == '\n' ? 1 : 0);
    }
}

/* The end of a status line; what follows the first line of the text stands below it, so that no line begins with it. */
static void put_reason(page *p, const char *text) {
    size_t n = strcspn(text, "\n");
    buf_puts(p->out, " - ");
    buf_append(p->out, text, n);
    buf_putc(p->out, '\n');
    put_lines(p, "       ", text[n] == '\n' ? text + n + 1 : NULL);
}

/* A labelled line; what follows the first line of the text stands below it, indented. */
static void put_field(page *p, const char *margin, const char *label, const char *text) {
    if (text == NULL) {
        return;
    }
    size_t n = strcspn(text, "\n");
    buf_printf(p->out, "%s%s: ", margin, label);
    buf_append(p->out, text, n);
    buf_putc(p->out, '\n');
    if (text[n] == '\n') {
        char deeper[32];
        snprintf(deeper, sizeof deeper, "%s  ", margin);
        put_lines(p, deeper, text + n + 1);
    }
}

/* --- one gate --- */

static void put_object(page *p, const json_t *entry) {
    const char *object = report_member(entry, "object");
    const char *detail = report_member(entry, "detail");
    if (object == NULL && detail == NULL) {
        object = report_member(entry, "name");
    }
    buf both = BUF_INIT;
    buf_printf(&both, "%s%s%s", object != NULL ? object : "", object != NULL && detail != NULL ? ": " : "",
               detail != NULL ? detail : "");
    const char *text = buf_str(&both);
    size_t n = strcspn(text, "\n");
    buf_puts(p->out, "     - ");
    buf_append(p->out, text, n);
    buf_putc(p->out, '\n');
    put_lines(p, "       ", text[n] == '\n' ? text + n + 1 : NULL);
    buf_free(&both);
}

/* A rule that says no to an operation is no failed check. */
static const char *shown_status(const page *p, const char *status) {
    return p->operation && report_same(status, "FAIL") ? "REFUSED" : status;
}

static void put_block(page *p, const json_t *entries) {
    const json_t *head = json_array_get(entries, 0);
    const char *status = report_member(head, "status");
    const char *failure = report_member(head, "failure");
    buf_puts(p->out, "  ");
    put_status(p, report_same(status, "FAIL") ? "❌" : "⚠️", shown_status(p, status));
    put_reason(p, failure != NULL ? failure : "no reason was given");
    size_t members = json_array_size(entries);
    for (size_t i = 0; i < members && i < OBJECTS_SHOWN; i++) {
        put_object(p, json_array_get(entries, i));
    }
    if (members > OBJECTS_SHOWN) {
        buf_printf(p->out, "     and %zu more in the report\n", members - OBJECTS_SHOWN);
    }
    put_field(p, "     ", "Fix", report_member(head, "fix"));
}

static void put_blocks(page *p, const json_t *checks, entry_kind kind) {
    json_t *blocks = report_blocks(checks, kind);
    const char *key;
    json_t *block;
    json_object_foreach(blocks, key, block) {
        put_block(p, block);
    }
    json_decref(blocks);
}

static bool any_entry(const json_t *checks, const char *status) {
    size_t i;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        if (report_same(report_member(entry, "status"), status)) {
            return true;
        }
    }
    return false;
}

/* A verdict that no entry explains: a gate that was not evaluated, or that is flaky over its repetitions. */
static void put_verdict(page *p, const json_t *gate, const char *status) {
    const json_t *error = json_object_get(gate, "error");
    const char *why = report_member(error, "message");
    why = why != NULL ? why : report_member(gate, "summary");
    buf_puts(p->out, "  ");
    put_status(p, report_same(status, "ERROR") ? "⚠️" : "❌", status);
    put_reason(p, why != NULL ? why : "no reason was given");
    put_lines(p, "     ", report_member(error, "detail"));
    put_field(p, "     ", "Fix", report_member(error, "fix"));
}

static void put_check(page *p, const json_t *entry) {
    const char *object = report_member(entry, "object");
    const char *status = report_member(entry, "status");
    const char *failure = report_member(entry, "failure");
    const char *severity = report_member(entry, "severity");
    buf_puts(p->out, "     ");
    put_status(p, "", status != NULL ? status : "?");
    buf_printf(p->out, "%*s %s", status != NULL && strlen(status) == 4 ? 1 : 0, "", report_member(entry, "name"));
    if (object != NULL) {
        buf_printf(p->out, " [%s]", object);
    }
    buf_printf(p->out, " (%.1f ms)\n", json_number_value(json_object_get(entry, "duration_ms")));
    if (failure != NULL) {
        put_field(p, "           ", severity != NULL && !report_same(severity, "leak") ? severity : "failure", failure);
    }
    put_lines(p, "           ", report_member(entry, "detail"));
    put_field(p, "           ", "reproduce", report_member(entry, "reproduce"));
}

/* A fact that is a table: a line for each role, table and command of gate 1's access matrix. */
static void put_matrix(page *p, const json_t *rows) {
    static const char *const COMMANDS[] = {"select", "insert", "update", "delete"};
    size_t i;
    json_t *row;
    buf_puts(p->out, "     access_matrix:\n");
    json_array_foreach(rows, i, row) {
        const char *table = report_member(row, "table"), *role = report_member(row, "role");
        for (size_t c = 0; c < sizeof COMMANDS / sizeof *COMMANDS; c++) {
            const char *how = report_member(row, COMMANDS[c]);
            buf_printf(p->out, "       %s  %s  %s  %s\n", role != NULL ? role : "?", table != NULL ? table : "?",
                       COMMANDS[c], how != NULL ? how : "?");
        }
    }
}

static void put_facts(page *p, const json_t *facts) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)facts, name, value) {
        if (json_is_array(value) && report_same(name, "access_matrix")) {
            put_matrix(p, value);
            continue;
        }
        char *text =
            json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
        put_field(p, "     ", name, json_is_string(value) ? json_string_value(value) : text != NULL ? text : "?");
        free(text);
    }
}

static void put_budget(void *ctx, const report_budget *b) {
    page *p = ctx;
    buf line = BUF_INIT;
    buf_printf(&line, "%s: current %s, peak %s, limit %s", b->name, b->current, b->peak, b->limit);
    put_field(p, "     ", "budget", buf_str(&line));
    p->out->failed = p->out->failed || line.failed;
    buf_free(&line);
}

/* What --baseline lets pass, and what of it is gone. */
static void put_known(page *p, const json_t *gate) {
    size_t i, shown = 0;
    bool against = json_object_get(json_object_get(gate, "facts"), "against") != NULL;
    json_t *entry;
    json_array_foreach(json_object_get(gate, "checks"), i, entry) {
        const char *object = report_member(entry, "object");
        if (report_same(report_member(entry, "baseline"), "known") && shown++ < OBJECTS_SHOWN) {
            const char *failure = report_member(entry, "failure");
            buf_printf(p->out, "     %s: %s%s%s%s\n", against ? "unchanged" : "known", failure != NULL ? failure : "?",
                       object != NULL ? " [" : "", object != NULL ? object : "", object != NULL ? "]" : "");
        }
    }
    if (shown > OBJECTS_SHOWN) {
        buf_printf(p->out, "     and %zu more %s in the report\n", shown - OBJECTS_SHOWN,
                   against ? "unchanged" : "known");
    }
    const json_t *gone = json_object_get(json_object_get(gate, "facts"), "baseline_gone");
    json_array_foreach((json_t *)gone, i, entry) {
        if (i < OBJECTS_SHOWN && json_is_string(entry)) {
            buf_printf(p->out, "     %s: %s\n", against ? "fixed" : "gone since the baseline",
                       json_string_value(entry));
        }
    }
}

/* Plans that an audit did not judge: a pass says nothing of them. */
static void put_skipped(page *p, const json_t *checks) {
    size_t i, shown = 0;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        if (!report_same(report_member(entry, "status"), "SKIP") || shown++ >= OBJECTS_SHOWN) {
            continue;
        }
        const char *why = report_member(entry, "detail");
        buf_puts(p->out, "     ");
        put_status(p, "", "SKIP");
        buf_printf(p->out, " - %s: %s\n", report_member(entry, "name"), why != NULL ? why : "no reason was given");
    }
    if (shown > OBJECTS_SHOWN) {
        buf_printf(p->out, "     and %zu more in the report\n", shown - OBJECTS_SHOWN);
    }
}

static void put_gate(page *p, const json_t *gate, bool alone) {
    const json_t *number = json_object_get(gate, "number");
    const json_t *checks = json_object_get(gate, "checks");
    const char *status = report_member(gate, "status");
    const char *name = report_member(gate, "name");
    if (json_is_integer(number)) {
        buf_printf(p->out, "Gate %lld: %s\n", (long long)json_integer_value(number), name != NULL ? name : "?");
    } else {
        buf_printf(p->out, "Gate: %s\n", name != NULL ? name : "?");
    }
    if (report_same(status, "PASS")) {
        buf_puts(p->out, "  ");
        put_status(p, "✅", status);
        put_reason(p, report_member(gate, "summary") != NULL ? report_member(gate, "summary") : "passed");
    } else {
        if (report_same(status, "FLAKY") || (!any_entry(checks, "FAIL") && !any_entry(checks, "ERROR"))) {
            put_verdict(p, gate, status);
        }
        put_blocks(p, checks, ENTRY_FAIL);
        put_blocks(p, checks, ENTRY_ERROR);
        put_field(p, "     ", "Runbook", report_member(gate, "runbook"));
        put_field(p, "     ", "Owner", report_member(gate, "owner"));
        if (alone) {
            put_field(p, "     ", "Recover", report_member(gate, "recover"));
        }
    }
    put_known(p, gate);
    if (p->audit && !p->o->verbose) {
        put_skipped(p, checks);
    }
    if (p->o->verbose) {
        size_t i;
        json_t *entry;
        json_array_foreach(checks, i, entry) {
            put_check(p, entry);
        }
        put_facts(p, json_object_get(gate, "facts"));
        report_budgets(gate, put_budget, p);
    }
    buf_putc(p->out, '\n');
}

/* --- the whole --- */

static void put_error(page *p, const json_t *error) {
    if (!json_is_object(error)) {
        return;
    }
    buf_puts(p->out, "  ");
    put_status(p, "⚠️", "ERROR");
    put_reason(p, report_member(error, "message") != NULL ? report_member(error, "message") : "no reason was given");
    put_lines(p, "     ", report_member(error, "detail"));
    put_field(p, "     ", "Fix", report_member(error, "fix"));
    buf_putc(p->out, '\n');
}

static void put_step(page *p, const json_t *entry) {
    const char *step = report_member(entry, "step");
    bool failed = report_same(step, "failed"), would = report_same(step, "would");
    buf_puts(p->out, "  ");
    put_status(p, failed ? "❌" : would ? "➖" : "✅", failed ? "FAILED" : would ? "WOULD" : "DONE");
    put_reason(p, report_member(entry, "name"));
}

/* Steps in their order, then what stopped them. */
static void put_operation(page *p, const json_t *operation) {
    const json_t *checks = json_object_get(operation, "checks");
    const char *last = NULL;
    size_t i;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        /* What a step found are entries of its own, one after another; titles are unique. */
        if (report_member(entry, "step") != NULL && !report_same(report_member(entry, "name"), last)) {
            put_step(p, entry);
            last = report_member(entry, "name");
        }
    }
    if (!report_same(report_member(operation, "status"), "PASS")) {
        if (!any_entry(checks, "FAIL") && !any_entry(checks, "ERROR")) {
            put_verdict(p, operation, report_member(operation, "status"));
        }
        put_blocks(p, checks, ENTRY_FAIL);
        put_blocks(p, checks, ENTRY_ERROR);
        put_field(p, "     ", "Runbook", report_member(operation, "runbook"));
        put_field(p, "     ", "Owner", report_member(operation, "owner"));
    }
    if (p->o->verbose) {
        json_array_foreach(checks, i, entry) {
            put_check(p, entry);
        }
        put_facts(p, json_object_get(operation, "facts"));
    }
}

static int operation_text(page *p, const json_t *report, const char *tenant) {
    const json_t *operation = json_array_get(json_object_get(report, "gates"), 0);
    const char *status = report_member(report, "status");
    const char *summary = report_member(operation, "summary");
    const char *name = report_member(report, "name");
    buf_printf(p->out, "=== %s ===\nTenant: %s\n\n", name != NULL ? name : "Operation", tenant);
    size_t before = p->out->len;
    put_operation(p, operation);
    put_error(p, json_object_get(report, "error"));
    size_t i;
    json_t *line;
    json_array_foreach((json_t *)p->o->said, i, line) {
        put_lines(p, "  ", json_string_value(line)); /* indented: none of them can be taken for the verdict */
    }
    if (p->out->len > before && p->out->len >= 2 && strcmp(buf_str(p->out) + p->out->len - 2, "\n\n") != 0) {
        buf_putc(p->out, '\n');
    }
    buf_puts(p->out, "=== ");
    put_status(p, "", report_same(status, "PASS") ? "OK" : report_same(status, "FAIL") ? "REFUSED" : "ERROR");
    if (report_same(status, "PASS") && summary != NULL) {
        buf_printf(p->out, ": %s", summary);
    }
    buf_puts(p->out, " ===\n");
    return p->out->failed ? -1 : 0;
}

static void put_approval(page *p, const json_t *report) {
    const json_t *gates = json_object_get(report, "gates");
    const char *tenant = report_member(report, "tenant");
    tenant = tenant != NULL ? tenant : "?";
    if (json_is_true(json_object_get(report, "approved"))) {
        buf_printf(p->out, "Tenant %s is approved for pilot.\n", tenant);
        return;
    }
    if (report_same(report_member(report, "status"), "PASS")) {
        buf_printf(p->out, "Tenant %s is NOT approved: this run cannot approve%s.\n", tenant,
                   json_is_true(json_object_get(report, "partial"))
                       ? ", it left checks out"
                       : "; approval takes all four gates, unchanged, and none beside");
        return;
    }
    buf_printf(p->out, "Tenant %s is NOT approved: S3, go-live is blocked.\n", tenant);
    size_t i;
    json_t *gate;
    json_array_foreach(gates, i, gate) {
        if (!report_same(report_member(gate, "status"), "PASS") && report_member(gate, "recover") != NULL) {
            buf_printf(p->out, "Recover: %s\n", report_member(gate, "recover"));
        }
    }
}

int report_text(buf *out, const json_t *report, const report_opts *o) {
    page p = {.out = out, .o = o};
    const json_t *gates = json_object_get(report, "gates");
    const char *kind = report_member(report, "kind");
    bool suite = report_same(kind, "suite");
    const char *title = suite ? report_member(report, "name") : NULL;
    const char *tenant = report_member(report, "tenant");
    if (report_same(kind, "operation")) {
        p.operation = true;
        return operation_text(&p, report, tenant != NULL ? tenant : "none");
    }
    p.audit = report_same(kind, "audit");
    buf_printf(out, "=== %s ===\n", title != NULL ? title : "Tenant Onboarding Validation");
    buf_printf(out, "Tenant: %s\n\n", tenant != NULL ? tenant : "none");
    size_t passed = 0;
    size_t i;
    json_t *gate;
    json_array_foreach(gates, i, gate) {
        put_gate(&p, gate, !suite);
        passed += report_same(report_member(gate, "status"), "PASS") ? 1 : 0;
    }
    put_error(&p, json_object_get(report, "error"));
    buf since = BUF_INIT;
    if (report_since(&since, report)) {
        put_lines(&p, "  ", buf_str(&since)); /* indented, as all that is not the verdict */
        buf_putc(out, '\n');
    }
    out->failed = out->failed || since.failed;
    buf_free(&since);
    buf_printf(out, "=== OVERALL: %zu/%zu GATES PASS ===\n", passed, json_array_size(gates));
    if (suite) {
        put_approval(&p, report);
    }
    return out->failed ? -1 : 0;
}
