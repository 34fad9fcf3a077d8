/* Messages of the PostgreSQL protocol cut out of bytes that come in any portions, and hostile ones refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "prim/pgwire.h"

typedef struct seen {
    char log[512];
    size_t keep;
} seen;

static size_t wants(void *ctx, char type, size_t length) {
    (void)type;
    (void)length;
    return ((seen *)ctx)->keep;
}

static int takes(void *ctx, const pgwire_message *m, err *e) {
    seen *s = ctx;
    size_t at = strlen(s->log);
    (void)e;
    snprintf(s->log + at, sizeof s->log - at, "%c%zu/%zu:%.*s ", m->type, m->kept, m->length, (int)m->kept, m->body);
    return 0;
}

static const char STREAM[] = "Q\0\0\0\x0ahello\0"
                             "S\0\0\0\x04"
                             "d\0\0\0\x08wide";

static void test_portions(void **state) {
    (void)state;
    for (size_t portion = 1; portion < sizeof STREAM; portion++) {
        seen s = {.keep = 64};
        pgwire w;
        err e;
        pgwire_init(&w, wants, takes, &s);
        for (size_t at = 0; at < sizeof STREAM - 1; at += portion) {
            size_t n = sizeof STREAM - 1 - at < portion ? sizeof STREAM - 1 - at : portion;
            assert_int_equal(pgwire_feed(&w, STREAM + at, n, &e), 0);
        }
        assert_true(pgwire_idle(&w));
        assert_memory_equal(s.log, "Q6/6:hello", 10);
        assert_non_null(strstr(s.log, "S0/0: d4/4:wide "));
        pgwire_free(&w);
    }
}

static void test_keeps_no_more_than_asked(void **state) {
    (void)state;
    seen s = {.keep = 2};
    pgwire w;
    err e;
    pgwire_init(&w, wants, takes, &s);
    assert_int_equal(pgwire_feed(&w, STREAM, sizeof STREAM - 1, &e), 0);
    assert_string_equal(s.log, "Q2/6:he S0/0: d2/4:wi ");
    pgwire_free(&w);
}

static void test_need_stops_at_the_end_of_a_message(void **state) {
    (void)state;
    seen s = {.keep = 64};
    pgwire w;
    err e;
    size_t at = 0;
    pgwire_init(&w, wants, takes, &s);
    while (*s.log == '\0') {
        size_t n = pgwire_need(&w);
        assert_int_equal(pgwire_feed(&w, STREAM + at, n, &e), 0);
        at += n;
    }
    assert_int_equal(at, 11);
    assert_true(pgwire_idle(&w));
    pgwire_free(&w);
}

static void test_refuses_impossible_lengths(void **state) {
    (void)state;
    static const char *const BAD[] = {"Q\0\0\0\0", "Q\0\0\0\3", "Q\x7f\xff\xff\xff", "Q\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        seen s = {.keep = 64};
        pgwire w;
        err e;
        pgwire_init(&w, wants, takes, &s);
        assert_int_equal(pgwire_feed(&w, BAD[i], 5, &e), -1);
        assert_string_equal(e.code, "pgwire_message");
        pgwire_free(&w);
    }
}

static void test_starts(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        pgwire_start kind;
        size_t length;
    } CASES[] = {
        {"", 0, PGWIRE_MORE, 0},
        {"\0\0\0", 3, PGWIRE_MORE, 0},
        {"\0\0\0\x08\x04\xd2\x16", 7, PGWIRE_MORE, 0},
        {"\0\0\0\x08\x04\xd2\x16\x2f", 8, PGWIRE_SSL, 8},
        {"\0\0\0\x08\x04\xd2\x16\x30", 8, PGWIRE_GSS, 8},
        {"\0\0\0\x10\x04\xd2\x16\x2e"
         "12345678",
         16, PGWIRE_CANCEL, 16},
        {"\0\0\0\x09\0\3\0\0\0", 9, PGWIRE_STARTUP, 9},
        {"\0\0\0\x09\0\3\0\2\0more", 13, PGWIRE_STARTUP, 9}, /* 3.2, and what follows it */
        {"\0\0\0\x09\0\2\0\0\0", 9, PGWIRE_PROTOCOL, 9},
        {"\x16\3\1", 3, PGWIRE_TLS, 0},
        {"GET / HTTP/1.1\r\n", 16, PGWIRE_BAD, 0},
        {"\0\0\0\7\0\3\0", 7, PGWIRE_BAD, 0},
        {"\0\1\0\0\0\3\0\0", 8, PGWIRE_BAD, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        size_t length = 0;
        assert_int_equal(pgwire_start_of(CASES[i].bytes, CASES[i].n, &length), CASES[i].kind);
        assert_int_equal(length, CASES[i].length);
    }
}

