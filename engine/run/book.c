#include "run/book_parts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err_json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/config.h"

enum { CHECKS_MAX = 20000, FINDINGS_MAX = 100000, FACTS_MAX = 500, FACT_VALUES_MAX = 100000 };

book *book_new(const book_options *o) {
    book *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    b->o = *o;
    b->facts = json_object();
    b->index = json_object();
    b->unselected = json_array();
    b->selected = json_object();
    b->proposals = json_array();
    if (b->facts == NULL || b->index == NULL || b->unselected == NULL || b->selected == NULL || b->proposals == NULL) {
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
    json_decref(b->index);
    json_decref(b->summary);
    json_decref(b->unselected);
    json_decref(b->selected);
    json_decref(b->proposals);
    json_decref(b->result);
    json_decref(b->crash);
    json_decref(b->unchanged);
    json_decref(b->refusal);
    free(b);
}

json_t *book_text(const char *s, size_t n, size_t max, bool multiline) {
    buf masked = BUF_INIT;
    buf clean = BUF_INIT;
    json_t *out = NULL;
    if (log_mask_some(&masked, s, n, max > 0 ? max + 1 : SIZE_MAX) == 0 &&
        text_sanitise(&clean, buf_str(&masked), masked.len, max, multiline) == 0) {
        out = json_stringn(buf_str(&clean), clean.len);
    }
    buf_free(&masked);
    buf_free(&clean);
    return out != NULL ? out : json_string("(text lost: out of memory)");
}

/* A name is one line: what stands in the middle of a line of the report must not begin another one. */
json_t *book_member(const json_t *event, const char *key, size_t max) {
    const json_t *v = json_object_get(event, key);
    bool lines = max > BOOK_NAME_MAX;
    return json_is_string(v) ? book_text(json_string_value(v), json_string_length(v), max, lines) : json_null();
}

/* As clean_member, and null where there is nothing in it. */
static json_t *said_member(const json_t *event, const char *key) {
    return json_string_length(json_object_get(event, key)) > 0 ? book_member(event, key, BOOK_TEXT_MAX) : json_null();
}

check *book_find(const book *b, const char *name) {
    const json_t *at = json_object_get(b->index, name);
    return at != NULL ? &b->checks[json_integer_value(at)] : NULL;
}

/* The open check which the event names; NULL with *e set where there is none. */
static check *event_check(book *b, const json_t *event, err *e) {
    json_t *name = book_member(event, "check", BOOK_NAME_MAX);
    check *c = json_is_string(name) ? book_find(b, json_string_value(name)) : NULL;
    json_decref(name);
    if (c == NULL || !c->open) {
        err_set(e, "event_order", "an event came for a check that is not running");
        return NULL;
    }
    return c;
}

int book_add(book *b, const json_t *event, bool step, err *e) {
    if (b->n >= CHECKS_MAX) {
        return err_set(e, "event_flood", "more than %d checks in one gate", CHECKS_MAX);
    }
    json_t *name = book_member(event, "name", BOOK_NAME_MAX);
    if (!json_is_string(name) || json_string_length(name) == 0 || book_find(b, json_string_value(name)) != NULL) {
        json_decref(name);
        err_set(e, "check_name",
                step ? "a step needs a title of its own" : "a check needs a name of its own in its gate");
        return err_fix(e, step ? "name in it what it changes, so that each ctx:step has another one"
                               : "give each ctx:check of the gate another name");
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
    if (json_object_set_new(b->index, json_string_value(name), json_integer((json_int_t)b->n)) != 0) {
        json_decref(name);
        return err_set(e, "out_of_memory", "out of memory");
    }
    b->checks[b->n++] =
        (check){.name = name, .findings = json_array(), .open = true, .step = step, .started = clock_ms_exact()};
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
    json_t *text = book_text(buf_str(&out), out.len, BOOK_TEXT_MAX, false);
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

json_t *book_finding_entry(book *b, const json_t *event, bool refuses, err *e) {
    static const char *const SEVERITIES[] = {"leak", "advisory", "note", NULL};
    if (++b->findings > FINDINGS_MAX) {
        err_set(e, "event_flood", "more than %d findings in one gate", FINDINGS_MAX);
        return NULL;
    }
    const char *class = json_string_value(json_object_get(event, "class"));
    const json_t *failure = class != NULL ? json_object_get(json_object_get(b->o.head, "failures"), class) : NULL;
    if (failure == NULL) {
        err_set(e, "failure_unknown", "a finding of a class that the script's failures do not declare");
        return NULL;
    }
    const char *severity = json_string_value(json_object_get(event, "severity"));
    if (!is_one_of(severity, SEVERITIES)) {
        severity = json_string_value(json_object_get(failure, "severity"));
    }
    severity = !refuses && is_one_of(severity, SEVERITIES) ? severity : "leak";
    bool fails = strcmp(severity, "leak") == 0 || (b->o.strict && strcmp(severity, "advisory") == 0);
    b->stopped = b->stopped || fails;
    json_t *object = json_object_get(event, "object");
    object = json_is_string(object)
                 ? book_text(json_string_value(object), json_string_length(object), BOOK_TEXT_MAX, false)
                 : json_null();
    json_t *fix = book_member(event, "fix", BOOK_TEXT_MAX);
    if (json_is_null(fix) && json_is_string(json_object_get(failure, "fix"))) {
        fix = json_incref(json_object_get(failure, "fix"));
    }
    json_t *entry = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "status", fails ? "FAIL" : "PASS", "severity",
                              severity, "class", class, "failure", failure_text(failure, event, object), "object",
                              object, "detail", book_member(event, "detail", BOOK_TEXT_MAX), "fix", fix, "reproduce",
                              book_member(event, "reproduce", BOOK_REPRODUCE_MAX));
    json_t *basis = json_object_get(event, "basis");
    int rc = entry != NULL ? 0 : -1;
    if (json_is_string(basis)) {
        rc |= json_object_set_new(
            entry, "basis", book_text(json_string_value(basis), json_string_length(basis), BOOK_BASIS_MAX, false));
    }
    if (rc != 0) {
        json_decref(entry);
        err_set(e, "out_of_memory", "out of memory");
        return NULL;
    }
    return entry;
}

static int on_finding(book *b, const json_t *event, err *e) {
    check *c = event_check(b, event, e);
    json_t *entry = c != NULL ? book_finding_entry(b, event, false, e) : NULL;
    if (entry == NULL) {
        return -1;
    }
    return json_array_append_new(c->findings, entry) == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
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
        json_t *detail = book_member(event, "reason", BOOK_TEXT_MAX);
        b->stopped = true; /* what is not proven must not be built upon */
        json_decref(c->error);
        c->error = json_pack(
            "{s:s, s:n, s:s, s:s, s:n, s:o, s:s, s:n}", "status", "ERROR", "severity", "class", "skip_not_proven",
            "failure", "a check was skipped without proof from the configuration", "object", "detail", detail, "fix",
            "name the configuration key whose absence makes the check needless: ctx:skip(reason, key)", "reproduce");
        return c->error != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    }
    json_decref(c->skip);
    c->skip = book_member(event, "reason", BOOK_TEXT_MAX);
    return 0;
}

/* "FILE:12: `local n = plan.n + 1` (plan.n: nil)" of where, line and types; JSON null without a place. */
static json_t *error_place(const json_t *error) {
    json_t *where = book_member(error, "where", BOOK_NAME_MAX);
    json_t *line = book_member(error, "line", BOOK_NAME_MAX);
    json_t *types = book_member(error, "types", BOOK_NAME_MAX);
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
    json_t *code = book_member(error, "code", BOOK_NAME_MAX);
    json_t *message = book_member(error, "message", BOOK_TEXT_MAX);
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
    b->stopped = true;
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
        return book_text(json_string_value(value), json_string_length(value), BOOK_TEXT_MAX, true);
    }
    json_t *out = json_is_array(value) ? json_array() : json_is_object(value) ? json_object() : json_deep_copy(value);
    size_t i;
    const char *key;
    json_t *one;
    json_array_foreach((json_t *)value, i, one) {
        json_array_append_new(out, clean_value(one));
    }
    json_object_foreach((json_t *)value, key, one) {
        json_t *name = book_text(key, strlen(key), BOOK_NAME_MAX, false);
        json_object_set_new(out, json_string_value(name), clean_value(one));
        json_decref(name);
    }
    return out != NULL ? out : json_null();
}

