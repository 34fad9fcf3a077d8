/* Envelopes: the specification's own vector of PAE, keys that OpenSSL made, and everything that must not open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "prim/hash.h"
#include "run/dsse.h"

/* RFC 8410 section 10.3 and 10.1: a private key, and its public key. */
static const char RFC8410_PRIVATE[] = "-----BEGIN PRIVATE KEY-----\n"
                                      "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                                      "-----END PRIVATE KEY-----\n";
static const char RFC8410_PUBLIC[] = "-----BEGIN PUBLIC KEY-----\n"
                                     "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                                     "-----END PUBLIC KEY-----\n";

static void test_pae(void **state) {
    (void)state;
    buf out = BUF_INIT;
    /* github.com/secure-systems-lab/dsse, protocol.md, "Test vectors". */
    assert_int_equal(dsse_pae(&out, "http://example.com/HelloWorld", "hello world", 11), 0);
    assert_string_equal(buf_str(&out), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    buf_free(&out);
}

static void test_keys(void **state) {
    (void)state;
    dsse_key a, b, c;
    err e;
    buf pem = BUF_INIT;
    assert_int_equal(dsse_key_read(RFC8410_PRIVATE, "key", &a, &e), 0);
    assert_int_equal(dsse_key_read(RFC8410_PUBLIC, "key", &b, &e), 0);
    assert_true(a.private_ && !b.private_);
    assert_string_equal(a.id, b.id);
    assert_int_equal(dsse_key_private_pem(&a, &pem, &e), 0);
    assert_string_equal(buf_str(&pem), RFC8410_PRIVATE);
    buf_reset(&pem);
    assert_int_equal(dsse_key_public_pem(&a, &pem, &e), 0);
    assert_string_equal(buf_str(&pem), RFC8410_PUBLIC);
    buf_free(&pem);
    assert_int_equal(dsse_key_make(&c, &e), 0);
    assert_string_not_equal(c.id, a.id);
    static const char *const WRONG[] = {"", "x", "-----BEGIN PRIVATE KEY-----",
                                        "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----",
                                        "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_equal(dsse_key_read(WRONG[i], "evidence.key", &c, &e), -1);
        assert_string_equal(e.code, "key_form");
        assert_non_null(strstr(e.message, "evidence.key"));
    }
}

static const char PAYLOAD[] = "{\"a\":1}";

static char *sealed(const dsse_key *key, const char *type) {
    buf out = BUF_INIT;
    err e;
    assert_int_equal(dsse_seal(&out, type, PAYLOAD, strlen(PAYLOAD), key, &e), 0);
    return buf_steal(&out);
}

/* "" where it opens, else the code. */
static const char *opens(const char *envelope, const dsse_trust *trust) {
    static err e;
    buf payload = BUF_INIT;
    err_clear(&e);
    int rc = dsse_open(envelope, strlen(envelope), DSSE_INTOTO, trust, &payload, NULL, &e);
    if (rc == 0) {
        assert_string_equal(buf_str(&payload), PAYLOAD);
    } else {
        assert_int_equal(payload.len, 0);
    }
    buf_free(&payload);
    return rc == 0 ? "" : e.code;
}

static void test_open(void **state) {
    (void)state;
    static dsse_trust trust;
    dsse_key other;
    err e;
    assert_int_equal(dsse_key_make(&trust.keys[0], &e), 0);
    assert_int_equal(dsse_key_make(&trust.keys[1], &e), 0);
    assert_int_equal(dsse_key_make(&other, &e), 0);
    trust.n = 2;
    char *mine = sealed(&trust.keys[1], DSSE_INTOTO), *foreign = sealed(&other, DSSE_INTOTO);
    char *type = sealed(&trust.keys[0], "text/plain");
    assert_string_equal(opens(mine, &trust), "");
    assert_string_equal(opens(foreign, &trust), "dsse_key_unknown");
    assert_string_equal(opens(type, &trust), "dsse_form");
    json_t *revoked = json_pack("{s:s}", trust.keys[1].id, "stolen");
    trust.revoked = revoked;
    assert_string_equal(opens(mine, &trust), "dsse_key_revoked");
    trust.revoked = NULL;
    /* Every character changed to another of its kind: it opens no more. */
    char *payload = strstr(mine, "\"payload\":\"") + 11, *sig = strstr(mine, "\"sig\":\"") + 7;
    for (char *at = payload; *at != '"' && *at != '='; at++) {
        char was = *at;
        *at = was == 'A' ? 'B' : 'A';
        assert_string_not_equal(opens(mine, &trust), "");
        *at = was;
    }
    for (char *at = sig; *at != '"' && *at != '='; at++) {
        char was = *at;
        *at = was == 'A' ? 'B' : 'A';
        assert_string_not_equal(opens(mine, &trust), "");
        *at = was;
    }
    assert_string_equal(opens(mine, &trust), "");
    json_decref(revoked);
    free(mine);
    free(foreign);
    free(type);
}

static void test_malformed(void **state) {
    (void)state;
    static dsse_trust trust;
    err e;
    assert_int_equal(dsse_key_make(&trust.keys[0], &e), 0);
    trust.n = 1;
    static const char *const WRONG[] = {
        "",
        "[]",
        "{}",
        "{\"payload\":\"\",\"payloadType\":\"" DSSE_INTOTO "\",\"signatures\":[]}",
        "{\"payload\":\"*\",\"payloadType\":\"" DSSE_INTOTO "\",\"signatures\":[{\"sig\":\"\"}]}",
        "{\"payload\":7,\"payloadType\":\"" DSSE_INTOTO "\",\"signatures\":[{\"sig\":\"\"}]}",
        "{\"payload\":\"\",\"payload\":\"\",\"payloadType\":\"" DSSE_INTOTO "\",\"signatures\":[{\"sig\":\"\"}]}"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_string_equal(opens(WRONG[i], &trust), "dsse_form");
    }
    assert_string_equal(opens("{\"payload\":\"\",\"payloadType\":\"" DSSE_INTOTO
                              "\",\"signatures\":[7,{},{\"sig\":\"AAAA\"}]}",
                              &trust),
                        "dsse_key_unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pae), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_open), cmocka_unit_test(test_malformed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
