/* The reader without a tree against the one with: where it is sure, both say the same bytes; and it is sure of what
 * plans are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "base/canon_quick.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A small generator of its own (xorshift64*, Vigna 2016), so that a failure can be repeated. */
static uint64_t seed = 88172645463325252u;
static uint64_t below(uint64_t n) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (seed * 2685821657736338717u >> 11) % n;
}

/* Pieces of JSON, most of them right; the last ones of each list are wrong in a document, or refused. */
static const char *const NUMBERS[] = {"0",
                                      "-0",
                                      "7",
                                      "-12",
                                      "999999999999999",
                                      "0.5",
                                      "-0.0",
                                      "1.50",
                                      "0.000001",
                                      "0.0000001",
                                      "1e3",
                                      "1E+2",
                                      "12.5e-9",
                                      "123456.789012345678901",
                                      "1e21",
                                      "-1e-7",
                                      "4.35",
                                      "0.1000000",
                                      "123456789012.345",
                                      "5e-324",
                                      "2.2250738585072011e-308",
                                      "1e22",
                                      "0e99999",
                                      "1.0e0",
                                      "100.00",
                                      "9007199254740993",
                                      "12345678901234567890",
                                      "1e400",
                                      "01",
                                      "1.",
                                      ".5",
                                      "-",
                                      "1e",
                                      "+1",
                                      "1e+-2",
                                      "0x1"};
static const char *const STRINGS[] = {
    "\"\"",         "\"a\"",       "\"b c\"",          "\"ä\"",       "\"\xf0\x9f\x98\x80\"", "\"\xee\x80\x80\"",
    "\"\\n\"",      "\"\\/x\"",    "\"\\u0041\"",      "\"\\u00e4\"", "\"\\u001f\"",          "\"\\ud83d\\ude00\"",
    "\"\\\"\\\\\"", "\"\\u0000\"", "\"\\u2028\"",      "\"\x7f\"",    "\"\\ud83d\"",          "\"\\ude00\"",
    "\"\\x\"",      "\"\xc3\"",    "\"\xed\xa0\x80\"", "\"\t\"",      "\"\\u00g1\"",          "\"open"};
static const char *const BLANKS[] = {"", "", "", " ", "\n", "\t\r ", "\v"};
static const char *const WORDS[] = {"null", "true", "false", "nul", "True"};

static void add(char *text, const char *const *list, size_t right, size_t all) {
    strcat(text, list[below(below(400) == 0 ? all : right)]);
}

static void blank(char *text) {
    add(text, BLANKS, COUNT(BLANKS) - 1, COUNT(BLANKS));
}

static void random_text(char *text, int depth) {
    uint64_t kind = below(depth > 0 ? 6 : 3);
    blank(text);
    if (kind == 0) {
        add(text, NUMBERS, COUNT(NUMBERS) - 11, COUNT(NUMBERS));
    } else if (kind == 1) {
        add(text, STRINGS, COUNT(STRINGS) - 8, COUNT(STRINGS));
    } else if (kind == 2) {
        add(text, WORDS, COUNT(WORDS) - 2, COUNT(WORDS));
    } else {
        bool object = kind > 3;
        strcat(text, object ? "{" : "[");
        uint64_t n = below(below(10) == 0 ? 40 : 6);
        if (strlen(text) > 3000) {
            n = 0;
        }
        for (uint64_t i = 0; i < n; i++) {
            if (i > 0) {
                strcat(text, ",");
            }
            if (object) {
                blank(text);
                if (below(8) == 0) {
                    add(text, STRINGS, COUNT(STRINGS) - 8, COUNT(STRINGS));
                } else {
                    sprintf(text + strlen(text), "\"%s%llu\"",
                            (const char *[]){"k", "ä", "\xef\xac\xb3", "\xf0\x9f\x98\x80"}[below(4)],
                            (unsigned long long)below(100000));
                }
                blank(text);
                strcat(text, ":");
            }
            random_text(text, depth - 1);
        }
        blank(text);
        strcat(text, object ? "}" : "]");
    }
    blank(text);
}

