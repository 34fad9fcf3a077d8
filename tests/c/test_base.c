/* Buffers, errors, time and the installed tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/paths.h"
#include "base/text.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

static void buffers(void **state) {
    (void)state;
    buf b = BUF_INIT;
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_append(&b, "a\0b", 3), 0);
    assert_int_equal(buf_puts(&b, "cd"), 0);
    assert_int_equal(buf_putc(&b, 'e'), 0);
    assert_int_equal(buf_printf(&b, "-%d-%s", 7, "x"), 0);
    assert_int_equal(b.len, 10);
    assert_memory_equal(b.data, "a\0bcde-7-x", 11);
    buf_consume(&b, 2);
    assert_string_equal(buf_str(&b), "bcde-7-x");
    buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_printf(&b, "%04d", i), 0);
    }
    assert_int_equal(b.len, 4000);
    char *text = buf_steal(&b);
    assert_int_equal(strlen(text), 4000);
    assert_null(b.data);
    free(text);
    text = buf_steal(&b);
    assert_string_equal(text, "");
    free(text);
}

static int take(void *ctx, const char *bytes, size_t n) {
    return buf_append(ctx, bytes, n);
}

/* Holds a piece and no more, and what comes out is what went in. */
static void drained_buffers(void **state) {
    (void)state;
    buf all = BUF_INIT;
    buf b = {.drain = take, .drain_ctx = &all};
    for (int i = 0; i < 200000; i++) {
        assert_int_equal(buf_printf(&b, "%07d", i), 0);
    }
    assert_in_range(b.cap, 1, 262144);
    assert_int_equal(all.len + b.len, 1400000);
    assert_int_equal(take(&all, b.data, b.len), 0);
    for (int i = 0; i < 200000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%07d", i);
        assert_memory_equal(all.data + (size_t)i * 7, text, 7);
    }
    all.limit = all.len; /* it takes nothing more */
    while (buf_puts(&b, "more of it") == 0) {
    }
    assert_true(b.failed);
    buf_free(&b);
    buf_free(&all);
}

static void bounded_buffers(void **state) {
    (void)state;
    buf b = {.limit = 4};
    assert_int_equal(buf_puts(&b, "abcd"), 0);
    assert_int_equal(buf_puts(&b, ""), 0);
    assert_int_equal(buf_putc(&b, 'e'), -1);
    assert_true(b.failed);
    assert_int_equal(buf_puts(&b, ""), -1); /* it stays failed */
    assert_null(buf_steal(&b));
    assert_false(b.failed);
    assert_int_equal(b.limit, 4);
    assert_int_equal(buf_printf(&b, "%s", "abcde"), -1);
    buf_free(&b);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_free(&b);
}

static void errors(void **state) {
    (void)state;
    err e;
    assert_int_equal(err_set(&e, "code", "%s is %d", "x", 7), -1);
    assert_int_equal(err_detail(&e, "detail %d", 1), -1);
    assert_int_equal(err_fix(&e, "fix %d", 2), -1);
    assert_string_equal(e.code, "code");
    assert_string_equal(e.message, "x is 7");
    assert_string_equal(e.detail, "detail 1");
    assert_string_equal(e.fix, "fix 2");
    err_set(&e, "outer", "wrapped: %s (%s)", e.message, e.detail); /* its own texts as arguments */
    assert_string_equal(e.message, "wrapped: x is 7 (detail 1)");
    assert_string_equal(e.detail, "");
    err_detail(&e, "%s, twice", e.message);
    err_detail(&e, "<%s>", e.detail);
    assert_string_equal(e.detail, "<wrapped: x is 7 (detail 1), twice>");
    errno = ENOENT;
    assert_int_equal(err_errno(&e, "io", "%s", "file"), -1);
    assert_string_equal(e.message, "file: No such file or directory");
    assert_int_equal(errno, ENOENT);
    err_clear(&e);
    assert_string_equal(e.code, "");
    assert_int_equal(err_set(NULL, "a", "b"), -1); /* nobody listens */
    assert_int_equal(err_errno(NULL, "a", "b"), -1);
    assert_int_equal(err_detail(NULL, "b"), -1);
    assert_int_equal(err_fix(NULL, "b"), -1);
    err_clear(NULL);
}

static void long_errors(void **state) {
    (void)state;
    for (size_t lead = 0; lead < 8; lead++) {
        static char text[4000];
        memset(text, 'x', lead);
        for (size_t i = lead; i + 3 < sizeof text; i += 3) {
            memcpy(text + i, "€", 4);
        }
        err e;
        err_set(&e, "a_code_that_is_very_much_longer_than_any_real_one_is", "%s", text);
        assert_true(strlen(e.message) >= ERR_TEXT_MAX - 4);
        assert_true(text_utf8_valid(e.message, strlen(e.message)));
        assert_int_equal(strlen(e.code), ERR_CODE_MAX - 1);
        err_detail(&e, "%s", text);
        err_fix(&e, "%s", text);
        assert_true(text_utf8_valid(e.detail, strlen(e.detail)));
        assert_true(text_utf8_valid(e.fix, strlen(e.fix)));
        errno = ENOENT;
        err_errno(&e, "io", "%.*s", (int)(ERR_TEXT_MAX - 10 + lead), text);
        assert_true(text_utf8_valid(e.message, strlen(e.message)));
    }
}

