/* engine_sound.c: is the ledger whole? Asked before anything is changed that is to stand in it, and by whoever verifies
 * the configuration's own: then also of what the platform's database knows of it. */
#include <stdio.h>
#include <string.h>

#include "run/engine_parts.h"
#include "run/evidence.h"

#define RESTORE "restore the ledger from a copy that has it: what has made a tenant active is on record nowhere else"

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

int engine_ledger_sound(engine_run_state *s, err *e) {
    ledger_state at;
    err why;
    err_clear(&why);
    int rc = engine_ledger_find(s, &why);
    if (rc == 0 && s->ledger.path != NULL) {
        rc = ledger_read(s->ledger.path, NULL, NULL, &at, &why);
        rc = rc == 0 ? engine_anchor_check(s, NULL, &why) : rc;
    }
    if (rc != 0) {
        err_set(e, why.code, "nothing was done: %s", why.message);
        err_detail(e, "%s", why.detail);
        err_fix(e, "%s", why.fix);
    }
    return rc;
}

/* --- what the database knows --- */

/* Takes out of the database's activations each that the ledger has. */
static int strike(void *ctx, const json_t *record, err *e) {
    json_t *left = ctx;
    char seq[32];
    (void)e;
    snprintf(seq, sizeof seq, "%lld", (long long)json_integer_value(json_object_get(record, "seq")));
    const char *hash = str(json_object_get(left, seq), "hash"), *own = str(record, "hash");
    if (hash != NULL && own != NULL && strcmp(hash, own) == 0) {
        json_object_del(left, seq);
    }
    return 0;
}

/* The database says by which record each tenant went live. Of a ledger in a file it may be another one's: that is asked
 * only where this one has no record at all. */
static int check_activations(const engine_run_state *s, const json_t *known, err *e) {
    const char *name = s->ledger.dir != NULL ? "core.ledger" : s->ledger.path, *seq;
    json_t *left = json_object(), *one;
    ledger_state at;
    size_t i;
    json_array_foreach(json_object_get(known, "activations"), i, one) {
        json_object_set(left, str(one, "seq"), one);
    }
    int rc =
        left != NULL ? ledger_read(s->ledger.path, strike, left, &at, e) : err_set(e, "out_of_memory", "out of memory");
    if (rc == 0 && (s->ledger.dir != NULL || at.seq == 0) && json_object_size(left) > 0) {
        seq = json_object_iter_key(json_object_iter(left));
        one = json_object_get(left, seq);
        err_set(e, "ledger_truncated",
                "%s has %lld records, and not record %s, by which tenant %s went live at %s (core.tenant_events)", name,
                (long long)at.seq, seq, str(one, "tenant"), str(one, "at"));
        rc = err_fix(e, RESTORE);
    }
    json_decref(left);
    return rc;
}

static int ask_known(engine_run_state *s, void *ctx, err *e) {
    const bool *database = ctx;
    json_t *known = NULL;
    /* First: what goes live meanwhile is in the ledger that is read afterwards. */
    int rc = *database ? engine_ledger_known(s, &known, e) : 0;
    s->prepared = json_incref(known); /* which database it is: the anchor's place */
    rc = rc == 0 ? engine_ledger_find(s, e) : rc;
    rc = rc == 0 ? engine_anchor_check(s, NULL, e) : rc;
    rc = rc == 0 && known != NULL ? check_activations(s, known, e) : rc;
    json_decref(known);
    return rc;
}

int engine_ledger_verify(const config *cfg, bool empty, err *e) {
    const json_t *keys = json_object_get(cfg->doc, "evidence");
    bool embedded = strcmp(str(cfg->doc, "platform"), "embedded") == 0;
    bool reached = embedded || json_object_get(json_object_get(cfg->doc, "database"), "operator") != NULL;
    bool database = evidence_in_database(cfg->doc) || (empty && reached);
    if (!database && json_object_get(keys, "anchor") == NULL) {
        return 0;
    }
    return engine_with_offline(cfg, "ledger", ask_known, &database, e);
}
