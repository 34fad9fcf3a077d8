/* The report as JUnit XML, as continuous-integration servers read it: the form of Apache Ant's junitreport, which the
 * stricter and the laxer readers share (no attributes on <testsuites>, <properties>, <system-out> and <system-err>
 * always there, time stamps without a zone). One testsuite a gate, one testcase an entry of its checks; what was not
 * evaluated is an error. */
#include <mxml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
static void set_token(mxml_node_t *node, const char *name, const char *value) {
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
    mxmlElementSetAttr(node, name, out.len > 0 ? buf_str(&out) : "?");
    buf_free(&out);
}

static void set_time(mxml_node_t *node, const json_t *object) {
    mxmlElementSetAttrf(node, "time", "%.3f", json_number_value(json_object_get(object, "duration_ms")) / 1000.0);
}

static void add_line(buf *out, const char *label, const char *text) {
    if (text != NULL) {
        buf_printf(out, "%s%s%s\n", label, label[0] != '\0' ? ": " : "", text);
    }
}

static void put_problem(mxml_node_t *testcase, const char *element, const json_t *entry, const char *message) {
    mxml_node_t *node = mxmlNewElement(testcase, element);
    mxmlElementSetAttr(node, "message", message != NULL ? message : "no reason was given");
    const char *class = member(entry, "class");
    mxmlElementSetAttr(node, "type",
                       class != NULL                   ? class
                       : member(entry, "code") != NULL ? member(entry, "code")
                                                       : "error");
    buf text = BUF_INIT;
    add_line(&text, "object", member(entry, "object"));
    add_line(&text, "", member(entry, "detail"));
    add_line(&text, "Fix", member(entry, "fix"));
    add_line(&text, "Reproduce", member(entry, "reproduce"));
    if (text.len > 0) {
        mxmlNewOpaque(node, buf_str(&text));
    }
    buf_free(&text);
}

static mxml_node_t *put_case(mxml_node_t *suite, const char *class, const char *name, const char *object) {
    mxml_node_t *node = mxmlNewElement(suite, "testcase");
    buf full = BUF_INIT;
    buf_printf(&full, object != NULL ? "%s [%s]" : "%s", name != NULL ? name : "?", object);
    set_token(node, "name", buf_str(&full));
    set_token(node, "classname", class);
    buf_free(&full);
    return node;
}

static void put_check(mxml_node_t *suite, tally *t, const char *class, const json_t *entry) {
    mxml_node_t *node = put_case(suite, class, member(entry, "name"), member(entry, "object"));
    const char *status = member(entry, "status");
    set_time(node, entry);
    t->tests++;
    if (is(status, "FAIL")) {
        t->failures++;
        put_problem(node, "failure", entry, member(entry, "failure"));
    } else if (is(status, "SKIP") || is(member(entry, "step"), "would")) {
        const char *reason = is(status, "SKIP") ? member(entry, "detail") : "a dry run: it would be done";
        t->skipped++;
        mxml_node_t *skipped = mxmlNewElement(node, "skipped");
        mxmlElementSetAttr(skipped, "message", reason != NULL ? reason : "no reason was given");
    } else if (!is(status, "PASS")) {
        t->errors++;
        put_problem(node, "error", entry, member(entry, "failure"));
    }
}

static void put_property(mxml_node_t *properties, const char *name, const char *value) {
    if (value != NULL) {
        mxml_node_t *node = mxmlNewElement(properties, "property");
        set_token(node, "name", name);
        mxmlElementSetAttr(node, "value", value);
    }
}

static void put_properties(mxml_node_t *suite, const json_t *report, const json_t *gate) {
    static const char *const TARGET[] = {"platform", "host", "database", "config", "schema_hash", NULL};
    mxml_node_t *properties = mxmlNewElement(suite, "properties");
    put_property(properties, "tool", member(report, "tool"));
    put_property(properties, "script", member(report, "script"));
    put_property(properties, "tenant", member(report, "tenant"));
    for (size_t i = 0; TARGET[i] != NULL; i++) {
        put_property(properties, TARGET[i], member(json_object_get(report, "target"), TARGET[i]));
    }
    put_property(properties, "gate", member(gate, "id"));
    put_property(properties, "status", member(gate != NULL ? gate : report, "status"));
    put_property(properties, "approved", json_is_true(json_object_get(report, "approved")) ? "true" : "false");
}

static mxml_node_t *put_suite(mxml_node_t *suites, int id, const json_t *report, const json_t *gate, const char *name) {
    char host[256] = "localhost";
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') {
        snprintf(host, sizeof host, "localhost");
    }
    host[sizeof host - 1] = '\0';
    mxml_node_t *suite = mxmlNewElement(suites, "testsuite");
    const char *started = member(report, "started");
    set_token(suite, "name", name);
    set_token(suite, "package", "gate-engine");
    mxmlElementSetAttrf(suite, "id", "%d", id);
    mxmlElementSetAttrf(suite, "timestamp", "%.19s", started != NULL ? started : "1970-01-01T00:00:00");
    set_token(suite, "hostname", host);
    set_time(suite, gate != NULL ? gate : report);
    put_properties(suite, report, gate);
    return suite;
}

