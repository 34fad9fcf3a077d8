/* evidence_judge.c: is what stands on record enough for a tenant to go live? Every question has a code and a message of
 * its own, and whatever cannot be answered is a no. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run/evidence.h"
#include "run/ledger.h"

#define CLOCK_SLACK_S 120
#define VALIDATE "validate again: gate-engine run scripts/all.lua --tenant %s"

/* What the ledger says of one tenant; the references are owned. */
typedef struct history {
    const evidence_question *q;
    json_t *approved; /* the last run that approved … */
    json_t *against;  /* … and the last one that did not pass after it */
    json_t *partial;  /* the last that passed in part, or of single gates */
    json_t *other;    /* the last that approved another tenant */
} history;

static const char *text(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "";
}

static const char *text_in(const json_t *object, const char *part, const char *key) {
    return text(json_object_get(object, part), key);
}

static long long seq_of(const json_t *record) {
    return json_integer_value(json_object_get(record, "seq"));
}

static void keep(json_t **place, const json_t *record) {
    json_decref(*place);
    *place = json_incref((json_t *)record);
}

static void drop(json_t **place) {
    json_decref(*place);
    *place = NULL;
}

/* What watches a tenant that is live fails of one that is not: that is no word about what go-live asks for. Whatever it
 * finds of a live one, four gates have to pass anew before that one can go live again. */
static bool only_watches(const json_t *record) {
    const json_t *inputs = json_object_get(record, "inputs"), *input = json_array_get(inputs, 0);
    return json_array_size(inputs) == 1 && json_is_true(json_object_get(input, "shipped")) &&
           strcmp(text(input, "id"), "first_week") == 0;
}

/* Scratch copies are no tenant's platform. */
static int note(void *ctx, const json_t *record, err *e) {
    history *h = ctx;
    (void)e;
    const char *kind = text(record, "kind");
    bool of_gates = strcmp(kind, "suite") == 0 || strcmp(kind, "gate") == 0;
    if (!of_gates || strcmp(text_in(record, "target", "platform"), "scratch") == 0 || only_watches(record)) {
        return 0;
    }
    bool approved = json_is_true(json_object_get(record, "approved"));
    if (strcmp(text_in(record, "tenant", "code"), h->q->code) != 0) {
        if (approved) {
            keep(&h->other, record);
        }
    } else if (approved) {
        keep(&h->approved, record);
        drop(&h->against);
    } else if (strcmp(text(record, "status"), "PASS") != 0) {
        keep(&h->against, record);
    } else {
        keep(&h->partial, record);
    }
    return 0;
}

static int refuse(const evidence_question *q, err *e) {
    return err_fix(e, VALIDATE, q->code);
}

/* There is an approval, and nothing after it speaks against it? */
static int find(const history *h, err *e) {
    const char *code = h->q->code;
    if (h->against != NULL) {
        const char *status = text(h->against, "status");
        bool error = strcmp(status, "ERROR") == 0;
        err_set(e, error ? "evidence_error" : "evidence_failed", "the last run for %s, record %lld, ended in %s%s",
                code, seq_of(h->against), status, error ? ": what could not be evaluated is no pass" : "");
        return refuse(h->q, e);
    }
    if (h->approved != NULL) {
        return 0;
    }
    if (h->partial != NULL) {
        err_set(e, "evidence_partial",
                "%s passed in part alone, last in record %lld: no run of all four gates approved it", code,
                seq_of(h->partial));
    } else if (h->other != NULL) {
        err_set(e, "evidence_none", "no run of the four gates for %s is on record; record %lld approves %s", code,
                seq_of(h->other), text_in(h->other, "tenant", "code"));
    } else {
        err_set(e, "evidence_none", "no run of the four gates for %s is on record", code);
    }
    return refuse(h->q, e);
}

/* --- what was approved --- */

static int check_complete(const evidence_question *q, const json_t *record, err *e) {
    static const char *const FOUR[] = {"rls_harness", "determinism_proof", "golden_path_e2e", "integrations_contract"};
    bool seen[sizeof FOUR / sizeof FOUR[0]] = {false};
    const char *missing = NULL, *bad = NULL, *taken = NULL;
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(record, "gates"), i, gate) {
        bool pass = strcmp(text(gate, "status"), "PASS") == 0 && json_array_size(json_object_get(gate, "checks")) > 0;
        bad = pass ? bad : text(gate, "id");
        taken = json_object_get(gate, "taken_over") != NULL ? text(gate, "id") : taken;
        for (size_t k = 0; k < sizeof FOUR / sizeof FOUR[0]; k++) {
            seen[k] = seen[k] || (pass && strcmp(text(gate, "id"), FOUR[k]) == 0);
        }
    }
    if (taken != NULL) {
        err_set(e, "evidence_resumed", "record %lld counts answers of %s which an earlier, interrupted run had made",
                seq_of(record), taken);
        return refuse(q, e);
    }
    for (size_t k = 0; k < sizeof FOUR / sizeof FOUR[0]; k++) {
        missing = seen[k] ? missing : FOUR[k];
    }
    bool whole = strcmp(text(record, "kind"), "suite") == 0 && json_is_false(json_object_get(record, "partial")) &&
                 strcmp(text(record, "status"), "PASS") == 0;
    if (bad != NULL || missing != NULL || !whole) {
        err_set(e, "evidence_incomplete", "record %lld claims an approval without a pass of %s", seq_of(record),
                bad != NULL       ? bad
                : missing != NULL ? missing
                                  : "the whole suite");
        return refuse(q, e);
    }
    return 0;
}

