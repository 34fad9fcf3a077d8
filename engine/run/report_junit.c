/* The report as JUnit XML, as continuous-integration servers read it: the form of Apache Ant's junitreport, which the
 * stricter and the laxer readers share (no attributes on <testsuites>, <properties>, <system-out> and <system-err>
 * always there, time stamps without a zone). One testsuite a gate, one testcase an entry of its checks; what was not
 * evaluated is an error. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/xml.h"
#include "run/report_parts.h"

typedef struct tally {
    int tests, failures, errors, skipped;
} tally;

/* Attributes of type xs:token take no line breaks, tabs, or blanks at the ends or doubled. */
static void set_token(xml *x, const char *name, const char *value) {
    buf out = BUF_INIT;
    for (const char *s = value; s != NULL && *s != '\0'; s++) {
        bool blank = *s == ' ' || *s == '\n' || *s == '\t' || *s == '\r';
        if (!blank) {
            buf_putc(&out, *s);
        } else if (out.len > 0 && out.data[out.len - 1] != ' ') {
            buf_putc(&out, ' ');
        }
    }
    while (out.len > 0 && out.data[out.len - 1] == ' ') {
        out.data[--out.len] = '\0';
    }
    xml_attribute(x, name, out.len > 0 ? buf_str(&out) : "?");
    x->out->failed = x->out->failed || out.failed;
    buf_free(&out);
}

static void set_number(xml *x, const char *name, int value) {
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    xml_attribute(x, name, text);
}

static void set_time(xml *x, const json_t *object) {
    char text[64];
    snprintf(text, sizeof text, "%.3f", json_number_value(json_object_get(object, "duration_ms")) / 1000.0);
    xml_attribute(x, "time", text);
}

static void add_line(buf *out, const char *label, const char *text) {
    if (text != NULL) {
        buf_printf(out, "%s%s%s\n", label, label[0] != '\0' ? ": " : "", text);
    }
}

static void put_problem(xml *x, const char *element, const json_t *entry) {
    xml_open(x, element);
    xml_attribute(x, "message", report_saying(entry));
    xml_attribute(x, "type", report_class(entry));
    buf text = BUF_INIT;
    add_line(&text, "object", report_member(entry, "object"));
    add_line(&text, "", report_member(entry, "detail"));
    add_line(&text, "Fix", report_member(entry, "fix"));
    add_line(&text, "Reproduce", report_member(entry, "reproduce"));
    if (text.len > 0) {
        xml_text(x, buf_str(&text));
    }
    x->out->failed = x->out->failed || text.failed;
    buf_free(&text);
    xml_close(x);
}

static void open_case(xml *x, const char *class, const char *name, const char *object) {
    xml_open(x, "testcase");
    buf full = BUF_INIT;
    buf_printf(&full, object != NULL ? "%s [%s]" : "%s", name != NULL ? name : "?", object);
    set_token(x, "name", buf_str(&full));
    set_token(x, "classname", class);
    x->out->failed = x->out->failed || full.failed;
    buf_free(&full);
}

static void put_check(xml *x, const char *class, const json_t *entry) {
    entry_kind kind = report_kind(entry);
    open_case(x, class, report_member(entry, "name"), report_member(entry, "object"));
    set_time(x, entry);
    if (kind == ENTRY_FAIL) {
        put_problem(x, "failure", entry);
    } else if (kind == ENTRY_SKIP) {
        xml_open(x, "skipped");
        xml_attribute(x, "message", report_saying(entry));
        xml_close(x);
    } else if (kind == ENTRY_ERROR) {
        put_problem(x, "error", entry);
    }
    xml_close(x);
}

static tally count(const json_t *checks) {
    tally t = {0};
    size_t i;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        entry_kind kind = report_kind(entry);
        t.tests++;
        t.failures += kind == ENTRY_FAIL;
        t.skipped += kind == ENTRY_SKIP;
        t.errors += kind == ENTRY_ERROR;
    }
    return t;
}

static void put_property(xml *x, const char *name, const char *value) {
    if (value != NULL) {
        xml_open(x, "property");
        set_token(x, "name", name);
        xml_attribute(x, "value", value);
        xml_close(x);
    }
}

static void put_budget(void *ctx, const report_budget *b) {
    buf name = BUF_INIT, use = BUF_INIT;
    buf_printf(&name, "budget %s", b->name);
    buf_printf(&use, "current %s, peak %s, limit %s", b->current, b->peak, b->limit);
    xml *x = ctx;
    put_property(x, buf_str(&name), buf_str(&use));
    x->out->failed = x->out->failed || name.failed || use.failed;
    buf_free(&name);
    buf_free(&use);
}

