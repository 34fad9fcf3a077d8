/* engine_lifecycle.c: what go-live is asked for, and what follows from what an operation did to a tenant.
 *
 * The database's row decides. An operation of this program tells it as the fact "lifecycle"; what is missing in the
 * ledger of the last one that was interrupted is added by the next. */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/engine_parts.h"
#include "run/evidence.h"
#include "run/ledger.h"
#include "run/loader.h"
#include "run/status_file.h"

static const char *text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* --- before: the evidence --- */

/* The answers that are refusals by a rule; all others say that nothing could be found out. */
static bool is_refusal(const char *code) {
    static const char *const OF_LEDGER[] = {"ledger_broken", "ledger_truncated", "ledger_rewritten", NULL};
    bool refusal = strncmp(code, "evidence_", 9) == 0 && strcmp(code, "evidence_unconfigured") != 0;
    for (size_t i = 0; OF_LEDGER[i] != NULL; i++) {
        refusal = refusal || strcmp(code, OF_LEDGER[i]) == 0;
    }
    return refusal;
}

static json_t *refused(const err *e) {
    json_t *detail = *e->detail != '\0' ? json_sprintf("%s (%s)", e->message, e->detail) : json_string(e->message);
    return json_pack("{s:s, s:o, s:s*}", "refused", e->code, "detail", detail, "fix", *e->fix != '\0' ? e->fix : NULL);
}

static int ask(engine_run_state *s, json_t **record, err *e) {
    char configured[SHA256_HEX_SIZE], build[SHA256_HEX_SIZE];
    if (config_hash(s->r->cfg->doc, configured, e) != 0 || loader_build(build, e) != 0) {
        return -1;
    }
    json_t *now = evidence_target(json_object_get(s->report, "target"), s->prepared);
    if (now == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    evidence_question q = {.keys = json_object_get(s->r->cfg->doc, "evidence"),
                           .ledger = s->ledger.path,
                           .code = s->r->tenant,
                           .id = text(json_object_get(s->prepared, "tenant"), "id"),
                           .target = now,
                           .config_hash = configured,
                           .build_hash = build,
                           .now = (int64_t)time(NULL)};
    int rc = evidence_judge(&q, record, e);
    if (rc == 0 && !engine_is_trusted(s)) {
        rc = err_set(e, "evidence_install", "what is installed is not what this gate-engine was built with");
        err_fix(e, "install it again; go-live by changed scripts, or with --stdlib or LD_PRELOAD, proves nothing");
    }
    json_decref(now);
    return rc;
}

/* Of a ledger in the database: the last record that was judged, and what an activation's own record says of the target.
 * An operation adds that one in its transaction. */
static void tell_ledger(engine_run_state *s) {
    json_object_set_new(s->target.evidence, "ledger",
                        json_pack("{s:I, s:o}", "seq", s->ledger.at.seq, "target",
                                  evidence_target(json_object_get(s->report, "target"), s->prepared)));
}

int engine_judge(engine_run_state *s, err *e) {
    json_t *record = NULL;
    int rc = engine_ledger_find(s, e);
    rc = rc == 0 ? engine_anchor_check(s, NULL, e) : rc;
    rc = rc == 0 ? ask(s, &record, e) : rc;
    if (rc != 0 && !is_refusal(e->code)) {
        return -1;
    }
    json_decref(s->target.evidence);
    s->target.evidence = rc != 0
                             ? refused(e)
                             : json_pack("{s:O, s:O, s:O, s:O}", "seq", json_object_get(record, "seq"), "hash",
                                         json_object_get(record, "hash"), "at", json_object_get(record, "at"),
                                         "statement", json_object_get(json_object_get(record, "statement"), "sha256"));
    json_decref(record);
    if (rc == 0 && s->ledger.dir != NULL) {
        tell_ledger(s);
    }
    err_clear(e);
    return s->target.evidence != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
}

/* --- after: what was done --- */

const json_t *engine_lifecycle(const engine_run_state *s) {
    const json_t *gate = json_array_get(s->r->gates, 0);
    bool own = engine_is_operation(s->r) && json_is_true(json_object_get(gate, "shipped")) && !s->r->dry_run;
    const json_t *reported = json_array_get(json_object_get(s->report, "gates"), 0);
    const json_t *fact = json_object_get(json_object_get(reported, "facts"), "lifecycle");
    return own && json_is_object(fact) ? fact : NULL;
}

typedef struct sought {
    const char *tenant, *event;
    bool found;
} sought;

static int look(void *ctx, const json_t *record, err *e) {
    sought *w = ctx;
    (void)e;
    const char *kind = text(record, "kind"), *event = text(record, "event");
    const char *tenant = text(json_object_get(record, "tenant"), "id");
    w->found = w->found || (kind != NULL && strcmp(kind, "activation") == 0 && event != NULL && tenant != NULL &&
                            strcmp(event, w->event) == 0 && strcmp(tenant, w->tenant) == 0);
    return 0;
}

int engine_activation(const engine_run_state *s, ledger *l, err *e) {
    const json_t *fact = engine_lifecycle(s), *done = json_object_get(fact, "activation");
    sought w = {.tenant = text(fact, "tenant_id"), .event = text(done, "event")};
    char now[CLOCK_RFC3339_MAX];
    if (w.tenant == NULL || w.event == NULL) {
        return 0;
    }
    if (ledger_scan(l, look, &w, e) != 0) {
        return -1;
    }
    if (w.found) {
        return 0;
    }
    clock_rfc3339(now, sizeof now);
    json_t *record = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:O?, s:O?, s:o}", "at", now, "kind", "activation",
                               "status", "active", "tenant", "code", s->r->tenant, "id", w.tenant, "event", w.event,
                               "activated", json_object_get(done, "at"), "evidence", json_object_get(done, "statement"),
                               "target", evidence_target(json_object_get(s->report, "target"), s->prepared));
    int rc = record != NULL ? ledger_place(l, record, e) : err_set(e, "out_of_memory", "out of memory");
    rc = rc == 0 ? ledger_append(l, record, e) : rc;
    json_decref(record);
    return rc;
}

