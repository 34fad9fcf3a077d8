#include "run/dsse.h"

#include <stdio.h>
#include <string.h>

#include "base/canon.h"
#include "base/text.h"
#include "prim/hash.h"
#include "run/signing.h"

_Static_assert(DSSE_KEY_SIZE == HASH_ED25519_KEY, "the size of an Ed25519 key");

/* DER of RFC 8410 up to the key itself: OneAsymmetricKey with id-Ed25519 (1.3.101.112), and SubjectPublicKeyInfo. */
static const unsigned char PRIVATE_DER[] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                            0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
static const unsigned char PUBLIC_DER[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static const char PRIVATE_NAME[] = "PRIVATE KEY", PUBLIC_NAME[] = "PUBLIC KEY";

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "out of memory at a signature");
}

static void wipe_buf(buf *b) {
    if (b->data != NULL) {
        explicit_bzero(b->data, b->cap);
    }
    buf_free(b);
}

void dsse_key_wipe(dsse_key *key) {
    explicit_bzero(key, sizeof *key);
}

/* --- keys --- */

static void name_key(dsse_key *key) {
    unsigned char der[sizeof PUBLIC_DER + DSSE_KEY_SIZE];
    memcpy(der, PUBLIC_DER, sizeof PUBLIC_DER);
    memcpy(der + sizeof PUBLIC_DER, key->public, DSSE_KEY_SIZE);
    sha256_hex(der, sizeof der, key->id);
}

/* The bytes between the lines of a PEM text (RFC 7468 section 3). 1 = there are none of this name. */
static int pem_bytes(const char *pem, const char *name, buf *der, err *e) {
    char begin[64], end[64];
    snprintf(begin, sizeof begin, "-----BEGIN %s-----", name);
    snprintf(end, sizeof end, "-----END %s-----", name);
    const char *from = strstr(pem, begin);
    const char *to = from != NULL ? strstr(from, end) : NULL;
    if (to == NULL) {
        return 1;
    }
    buf plain = BUF_INIT;
    for (from += strlen(begin); from < to; from++) {
        if (strchr(" \t\r\n", *from) == NULL && buf_putc(&plain, *from) != 0) {
            wipe_buf(&plain);
            return no_memory(e);
        }
    }
    int rc = hash_unbase64(der, buf_str(&plain), plain.len, false, e);
    wipe_buf(&plain);
    return rc;
}

static bool has_form(const buf *der, const unsigned char *prefix, size_t n) {
    return der->len == n + DSSE_KEY_SIZE && memcmp(der->data, prefix, n) == 0;
}

int dsse_key_make(dsse_key *key, err *e) {
    *key = (dsse_key){.private_ = true};
    const hash_signing *with = signing_load(e);
    if (with == NULL || with->random(key->seed, sizeof key->seed, e) != 0 ||
        with->public_of(key->seed, key->public, e) != 0) {
        dsse_key_wipe(key);
        return -1;
    }
    name_key(key);
    return 0;
}

int dsse_key_read(const char *pem, const char *what, dsse_key *key, err *e) {
    buf der = BUF_INIT;
    err why;
    *key = (dsse_key){.private_ = false};
    int rc = 0;
    if (pem_bytes(pem, PRIVATE_NAME, &der, &why) == 0 && has_form(&der, PRIVATE_DER, sizeof PRIVATE_DER)) {
        memcpy(key->seed, der.data + sizeof PRIVATE_DER, DSSE_KEY_SIZE);
        key->private_ = true;
        const hash_signing *with = signing_load(e);
        rc = with != NULL ? with->public_of(key->seed, key->public, e) : -1;
    } else {
        buf_reset(&der);
        if (pem_bytes(pem, PUBLIC_NAME, &der, &why) == 0 && has_form(&der, PUBLIC_DER, sizeof PUBLIC_DER)) {
            memcpy(key->public, der.data + sizeof PUBLIC_DER, DSSE_KEY_SIZE);
        } else {
            err_set(e, "key_form", "%s: expected an Ed25519 key as PEM, found something else", what);
            rc = err_fix(e, "make one with gate-engine evidence keygen, or openssl genpkey -algorithm ed25519");
        }
    }
    wipe_buf(&der);
    name_key(key);
    return rc;
}

