/* Canonical JSON against RFC 8785's own examples, against what must be refused, and by properties over random values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/fs.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LITERAL(s) (s), sizeof(s) - 1

static double from_bits(uint64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static void assert_number(double value, const char *expected) {
    char out[CANON_NUMBER_MAX];
    assert_int_equal(canon_number(value, out), (int)strlen(expected));
    assert_string_equal(out, expected);
}

/* RFC 8785 appendix B, every finite row. */
static const struct {
    uint64_t bits;
    const char *text;
} APPENDIX_B[] = {
    {0x0000000000000000, "0"},
    {0x8000000000000000, "0"},
    {0x0000000000000001, "5e-324"},
    {0x8000000000000001, "-5e-324"},
    {0x7fefffffffffffff, "1.7976931348623157e+308"},
    {0xffefffffffffffff, "-1.7976931348623157e+308"},
    {0x4340000000000000, "9007199254740992"},
    {0xc340000000000000, "-9007199254740992"},
    {0x4430000000000000, "295147905179352830000"},
    {0x44b52d02c7e14af5, "9.999999999999997e+22"},
    {0x44b52d02c7e14af6, "1e+23"},
    {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
    {0x444b1ae4d6e2ef4e, "999999999999999700000"},
    {0x444b1ae4d6e2ef4f, "999999999999999900000"},
    {0x444b1ae4d6e2ef50, "1e+21"},
    {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
    {0x3eb0c6f7a0b5ed8d, "0.000001"},
    {0x41b3de4355555553, "333333333.3333332"},
    {0x41b3de4355555554, "333333333.33333325"},
    {0x41b3de4355555555, "333333333.3333333"},
    {0x41b3de4355555556, "333333333.3333334"},
    {0x41b3de4355555557, "333333333.33333343"},
    {0xbecbf647612f3696, "-0.0000033333333333333333"},
    {0x43143ff3c1cb0959, "1424953923781206.2"},
};

static void appendix_b(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(APPENDIX_B); i++) {
        assert_number(from_bits(APPENDIX_B[i].bits), APPENDIX_B[i].text);
    }
}

static void appendix_b_errors(void **state) {
    (void)state;
    static const uint64_t none[] = {0x7fffffffffffffff, 0x7ff0000000000000, 0xfff0000000000000};
    for (size_t i = 0; i < COUNT(none); i++) {
        char out[CANON_NUMBER_MAX] = "x";
        assert_int_equal(canon_number(from_bits(none[i]), out), -1);
        assert_string_equal(out, "");
    }
}

/* Powers of two where the nearest decimal of 16 digits means the neighbour below; the texts are V8's. */
static void uneven_gaps(void **state) {
    (void)state;
    assert_number(0x1p-44, "5.684341886080802e-14");
    assert_number(0x1p-1017, "7.120236347223045e-307");
    assert_number(0x1p-808, "5.858190679279809e-244");
    assert_number(0x1p896, "5.282945311356653e+269");
    assert_number(0x1p976, "6.386688990511104e+293");
}

static void layout_borders(void **state) {
    (void)state;
    assert_number(1e20, "100000000000000000000");
    assert_number(123456789012345680000.0, "123456789012345680000");
    assert_number(1e21, "1e+21");
    assert_number(1e-6, "0.000001");
    assert_number(1.5e-6, "0.0000015");
    assert_number(1e-7, "1e-7");
    assert_number(-1.5, "-1.5");
    assert_number(0x1p60, "1152921504606847000");
    assert_number(0x1p-1022, "2.2250738585072014e-308");
    assert_number(0x0.fffffffffffffp-1022, "2.225073858507201e-308");
}

/* A small generator of its own (xorshift64*, Vigna 2016), so that a failure can be repeated. */
static uint64_t seed = 88172645463325252u;
static uint64_t next_random(void) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 2685821657736338717u;
}

static int digits_of(const char *text) {
    int n = 0;
    int zeros = 0;
    for (const char *p = text; *p != '\0' && *p != 'e'; p++) {
        if (*p >= '1' && *p <= '9') {
            n += zeros + 1;
            zeros = 0;
        } else if (*p == '0' && n > 0) {
            zeros++;
        }
    }
    return n;
}

