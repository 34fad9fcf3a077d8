/* session.h: what one client asks and the server answers, told to the recording group by group.
 *
 * A group is what is executed up to one ReadyForQuery: outside of BEGIN it is a transaction of its own (manual,
 * "Pipelining" and "Multiple Statements in a Simple Query"). Each statement of a group is told with how it ended, which
 * only the server's answers say. */
#ifndef GE_RECORDER_SESSION_H
#define GE_RECORDER_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "prim/pgwire.h"
#include "recorder/recording.h"

typedef struct session session;

/* From a startup packet. NULL out of memory. */
session *session_new(recording *out, const char *packet, size_t length);
/* Tells what is open and that it is gone; NULL is fine. */
void session_free(session *s);
/* How much of a message's body it needs. */
size_t session_wants(const session *s, bool of_server, char type, size_t length);
/* Errors: session_limit, recording_write, out_of_memory. */
int session_client(session *s, const pgwire_message *m, err *e);
int session_server(session *s, const pgwire_message *m, err *e);
/* The server has let the client in and waits for its first query. */
bool session_ready(const session *s);
/* So many answers are outstanding that nothing more should be read from the client. */
bool session_full(const session *s);

#endif
