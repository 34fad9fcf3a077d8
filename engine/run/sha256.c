/* libcrypto's own function below EVP: of the static library it takes two kilobytes, and no start of OpenSSL. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "run/sha256.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static void spell(const unsigned char sum[SHA256_DIGEST_LENGTH], char out[SHA256_HEX_SIZE]) {
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    }
}

/* One hash over two parts. */
static void digest(const void *a, size_t na, const void *b, size_t nb, unsigned char sum[SHA256_DIGEST_LENGTH]) {
    SHA256_CTX c;
    SHA256_Init(&c); /* the calls cannot fail */
    SHA256_Update(&c, a, na);
    SHA256_Update(&c, b, nb);
    SHA256_Final(sum, &c);
}

void sha256_hex(const void *bytes, size_t n, char out[SHA256_HEX_SIZE]) {
    unsigned char sum[SHA256_DIGEST_LENGTH];
    digest("", 0, bytes, n, sum);
    spell(sum, out);
}

void sha256_hmac_hex(const unsigned char *key, size_t key_len, const void *bytes, size_t n, char out[SHA256_HEX_SIZE]) {
    unsigned char inner[SHA256_CBLOCK] = {0}, outer[SHA256_CBLOCK], sum[SHA256_DIGEST_LENGTH];
    memcpy(inner, key, key_len < sizeof inner ? key_len : sizeof inner);
    for (size_t i = 0; i < sizeof inner; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    digest(inner, sizeof inner, bytes, n, sum);
    digest(outer, sizeof outer, sum, sizeof sum, sum);
    spell(sum, out);
}
