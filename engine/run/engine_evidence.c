/* engine_evidence.c: a run on record: the ledger's record of it, and where it approves the signed statement.
 *
 *   report, request, target ──► record ──► ledger (ledger.h)
 *                                  └─ approved, with a key ──► in-toto statement v1 in a DSSE envelope (dsse.h), whose
 *                                     predicate is the record as it stands in its place of the chain
 *
 * All texts come from the report, which is masked, or from the request; what the configuration hides is in neither. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "run/dsse.h"
#include "run/engine_parts.h"
#include "run/evidence.h"
#include "run/ledger.h"
#include "run/loader.h"
#include "run/report.h"

#define CHECKS_MAX 500

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "out of memory while the run was put on record");
}

/* --- who and where --- */

static json_t *clean(const char *s) {
    buf masked = BUF_INIT, shown = BUF_INIT;
    log_mask(&masked, s, strlen(s));
    text_sanitise(&shown, buf_str(&masked), masked.len, 1000, false);
    json_t *out = masked.failed || shown.failed ? NULL : json_stringn(buf_str(&shown), shown.len);
    buf_free(&masked);
    buf_free(&shown);
    return out;
}

/* The first of these variables that says something, or null. */
static json_t *from_env(const char *const *names) {
    for (; *names != NULL; names++) {
        const char *value = getenv(*names);
        if (value != NULL && *value != '\0') {
            return clean(value);
        }
    }
    return json_null();
}

/* As what CI systems call it (their manuals' lists of variables: GitHub, GitLab, Jenkins, Azure Pipelines). */
static json_t *environment(void) {
    static const char *const ACTOR[] = {"GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_REQUESTEDFOR", "SUDO_USER", NULL};
    static const char *const COMMIT[] = {"GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILD_SOURCEVERSION", NULL};
    static const char *const JOB[] = {"CI_JOB_URL", "BUILD_URL", NULL};
    json_t *actor = from_env(ACTOR), *job = from_env(JOB);
    struct passwd *me = json_is_null(actor) ? getpwuid(geteuid()) : NULL;
    if (me != NULL) {
        json_decref(actor);
        actor = clean(me->pw_name);
    }
    const char *server = getenv("GITHUB_SERVER_URL"), *repository = getenv("GITHUB_REPOSITORY"),
               *run = getenv("GITHUB_RUN_ID");
    if (json_is_null(job) && server != NULL && repository != NULL && run != NULL) {
        buf url = BUF_INIT;
        buf_printf(&url, "%s/%s/actions/runs/%s", server, repository, run);
        json_decref(job);
        job = clean(buf_str(&url));
        buf_free(&url);
    }
    return json_pack("{s:o, s:o, s:o}", "actor", actor, "commit", from_env(COMMIT), "job", job);
}

json_t *evidence_target(const json_t *reported, const json_t *prepared) {
    static const char *const COPIED[] = {"platform", "host", "database", "schema_hash", NULL};
    json_t *out = json_object();
    for (size_t i = 0; out != NULL && COPIED[i] != NULL; i++) {
        json_t *value = json_object_get(reported, COPIED[i]);
        json_object_set(out, COPIED[i], value != NULL ? value : json_null());
    }
    json_t *system = json_object_get(prepared, "system_identifier");
    json_object_set(out, "system_identifier", system != NULL ? system : json_null());
    return out;
}

/* --- what was run, and what came out --- */

static json_t *copy_texts(const json_t *from, const char *const *keys) {
    json_t *out = json_object();
    for (; out != NULL && *keys != NULL; keys++) {
        json_t *value = json_object_get(from, *keys);
        if (json_is_string(value) || json_is_boolean(value)) {
            json_object_set(out, *keys, value);
        }
    }
    return out;
}

static json_t *gate_result(const json_t *gate) {
    static const char *const OF_GATE[] = {"id", "status", "summary", NULL};
    static const char *const OF_CHECK[] = {"name", "status", "severity", "class", "object", "step", NULL};
    json_t *out = copy_texts(gate, OF_GATE), *checks = json_array();
    const json_t *all = json_object_get(gate, "checks");
    for (size_t i = 0; i < json_array_size(all) && i < CHECKS_MAX; i++) {
        json_array_append_new(checks, copy_texts(json_array_get(all, i), OF_CHECK));
    }
    if (json_array_size(all) > CHECKS_MAX) {
        json_object_set_new(out, "checks_more", json_integer((json_int_t)json_array_size(all) - CHECKS_MAX));
    }
    json_object_set_new(out, "checks", checks);
    json_object_set(out, "taken_over", json_object_get(gate, "taken_over"));
    return out;
}

static json_t *gate_results(const json_t *report) {
    json_t *out = json_array();
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        json_array_append_new(out, gate_result(gate));
    }
    return out;
}

