/* pgwire.h: messages of the PostgreSQL frontend/backend protocol 3, cut out of a stream of bytes.
 *
 * Source: PostgreSQL manual, chapter "Frontend/Backend Protocol", sections "Message Flow" and "Message Formats".
 * Nothing here knows a socket: bytes come in any portions, messages go out one by one, and of each no more is held than
 * its reader asked for, so that a COPY of gigabytes costs what an empty one does. */
#ifndef GE_PRIM_PGWIRE_H
#define GE_PRIM_PGWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A message, whole or its first `kept` bytes. */
typedef struct pgwire_message {
    char type;
    const char *body; /* borrowed, valid during the call; what follows the length word */
    size_t kept;
    size_t length; /* of the body as it was sent */
} pgwire_message;

/* How much of a message's body is wanted: 0 and more. Called once its type and length are known. */
typedef size_t (*pgwire_wants)(void *ctx, char type, size_t length);
/* A message came to its end. -1 with *e stops the stream. */
typedef int (*pgwire_takes)(void *ctx, const pgwire_message *m, err *e);

typedef struct pgwire {
    pgwire_wants wants;
    pgwire_takes takes;
    void *ctx;
    /* private */
    unsigned char head[5];
    size_t head_len;
    size_t length, left, keep;
    buf body;
} pgwire;

void pgwire_init(pgwire *w, pgwire_wants wants, pgwire_takes takes, void *ctx);
void pgwire_free(pgwire *w);
/* Takes n bytes. Errors: pgwire_message (a length that no message can have), out_of_memory, those of `takes`. */
int pgwire_feed(pgwire *w, const void *bytes, size_t n, err *e);
/* Between two messages? */
bool pgwire_idle(const pgwire *w);
/* Bytes until the next step of the message that comes: its head is whole, or the message. Whoever reads no more than
 * that stops exactly at a message's end. */
size_t pgwire_need(const pgwire *w);

/* ---- the packet a connection starts with; it has no type ---- */

#define PGWIRE_STARTUP_MAX 10000 /* as the server's own bound (pqcomm.h, MAX_STARTUP_PACKET_LENGTH) */

typedef enum {
    PGWIRE_MORE,     /* not all of it is there */
    PGWIRE_STARTUP,  /* protocol 3.x; the parameters follow */
    PGWIRE_SSL,      /* SSLRequest */
    PGWIRE_GSS,      /* GSSENCRequest */
    PGWIRE_CANCEL,   /* CancelRequest */
    PGWIRE_TLS,      /* a TLS handshake without the request for it (sslnegotiation=direct) */
    PGWIRE_PROTOCOL, /* another major version */
    PGWIRE_BAD       /* no such packet */
} pgwire_start;

/* What the bytes begin with; *length becomes the packet's whole length (except MORE, TLS and BAD). */
pgwire_start pgwire_start_of(const void *bytes, size_t n, size_t *length);
/* A parameter of a startup packet ("user", "database", "application_name", "replication"), borrowed, or NULL. */
const char *pgwire_parameter(const void *packet, size_t length, const char *name);

/* ---- reading the fields of a body ---- */

typedef struct pgwire_reader {
    const char *at, *end;
    bool failed; /* sticky: something was not there */
} pgwire_reader;

pgwire_reader pgwire_read(const pgwire_message *m);
/* A NUL-terminated text, borrowed; "" once failed. */
const char *pgwire_text(pgwire_reader *r);
int16_t pgwire_int16(pgwire_reader *r);
int32_t pgwire_int32(pgwire_reader *r);
/* n bytes, borrowed, or NULL once failed. */
const char *pgwire_bytes(pgwire_reader *r, size_t n);

/* ---- writing messages; each appends one to out ---- */

int pgwire_put(buf *out, char type, const void *body, size_t n);
/* An ErrorResponse of severity FATAL. */
int pgwire_put_fatal(buf *out, const char *sqlstate, const char *message, const char *hint);
/* AuthenticationSASL without the mechanisms that bind the TLS channel: through a relay the two ends have different
 * channels. 1 written changed, 0 written as it was, -1 when no mechanism would be left. */
int pgwire_put_unbound_sasl(buf *out, const pgwire_message *authentication);

#endif
