/* book_operation.c: what only operations have: steps that begin when they are on record, refusals, "nothing to do". */
#include <string.h>

#include "run/book_parts.h"

/* How far it is. */
static size_t steps(const book *b, bool open_only) {
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        n += b->checks[i].step && (b->checks[i].open || !open_only) ? 1 : 0;
    }
    return n;
}

int book_step(book *b, const json_t *request, err *e) {
    if (!b->o.operation || b->done) {
        return err_set(e, "event_order", "a step came from a script that is no operation, or after its end");
    }
    if (b->stopped) {
        return err_set(e, "step_stopped", "the operation was refused or has failed: no step may begin");
    }
    if (b->unchanged != NULL || steps(b, true) > 0) {
        return err_set(e, "event_order", "a step came %s",
                       b->unchanged != NULL ? "after the word that nothing is to do" : "inside another step");
    }
    if (book_add(b, request, true, e) != 0) {
        return -1;
    }
    if (b->o.dry_run) {
        b->checks[b->n - 1].open = false; /* told, and over */
    }
    return 0;
}

/* The worker names the check or step which this happened in; where that is none, it counts for the operation. */
static int on_refusal(book *b, const json_t *event, err *e) {
    if (b->stopped) {
        return err_set(e, "event_order", "a refusal came after the operation was refused or had failed");
    }
    json_t *entry = book_finding_entry(b, event, true, e);
    if (entry == NULL) {
        return -1;
    }
    json_t *name = book_member(event, "check", BOOK_NAME_MAX);
    check *c = json_is_string(name) ? book_find(b, json_string_value(name)) : NULL;
    json_decref(name);
    if (c == NULL || !c->open) {
        b->refusal = entry;
        return 0;
    }
    return json_array_append_new(c->findings, entry) == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
}

static int on_unchanged(book *b, const json_t *event, err *e) {
    const json_t *reason = json_object_get(event, "reason");
    if (b->stopped || steps(b, false) > 0 || !json_is_string(reason)) {
        return err_set(e, "event_order", "the word that nothing is to do came %s",
                       b->stopped ? "after a refusal or an error" : "after a step, or without a reason");
    }
    json_decref(b->unchanged);
    b->unchanged = book_member(event, "reason", BOOK_NAME_MAX);
    return 0;
}

int book_operation_event(book *b, const char *type, const json_t *event, err *e) {
    if (strcmp(type, "refusal") == 0) {
        return on_refusal(b, event, e);
    }
    if (strcmp(type, "unchanged") == 0) {
        return on_unchanged(b, event, e);
    }
    if (strcmp(type, "ended") == 0) { /* the worker holds that something ended it early: then it is on record */
        return b->stopped ? 0 : err_set(e, "event_order", "the operation ended early, and nothing says why");
    }
    return 1;
}
