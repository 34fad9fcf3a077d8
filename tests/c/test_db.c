/* What engine.db decides without a server: reading PostgreSQL's text forms, decimals, first words, SQLSTATEs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prim/db.h"
#include "prim/db_decimal.h"
#include "prim/db_text.h"

/* The array's pieces as text: { } for dimensions, N for NULL, <item>; "!" where it is no array. */
static void expect_array(const char *text, const char *expected) {
    buf out = BUF_INIT;
    buf item = BUF_INIT;
    db_array a;
    db_array_start(&a, text);
    db_array_piece p;
    do {
        p = db_array_next(&a, &item);
        switch (p) {
        case DB_ARRAY_OPEN:
            buf_puts(&out, "{");
            break;
        case DB_ARRAY_CLOSE:
            buf_puts(&out, "}");
            break;
        case DB_ARRAY_NULL:
            buf_puts(&out, "N");
            break;
        case DB_ARRAY_ITEM:
            buf_printf(&out, "<%s>", buf_str(&item));
            break;
        case DB_ARRAY_BAD:
            buf_puts(&out, "!");
            break;
        case DB_ARRAY_END:
            break;
        }
    } while (p != DB_ARRAY_END && p != DB_ARRAY_BAD);
    assert_string_equal(buf_str(&out), expected);
    buf_free(&item);
    buf_free(&out);
}

static void arrays_are_read_piece_by_piece(void **state) {
    (void)state;
    expect_array("{}", "{}");
    expect_array("{1,2}", "{<1><2>}");
    expect_array("{{1,2},{3,NULL}}", "{{<1><2>}{<3>N}}");
    expect_array("[0:1]={7,8}", "{<7><8>}");
    expect_array("{\"a,b\",\"say \\\"x\\\"\",\"NULL\",\"\",\"back\\\\slash\",null}",
                 "{<a,b><say \"x\"><NULL><><back\\slash>N}");
}

static void what_is_no_array_is_seen(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "x",
                                        "{",
                                        "}",
                                        "{1",
                                        "{1,",
                                        "{1,}",
                                        "{,1}",
                                        "{1}x",
                                        "{\"a",
                                        "{\"a\\",
                                        "{a\\",
                                        "{a{b",
                                        "{1}{2}",
                                        "{{1}2}",
                                        "{\"a\"b}",
                                        "{{{{{{{1}}}}}}}",
                                        "[0:1]",
                                        "{a\"b}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        buf item = BUF_INIT;
        db_array a;
        db_array_start(&a, texts[i]);
        db_array_piece p;
        int pieces = 0;
        do {
            p = db_array_next(&a, &item);
        } while (p != DB_ARRAY_BAD && p != DB_ARRAY_END && ++pieces < 100);
        if (p != DB_ARRAY_BAD) {
            fail_msg("\"%s\" was taken for an array", texts[i]);
        }
        buf_free(&item);
    }
}

static void a_quoted_element_is_read_back_as_it_was(void **state) {
    (void)state;
    buf out = BUF_INIT;
    buf_puts(&out, "{");
    assert_int_equal(db_array_quote(&out, "a\"\\,{}", 6), 0);
    buf_puts(&out, "}");
    expect_array(buf_str(&out), "{<a\"\\,{}>}");
    buf_free(&out);
}

static void time_stamps_become_rfc_3339_in_utc(void **state) {
    (void)state;
    static const struct {
        const char *pg, *rfc;
    } good[] = {
        {"2027-01-31 12:00:00+00", "2027-01-31T12:00:00Z"},
        {"2027-01-31 12:00:00.123456+00", "2027-01-31T12:00:00.123456Z"},
        {"2027-01-01 01:00:00+02", "2026-12-31T23:00:00Z"},
        {"2026-12-31 20:30:00-03:30", "2027-01-01T00:00:00Z"},
        {"1900-01-01 00:00:00+00:19:32", "1899-12-31T23:40:28Z"},
        {"2024-03-01 00:30:00+01", "2024-02-29T23:30:00Z"},
        {"2023-03-01 00:30:00+01", "2023-02-28T23:30:00Z"},
        {"2000-03-01 00:00:00+01", "2000-02-29T23:00:00Z"},
        {"0001-01-01 00:00:00+00", "0001-01-01T00:00:00Z"},
        {"0001-01-01 00:00:00+01", "0000-12-31T23:00:00Z"},
        {"9999-12-31 23:59:59.999999+00", "9999-12-31T23:59:59.999999Z"},
    };
    char out[DB_RFC3339_MAX];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(db_rfc3339(good[i].pg, out), 0);
        assert_string_equal(out, good[i].rfc);
    }
    static const char *const outside[] = {"infinity",
                                          "-infinity",
                                          "0044-03-15 12:00:00+00 BC",
                                          "10000-01-01 00:00:00+00",
                                          "9999-12-31 23:59:59-01",
                                          "294276-12-31 23:59:59+00"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        assert_int_equal(db_rfc3339(outside[i], out), 1);
    }
    static const char *const foreign[] = {"",
                                          "31.01.2027 12:00:00 UTC",
                                          "2027-01-31",
                                          "2027-01-31 12:00:00",
                                          "Sun Jan 31 12:00:00 2027 UTC",
                                          "2027-01-31 12:00:00+00 AD",
                                          "2027-01-31 12:00:00.1234567+00",
                                          "2027-01-31 12:00:00+"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_int_equal(db_rfc3339(foreign[i], out), -1);
    }
}