/* --- tenant-status.json --- */

static const char *auth_mode(const json_t *settings) {
    const json_t *auth = json_object_get(settings, "auth");
    bool entra = json_object_get(auth, "entra") != NULL, key = json_object_get(auth, "api_key") != NULL;
    bool embedded = strcmp(text(settings, "platform"), "embedded") == 0; /* it knows API keys alone */
    return entra && key ? "mixed" : entra ? "entra_id" : key || embedded ? "api_key" : "unknown";
}

/* What the file is to say: the database's status and packs, and of a tenant that went live just now what its evidence
 * proved. */
static json_t *status_keys(const engine_run_state *s, const json_t *fact) {
    const char *status = text(fact, "status");
    json_t *packs = json_object_get(fact, "packs");
    json_t *keys =
        json_pack("{s:s, s:s}", "status", status != NULL ? status : "", "auth_mode", auth_mode(s->r->cfg->doc));
    if (keys != NULL && json_is_array(packs)) {
        json_object_set(keys, "packs", packs);
    }
    const char *at = text(s->target.evidence, "at");
    if (keys != NULL && at != NULL && status != NULL && strcmp(status, "active") == 0) {
        json_object_set_new(keys, "rls_mode", json_string("enforced"));
        json_object_set_new(keys, "last_security_smoke",
                            json_pack("{s:s, s:s, s:n}", "ts", at, "result", "PASS", "details"));
    }
    return keys;
}

int engine_status_file(const engine_run_state *s, err *e) {
    const json_t *fact = engine_lifecycle(s);
    const char *path = text(s->r->cfg->doc, "status_file");
    if (fact == NULL || path == NULL) {
        return 0;
    }
    json_t *keys = status_keys(s, fact);
    int rc =
        keys != NULL ? status_file_update(path, s->r->tenant, keys, e) : err_set(e, "out_of_memory", "out of memory");
    json_decref(keys);
    if (rc != 0) {
        log_line(LOG_WARN, "the database has it, %s does not yet: run this again, then it will", path);
    }
    return rc;
}
