/* jose.h: signed tokens (JSON Web Signature, RFC 7515, compact serialization) and their keys (JSON Web Key, RFC 7517),
 * by libcjose.
 *
 * What a token may be signed with, the caller says: its header is only compared with that (RFC 8725 section 3.1), so
 * neither "none" nor a MAC made with a public key passes. Algorithms: RS256, RS384, RS512, PS256, ES256, ES384.
 *
 * Errors, none of which holds any part of a token or key: jose_token (no token), jose_alg (signed with something else),
 * jose_key (no key, or none for the algorithm), jose_signature (does not hold), out_of_memory.
 */
#ifndef GE_PRIM_JOSE_H
#define GE_PRIM_JOSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define JOSE_TOKEN_MAX (64u << 10)
#define JOSE_ALGS_MAX 6

/* Is it one of the algorithms above? */
bool jose_knows(const char *alg);

/* What the header says of itself, nothing of it proven: to choose a key. Appends its JSON text. */
int jose_header(const char *token, size_t n, buf *header, err *e);

/* Holds the token under this key, signed with one of the algorithms (a NULL-ended list)? Appends header and payload,
 * both JSON objects, as text. */
int jose_verify(const char *token, size_t n, const json_t *jwk, const char *const *algs, buf *header, buf *claims,
                err *e);

/* A new private key for the algorithm: RSA of 2048 bits, or on the algorithm's curve. NULL with *e set; the caller owns
 * it. */
json_t *jose_generate(const char *alg, err *e);

/* Appends payload as a token signed with the private key; header says "alg". */
int jose_sign(const json_t *header, const char *payload, size_t n, const json_t *jwk, buf *token, err *e);

/* Appends the public half of a key as PEM (SubjectPublicKeyInfo, RFC 7468 section 13). */
int jose_pem(const json_t *jwk, buf *pem, err *e);

#endif
