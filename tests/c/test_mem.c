/* JSON that is read while memory runs out: each allocation fails once, alone and with all that follow, and the reader
 * neither leaves characters out nor breaks an assertion of jansson's. Linked with --wrap=malloc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static long asked, at;
static bool onwards;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) {
    asked++;
    return at > 0 && (asked == at || (onwards && asked > at)) ? NULL : __real_malloc(n);
}

static json_t *read_at(const char *text, long n, bool all, json_error_t *why) {
    asked = 0;
    at = n;
    onwards = all;
    json_t *value = mem_json(text, strlen(text), JSON_REJECT_DUPLICATES, why);
    at = 0;
    return value;
}

/* A string that needs many growths of the reader's buffer, at some of them between a backslash and its letter. */
static void long_string(char *out, size_t n, size_t shift) {
    size_t len = (size_t)sprintf(out, "[\"%.*s", (int)shift, "12");
    while (len < n - 8) {
        len += (size_t)sprintf(out + len, "\\nx");
    }
    strcpy(out + len, "\"]");
}

static void a_text_is_read_whole_or_not_at_all(void **state) {
    (void)state;
    static char string[3][5000];
    for (size_t i = 0; i < 3; i++) {
        long_string(string[i], sizeof string[i], i);
    }
    const char *const texts[] = {
        "{\"status\": \"PASS\", \"checks\": [1, 2.5, -3e10, true, null, {\"a\": \"\\u0041\\\\\\\"\"}]}",
        "{\"a key of thirty-one characters .\": \"a value of thirty-one characters\", \"b\": [[[[\"\\n\\n\"]]]]}",
        string[0], string[1], string[2]};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        json_error_t why;
        json_t *good = read_at(texts[t], 0, false, &why);
        assert_non_null(good);
        long all = asked;
        assert_true(all > 5);
        for (long n = 1; n <= all; n++) {
            for (int way = 0; way < 2; way++) {
                size_t lost = mem_lost();
                assert_null(read_at(texts[t], n, way == 1, &why));
                assert_int_equal(json_error_code(&why), json_error_out_of_memory);
                assert_string_equal(why.text, "out of memory");
                assert_true(mem_lost() > lost);
            }
        }
        json_t *again = read_at(texts[t], all + 1, true, &why);
        assert_true(json_equal(good, again));
        json_decref(again);
        json_decref(good);
    }
}

static void a_text_that_is_no_json_says_what_is_wrong(void **state) {
    (void)state;
    json_error_t why;
    assert_null(read_at("{\"a\": \"\\x\"}", 0, false, &why));
    assert_int_equal(json_error_code(&why), json_error_invalid_syntax);
    assert_null(read_at("{\"a\": \"no end", 0, false, &why));
    assert_null(read_at("{\"a\": \"\\", 0, false, &why));
    assert_null(read_at("", 0, false, &why));
    assert_null(mem_json("{}", 1, 0, NULL));
}

int main(void) {
    mem_watch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_text_that_is_no_json_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