/* What is sure must be what the reader with a tree makes of it. Returns whether it was sure. */
static bool agrees(const char *text, size_t n) {
    buf quick = BUF_INIT;
    buf other = BUF_INIT;
    bool sure = canon_quick(&quick, text, n);
    if (sure) {
        json_error_t why;
        err e;
        json_t *value = json_loadb(
            text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
        if (value == NULL || canon_value(&other, value, &e) != 0 || other.len != quick.len ||
            memcmp(other.data, quick.data, quick.len) != 0) {
            fail_msg("for %.*s\nquick: %s\nother: %s", (int)n, text, buf_str(&quick),
                     value != NULL ? buf_str(&other) : why.text);
        }
        assert_int_equal('\0', quick.data[quick.len]);
        json_decref(value);
    }
    buf_free(&quick);
    buf_free(&other);
    return sure;
}

static void random_texts(void **state) {
    (void)state;
    static char text[1 << 18];
    int sure = 0, whole = 0;
    for (int i = 0; i < 12000; i++) {
        text[0] = '\0';
        random_text(text, 4);
        whole += agrees(text, strlen(text));
        /* And with a byte changed, taken out or cut off. */
        size_t n = strlen(text);
        size_t at = below(n + 1);
        if (at < n && below(3) == 0) {
            text[at] = "\"\\{}[],:0-.eE \n\x80\xc3u"[below(19)];
        } else if (at < n && below(2) == 0) {
            memmove(text + at, text + at + 1, n - at);
            n--;
        } else {
            n = at;
        }
        sure += agrees(text, n);
    }
    assert_in_range(whole, 4000, 12000); /* or it was compared with nothing */
    assert_in_range(sure, 400, 12000);
}

static void assert_sure(const char *text, const char *expected) {
    buf out = BUF_INIT;
    assert_true(canon_quick(&out, text, strlen(text)));
    assert_string_equal(expected, buf_str(&out));
    buf_free(&out);
}

static void what_plans_hold(void **state) {
    (void)state;
    assert_sure(" {\"b\" : [1, -0, 2.50, 1e3, 0.1], \"a\" : {\"z\":null,\"y\":true}, \"\":\"\\u00e4\\/\\n\" } ",
                "{\"\":\"ä/\\n\",\"a\":{\"y\":true,\"z\":null},\"b\":[1,0,2.5,1000,0.1]}");
    assert_sure("{\"\xef\xac\xb3\":1,\"\xf0\x9f\x98\x80\":2}", "{\"\xf0\x9f\x98\x80\":2,\"\xef\xac\xb3\":1}");
    assert_sure("[]", "[]");
    assert_sure("\"x\"", "\"x\"");
    assert_sure("0.30000000000000004", "0.30000000000000004");
    assert_sure("[\"\\u0000\\u001F\\\"\\ud83d\\ude00\"]", "[\"\\u0000\\u001f\\\"\xf0\x9f\x98\x80\"]");
}

static void what_it_leaves(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{\"a\":1,\"a\":1}",
        "{\"b\":1,\"a\":2,\"b\":3}",
        "[1,]",
        "{\"a\":1,}",
        "[1 2]",
        "{\"a\" 1}",
        "1 1",
        "[1",
        "{",
        "\"a",
        "nul",
        "01",
        "1.",
        "1e",
        "- 1",
        "1e999",
        "\"\\ud83d\"",
        "\"\xc3\"",
        "\"\n\"",
        "\"\\q\"",
        "{1:2}",
        "\xef\xbb\xbf[]",
        "[1]\v",
        "1e999999",
        "9007199254740993",
        "{\"a\\n\":1}",
        "[,1]",
        "{,}",
        "\"\\u12\"",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        buf out = BUF_INIT;
        if (canon_quick(&out, texts[i], strlen(texts[i]))) {
            fail_msg("sure of %s", texts[i]);
        }
        buf_free(&out);
    }
}

static void nesting(void **state) {
    (void)state;
    char text[2 * CANON_DEPTH_MAX + 4];
    for (int depth = CANON_DEPTH_MAX; depth <= CANON_DEPTH_MAX + 1; depth++) {
        buf out = BUF_INIT;
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_int_equal(depth <= CANON_DEPTH_MAX, canon_quick(&out, text, 2 * (size_t)depth));
        buf_free(&out);
    }
}

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("random texts, whole and damaged: what is sure has the bytes of the other reader", random_texts),
        TEST("it is sure of what plans are made of", what_plans_hold),
        TEST("what is refused, rare or no JSON is left to the other reader", what_it_leaves),
        TEST("nesting ends at 200 levels", nesting),
    };
    return cmocka_run_group_tests_name("canon_quick", tests, NULL, NULL);
}
