#include "prim/jose.h"

#include <cjose/cjose.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "prim/hash.h"

#define RSA_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define RSA_BITS_MAX 16384
#define KEY_TEXT_MAX (16u << 10)

/* RFC 7518 section 3.1. */
static const struct algorithm {
    const char *name, *kty, *crv;
    cjose_jwk_ec_curve curve;
} ALGORITHMS[] = {
    {"RS256", "RSA", NULL, CJOSE_JWK_EC_INVALID}, {"RS384", "RSA", NULL, CJOSE_JWK_EC_INVALID},
    {"RS512", "RSA", NULL, CJOSE_JWK_EC_INVALID}, {"PS256", "RSA", NULL, CJOSE_JWK_EC_INVALID},
    {"ES256", "EC", "P-256", CJOSE_JWK_EC_P_256}, {"ES384", "EC", "P-384", CJOSE_JWK_EC_P_384},
};

static const struct algorithm *find(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof ALGORITHMS / sizeof *ALGORITHMS; i++) {
        if (strcmp(ALGORITHMS[i].name, name) == 0) {
            return &ALGORITHMS[i];
        }
    }
    return NULL;
}

bool jose_knows(const char *alg) {
    return find(alg) != NULL;
}

static const char *text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool no_memory(const err *e) {
    return strcmp(e->code, "out_of_memory") == 0;
}

/* libcjose's failure as ours; what OpenSSL queued about it is dropped, so that nobody takes it for a failure of his. */
static int failed(err *e, const cjose_err *why, const char *code, const char *message) {
    ERR_clear_error();
    return why->code == CJOSE_ERR_NO_MEMORY ? err_set(e, "out_of_memory", "out of memory")
                                            : err_set(e, code, "%s", message);
}

/* ---- tokens ---- */

typedef struct parts {
    const char *at[3];
    size_t len[3];
} parts;

static int split(const char *token, size_t n, parts *p, err *e) {
    if (n > JOSE_TOKEN_MAX) {
        return err_set(e, "jose_token", "the token has %zu bytes: expected at most %u", n, JOSE_TOKEN_MAX);
    }
    size_t k = 0, from = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i == n || token[i] == '.') {
            if (k == 3) {
                return err_set(e, "jose_token", "the token has more than three parts");
            }
            p->at[k] = token + from;
            p->len[k++] = i - from;
            from = i + 1;
        }
    }
    return k == 3 ? 0 : err_set(e, "jose_token", "the token has %zu of its three parts", k);
}

/* One part read strictly (RFC 7515 section 2: base64url without padding), as a JSON object where value is given. */
static int read_part(const parts *p, size_t i, const char *what, buf *out, json_t **value, err *e) {
    err why;
    if (hash_unbase64(out, p->at[i], p->len[i], true, &why) != 0) {
        return no_memory(&why) ? (*e = why, -1) : err_set(e, "jose_token", "the token's %s is not base64url", what);
    }
    if (value == NULL) {
        return 0;
    }
    *value = canon_parse(buf_str(out), out->len, &why);
    if (*value == NULL) {
        return no_memory(&why) ? (*e = why, -1) : err_set(e, "jose_token", "the token's %s is not JSON", what);
    }
    return json_is_object(*value) ? 0 : err_set(e, "jose_token", "the token's %s is not a JSON object", what);
}

int jose_header(const char *token, size_t n, buf *header, err *e) {
    parts p;
    json_t *value = NULL;
    int rc = split(token, n, &p, e) != 0 ? -1 : read_part(&p, 0, "header", header, &value, e);
    json_decref(value);
    return rc;
}

/* The algorithm's name where it is a registered one: any other is the token's own text. */
static const char *shown_alg(const json_t *header) {
    static const char *const NAMES[] = {"none",  "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
                                        "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", NULL};
    const char *alg = text(header, "alg");
    for (size_t i = 0; alg != NULL && NAMES[i] != NULL; i++) {
        if (strcmp(alg, NAMES[i]) == 0) {
            return NAMES[i];
        }
    }
    return alg != NULL ? "another" : "no algorithm";
}

