/* recording.h: the file of a recording: one JSON object a line.
 *
 *   {"format": "gate-engine/recording/1", "started", "engine", "command": program or null, "database",
 *    "system_identifier", "server", "schema_hash", "settings": […]}     first; the caller's header as it is
 *   {"t": "session", "s": 1, "user", "database", "application", "replication"}
 *   {"t": "session", "s": 1, …}                  again, with what has changed: another user or application
 *   {"t": "shape", "q": 1, "text": "…", "cut": true}   a statement, normalised; once, before it is first used
 *   {"t": "group", "s": 1, "st": [{"q": 1, "ok": true, "error"?: SQLSTATE, "c"?: [context]}], "tx": "I|T|E"}
 *        what was executed up to one ReadyForQuery, whose transaction state is tx; "rolled": true after an error;
 *        "more": true instead of tx: the group goes on; neither: the session ended before; "fn": oid instead of q: a
 *        FunctionCall; without ok nobody knows how it ended
 *   {"t": "gone", "s": 1}                        the session ended
 *   {"t": "lost", "s": 1}                        its answers fit its requests no more: what it ran is not known
 *   {"t": "end", "lines": n, "sha256": "…", …}   last: how many lines came before it, and the hash of their bytes
 *
 * A context is {"from", "k"?, "local"?, "v"?}: k is the setting's place in the header's list; v stands for its value,
 * the same for the same value in this recording, 0 for the empty one, absent where it is not known; from says how it
 * came: literal, parameter, expression, default. No value, and no literal of a statement, ever stands in the file. What
 * follows an "end" line is no part of the recording; a signature can stand there one day. */
#ifndef GE_RECORDER_RECORDING_H
#define GE_RECORDER_RECORDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct recording recording;

/* Writes the header. fd is borrowed. `settings` of the header are the names of the tenant's settings. */
recording *recording_new(int fd, const json_t *header, err *e);
void recording_free(recording *r);
/* Writes one line; steals the object. Errors: recording_write, out_of_memory; the first stays for all later calls. */
int recording_line(recording *r, json_t *line, err *e);
/* The number of a normalised statement; new ones are written first. 0 with *e. */
uint64_t recording_shape(recording *r, const char *text, size_t n, bool cut, err *e);
/* What stands for a value of a setting: 0 = empty, -1 = one too many. Nothing is kept but a keyed hash. */
int64_t recording_value(recording *r, const void *value, size_t n);
/* The number of a new session. */
uint64_t recording_session(recording *r);
void recording_count(recording *r, size_t statements);
const char *const *recording_settings(const recording *r, size_t *n);
/* Could everything be written so far? */
bool recording_whole(const recording *r);
/* Writes the last line, with how the recorded command ended (borrowed; NULL: none), and syncs the file. *totals is a
 * new reference to that line. */
int recording_end(recording *r, const char *reason, json_t *ended, json_t **totals, err *e);

#endif
