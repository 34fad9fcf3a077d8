/* The reader of signed tokens and keys: any token under RFC 7515's own keys, any key under its tokens. No input may be
 * taken for signed but the examples themselves. */
#include <string.h>

#include "base/canon.h"
#include "prim/jose.h"
#include "promise.h"

static const char *const ALGS[] = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", NULL};

/* RFC 7515, appendix A.3. */
static const char KEY[] = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
static const char TOKEN[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb"
    "S9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTU"
    "JqPP3-Kg6NU1Q";

static bool holds(const char *token, size_t n, const json_t *key) {
    buf header = BUF_INIT, claims = BUF_INIT;
    err e;
    err_clear(&e);
    int rc = jose_verify(token, n, key, ALGS, &header, &claims, &e);
    PROMISE(rc == 0 || strncmp(e.code, "jose_", 5) == 0);
    buf_free(&header);
    buf_free(&claims);
    return rc == 0;
}

/* The input: a token; and where it is a JSON object, a key too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *text = (const char *)data;
    err e;
    json_t *own = canon_parse(KEY, strlen(KEY), &e);
    PROMISE(own != NULL && holds(TOKEN, strlen(TOKEN), own));
    PROMISE(!holds(text, n, own) || (n == strlen(TOKEN) && memcmp(text, TOKEN, n) == 0));
    json_decref(own);
    buf out = BUF_INIT;
    (void)jose_header(text, n, &out, &e);
    buf_reset(&out);
    json_t *key = canon_parse(text, n, &e);
    if (json_is_object(key)) {
        (void)holds(TOKEN, strlen(TOKEN), key);
        (void)jose_pem(key, &out, &e);
        buf_reset(&out);
        (void)jose_sign(key, "{}", 2, key, &out, &e);
    }
    json_decref(key);
    buf_free(&out);
    return 0;
}
