/* What TLS a connection has, and who the server says that it is. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "prim/db_conn.h"

static void copy(char *out, size_t cap, const char *from) {
    snprintf(out, cap, "%s", from != NULL ? from : "");
}

/* The sslmode that is in force, wherever it was set. */
static void mode_of(const db_conn *c, char *out, size_t cap) {
    PQconninfoOption *all = PQconninfo(c->pg);
    for (PQconninfoOption *o = all; o != NULL && o->keyword != NULL; o++) {
        if (strcmp(o->keyword, "sslmode") == 0) {
            copy(out, cap, o->val);
        }
    }
    PQconninfoFree(all);
}

void db_tls_of(const db_conn *c, db_tls *out) {
    *out = (db_tls){0};
    mode_of(c, out->mode, sizeof out->mode);
    copy(out->address, sizeof out->address, PQhostaddr(c->pg));
    out->used = PQsslInUse(c->pg) == 1;
    if (!out->used) {
        return;
    }
    copy(out->protocol, sizeof out->protocol, PQsslAttribute(c->pg, "protocol"));
    copy(out->cipher, sizeof out->cipher, PQsslAttribute(c->pg, "cipher"));
    SSL *ssl = PQsslStruct(c->pg, "OpenSSL");
    const X509 *own = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;
    if (own != NULL) {
        certificate_of_chain(&out->certificate, own, SSL_get_peer_cert_chain(ssl));
    }
}

bool db_tls_looked(const db_conn *c) {
    const char *host = PQhost(c->pg);
    if (host != NULL && (host[0] == '/' || host[0] == '@')) {
        return true; /* a socket's path, over which libpq speaks no TLS */
    }
    switch (PQstatus(c->pg)) {
    case CONNECTION_MADE:
        return PQsslInUse(c->pg) == 1; /* before the handshake it is neither in use nor over */
    case CONNECTION_AWAITING_RESPONSE:
    case CONNECTION_AUTH_OK:
    case CONNECTION_OK:
        return true;
    default:
        return false;
    }
}
