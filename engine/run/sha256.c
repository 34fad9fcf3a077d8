/* libcrypto's own function below EVP: of the static library it takes two kilobytes, and no start of OpenSSL. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "run/sha256.h"

#include <openssl/sha.h>
#include <stdio.h>

void sha256_hex(const void *bytes, size_t n, char out[SHA256_HEX_SIZE]) {
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256_CTX c;
    SHA256_Init(&c); /* the three cannot fail */
    SHA256_Update(&c, bytes, n);
    SHA256_Final(sum, &c);
    for (size_t i = 0; i < sizeof sum; i++) {
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    }
}