/* Reads back as the same double; no decimal with one digit less does. Of those only the two around it could. */
static void assert_shortest(double d) {
    char out[CANON_NUMBER_MAX];
    assert_true(canon_number(d, out) > 0);
    assert_true(strtod(out, NULL) == d);
    int n = digits_of(out) - 1;
    if (n < 1) {
        return;
    }
    char text[48];
    unsigned long long digits = 0;
    snprintf(text, sizeof text, "%.*e", n - 1, fabs(d));
    for (const char *p = text; *p != 'e'; p++) {
        digits = *p == '.' ? digits : digits * 10 + (unsigned)(*p - '0');
    }
    int exponent = atoi(strchr(text, 'e') + 1) - (n - 1);
    for (int step = -1; step <= 1; step++) {
        snprintf(text, sizeof text, "%llue%d", digits + (unsigned long long)step, exponent);
        assert_true(strtod(text, NULL) != fabs(d));
    }
}

static void random_numbers(void **state) {
    (void)state;
    for (int i = 0; i < 100000; i++) {
        double d = from_bits(next_random());
        if (isfinite(d)) {
            assert_shortest(d);
        }
    }
    for (int e = -1074; e < 1024; e++) {
        double d = ldexp(1, e);
        assert_shortest(d);
        assert_shortest(nextafter(d, INFINITY));
        assert_shortest(nextafter(d, 0) > 0 ? nextafter(d, 0) : d);
    }
}

/* Is a locale with a decimal comma to be had? Built here, since a test machine has none. */
static void other_locale(void **state) {
    (void)state;
    char dir[] = "/tmp/ge-canon-XXXXXX";
    char command[256];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "localedef -c -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", dir);
    int made = system(command);
    setenv("LOCPATH", dir, 1);
    bool set = made == 0 && setlocale(LC_NUMERIC, "de_DE.UTF-8") != NULL;
    if (set) {
        char check[16];
        snprintf(check, sizeof check, "%.1f", 1.5);
        assert_string_equal(check, "1,5");
        for (size_t i = 0; i < COUNT(APPENDIX_B); i++) {
            assert_number(from_bits(APPENDIX_B[i].bits), APPENDIX_B[i].text);
        }
        buf out = BUF_INIT;
        err e;
        assert_int_equal(canon_text(&out, LITERAL("[1.5,1e-7,0.1,123456.789012345678901]"), &e), 0);
        assert_string_equal(buf_str(&out), "[1.5,1e-7,0.1,123456.78901234567]");
        buf_free(&out);
        setlocale(LC_NUMERIC, "C");
    }
    unsetenv("LOCPATH");
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
    if (!set) {
        skip(); /* no locale sources here */
    }
}