static int check_header(const json_t *header, const char *const *algs, const struct algorithm **alg, err *e) {
    const char *name = text(header, "alg");
    bool allowed = false;
    for (size_t i = 0; name != NULL && algs[i] != NULL; i++) {
        allowed = allowed || strcmp(algs[i], name) == 0;
    }
    *alg = allowed ? find(name) : NULL;
    if (*alg == NULL) {
        buf list = BUF_INIT;
        for (size_t i = 0; algs[i] != NULL; i++) {
            buf_printf(&list, "%s%s", i > 0 ? ", " : "", algs[i]);
        }
        err_set(e, "jose_alg", "the token's header says alg: expected %s, found %s", buf_str(&list), shown_alg(header));
        buf_free(&list);
        return -1;
    }
    /* RFC 7515 section 4.1.11: what has to be understood and is not, refuses the token. */
    return json_object_get(header, "crit") == NULL
               ? 0
               : err_set(e, "jose_token", "the token's header has critical extensions (crit), and none is known here");
}

/* ---- keys ---- */

static int member_bytes(const json_t *jwk, const char *key, buf *out, err *e) {
    const json_t *value = json_object_get(jwk, key);
    err why;
    if (!json_is_string(value) || json_string_length(value) == 0 || json_string_length(value) > KEY_TEXT_MAX) {
        return err_set(e, "jose_key", "the key has no %s", key);
    }
    if (hash_unbase64(out, json_string_value(value), json_string_length(value), true, &why) != 0) {
        return no_memory(&why) ? (*e = why, -1) : err_set(e, "jose_key", "the key's %s is not base64url", key);
    }
    return 0;
}

static size_t bits_of(const buf *b) {
    const unsigned char *p = (const unsigned char *)b->data;
    size_t zero = 0;
    while (zero < b->len && p[zero] == 0) {
        zero++;
    }
    size_t bits = (b->len - zero) * 8;
    for (unsigned char top = zero < b->len ? p[zero] : 0x80; (top & 0x80) == 0; top = (unsigned char)(top << 1)) {
        bits--;
    }
    return bits;
}

/* A modulus that is long enough and an exponent that is one: with 1 every text would be its own signature. */
static int check_rsa(const json_t *jwk, err *e) {
    buf n = BUF_INIT, exponent = BUF_INIT;
    int rc = member_bytes(jwk, "n", &n, e) != 0 || member_bytes(jwk, "e", &exponent, e) != 0 ? -1 : 0;
    if (rc == 0 && (bits_of(&n) < RSA_BITS_MIN || bits_of(&n) > RSA_BITS_MAX)) {
        rc = err_set(e, "jose_key", "the RSA key has %zu bits: expected %d to %d", bits_of(&n), RSA_BITS_MIN,
                     RSA_BITS_MAX);
    }
    if (rc == 0 && (bits_of(&exponent) < 2 || bits_of(&exponent) > 64 || (exponent.data[exponent.len - 1] & 1) == 0)) {
        rc = err_set(e, "jose_key", "the RSA key's exponent is none: expected an odd number from 3 on");
    }
    buf_free(&n);
    buf_free(&exponent);
    return rc;
}

static int check_key(const json_t *jwk, const struct algorithm *alg, err *e) {
    const char *kty = text(jwk, "kty"), *crv = text(jwk, "crv"), *own = text(jwk, "alg"), *use = text(jwk, "use");
    if (kty == NULL || strcmp(kty, alg->kty) != 0 ||
        (alg->crv != NULL && (crv == NULL || strcmp(crv, alg->crv) != 0))) {
        return err_set(e, "jose_key", "the key is not one for %s: expected kty %s%s%s", alg->name, alg->kty,
                       alg->crv != NULL ? ", crv " : "", alg->crv != NULL ? alg->crv : "");
    }
    if (own != NULL && strcmp(own, alg->name) != 0) {
        return err_set(e, "jose_key", "the key is for another algorithm than %s", alg->name);
    }
    if (use != NULL && strcmp(use, "sig") != 0) {
        return err_set(e, "jose_key", "the key is not for signatures: expected use sig");
    }
    return alg->crv == NULL ? check_rsa(jwk, e) : 0;
}

/* The members that make the key, and no others: libcjose reads them by names of its own. */
static cjose_jwk_t *import(const json_t *jwk, bool private, err *e) {
    static const char *const PUBLIC[] = {"kty", "n", "e", "crv", "x", "y", NULL};
    static const char *const PRIVATE[] = {"d", "p", "q", "dp", "dq", "qi", NULL};
    json_t *plain = json_object();
    for (int k = 0; k < (private ? 2 : 1); k++) {
        for (const char *const *name = k == 0 ? PUBLIC : PRIVATE; *name != NULL; name++) {
            json_t *value = json_object_get(jwk, *name);
            if (value != NULL && json_object_set(plain, *name, value) != 0) {
                json_decref(plain);
                err_set(e, "out_of_memory", "out of memory");
                return NULL;
            }
        }
    }
    char *spelled = plain != NULL ? json_dumps(plain, JSON_COMPACT) : NULL;
    json_decref(plain);
    if (spelled == NULL) {
        err_set(e, "out_of_memory", "out of memory");
        return NULL;
    }
    cjose_err why = {0};
    cjose_jwk_t *key = cjose_jwk_import(spelled, strlen(spelled), &why);
    free(spelled);
    if (key == NULL) {
        /* Not why: libcjose calls a point that is not on its curve a lack of memory. */
        ERR_clear_error();
        err_set(e, "jose_key", "the key's numbers are not those of a key");
    }
    return key;
}

