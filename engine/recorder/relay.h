/* relay.h: one client, its connection to the database, and the bytes between them.
 *
 * What a client sends reaches the server unchanged and the other way round, with two exceptions: a request for
 * encryption is answered here (no), and offers of channel binding are left out, since the client's channel is not the
 * server's. Nobody waits for a slow peer but its own other side: each direction holds at most RELAY_PENDING bytes. */
#ifndef GE_RECORDER_RELAY_H
#define GE_RECORDER_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/pollset.h"
#include "prim/pgwire.h"
#include "recorder/recording.h"
#include "recorder/session.h"
#include "recorder/stream.h"

#define RELAY_PENDING 65536

typedef enum {
    RELAY_START,     /* the client has not said all of what it wants */
    RELAY_CONNECT,   /* the server has not taken the connection */
    RELAY_ASK,       /* asked the server for TLS, its answer is one byte */
    RELAY_HANDSHAKE, /* TLS with the server */
    RELAY_LOGIN,     /* until the server has let the client in */
    RELAY_OPEN,
    RELAY_LAST /* only what is owed to the client is still written */
} relay_phase;

typedef struct relay {
    relay_phase phase;
    stream client, server;
    short client_watch, server_watch; /* what the poll set has */
    buf start;                        /* of a client that is not through with its start */
    buf to_client, to_server;         /* read and not yet written */
    bool client_ended, server_ended;  /* has ended its own direction */
    bool server_told, client_told;    /* that end was passed on */
    bool cancels;                     /* a request to cancel, which has no session */
    bool closing;                     /* to be freed by its owner */
    size_t address;                   /* of the upstream, that is tried now */
    int64_t deadline;                 /* of what happens before the login, clock_ms() */
    pgwire from_client, from_server;
    session *session; /* owned; NULL before the startup packet */
    const upstream *up;
    recording *out;
} relay;

/* Takes the descriptor over. NULL out of memory (it is closed then). */
relay *relay_new(int client, const upstream *up, recording *out);
/* Moves what can be moved. Afterwards r->closing says whether it came to its end; the watches are up to date. */
void relay_step(relay *r, pollset *set);
/* As relay_step, where r->deadline has passed. */
void relay_expire(relay *r, pollset *set);
/* Closes both sides and ends the session in the recording. */
void relay_free(relay *r, pollset *set);

#endif