static void close_suite(mxml_node_t *suite, const tally *t) {
    mxmlElementSetAttrf(suite, "tests", "%d", t->tests);
    mxmlElementSetAttrf(suite, "failures", "%d", t->failures);
    mxmlElementSetAttrf(suite, "errors", "%d", t->errors);
    mxmlElementSetAttrf(suite, "skipped", "%d", t->skipped);
    mxmlNewElement(suite, "system-out");
    mxmlNewElement(suite, "system-err");
}

static void put_gate(mxml_node_t *suites, int id, const json_t *report, const json_t *gate) {
    tally t = {0};
    const char *class = member(gate, "id");
    class = class != NULL ? class : "gate";
    mxml_node_t *suite =
        put_suite(suites, id, report, gate, member(gate, "name") != NULL ? member(gate, "name") : class);
    const json_t *checks = json_object_get(gate, "checks");
    size_t i;
    json_t *entry;
    json_array_foreach(checks, i, entry) {
        put_check(suite, &t, class, entry);
    }
    /* A gate that is no PASS must not look like one because no entry of its says so. */
    const char *status = member(gate, "status");
    if (!is(status, "PASS") && t.failures == 0 && t.errors == 0) {
        const json_t *error = json_object_get(gate, "error");
        mxml_node_t *node = put_case(suite, class, "gate", NULL);
        bool failed = is(status, "FLAKY") || is(status, "FAIL");
        set_time(node, gate);
        t.tests++;
        t.failures += failed ? 1 : 0;
        t.errors += failed ? 0 : 1;
        const char *message = member(error, "message");
        put_problem(node, failed ? "failure" : "error", error, message != NULL ? message : member(gate, "summary"));
    }
    close_suite(suite, &t);
}

static void put_run_error(mxml_node_t *suites, int id, const json_t *report) {
    tally t = {.tests = 1, .errors = 1};
    const json_t *error = json_object_get(report, "error");
    const char *script = member(report, "script");
    mxml_node_t *suite = put_suite(suites, id, report, NULL, script != NULL ? script : "gate-engine");
    mxml_node_t *node = put_case(suite, "gate-engine", "run", NULL);
    mxmlElementSetAttr(node, "time", "0.000");
    const char *message = member(error, "message");
    put_problem(node, "error", error, message != NULL ? message : "nothing was evaluated");
    close_suite(suite, &t);
}

/* Mini-XML asks here what white space goes around a tag. Never around text that must stay as it is. */
static const char *white(mxml_node_t *node, int where) {
    const char *name = mxmlGetElement(node);
    bool texts = is(name, "failure") || is(name, "error");
    if (where == MXML_WS_BEFORE_OPEN) {
        return name != NULL && strncmp(name, "?xml", 4) == 0 ? NULL : "\n";
    }
    return where == MXML_WS_BEFORE_CLOSE && !texts && mxmlGetFirstChild(node) != NULL ? "\n" : NULL;
}

/* XML 1.0 section 2.2 has no way to write these, not even escaped. Reports are clean of them already; a document that
 * no reader accepts would hide a failure, so this is looked at once more. */
static void neutralise(char *s) {
    for (unsigned char *c = (unsigned char *)s; *c != '\0'; c++) {
        if (*c < 0x20 && *c != '\n' && *c != '\t' && *c != '\r') {
            *c = '?';
        } else if (c[0] == 0xEF && c[1] == 0xBF && (c[2] == 0xBE || c[2] == 0xBF)) {
            memcpy(c, "???", 3);
        }
    }
}

int report_junit(buf *out, const json_t *report, err *e) {
    mxml_node_t *xml = mxmlNewXML("1.0");
    mxml_node_t *suites = xml != NULL ? mxmlNewElement(xml, "testsuites") : NULL;
    if (suites == NULL) {
        mxmlDelete(xml);
        return err_set(e, "out_of_memory", "out of memory while writing the JUnit report");
    }
    const json_t *gates = json_object_get(report, "gates");
    size_t i;
    json_t *gate;
    json_array_foreach(gates, i, gate) {
        put_gate(suites, (int)i, report, gate);
    }
    if (json_array_size(gates) == 0 || json_is_object(json_object_get(report, "error"))) {
        put_run_error(suites, (int)json_array_size(gates), report);
    }
    mxmlSetWrapMargin(0);
    char *text = mxmlSaveAllocString(xml, white);
    mxmlDelete(xml);
    if (text == NULL) {
        return err_set(e, "out_of_memory", "out of memory while writing the JUnit report");
    }
    neutralise(text);
    size_t n = strlen(text);
    int rc = buf_append(out, text, n) + (n > 0 && text[n - 1] != '\n' ? buf_putc(out, '\n') : 0);
    free(text);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the JUnit report");
}