static void assert_canonical_n(const char *text, size_t n, const char *expected) {
    buf out = BUF_INIT;
    err e;
    if (canon_text(&out, text, n, &e) != 0) {
        fail_msg("%s: %s: %s", text, e.code, e.message);
    }
    assert_string_equal(buf_str(&out), expected);
    buf_reset(&out);
    assert_int_equal(canon_text(&out, expected, strlen(expected), &e),
                     0); /* canonical text is its own canonical form */
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

static void assert_canonical(const char *text, const char *expected) {
    assert_canonical_n(text, strlen(text), expected);
}

static void assert_refused_n(const char *text, size_t n, const char *code, const char *message) {
    buf out = BUF_INIT;
    err e;
    buf_puts(&out, "before");
    assert_int_equal(canon_text(&out, text, n, &e), -1);
    assert_string_equal(e.code, code);
    assert_string_equal(e.message, message);
    assert_string_equal(buf_str(&out), "before");
    assert_int_equal(out.len, 6);
    buf_free(&out);
}

static void assert_refused(const char *text, const char *code, const char *message) {
    assert_refused_n(text, strlen(text), code, message);
}

/* RFC 8785 section 3.2.2, with the bytes of section 3.2.4. */
static void section_3_2_4(void **state) {
    (void)state;
    static const char input[] = "{\n"
                                "  \"numbers\": [333333333.33333329, 1E30, 4.50,\n"
                                "              2e-3, 0.000000000000000000000000001],\n"
                                "  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n"
                                "  \"literals\": [null, true, false]\n"
                                "}";
    static const unsigned char expected[] = {
        0x7b, 0x22, 0x6c, 0x69, 0x74, 0x65, 0x72, 0x61, 0x6c, 0x73, 0x22, 0x3a, 0x5b, 0x6e, 0x75, 0x6c, 0x6c,
        0x2c, 0x74, 0x72, 0x75, 0x65, 0x2c, 0x66, 0x61, 0x6c, 0x73, 0x65, 0x5d, 0x2c, 0x22, 0x6e, 0x75, 0x6d,
        0x62, 0x65, 0x72, 0x73, 0x22, 0x3a, 0x5b, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x2e,
        0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x2c, 0x31, 0x65, 0x2b, 0x33, 0x30, 0x2c, 0x34, 0x2e, 0x35,
        0x2c, 0x30, 0x2e, 0x30, 0x30, 0x32, 0x2c, 0x31, 0x65, 0x2d, 0x32, 0x37, 0x5d, 0x2c, 0x22, 0x73, 0x74,
        0x72, 0x69, 0x6e, 0x67, 0x22, 0x3a, 0x22, 0xe2, 0x82, 0xac, 0x24, 0x5c, 0x75, 0x30, 0x30, 0x30, 0x66,
        0x5c, 0x6e, 0x41, 0x27, 0x42, 0x5c, 0x22, 0x5c, 0x5c, 0x5c, 0x5c, 0x5c, 0x22, 0x2f, 0x22, 0x7d};
    buf out = BUF_INIT;
    err e;
    assert_int_equal(canon_text(&out, LITERAL(input), &e), 0);
    assert_int_equal(out.len, sizeof expected);
    assert_memory_equal(out.data, expected, sizeof expected);
    buf_free(&out);
}

/* RFC 8785 section 3.2.3: by UTF-16 code units the emoji (D83D DE00) comes before U+FB33. */
static void section_3_2_3(void **state) {
    (void)state;
    assert_canonical("{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\","
                     "\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\","
                     "\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
                     "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
                     "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
                     "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
                     "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
                     "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
}

static void key_order(void **state) {
    (void)state;
    assert_canonical("{\"b\":1,\"\":2,\"a\":3,\"aa\":4,\"A\":5}", "{\"\":2,\"A\":5,\"a\":3,\"aa\":4,\"b\":1}");
    /* U+D7FF, U+10000 (D800 DC00), U+10FFFF (DBFF DFFF), U+E000, U+FFFF in this order. */
    assert_canonical("{\"\\uffff\":5,\"\\ue000\":4,\"\\udbff\\udfff\":3,\"\\ud800\\udc00\":2,\"\\ud7ff\":1}",
                     "{\"\xed\x9f\xbf\":1,\"\xf0\x90\x80\x80\":2,\"\xf4\x8f\xbf\xbf\":3,\"\xee\x80\x80\":4,"
                     "\"\xef\xbf\xbf\":5}");
}

static void escapes(void **state) {
    (void)state;
    char text[512] = "\"";
    char expected[512] = "\"";
    for (int c = 0; c < 0x20; c++) {
        static const char *const own[0x20] = {[8] = "\\b", [9] = "\\t", [10] = "\\n", [12] = "\\f", [13] = "\\r"};
        sprintf(text + strlen(text), "\\u%04X", (unsigned)c);
        if (own[c] != NULL) {
            strcat(expected, own[c]);
        } else {
            sprintf(expected + strlen(expected), "\\u%04x", (unsigned)c);
        }
    }
    strcat(text, "\\u007f\\/\\u2028\\\"\\\\\"");
    strcat(expected, "\x7f/\xe2\x80\xa8\\\"\\\\\"");
    assert_canonical(text, expected);
    buf out = BUF_INIT;
    err e;
    assert_int_equal(canon_string(&out, "a\0b", 3, &e), 0);
    assert_string_equal(buf_str(&out), "\"a\\u0000b\"");
    buf_free(&out);
}

static void integers(void **state) {
    (void)state;
    assert_canonical("[0,-0,-0.0,1,-1,1.0,10e1]", "[0,0,0,1,-1,1,100]");
    assert_canonical("[9007199254740991,9007199254740992,-9007199254740992]",
                     "[9007199254740991,9007199254740992,-9007199254740992]");
    assert_canonical("1152921504606846976", "1152921504606847000");   /* 2^60: held exactly */
    assert_canonical("1152921504606847000", "1152921504606847000");   /* its canonical form, which is to be readable */
    assert_canonical("18446744073709551616", "18446744073709552000"); /* 2^64, beyond 64 bits */
    assert_refused("9007199254740993", "json_number",
                   "the integer 9007199254740993 is not one that every JSON reader keeps: a double cannot hold it");
    assert_refused("[1,{\"a\":-9007199254740993}]", "json_number",
                   "the integer -9007199254740993 is not one that every JSON reader keeps: a double cannot hold it");
    assert_refused("1152921504606846977", "json_number",
                   "the integer 1152921504606846977 is not one that every JSON reader keeps: a double cannot hold it");
    assert_canonical("[\"12345678901234567891\",\"-12345678901234567891\"]",
                     "[\"12345678901234567891\",\"-12345678901234567891\"]"); /* a text may say what it likes */
    assert_canonical("{\"\\\"9007199254740993\":\"\\\\\"}", "{\"\\\"9007199254740993\":\"\\\\\"}");
    char huge[702]; /* a 1 and 700 zeros */
    memset(huge, '0', sizeof huge);
    huge[0] = '1';
    huge[701] = '\0';
    assert_refused(huge, "json_number", "line 1, column 701: real number overflow");
}

static void integer_values(void **state) {
    (void)state;
    static const struct {
        json_int_t value;
        const char *text; /* NULL: refused */
    } row[] = {{9007199254740992, "9007199254740992"},
               {9007199254740993, NULL},
               {9007199254740994, "9007199254740994"},
               {1152921504606846976, "1152921504606847000"},
               {INT64_MAX, NULL},
               {INT64_MIN, "-9223372036854776000"},
               {0, "0"}};
    for (size_t i = 0; i < COUNT(row); i++) {
        json_t *v = json_integer(row[i].value);
        buf out = BUF_INIT;
        err e = {0};
        int rc = canon_value(&out, v, &e);
        assert_int_equal(rc, row[i].text != NULL ? 0 : -1);
        assert_string_equal(buf_str(&out), row[i].text != NULL ? row[i].text : "");
        assert_string_equal(e.code, row[i].text != NULL ? "" : "json_number");
        buf_free(&out);
        json_decref(v);
    }
}

static void refusals(void **state) {
    (void)state;
    assert_refused("{\"a\":1,\"a\":1}", "json_duplicate_key", "line 1, column 10: duplicate object key near '\"a\"'");
    assert_refused("{\"a\":1,\"\\u0061\":2}", "json_duplicate_key",
                   "line 1, column 15: duplicate object key near '\"\\u0061\"'");
    assert_refused("\"\\ud800\"", "json_syntax", "line 1, column 8: invalid Unicode '\\uD800' near '\"\\ud800\"'");
    assert_refused("\"\xff\"", "json_utf8", "line 1, column 1: unable to decode byte 0xff near '\"'");
    assert_refused("\"\xed\xa0\x80\"", "json_utf8", "line 1, column 1: unable to decode byte 0xed near '\"'");
    assert_refused("NaN", "json_syntax", "line 1, column 3: invalid token near 'NaN'");
    assert_refused("1e400", "json_number", "line 1, column 5: real number overflow near '1e400'");
    assert_refused("{} {}", "json_syntax", "line 1, column 4: end of file expected near '{'");
    assert_refused("", "json_syntax", "line 1, column 0: unexpected token near end of file");
    assert_refused("[1,]", "json_syntax", "line 1, column 4: unexpected token near ']'");
    assert_refused("01", "json_syntax", "line 1, column 1: invalid token near '0'");
    assert_refused_n("[1]\0", 4, "json_syntax", "line 1, column 4: end of file expected near end of file");
}

static void nesting(void **state) {
    (void)state;
    char text[2 * CANON_DEPTH_MAX + 3];
    memset(text, '[', CANON_DEPTH_MAX);
    text[CANON_DEPTH_MAX] = '1';
    memset(text + CANON_DEPTH_MAX + 1, ']', CANON_DEPTH_MAX);
    text[2 * CANON_DEPTH_MAX + 1] = '\0';
    assert_canonical(text, text);
    memset(text + CANON_DEPTH_MAX, ']', CANON_DEPTH_MAX);
    text[2 * CANON_DEPTH_MAX] = '\0';
    assert_canonical(text, text);
    memset(text, '[', CANON_DEPTH_MAX + 1);
    memset(text + CANON_DEPTH_MAX + 1, ']', CANON_DEPTH_MAX + 1);
    text[2 * CANON_DEPTH_MAX + 2] = '\0';
    assert_refused(text, "json_depth", "the JSON is nested deeper than 200 levels");
    json_t *v = json_array();
    for (int i = 0; i < CANON_DEPTH_MAX; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, v);
        v = outer;
    }
    buf out = BUF_INIT;
    err e;
    assert_int_equal(canon_value(&out, v, &e), -1);
    assert_string_equal(e.code, "json_depth");
    assert_int_equal(out.len, 0);
    assert_int_equal(canon_value(&out, json_array_get(v, 0), &e), 0);
    assert_int_equal(out.len, 2 * CANON_DEPTH_MAX);
    buf_free(&out);
    json_decref(v);
}

static json_t *random_text(void) {
    static const char *const piece[] = {"a", "Z", "\n", "\"", "\\", "é", "€", "😀", "\xef\xac\xb3", "\x7f", "0"};
    char text[64] = "";
    for (uint64_t n = next_random() % 6; n > 0; n--) {
        strcat(text, piece[next_random() % COUNT(piece)]);
    }
    return json_string(text);
}

static json_t *random_value(int depth) {
    uint64_t kind = next_random() % (depth > 0 ? 8 : 6);
    json_t *v;
    switch (kind) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(next_random() % 2);
    case 2:
        return json_integer((json_int_t)(next_random() >> 11) - (1ll << 52));
    case 3:
    case 4: {
        double d = from_bits(next_random());
        return json_real(isfinite(d) ? d : 0.5);
    }
    case 5:
        return random_text();
    case 6:
        v = json_array();
        for (uint64_t n = next_random() % 5; n > 0; n--) {
            json_array_append_new(v, random_value(depth - 1));
        }
        return v;
    default:
        v = json_object();
        for (uint64_t n = next_random() % 5; n > 0; n--) {
            json_t *key = random_text();
            json_object_setn_new(v, json_string_value(key), json_string_length(key), random_value(depth - 1));
            json_decref(key);
        }
        return v;
    }
}

