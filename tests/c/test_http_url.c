/* Paths, redirects and header lines, by table and by mutation: whatever passes must stay at the endpoint, as the parser
 * which connects reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prim/http_internal.h"
#include "prim/http_url.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

static http_base base_of(const char *url) {
    http_base b;
    buf user = BUF_INIT;
    err e;
    if (http_url_base("e", url, &b, &user, &e) != 0) {
        fail_msg("%s: %s", url, e.message);
    }
    buf_free(&user);
    return b;
}

static void joined(void **state) {
    (void)state;
    static const char *const CASES[][4] = {
        {"http://h", "", NULL, "http://h:80/"},
        {"http://h/", "/", NULL, "http://h:80/"},
        {"https://H:8443/a/b/", "/c", "x=1", "https://H:8443/a/b/c?x=1"},
        {"http://h/a", "", "x=1", "http://h:80/a?x=1"},
        {"http://h", "/a?b=@c", "x=1", "http://h:80/a?b=@c&x=1"},
        {"http://[::1]:81", "/a b", NULL, "http://[::1]:81/a%20b"},
        {"http://h", "/\xC3\xBC\"<>^`{|}", NULL, "http://h:80/%C3%BC%22%3C%3E%5E%60%7B%7C%7D"},
        {"http://h", "/a%3Bb/...", NULL, "http://h:80/a%3Bb/..."},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        http_base b = base_of(CASES[i][0]);
        buf out = BUF_INIT;
        err e;
        assert_int_equal(http_url_join(&b, CASES[i][1], strlen(CASES[i][1]), CASES[i][2], &out, &e), 0);
        assert_string_equal(buf_str(&out), CASES[i][3]);
        buf_free(&out);
    }
}

static void too_long(void **state) {
    (void)state;
    http_base b = base_of("http://h");
    static char path[9000];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    buf out = BUF_INIT;
    err e;
    assert_int_equal(http_url_join(&b, path, sizeof path, NULL, &out, &e), -1);
    assert_string_equal(e.code, "bad_argument");
    buf_free(&out);
}

/* An independent look at a finished URL: the bytes up to the path are the endpoint's own, and the parser agrees. */
static void assert_stays(const char *url, const char *path) {
    static const char ORIGIN[] = "http://good.example:80/pre";
    if (strncmp(url, ORIGIN, sizeof ORIGIN - 1) != 0) {
        fail_msg("%s became %s", path, url);
    }
    CURLU *u = curl_url();
    char *host = NULL;
    char *user = NULL;
    char *parsed = NULL;
    assert_non_null(u);
    /* Without CURLU_PATH_AS_IS dots are removed: a path which climbs would lose the prefix. */
    assert_int_equal(curl_url_set(u, CURLUPART_URL, url, 0), CURLUE_OK);
    assert_int_equal(curl_url_get(u, CURLUPART_HOST, &host, 0), CURLUE_OK);
    assert_string_equal(host, "good.example");
    assert_int_equal(curl_url_get(u, CURLUPART_USER, &user, 0), CURLUE_NO_USER);
    assert_int_equal(curl_url_get(u, CURLUPART_PATH, &parsed, 0), CURLUE_OK);
    if (strncmp(parsed, "/pre", 4) != 0) {
        fail_msg("%s climbs to %s", path, parsed);
    }
    for (const char *s = url; *s != '\0'; s++) {
        assert_true((unsigned char)*s > 0x20 && (unsigned char)*s < 0x7F);
    }
    curl_free(parsed);
    curl_free(host);
    curl_url_cleanup(u);
}

static uint64_t next_random(uint64_t *s) { /* xorshift64, Marsaglia 2003: the same every run */
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void random_paths(void **state) {
    (void)state;
    static const char *const PIECES[] = {
        "/",  "//", "\\", "@",  "..", ".", "%2e", "%2E",          "%2f",   "%5c", "%", "?",   "#",    ":",  "a",
        "b;", "\r", "\n", "\t", " ",  "ü", "&",   "evil.example", "http:", "[",   "]", "%00", "\x7F", "80", "=x"};
    http_base b = base_of("http://good.example/pre");
    uint64_t seed = 0x9E3779B97F4A7C15u;
    int accepted = 0;
    for (int round = 0; round < 60000; round++) {
        char path[256] = "";
        size_t parts = next_random(&seed) % 8;
        strcat(path, next_random(&seed) % 4 != 0 ? "/" : "");
        for (size_t i = 0; i < parts; i++) {
            strcat(path, PIECES[next_random(&seed) % (sizeof PIECES / sizeof PIECES[0])]);
        }
        buf out = BUF_INIT;
        err e;
        if (http_url_join(&b, path, strlen(path), NULL, &out, &e) == 0) {
            accepted++;
            assert_stays(buf_str(&out), path);
        } else {
            assert_string_equal(e.code, "bad_argument");
        }
        buf_free(&out);
    }
    assert_true(accepted > 3000); /* what refuses everything proves nothing */
}

static void redirected(void **state) {
    (void)state;
    static const struct {
        const char *location, *result; /* NULL: refused */
    } CASES[] = {
        {"/x", "http://h:8080/x"},
        {"x", "http://h:8080/a/x"},
        {"../x#frag", "http://h:8080/x"},
        {"?q=1", "http://h:8080/a/b?q=1"},
        {"http://h:8080/y", "http://h:8080/y"},
        {"//h:8080/y", "http://h:8080/y"},
        {"http://H:8080/y", "http://H:8080/y"},
        {"http://h/y", NULL},
        {"https://h:8080/y", NULL},
        {"//evil/y", NULL},
        {"http://u@h:8080/y", NULL},
        {"http://h:8080@evil/y", NULL},
        {"http://evil#@h:8080/", NULL},
        {"http://evil\\@h:8080/", NULL},
        {"ftp://h:8080/y", NULL},
        {"file:///etc/passwd", NULL},
        {"http://h:8080.evil/", NULL},
        {"http://h.:8080/", NULL},
        {"http:///evil/", NULL},
        {"http://h:808/", NULL},
        {"http://h:18080/", NULL},
    };
    http_base b = base_of("http://h:8080/");
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        buf out = BUF_INIT;
        err e;
        int rc = http_url_redirect(&b, "http://h:8080/a/b?c=d", CASES[i].location, &out, &e);
        if ((rc == 0) != (CASES[i].result != NULL)) {
            fail_msg("%s: %d %s", CASES[i].location, rc, buf_str(&out));
        }
        if (rc == 0) {
            assert_string_equal(buf_str(&out), CASES[i].result);
        } else {
            assert_string_equal(e.code, "http_redirect");
        }
        buf_free(&out);
    }
}

