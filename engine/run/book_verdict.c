#include <string.h>

#include "base/mem.h"
#include "run/book_parts.h"

#define TEXT_MAX 4000 /* of what a head says */

typedef struct verdict {
    size_t pass, fail, error;
    bool lost;                            /* an entry found no memory: what is left would say too little */
    const char *first_fail, *first_error; /* owned by the entries */
} verdict;

static void count(verdict *v, const json_t *entry) {
    const char *status = json_string_value(json_object_get(entry, "status"));
    const char *text = json_string_value(json_object_get(entry, "failure"));
    if (strcmp(status, "FAIL") == 0) {
        v->fail++;
        v->first_fail = v->first_fail != NULL ? v->first_fail : text;
    } else if (strcmp(status, "ERROR") == 0) {
        v->error++;
        v->first_error = v->first_error != NULL ? v->first_error : text;
    } else if (strcmp(status, "PASS") == 0) {
        v->pass++;
    }
}

/* What became of a step: done, would be done (a dry run), or failed; NULL for what is no step. */
static const char *step_state(const book *b, const check *c) {
    bool failed = c->open || c->error != NULL;
    size_t i;
    json_t *finding;
    json_array_foreach(c->findings, i, finding) {
        failed = failed || strcmp(json_string_value(json_object_get(finding, "status")), "FAIL") == 0;
    }
    return !c->step ? NULL : failed ? "failed" : b->o.dry_run ? "would" : "done";
}

/* Adds one entry to the report's checks, name first and duration last. `step` NULL: it is none. */
static void add(json_t *checks, verdict *v, json_t *name, const json_t *entry, const char *step, double duration) {
    json_t *full = json_object();
    if (entry == NULL || json_object_set(full, "name", name) != 0 || json_object_update(full, (json_t *)entry) != 0 ||
        (step != NULL && json_object_set_new(full, "step", json_string(step)) != 0) ||
        json_object_set_new(full, "duration_ms", json_real(duration)) != 0 || json_array_append(checks, full) != 0) {
        v->lost = true;
    } else {
        count(v, full);
    }
    json_decref(full);
}

static json_t *plain_entry(const char *status, json_t *detail) {
    return json_pack("{s:s, s:n, s:n, s:n, s:n, s:O?, s:n, s:n}", "status", status, "severity", "class", "failure",
                     "object", "detail", detail, "fix", "reproduce");
}

static json_t *early_end(void) {
    return json_pack("{s:s, s:n, s:s, s:s, s:n, s:n, s:n, s:n}", "status", "ERROR", "severity", "class",
                     "gate_unfinished", "failure", "the gate did not come to its end", "object", "detail", "fix",
                     "reproduce");
}

static json_t *unfinished_entry(const check *c) {
    return json_pack("{s:s, s:n, s:s, s:s, s:n, s:n, s:s?, s:n}", "status", "ERROR", "severity", "class",
                     c->step ? "step_unfinished" : "check_unfinished", "failure",
                     c->step ? "the step was running when its operation ended: it may be done in part"
                             : "the check was running when its gate ended",
                     "object", "detail", "fix", c->step ? "look at what it changes before it is run again" : NULL,
                     "reproduce");
}

static void add_check(const book *b, const check *c, json_t *checks, verdict *v) {
    const char *state = step_state(b, c);
    size_t i;
    json_t *finding;
    json_array_foreach(c->findings, i, finding) {
        add(checks, v, c->name, finding, state, c->duration);
    }
    if (c->error != NULL) {
        add(checks, v, c->name, c->error, state, c->duration);
        return;
    }
    if (!c->open && c->skip == NULL && json_array_size(c->findings) > 0) {
        return;
    }
    json_t *entry = c->open           ? unfinished_entry(c)
                    : c->skip != NULL ? plain_entry("SKIP", c->skip)
                                      : plain_entry("PASS", NULL);
    add(checks, v, c->name, entry, state, c->duration);
    json_decref(entry);
}

static json_t *nothing_checked(void) {
    return json_pack("{s:s, s:n, s:s, s:s, s:n, s:s, s:s, s:n}", "status", "ERROR", "severity", "class",
                     "nothing_checked", "failure", "no check of this gate ran to a pass", "object", "detail",
                     "a gate passes only when at least one check is a pass", "fix", "call ctx:check in run",
                     "reproduce");
}

