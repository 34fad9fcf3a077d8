/* broker.h: what a contained worker asks of the supervisor: resolve a configured name, start a declared command, run a
 * tenant audit.
 *
 * Nothing here blocks: each request is a child process with limits of its own, watched by the supervisor's loop. What a
 * gate's head does not declare, or the configuration does not name, is refused. */
#ifndef GE_RUN_BROKER_H
#define GE_RUN_BROKER_H

#include <jansson.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Requests that may run at once, and the descriptors they may be waited for by. */
#define BROKER_JOBS_MAX 128
#define BROKER_POLL_MAX (4 * BROKER_JOBS_MAX)
/* Bytes that one gate's requests may hold here: input not yet taken, output not yet answered, answers not yet read. */
#define BROKER_BYTES_MAX (256u << 20)

typedef struct broker broker;

typedef struct broker_options {
    const json_t
        *commands; /* {name: {"argv": [], "env": {}?, "cwd"?, "wall_s"?, "memory_mb"?}}: those this gate declared */
    const json_t
        *audits; /* [{"id", "name", "path", "source"|"error": {code, message}, "pack"?, "history"?}]; empty where not
                    declared. pack: of the plans it may see; history: earlier weeks that it must see */
    const json_t *hosts; /* [names] that may be resolved */
    const char *audit_program;
    const json_t *audit_helpers; /* {"roster": source} */
    uint64_t audit_memory;       /* bytes; an audit's own "memory_bytes" and "wall_s" are stronger */
    double audit_wall_s;
    const json_t *keep; /* {"state": directory, "series", "run": {…}}: where answers are kept for a run that goes on
                           after this one broke off, and what they depend on (kept.h); NULL: none are */
} broker_options;

broker *broker_new(const broker_options *o);
/* Kills and reaps whatever still runs. */
void broker_free(broker *b);

/* The gate came to its end, well or badly: answers kept for one that goes on are dropped. */
void broker_ended(broker *b);
/* How many answers were not made by this run. */
size_t broker_taken(const broker *b);

/* Takes a request with its payload (stdin of a command, the plan of an audit) and sooner or later appends one reply
 * frame to `out`. -1 only where the request is malformed; what cannot be done is a reply. */
int broker_request(broker *b, const json_t *request, const buf *payload, buf *out, err *e);

/* Appends an answer without a result: yes, or where `why` is given that. */
void broker_answer(buf *out, json_int_t id, const err *why);

/* The descriptors to wait for, appended to p (at most max); returns how many. */
size_t broker_poll(broker *b, struct pollfd *p, size_t max);
/* Monotonic ms of the next deadline, or INT64_MAX. */
int64_t broker_deadline(const broker *b);
/* What the audits that ran used of what they had: {"FILE.lua memory_bytes": {"peak", "limit"}, …}, a new reference. */
json_t *broker_budgets(const broker *b);
/* Does what can be done now; replies are appended to `out`. */
void broker_step(broker *b, buf *out);
/* Runs one audit outside of any gate on a plan from a file and waits for it (for `run AUDIT --plan`). `earlier` (may be
 * NULL) are the lengths of the texts of earlier weeks, newest first, that stand in `plan` behind its own. The verdict
 * is a new reference; NULL with *e set. */
json_t *broker_audit_now(broker *b, size_t index, const buf *plan, const json_t *earlier, err *e);

#endif
