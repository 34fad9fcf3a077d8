/* evidence_history.c: what stands on record of the runs before this one: how they ended, and what is not as it was when
 * one last passed. */
#include <string.h>

#include "run/evidence.h"
#include "run/ledger.h"

typedef struct look {
    const json_t *now;
    json_t *runs; /* owned: {seq, at, status}, the oldest first */
    json_t *pass; /* owned: the last that passed, or NULL */
} look;

static const char *text_in(const json_t *object, const char *part, const char *key) {
    const json_t *from = part != NULL ? json_object_get(object, part) : object;
    const char *s = json_string_value(json_object_get(from, key));
    return s != NULL ? s : "";
}

static bool same_in(const json_t *a, const json_t *b, const char *part, const char *key) {
    return strcmp(text_in(a, part, key), text_in(b, part, key)) == 0;
}

/* The same script, on the same database, for the same tenant. An embedded platform without a server of its own is at
 * another socket each time: what it is called says nothing. */
static bool is_of_same(const json_t *a, const json_t *b) {
    bool embedded = strcmp(text_in(a, "target", "platform"), "embedded") == 0;
    return same_in(a, b, "tenant", "code") && same_in(a, b, NULL, "script") && same_in(a, b, NULL, "verb") &&
           same_in(a, b, "target", "platform") &&
           (embedded || (same_in(a, b, "target", "host") && same_in(a, b, "target", "database")));
}

static int note(void *ctx, const json_t *record, err *e) {
    look *l = ctx;
    if (!is_of_same(record, l->now)) {
        return 0;
    }
    json_t *run = json_pack("{s:O?, s:O?, s:O?}", "seq", json_object_get(record, "seq"), "at",
                            json_object_get(record, "at"), "status", json_object_get(record, "status"));
    if (run == NULL || json_array_append_new(l->runs, run) != 0) {
        return err_set(e, "out_of_memory", "out of memory while the ledger was read");
    }
    if (json_array_size(l->runs) > EVIDENCE_HISTORY_MAX) {
        json_array_remove(l->runs, 0);
    }
    if (strcmp(text_in(record, NULL, "status"), "PASS") == 0 && !json_is_true(json_object_get(record, "partial"))) {
        json_decref(l->pass);
        l->pass = json_incref((json_t *)record);
    }
    return 0;
}

static int add(json_t *changes, const char *what, json_t *before, json_t *now) {
    if (before == now || (before != NULL && now != NULL && json_equal(before, now))) {
        return 0;
    }
    return json_array_append_new(changes, json_pack("{s:s, s:O?, s:O?}", "what", what, "before", before, "now", now));
}

static json_t *input_of(const json_t *record, const char *id) {
    size_t i;
    json_t *input;
    json_array_foreach(json_object_get(record, "inputs"), i, input) {
        if (strcmp(text_in(input, NULL, "id"), id) == 0) {
            return input;
        }
    }
    return NULL;
}

static int add_inputs(json_t *changes, const json_t *before, const json_t *now) {
    static const char *const PARTS[][2] = {{"sha256", "script"}, {"options", "options"}, {"hashes", "inputs"}};
    size_t i;
    json_t *input;
    int rc = 0;
    json_array_foreach(json_object_get(now, "inputs"), i, input) {
        const char *id = text_in(input, NULL, "id");
        const json_t *old = input_of(before, id);
        for (size_t k = 0; k < sizeof PARTS / sizeof PARTS[0]; k++) {
            json_t *what = json_sprintf("%s of %s", PARTS[k][1], id);
            rc |= what == NULL ? -1
                               : add(changes, json_string_value(what), json_object_get(old, PARTS[k][0]),
                                     json_object_get(input, PARTS[k][0]));
            json_decref(what);
        }
    }
    return rc;
}

/* What of a record may differ from another of the same target's, by what people call it. */
static json_t *changes_of(const json_t *before, const json_t *now) {
    static const char *const WHOLE[][2] = {{"config_hash", "configuration"},
                                           {"build_hash", "installed engine and scripts"},
                                           {"tool", "version"},
                                           {"trust", "trust entries"}};
    json_t *out = json_array();
    const json_t *then_at = json_object_get(before, "target"), *now_at = json_object_get(now, "target");
    int rc = add(out, "schema", json_object_get(then_at, "schema_hash"), json_object_get(now_at, "schema_hash"));
    rc |= add(out, "database server", json_object_get(then_at, "system_identifier"),
              json_object_get(now_at, "system_identifier"));
    for (size_t i = 0; i < sizeof WHOLE / sizeof WHOLE[0]; i++) {
        rc |= add(out, WHOLE[i][1], json_object_get(before, WHOLE[i][0]), json_object_get(now, WHOLE[i][0]));
    }
    rc |= add_inputs(out, before, now);
    rc |= add(out, "commit", json_object_get(json_object_get(before, "environment"), "commit"),
              json_object_get(json_object_get(now, "environment"), "commit"));
    if (rc != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

int evidence_history(const char *ledger_path, const json_t *now, json_t *report, err *e) {
    look l = {.now = now, .runs = json_array()};
    ledger_state at;
    int rc = l.runs != NULL ? ledger_read(ledger_path, note, &l, &at, e)
                            : err_set(e, "out_of_memory", "out of memory while the ledger was read");
    if (rc == 0 && json_object_set(report, "history", l.runs) != 0) {
        rc = err_set(e, "out_of_memory", "out of memory while the ledger was read");
    }
    if (rc == 0 && l.pass != NULL && strcmp(text_in(now, NULL, "status"), "PASS") != 0) {
        json_t *since = json_pack("{s:O, s:O, s:o}", "seq", json_object_get(l.pass, "seq"), "at",
                                  json_object_get(l.pass, "at"), "changed", changes_of(l.pass, now));
        if (since == NULL || json_object_set_new(report, "since_pass", since) != 0) {
            rc = err_set(e, "out_of_memory", "out of memory while the ledger was read");
        }
    }
    json_decref(l.runs);
    json_decref(l.pass);
    return rc;
}
