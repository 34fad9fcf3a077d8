/* hash.c: `require "engine.hash"`: digests, canonical JSON, signatures. The functions are described in
 * stdlib/meta/hash.lua. */
#include "prim/hash.h"
#include "prim/crypto.h"

#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/canon.h"
#include "vm/conv.h"
#include "vm/luax_work.h"

#define STREAM "gate.hash.stream"
#define RANDOM_MAX (1 << 20)

/* The string at idx; numbers are not taken for strings, since 1 and 1.0 would hash differently. */
static const char *check_bytes(lua_State *L, int idx, const char *fn, const char *what, size_t *n) { /* [-0, +0, v] */
    if (lua_type(L, idx) != LUA_TSTRING) {
        luax_fail(L, "bad_argument", "%s: expected %s as a string, got %s", fn, what, luaL_typename(L, idx));
    }
    return lua_tolstring(L, idx, n);
}

/* The string at idx, of exactly `size` bytes. */
static const unsigned char *check_sized(lua_State *L, int idx, const char *fn, const char *what,
                                        size_t size) { /* [-0, +0, v] */
    size_t n;
    const char *s = check_bytes(L, idx, fn, what, &n);
    if (n != size) {
        luax_fail(L, "bad_argument", "%s: expected %s of %zu bytes, got %zu", fn, what, size, n);
    }
    return (const unsigned char *)s;
}

/* Pushes a digest raw or as hexadecimal text. */
static int push_digest(lua_State *L, const unsigned char digest[HASH_SHA256_SIZE], bool raw) { /* [-0, +1, m] */
    if (raw) {
        lua_pushlstring(L, (const char *)digest, HASH_SHA256_SIZE);
        return 1;
    }
    char hex[2 * HASH_SHA256_SIZE];
    for (size_t i = 0; i < HASH_SHA256_SIZE; i++) {
        static const char digit[] = "0123456789abcdef";
        hex[2 * i] = digit[digest[i] >> 4];
        hex[2 * i + 1] = digit[digest[i] & 15];
    }
    lua_pushlstring(L, hex, sizeof hex);
    return 1;
}

static int sha256_any(lua_State *L, const char *fn, bool raw) { /* [-1, +1, v] */
    size_t n;
    const char *s = check_bytes(L, 1, fn, "the bytes", &n);
    unsigned char digest[HASH_SHA256_SIZE];
    err e;
    return hash_sha256(s, n, digest, &e) == 0 ? push_digest(L, digest, raw) : luax_raise(L, &e);
}

static int bind_sha256(lua_State *L) { /* [-1, +1, v] */
    return sha256_any(L, "hash.sha256", false);
}

static int bind_sha256_raw(lua_State *L) { /* [-1, +1, v] */
    return sha256_any(L, "hash.sha256_raw", true);
}

static int hmac_any(lua_State *L, const char *fn, bool raw) { /* [-2, +1, v] */
    size_t key_len;
    size_t n;
    const char *key = check_bytes(L, 1, fn, "the key", &key_len);
    const char *s = check_bytes(L, 2, fn, "the bytes", &n);
    unsigned char digest[HASH_SHA256_SIZE];
    err e;
    return hash_hmac_sha256(key, key_len, s, n, digest, &e) == 0 ? push_digest(L, digest, raw) : luax_raise(L, &e);
}

static int bind_hmac(lua_State *L) { /* [-2, +1, v] */
    return hmac_any(L, "hash.hmac_sha256", false);
}

static int bind_hmac_raw(lua_State *L) { /* [-2, +1, v] */
    return hmac_any(L, "hash.hmac_sha256_raw", true);
}

typedef struct stream {
    hash_stream *s; /* owned; NULL once finished */
} stream;

static int stream_gc(lua_State *L) { /* [-1, +0, -] */
    stream *self = lua_touserdata(L, 1);
    hash_stream *s = self->s;
    self->s = NULL;
    hash_stream_free(s);
    return 0;
}

static stream *check_stream(lua_State *L, const char *fn) { /* [-0, +0, v] */
    stream *self = luax_check(L, 1, STREAM, fn);
    if (self->s == NULL) {
        luax_fail(L, "hash_finished", "%s: the stream is finished; make a new one with hash.stream()", fn);
    }
    return self;
}

