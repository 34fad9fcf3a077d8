#include "recorder/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"

/* ---- reading and writing ---- */

static ssize_t tls_result(stream *s, int rc) {
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return STREAM_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        s->write_wait = true;
        return STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error();
        return STREAM_BROKEN;
    }
}

static ssize_t plain_result(ssize_t n) {
    return n >= 0 ? n : errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? STREAM_AGAIN : STREAM_BROKEN;
}

ssize_t stream_read(stream *s, void *to, size_t n) {
    if (s->ssl == NULL) {
        return plain_result(recv(s->fd, to, n, 0));
    }
    s->write_wait = false;
    size_t got = 0;
    int rc = SSL_read_ex(s->ssl, to, n, &got);
    return rc == 1 ? (ssize_t)got : tls_result(s, rc);
}

ssize_t stream_write(stream *s, const void *from, size_t n) {
    if (s->ssl == NULL) {
        return plain_result(send(s->fd, from, n, MSG_NOSIGNAL));
    }
    s->write_wait = false;
    size_t put = 0;
    int rc = SSL_write_ex(s->ssl, from, n, &put);
    ssize_t result = rc == 1 ? (ssize_t)put : tls_result(s, rc);
    return result == 0 ? STREAM_BROKEN : result;
}

void stream_end(stream *s) {
    if (s->ssl != NULL) {
        (void)SSL_shutdown(s->ssl);
        ERR_clear_error();
    }
    (void)shutdown(s->fd, SHUT_WR);
}

void stream_close(stream *s) {
    SSL_free(s->ssl);
    fs_close(&s->fd);
    *s = (stream){.fd = -1};
}

/* ---- where the database is ---- */

static int parse_mode(const char *text, tls_mode *out) {
    static const struct {
        const char *name;
        tls_mode mode;
    } MODES[] = {{"disable", TLS_DISABLE}, {"allow", TLS_PREFER},        {"prefer", TLS_PREFER},
                 {"require", TLS_REQUIRE}, {"verify-ca", TLS_VERIFY_CA}, {"verify-full", TLS_VERIFY_FULL}};
    for (size_t i = 0; i < sizeof MODES / sizeof MODES[0]; i++) {
        if (strcmp(MODES[i].name, text) == 0) {
            *out = MODES[i].mode;
            return 0;
        }
    }
    return -1;
}

static int resolve_unix(upstream *u, const char *directory, err *e) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/.s.PGSQL.%u", directory, u->port);
    if (n < 0 || (size_t)n >= sizeof at.sun_path) {
        return err_set(e, "recorder_config", "the socket's path is too long: %s/.s.PGSQL.%u", directory, u->port);
    }
    memcpy(&u->address[0], &at, sizeof at);
    u->length[0] = sizeof at;
    u->n = 1;
    u->tls = TLS_DISABLE; /* as libpq: a socket of this machine carries no TLS */
    return 0;
}

static int resolve_name(upstream *u, const char *host, err *e) {
    char port[8];
    snprintf(port, sizeof port, "%u", u->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) {
        err_set(e, "recorder_resolve", "the database's host %s cannot be resolved: %s", host, gai_strerror(rc));
        return err_fix(e, "check the host in database.app, and the machine's name servers");
    }
    for (const struct addrinfo *a = list; a != NULL && u->n < UPSTREAM_ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_addrlen <= sizeof u->address[0]) {
            memcpy(&u->address[u->n], a->ai_addr, a->ai_addrlen);
            u->length[u->n++] = a->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    return u->n > 0 ? 0 : err_set(e, "recorder_resolve", "the database's host %s has no address", host);
}

static int open_tls(upstream *u, const char *rootcert, err *e) {
    u->ctx = SSL_CTX_new(TLS_client_method());
    if (u->ctx == NULL || SSL_CTX_set_min_proto_version(u->ctx, TLS1_2_VERSION) != 1) {
        return err_set(e, "recorder_tls", "TLS cannot be set up");
    }
    SSL_CTX_set_mode(u->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (u->tls < TLS_VERIFY_CA) {
        return 0;
    }
    SSL_CTX_set_verify(u->ctx, SSL_VERIFY_PEER, NULL);
    bool system = rootcert == NULL || strcmp(rootcert, "system") == 0;
    if ((system ? SSL_CTX_set_default_verify_paths(u->ctx) : SSL_CTX_load_verify_file(u->ctx, rootcert)) != 1) {
        err_set(e, "recorder_tls", "the certificates of %s cannot be read", system ? "the system" : rootcert);
        return err_fix(e, "check sslrootcert in database.app.url");
    }
    return 0;
}

int upstream_open(upstream *u, const char *host, int port, const char *sslmode, const char *rootcert, err *e) {
    *u = (upstream){.port = (uint16_t)port, .tls = TLS_PREFER};
    if (port < 1 || port > 65535 || (sslmode != NULL && parse_mode(sslmode, &u->tls) != 0)) {
        return err_set(e, "recorder_config", "expected a port and a sslmode of libpq, found %d and \"%s\"", port,
                       sslmode != NULL ? sslmode : "");
    }
    u->name = strdup(host);
    if (u->name == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    if ((host[0] == '/' ? resolve_unix(u, host, e) : resolve_name(u, host, e)) != 0) {
        return -1;
    }
    return u->tls == TLS_DISABLE ? 0 : open_tls(u, rootcert, e);
}

void upstream_close(upstream *u) {
    SSL_CTX_free(u->ctx);
    free(u->name);
    *u = (upstream){0};
}

int upstream_connect(const upstream *u, size_t i) {
    int fd = socket(u->address[i].ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    if (u->address[i].ss_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (connect(fd, (const struct sockaddr *)&u->address[i], u->length[i]) != 0 && errno != EINPROGRESS) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* ---- TLS ---- */

static bool is_address(const char *host) {
    unsigned char any[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

int upstream_secure(const upstream *u, stream *s, err *e) {
    s->ssl = SSL_new(u->ctx);
    if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1) {
        return err_set(e, "recorder_tls", "out of memory for TLS");
    }
    bool address = is_address(u->name);
    if (!address) {
        (void)SSL_set_tlsext_host_name(s->ssl, u->name);
    }
    if (u->tls == TLS_VERIFY_FULL) {
        X509_VERIFY_PARAM *p = SSL_get0_param(s->ssl);
        if ((address ? X509_VERIFY_PARAM_set1_ip_asc(p, u->name) : X509_VERIFY_PARAM_set1_host(p, u->name, 0)) != 1) {
            return err_set(e, "recorder_tls", "the host %s cannot be compared with a certificate", u->name);
        }
    }
    SSL_set_connect_state(s->ssl);
    return 0;
}

int stream_handshake(stream *s, err *e) {
    s->write_wait = false;
    int rc = SSL_do_handshake(s->ssl);
    if (rc == 1) {
        return 1;
    }
    long verify = SSL_get_verify_result(s->ssl);
    unsigned long why = ERR_peek_error();
    const char *reason = verify != X509_V_OK ? X509_verify_cert_error_string(verify) : ERR_reason_error_string(why);
    if (tls_result(s, rc) == STREAM_AGAIN) {
        return 0;
    }
    return err_set(e, "recorder_tls", "the TLS handshake with the database failed: %s",
                   reason != NULL ? reason : "the connection ended");
}
