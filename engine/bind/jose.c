/* jose.c: `require "engine.jose"`: signed tokens and their keys for scripts. The functions are described in
 * stdlib/meta/jose.lua. */
#include "prim/jose.h"
#include "prim/crypto.h"

#include <jansson.h>

#include "base/canon.h"
#include "vm/conv.h"
#include "vm/luax_work.h"

static const char *check_text(lua_State *L, int idx, const char *fn, const char *what, size_t *n) { /* [-0, +0, v] */
    if (lua_type(L, idx) != LUA_TSTRING) {
        luax_fail(L, "bad_argument", "%s: expected %s as a string, got %s", fn, what, luaL_typename(L, idx));
    }
    return lua_tolstring(L, idx, n);
}

/* The JSON object at idx, anchored on the stack in a work of its own. [-0, +1, v] */
static const json_t *check_object(lua_State *L, int idx, const char *fn, const char *what) {
    size_t n;
    const char *text = check_text(L, idx, fn, what, &n);
    err e;
    work *w = work_new(L);
    w->value = canon_parse(text, n, &e);
    if (!json_is_object(w->value)) {
        work_free(w);
        luax_fail(L, "bad_argument", "%s: expected %s as the text of a JSON object", fn, what);
    }
    return w->value;
}

/* The list of algorithms at idx; the table keeps its strings. [-0, +0, v] */
static void check_algs(lua_State *L, int idx, const char *algs[JOSE_ALGS_MAX + 1]) {
    luax_check_table(L, idx, "jose.verify");
    lua_Unsigned n = lua_rawlen(L, idx);
    if (n == 0 || n > JOSE_ALGS_MAX) {
        luax_fail(L, "bad_argument", "jose.verify: expected a list of 1 to %d algorithms", JOSE_ALGS_MAX);
    }
    for (lua_Unsigned i = 0; i < n; i++) {
        const char *name = lua_rawgeti(L, idx, (lua_Integer)i + 1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (!jose_knows(name)) {
            luax_fail(L, "bad_argument",
                      "jose.verify: algorithm %d: expected RS256, RS384, RS512, PS256, ES256 or ES384", (int)i + 1);
        }
        algs[i] = name;
        lua_pop(L, 1);
    }
    algs[n] = NULL;
}

static int bind_verify(lua_State *L) { /* [-3, +2, v] */
    size_t n;
    const char *algs[JOSE_ALGS_MAX + 1];
    lua_settop(L, 3);
    const char *token = check_text(L, 1, "jose.verify", "the token", &n);
    check_algs(L, 3, algs);
    const json_t *jwk = check_object(L, 2, "jose.verify", "the key");
    err e;
    work *header = work_new(L);
    work *claims = work_new(L);
    if (jose_verify(token, n, jwk, algs, &header->text, &claims->text, &e) != 0) {
        work_free(header);
        return work_fail(L, claims, &e);
    }
    work_push(L, header);
    work_push(L, claims);
    return 2;
}

static int bind_header(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *token = check_text(L, 1, "jose.header", "the token", &n);
    err e;
    work *w = work_new(L);
    return jose_header(token, n, &w->text, &e) == 0 ? work_push(L, w) : work_fail(L, w, &e);
}

static int bind_generate(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *alg = check_text(L, 1, "jose.generate", "the algorithm", &n);
    err e;
    work *w = work_new(L);
    w->value = jose_generate(alg, &e);
    if (w->value == NULL || canon_plain(&w->text, w->value, 0, &e) != 0) {
        return work_fail(L, w, &e);
    }
    return work_push(L, w);
}

static int bind_sign(lua_State *L) { /* [-3, +1, v] */
    size_t n;
    lua_settop(L, 3);
    const char *payload = check_text(L, 2, "jose.sign", "the payload", &n);
    const json_t *header = check_object(L, 1, "jose.sign", "the header");
    const json_t *jwk = check_object(L, 3, "jose.sign", "the key");
    err e;
    work *w = work_new(L);
    return jose_sign(header, payload, n, jwk, &w->text, &e) == 0 ? work_push(L, w) : work_fail(L, w, &e);
}

static int bind_pem(lua_State *L) { /* [-1, +1, v] */
    const json_t *jwk = check_object(L, 1, "jose.pem", "the key");
    err e;
    work *w = work_new(L);
    return jose_pem(jwk, &w->text, &e) == 0 ? work_push(L, w) : work_fail(L, w, &e);
}

LUAX_EXPORT int luaopen_engine_jose(lua_State *L);

int luaopen_engine_jose(lua_State *L) { /* [-0, +1, v] */
    static const luaL_Reg FUNCTIONS[] = {{"verify", bind_verify}, {"header", bind_header}, {"generate", bind_generate},
                                         {"sign", bind_sign},     {"pem", bind_pem},       {NULL, NULL}};
    crypto_begin();
    work_class(L);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