static void test_parameters(void **state) {
    (void)state;
    static const char PACKET[] = "\0\0\0\0\0\3\0\0user\0bob\0database\0shop\0";
    assert_string_equal(pgwire_parameter(PACKET, sizeof PACKET, "user"), "bob");
    assert_string_equal(pgwire_parameter(PACKET, sizeof PACKET, "database"), "shop");
    assert_null(pgwire_parameter(PACKET, sizeof PACKET, "bob"));
    assert_null(pgwire_parameter(PACKET, 15, "user")); /* its value has no end */
    assert_null(pgwire_parameter(PACKET, 10, "user")); /* nor its name */
}

static void test_reader_fails_for_good(void **state) {
    (void)state;
    const pgwire_message m = {.type = 'B', .body = "ab\0\0\5xy", .kept = 7, .length = 7};
    pgwire_reader r = pgwire_read(&m);
    assert_string_equal(pgwire_text(&r), "ab");
    assert_int_equal(pgwire_int16(&r), 5);
    assert_null(pgwire_bytes(&r, 3));
    assert_true(r.failed);
    assert_null(pgwire_bytes(&r, 1));
    assert_int_equal(pgwire_int32(&r), 0);
    assert_string_equal(pgwire_text(&r), "");
}

static void test_fatal(void **state) {
    (void)state;
    buf out = BUF_INIT;
    assert_int_equal(pgwire_put_fatal(&out, "08001", "gone", NULL), 0);
    static const char WANT[] = "E\0\0\0\x20SFATAL\0VFATAL\0C08001\0Mgone\0";
    assert_int_equal(out.len, 33);
    assert_memory_equal(out.data, WANT, sizeof WANT - 1);
    buf_free(&out);
}

static void test_sasl_without_channel_binding(void **state) {
    (void)state;
    buf out = BUF_INIT;
    pgwire_message m = {.type = 'R', .body = "\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", .kept = 38, .length = 38};
    assert_int_equal(pgwire_put_unbound_sasl(&out, &m), 1);
    assert_int_equal(out.len, 24);
    assert_memory_equal(out.data, "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0", 24);
    buf_reset(&out);
    m = (pgwire_message){.type = 'R', .body = "\0\0\0\x0aSCRAM-SHA-256\0", .kept = 19, .length = 19};
    assert_int_equal(pgwire_put_unbound_sasl(&out, &m), 0);
    buf_reset(&out);
    m = (pgwire_message){.type = 'R', .body = "\0\0\0\x0aSCRAM-SHA-256-PLUS\0", .kept = 24, .length = 24};
    assert_int_equal(pgwire_put_unbound_sasl(&out, &m), -1);
    buf_reset(&out);
    m = (pgwire_message){.type = 'R', .body = "\0\0\0\0", .kept = 4, .length = 4};
    assert_int_equal(pgwire_put_unbound_sasl(&out, &m), 0);
    assert_memory_equal(out.data, "R\0\0\0\x08\0\0\0\0", 9);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_portions),
        cmocka_unit_test(test_keeps_no_more_than_asked),
        cmocka_unit_test(test_need_stops_at_the_end_of_a_message),
        cmocka_unit_test(test_refuses_impossible_lengths),
        cmocka_unit_test(test_starts),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_reader_fails_for_good),
        cmocka_unit_test(test_fatal),
        cmocka_unit_test(test_sasl_without_channel_binding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
