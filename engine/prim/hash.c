#include "prim/hash.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/mem.h"

struct hash_stream {
    EVP_MD_CTX *digest;
};

/* Names OpenSSL's last reason and clears its queue, so that no later call finds it there. */
static int failed(err *e, const char *what) {
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    if (code != 0 && ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
        mem_note();
    }
    /* On bytes in memory hardly anything can fail but an allocation, which OpenSSL calls by many names. */
    err_set(e, "hash_failed", "%s: %s (is there enough memory?)", what,
            reason != NULL ? reason : "OpenSSL gives no reason");
    ERR_clear_error();
    return -1;
}

int hash_sha256(const void *bytes, size_t n, unsigned char out[HASH_SHA256_SIZE], err *e) {
    return EVP_Digest(bytes, n, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : failed(e, "SHA-256");
}

int hash_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t n, unsigned char out[HASH_SHA256_SIZE],
                     err *e) {
    unsigned char short_key[HASH_SHA256_SIZE];
    unsigned int len = HASH_SHA256_SIZE;
    if (key_len > INT_MAX) { /* HMAC() counts a key in an int; RFC 2104 hashes a key over one block anyway */
        if (hash_sha256(key, key_len, short_key, e) != 0) {
            return -1;
        }
        key = short_key;
        key_len = sizeof short_key;
    }
    bool done = HMAC(EVP_sha256(), key, (int)key_len, bytes, n, out, &len) != NULL;
    OPENSSL_cleanse(short_key, sizeof short_key);
    return done ? 0 : failed(e, "HMAC-SHA-256");
}

hash_stream *hash_stream_open(err *e) {
    hash_stream *s = OPENSSL_zalloc(sizeof *s);
    if (s == NULL) {
        failed(e, "SHA-256");
        return NULL;
    }
    s->digest = EVP_MD_CTX_new();
    if (s->digest == NULL || EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL) != 1) {
        failed(e, "SHA-256");
        hash_stream_free(s);
        return NULL;
    }
    return s;
}

int hash_stream_update(hash_stream *s, const void *bytes, size_t n, err *e) {
    return EVP_DigestUpdate(s->digest, bytes, n) == 1 ? 0 : failed(e, "SHA-256");
}

int hash_stream_final(hash_stream *s, unsigned char out[HASH_SHA256_SIZE], err *e) {
    return EVP_DigestFinal_ex(s->digest, out, NULL) == 1 ? 0 : failed(e, "SHA-256");
}

void hash_stream_free(hash_stream *s) {
    if (s != NULL) {
        EVP_MD_CTX_free(s->digest);
        OPENSSL_free(s);
    }
}

static int bad_key(err *e, const char *what) {
    ERR_clear_error();
    return err_set(e, "hash_key", "%s: these %d bytes are not a key", what, HASH_ED25519_KEY);
}

int hash_ed25519_public(const unsigned char private_key[HASH_ED25519_KEY], unsigned char public_key[HASH_ED25519_KEY],
                        err *e) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, HASH_ED25519_KEY);
    if (key == NULL) {
        return bad_key(e, "Ed25519 private key");
    }
    size_t len = HASH_ED25519_KEY;
    int rc = EVP_PKEY_get_raw_public_key(key, public_key, &len) == 1 ? 0 : failed(e, "Ed25519 public key");
    EVP_PKEY_free(key);
    return rc;
}

int hash_ed25519_sign(const unsigned char private_key[HASH_ED25519_KEY], const void *bytes, size_t n,
                      unsigned char signature[HASH_ED25519_SIGNATURE], err *e) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, HASH_ED25519_KEY);
    if (key == NULL) {
        return bad_key(e, "Ed25519 private key");
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = HASH_ED25519_SIGNATURE;
    int rc = 0;
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &len, bytes, n) != 1) {
        rc = failed(e, "Ed25519 signature");
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return rc;
}

int hash_ed25519_verify(const unsigned char public_key[HASH_ED25519_KEY], const void *bytes, size_t n,
                        const unsigned char signature[HASH_ED25519_SIGNATURE], err *e) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, HASH_ED25519_KEY);
    if (key == NULL) {
        return bad_key(e, "Ed25519 public key");
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc = -1;
    if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) != 1 ||
        (rc = EVP_DigestVerify(ctx, signature, HASH_ED25519_SIGNATURE, bytes, n)) < 0) {
        rc = failed(e, "Ed25519 verification");
    }
    ERR_clear_error(); /* a wrong signature leaves its reason behind */
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return rc;
}

int hash_random(void *out, size_t n, err *e) {
    if (n > INT_MAX) {
        return err_set(e, "hash_failed", "random bytes: %zu are more than can be had at once", n);
    }
    return n == 0 || RAND_bytes(out, (int)n) == 1 ? 0 : failed(e, "random bytes");
}

bool hash_equal(const void *a, const void *b, size_t n) {
    return CRYPTO_memcmp(a, b, n) == 0;
}
