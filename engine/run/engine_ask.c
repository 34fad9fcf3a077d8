/* engine_ask.c: jobs of the engine's own library on the databases of a configuration, for verbs that run no script. */
#include <stdlib.h>
#include <string.h>

#include "run/engine_parts.h"
#include "run/signals.h"

#define ASK_S 120

typedef struct question {
    const char *mode;
    const json_t *roles;
    json_t *input, **result;
} question;

static int run_job(engine_run_state *s, void *ctx, err *e) {
    const question *q = ctx;
    const char *mode = q->mode;
    json_t *gate = json_pack("{s:{s:s, s:s, s:{s:O, s:b, s:b}, s:{}}, s:{}}", "head", "id", mode, "name", mode, "needs",
                             "db", q->roles, "solver", 0, "audits", 0, "failures", "options");
    engine_task t;
    int rc = gate != NULL ? engine_task_init(s, &t, gate, mode, NULL, e) : err_set(e, "out_of_memory", "out of memory");
    json_decref(gate);
    if (rc != 0) {
        return -1;
    }
    json_object_set(t.job, "input", q->input);
    t.pool.wall_s = ASK_S;
    rc = engine_pool(s, &t.pool, 1, e);
    const json_t *told = book_result(t.pool.book);
    if (rc == 0 && signals_flag != 0) {
        rc = err_set(e, "interrupted", "interrupted");
    } else if (rc == 0 && told != NULL) {
        *q->result = json_incref((json_t *)told);
    } else if (rc == 0) {
        engine_worker_error(t.pool.book, e);
        rc = -1;
    }
    engine_task_free(&t);
    return rc;
}

static int with(const config *cfg, const char *mode, int (*open)(engine_run_state *s, const run_request *r, err *e),
                int (*act)(engine_run_state *s, void *ctx, err *e), void *ctx, err *e) {
    run_request r = {.verb = mode, .cfg = cfg, .repeat = 1, .script = strdup(mode), .head = json_object()};
    r.raw = json_object();
    r.gates = json_array();
    r.reports = json_array();
    engine_run_state s;
    bool made = r.script != NULL && r.head != NULL && r.raw != NULL && r.gates != NULL && r.reports != NULL;
    int rc = made ? open(&s, &r, e) : err_set(e, "out_of_memory", "out of memory");
    rc = rc == 0 ? act(&s, ctx, e) : rc;
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

int engine_with(const config *cfg, const char *mode, int (*act)(engine_run_state *s, void *ctx, err *e), void *ctx,
                err *e) {
    return with(cfg, mode, engine_open, act, ctx, e);
}

int engine_with_offline(const config *cfg, const char *mode, int (*act)(engine_run_state *s, void *ctx, err *e),
                        void *ctx, err *e) {
    return with(cfg, mode, engine_open_offline, act, ctx, e);
}

int engine_ask(const config *cfg, const char *mode, const json_t *roles, json_t *input, json_t **result, err *e) {
    question q = {.mode = mode, .roles = roles, .input = input, .result = result};
    return input != NULL ? engine_with(cfg, mode, run_job, &q, e) : err_set(e, "out_of_memory", "out of memory");
}

typedef struct copy {
    char **dir, **path;
} copy;

/* The copy outlives the run that made it. */
static int fetch_copy(engine_run_state *s, void *ctx, err *e) {
    const copy *c = ctx;
    if (engine_ledger_find(s, e) != 0) {
        return -1;
    }
    *c->dir = s->ledger.dir;
    *c->path = s->ledger.path;
    s->ledger = (engine_ledger){.path = NULL};
    return 0;
}

int engine_ledger_copy(const config *cfg, char **dir, char **path, err *e) {
    copy c = {.dir = dir, .path = path};
    *dir = *path = NULL;
    return engine_with(cfg, "ledger", fetch_copy, &c, e);
}
