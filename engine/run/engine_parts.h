/* engine_parts.h: shared by engine*.c alone: the state of one run. */
#ifndef GE_RUN_ENGINE_PARTS_H
#define GE_RUN_ENGINE_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/paths.h"
#include "run/engine.h"
#include "run/pool.h"
#include "run/progress.h"
#include "run/target.h"

/* One gate's worker and what it needs for as long as it runs; all owned. */
typedef struct engine_task {
    pool_task pool;
    json_t *job, *commands, *head;
    ring_path *paths;
    char *script_dir; /* may hold modules of the script's own */
    bool shown;       /* progress has named it */
} engine_task;

typedef struct engine_run_state {
    const run_request *r;
    paths tree;
    target target;
    json_t *report;     /* owned */
    json_t *said;       /* lines of an operation, owned */
    engine_task *tasks; /* one per gate, owned; NULL before and after */
    pool_task *running; /* what engine_pool runs now; not owned */
    progress *progress;
    char *audit_program, *stdlib_dir;
    double started;
} engine_run_state;

/* Opens the target and the report. Close in every case. Offline: no platform is started or connected to. */
int engine_open_offline(engine_run_state *s, const run_request *r, err *e);
int engine_open(engine_run_state *s, const run_request *r, err *e);
void engine_close(engine_run_state *s);
/* Runs the gates of the request into the report. */
int engine_gates(engine_run_state *s, err *e);
/* Closes the report; rc and e are what engine_open or engine_gates gave. Returns the exit code so far. */
int engine_finish(engine_run_state *s, int rc, const err *e);
int engine_emit(engine_run_state *s, int code, bool no_text);

/* `script` NULL: an internal job. The task is empty after a failure. */
int engine_task_init(engine_run_state *s, engine_task *t, const json_t *gate, const char *mode, const char *script,
                     err *e);
void engine_task_free(engine_task *t);
int engine_pool(engine_run_state *s, pool_task *tasks, size_t n, err *e);
bool engine_gates_are_installed(const engine_run_state *s);

/* Records the statements that come through a proxy, into the file of the request, and names it to the gates that look
 * at one. `prepared` says which database it is; NULL: it could not be asked. Errors: record_config, record_target,
 * record_failed, interrupted, those of the recorder. */
int engine_record(engine_run_state *s, const json_t *prepared, err *e);

/* Front doors. engine_recover and engine_audit return the exit code. */
int engine_recover(const run_request *r);
int engine_audit(const run_request *r);
int engine_operation(engine_run_state *s, err *e);

/* limits.KEY of the configuration, else the fallback: the schema refuses 0 and less. */
double engine_limit(const run_request *r, const char *key, double fallback);

#endif