static int compare(const char *a, const char *b) {
    decimal x, y;
    assert_int_equal(decimal_read(a, &x), 0);
    assert_int_equal(decimal_read(b, &y), 0);
    assert_int_equal(decimal_compare(&y, &x), -decimal_compare(&x, &y));
    return decimal_compare(&x, &y);
}

static void decimals_compare_by_value(void **state) {
    (void)state;
    assert_int_equal(compare("0.1", "0.10"), 0);
    assert_int_equal(compare("-0.0", "0"), 0);
    assert_int_equal(compare("007", "7"), 0);
    assert_int_equal(compare("+7", "7"), 0);
    assert_int_equal(compare("9", "10"), -1);
    assert_int_equal(compare("0.9", "0.89999"), 1);
    assert_int_equal(compare("0.1", "0.11"), -1);
    assert_int_equal(compare("-1", "1"), -1);
    assert_int_equal(compare("-2", "-1"), -1);
    assert_int_equal(compare("-0.1", "-0.11"), 1);
    assert_int_equal(compare("12345678901234567890.5", "12345678901234567890.4"), 1);
}

static void what_is_no_decimal_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"", "-", ".", "NaN", "Infinity", "1e5", "1.2.3", " 1", "1 ", "0x1", "--1"};
    decimal d;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(decimal_read(texts[i], &d), -1);
    }
}

static bool fits_int64(const char *text, int64_t expected) {
    decimal d;
    int64_t v = 0;
    assert_int_equal(decimal_read(text, &d), 0);
    return decimal_int64(&d, &v) && v == expected;
}

static bool is_double(const char *text, double expected) {
    decimal d;
    double v = 0;
    assert_int_equal(decimal_read(text, &d), 0);
    return decimal_double(&d, text, &v) && v == expected;
}

static void whole_numbers_fit_int64_up_to_its_ends(void **state) {
    (void)state;
    assert_true(fits_int64("9223372036854775807", INT64_MAX));
    assert_true(fits_int64("-9223372036854775808", INT64_MIN));
    assert_true(fits_int64("-9223372036854775807.000", -INT64_MAX));
    assert_true(fits_int64("0.00", 0));
    assert_false(fits_int64("9223372036854775808", INT64_MIN));
    assert_false(fits_int64("-9223372036854775809", INT64_MIN));
    assert_false(fits_int64("99999999999999999999", 0));
    assert_false(fits_int64("1.5", 1));
}

static void only_what_a_double_is_exactly_becomes_one(void **state) {
    (void)state;
    assert_true(is_double("0.5", 0.5));
    assert_true(is_double("18446744073709551616", 18446744073709551616.0));
    assert_false(is_double("18446744073709551617", 18446744073709551616.0));
    assert_false(is_double("0.1", 0.1));
    assert_false(is_double("0.15", 0.15)); /* ends in 5 and yet is none */
    assert_true(is_double("0.1000000000000000055511151231257827021181583404541015625", 0.1));
    assert_false(is_double("0.1000000000000000055511151231257827021181583404541015635", 0.1));
    char digits[DECIMAL_DOUBLE_MAX];
    static const double edges[] = {DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, -DBL_TRUE_MIN, 1e-300, 123456789.125};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        decimal_of_double(edges[i], digits);
        assert_true(is_double(digits, edges[i]));
    }
    char huge[500];
    memset(huge, '9', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_false(is_double(huge, HUGE_VAL));
}

static void copy_is_seen_behind_blanks_and_comments(void **state) {
    (void)state;
    assert_true(db_is_copy("copy t to stdout"));
    assert_true(db_is_copy("COPY(select 1) to stdout"));
    assert_true(db_is_copy("\n -- x\n/* a /* b */ c */ ; Copy t from stdin"));
    assert_false(db_is_copy("copyright"));
    assert_false(db_is_copy("copy_t"));
    assert_false(db_is_copy("copy1"));
    assert_false(db_is_copy("select copy"));
    assert_false(db_is_copy("-- copy t"));
    assert_false(db_is_copy("/* copy t"));
    assert_false(db_is_copy(""));
}

