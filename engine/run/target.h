/* target.h: what a run is aimed at, and what of it each worker is handed. */
#ifndef GE_RUN_TARGET_H
#define GE_RUN_TARGET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/paths.h"
#include "prim/pg.h"
#include "prim/ring.h"
#include "run/broker.h"
#include "run/engine.h"

#define SCRATCH_OWNER "gate_owner" /* of a scratch copy's database: who runs the user's statements */

typedef struct target {
    bool embedded;
    bool scratch;      /* a copy of a schema in a server of the run's own */
    pg_server *server; /* embedded, scratch: owned */
    char *artifacts;   /* embedded: the local store's directory, owned */
    json_t *tenant;    /* {"code", "id"?}, owned */
    json_t *audits;    /* of the run: [{"id", "name", "path", "source"|"error"}], owned */
    json_t *helpers;   /* {"roster": source} for audits, owned */
    json_t *evidence;  /* what an operation that asks for it is told (ctx.evidence), owned; NULL = it did not ask */
    json_t *hosts;     /* names the broker may resolve, owned */
} target;

/* What needs no platform; then, with target_open, starts the embedded one where the configuration asks for it, until
 * the deadline (on clock_ms). */
int target_open_offline(target *t, const run_request *r, const paths *tree, err *e);
int target_open(target *t, const paths *tree, int64_t deadline, err *e);
void target_close(target *t);

/* The line that is shown first: what this run is aimed at. New memory. */
char *target_line(const target *t, const run_request *r);
/* The report's "target", a new reference. `prepared` is what the prepare worker found, or NULL. */
json_t *target_report(const target *t, const run_request *r, const json_t *prepared);

/* Reads a tenant audit in a loader; what is wrong with it is in its entry. Appends to t->audits; -1 only out of memory.
 */
int target_add_audit(target *t, const char *path, err *e);

/* An operation in a dry run? Then its worker can change nothing. */
bool target_is_dry(const run_request *r, const char *mode);
/* A worker's job (stdlib/internal/runner.lua) for one gate of the request: its options, and of the configuration what
 * its head declares. New reference; NULL out of memory. */
json_t *target_job(const target *t, const run_request *r, const json_t *gate, const char *mode);
/* What a worker with this job may read and write; directories that it is to write to are made. The paths are the job's
 * and the other arguments'; free the array alone. */
ring_path *target_paths(const json_t *job, const char *stdlib_dir, const char *script_dir, const paths *tree,
                        size_t *n);
/* The commands a gate declared, with its pack's solver where it needs one; new reference. */
json_t *target_commands(const run_request *r, const json_t *head, const paths *tree);

#endif
