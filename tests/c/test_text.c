/* UTF-8, sanitising, suggestions and names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

/* A decoder of its own, by the definition: decode leniently, then check range and shortest form. */
static size_t reference_seq(const unsigned char *b, size_t n) {
    size_t len = b[0] < 0x80             ? 1
                 : (b[0] & 0xE0) == 0xC0 ? 2
                 : (b[0] & 0xF0) == 0xE0 ? 3
                 : (b[0] & 0xF8) == 0xF0 ? 4
                                         : 0;
    if (len == 0 || len > n) {
        return 0;
    }
    uint32_t c = len == 1 ? b[0] : b[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((b[i] & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (b[i] & 0x3F);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : len;
}

static void all_sequences(void **state) {
    (void)state;
    static const unsigned char interesting[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            for (size_t k = 0; k < sizeof interesting; k++) {
                for (size_t m = 0; m < sizeof interesting; m++) {
                    unsigned char b[4] = {(unsigned char)first, (unsigned char)second, interesting[k], interesting[m]};
                    for (size_t n = 1; n <= 4; n++) {
                        assert_int_equal(text_utf8_seq((const char *)b, n), reference_seq(b, n));
                    }
                }
            }
        }
    }
    assert_int_equal(text_utf8_seq("", 0), 0);
}

static void validity(void **state) {
    (void)state;
    assert_true(text_utf8_valid("", 0));
    assert_true(text_utf8_valid("a\0€😀", 9));
    assert_false(text_utf8_valid("a\xe2\x82", 3));
    assert_false(text_utf8_valid("\xed\xa0\x80", 3));
    assert_false(text_utf8_valid("\xc0\x80", 2));
    assert_false(text_utf8_valid("\xf4\x90\x80\x80", 4));
}

static void assert_shown(const char *s, size_t n, size_t max, bool multiline, const char *expected) {
    buf out = BUF_INIT;
    buf_puts(&out, "> ");
    assert_int_equal(text_sanitise(&out, s, n, max, multiline), 0);
    assert_string_equal(buf_str(&out) + 2, expected);
    buf_free(&out);
}

static void hidden_characters(void **state) {
    (void)state;
    assert_shown("plain é € 😀", 17, 0, false, "plain é € 😀");
    assert_shown("a\nb\tc\rd", 7, 0, false, "a\\x0ab\\x09c\\x0dd");
    assert_shown("a\nb\tc\rd", 7, 0, true, "a\nb\tc\\x0dd");
    assert_shown("\x1b[31mred\x7f\0", 10, 0, true, "\\x1b[31mred\\x7f\\x00");
    assert_shown("\xc2\x9b", 2, 0, false, "\\u{009b}");
    assert_shown("x\xe2\x80\xaey", 5, 0, false, "x\\u{202e}y");
    assert_shown("\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf\xf3\xa0\x81\x81", 13, 0, false,
                 "\\u{2066}\\u{200b}\\u{feff}\\u{e0041}");
    assert_shown("\xff\xe2\x82|\xc0\x80", 6, 0, false, "\\xff\\xe2\\x82|\\xc0\\x80");
    assert_shown("⚠️ 👩‍💻", strlen("⚠️ 👩‍💻"), 0, false, "⚠️ 👩‍💻");
}

/* What runners of continuous integration take for commands in the output they watch. */
static void commands_to_runners(void **state) {
    (void)state;
#define SHOWN(text, expected) assert_shown(text, sizeof text - 1, 0, true, expected)
    SHOWN("::error::x", ": :error::x");
    SHOWN("a\n  \t::stop-commands::x\n::y", "a\n  \t: :stop-commands::x\n: :y");
    SHOWN("select 1::text", "select 1::text");
    SHOWN("x ##[error]y ##vso[task.complete]", "x # #[error]y # #vso[task.complete]");
    SHOWN("###teamcity[x]", "## #teamcity[x]");
    SHOWN("## heading", "## heading");
    SHOWN("##vs", "##vs");
#undef SHOWN
    assert_false(text_is_line("::x"));
    assert_true(text_is_line(": :x"));
}

static void cuts(void **state) {
    (void)state;
    assert_shown("abcdef", 6, 6, false, "abcdef");
    assert_shown("abcdefg", 7, 6, false, "abc…");
    assert_shown("ab€€€", 11, 8, false, "ab€…");
    assert_shown("ab€€€", 11, 7, false, "ab…");
    assert_shown("a\n\n", 3, 8, false, "a\\x0a…");
    assert_shown("abc", 3, 2, false, "ab");
    assert_shown("€", 3, 2, false, "");
    assert_shown("", 0, 5, false, "");
}

/* Wherever a text is cut and however long it is: what fits without the mark, and the mark. */
static void cuts_of_plain_text(void **state) {
    (void)state;
    static const char text[] = "plain text: longer # than any";
    for (size_t n = 1; n < sizeof text; n++) {
        for (size_t max = 1; max < sizeof text + 2; max++) {
            char expected[64];
            size_t mark = sizeof "…" - 1;
            if (n <= max) {
                snprintf(expected, sizeof expected, "%.*s", (int)n, text);
            } else {
                size_t kept = max >= mark ? max - mark : max;
                snprintf(expected, sizeof expected, "%.*s%s", (int)kept, text, max >= mark ? "…" : "");
            }
            assert_shown(text, n, max, false, expected);
        }
    }
}

static void random_bytes(void **state) {
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 50000; i++) {
        char bytes[40];
        for (size_t k = 0; k < sizeof bytes; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[k] = (char)(seed >> 56);
        }
        size_t n = seed >> 33 & 31;
        size_t max = seed >> 40 & 31;
        buf out = BUF_INIT;
        assert_int_equal(text_sanitise(&out, bytes, n, max, false), 0);
        assert_true(max == 0 || out.len <= max);
        assert_true(text_utf8_valid(buf_str(&out), out.len));
        for (size_t k = 0; k < out.len; k++) {
            assert_true((unsigned char)out.data[k] >= 0x20 && out.data[k] != 0x7F);
        }
        buf_free(&out);
    }
}

static void no_room(void **state) {
    (void)state;
    buf out = {.limit = 3};
    assert_int_equal(text_sanitise(&out, "abcd", 4, 0, false), -1);
    buf_free(&out);
}

static void suggestions(void **state) {
    (void)state;
    static const char *const names[] = {"database", "endpoints", "solver", "schemas", "url", "tenant", NULL};
    static const char *const none[] = {NULL};
    assert_string_equal(text_suggest("databse", names), "database");
    assert_string_equal(text_suggest("slover", names), "solver"); /* a swap is one mistake */
    assert_string_equal(text_suggest("ENDPOINT", names), "endpoints");
    assert_string_equal(text_suggest("ulr", names), "url");
    assert_string_equal(text_suggest("schema", names), "schemas");
    assert_null(text_suggest("banana", names));
    assert_null(text_suggest("x", names));
    assert_null(text_suggest("", names));
    assert_null(text_suggest("tenant", none));
    char large[100];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_null(text_suggest(large, names));
    const char *const long_names[] = {large, NULL};
    assert_null(text_suggest("aaaa", long_names));
    large[64] = '\0';
    assert_ptr_equal(text_suggest(large, long_names), large);
}

static void names(void **state) {
    (void)state;
    char code[65];
    memset(code, 'a', sizeof code - 1);
    code[64] = '\0';
    assert_true(text_is_code("demo") && text_is_code("0") && text_is_code("A-b_9"));
    assert_false(text_is_code("") || text_is_code("-a") || text_is_code("_a") || text_is_code("a.b") ||
                 text_is_code("ä") || text_is_code("a b") || text_is_code("a\n"));
    assert_false(text_is_code(code));
    assert_true(text_is_code(code + 1));
    assert_true(text_is_id("rls_harness") && text_is_id("a1"));
    assert_false(text_is_id("") || text_is_id("1a") || text_is_id("Rls") || text_is_id("a-b") || text_is_id("_a"));
    assert_false(text_is_id(code));
    assert_true(text_is_id(code + 1));
}

static void shown_as_they_are(void **state) {
    (void)state;
    static const char *const LINES[] = {"", "a b", "Größe 5 → 6 ✅", "👩‍👩‍👧"};
    static const char *const NOT_LINES[] = {"\x1b[2J", "a\rb", "\xff", "\xc3", "\u202e", "\u2028", "\x7f"};
    for (size_t i = 0; i < sizeof LINES / sizeof LINES[0]; i++) {
        assert_true(text_is_line(LINES[i]) && text_is_block(LINES[i]));
    }
    for (size_t i = 0; i < sizeof NOT_LINES / sizeof NOT_LINES[0]; i++) {
        assert_false(text_is_line(NOT_LINES[i]) || text_is_block(NOT_LINES[i]));
    }
    assert_true(text_is_block("a\n\tb") && !text_is_line("a\nb") && !text_is_line("a\tb"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("every start of a sequence is judged as RFC 3629 defines it", all_sequences),
        TEST("whole texts are judged, NUL bytes and cut ends included", validity),
        TEST("control characters, overrides and ill-formed bytes are made visible", hidden_characters),
        TEST("what a runner would take for a command is parted by a blank", commands_to_runners),
        TEST("a cut keeps whole characters and ends in an ellipsis inside the bound", cuts),
        TEST("a plain text is cut at every length as its characters would be", cuts_of_plain_text),
        TEST("random bytes become printable UTF-8 within the bound", random_bytes),
        TEST("a full buffer is an error", no_room),
        TEST("a text is told to be printable by whether it is shown as it is", shown_as_they_are),
        TEST("a misspelling is answered with the nearest name, another word is not", suggestions),
        TEST("codes and ids are told by letters, digits and length", names),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