static void random_values(void **state) {
    (void)state;
    for (int i = 0; i < 5000; i++) {
        json_t *v = random_value(4);
        buf once = BUF_INIT;
        buf again = BUF_INIT;
        buf other = BUF_INIT;
        err e;
        assert_int_equal(canon_value(&once, v, &e), 0);
        assert_int_equal(canon_text(&again, once.data, once.len, &e), 0);
        assert_string_equal(buf_str(&once), buf_str(&again));
        /* Another spelling of the same value, as jansson writes it, has the same canonical form. */
        char *spelled = json_dumps(v, JSON_ENCODE_ANY | JSON_INDENT(3) | JSON_ENSURE_ASCII);
        assert_non_null(spelled);
        assert_int_equal(canon_text(&other, spelled, strlen(spelled), &e), 0);
        assert_string_equal(buf_str(&once), buf_str(&other));
        free(spelled);
        buf_free(&once);
        buf_free(&again);
        buf_free(&other);
        json_decref(v);
    }
}

/* Every text that a cut or a flipped byte makes of a good one is read or refused, never a crash; what is read is
 * stable. */
static void damaged_texts(void **state) {
    (void)state;
    static const char good[] =
        "{\"a\":[1.5e-7,-0,\"\\ud83d\\ude00\\n\",null],\"b\":{\"\":true},\"c\":12345678901234567890}";
    for (int i = 0; i < 50000; i++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        size_t n = sizeof good - 1 - next_random() % 8;
        for (uint64_t k = next_random() % 4; k > 0; k--) {
            text[next_random() % n] = (char)next_random();
        }
        buf out = BUF_INIT;
        err e;
        if (canon_text(&out, text, n, &e) == 0) {
            buf again = BUF_INIT;
            assert_int_equal(canon_text(&again, out.data, out.len, &e), 0);
            assert_string_equal(buf_str(&out), buf_str(&again));
            buf_free(&again);
        } else {
            assert_int_equal(out.len, 0);
            assert_string_not_equal(e.code, "");
        }
        buf_free(&out);
    }
}