int jose_verify(const char *token, size_t n, const json_t *jwk, const char *const *algs, buf *header, buf *claims,
                err *e) {
    parts p;
    json_t *head = NULL, *body = NULL;
    buf signature = BUF_INIT;
    const struct algorithm *alg = NULL;
    int rc = -1;
    cjose_jwk_t *key = NULL;
    cjose_jws_t *jws = NULL;
    cjose_err why = {0};
    if (split(token, n, &p, e) != 0 || read_part(&p, 0, "header", header, &head, e) != 0 ||
        check_header(head, algs, &alg, e) != 0 || read_part(&p, 1, "payload", claims, &body, e) != 0 ||
        read_part(&p, 2, "signature", &signature, NULL, e) != 0 || check_key(jwk, alg, e) != 0) {
        goto done;
    }
    if (signature.len == 0) {
        err_set(e, "jose_signature", "the token has no signature");
        goto done;
    }
    key = import(jwk, false, e);
    if (key == NULL) {
        goto done;
    }
    jws = cjose_jws_import(token, n, &why);
    if (jws == NULL || !cjose_jws_verify(jws, key, &why)) {
        failed(e, &why, "jose_signature", "the token's signature is not the key's");
        goto done;
    }
    rc = 0;
done:
    cjose_jws_release(jws);
    cjose_jwk_release(key);
    buf_free(&signature);
    json_decref(head);
    json_decref(body);
    return rc;
}

json_t *jose_generate(const char *alg, err *e) {
    static const uint8_t F4[] = {1, 0, 1};
    const struct algorithm *a = find(alg);
    if (a == NULL) {
        err_set(e, "jose_alg", "no key is made for this algorithm");
        return NULL;
    }
    cjose_err why = {0};
    cjose_jwk_t *key = a->crv == NULL ? cjose_jwk_create_RSA_random(RSA_BITS_MIN, F4, sizeof F4, &why)
                                      : cjose_jwk_create_EC_random(a->curve, &why);
    char *spelled = key != NULL ? cjose_jwk_to_json(key, true, &why) : NULL;
    cjose_jwk_release(key);
    if (spelled == NULL) {
        failed(e, &why, "jose_key", "no key could be made");
        return NULL;
    }
    json_t *out = canon_parse(spelled, strlen(spelled), e);
    cjose_get_dealloc()(spelled);
    return out;
}

int jose_sign(const json_t *header, const char *payload, size_t n, const json_t *jwk, buf *token, err *e) {
    const struct algorithm *alg = find(text(header, "alg"));
    if (alg == NULL) {
        return err_set(e, "jose_alg", "the header says alg: expected one that is signed with here, found %s",
                       shown_alg(header));
    }
    json_t *own = json_deep_copy(header); /* libcjose may add to it */
    cjose_jwk_t *key = own == NULL                   ? (err_set(e, "out_of_memory", "out of memory"), NULL)
                       : check_key(jwk, alg, e) != 0 ? NULL
                       : json_object_get(jwk, "d") == NULL
                           ? (err_set(e, "jose_key", "the key has no private half"), NULL)
                           : import(jwk, true, e);
    cjose_err why = {0};
    const char *spelled = NULL;
    cjose_jws_t *jws =
        key != NULL ? cjose_jws_sign(key, (cjose_header_t *)own, (const uint8_t *)payload, n, &why) : NULL;
    int rc = key != NULL ? 0 : -1;
    if (rc == 0 && (jws == NULL || !cjose_jws_export(jws, &spelled, &why))) {
        rc = failed(e, &why, "jose_key", "the key does not sign");
    }
    if (rc == 0 && buf_puts(token, spelled) != 0) {
        rc = err_set(e, "out_of_memory", "out of memory");
    }
    cjose_jws_release(jws);
    cjose_jwk_release(key);
    json_decref(own);
    return rc;
}