static void transaction_control_is_seen_and_savepoints_are_left(void **state) {
    (void)state;
    static const char *const yes[] = {"begin",
                                      "BEGIN READ WRITE",
                                      "start transaction",
                                      "commit",
                                      "Commit;",
                                      "end",
                                      "abort",
                                      "rollback",
                                      "rollback work",
                                      "rollback and chain",
                                      "commit prepared 'x'",
                                      "prepare transaction 'x'",
                                      "/**/commit",
                                      "rollback/*x*/work",
                                      "prepare--\ntransaction 'x'",
                                      "rollback prepared 'x'"};
    static const char *const no[] = {"select 1",
                                     "savepoint x",
                                     "release x",
                                     "rollback to x",
                                     "rollback work to x",
                                     "ROLLBACK TRANSACTION TO SAVEPOINT x",
                                     "prepare p as select 1",
                                     "set transaction read only",
                                     "ending",
                                     "begin_",
                                     "",
                                     "rollback/**/to x"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (!db_is_tx_control(yes[i])) {
            fail_msg("\"%s\" was not seen", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (db_is_tx_control(no[i])) {
            fail_msg("\"%s\" was taken for transaction control", no[i]);
        }
    }
}

static void a_script_that_could_end_a_transaction_is_seen(void **state) {
    (void)state;
    static const char *const yes[] = {"commit", "select 1; commit", "select 1;;-- x;\n/* ; */COMMIT", "; end",
                                      "select 1;\n\trollback and chain",
                                      /* one too many: a semicolon in quotes */
                                      "select ';commit'"};
    static const char *const no[] = {"", "select 1; select 2", "select 'commit'; savepoint a; rollback to a;",
                                     "create table commit (\"end\" int); set work_mem = '1MB'"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (!db_may_control_tx(yes[i])) {
            fail_msg("\"%s\" was not seen", yes[i]);
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        if (db_may_control_tx(no[i])) {
            fail_msg("\"%s\" was taken for transaction control", no[i]);
        }
    }
    assert_true(db_is_setting("/* x */ SET a = 1") && db_is_setting("reset all"));
    assert_false(db_is_setting("settle") || db_is_setting("select set_config('a', 'b', false)"));
}

static void sqlstates_have_the_engines_names(void **state) {
    (void)state;
    assert_string_equal(db_code("42501"), "db_permission");
    assert_string_equal(db_code("25006"), "db_permission");
    assert_string_equal(db_code("28P01"), "db_auth");
    assert_string_equal(db_code("57014"), "db_timeout");
    assert_string_equal(db_code("55P03"), "db_timeout");
    assert_string_equal(db_code("25P02"), "db_aborted");
    assert_string_equal(db_code("57P01"), "db_lost");
    assert_string_equal(db_code("08006"), "db_lost");
    assert_string_equal(db_code("42P01"), "db_query");
    assert_string_equal(db_code(""), "db_query");
}

static void a_url_that_cannot_be_read_fails_without_its_password(void **state) {
    (void)state;
    static const char *const urls[] = {"postgresql://u:hunter22@[::1", "postgresql://u:hunter22%zz@h/",
                                       "postgresql://u:p@h:1?password=hunter22&x", "host='hunter22"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        err e;
        db_params p = {.url = urls[i], .connect_timeout_ms = 1000};
        assert_null(db_connect(&p, &e));
        assert_string_equal(e.code, "db_connect");
        assert_null(strstr(e.message, "hunter22"));
        assert_null(strstr(e.detail, "hunter22"));
    }
}

static void passwords_are_masked_wherever_they_stand(void **state) {
    (void)state;
    err e;
    db_params p = {.url = "postgresql://u:from%20url@127.0.0.1:1/d", .password = "given", .connect_timeout_ms = 1000};
    db_conn *c = db_connect(&p, &e);
    assert_non_null(c);
    buf out = BUF_INIT;
    assert_int_equal(db_mask(c, &out, "given, from url and given again"), 0);
    assert_string_equal(buf_str(&out), "***, *** and *** again");
    buf_free(&out);
    db_close(c);
    db_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_read_piece_by_piece),
        cmocka_unit_test(what_is_no_array_is_seen),
        cmocka_unit_test(a_quoted_element_is_read_back_as_it_was),
        cmocka_unit_test(time_stamps_become_rfc_3339_in_utc),
        cmocka_unit_test(decimals_compare_by_value),
        cmocka_unit_test(what_is_no_decimal_is_refused),
        cmocka_unit_test(whole_numbers_fit_int64_up_to_its_ends),
        cmocka_unit_test(only_what_a_double_is_exactly_becomes_one),
        cmocka_unit_test(copy_is_seen_behind_blanks_and_comments),
        cmocka_unit_test(transaction_control_is_seen_and_savepoints_are_left),
        cmocka_unit_test(a_script_that_could_end_a_transaction_is_seen),
        cmocka_unit_test(sqlstates_have_the_engines_names),
        cmocka_unit_test(a_url_that_cannot_be_read_fails_without_its_password),
        cmocka_unit_test(passwords_are_masked_wherever_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
