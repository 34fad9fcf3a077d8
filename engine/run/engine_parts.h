/* engine_parts.h: shared by engine*.c alone: the state of one run. */
#ifndef GE_RUN_ENGINE_PARTS_H
#define GE_RUN_ENGINE_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/paths.h"
#include "run/engine.h"
#include "run/ledger.h"
#include "run/pool.h"
#include "run/progress.h"
#include "run/target.h"

/* One gate's worker and what it needs for as long as it runs; all owned. */
typedef struct engine_task {
    pool_task pool;
    json_t *job, *commands, *head, *keep;
    ring_path *paths;
    char *script_dir; /* may hold modules of the script's own */
    bool shown;       /* progress has named it */
} engine_task;

/* The ledger that a run is put on record in; all owned. */
typedef struct engine_ledger {
    char *path;      /* NULL: none is configured, or nobody looked yet */
    char *dir;       /* it is a copy of the database's, in here; NULL: it is the configuration's own file */
    ledger_state at; /* of a copy: what of it the database has */
} engine_ledger;

typedef struct engine_run_state {
    const run_request *r;
    paths tree;
    target target;
    json_t *report;     /* owned */
    json_t *said;       /* lines of an operation, owned */
    engine_task *tasks; /* one per gate, owned; NULL before and after */
    pool_task *running; /* what engine_pool runs now; not owned */
    progress *progress;
    engine_ledger ledger;
    json_t *prepared; /* what was found out about tenant and target, owned; NULL: not asked, or it could not be */
    json_t *base;     /* --against: what was found before (baseline.h), owned; else NULL */
    char *audit_program, *stdlib_dir;
    double started;
    double prepare_s;   /* before its gates a run may take as long as one of them */
    int64_t prepare_by; /* on clock_ms */
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
/* As engine_pool, for one worker that is no gate's: no progress is shown for it. */
int engine_pool_apart(engine_run_state *s, pool_task *task, err *e);

/* Finds the tenant and reads the schema's hash. *prepared is a new reference, or NULL where an external database could
 * not be asked: then each gate says so itself. */
int engine_prepare(engine_run_state *s, json_t **prepared, err *e);
/* Reads the audits of the configuration and of options, where a script of the request runs audits. */
int engine_collect_audits(engine_run_state *s, err *e);
/* What ended an internal job's worker, as an error. */
void engine_worker_error(book *b, err *e);
/* As engine_pool_apart, for a job that prepares the run: it has at most `most_s`, and what is left of prepare_by.
 * Errors: prepare_timeout; with `what` as its subject. */
int engine_pool_prepare(engine_run_state *s, engine_task *t, double most_s, const char *what, err *e);
/* Loads the request's schema into the scratch server. Errors: scratch_* (the schema cannot be loaded: exit 2), those of
 * workers. */
int engine_scratch(engine_run_state *s, err *e);
/* Runs the gates of the request on a scratch copy of r->against; *base is what they found (baseline.h), owned by the
 * caller. Errors: scratch_against (it could not be evaluated), those of a run. */
int engine_base(const run_request *r, json_t **base, err *e);
/* The first line of standard error: what this run is aimed at. */
void engine_show_target(engine_run_state *s);
/* Runs a worker for each script of the request, in this mode, as often as the request says (--repeat), into the report.
 * The tasks of the last round stay. */
int engine_tasks(engine_run_state *s, const char *mode, err *e);
void engine_forget_tasks(engine_run_state *s);
/* The request's script is an operation? */
bool engine_is_operation(const run_request *r);

/* Puts the finished run on record where the configuration names a ledger: its record, and where the run approves its
 * statement, signed. Errors: those of ledger.h and dsse.h, evidence_statement. */
int engine_evidence(engine_run_state *s, err *e);

/* The file of the ledger, into s->ledger.path: NULL where none is configured, or none is for this run. One in the
 * database is copied, or its copy brought up to date. Errors: ledger_unkept, ledger_unreachable, ledger_open. */
int engine_ledger_find(engine_run_state *s, err *e);
void engine_ledger_free(engine_ledger *l);
/* Puts on record what `writes` adds to the open ledger, and brings the anchor in line. Of a ledger in the database it
 * is called again where another writer was first: it has to make its records anew then. Errors: those of
 * engine_ledger_find, ledger_raced, ledger.h's, those of the anchor, those of `writes`. */
typedef int (*engine_writes)(engine_run_state *s, ledger *l, void *ctx, err *e);
int engine_ledger_write(engine_run_state *s, engine_writes writes, void *ctx, err *e);

/* Where evidence.anchor is configured: does the ledger hold the record that its anchor knows? l: it is open; NULL: it
 * is read. And after a record was appended: that is what the anchor knows from now on. Errors: evidence_anchor (it does
 * not), anchor_unreachable, those of ledger.h. */
int engine_anchor_check(engine_run_state *s, ledger *l, err *e);
int engine_anchor_put(engine_run_state *s, const ledger *l, err *e);

/* Is the configured ledger whole, and the one that its anchor knows? Asked before anything is changed: what is done
 * must come to stand in it. Errors: those of engine_ledger_find and engine_anchor_check, ledger.h's. */
int engine_ledger_sound(engine_run_state *s, err *e);
/* What the platform's database knows of the ledger: {"system_identifier", "database", "activations": [{"seq", "hash",
 * "tenant", "at"}]}, a new reference; NULL where the platform ends with the run, and the ledger is a file. Errors:
 * those of engine_ledger_find. */
int engine_ledger_known(engine_run_state *s, json_t **known, err *e);

/* Judges the evidence for the tenant to go live, for an operation that asks (needs.evidence): into s->target.evidence,
 * what holds or why it does not. -1 where it could not be found out. */
int engine_judge(engine_run_state *s, err *e);
/* What an operation of this program says that the database says of the tenant now; NULL: this run is none, or changed
 * nothing. Borrowed. */
const json_t *engine_lifecycle(const engine_run_state *s);
/* Puts an activation that the database has into the ledger, once. */
int engine_activation(const engine_run_state *s, ledger *l, err *e);
/* Brings the configuration's status_file in line with it. */
int engine_status_file(const engine_run_state *s, err *e);
/* Gates, stdlib, modules and programs are what this program was built with, and stayed so? Says why not. */
bool engine_is_trusted(engine_run_state *s);

/* Records the statements that come through a proxy, into the file of the request, and names it to the gates that look
 * at one. `prepared` says which database it is; NULL: it could not be asked. Errors: record_config, record_target,
 * record_failed, interrupted, those of the recorder. */
int engine_record(engine_run_state *s, const json_t *prepared, err *e);

/* Opens what the configuration aims at, calls act and closes it again: for what is no run. */
int engine_with(const config *cfg, const char *mode, int (*act)(engine_run_state *s, void *ctx, err *e), void *ctx,
                err *e);

/* As engine_with; an embedded platform is started only where act asks for it. */
int engine_with_offline(const config *cfg, const char *mode, int (*act)(engine_run_state *s, void *ctx, err *e),
                        void *ctx, err *e);

/* Front doors; they return the exit code. */
int engine_recover(const run_request *r);
int engine_audit(const run_request *r);
int engine_operation(const run_request *r);

/* limits.scripts.ID.KEY of the configuration, else limits.KEY, else the fallback: the schema refuses 0 and less. `id`
 * may be NULL. */
double engine_limit(const run_request *r, const char *id, const char *key, double fallback);
/* Gives each audit of the run its own limits, as the broker reads them. 0 / -1 with *e. */
int engine_limit_audits(const run_request *r, json_t *audits, err *e);

#endif