static json_t *nothing_done(void) {
    return json_pack("{s:s, s:n, s:s, s:s, s:n, s:s, s:s, s:n}", "status", "ERROR", "severity", "class", "nothing_done",
                     "failure", "the operation did nothing, and did not say that there was nothing to do", "object",
                     "detail", "silence is no success", "fix",
                     "call ctx:step for what it does, or ctx:unchanged(reason)", "reproduce");
}

/* The entry without which an empty list of checks would be read as a pass; NULL where there is something to read. New
 * reference. */
static json_t *silence(const book *b, const verdict *v) {
    size_t steps = 0;
    for (size_t i = 0; i < b->n; i++) {
        steps += b->checks[i].step ? 1 : 0;
    }
    if (!b->o.operation) {
        return v->pass == 0 && v->fail == 0 && v->error == 0 ? nothing_checked() : NULL;
    }
    if (v->fail > 0 || v->error > 0 || steps > 0) {
        return NULL;
    }
    return b->unchanged == NULL ? nothing_done() : v->pass == 0 ? plain_entry("PASS", b->unchanged) : NULL;
}

/* What stands after PASS. *own: new memory that it lies in, or NULL. */
static const char *pass_text(const book *b, json_t **own) {
    *own = NULL;
    if (b->o.operation && json_is_string(b->unchanged)) {
        *own = json_sprintf("Nothing to do: %s", json_string_value(b->unchanged));
        return json_string_value(*own);
    }
    if (b->o.operation && b->o.dry_run) {
        return "Dry run: nothing was changed";
    }
    if (json_array_size(b->unselected) > 0) {
        return "The selected checks passed"; /* the gate's own words would say more than was looked at */
    }
    const char *text = json_is_string(b->summary) ? json_string_value(b->summary)
                                                  : json_string_value(json_object_get(b->o.head, "pass"));
    return text != NULL ? text : "All checks passed";
}

json_t *book_close(book *b, double duration_ms, json_t *limits) {
    size_t lost = mem_lost();
    json_t *checks = json_array();
    verdict v = {0};
    for (size_t i = 0; i < b->n; i++) {
        add_check(b, &b->checks[i], checks, &v);
    }
    json_t *gate_name = json_string(b->o.operation ? "operation" : "gate");
    if (b->refusal != NULL) {
        add(checks, &v, gate_name, b->refusal, NULL, duration_ms);
    }
    json_t *silent = b->crash == NULL ? silence(b, &v) : NULL;
    if (b->crash != NULL) {
        add(checks, &v, gate_name, b->crash, NULL, duration_ms);
    } else if (silent != NULL) {
        add(checks, &v, gate_name, silent, NULL, duration_ms);
        json_decref(silent);
    }
    if (b->crash == NULL && !b->done && v.error == 0) {
        json_t *entry = early_end(); /* whoever closes this book lost the reason */
        add(checks, &v, gate_name, entry, NULL, duration_ms);
        json_decref(entry);
    }
    json_decref(gate_name);
    if (v.lost) {
        json_decref(checks);
        json_decref(limits);
        return NULL;
    }
    const char *status = v.fail > 0 ? "FAIL" : v.error > 0 ? "ERROR" : "PASS";
    json_t *own;
    const char *passed = pass_text(b, &own);
    const char *summary = v.fail > 0 ? v.first_fail : v.error > 0 ? v.first_error : passed;
    json_t *out = json_object();
    static const char *const COPIED[] = {"id", "name", "number", "owner", "runbook", NULL};
    for (size_t i = 0; COPIED[i] != NULL; i++) {
        json_t *value = json_object_get(b->o.head, COPIED[i]);
        json_object_set_new(out, COPIED[i],
                            json_is_string(value)
                                ? book_text(json_string_value(value), json_string_length(value), TEXT_MAX, false)
                            : value != NULL ? json_incref(value)
                                            : json_null());
    }
    json_object_set_new(out, "status", json_string(status));
    json_object_set_new(out, "summary", json_string(summary != NULL ? summary : ""));
    json_decref(own);
    json_object_set_new(out, "duration_ms", json_real(duration_ms));
    json_object_set_new(out, "limits", limits != NULL ? limits : json_object());
    json_object_set_new(out, "checks", checks);
    json_object_set(out, "facts", b->facts);
    if (mem_lost() != lost) {
        json_decref(out);
        return NULL;
    }
    return out;
}
