/* kept.h: answers that a gate's command gave in a run which then broke off, for the run that goes on.
 *
 * In the state directory: kept/key, 32 random bytes, and kept/SERIES/N, the answer number N of the last run of a script
 * for a tenant that did not come to its end. A file is the HMAC-SHA-256 of all that follows, in hexadecimal, a line
 * {"at", "identity", "answer"} of canonical JSON, and the answer's payload. `identity` holds everything the answer
 * depends on; only one that is the same in every part, whole and no older than a day, is given out. What is not says
 * why on standard error, and is made again.
 *
 * The key is out of a gate's reach. A command has the operator's rights (SECURITY.md): that is why no run that can
 * approve takes an answer over. */
#ifndef GE_RUN_KEPT_H
#define GE_RUN_KEPT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define KEPT_NUMBER_MAX 1000
#define KEPT_BYTES_MAX (16u << 20) /* a larger answer is not kept */
#define KEPT_AGE_MAX_S 86400

typedef struct kept kept;

/* The series of this name beneath `state`; what others left behind for longer than a day is removed. NULL with *e. */
kept *kept_open(const char *state, const char *series, err *e);
void kept_free(kept *k); /* NULL is fine */

/* What a command's answer depends on, a new reference: `depends` (what the run is), the command as declared with the
 * files it names, the request's arguments and conditions, its input and this machine. NULL with *e. */
json_t *kept_identity(const json_t *depends, const json_t *command, const json_t *request, const buf *input, err *e);

/* The answer of this number: true, with *answer a new reference and its payload appended; false where there is none, or
 * none that may be given out. */
bool kept_find(const kept *k, json_int_t number, const json_t *identity, json_t **answer, buf *payload);
/* Keeps one, synced and in one piece. What cannot be written is said, and is no error of the gate. */
void kept_put(kept *k, json_int_t number, const json_t *identity, const json_t *answer, const buf *payload);
/* The run came to its end: its answers are of no use any more. */
void kept_drop(kept *k);

#endif