static int stream_close(lua_State *L) { /* [-1, +0, v] */
    luax_check(L, 1, STREAM, "stream:close");
    return stream_gc(L);
}

static int stream_tostring(lua_State *L) { /* [-1, +1, m] */
    const stream *self = luax_check(L, 1, STREAM, "tostring");
    lua_pushstring(L, self->s != NULL ? "hash.stream" : "hash.stream (finished)");
    return 1;
}

static int stream_update(lua_State *L) { /* [-2, +1, v] */
    stream *self = check_stream(L, "stream:update");
    size_t n;
    const char *s = check_bytes(L, 2, "stream:update", "the bytes", &n);
    err e;
    if (hash_stream_update(self->s, s, n, &e) != 0) {
        return luax_raise(L, &e);
    }
    lua_settop(L, 1);
    return 1;
}

static int finish(lua_State *L, const char *fn, bool raw) { /* [-1, +1, v] */
    stream *self = check_stream(L, fn);
    unsigned char digest[HASH_SHA256_SIZE];
    err e;
    int rc = hash_stream_final(self->s, digest, &e);
    stream_gc(L);
    return rc == 0 ? push_digest(L, digest, raw) : luax_raise(L, &e);
}

static int stream_final(lua_State *L) { /* [-1, +1, v] */
    return finish(L, "stream:final", false);
}

static int stream_final_raw(lua_State *L) { /* [-1, +1, v] */
    return finish(L, "stream:final_raw", true);
}

static int bind_stream(lua_State *L) { /* [-0, +1, v] */
    stream *self = luax_new(L, STREAM, sizeof *self, 0);
    err e;
    self->s = hash_stream_open(&e);
    return self->s != NULL ? 1 : luax_raise(L, &e);
}

static int bind_canonical(lua_State *L) { /* [-1, +1, v] */
    luaL_checkany(L, 1);
    err e;
    work *w = work_new(L);
    return conv_canonical(L, 1, &w->text, &e) == 0 ? work_push(L, w) : work_fail(L, w, &e);
}

/* The digest of a work's text. */
static int push_digest_of(lua_State *L, work *w) { /* [-0, +1, v] */
    unsigned char digest[HASH_SHA256_SIZE];
    err e;
    if (hash_sha256(buf_str(&w->text), w->text.len, digest, &e) != 0) {
        return work_fail(L, w, &e);
    }
    work_free(w);
    return push_digest(L, digest, false);
}

/* Where a value's canonical bytes go while it is read. */
typedef struct drain {
    hash_stream *s; /* NULL until there is much */
    err *e;
} drain;

static int drain_bytes(void *ctx, const char *bytes, size_t n) {
    drain *d = ctx;
    if (d->s == NULL) {
        d->s = hash_stream_open(d->e);
    }
    return d->s != NULL ? hash_stream_update(d->s, bytes, n, d->e) : -1;
}

/* Nothing between taking and freeing raises. */
static int bind_of(lua_State *L) { /* [-1, +1, v] */
    luaL_checkany(L, 1);
    unsigned char digest[HASH_SHA256_SIZE];
    err e, drained;
    err_clear(&drained);
    drain d = {.e = &drained};
    buf text = {.drain = drain_bytes, .drain_ctx = &d};
    int rc = conv_canonical(L, 1, &text, &e);
    if (rc == 0 && d.s == NULL) {
        rc = hash_sha256(buf_str(&text), text.len, digest, &e);
    } else if (rc == 0) {
        rc = drain_bytes(&d, buf_str(&text), text.len) == 0 ? hash_stream_final(d.s, digest, &drained) : -1;
    }
    hash_stream_free(d.s);
    buf_free(&text);
    if (rc != 0) {
        return luax_raise(L, drained.code[0] != '\0' ? &drained : &e);
    }
    return push_digest(L, digest, false);
}

/* The canonical bytes of the JSON text at 1, in a work on the stack. */
static work *canonical_of_json(lua_State *L, const char *fn) { /* [-0, +1, v] */
    size_t n;
    const char *text = check_bytes(L, 1, fn, "the JSON text", &n);
    err e;
    work *w = work_new(L);
    if (canon_text(&w->text, text, n, &e) != 0) {
        work_fail(L, w, &e);
    }
    return w;
}

