#include "prim/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

static bool beginning;

static void *given(void *p, size_t n) {
    if (p == NULL && n > 0 && beginning) {
        _exit(MEM_EXIT);
    }
    return p;
}

static void *watched_malloc(size_t n, const char *file, int line) {
    (void)file;
    (void)line;
    return given(n > 0 ? malloc(n) : NULL, n);
}

static void *watched_realloc(void *p, size_t n, const char *file, int line) {
    (void)file;
    (void)line;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return given(realloc(p, n), n);
}

static void watched_free(void *p, const char *file, int line) {
    (void)file;
    (void)line;
    free(p);
}

void crypto_begin(void) {
    /* Refused where libcrypto has allocated before: another module of this process began with it. */
    if (CRYPTO_set_mem_functions(watched_malloc, watched_realloc, watched_free) != 1) {
        return;
    }
    beginning = true;
    unsigned char digest[EVP_MAX_MD_SIZE];
    /* What only a first use loads: the default provider and its digests. That it works is for the caller to see. */
    (void)(OPENSSL_init_crypto(0, NULL) == 1 && EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL));
    beginning = false;
}
