/* certificate.h: what a server showed of itself in a TLS handshake. */
#ifndef GE_PRIM_CERTIFICATE_H
#define GE_PRIM_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

struct x509_st;
struct stack_st_X509;

typedef struct certificate {
    bool known;
    char subject[512];
    char issuer[512];
    char chain[2048];   /* the subjects of what was sent, the server's own first, a line each; whole lines alone */
    int64_t not_before; /* seconds since 1970 */
    int64_t not_after;
} certificate;

/* The server's own certificate and the chain it sent, as OpenSSL has them; chain may be NULL. */
void certificate_of_chain(certificate *out, const struct x509_st *own, const struct stack_st_X509 *chain);
/* The same of a transfer of libcurl's with CURLOPT_CERTINFO (a CURL *). False, and *out is left: none was seen, since
 * the connection was there before or is not TLS. */
bool certificate_of_transfer(certificate *out, void *easy);
/* Adds a subject to the chain. False: there is no room. */
bool certificate_add(certificate *out, const char *subject);

#endif
