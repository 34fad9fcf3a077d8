#include "run/book_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err_json.h"
#include "base/log.h"
#include "base/text.h"
#include "run/config.h"

enum {
    CHECKS_MAX = 20000,
    FINDINGS_MAX = 100000,
    FACTS_MAX = 500,
    NAME_MAX_ = 200,
    TEXT_MAX_ = 4000,
    REPRODUCE_MAX = 20000
};

book *book_new(const book_options *o) {
    book *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    b->o = *o;
    b->facts = json_object();
    b->unselected = json_array();
    b->selected = json_object();
    b->proposals = json_array();
    if (b->facts == NULL || b->unselected == NULL || b->selected == NULL || b->proposals == NULL) {
        book_free(b);
        return NULL;
    }
    return b;
}

void book_free(book *b) {
    if (b == NULL) {
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        json_decref(b->checks[i].name);
        json_decref(b->checks[i].findings);
        json_decref(b->checks[i].skip);
        json_decref(b->checks[i].error);
    }
    free(b->checks);
    json_decref(b->facts);
    json_decref(b->summary);
    json_decref(b->unselected);
    json_decref(b->selected);
    json_decref(b->proposals);
    json_decref(b->result);
    json_decref(b->crash);
    free(b);
}

json_t *book_text(const char *s, size_t n, size_t max, bool multiline) {
    buf masked = BUF_INIT;
    buf clean = BUF_INIT;
    json_t *out = NULL;
    if (log_mask(&masked, s, n) == 0 && text_sanitise(&clean, buf_str(&masked), masked.len, max, multiline) == 0) {
        out = json_stringn(buf_str(&clean), clean.len);
    }
    buf_free(&masked);
    buf_free(&clean);
    return out != NULL ? out : json_string("(text lost: out of memory)");
}

/* A string member of an event as clean text, or JSON null where it is absent. A name is one line: what stands in the
 * middle of a line of the report must not begin another one. */
static json_t *clean_member(const json_t *event, const char *key, size_t max) {
    const json_t *v = json_object_get(event, key);
    bool lines = max > NAME_MAX_;
    return json_is_string(v) ? book_text(json_string_value(v), json_string_length(v), max, lines) : json_null();
}

/* As clean_member, and null where there is nothing in it. */
static json_t *said_member(const json_t *event, const char *key) {
    return json_string_length(json_object_get(event, key)) > 0 ? clean_member(event, key, TEXT_MAX_) : json_null();
}

static check *find_check(book *b, const char *name) {
    for (size_t i = b->n; i > 0; i--) {
        if (strcmp(json_string_value(b->checks[i - 1].name), name) == 0) {
            return &b->checks[i - 1];
        }
    }
    return NULL;
}

/* The open check which the event names; NULL with *e set where there is none. */
static check *event_check(book *b, const json_t *event, err *e) {
    json_t *name = clean_member(event, "check", NAME_MAX_);
    check *c = json_is_string(name) ? find_check(b, json_string_value(name)) : NULL;
    json_decref(name);
    if (c == NULL || !c->open) {
        err_set(e, "event_order", "an event came for a check that is not running");
        return NULL;
    }
    return c;
}

static int on_check(book *b, const json_t *event, err *e) {
    if (b->n >= CHECKS_MAX) {
        return err_set(e, "event_flood", "more than %d checks in one gate", CHECKS_MAX);
    }
    json_t *name = clean_member(event, "name", NAME_MAX_);
    if (!json_is_string(name) || json_string_length(name) == 0 || find_check(b, json_string_value(name)) != NULL) {
        json_decref(name);
        err_set(e, "check_name", "a check needs a name of its own in its gate");
        return err_fix(e, "give each ctx:check of the gate another name");
    }
    if (b->n == b->cap) {
        size_t cap = b->cap == 0 ? 16 : b->cap * 2;
        check *grown = realloc(b->checks, cap * sizeof *grown);
        if (grown == NULL) {
            json_decref(name);
            return err_set(e, "out_of_memory", "out of memory");
        }
        b->checks = grown;
        b->cap = cap;
    }
    b->checks[b->n++] = (check){.name = name, .findings = json_array(), .open = true, .started = clock_ms_exact()};
    return 0;
}

