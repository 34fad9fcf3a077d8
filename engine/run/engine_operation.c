/* engine_operation.c: the front door of operations: a script that changes something by an operator's will.
 *
 * It runs in a worker as a gate does. What differs: nobody but its steps changes anything, a refusal by a rule is exit
 * 1, saying nothing is an error, and the tenant need not be there yet. */
#include <string.h>

#include "run/engine_parts.h"
#include "run/report.h"

/* The embedded platform's own artifact store: one that the configuration gives no place. */
static bool needs_own_store(const run_request *r) {
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(json_object_get(r->head, "needs"), "stores"), i, name) {
        const json_t *spec = json_object_get(r->cfg->doc, json_string_value(name));
        const char *kind = json_string_value(json_object_get(spec, "kind"));
        if (kind != NULL && strcmp(kind, "local") == 0 && json_object_get(spec, "path") == NULL) {
            return true;
        }
    }
    return false;
}

/* Does it reach what only a running platform has? */
static bool needs_platform(const run_request *r) {
    const json_t *needs = json_object_get(r->head, "needs");
    return json_array_size(json_object_get(needs, "db")) > 0 || needs_own_store(r);
}

/* What was done on a platform that ends with the run is gone with it; a "DONE" alone would say otherwise. */
static void say_unkept(const engine_run_state *s) {
    const json_t *operation = json_array_get(json_object_get(s->report, "gates"), 0);
    bool did = false;
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(operation, "checks"), i, entry) {
        const char *step = json_string_value(json_object_get(entry, "step"));
        did = did || (step != NULL && strcmp(step, "done") == 0);
    }
    if (did && s->target.embedded && s->target.server != NULL && !pg_is_kept(s->target.server)) {
        json_array_append_new(s->said,
                              json_string("Nothing of this stays: the embedded platform was this run's own and "
                                          "ends with it. To keep one: gate-engine platform start"));
    }
}

static int run(engine_run_state *s, err *e) {
    json_t *prepared = NULL;
    if (needs_platform(s->r)) {
        if (engine_prepare(s, &prepared, e) != 0) {
            return -1;
        }
        report_set_target(s->report, target_report(&s->target, s->r, prepared));
        json_decref(prepared);
    }
    /* Judging says as a refusal of the operation's own what else is an error of the run. */
    bool judged = json_is_true(json_object_get(json_object_get(s->r->head, "needs"), "evidence"));
    if ((judged ? engine_judge(s, e) : engine_ledger_sound(s, e)) != 0) {
        return -1;
    }
    int rc = engine_collect_audits(s, e) == 0 ? engine_tasks(s, "operation", e) : -1;
    say_unkept(s);
    return rc;
}

int engine_operation(const run_request *r) {
    engine_run_state s;
    err e;
    err_clear(&e);
    int rc = needs_platform(r) ? engine_open(&s, r, &e) : engine_open_offline(&s, r, &e);
    if (rc == 0 && !needs_platform(r)) {
        engine_show_target(&s);
    }
    rc = rc == 0 ? run(&s, &e) : rc;
    int code = engine_finish(&s, rc, &e);
    code = engine_emit(&s, code, false);
    engine_close(&s);
    return code;
}