/* Beneath an endpoint's prefix, however a server reads the path. */
static void redirected_beneath(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"/pre/x", "http://h:8080/pre/x"},
        {"../c", "http://h:8080/pre/c"},
        {"/pre", "http://h:8080/pre"},
        {"/pre?q=/../", "http://h:8080/pre?q=/../"},
        {"/elsewhere", NULL},
        {"/prefix", NULL},
        {"/pre/../x", NULL},
        {"../../x", NULL},
        {"/pre/%2e%2E/x", NULL},
        {"/pre/a%2f..%2f..%2fx", NULL},
        {"/pre/a%5C..%5cx", NULL},
        {"/pre/..;/x", NULL},
        {"/%70re/x", NULL},
    };
    http_base b = base_of("http://h:8080/pre/");
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        buf out = BUF_INIT;
        err e;
        int rc = http_url_redirect(&b, "http://h:8080/pre/a/b", CASES[i][0], &out, &e);
        if ((rc == 0) != (CASES[i][1] != NULL)) {
            fail_msg("%s: %d %s", CASES[i][0], rc, buf_str(&out));
        }
        assert_string_equal(rc == 0 ? buf_str(&out) : e.code, rc == 0 ? CASES[i][1] : "http_redirect");
        buf_free(&out);
    }
}

static void userinfo(void **state) {
    (void)state;
    http_base b;
    buf user = BUF_INIT;
    err e;
    assert_int_equal(http_url_base("e", "https://us%40er:p%3Aw@h/x", &b, &user, &e), 0);
    assert_string_equal(buf_str(&user), "us@er:p:w");
    assert_string_equal(b.origin.host, "h");
    assert_int_equal(b.origin.port, 443);
    assert_string_equal(b.prefix, "/x");
    buf_free(&user);
    assert_int_equal(http_url_base("e", "https://user:topsecret@h/?q", &b, &user, &e), -1);
    assert_null(strstr(e.message, "topsecret"));
    err_clear(&e);
    assert_int_equal(http_url_base("e", "https://h:0/x", &b, &user, &e), -1); /* nothing can listen there */
    assert_string_equal(e.code, "http_endpoint");
    buf_free(&user);
}

/* Every byte in a name and in a value, against the definition (RFC 9110 sections 5.1 and 5.5). */
static void header_bytes(void **state) {
    (void)state;
    static const char TOKEN[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int c = 0; c < 256; c++) {
        err e;
        char name[3] = {'x', (char)c, 'y'};
        char value[3] = {'a', (char)c, 'b'};
        bool token = c != 0 && strchr(TOKEN, c) != NULL;
        bool field = c == '\t' || (c >= 0x20 && c != 0x7F);
        assert_int_equal(http_check_header("t", name, 3, "v", 1, &e), token ? 0 : -1);
        assert_int_equal(http_check_header("t", "x", 1, value, 3, &e), field ? 0 : -1);
    }
}

/* A pause is never longer than was meant, nor shorter than its half, and not always the same. */
static void jittered(void **state) {
    (void)state;
    for (int64_t pause = 0; pause < 5000; pause += 7) {
        for (uint32_t random = 0; random < 5000; random += 13) {
            int64_t got = http_outcome_jitter(pause, random);
            assert_true(got <= pause && 2 * got >= pause);
        }
    }
    assert_int_equal(http_outcome_jitter(200, 0), 200);
    assert_int_equal(http_outcome_jitter(200, 100), 100);
    assert_int_equal(http_outcome_jitter(200, UINT32_MAX), 200 - UINT32_MAX % 101);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST("a path is joined beneath the endpoint's prefix, with what no URL holds encoded", joined),
        TEST("a path over the bound is refused", too_long),
        TEST("no path of 60,000 random ones leaves the endpoint or climbs out of its prefix", random_paths),
        TEST("a redirect stays in the origin or is refused", redirected),
        TEST("a redirect stays beneath the endpoint's prefix or is refused", redirected_beneath),
        TEST("userinfo is taken out of the URL and stands in no message", userinfo),
        TEST("a pause before a repetition is a random part of it", jittered),
        TEST("a header's name is a token and its value holds no control character", header_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