/* The class's text with its %s filled in: from args, else from the object. head.c allows no directive but %s and %%. */
static json_t *failure_text(const json_t *failure, const json_t *event, const json_t *object) {
    const char *fmt = json_string_value(json_object_get(failure, "text"));
    const json_t *args = json_object_get(event, "args");
    buf out = BUF_INIT;
    size_t used = 0;
    for (const char *p = fmt; p != NULL && *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == '%') {
            buf_putc(&out, '%');
            p++;
        } else if (p[0] == '%' && p[1] == 's') {
            const char *arg =
                json_is_array(args) ? json_string_value(json_array_get(args, used)) : json_string_value(object);
            buf_puts(&out, arg != NULL ? arg : "?");
            used++;
            p++;
        } else {
            buf_putc(&out, *p);
        }
    }
    json_t *text = book_text(buf_str(&out), out.len, TEXT_MAX_, false);
    buf_free(&out);
    return text;
}

static bool is_one_of(const char *s, const char *const *names) {
    for (; s != NULL && *names != NULL; names++) {
        if (strcmp(s, *names) == 0) {
            return true;
        }
    }
    return false;
}

static int on_finding(book *b, const json_t *event, err *e) {
    static const char *const SEVERITIES[] = {"leak", "advisory", "note", NULL};
    check *c = event_check(b, event, e);
    if (c == NULL) {
        return -1;
    }
    if (++b->findings > FINDINGS_MAX) {
        return err_set(e, "event_flood", "more than %d findings in one gate", FINDINGS_MAX);
    }
    const char *class = json_string_value(json_object_get(event, "class"));
    const json_t *failure = class != NULL ? json_object_get(json_object_get(b->o.head, "failures"), class) : NULL;
    if (failure == NULL) {
        return err_set(e, "failure_unknown", "a finding of a class that the script's failures do not declare");
    }
    const char *severity = json_string_value(json_object_get(event, "severity"));
    if (!is_one_of(severity, SEVERITIES)) {
        severity = json_string_value(json_object_get(failure, "severity"));
    }
    severity = is_one_of(severity, SEVERITIES) ? severity : "leak";
    bool fails = strcmp(severity, "leak") == 0 || (b->o.strict && strcmp(severity, "advisory") == 0);
    json_t *object = json_object_get(event, "object");
    object = json_is_string(object) ? book_text(json_string_value(object), json_string_length(object), TEXT_MAX_, false)
                                    : json_null();
    json_t *fix = clean_member(event, "fix", TEXT_MAX_);
    if (json_is_null(fix) && json_is_string(json_object_get(failure, "fix"))) {
        fix = json_incref(json_object_get(failure, "fix"));
    }
    json_t *entry = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "status", fails ? "FAIL" : "PASS", "severity",
                              severity, "class", class, "failure", failure_text(failure, event, object), "object",
                              object, "detail", clean_member(event, "detail", TEXT_MAX_), "fix", fix, "reproduce",
                              clean_member(event, "reproduce", REPRODUCE_MAX));
    if (entry == NULL || json_array_append_new(c->findings, entry) != 0) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    return 0;
}

/* Can a configuration have the key "packs.routing" at all? What is below a free key or a variant is taken as it is. */
static bool knows_key(const char *path) {
    const schema_spec *at = config_schema();
    while (*path != '\0' && at->type == SCHEMA_TABLE && at->children != NULL) {
        size_t n = strcspn(path, ".");
        const schema_spec *child = at->children;
        while (child->key != NULL && (strlen(child->key) != n || memcmp(child->key, path, n) != 0)) {
            child++;
        }
        if (child->key == NULL) {
            return false;
        }
        at = child;
        path += n + (path[n] == '.' ? 1 : 0);
    }
    return true;
}

/* Walks "packs.routing" down the configuration; absent, null and false count as not configured. */
static bool configured(const json_t *doc, const char *path) {
    char key[128];
    const json_t *at = doc;
    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        if (n == 0 || n >= sizeof key) {
            return true;
        }
        memcpy(key, path, n);
        key[n] = '\0';
        at = json_object_get(at, key);
        path += n + (path[n] == '.' ? 1 : 0);
    }
    return at != NULL && !json_is_null(at) && !json_is_false(at);
}

static int on_skip(book *b, const json_t *event, err *e) {
    check *c = event_check(b, event, e);
    if (c == NULL) {
        return -1;
    }
    const char *absent = json_string_value(json_object_get(event, "absent"));
    if (absent == NULL || *absent == '\0' || !knows_key(absent) || configured(b->o.config, absent)) {
        json_t *detail = clean_member(event, "reason", TEXT_MAX_);
        json_decref(c->error);
        c->error = json_pack(
            "{s:s, s:n, s:s, s:s, s:n, s:o, s:s, s:n}", "status", "ERROR", "severity", "class", "skip_not_proven",
            "failure", "a check was skipped without proof from the configuration", "object", "detail", detail, "fix",
            "name the configuration key whose absence makes the check needless: ctx:skip(reason, key)", "reproduce");
        return c->error != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    }
    json_decref(c->skip);
    c->skip = clean_member(event, "reason", TEXT_MAX_);
    return 0;
}