static int bind_canonical_json(lua_State *L) { /* [-1, +1, v] */
    return work_push(L, canonical_of_json(L, "hash.canonical_json"));
}

static int bind_of_json(lua_State *L) { /* [-1, +1, v] */
    return push_digest_of(L, canonical_of_json(L, "hash.of_json"));
}

static int bind_equal(lua_State *L) { /* [-2, +1, v] */
    size_t n;
    size_t m;
    const char *a = check_bytes(L, 1, "hash.equal", "both values", &n);
    const char *b = check_bytes(L, 2, "hash.equal", "both values", &m);
    lua_pushboolean(L, n == m && hash_equal(a, b, n));
    return 1;
}

static int bind_random(lua_State *L) { /* [-1, +1, v] */
    int is_integer = 0;
    lua_Integer n = lua_type(L, 1) == LUA_TNUMBER ? lua_tointegerx(L, 1, &is_integer) : 0;
    if (!is_integer || n < 0 || n > RANDOM_MAX) {
        return luax_fail(L, "bad_argument", "hash.random: expected a number of bytes from 0 to %d", RANDOM_MAX);
    }
    luaL_Buffer b;
    err e;
    char *at = luaL_buffinitsize(L, &b, (size_t)n);
    if (hash_random(at, (size_t)n, &e) != 0) {
        return luax_raise(L, &e);
    }
    luaL_pushresultsize(&b, (size_t)n);
    return 1;
}

static int no_memory(lua_State *L, work *w, const char *fn) { /* [-0, +0, v] */
    err e;
    err_set(&e, "out_of_memory", "%s: out of memory", fn);
    return work_fail(L, w, &e);
}

static int bind_hex(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *s = check_bytes(L, 1, "hash.hex", "the bytes", &n);
    work *w = work_new(L);
    return hash_hex(&w->text, s, n) == 0 ? work_push(L, w) : no_memory(L, w, "hash.hex");
}

static int bind_unhex(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *s = check_bytes(L, 1, "hash.unhex", "the text", &n);
    err e;
    work *w = work_new(L);
    return hash_unhex(&w->text, s, n, &e) == 0 ? work_push(L, w) : work_fail(L, w, &e);
}

/* The optional variant at 2: nil or "standard", or "url". */
static bool check_variant(lua_State *L, const char *fn) { /* [-0, +0, v] */
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
    bool url = name != NULL && strcmp(name, "url") == 0;
    if (!url && !lua_isnoneornil(L, 2) && (name == NULL || strcmp(name, "standard") != 0)) {
        luax_fail(L, "bad_argument", "%s: expected the variant \"standard\" or \"url\"", fn);
    }
    return url;
}

static int bind_base64(lua_State *L) { /* [-2, +1, v] */
    size_t n;
    const char *s = check_bytes(L, 1, "hash.base64", "the bytes", &n);
    bool url = check_variant(L, "hash.base64");
    work *w = work_new(L);
    return hash_base64(&w->text, s, n, url) == 0 ? work_push(L, w) : no_memory(L, w, "hash.base64");
}

static int bind_unbase64(lua_State *L) { /* [-2, +1, v] */
    size_t n;
    const char *s = check_bytes(L, 1, "hash.unbase64", "the text", &n);
    bool url = check_variant(L, "hash.unbase64");
    err e;
    work *w = work_new(L);
    return hash_unbase64(&w->text, s, n, url, &e) == 0 ? work_push(L, w) : work_fail(L, w, &e);
}

static int bind_ed25519_keypair(lua_State *L) { /* [-1, +1, v] */
    unsigned char private_key[HASH_ED25519_KEY];
    unsigned char public_key[HASH_ED25519_KEY];
    err e;
    if (!lua_isnoneornil(L, 1)) {
        memcpy(private_key, check_sized(L, 1, "hash.ed25519_keypair", "a seed", sizeof private_key),
               sizeof private_key);
    } else if (hash_random(private_key, sizeof private_key, &e) != 0) {
        return luax_raise(L, &e);
    }
    int rc = hash_ed25519_public(private_key, public_key, &e);
    if (rc != 0) {
        explicit_bzero(private_key, sizeof private_key);
        return luax_raise(L, &e);
    }
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, (const char *)private_key, sizeof private_key);
    explicit_bzero(private_key, sizeof private_key);
    lua_setfield(L, -2, "private");
    lua_pushlstring(L, (const char *)public_key, sizeof public_key);
    lua_setfield(L, -2, "public");
    return 1;
}

