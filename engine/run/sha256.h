/* sha256.h: SHA-256 (FIPS 180-4) for this program itself: what it is asked for decides what may approve, so no module
 * that lies beside the program computes it. */
#ifndef GE_RUN_SHA256_H
#define GE_RUN_SHA256_H

#include <stddef.h>

#define SHA256_HEX_SIZE 65

/* 64 lower-case hexadecimal digits and a NUL. */
void sha256_hex(const void *bytes, size_t n, char out[SHA256_HEX_SIZE]);
/* The same of HMAC-SHA-256 (RFC 2104, section 2) with a key of at most 64 bytes. Not libcrypto's HMAC(), for the reason
 * that sha256.c gives: it would link all of EVP into this program. */
void sha256_hmac_hex(const unsigned char *key, size_t key_len, const void *bytes, size_t n, char out[SHA256_HEX_SIZE]);

#endif