/* What a gate said of its inputs and outputs: facts that are named as hashes. */
static json_t *hashes_of(const json_t *report, const char *id) {
    json_t *out = json_object();
    size_t i;
    json_t *gate, *value;
    const char *name;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        const char *mine = json_string_value(json_object_get(gate, "id"));
        json_object_foreach(json_object_get(gate, "facts"), name, value) {
            const char *tail = strstr(name, "hash");
            if (mine != NULL && strcmp(mine, id) == 0 && tail != NULL && strcmp(tail, "hash") == 0 &&
                json_is_string(value)) {
                json_object_set(out, name, value);
            }
        }
    }
    return out;
}

/* Options as they were given, masked as text. */
static json_t *options_of(const json_t *gate, err *e) {
    buf text = BUF_INIT, masked = BUF_INIT;
    json_t *out = NULL;
    if (canon_value(&text, json_object_get(gate, "options"), e) == 0 &&
        log_mask(&masked, buf_str(&text), text.len) == 0) {
        err ignored;
        out = canon_parse(buf_str(&masked), masked.len, &ignored);
        out = out != NULL ? out : json_stringn(buf_str(&masked), masked.len);
    }
    buf_free(&text);
    buf_free(&masked);
    return out;
}

static json_t *inputs_of(const engine_run_state *s, err *e) {
    json_t *out = json_array();
    size_t i;
    json_t *gate;
    json_array_foreach(s->r->gates, i, gate) {
        const char *id = json_string_value(json_object_get(json_object_get(gate, "head"), "id"));
        id = id != NULL ? id : "";
        json_array_append_new(out, json_pack("{s:s, s:O*, s:b, s:o, s:o}", "id", id, "sha256",
                                             json_object_get(json_object_get(gate, "raw"), "sha256"), "shipped",
                                             json_is_true(json_object_get(gate, "shipped")), "options",
                                             options_of(gate, e), "hashes", hashes_of(s->report, id)));
    }
    return out;
}

static json_t *record_new(const engine_run_state *s, err *e) {
    char now[CLOCK_RFC3339_MAX], configured[SHA256_HEX_SIZE], build[SHA256_HEX_SIZE];
    const json_t *r = s->report;
    clock_rfc3339(now, sizeof now);
    if (config_hash(s->r->cfg->doc, configured, e) != 0 || loader_build(build, e) != 0) {
        return NULL;
    }
    json_t *record = json_pack(
        "{s:s, s:s, s:O?, s:O, s:O, s:{s:O?, s:O?}, s:O, s:O, s:O, s:o, s:o, s:o, s:O, s:s, s:s, s:O, s:O?}", "at", now,
        "verb", s->r->verb, "kind", json_object_get(r, "kind"), "script", json_object_get(r, "script"), "name",
        json_object_get(r, "name"), "tenant", "code", json_object_get(r, "tenant"), "id",
        json_object_get(json_object_get(s->prepared, "tenant"), "id"), "status", json_object_get(r, "status"),
        "approved", json_object_get(r, "approved"), "started", json_object_get(r, "started"), "target",
        evidence_target(json_object_get(r, "target"), s->prepared), "gates", gate_results(r), "inputs", inputs_of(s, e),
        "tool", json_object_get(r, "tool"), "config_hash", configured, "build_hash", build, "trust",
        json_object_get(s->r->cfg->doc, "trust"), "error", json_object_get(json_object_get(r, "error"), "code"));
    if (record == NULL || json_object_set_new(record, "environment", environment()) != 0 ||
        json_object_set_new(record, "partial", json_boolean(json_is_true(json_object_get(r, "partial")))) != 0) {
        json_decref(record);
        record = NULL;
        no_memory(e);
    }
    return record;
}

/* --- the statement --- */

static json_t *statement_new(const json_t *record, err *e) {
    buf text = BUF_INIT;
    char digest[SHA256_HEX_SIZE];
    const json_t *tenant = json_object_get(record, "tenant");
    json_t *subject =
        json_pack("{s:O, s:O, s:O, s:O}", "tenant", tenant, "target", json_object_get(record, "target"), "config_hash",
                  json_object_get(record, "config_hash"), "build_hash", json_object_get(record, "build_hash"));
    json_t *out = NULL;
    if (subject != NULL && canon_value(&text, subject, e) == 0) {
        sha256_hex(buf_str(&text), text.len, digest);
        out = json_pack("{s:s, s:[{s:O, s:{s:s}}], s:s, s:O}", "_type", EVIDENCE_STATEMENT, "subject", "name",
                        json_object_get(tenant, "code"), "digest", "sha256", digest, "predicateType",
                        EVIDENCE_PREDICATE, "predicate", record);
    }
    buf_free(&text);
    json_decref(subject);
    return out;
}

static int write_statement(const char *ledger_path, const char *name, const buf *envelope, err *e) {
    char *file = evidence_statement_path(ledger_path, name);
    char *dir = file != NULL ? fs_dirname(file) : NULL;
    int rc = dir != NULL ? fs_mkdirs(dir, 0700, e) : no_memory(e);
    rc = rc == 0 ? fs_write_atomic(file, buf_str(envelope), envelope->len, 0600, e) : rc;
    free(dir);
    free(file);
    return rc;
}