static int bind_ed25519_sign(lua_State *L) { /* [-2, +1, v] */
    size_t n;
    const unsigned char *key = check_sized(L, 1, "hash.ed25519_sign", "a private key", HASH_ED25519_KEY);
    const char *s = check_bytes(L, 2, "hash.ed25519_sign", "the bytes", &n);
    unsigned char signature[HASH_ED25519_SIGNATURE];
    err e;
    if (hash_ed25519_sign(key, s, n, signature, &e) != 0) {
        return luax_raise(L, &e);
    }
    lua_pushlstring(L, (const char *)signature, sizeof signature);
    return 1;
}

static int bind_ed25519_verify(lua_State *L) { /* [-3, +1, v] */
    static const char fn[] = "hash.ed25519_verify";
    size_t n;
    size_t len;
    const unsigned char *key = check_sized(L, 1, fn, "a public key", HASH_ED25519_KEY);
    const char *s = check_bytes(L, 2, fn, "the bytes", &n);
    const char *signature = check_bytes(L, 3, fn, "the signature", &len);
    err e;
    /* A signature comes from outside; one of another length is no usage error, it is not valid. */
    int valid =
        len == HASH_ED25519_SIGNATURE ? hash_ed25519_verify(key, s, n, (const unsigned char *)signature, &e) : 0;
    if (valid < 0) {
        return luax_raise(L, &e);
    }
    lua_pushboolean(L, valid);
    return 1;
}

/* One known digest (FIPS 180-4's "abc") when the module is loaded. It shows that this OpenSSL works, and it loads what
 * OpenSSL loads lazily while files may still be opened. */
static void self_test(lua_State *L) { /* [-0, +0, v] */
    static const unsigned char EXPECTED[HASH_SHA256_SIZE] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
        0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    unsigned char got[HASH_SHA256_SIZE];
    err e;
    if (hash_sha256("abc", 3, got, &e) != 0) {
        luax_raise(L, &e);
    }
    if (memcmp(got, EXPECTED, sizeof got) != 0) {
        luax_fail(L, "hash_failed", "SHA-256 of this machine's OpenSSL gives a wrong digest");
    }
}

LUAX_EXPORT int luaopen_engine_hash(lua_State *L);

int luaopen_engine_hash(lua_State *L) { /* [-0, +1, v] */
    static const luaL_Reg METHODS[] = {{"update", stream_update},
                                       {"final", stream_final},
                                       {"final_raw", stream_final_raw},
                                       {"close", stream_close},
                                       {NULL, NULL}};
    static const luaL_Reg META[] = {
        {"__gc", stream_gc}, {"__close", stream_gc}, {"__tostring", stream_tostring}, {NULL, NULL}};
    static const luaL_Reg FUNCTIONS[] = {{"sha256", bind_sha256},
                                         {"sha256_raw", bind_sha256_raw},
                                         {"hmac_sha256", bind_hmac},
                                         {"hmac_sha256_raw", bind_hmac_raw},
                                         {"stream", bind_stream},
                                         {"canonical", bind_canonical},
                                         {"canonical_json", bind_canonical_json},
                                         {"of", bind_of},
                                         {"of_json", bind_of_json},
                                         {"equal", bind_equal},
                                         {"random", bind_random},
                                         {"hex", bind_hex},
                                         {"unhex", bind_unhex},
                                         {"base64", bind_base64},
                                         {"unbase64", bind_unbase64},
                                         {"ed25519_keypair", bind_ed25519_keypair},
                                         {"ed25519_sign", bind_ed25519_sign},
                                         {"ed25519_verify", bind_ed25519_verify},
                                         {NULL, NULL}};
    crypto_begin();
    self_test(L);
    luax_class(L, STREAM, METHODS, META);
    work_class(L);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