/* "FILE:12: `local n = plan.n + 1` (plan.n: nil)" of where, line and types; JSON null without a place. */
static json_t *error_place(const json_t *error) {
    json_t *where = clean_member(error, "where", NAME_MAX_);
    json_t *line = clean_member(error, "line", NAME_MAX_);
    json_t *types = clean_member(error, "types", NAME_MAX_);
    const char *t = json_string_value(types);
    if (json_is_string(where) && json_is_string(line)) {
        json_t *whole = json_sprintf("%s: `%s`%s%s%s", json_string_value(where), json_string_value(line),
                                     t != NULL ? " (" : "", t != NULL ? t : "", t != NULL ? ")" : "");
        if (whole != NULL) {
            json_decref(where);
            where = whole;
        }
    }
    json_decref(line);
    json_decref(types);
    return where;
}

/* A report entry for an error object {code, message, detail, fix, where, line, types}. */
static json_t *error_entry(const json_t *error) {
    json_t *detail = said_member(error, "detail");
    json_t *where = error_place(error);
    const char *w = json_string_value(where);
    const char *d = json_string_value(detail);
    if (w != NULL) {
        json_t *both = d != NULL ? json_sprintf("%s (%s)", d, w) : json_sprintf("%s", w);
        json_decref(detail);
        detail = both != NULL ? both : json_null();
    }
    json_decref(where);
    json_t *code = clean_member(error, "code", NAME_MAX_);
    json_t *message = clean_member(error, "message", TEXT_MAX_);
    if (!json_is_string(message)) {
        json_decref(message);
        message = json_string("an error without a message");
    }
    return json_pack("{s:s, s:n, s:o, s:o, s:n, s:o, s:o, s:n}", "status", "ERROR", "severity", "class", code,
                     "failure", message, "object", "detail", detail, "fix", said_member(error, "fix"), "reproduce");
}

static int on_check_error(book *b, const json_t *event, err *e) {
    check *c = event_check(b, event, e);
    if (c == NULL) {
        return -1;
    }
    json_decref(c->error);
    c->error = error_entry(json_object_get(event, "error"));
    return c->error != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
}

static int on_check_end(book *b, const json_t *event, err *e) {
    check *c = event_check(b, event, e);
    if (c == NULL) {
        return -1;
    }
    c->open = false;
    c->duration = clock_ms_exact() - c->started;
    return 0;
}

/* A copy with every string of it clean and masked, keys too. The worker sends no value deeper than it can read back. */
static json_t *clean_value(const json_t *value) {
    if (json_is_string(value)) {
        return book_text(json_string_value(value), json_string_length(value), TEXT_MAX_, true);
    }
    json_t *out = json_is_array(value) ? json_array() : json_is_object(value) ? json_object() : json_deep_copy(value);
    size_t i;
    const char *key;
    json_t *one;
    json_array_foreach((json_t *)value, i, one) {
        json_array_append_new(out, clean_value(one));
    }
    json_object_foreach((json_t *)value, key, one) {
        json_t *name = book_text(key, strlen(key), NAME_MAX_, false);
        json_object_set_new(out, json_string_value(name), clean_value(one));
        json_decref(name);
    }
    return out != NULL ? out : json_null();
}

static int on_fact(book *b, const json_t *event, err *e) {
    const json_t *name = json_object_get(event, "name");
    json_t *value = json_object_get(event, "value");
    if (!json_is_string(name) || json_object_size(b->facts) >= FACTS_MAX) {
        return err_set(e, "event_flood", "a fact needs a name, and a gate has at most %d", FACTS_MAX);
    }
    json_t *clean = clean_value(value);
    json_t *key = book_text(json_string_value(name), json_string_length(name), NAME_MAX_, false);
    int rc = json_object_set_new(b->facts, json_string_value(key), clean);
    json_decref(key);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
}

static int on_log(const json_t *event) {
    const json_t *text = json_object_get(event, "text");
    if (json_is_string(text)) {
        log_line(LOG_DEBUG, "%s", json_string_value(text));
    }
    return 0;
}

/* What a script did, one line each; asked for with --trace, and else not even sent. */
static int on_trace(const book *b, const json_t *event) {
    const json_t *text = json_object_get(event, "text");
    if (b->o.trace && json_is_string(text)) {
        const char *id = json_string_value(json_object_get(b->o.head, "id"));
        log_line(LOG_INFO, "trace: %s: %s", id != NULL ? id : "gate", json_string_value(text));
    }
    return 0;
}