/* What has to be escalated, and was: by the onboarding contract's table, which stdlib/escalation.lua has too. */
static void put_escalations(xml *x, const json_t *report, const json_t *gate) {
    const char *status = report_member(gate, "status");
    const char *kind = report_member(report, "kind");
    bool operation = kind != NULL && strcmp(kind, "operation") == 0;
    if (status != NULL && !operation && !json_is_true(json_object_get(gate, "run"))) {
        put_property(x, "escalation",
                     strcmp(status, "FLAKY") == 0  ? "S3 gate_flaky: Investigate. Improve test."
                     : strcmp(status, "PASS") != 0 ? "S3 gate_failed: Block go-live. Fix and retry."
                                                   : NULL);
    }
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(json_object_get(gate, "facts"), "escalations"), i, one) {
        const char *member[4];
        static const char *const NAMES[4] = {"id", "severity", "rule", "action"};
        bool whole = true;
        for (size_t k = 0; k < 4; k++) {
            member[k] = json_string_value(json_object_get(one, NAMES[k]));
            whole = whole && member[k] != NULL;
        }
        buf value = BUF_INIT;
        if (whole) {
            buf_printf(&value, "%s %s %s: %s", member[0], member[1], member[2], member[3]);
            put_property(x, "escalation", buf_str(&value));
        }
        x->out->failed = x->out->failed || value.failed;
        buf_free(&value);
    }
}

static void put_properties(xml *x, const json_t *report, const json_t *gate) {
    static const char *const TARGET[] = {"platform", "host", "database", "config", "schema_hash", NULL};
    xml_open(x, "properties");
    put_property(x, "tool", report_member(report, "tool"));
    put_property(x, "script", report_member(report, "script"));
    put_property(x, "tenant", report_member(report, "tenant"));
    for (size_t i = 0; TARGET[i] != NULL; i++) {
        put_property(x, TARGET[i], report_member(json_object_get(report, "target"), TARGET[i]));
    }
    put_property(x, "gate", json_is_true(json_object_get(gate, "run")) ? NULL : report_member(gate, "id"));
    put_property(x, "status", report_member(gate, "status"));
    bool passed = report_same(report_member(gate, "status"), "PASS");
    put_property(x, "owner", passed ? NULL : report_member(gate, "owner"));
    put_property(x, "runbook", passed ? NULL : report_member(gate, "runbook"));
    put_property(x, "approved", json_is_true(json_object_get(report, "approved")) ? "true" : "false");
    put_escalations(x, report, gate);
    report_budgets(gate, put_budget, x);
    xml_close(x);
}

static void open_suite(xml *x, int id, const json_t *report, const json_t *gate, const char *name, const tally *t) {
    char host[256] = "localhost";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
        snprintf(host, sizeof host, "localhost");
    }
    host[sizeof host - 1] = '\0';
    const char *started = report_member(report, "started");
    char stamp[20];
    snprintf(stamp, sizeof stamp, "%s", started != NULL ? started : "1970-01-01T00:00:00"); /* without its zone */
    xml_open(x, "testsuite");
    set_token(x, "name", name);
    set_token(x, "package", "gate-engine");
    set_number(x, "id", id);
    xml_attribute(x, "timestamp", stamp);
    set_token(x, "hostname", host);
    set_time(x, gate);
    set_number(x, "tests", t->tests);
    set_number(x, "failures", t->failures);
    set_number(x, "errors", t->errors);
    set_number(x, "skipped", t->skipped);
    put_properties(x, report, gate);
}

static void put_section(xml *x, int id, const json_t *report, const json_t *section) {
    const json_t *checks = json_object_get(section, "checks");
    bool run = json_is_true(json_object_get(section, "run"));
    const char *class = run ? "gate-engine" : report_member(section, "id");
    class = class != NULL ? class : "gate";
    const char *name = report_member(section, "name");
    tally t = count(checks);
    open_suite(x, id, report, section, name != NULL ? name : class, &t);
    size_t i;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        put_check(x, class, entry);
    }
    xml_open(x, "system-out");
    xml_close(x);
    xml_open(x, "system-err");
    xml_close(x);
    xml_close(x);
}

int report_junit(buf *out, const json_t *report, err *e) {
    json_t *sections = report_sections(report);
    xml x;
    xml_begin(&x, out);
    xml_open(&x, "testsuites");
    size_t i;
    json_t *section;
    json_array_foreach(sections, i, section) {
        put_section(&x, (int)i, report, section);
    }
    xml_close(&x);
    int rc = sections == NULL || out->failed ? -1 : 0;
    json_decref(sections);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the JUnit report");
}
