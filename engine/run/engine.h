/* engine.h: a run, as asked for, and the one way to do it. Front doors (run, recover) fill a run_request; the
 * supervisor carries it out. */
#ifndef GE_RUN_ENGINE_H
#define GE_RUN_ENGINE_H

#include <jansson.h>
#include <stdbool.h>

#include "run/config.h"
#include "run/evidence.h"

/* Whom a run is for that names nobody: the embedded platform's own, for demonstrations. */
#define ENGINE_DEMO_TENANT "demo"

typedef struct run_request {
    const char *verb; /* "run" or "recover" */
    char *script; /* as reports name it: relative to the installed tree or the working directory where it lies there */
    const config *cfg;
    json_t *head;  /* of the script (head.h) */
    json_t *raw;   /* of the script (loader.h) */
    json_t *gates; /* [{"head", "raw", "options"}] in order of running; one entry for a single gate, an operation or an
                    * audit. options: every option of the head that has a value; a path or audit option is {"path":
                    * absolute, "access"}, or a list of those with multiple */
    char *tenant;
    json_t *only;     /* names of checks and groups, or NULL */
    json_t *baseline; /* known findings (baseline.h), or NULL */
    json_t *reports;  /* [{"format", "file"}]; never NULL */
    bool verbose, trace, strict, dry_run, apply;
    int jobs;         /* gates side by side; 0 = as many as there are processors */
    double timeout_s; /* per gate; 0 = the configuration's */
    int repeat;       /* at least 1 */
    char *stdlib_dir; /* replaces the installed stdlib; NULL = the installed one */
    char *stamp;      /* of the installed tree, before anything of it was loaded (integrity.h) */
    json_t *record;   /* {"file": absolute, "listen": text or null, "command": [words]}, or NULL: nothing is recorded */
    json_t *scratch;  /* {"path": absolute, "dir": bool, "app", "column", "setting": text or absent}: the schema that is
                       * loaded into a server of the run's own, or NULL */
    json_t *against;  /* {"path", "dir"}: the schema it is compared with, or NULL */
    char *plan_path;  /* a tenant audit's plan: file or directory, absolute; NULL = none */
} run_request;

/* Carries the request out: text to standard output, reports to their files. Returns the process's exit code. */
int engine_run(const run_request *r);

/* Runs a job of the engine's own library (stdlib/internal/MODE.lua) with these roles' connections (["admin"]) and an
 * input; *result is its value, a new reference. Errors: the job's, those of workers. */
int engine_ask(const config *cfg, const char *mode, const json_t *roles, json_t *input, json_t **result, err *e);

/* Copies the ledger of the platform's database (evidence.ledger = "database") into a directory of its own, *dir, as
 * the file *path with head and statements. Both in new memory; the caller removes the directory. Errors: those of
 * opening the platform, ledger_unkept, ledger_unreachable. */
int engine_ledger_copy(const config *cfg, char **dir, char **path, err *e);

/* Is the configuration's ledger the one that others know: its anchor, and the platform's database, which says by which
 * record each tenant went live? Of a ledger in a file the database is asked only where that is `empty`. 0 also where
 * nobody knows it. Errors: ledger_truncated, evidence_anchor, those of reaching them. */
int engine_ledger_verify(const config *cfg, bool empty, err *e);

/* Puts a run on record that never began, where the configuration names a ledger. Its kind is "refused", so that it
 * proves nothing either way. Errors: those of ledger.h and of engine_ledger_copy. */
int engine_refused(const config *cfg, const evidence_refusal *r, err *e);

#endif