/* How many values it is made of, itself included. */
static size_t count_values(const json_t *value) {
    size_t n = 1;
    size_t i;
    const char *key;
    json_t *one;
    json_array_foreach((json_t *)value, i, one) {
        n += count_values(one);
    }
    json_object_foreach((json_t *)value, key, one) {
        n += count_values(one);
    }
    return n;
}

static int on_fact(book *b, const json_t *event, err *e) {
    const json_t *name = json_object_get(event, "name");
    json_t *value = json_object_get(event, "value");
    if (!json_is_string(name) || json_object_size(b->facts) >= FACTS_MAX) {
        return err_set(e, "event_flood", "a fact needs a name, and a gate has at most %d", FACTS_MAX);
    }
    b->fact_values += count_values(value);
    if (b->fact_values > FACT_VALUES_MAX) {
        err_set(e, "event_flood", "the facts of a gate have more than %d values", FACT_VALUES_MAX);
        return err_fix(e, "write what is large into a store, and its key and hash into a fact");
    }
    json_t *clean = clean_value(value);
    json_t *key = book_text(json_string_value(name), json_string_length(name), BOOK_NAME_MAX, false);
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
    json_t *entry = json_pack(
        "{s:o, s:o, s:o, s:o, s:b}", "title", book_member(event, "title", BOOK_NAME_MAX), "sql",
        book_member(event, "sql", BOOK_REPRODUCE_MAX), "run", book_member(event, "run", BOOK_NAME_MAX), "note",
        book_member(event, "note", BOOK_REPRODUCE_MAX), "applied", json_is_true(json_object_get(event, "applied")));
    if (json_array_size(b->proposals) >= FACTS_MAX * 20 || entry == NULL ||
        json_array_append_new(b->proposals, entry) != 0) {
        return err_set(e, "event_flood", "too many proposals");
    }
    return 0;
}