static int write_pem(const char *name, const unsigned char *prefix, size_t n, const unsigned char *bytes, buf *out,
                     err *e) {
    unsigned char der[sizeof PRIVATE_DER + DSSE_KEY_SIZE];
    memcpy(der, prefix, n);
    memcpy(der + n, bytes, DSSE_KEY_SIZE);
    buf_printf(out, "-----BEGIN %s-----\n", name);
    hash_base64(out, der, n + DSSE_KEY_SIZE, false); /* 64 characters at most: one line */
    buf_printf(out, "\n-----END %s-----\n", name);
    explicit_bzero(der, sizeof der);
    return out->failed ? no_memory(e) : 0;
}

int dsse_key_private_pem(const dsse_key *key, buf *out, err *e) {
    return write_pem(PRIVATE_NAME, PRIVATE_DER, sizeof PRIVATE_DER, key->seed, out, e);
}

int dsse_key_public_pem(const dsse_key *key, buf *out, err *e) {
    return write_pem(PUBLIC_NAME, PUBLIC_DER, sizeof PUBLIC_DER, key->public, out, e);
}

/* --- envelopes --- */

int dsse_pae(buf *out, const char *type, const void *payload, size_t n) {
    buf_printf(out, "DSSEv1 %zu %s %zu ", strlen(type), type, n);
    return buf_append(out, payload, n);
}

static json_t *base64(const void *bytes, size_t n) {
    buf text = BUF_INIT;
    json_t *out = hash_base64(&text, bytes, n, false) == 0 ? json_stringn(buf_str(&text), text.len) : NULL;
    buf_free(&text);
    return out;
}

int dsse_seal(buf *out, const char *type, const void *payload, size_t n, const dsse_key *key, err *e) {
    buf pae = BUF_INIT;
    unsigned char signature[HASH_ED25519_SIGNATURE];
    const hash_signing *with = signing_load(e);
    int rc = with == NULL                            ? -1
             : dsse_pae(&pae, type, payload, n) != 0 ? no_memory(e)
                                                     : with->sign(key->seed, buf_str(&pae), pae.len, signature, e);
    buf_free(&pae);
    if (rc != 0) {
        return -1;
    }
    json_t *envelope = json_pack("{s:o, s:s, s:[{s:s, s:o}]}", "payload", base64(payload, n), "payloadType", type,
                                 "signatures", "keyid", key->id, "sig", base64(signature, sizeof signature));
    rc = envelope != NULL ? canon_value(out, envelope, e) : no_memory(e);
    json_decref(envelope);
    return rc == 0 && buf_putc(out, '\n') != 0 ? no_memory(e) : rc;
}

static int malformed(const char *what, err *e) {
    err_set(e, "dsse_form", "expected a DSSE envelope: %s", what);
    return err_fix(e,
                   "{\"payload\": BASE64, \"payloadType\": TYPE, \"signatures\": [{\"keyid\": ID, \"sig\": BASE64}]}");
}

/* Base64 in either alphabet: a reader of envelopes must take both (envelope.md). 1 = it is none. */
static int decode(const json_t *text, buf *out, err *e) {
    err why;
    const char *s = json_string_value(text);
    if (s == NULL) {
        return 1;
    }
    bool url = strpbrk(s, "-_") != NULL;
    size_t n = json_string_length(text);
    while (url && n > 0 && s[n - 1] == '=') {
        n--;
    }
    if (hash_unbase64(out, s, n, url, &why) == 0) {
        return 0;
    }
    return strcmp(why.code, "out_of_memory") == 0 ? no_memory(e) : 1;
}

/* The key that made this signature: its index; -2 = none of them; -1 with *e. `named`: a key of the list has the id
 * that the signature names. */
