/* hash.h: digests, MACs, signatures and random bytes, by OpenSSL's EVP; and their spellings as text.
 *
 * Errors: hash_failed (OpenSSL could not; its reason is in the message), hash_key (a key which is none), out_of_memory.
 */
#ifndef GE_PRIM_HASH_H
#define GE_PRIM_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define HASH_SHA256_SIZE 32
#define HASH_ED25519_KEY 32 /* a private key (its seed, RFC 8032 section 5.1.5) and a public key */
#define HASH_ED25519_SIGNATURE 64

/* SHA-256 (FIPS 180-4) of n bytes. */
int hash_sha256(const void *bytes, size_t n, unsigned char out[HASH_SHA256_SIZE], err *e);
/* HMAC-SHA-256 (RFC 2104); a key may have any length. */
int hash_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t n, unsigned char out[HASH_SHA256_SIZE],
                     err *e);

/* SHA-256 over parts. After hash_stream_final only free it. */
typedef struct hash_stream hash_stream;
hash_stream *hash_stream_open(err *e);
int hash_stream_update(hash_stream *s, const void *bytes, size_t n, err *e);
int hash_stream_final(hash_stream *s, unsigned char out[HASH_SHA256_SIZE], err *e);
void hash_stream_free(hash_stream *s); /* NULL is fine */

/* Ed25519 (RFC 8032, the pure variant). */
int hash_ed25519_public(const unsigned char private_key[HASH_ED25519_KEY], unsigned char public_key[HASH_ED25519_KEY],
                        err *e);
int hash_ed25519_sign(const unsigned char private_key[HASH_ED25519_KEY], const void *bytes, size_t n,
                      unsigned char signature[HASH_ED25519_SIGNATURE], err *e);
/* 1 = the signature is the key's over these bytes, 0 = it is not, -1 = could not be decided. */
int hash_ed25519_verify(const unsigned char public_key[HASH_ED25519_KEY], const void *bytes, size_t n,
                        const unsigned char signature[HASH_ED25519_SIGNATURE], err *e);

/* n bytes from the operating system's generator. */
int hash_random(void *out, size_t n, err *e);
/* Same bytes? Takes as long for any two texts of one length. */
bool hash_equal(const void *a, const void *b, size_t n);

/* Spellings, appended to out: 0, or -1 out of memory. */
int hash_hex(buf *out, const void *bytes, size_t n);
int hash_base64(buf *out, const void *bytes, size_t n, bool url); /* RFC 4648 section 4; url: section 5, unpadded */
/* Reading them strictly: 0; -1 with e->code "hash_text" naming what is wrong and where, or out_of_memory. */
int hash_unhex(buf *out, const char *text, size_t n, err *e);
int hash_unbase64(buf *out, const char *text, size_t n, bool url, err *e);

/* The above for a program that loads the module instead of linking it: dlsym(…, "hash_signing_api"). begin comes first.
 */
typedef struct hash_signing {
    int (*begin)(err *e);
    int (*public_of)(const unsigned char *private_key, unsigned char *public_key, err *e);
    int (*sign)(const unsigned char *private_key, const void *bytes, size_t n, unsigned char *signature, err *e);
    int (*verify)(const unsigned char *public_key, const void *bytes, size_t n, const unsigned char *signature, err *e);
    int (*random)(void *out, size_t n, err *e);
} hash_signing;
extern const hash_signing hash_signing_api __attribute__((visibility("default")));

#endif
