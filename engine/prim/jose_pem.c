/* jose_pem.c: a JSON Web Key's public half in OpenSSL's spelling. */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

#include "prim/hash.h"
#include "prim/jose.h"

static int bytes_of(const json_t *jwk, const char *key, buf *out) {
    const json_t *value = json_object_get(jwk, key);
    err ignored;
    return json_is_string(value)
               ? hash_unbase64(out, json_string_value(value), json_string_length(value), true, &ignored)
               : -1;
}

/* The numbers of an RSA key; they have to outlive the builder. */
static int push_rsa(const json_t *jwk, OSSL_PARAM_BLD *to, BIGNUM *numbers[2]) {
    static const char *const KEYS[] = {"n", "e"}, *const NAMES[] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E};
    for (size_t i = 0; i < 2; i++) {
        buf b = BUF_INIT;
        numbers[i] =
            bytes_of(jwk, KEYS[i], &b) == 0 ? BN_bin2bn((const unsigned char *)buf_str(&b), (int)b.len, NULL) : NULL;
        buf_free(&b);
        if (numbers[i] == NULL || OSSL_PARAM_BLD_push_BN(to, NAMES[i], numbers[i]) != 1) {
            return -1;
        }
    }
    return 0;
}

/* The point, uncompressed (SEC 1 section 2.3.3); it has to outlive the builder. */
static int push_ec(const json_t *jwk, const char *crv, OSSL_PARAM_BLD *to, buf *point) {
    const char *group = strcmp(crv, "P-256") == 0 ? "prime256v1" : strcmp(crv, "P-384") == 0 ? "secp384r1" : NULL;
    return group != NULL && buf_putc(point, 4) == 0 && bytes_of(jwk, "x", point) == 0 &&
                   bytes_of(jwk, "y", point) == 0 &&
                   OSSL_PARAM_BLD_push_utf8_string(to, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
                   OSSL_PARAM_BLD_push_octet_string(to, OSSL_PKEY_PARAM_PUB_KEY, point->data, point->len) == 1
               ? 0
               : -1;
}

static EVP_PKEY *key_of(const char *type, OSSL_PARAM_BLD *built) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(built);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

int jose_pem(const json_t *jwk, buf *pem, err *e) {
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    const char *crv = json_string_value(json_object_get(jwk, "crv"));
    bool rsa = kty != NULL && strcmp(kty, "RSA") == 0, ec = kty != NULL && crv != NULL && strcmp(kty, "EC") == 0;
    BIGNUM *numbers[2] = {NULL, NULL};
    buf point = BUF_INIT;
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *to = OSSL_PARAM_BLD_new();
    if (to != NULL && ((rsa && push_rsa(jwk, to, numbers) == 0) || (ec && push_ec(jwk, crv, to, &point) == 0))) {
        key = key_of(rsa ? "RSA" : "EC", to);
    }
    BIO *out = key != NULL ? BIO_new(BIO_s_mem()) : NULL;
    char *spelled = NULL;
    long n = out != NULL && PEM_write_bio_PUBKEY(out, key) == 1 ? BIO_get_mem_data(out, &spelled) : 0;
    int rc = n <= 0 ? err_set(e, "jose_key", "the key has no public half of a kind known here")
             : buf_append(pem, spelled, (size_t)n) != 0 ? err_set(e, "out_of_memory", "out of memory")
                                                        : 0;
    BIO_free(out);
    EVP_PKEY_free(key);
    OSSL_PARAM_BLD_free(to);
    BN_free(numbers[0]);
    BN_free(numbers[1]);
    buf_free(&point);
    ERR_clear_error();
    return rc;
}