static int on_proposal(book *b, const json_t *event, err *e) {
    json_t *entry = json_pack("{s:o, s:o, s:o, s:o, s:b}", "title", clean_member(event, "title", TEXT_MAX_), "sql",
                              clean_member(event, "sql", REPRODUCE_MAX), "run", clean_member(event, "run", NAME_MAX_),
                              "note", clean_member(event, "note", REPRODUCE_MAX), "applied",
                              json_is_true(json_object_get(event, "applied")));
    if (json_array_size(b->proposals) >= FACTS_MAX * 20 || entry == NULL ||
        json_array_append_new(b->proposals, entry) != 0) {
        return err_set(e, "event_flood", "too many proposals");
    }
    return 0;
}

int book_event(book *b, const json_t *event, err *e) {
    const char *t = json_string_value(json_object_get(event, "t"));
    if (t == NULL || b->done) {
        return err_set(e, "event_order", b->done ? "an event came after the end" : "an event without a type");
    }
    if (strcmp(t, "check") == 0) {
        return on_check(b, event, e);
    }
    if (strcmp(t, "finding") == 0) {
        return on_finding(b, event, e);
    }
    if (strcmp(t, "skip") == 0) {
        return on_skip(b, event, e);
    }
    if (strcmp(t, "check_error") == 0) {
        return on_check_error(b, event, e);
    }
    if (strcmp(t, "check_end") == 0) {
        return on_check_end(b, event, e);
    }
    if (strcmp(t, "fact") == 0) {
        return on_fact(b, event, e);
    }
    if (strcmp(t, "log") == 0) {
        return on_log(event);
    }
    if (strcmp(t, "trace") == 0) {
        return on_trace(b, event);
    }
    if (strcmp(t, "proposal") == 0) {
        return on_proposal(b, event, e);
    }
    if (strcmp(t, "summary") == 0) {
        json_decref(b->summary);
        b->summary = clean_member(event, "text", NAME_MAX_);
        return 0;
    }
    if (strcmp(t, "unselected") == 0) {
        int rc = json_array_append_new(b->unselected, clean_member(event, "name", NAME_MAX_));
        return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
    }
    if (strcmp(t, "selected") == 0) {
        const char *name = json_string_value(json_object_get(event, "name"));
        return name != NULL && json_object_set_new(b->selected, name, json_true()) == 0
                   ? 0
                   : err_set(e, "event_type", "an event about the selection without a name");
    }
    if (strcmp(t, "result") == 0) {
        json_decref(b->result);
        b->result = json_incref(json_object_get(event, "value"));
        return 0;
    }
    if (strcmp(t, "done") == 0) {
        b->done = true;
        return 0;
    }
    return err_set(e, "event_type", "an event of an unknown type");
}

void book_raised(book *b, const json_t *error) {
    if (b->crash == NULL) { /* the first reason is the cause, what follows are its effects */
        b->crash = error_entry(error);
    }
}

void book_crash(book *b, const err *why) {
    json_t *error = err_to_json(why);
    book_raised(b, error);
    json_decref(error);
}

const char *book_open_check(const book *b) {
    for (size_t i = b->n; i > 0; i--) {
        if (b->checks[i - 1].open) {
            return json_string_value(b->checks[i - 1].name);
        }
    }
    return NULL;
}

const json_t *book_unselected(const book *b) {
    return b->unselected;
}

bool book_selected(const book *b, const char *name) {
    return json_object_get(b->selected, name) != NULL;
}

bool book_left_out(const book *b) {
    return b->n == 0 && b->crash == NULL && b->done && json_array_size(b->unselected) > 0;
}

bool book_crashed(const book *b) {
    return b->crash != NULL || !b->done;
}

json_t *book_proposals(const book *b) {
    return json_incref(b->proposals);
}

const json_t *book_result(const book *b) {
    return b->result;
}

bool book_done(const book *b) {
    return b->done;
}

json_t *book_findings(const book *b) {
    json_t *out = json_array();
    for (size_t i = 0; i < b->n; i++) {
        size_t k;
        json_t *f;
        json_array_foreach(b->checks[i].findings, k, f) {
            if (strcmp(json_string_value(json_object_get(f, "status")), "FAIL") == 0) {
                json_array_append_new(out,
                                      json_pack("{s:O, s:O, s:O, s:O, s:O, s:O}", "check", b->checks[i].name, "class",
                                                json_object_get(f, "class"), "object", json_object_get(f, "object"),
                                                "detail", json_object_get(f, "detail"), "failure",
                                                json_object_get(f, "failure"), "fix", json_object_get(f, "fix")));
            }
        }
    }
    return out;
}