static int signer(const hash_signing *with, const json_t *signature, const buf *pae, const dsse_trust *trust,
                  bool *named, err *e) {
    buf sig = BUF_INIT;
    const char *id = json_string_value(json_object_get(signature, "keyid"));
    int rc = decode(json_object_get(signature, "sig"), &sig, e);
    int found = rc < 0 ? -1 : -2;
    for (size_t i = 0; i < trust->n && found == -2; i++) { /* the id is a hint alone: every key is tried */
        *named = *named || (id != NULL && strcmp(id, trust->keys[i].id) == 0);
        int good =
            rc == 0 && sig.len == HASH_ED25519_SIGNATURE
                ? with->verify(trust->keys[i].public, buf_str(pae), pae->len, (const unsigned char *)buf_str(&sig), e)
                : 0;
        found = good == 1 ? (int)i : good < 0 ? -1 : -2;
    }
    buf_free(&sig);
    return found;
}

static int say_key(const char *code, const char *fix, const char *id, const char *what, err *e) {
    buf shown = BUF_INIT;
    text_sanitise(&shown, id != NULL ? id : "(unnamed)", strlen(id != NULL ? id : "(unnamed)"), 80, false);
    err_set(e, code, "%s %s", what, buf_str(&shown));
    buf_free(&shown);
    return err_fix(e, "%s", fix);
}

static int verify(const json_t *signatures, const buf *pae, const dsse_trust *trust, size_t *by, err *e) {
    bool named = false;
    const json_t *revoked = NULL;
    const char *id = NULL;
    const hash_signing *with = signing_load(e);
    size_t i;
    json_t *signature;
    if (with == NULL) {
        return -1;
    }
    json_array_foreach((json_t *)signatures, i, signature) {
        int k = signer(with, signature, pae, trust, &named, e);
        if (k == -1) {
            return -1;
        }
        const json_t *why = k >= 0 ? json_object_get(trust->revoked, trust->keys[k].id) : NULL;
        if (k >= 0 && why == NULL) {
            if (by != NULL) {
                *by = (size_t)k;
            }
            return 0;
        }
        if (why != NULL) {
            revoked = why;
            id = trust->keys[k].id;
        }
        id = id != NULL ? id : json_string_value(json_object_get(signature, "keyid"));
    }
    if (revoked != NULL) {
        say_key("dsse_key_revoked", "validate again: what a revoked key signed proves nothing, whenever it was signed",
                id, "signed by a key that is revoked:", e);
        const char *reason = json_string_value(revoked);
        return err_detail(e, "%s", reason != NULL ? reason : "no reason is given");
    }
    if (named) {
        return say_key("dsse_signature", "it was changed after it was signed: validate again", id,
                       "the signature does not fit what it signs; it names the key", e);
    }
    return say_key("dsse_key_unknown", "add its public key to evidence.trusted, or validate again with the present key",
                   id, "signed by a key that is not trusted:", e);
}

int dsse_open(const char *text, size_t n, const char *type, const dsse_trust *trust, buf *payload, size_t *by, err *e) {
    err why;
    json_t *envelope = canon_parse(text, n, &why);
    if (envelope == NULL && strcmp(why.code, "out_of_memory") == 0) {
        return no_memory(e);
    }
    const char *its_type = json_string_value(json_object_get(envelope, "payloadType"));
    const json_t *signatures = json_object_get(envelope, "signatures");
    buf plain = BUF_INIT, pae = BUF_INIT;
    int rc = 0, got = 1;
    if (envelope == NULL || its_type == NULL || json_array_size(signatures) == 0 || json_array_size(signatures) > 64) {
        rc = malformed("payload, payloadType and 1 to 64 signatures", e);
    } else if ((got = decode(json_object_get(envelope, "payload"), &plain, e)) != 0) {
        rc = got > 0 ? malformed("its payload is not base64", e) : -1;
    } else if (strcmp(its_type, type) != 0) {
        rc = malformed("its payloadType is not " DSSE_INTOTO, e);
    } else if (dsse_pae(&pae, its_type, buf_str(&plain), plain.len) != 0) {
        rc = no_memory(e);
    } else {
        rc = verify(signatures, &pae, trust, by, e);
    }
    if (rc == 0 && buf_append(payload, buf_str(&plain), plain.len) != 0) {
        rc = no_memory(e);
    }
    buf_free(&plain);
    buf_free(&pae);
    json_decref(envelope);
    return rc;
}