static void full_buffer(void **state) {
    (void)state;
    static const char text[] = "{\"b\":[1,2.5,null,true,\"x\\n\"],\"a\":{\"c\":false}}";
    static const char expected[] = "{\"a\":{\"c\":false},\"b\":[1,2.5,null,true,\"x\\n\"]}";
    for (size_t room = 1; room < sizeof expected - 1; room++) {
        buf out = {.limit = room};
        err e;
        assert_int_equal(canon_text(&out, text, sizeof text - 1, &e), -1);
        assert_string_equal(e.code, "out_of_memory");
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
    buf out = {.limit = sizeof expected - 1};
    err e;
    assert_int_equal(canon_text(&out, text, sizeof text - 1, &e), 0);
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

/* jansson's allocations, the n-th of which fails. */
static int allocations_left;
static void *scarce_malloc(size_t n) {
    return allocations_left-- > 0 ? malloc(n) : NULL;
}

static void no_memory_for_jansson(void **state) {
    (void)state;
    /* A key with an escape is not for the quick reader, which does without jansson. */
    static const char text[] = "{\"b\\n\":[1,2.5,\"x\"],\"a\":{\"c\":\"a longer text\"}}";
    int failures = 0;
    json_set_alloc_funcs(scarce_malloc, free);
    for (int n = 0;; n++) {
        buf out = BUF_INIT;
        err e;
        allocations_left = n;
        int rc = canon_text(&out, text, sizeof text - 1, &e);
        if (rc == 0) {
            assert_string_equal(buf_str(&out), "{\"a\":{\"c\":\"a longer text\"},\"b\\n\":[1,2.5,\"x\"]}");
            buf_free(&out);
            break;
        }
        failures++;
        /* jansson's lexer calls a string for which it has no memory an invalid token. */
        assert_true(strcmp(e.code, "out_of_memory") == 0 || strcmp(e.code, "json_syntax") == 0);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(failures > 5);
}

static void assert_plain(const char *text, int indent, const char *expected) {
    err e;
    json_t *v = canon_parse(text, strlen(text), &e);
    assert_non_null(v);
    buf out = BUF_INIT;
    assert_int_equal(canon_plain(&out, v, indent, &e), 0);
    assert_string_equal(buf_str(&out), expected);
    json_t *back = canon_parse(out.data, out.len, &e);
    assert_true(json_equal(v, back));
    json_decref(back);
    json_decref(v);
    buf_free(&out);
}

static void plain(void **state) {
    (void)state;
    assert_plain("[9223372036854775807,-9223372036854775808,1.0,-0.0,0.1,1e21,1e300,2.5]", 0,
                 "[9223372036854775807,-9223372036854775808,1.0,-0.0,0.1,1e+21,1e+300,2.5]");
    assert_plain("{\"b\":{},\"a\":[[],1,{\"c\":null}]}", 2,
                 "{\n  \"a\": [\n    [],\n    1,\n    {\n      \"c\": null\n    }\n  ],\n  \"b\": {}\n}");
    assert_plain("[[[1]]]", 16,
                 "[\n                [\n                                [\n"
                 "                                                1\n"
                 "                                ]\n                ]\n]");
}

static void no_value(void **state) {
    (void)state;
    buf out = BUF_INIT;
    err e;
    assert_int_equal(canon_value(&out, NULL, &e), -1);
    assert_string_equal(e.code, "json_syntax");
    assert_int_equal(canon_string(&out, "\xc3", 1, &e), -1);
    assert_string_equal(e.code, "json_utf8");
    buf_free(&out);
}

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("numbers are written as in RFC 8785 appendix B", appendix_b),
        TEST("NaN and infinities are refused", appendix_b_errors),
        TEST("at a power of two the shortest digits are found though the gap below is smaller", uneven_gaps),
        TEST("the form changes at 1e21 and at 1e-7", layout_borders),
        TEST("any double reads back as itself, and with one digit less it does not", random_numbers),
        TEST("a locale with a decimal comma changes nothing", other_locale),
        TEST("the example of RFC 8785 section 3.2.2 gives the bytes of section 3.2.4", section_3_2_4),
        TEST("the example of RFC 8785 section 3.2.3 is sorted by UTF-16 code units", section_3_2_3),
        TEST("keys are sorted with the empty one first and surrogates before U+E000", key_order),
        TEST("strings are escaped no more than RFC 8785 section 3.2.2.2 says", escapes),
        TEST("integers of a text that a double would change are refused", integers),
        TEST("integer values that a double would change are refused", integer_values),
        TEST("what two readers could understand differently is refused", refusals),
        TEST("nesting ends at 200 levels", nesting),
        TEST("random values: canonical text is stable and does not depend on the spelling", random_values),
        TEST("damaged texts are read or refused and nothing of a refused one is written", damaged_texts),
        TEST("a buffer that ends anywhere gives an error and no bytes", full_buffer),
        TEST("an allocation that fails anywhere in the reader gives an error and no bytes", no_memory_for_jansson),
        TEST("plain JSON keeps 64-bit integers and reals apart and can be indented", plain),
        TEST("no value and ill-formed text are errors", no_value),
    };
    return cmocka_run_group_tests_name("canon", tests, NULL, NULL);
}
