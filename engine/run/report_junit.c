/* The report as JUnit XML, as continuous-integration servers read it: the form of Apache Ant's junitreport, which the
 * stricter and the laxer readers share (no attributes on <testsuites>, <properties>, <system-out> and <system-err>
 * always there, time stamps without a zone). One testsuite a gate, one testcase an entry of its checks; what was not
 * evaluated is an error. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/xml.h"
#include "run/report.h"

typedef struct tally {
    int tests, failures, errors, skipped;
} tally;

static const char *member(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL && s[0] != '\0' ? s : NULL;
}

static bool is(const char *a, const char *b) {
    return a != NULL && strcmp(a, b) == 0;
}

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

static void put_problem(xml *x, const char *element, const json_t *entry, const char *message) {
    xml_open(x, element);
    xml_attribute(x, "message", message != NULL ? message : "no reason was given");
    const char *class = member(entry, "class");
    xml_attribute(x, "type", class != NULL ? class : member(entry, "code") != NULL ? member(entry, "code") : "error");
    buf text = BUF_INIT;
    add_line(&text, "object", member(entry, "object"));
    add_line(&text, "", member(entry, "detail"));
    add_line(&text, "Fix", member(entry, "fix"));
    add_line(&text, "Reproduce", member(entry, "reproduce"));
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
    const char *status = member(entry, "status");
    open_case(x, class, member(entry, "name"), member(entry, "object"));
    set_time(x, entry);
    if (is(status, "FAIL")) {
        put_problem(x, "failure", entry, member(entry, "failure"));
    } else if (is(status, "SKIP") || is(member(entry, "step"), "would")) {
        const char *reason = is(status, "SKIP") ? member(entry, "detail") : "a dry run: it would be done";
        xml_open(x, "skipped");
        xml_attribute(x, "message", reason != NULL ? reason : "no reason was given");
        xml_close(x);
    } else if (!is(status, "PASS")) {
        put_problem(x, "error", entry, member(entry, "failure"));
    }
    xml_close(x);
}

static tally count(const json_t *checks) {
    tally t = {0};
    size_t i;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        const char *status = member(entry, "status");
        t.tests++;
        t.failures += is(status, "FAIL");
        t.skipped += is(status, "SKIP") || is(member(entry, "step"), "would");
        t.errors += !is(status, "FAIL") && !is(status, "SKIP") && !is(status, "PASS");
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

static void put_properties(xml *x, const json_t *report, const json_t *gate) {
    static const char *const TARGET[] = {"platform", "host", "database", "config", "schema_hash", NULL};
    xml_open(x, "properties");
    put_property(x, "tool", member(report, "tool"));
    put_property(x, "script", member(report, "script"));
    put_property(x, "tenant", member(report, "tenant"));
    for (size_t i = 0; TARGET[i] != NULL; i++) {
        put_property(x, TARGET[i], member(json_object_get(report, "target"), TARGET[i]));
    }
    put_property(x, "gate", member(gate, "id"));
    put_property(x, "status", member(gate != NULL ? gate : report, "status"));
    put_property(x, "approved", json_is_true(json_object_get(report, "approved")) ? "true" : "false");
    xml_close(x);
}

static void open_suite(xml *x, int id, const json_t *report, const json_t *gate, const char *name, const tally *t) {
    char host[256] = "localhost";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
        snprintf(host, sizeof host, "localhost");
    }
    host[sizeof host - 1] = '\0';
    const char *started = member(report, "started");
    char stamp[20];
    snprintf(stamp, sizeof stamp, "%s", started != NULL ? started : "1970-01-01T00:00:00"); /* without its zone */
    xml_open(x, "testsuite");
    set_token(x, "name", name);
    set_token(x, "package", "gate-engine");
    set_number(x, "id", id);
    xml_attribute(x, "timestamp", stamp);
    set_token(x, "hostname", host);
    set_time(x, gate != NULL ? gate : report);
    set_number(x, "tests", t->tests);
    set_number(x, "failures", t->failures);
    set_number(x, "errors", t->errors);
    set_number(x, "skipped", t->skipped);
    put_properties(x, report, gate);
}

static void close_suite(xml *x) {
    xml_open(x, "system-out");
    xml_close(x);
    xml_open(x, "system-err");
    xml_close(x);
    xml_close(x);
}

static void put_gate(xml *x, int id, const json_t *report, const json_t *gate) {
    const json_t *checks = json_object_get(gate, "checks");
    const char *class = member(gate, "id");
    class = class != NULL ? class : "gate";
    tally t = count(checks);
    /* A gate that is no PASS must not look like one because no entry of its says so. */
    const char *status = member(gate, "status");
    bool unsaid = !is(status, "PASS") && t.failures == 0 && t.errors == 0;
    bool failed = is(status, "FLAKY") || is(status, "FAIL");
    t.tests += unsaid;
    t.failures += unsaid && failed;
    t.errors += unsaid && !failed;
    open_suite(x, id, report, gate, member(gate, "name") != NULL ? member(gate, "name") : class, &t);
    size_t i;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        put_check(x, class, entry);
    }
    if (unsaid) {
        const json_t *error = json_object_get(gate, "error");
        const char *message = member(error, "message");
        open_case(x, class, "gate", NULL);
        set_time(x, gate);
        put_problem(x, failed ? "failure" : "error", error, message != NULL ? message : member(gate, "summary"));
        xml_close(x);
    }
    close_suite(x);
}

static void put_run_error(xml *x, int id, const json_t *report) {
    const tally t = {.tests = 1, .errors = 1};
    const json_t *error = json_object_get(report, "error");
    const char *script = member(report, "script");
    const char *message = member(error, "message");
    open_suite(x, id, report, NULL, script != NULL ? script : "gate-engine", &t);
    open_case(x, "gate-engine", "run", NULL);
    xml_attribute(x, "time", "0.000");
    put_problem(x, "error", error, message != NULL ? message : "nothing was evaluated");
    xml_close(x);
    close_suite(x);
}

int report_junit(buf *out, const json_t *report, err *e) {
    xml x;
    xml_begin(&x, out);
    xml_open(&x, "testsuites");
    const json_t *gates = json_object_get(report, "gates");
    size_t i;
    json_t *gate;
    json_array_foreach(gates, i, gate) {
        put_gate(&x, (int)i, report, gate);
    }
    if (json_array_size(gates) == 0 || json_is_object(json_object_get(report, "error"))) {
        put_run_error(&x, (int)json_array_size(gates), report);
    }
    xml_close(&x);
    return out->failed ? err_set(e, "out_of_memory", "out of memory while writing the JUnit report") : 0;
}