static int compare(const evidence_question *q, const json_t *record, const char *code, const char *what,
                   const char *then, const char *now, err *e) {
    if (now != NULL && *now != '\0' && strcmp(then, now) == 0) {
        return 0;
    }
    err_set(e, code, "record %lld is of another %s", seq_of(record), what);
    err_detail(e, "then %s, now %s", *then != '\0' ? then : "(unknown)",
               now != NULL && *now != '\0' ? now : "(unknown)");
    return refuse(q, e);
}

static int check_target(const evidence_question *q, const json_t *record, err *e) {
    static const struct {
        const char *key, *code, *what;
    } PARTS[] = {{"platform", "evidence_target", "platform"},
                 {"system_identifier", "evidence_target", "database server"},
                 {"host", "evidence_target", "host"},
                 {"database", "evidence_target", "database"},
                 {"schema_hash", "evidence_schema", "schema: the database was changed since"}};
    const json_t *then = json_object_get(record, "target");
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        const char *was = text(then, PARTS[i].key), *is = text(q->target, PARTS[i].key);
        /* A URL need not name a host (a socket's directory is a parameter of it); which server it is its identifier
         * says. */
        bool no_host = strcmp(PARTS[i].key, "host") == 0 && *was == '\0' && *is == '\0';
        if (!no_host && compare(q, record, PARTS[i].code, PARTS[i].what, was, is, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* RFC 3339 in UTC, as base/clock.h writes it → seconds since 1970; -1 = it is none. */
static int64_t seconds_of(const char *at) {
    struct tm tm = {0};
    const char *rest = strptime(at, "%Y-%m-%dT%H:%M:%S", &tm);
    return rest != NULL && strchr(rest, 'Z') != NULL ? (int64_t)timegm(&tm) : -1;
}

/* "24h" of the configuration, which its schema has checked. */
static int64_t span_seconds(const char *span) {
    char *unit = NULL;
    long long n = strtoll(span, &unit, 10);
    return n * (*unit == 'd' ? 86400 : *unit == 'h' ? 3600 : *unit == 'm' ? 60 : 1);
}

static int check_age(const evidence_question *q, const json_t *record, err *e) {
    const char *at = text(record, "at"), *span = text(q->keys, "max_age");
    int64_t then = seconds_of(at), most = span_seconds(*span != '\0' ? span : "24h");
    if (then < 0 || then > q->now + CLOCK_SLACK_S) {
        err_set(e, "evidence_future", "record %lld is of a time that is not yet: %s", seq_of(record), at);
        err_detail(e, "see whether this machine's clock is right");
        return refuse(q, e);
    }
    if (q->now - then > most) {
        err_set(e, "evidence_stale", "record %lld is of %s: older than evidence.max_age, %s", seq_of(record), at,
                *span != '\0' ? span : "24h");
        return refuse(q, e);
    }
    return 0;
}

static int check_all(const evidence_question *q, const char *path, const json_t *record, err *e) {
    dsse_trust *trust = calloc(1, sizeof *trust);
    int rc = trust != NULL ? evidence_trust(q->keys, trust, e) : err_set(e, "out_of_memory", "out of memory");
    rc = rc == 0 ? evidence_check(path, record, trust, e) : rc;
    free(trust);
    rc = rc == 0 ? check_complete(q, record, e) : rc;
    rc = rc == 0 ? compare(q, record, "evidence_tenant", "tenant: this one was made anew since",
                           text_in(record, "tenant", "id"), q->id, e)
                 : rc;
    rc = rc == 0 ? check_target(q, record, e) : rc;
    rc = rc == 0
             ? compare(q, record, "evidence_config", "configuration", text(record, "config_hash"), q->config_hash, e)
             : rc;
    rc = rc == 0 ? compare(q, record, "evidence_scripts", "build of gate-engine or of its scripts",
                           text(record, "build_hash"), q->build_hash, e)
                 : rc;
    return rc == 0 ? check_age(q, record, e) : rc;
}

int evidence_judge(const evidence_question *q, json_t **record, err *e) {
    const char *missing = q->ledger == NULL                         ? "evidence.ledger"
                          : json_object_get(q->keys, "key") == NULL ? "evidence.key"
                                                                    : NULL;
    if (missing != NULL) {
        err_set(e, "evidence_unconfigured", "go-live needs %s, which the configuration does not define", missing);
        return err_fix(e, "evidence = { ledger = \"evidence/ledger.jsonl\", key = file \"gate-engine.key\" }; "
                          "gate-engine evidence keygen makes a key");
    }
    history h = {.q = q};
    ledger_state at;
    int rc = ledger_read(q->ledger, note, &h, &at, e);
    rc = rc == 0 ? find(&h, e) : rc;
    rc = rc == 0 ? check_all(q, q->ledger, h.approved, e) : rc;
    if (rc == 0) {
        *record = json_incref(h.approved);
    }
    drop(&h.approved);
    drop(&h.against);
    drop(&h.partial);
    drop(&h.other);
    return rc;
}
