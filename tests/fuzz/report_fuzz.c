/* From what a worker says to what people and machines read: whatever its texts are, the text report has no line and no
 * terminal any escape sequence of it, the JUnit file is XML with one case an entry, and the JSON comes back.
 * The input: the texts of a gate, with zero bytes between them. */
#include <mxml.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "promise.h"
#include "run/book.h"
#include "run/report.h"

static const char HEAD[] =
    "{\"id\":\"g\",\"name\":\"G\",\"kind\":\"gate\",\"failures\":{\"odd\":{\"text\":\"%s is odd\"}}}";

typedef struct texts {
    const char *at;
    size_t n;
} texts;

static json_t *next(texts *t) {
    const char *end = memchr(t->at, '\0', t->n);
    size_t len = end != NULL ? (size_t)(end - t->at) : t->n;
    json_t *text = json_stringn(t->at, len);
    t->at += end != NULL ? len + 1 : len;
    t->n -= end != NULL ? len + 1 : len;
    return text != NULL ? text : json_string("no UTF-8");
}

static void event(book *b, json_t *e) {
    err why;
    PROMISE(e != NULL);
    (void)book_event(b, e, &why);
    json_decref(e);
}

static json_t *gate_of(const json_t *head, texts *t) {
    book_options o = {.head = head};
    book *b = book_new(&o);
    PROMISE(b != NULL);
    json_t *name = next(t);
    event(b, json_pack("{s:s, s:O}", "t", "check", "name", name));
    event(b, json_pack("{s:s, s:O, s:s, s:o, s:o, s:o, s:o, s:[o]}", "t", "finding", "check", name, "class", "odd",
                       "object", next(t), "detail", next(t), "fix", next(t), "reproduce", next(t), "args", next(t)));
    event(b, json_pack("{s:s, s:O, s:{s:o, s:o, s:o, s:o, s:o}}", "t", "check_error", "check", name, "error", "code",
                       next(t), "message", next(t), "detail", next(t), "fix", next(t), "where", next(t)));
    event(b, json_pack("{s:s, s:O}", "t", "check_end", "check", name));
    event(b, json_pack("{s:s, s:o, s:[o, {s:o}]}", "t", "fact", "name", next(t), "value", next(t), "k", next(t)));
    event(b, json_pack("{s:s, s:o}", "t", "summary", "text", next(t)));
    event(b, json_pack("{s:s}", "t", "done"));
    json_decref(name);
    json_t *gate = book_close(b, 1.0, NULL);
    PROMISE(gate != NULL);
    book_free(b);
    return gate;
}

/* Every line that begins at the margin is one of the engine's own. */
static void only_own_lines(const char *text) {
    static const char *const OWN[] = {"=== ", "Tenant: ", "Gate: G\n", "Recover: ", "Tenant ", "\n"};
    for (const char *line = text; *line != '\0';) {
        bool own = *line == ' ';
        for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++) {
            own = own || strncmp(line, OWN[i], strlen(OWN[i])) == 0;
        }
        PROMISE(own);
        line += strcspn(line, "\n");
        line += *line == '\n' ? 1 : 0;
    }
    for (const char *p = text; *p != '\0'; p++) {
        PROMISE((unsigned char)*p >= 0x20 || *p == '\n' || *p == '\t');
    }
}

static void as_junit(const json_t *report) {
    err e;
    buf xml = BUF_INIT;
    PROMISE(report_render(&xml, report, "junit", &e) == 0);
    mxml_node_t *top = mxmlLoadString(NULL, buf_str(&xml), MXML_OPAQUE_CALLBACK);
    PROMISE(top != NULL);
    size_t cases = 0;
    for (mxml_node_t *at = mxmlFindElement(top, top, "testcase", NULL, NULL, MXML_DESCEND); at != NULL;
         at = mxmlFindElement(at, top, "testcase", NULL, NULL, MXML_DESCEND)) {
        cases++;
    }
    const json_t *gate = json_array_get(json_object_get(report, "gates"), 0);
    PROMISE(cases == json_array_size(json_object_get(gate, "checks")));
    mxmlDelete(top);
    buf_free(&xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static json_t *head;
    if (head == NULL) {
        head = json_loads(HEAD, 0, NULL);
        PROMISE(head != NULL && log_add_secret("s3cret", 6) == 0);
    }
    err e;
    texts t = {(const char *)data, n};
    json_t *gates = json_pack("[{s:O, s:{s:s}, s:{}}]", "head", head, "raw", "path", "/fuzz/g.lua", "options");
    config cfg = {.doc = json_object()};
    run_request r = {.verb = "run", .script = "g.lua", .head = head, .gates = gates, .cfg = &cfg, .tenant = "demo"};
    json_t *report = report_new(&r);
    PROMISE(report != NULL && report_set_gate(report, 0, gate_of(head, &t)) == 0);
    PROMISE(report_finish(report, 1.0, true, -1) != 0);
    PROMISE(json_is_false(json_object_get(report, "approved")));
    buf text = BUF_INIT;
    report_opts o = {.verbose = true};
    PROMISE(report_text(&text, report, &o) == 0);
    only_own_lines(buf_str(&text));
    PROMISE(!log_has_secret(buf_str(&text), text.len));
    buf json = BUF_INIT;
    PROMISE(report_render(&json, report, "json", &e) == 0);
    json_t *back = json_loadb(buf_str(&json), json.len, JSON_REJECT_DUPLICATES, NULL);
    PROMISE(back != NULL && !log_has_secret(buf_str(&json), json.len));
    as_junit(report);
    json_decref(back);
    buf_free(&json);
    buf_free(&text);
    json_decref(report);
    json_decref(gates);
    json_decref(cfg.doc);
    return 0;
}