static void clocks(void **state) {
    (void)state;
    double exact = clock_ms_exact();
    int64_t whole = clock_ms();
    assert_true((double)whole >= exact - 1);
    assert_true(clock_ms_exact() >= exact);
    char text[CLOCK_RFC3339_MAX];
    struct tm tm = {0};
    setenv("TZ", "Asia/Kathmandu", 1);
    tzset();
    time_t before = time(NULL);
    clock_rfc3339(text, sizeof text);
    time_t after = time(NULL);
    unsetenv("TZ");
    tzset();
    assert_int_equal(strlen(text), strlen("2027-01-31T12:00:00.123Z"));
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    assert_non_null(rest);
    assert_int_equal(rest[0], '.');
    assert_string_equal(rest + 4, "Z");
    time_t said = timegm(&tm); /* UTC, whatever the time zone */
    assert_true(said >= before - 1 && said <= after);
}

static char root[64];

static void make(const char *path) {
    char full[256];
    err e;
    snprintf(full, sizeof full, "%s/%s", root, path);
    if (fs_mkdirs(full, 0755, &e) != 0) {
        fail_msg("%s", e.message);
    }
}

static void assert_found(const char *program, const char *share, const char *modules, const char *libexec) {
    char full[4][256];
    const char *const rest[4] = {program, share, modules, libexec};
    for (int i = 0; i < 4; i++) {
        snprintf(full[i], sizeof full[i], "%s%s", root, rest[i]);
    }
    paths p;
    err e;
    if (paths_find_from(&p, full[0], &e) != 0) {
        fail_msg("%s: %s", e.message, e.detail);
    }
    assert_string_equal(p.share, full[1]);
    assert_string_equal(p.modules, full[2]);
    assert_string_equal(p.libexec, full[3]);
    paths_free(&p);
    assert_null(p.share);
}

static void trees(void **state) {
    (void)state;
    strcpy(root, "/tmp/ge-paths-XXXXXX");
    assert_non_null(mkdtemp(root));
    make("tree/stdlib");
    make("tree/build/modules");
    make("tree/build-asan/modules");
    assert_found("/tree/build/gate-engine", "/tree", "/tree/build/modules", "/tree/build");
    assert_found("/tree/build-asan/gate-engine", "/tree", "/tree/build-asan/modules", "/tree/build-asan");
    assert_found("/tree/build/tests/test_x", "/tree", "/tree/build/modules", "/tree/build");
    make("prefix/bin");
    make("prefix/lib/gate-engine/modules");
    make("prefix/share/gate-engine/stdlib");
    assert_found("/prefix/bin/gate-engine", "/prefix/share/gate-engine", "/prefix/lib/gate-engine/modules",
                 "/prefix/lib/gate-engine");
    assert_int_equal(fs_remove_tree(root, NULL), 0);
}

static void broken_trees(void **state) {
    (void)state;
    paths p;
    err e;
    assert_int_equal(paths_find_from(&p, "/none/bin/gate-engine", &e), -1);
    assert_string_equal(e.code, "install_broken");
    assert_string_equal(e.message, "the engine's files are not where they belong, as seen from /none/bin/gate-engine");
    assert_string_equal(e.detail,
                        "looked for /none/stdlib with /none/bin/modules, and for /none/share/gate-engine/stdlib "
                        "with /none/lib/gate-engine/modules");
    assert_string_equal(e.fix, "run make in the source tree, or make install");
    assert_null(p.share);
    assert_int_equal(paths_find_from(&p, "gate-engine", &e), -1);
    assert_string_equal(e.message, "the program's own path is not usable: \"gate-engine\"");
    assert_int_equal(paths_find_from(&p, "/gate-engine", &e), -1);
    char large[5000];
    memset(large, 'x', sizeof large - 1);
    large[0] = '/';
    large[sizeof large - 1] = '\0';
    assert_int_equal(paths_find_from(&p, large, &e), -1);
    assert_string_equal(e.code, "install_broken");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("a buffer grows, ends in NUL and gives its memory away", buffers),
        TEST("a buffer with a drain holds a piece of what went through it", drained_buffers),
        TEST("a buffer over its bound fails and stays failed", bounded_buffers),
        TEST("an error holds its texts, also those made of itself", errors),
        TEST("a long error is cut between characters", long_errors),
        TEST("clocks go forward and time stamps are UTC", clocks),
        TEST("the tree is found beside the build directory and under a prefix", trees),
        TEST("a tree that is not there is named with what was looked for", broken_trees),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
