/* dsse.h: statements sealed in DSSE envelopes (github.com/secure-systems-lab/dsse, protocol.md and envelope.md, v1.0)
 * with Ed25519 (RFC 8032).
 *
 * Keys are PEM as OpenSSL writes them: "PRIVATE KEY" (PKCS #8, RFC 8410 section 7) and "PUBLIC KEY"
 * (SubjectPublicKeyInfo, section 4). A key's id is the SHA-256 of its SubjectPublicKeyInfo in hexadecimal.
 *
 * Errors: key_form (not such a key; never shows it), dsse_form (no envelope), dsse_key_unknown (signed by none of the
 * keys), dsse_key_revoked, dsse_signature (by one of them, and not over this), hash_failed, out_of_memory. */
#ifndef GE_RUN_DSSE_H
#define GE_RUN_DSSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "run/sha256.h"

#define DSSE_INTOTO "application/vnd.in-toto+json"
#define DSSE_KEY_SIZE 32
#define DSSE_KEYS_MAX 64

typedef struct dsse_key {
    unsigned char seed[DSSE_KEY_SIZE]; /* where private_ */
    unsigned char public[DSSE_KEY_SIZE];
    bool private_;
    char id[SHA256_HEX_SIZE];
} dsse_key;

/* Reads a PEM text of either kind. `what` names it in messages. Wipe with dsse_key_wipe. */
int dsse_key_read(const char *pem, const char *what, dsse_key *key, err *e);
int dsse_key_make(dsse_key *key, err *e);
void dsse_key_wipe(dsse_key *key);
/* Appends the key as PEM. */
int dsse_key_private_pem(const dsse_key *key, buf *out, err *e);
int dsse_key_public_pem(const dsse_key *key, buf *out, err *e);

/* Appends PAE(type, payload), the bytes that are signed: "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload. */
int dsse_pae(buf *out, const char *type, const void *payload, size_t n);
/* Appends the envelope of a payload, signed by a private key, as one line of canonical JSON. */
int dsse_seal(buf *out, const char *type, const void *payload, size_t n, const dsse_key *key, err *e);

typedef struct dsse_trust {
    dsse_key keys[DSSE_KEYS_MAX];
    size_t n;
    const json_t *revoked; /* {key id: reason}, not owned; NULL = none */
} dsse_trust;

/* Opens an envelope: appends its payload where at least one signature is by a trusted key that is not revoked. `type`
 * must be its payloadType. *by (may be NULL) is that key's index. */
int dsse_open(const char *text, size_t n, const char *type, const dsse_trust *trust, buf *payload, size_t *by, err *e);

#endif
