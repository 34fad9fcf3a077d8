/* stream.h: a socket, plain or under TLS, that is never waited for; and where the database is. */
#ifndef GE_RECORDER_STREAM_H
#define GE_RECORDER_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

typedef struct stream {
    int fd;          /* owned; -1 = none */
    SSL *ssl;        /* owned; NULL = plain */
    bool write_wait; /* TLS: what it was asked last can go on only once the socket can be written to */
} stream;

enum { STREAM_AGAIN = -1, STREAM_BROKEN = -2 };

/* Up to n bytes: how many, 0 = the other side has ended its own, STREAM_AGAIN, STREAM_BROKEN. */
ssize_t stream_read(stream *s, void *to, size_t n);
ssize_t stream_write(stream *s, const void *from, size_t n);
/* Says that nothing more will be written. */
void stream_end(stream *s);
void stream_close(stream *s);

/* As libpq's sslmode (manual, section "SSL Support"); "allow" is taken for "prefer". */
typedef enum { TLS_DISABLE, TLS_PREFER, TLS_REQUIRE, TLS_VERIFY_CA, TLS_VERIFY_FULL } tls_mode;

#define UPSTREAM_ADDRESSES_MAX 16

typedef struct upstream {
    char *name; /* owned; host as it was given, or the socket's directory */
    uint16_t port;
    struct sockaddr_storage address[UPSTREAM_ADDRESSES_MAX];
    socklen_t length[UPSTREAM_ADDRESSES_MAX];
    size_t n;
    tls_mode tls;
    SSL_CTX *ctx; /* owned; NULL where no TLS is possible */
} upstream;

/* Resolves the host (blocking) and reads what TLS needs. Errors: recorder_config, recorder_resolve, recorder_tls. */
int upstream_open(upstream *u, const char *host, int port, const char *sslmode, const char *rootcert, err *e);
void upstream_close(upstream *u);
/* Begins to connect to address i: the descriptor, or -1 with errno. */
int upstream_connect(const upstream *u, size_t i);
/* Puts TLS on the stream; then stream_handshake until it gives 1. */
int upstream_secure(const upstream *u, stream *s, err *e);
/* 1 done, 0 not yet, -1 with *e. */
int stream_handshake(stream *s, err *e);

#endif