/* Signs the placed record, writes the statement, and names it in the record. */
static int state_it(const json_t *keys, const char *ledger_path, json_t *record, err *e) {
    dsse_key key;
    if (dsse_key_read(json_string_value(json_object_get(keys, "key")), "evidence.key", &key, e) != 0) {
        return -1;
    }
    buf payload = BUF_INIT, envelope = BUF_INIT;
    char name[128], digest[SHA256_HEX_SIZE];
    snprintf(name, sizeof name, "%s-%lld.json",
             json_string_value(json_object_get(json_object_get(record, "tenant"), "code")),
             (long long)json_integer_value(json_object_get(record, "seq")));
    json_t *statement = statement_new(record, e);
    int rc = statement != NULL ? canon_value(&payload, statement, e) : no_memory(e);
    rc = rc == 0 ? dsse_seal(&envelope, DSSE_INTOTO, buf_str(&payload), payload.len, &key, e) : rc;
    rc = rc == 0 ? write_statement(ledger_path, name, &envelope, e) : rc;
    if (rc == 0) {
        sha256_hex(buf_str(&envelope), envelope.len, digest);
        rc = json_object_set_new(record, "statement",
                                 json_pack("{s:s, s:s, s:s}", "file", name, "sha256", digest, "keyid", key.id)) == 0
                 ? 0
                 : no_memory(e);
    }
    json_decref(statement);
    buf_free(&payload);
    buf_free(&envelope);
    dsse_key_wipe(&key);
    return rc;
}

/* --- on record --- */

/* The record is placed, and signed, anew where another writer was first. */
static int put_on_record(engine_run_state *s, ledger *l, void *ctx, err *e) {
    json_t *record = ctx;
    const json_t *keys = json_object_get(s->r->cfg->doc, "evidence");
    bool approved = json_is_true(json_object_get(record, "approved"));
    json_object_del(record, "hash");
    json_object_del(record, "statement");
    int rc = engine_anchor_check(s, l, e);
    rc = rc == 0 ? engine_activation(s, l, e) : rc;
    rc = rc == 0 ? ledger_place(l, record, e) : rc;
    if (rc == 0 && approved && json_object_get(keys, "key") == NULL) {
        log_line(LOG_WARN, "no statement is signed, and go-live asks for one: the configuration names no evidence.key");
    } else if (rc == 0 && approved) {
        rc = state_it(keys, l->path, record, e);
    }
    return rc == 0 ? ledger_append(l, record, e) : rc;
}

int engine_evidence(engine_run_state *s, err *e) {
    err_clear(e);
    int rc = engine_ledger_find(s, e);
    if (rc != 0 || s->ledger.path == NULL) {
        return rc;
    }
    json_t *record = record_new(s, e);
    rc = record != NULL ? evidence_history(s->ledger.path, record, s->report, e) : -1;
    rc = rc == 0 ? engine_ledger_write(s, put_on_record, record, e) : -1;
    json_decref(record);
    return rc;
}

static json_t *refusal_new(const evidence_refusal *r) {
    char now[CLOCK_RFC3339_MAX];
    clock_rfc3339(now, sizeof now);
    return json_pack("{s:s, s:s, s:s, s:o, s:{s:s?}, s:s, s:b, s:s, s:i, s:o}", "at", now, "verb", r->verb, "kind",
                     "refused", "script", r->script != NULL ? clean(r->script) : json_null(), "tenant", "code",
                     r->tenant, "status", "ERROR", "approved", 0, "error", r->code, "exit_code", r->exit_code,
                     "environment", environment());
}

static int put_refusal(engine_run_state *s, ledger *l, void *ctx, err *e) {
    (void)s;
    json_t *record = refusal_new(ctx);
    int rc = record != NULL ? ledger_place(l, record, e) : no_memory(e);
    rc = rc == 0 ? ledger_append(l, record, e) : rc;
    json_decref(record);
    return rc;
}

/* A file needs no platform. */
static int refused_in_file(const char *path, const evidence_refusal *r, err *e) {
    ledger l;
    int rc = ledger_open(&l, path, e);
    rc = rc == 0 ? put_refusal(NULL, &l, (void *)r, e) : rc;
    ledger_close(&l);
    return rc;
}

static int refused_in_database(engine_run_state *s, void *ctx, err *e) {
    return engine_ledger_write(s, put_refusal, ctx, e);
}

int engine_refused(const config *cfg, const evidence_refusal *r, err *e) {
    const char *path = json_string_value(json_object_get(json_object_get(cfg->doc, "evidence"), "ledger"));
    err_clear(e);
    if (path == NULL) {
        return 0;
    }
    return evidence_in_database(cfg->doc) ? engine_with(cfg, "ledger", refused_in_database, (void *)r, e)
                                          : refused_in_file(path, r, e);
}
