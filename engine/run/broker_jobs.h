/* broker_jobs.h: the broker's children: a command, a name look-up, an audit. Used by broker.c alone. */
#ifndef GE_RUN_BROKER_JOBS_H
#define GE_RUN_BROKER_JOBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "run/broker_perturb.h"
#include "run/child.h"

typedef enum { JOB_COMMAND, JOB_RESOLVE, JOB_AUDIT } job_kind;

typedef struct job {
    struct job *next;
    job_kind kind;
    json_int_t id;
    child c;
    child beside[NEIGHBOURS_MAX]; /* busy while it runs */
    int in, out, er;              /* our ends, non-blocking; -1 = closed */
    buf input;                    /* still to be written */
    buf output, errors;
    int64_t started, deadline; /* monotonic ms */
    double wall_s;
    bool timed_out, too_large, ended;
    bool no_memory; /* there was none to keep its output: it was ended for that */
    int status;
    struct rusage usage;
    uint64_t memory, cpu_s; /* of an audit: its limits */
    char *name;             /* of the command or host, for messages */
    json_t *applied;        /* perturbations: {"applied": {}, "not_applied": {}} */
    json_int_t keep;        /* its answer is kept under this number; 0: it is not */
    json_t *identity;       /* of a kept one: what it depends on */
    json_t *earlier;        /* the answer that was kept before, and is to be compared; else NULL */
    buf earlier_payload;
} job;

typedef struct job_audit_options {
    const char *program;
    const json_t *helpers;
    uint64_t memory;
    double wall_s;
    bool saved;            /* the plan comes from a file */
    const json_t *earlier; /* lengths of the earlier weeks' texts behind the plan's; NULL: none */
} job_audit_options;

/* Each starts a child and returns its job (owned by the caller), or NULL with *e set. */
job *job_command(const char *name, const json_t *command, const json_t *request, const buf *input, err *e);
job *job_resolve(const char *host, err *e);
job *job_audit(const json_t *audit, const job_audit_options *o, const buf *plan, err *e);

/* Moves bytes and looks at the deadline; true once the child has ended and all is read. Of its output it keeps at most
 * `room` bytes more. */
bool job_step(job *j, size_t room);
/* Bytes it holds. */
size_t job_bytes(const job *j);
/* The answer of an ended job, a new reference, its payload appended; NULL with *e set where it failed. */
json_t *job_answer(job *j, buf *payload, err *e);
void job_free(job *j);

#endif
