/* engine_prepare.c: who the tenant is and what the target is, before any gate. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "run/engine_parts.h"
#include "run/signals.h"

#define PREPARE_S 30 /* at most, where --timeout says nothing */

static json_t *prepare_gate(const char *reader, const char *writer) {
    return json_pack("{s:{s:s, s:s, s:{s:[s, s], s:b, s:b}, s:{}}, s:{}}", "head", "id", "prepare", "name", "prepare",
                     "needs", "db", reader, writer, "solver", 0, "audits", 0, "failures", "options");
}

/* A platform that is kept holds the tenant from now on: that is not done without a word. */
static void say_created(const engine_run_state *s, const json_t *result) {
    if (json_is_true(json_object_get(result, "created")) && s->target.server != NULL && pg_is_kept(s->target.server)) {
        log_line(LOG_INFO, "the tenant %s was not on the kept platform and has been created (onboarding)",
                 s->r->tenant);
    }
}

/* May this run make the tenant, where it is not there? On a platform that ends with the run, always. One that is kept
 * gets the demonstration's from a gate, every other from create_tenant alone: it would refuse what is there already. */
static bool makes_tenant(const engine_run_state *s) {
    bool lasts = s->target.server != NULL && pg_is_kept(s->target.server);
    return s->target.embedded &&
           (!lasts || (!engine_is_operation(s->r) && strcmp(s->r->tenant, ENGINE_DEMO_TENANT) == 0));
}

int engine_prepare(engine_run_state *s, json_t **prepared, err *e) {
    const json_t *database = json_object_get(s->r->cfg->doc, "database");
    bool embedded = s->target.embedded, scratch = s->target.scratch, operation = engine_is_operation(s->r);
    bool admin = embedded || scratch || json_object_get(database, "admin") != NULL;
    *prepared = NULL;
    /* An operation may have no other connection than the one it changes things with. */
    if (!admin && (!operation || json_object_get(database, "operator") == NULL)) {
        return 0;
    }
    const char *reader = admin ? "admin" : "operator";
    json_t *gate = prepare_gate(reader, embedded ? "operator" : reader);
    engine_task t;
    int rc =
        gate != NULL ? engine_task_init(s, &t, gate, "prepare", NULL, e) : err_set(e, "out_of_memory", "out of memory");
    json_decref(gate);
    if (rc != 0) {
        return -1;
    }
    const char *tenant = json_string_value(json_object_get(s->r->head, "tenant"));
    bool any = tenant != NULL && strcmp(tenant, "any") == 0;
    json_object_set_new(t.job, "any_tenant", json_boolean(any));
    json_object_set_new(t.job, "no_tenants", json_boolean(scratch)); /* a schema has no rows */
    json_object_set_new(t.job, "own_schema", json_boolean(embedded));
    json_object_set_new(t.job, "create_tenant", json_boolean(!any && makes_tenant(s)));
    double most_s = s->r->timeout_s > 0 ? s->r->timeout_s : PREPARE_S;
    rc = engine_pool_prepare(s, &t, most_s, "tenant and schema could not be looked up", e);
    const json_t *result = book_result(t.pool.book);
    if (rc == 0 && signals_flag != 0) {
        rc = err_set(e, "interrupted", "interrupted before the first gate");
    } else if (rc == 0 && result != NULL) {
        *prepared = json_incref((json_t *)result);
        json_decref(s->prepared);
        s->prepared = json_incref((json_t *)result);
        json_object_update(s->target.tenant, json_object_get(result, "tenant"));
        say_created(s, result);
    } else if (rc == 0) {
        engine_worker_error(t.pool.book, e);
        bool unknown = strcmp(e->code, "tenant_unknown") == 0;
        rc =
            unknown || embedded || operation ? -1 : 0; /* nothing is changed for a tenant that could not be looked up */
    }
    engine_task_free(&t);
    return rc;
}
