#include "recorder/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define START_MS 60000 /* a client may take so long to begin, a server so long to take it */
#define CHUNK 16384

static const unsigned char SSL_REQUEST[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

/* ---- messages ---- */

static size_t wants_of_client(void *ctx, char type, size_t length) {
    relay *r = ctx;
    return r->session != NULL ? session_wants(r->session, false, type, length) : 0;
}

static int take_of_client(void *ctx, const pgwire_message *m, err *e) {
    relay *r = ctx;
    return r->session != NULL ? session_client(r->session, m, e) : 0;
}

/* Until the client is let in every message goes on one by one, so that offers can be left out. */
static size_t wants_of_server(void *ctx, char type, size_t length) {
    relay *r = ctx;
    return r->phase == RELAY_LOGIN ? RELAY_PENDING : session_wants(r->session, true, type, length);
}

static int take_of_server(void *ctx, const pgwire_message *m, err *e) {
    relay *r = ctx;
    if (r->phase == RELAY_LOGIN) {
        if (m->kept < m->length) {
            return err_set(e, "recorder_protocol", "the server sent a message of %zu bytes before the login",
                           m->length);
        }
        int rc = m->type == 'R' && r->server.ssl != NULL ? pgwire_put_unbound_sasl(&r->to_client, m)
                                                         : pgwire_put(&r->to_client, m->type, m->body, m->kept);
        if (rc < 0) {
            return err_set(e, "recorder_sasl",
                           "the server accepts nothing but channel binding, which no relay can pass on");
        }
    }
    return session_server(r->session, m, e);
}

relay *relay_new(int client, const upstream *up, recording *out) {
    relay *r = calloc(1, sizeof *r);
    stream s = {.fd = client};
    if (r == NULL) {
        stream_close(&s);
        return NULL;
    }
    r->client = s;
    r->server = (stream){.fd = -1};
    r->up = up;
    r->out = out;
    r->deadline = clock_ms() + START_MS;
    r->to_client.limit = r->to_server.limit = 4 * RELAY_PENDING;
    pgwire_init(&r->from_client, wants_of_client, take_of_client, r);
    pgwire_init(&r->from_server, wants_of_server, take_of_server, r);
    return r;
}

void relay_free(relay *r, pollset *set) {
    (void)pollset_watch(set, r->client.fd, 0);
    (void)pollset_watch(set, r->server.fd, 0);
    stream_close(&r->client);
    stream_close(&r->server);
    session_free(r->session);
    pgwire_free(&r->from_client);
    pgwire_free(&r->from_server);
    buf_free(&r->start);
    buf_free(&r->to_client);
    buf_free(&r->to_server);
    free(r);
}

/* ---- ends ---- */

/* The client is told why, and then let go. */
static void refuse(relay *r, const char *sqlstate, const char *message, const char *hint) {
    if (pgwire_idle(&r->from_server) && !r->cancels) {
        (void)pgwire_put_fatal(&r->to_client, sqlstate, message, hint);
    }
    r->phase = RELAY_LAST;
}

static void refuse_err(relay *r, const err *e) {
    log_line(LOG_WARN, "recorder: %s", e->message);
    refuse(r, "08006", e->message, *e->fix != '\0' ? e->fix : NULL);
}

/* ---- towards the server ---- */

static void server_down(relay *r, int why) {
    char text[400];
    snprintf(text, sizeof text, "the recording proxy cannot reach the database at %s port %u: %s", r->up->name,
             r->up->port, strerror(why));
    log_line(LOG_WARN, "recorder: %s", text);
    refuse(r, "08001", text, "Check that the server runs, and database.app in the configuration.");
}

/* Tries addresses from r->address on. */
static void connect_next(relay *r, pollset *set, int why) {
    (void)pollset_watch(set, r->server.fd, 0);
    r->server_watch = 0;
    stream_close(&r->server);
    for (; r->address < r->up->n; r->address++) {
        r->server.fd = upstream_connect(r->up, r->address);
        if (r->server.fd >= 0) {
            r->phase = RELAY_CONNECT;
            return;
        }
        why = errno;
    }
    server_down(r, why);
}

static void connected(relay *r) {
    if (r->up->ctx == NULL) {
        r->phase = RELAY_LOGIN;
        return;
    }
    /* Eight bytes into an empty socket: it takes them whole, or it is broken. */
    ssize_t n = send(r->server.fd, SSL_REQUEST, sizeof SSL_REQUEST, MSG_NOSIGNAL);
    if (n != (ssize_t)sizeof SSL_REQUEST) {
        server_down(r, errno);
        return;
    }
    r->phase = RELAY_ASK;
}

static void step_connect(relay *r, pollset *set) {
    struct pollfd p = {.fd = r->server.fd, .events = POLLOUT};
    if (poll(&p, 1, 0) <= 0) {
        return;
    }
    int why = 0;
    socklen_t n = sizeof why;
    if (getsockopt(r->server.fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0 || why != 0) {
        r->address++;
        connect_next(r, set, why != 0 ? why : errno);
        return;
    }
    connected(r);
}

static void step_ask(relay *r) {
    char answer = 0; /* one byte and no more: what follows belongs to the handshake */
    ssize_t n = stream_read(&r->server, &answer, 1);
    err e;
    if (n == STREAM_AGAIN) {
        return;
    }
    if (n <= 0) {
        server_down(r, n == 0 ? ECONNRESET : errno);
    } else if (answer == 'S') {
        r->phase = RELAY_HANDSHAKE;
        if (upstream_secure(r->up, &r->server, &e) != 0) {
            refuse_err(r, &e);
        }
    } else if (r->up->tls >= TLS_REQUIRE) {
        err_set(&e, "recorder_tls", "the database at %s offers no TLS, and sslmode demands it", r->up->name);
        refuse_err(r, &e);
    } else {
        r->phase = RELAY_LOGIN;
    }
}

static void step_handshake(relay *r) {
    err e;
    int rc = stream_handshake(&r->server, &e);
    if (rc < 0) {
        refuse_err(r, &e);
    } else if (rc == 1) {
        r->phase = RELAY_LOGIN;
    }
}

/* ---- the client's start ---- */

static void begin_session(relay *r, pollset *set, size_t length, bool cancel) {
    const char *packet = r->start.data;
    err e;
    r->cancels = cancel;
    if (!cancel) {
        r->session = session_new(r->out, packet, length);
        if (r->session == NULL) {
            refuse(r, "53200", "the recording proxy is out of memory", NULL);
            return;
        }
    }
    /* What a client sends ahead of the answer is passed on with it. */
    if (buf_append(&r->to_server, packet, r->start.len) != 0 ||
        (!cancel && pgwire_feed(&r->from_client, packet + length, r->start.len - length, &e) != 0)) {
        refuse(r, "08P01", "the recording proxy cannot read what the client sends", NULL);
        return;
    }
    buf_free(&r->start);
    connect_next(r, set, EADDRNOTAVAIL);
}

/* The client wants encryption: it is told no, and goes on without or leaves. */
static void decline(relay *r, size_t length) {
    buf_consume(&r->start, length);
    (void)buf_putc(&r->to_client, 'N');
}

static void step_start(relay *r, pollset *set) {
    while (r->phase == RELAY_START) {
        size_t length = 0;
        switch (pgwire_start_of(r->start.data, r->start.len, &length)) {
        case PGWIRE_MORE:
            return;
        case PGWIRE_SSL:
        case PGWIRE_GSS:
            decline(r, length);
            break;
        case PGWIRE_CANCEL:
            begin_session(r, set, length, true);
            break;
        case PGWIRE_STARTUP:
            begin_session(r, set, length, false);
            break;
        case PGWIRE_TLS:
            log_line(LOG_WARN, "recorder: a client began with TLS; use sslmode=disable (or prefer, with "
                               "sslnegotiation=postgres) towards the recording proxy");
            r->closing = true;
            return;
        case PGWIRE_PROTOCOL:
            refuse(r, "0A000", "the recording proxy speaks protocol 3 only", NULL);
            break;
        case PGWIRE_BAD:
            r->closing = true;
            return;
        }
    }
}

static void read_start(relay *r, pollset *set) {
    char chunk[PGWIRE_STARTUP_MAX];
    ssize_t n = stream_read(&r->client, chunk, sizeof chunk);
    if (n > 0 && buf_append(&r->start, chunk, (size_t)n) == 0) {
        step_start(r, set);
    } else if (n != STREAM_AGAIN) {
        if (n == 0 && r->start.len == 0 && r->to_client.len == 0 && r->client_told) {
            log_line(LOG_WARN,
                     "recorder: a client left when it was refused TLS: use sslmode=prefer or disable towards the "
                     "recording proxy; its own way to the database is encrypted as database.app.url says");
        }
        r->closing = true;
    }
}

/* ---- both directions ---- */

static void flush(stream *s, buf *pending, bool *broken) {
    while (pending->len > 0) {
        ssize_t n = stream_write(s, pending->data, pending->len);
        if (n == STREAM_AGAIN) {
            return;
        }
        if (n < 0) {
            *broken = true;
            return;
        }
        buf_consume(pending, (size_t)n);
    }
}

/* Reads once, at most `most` bytes, and looks at what came; `pending` NULL: the messages are passed on by who takes
 * them. 1 something came, 0 nothing, -1 with *e. */
static int take_in(stream *from, size_t most, buf *pending, pgwire *wire, bool *ended, err *e) {
    char chunk[CHUNK];
    ssize_t n = stream_read(from, chunk, most < sizeof chunk ? most : sizeof chunk);
    if (n == STREAM_AGAIN) {
        return 0;
    }
    if (n <= 0) {
        *ended = true;
        return 0;
    }
    if (pending != NULL && buf_append(pending, chunk, (size_t)n) != 0) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    return pgwire_feed(wire, chunk, (size_t)n, e) == 0 ? 1 : -1;
}

static int from_client(relay *r, err *e) {
    int rc = 1;
    while (rc == 1 && !r->client_ended && r->to_server.len < RELAY_PENDING && !session_full(r->session)) {
        rc = take_in(&r->client, CHUNK, &r->to_server, &r->from_client, &r->client_ended, e);
    }
    return rc < 0 ? -1 : 0;
}

static int from_server(relay *r, err *e) {
    int rc = 1;
    while (rc == 1 && !r->server_ended && r->to_client.len < RELAY_PENDING) {
        if (r->phase == RELAY_LOGIN) {
            rc = take_in(&r->server, pgwire_need(&r->from_server), NULL, &r->from_server, &r->server_ended, e);
            if (session_ready(r->session)) {
                r->phase = RELAY_OPEN;
                r->deadline = 0;
            }
        } else {
            rc = take_in(&r->server, CHUNK, &r->to_client, &r->from_server, &r->server_ended, e);
        }
    }
    return rc < 0 ? -1 : 0;
}

/* A request to cancel has no answer: the server closes when it has read it. */
static void step_cancel(relay *r) {
    char chunk[512];
    bool broken = false;
    flush(&r->server, &r->to_server, &broken);
    ssize_t n = stream_read(&r->server, chunk, sizeof chunk);
    r->closing = broken || n != STREAM_AGAIN;
}

/* What TLS has read and not given yet makes no descriptor readable. */
static bool holds_back(const relay *r) {
    return r->server.ssl != NULL && SSL_pending(r->server.ssl) > 0 && !r->server_ended &&
           r->to_client.len < RELAY_PENDING;
}

static void step_open(relay *r) {
    err e;
    bool client_broken = false, server_broken = false;
    do {
        if (from_client(r, &e) != 0 || from_server(r, &e) != 0) {
            refuse_err(r, &e);
            return;
        }
        flush(&r->server, &r->to_server, &server_broken);
        flush(&r->client, &r->to_client, &client_broken);
    } while (holds_back(r) && !client_broken && !server_broken);
    if (client_broken) {
        r->closing = true;
        return;
    }
    if (r->client_ended && r->to_server.len == 0 && !r->server_told) {
        r->server_told = true;
        stream_end(&r->server);
    }
    if (r->server_ended || server_broken) {
        r->phase = RELAY_LAST;
    }
}

static void step_last(relay *r) {
    bool broken = false;
    flush(&r->client, &r->to_client, &broken);
    if (broken || r->to_client.len == 0) {
        r->closing = true;
    }
}

static void watch(pollset *set, int fd, short *had, short events) {
    if (fd >= 0 && *had != events && pollset_watch(set, fd, events) == 0) {
        *had = events;
    }
}

static void watch_again(relay *r, pollset *set) {
    bool flowing = r->phase == RELAY_OPEN || r->phase == RELAY_LOGIN;
    bool client_may = !r->client_ended && (r->phase == RELAY_START || (flowing && r->to_server.len < RELAY_PENDING &&
                                                                       !r->cancels && !session_full(r->session)));
    short client = (short)((client_may ? POLLIN : 0) | (r->to_client.len > 0 ? POLLOUT : 0));
    short server = 0;
    if (r->phase == RELAY_CONNECT || r->server.write_wait) {
        server = POLLOUT;
    }
    if (r->phase == RELAY_ASK || r->phase == RELAY_HANDSHAKE ||
        (flowing && !r->server_ended && r->to_client.len < RELAY_PENDING)) {
        server |= POLLIN;
    }
    /* Under TLS a write that waits says itself what for. */
    if (flowing && r->to_server.len > 0 && r->server.ssl == NULL) {
        server |= POLLOUT;
    }
    watch(set, r->client.fd, &r->client_watch, client);
    watch(set, r->server.fd, &r->server_watch, server);
}

void relay_step(relay *r, pollset *set) {
    if (r->phase == RELAY_START) {
        read_start(r, set);
        bool broken = false;
        r->client_told = r->client_told || r->to_client.len > 0;
        flush(&r->client, &r->to_client, &broken);
        r->closing = r->closing || broken;
    }
    if (r->phase == RELAY_CONNECT) {
        step_connect(r, set);
    }
    if (r->phase == RELAY_ASK) {
        step_ask(r);
    }
    if (r->phase == RELAY_HANDSHAKE) {
        step_handshake(r);
    }
    if (r->phase == RELAY_LOGIN || r->phase == RELAY_OPEN) {
        if (r->cancels) {
            step_cancel(r);
        } else {
            step_open(r);
        }
    }
    if (r->phase == RELAY_LAST) {
        step_last(r);
    }
    if (!r->closing) {
        watch_again(r, set);
    }
}

void relay_expire(relay *r, pollset *set) {
    if (r->phase == RELAY_START) {
        r->closing = true;
        return;
    }
    if (r->phase == RELAY_CONNECT) {
        r->address++;
        r->deadline = clock_ms() + START_MS;
        connect_next(r, set, ETIMEDOUT);
    } else {
        refuse(r, "08006", "the recording proxy waited too long for the database to let the client in", NULL);
    }
    relay_step(r, set);
}