static int take(book *b, const json_t *event, err *e) {
    const char *t = json_string_value(json_object_get(event, "t"));
    if (t == NULL || b->done) {
        return err_set(e, "event_order", b->done ? "an event came after the end" : "an event without a type");
    }
    if (strcmp(t, "check") == 0) {
        return book_add(b, event, false, e);
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
        b->summary = book_member(event, "text", BOOK_NAME_MAX);
        return 0;
    }
    if (strcmp(t, "unselected") == 0) {
        int rc = json_array_append_new(b->unselected, book_member(event, "name", BOOK_NAME_MAX));
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
    int rc = b->o.operation ? book_operation_event(b, t, event, e) : 1;
    return rc <= 0 ? rc : err_set(e, "event_type", "an event of an unknown type");
}

/* What was kept of an event while memory ran out may be less than it said. */
int book_event(book *b, const json_t *event, err *e) {
    size_t lost = mem_lost();
    int rc = take(b, event, e);
    return rc == 0 && mem_lost() != lost ? err_set(e, "out_of_memory", "out of memory for what the gate found") : rc;
}

int book_skip(book *b, const char *name, const char *reason, err *e) {
    json_t *event = json_pack("{s:s}", "check", name);
    check *c = event_check(b, event, e);
    json_decref(event);
    if (c == NULL) {
        return -1;
    }
    json_decref(c->skip);
    c->skip = book_text(reason, strlen(reason), BOOK_TEXT_MAX, false);
    return c->skip != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
}

void book_raised(book *b, const json_t *error) {
    b->stopped = true;
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
