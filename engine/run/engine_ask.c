/* engine_ask.c: jobs of the engine's own library on the databases of a configuration, for verbs that run no script. */
#include <stdlib.h>
#include <string.h>

#include "run/engine_parts.h"
#include "run/signals.h"

#define ASK_S 120

static int run_job(engine_run_state *s, const char *mode, const json_t *roles, json_t *input, json_t **result, err *e) {
    json_t *gate = json_pack("{s:{s:s, s:s, s:{s:O, s:b, s:b}, s:{}}, s:{}}", "head", "id", mode, "name", mode, "needs",
                             "db", roles, "solver", 0, "audits", 0, "failures", "options");
    engine_task t;
    int rc = gate != NULL ? engine_task_init(s, &t, gate, mode, NULL, e) : err_set(e, "out_of_memory", "out of memory");
    json_decref(gate);
    if (rc != 0) {
        return -1;
    }
    json_object_set(t.job, "input", input);
    t.pool.wall_s = ASK_S;
    rc = engine_pool(s, &t.pool, 1, e);
    const json_t *told = book_result(t.pool.book);
    if (rc == 0 && signals_flag != 0) {
        rc = err_set(e, "interrupted", "interrupted");
    } else if (rc == 0 && told != NULL) {
        *result = json_incref((json_t *)told);
    } else if (rc == 0) {
        engine_worker_error(t.pool.book, e);
        rc = -1;
    }
    engine_task_free(&t);
    return rc;
}

int engine_ask(const config *cfg, const char *mode, const json_t *roles, json_t *input, json_t **result, err *e) {
    run_request r = {.verb = mode, .cfg = cfg, .repeat = 1, .script = strdup(mode), .head = json_object()};
    r.raw = json_object();
    r.gates = json_array();
    r.reports = json_array();
    engine_run_state s;
    bool made =
        r.script != NULL && r.head != NULL && r.raw != NULL && r.gates != NULL && r.reports != NULL && input != NULL;
    int rc = made ? engine_open(&s, &r, e) : err_set(e, "out_of_memory", "out of memory");
    rc = rc == 0 ? run_job(&s, mode, roles, input, result, e) : rc;
    if (made) {
        engine_close(&s);
    }
    free(r.script);
    json_decref(r.head);
    json_decref(r.raw);
    json_decref(r.gates);
    json_decref(r.reports);
    return rc;
}
