/* Logging: secrets never get through, in no spelling that a report could show them in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, forget, NULL }

static int forget(void **state) {
    (void)state;
    log_forget_secrets();
    log_set_level(LOG_INFO);
    return 0;
}

static void add(const char *secret) {
    assert_int_equal(log_add_secret(secret, strlen(secret)), 0);
}

static void assert_masked(const char *text, const char *expected) {
    buf out = BUF_INIT;
    assert_int_equal(log_mask(&out, text, strlen(text)), 0);
    assert_string_equal(buf_str(&out), expected);
    assert_int_equal(log_has_secret(text, strlen(text)), strcmp(text, expected) != 0);
    assert_false(log_has_secret(buf_str(&out), out.len));
    buf_free(&out);
}

static void masking(void **state) {
    (void)state;
    assert_masked("password=hunter2", "password=hunter2");
    add("hunter2");
    assert_masked("password=hunter2", "password=***");
    assert_masked("hunter2", "***");
    assert_masked("hunter2hunter2 hunter", "****** hunter");
    assert_masked("", "");
}

static void overlapping(void **state) {
    (void)state;
    add("abcdef");
    add("defghi");
    add("abcd");
    assert_masked("xabcdefghiy", "x***y");
    assert_masked("xabcdx abcdefx", "x***x ***x");
}

static void spellings(void **state) {
    (void)state;
    add("p@ss/w\"or d%");
    assert_masked("postgres://u:p%40ss%2Fw%22or%20d%25@h", "postgres://u:***@h");
    assert_masked("p%40ss%2fw%22or+d%25", "***");
    assert_masked("p@ss/w\"or d%", "***");
    assert_masked("{\"url\":\"p@ss\\/w\\\"or d%\"}", "{\"url\":\"***\"}");
    assert_masked("%70%40%73%73%2F%77%22%6F%72%20%64%25", "***");
}

static void ends_of_lines(void **state) {
    (void)state;
    add("from-a-file\r\n");
    assert_masked("key from-a-file.", "key ***.");
}

static void short_secrets(void **state) {
    (void)state;
    add("abc");
    add("");
    add("\n\n\n\n\n");
    assert_masked("abc\n\n\n\n\n", "abc\n\n\n\n\n");
    add("abcd");
    assert_masked("abcd", "***");
}

static void many_secrets(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        char secret[32];
        snprintf(secret, sizeof secret, "secret-%03d!", i);
        add(secret);
        add(secret);
    }
    assert_masked("secret-000! secret-199! secret-200!", "*** *** secret-200!");
    log_forget_secrets();
    assert_masked("secret-000!", "secret-000!");
}

static void secrets_with_nul(void **state) {
    (void)state;
    assert_int_equal(log_add_secret("ab\0cd", 5), 0);
    buf out = BUF_INIT;
    assert_int_equal(log_mask(&out, "xab\0cdy", 7), 0);
    assert_string_equal(buf_str(&out), "x***y");
    buf_free(&out);
}

static void random_texts(void **state) {
    (void)state;
    uint64_t seed = 7;
    add("aab%a");
    add("ba+a");
    add("%%61%");
    for (int i = 0; i < 50000; i++) {
        static const char letter[] = "ab%61+ \\\"";
        char text[24];
        size_t n = 0;
        for (; n < sizeof text; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[n] = letter[(seed >> 33) % (sizeof letter - 1)];
        }
        buf out = BUF_INIT;
        assert_int_equal(log_mask(&out, text, n), 0);
        assert_null(memmem(buf_str(&out), out.len, "aab%a", 5));
        assert_null(memmem(buf_str(&out), out.len, "ba+a", 4));
        buf_free(&out);
    }
}

static void no_room(void **state) {
    (void)state;
    add("hunter2");
    for (size_t room = 1; room < 7; room++) {
        buf out = {.limit = room};
        assert_int_equal(log_mask(&out, "a hunter2 b", 11), -1);
        buf_free(&out);
    }
}

/* What log_line writes to standard error while `say` runs. */
static char *captured(void (*say)(void)) {
    char name[] = "/tmp/ge-log-XXXXXX";
    int file = mkstemp(name);
    int saved = dup(STDERR_FILENO);
    assert_true(file >= 0 && saved >= 0);
    unlink(name);
    dup2(file, STDERR_FILENO);
    say();
    dup2(saved, STDERR_FILENO);
    close(saved);
    off_t n = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)n + 1);
    assert_int_equal(pread(file, text, (size_t)n, 0), n);
    close(file);
    return text;
}

static void say_lines(void) {
    errno = ENOENT;
    log_line(LOG_ERROR, "login as %s with %s", "app", "hunter2");
    log_line(LOG_WARN, "two\nlines \x1b[1m");
    log_line(LOG_INFO, "%d %%", 7);
    log_line(LOG_DEBUG, "not shown");
    assert_int_equal(errno, ENOENT);
}

static void lines(void **state) {
    (void)state;
    add("hunter2");
    char *text = captured(say_lines);
    assert_string_equal(text, "gate-engine: error: login as app with ***\n"
                              "gate-engine: warning: two\\x0alines \\x1b[1m\n"
                              "gate-engine: 7 %\n");
    free(text);
}

static void say_levels(void) {
    log_set_level(LOG_ERROR);
    log_line(LOG_WARN, "w");
    log_line(LOG_ERROR, "e");
    log_set_level(LOG_DEBUG);
    log_line(LOG_DEBUG, "d");
    assert_int_equal(log_get_level(), LOG_DEBUG);
}

static void levels(void **state) {
    (void)state;
    char *text = captured(say_levels);
    assert_string_equal(text, "gate-engine: error: e\ngate-engine: debug: d\n");
    free(text);
}

static void say_much(void) {
    char *much = malloc(100001);
    memset(much, 'x', 100000);
    much[100000] = '\0';
    log_line(LOG_INFO, "%s", much);
    free(much);
}

static void long_lines(void **state) {
    (void)state;
    char *text = captured(say_much);
    assert_int_equal(strlen(text), strlen("gate-engine: ") + 8192 + 1);
    assert_string_equal(text + strlen(text) - 5, "x…\n");
    free(text);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("a registered secret is masked wherever it stands", masking),
        TEST("secrets that overlap leave no part of one behind", overlapping),
        TEST("percent-encoded, form-encoded and JSON-escaped spellings are masked", spellings),
        TEST("the end of line of a secret's file does not count", ends_of_lines),
        TEST("texts under four bytes are no secrets", short_secrets),
        TEST("many secrets are held once each and forgotten together", many_secrets),
        TEST("a secret may hold NUL bytes", secrets_with_nul),
        TEST("no random text gets a secret through", random_texts),
        TEST("a full buffer is an error and not half a secret", no_room),
        TEST("a line is one line, masked, and errno is kept", lines),
        TEST("lines above the level are dropped", levels),
        TEST("a line is at most 8192 bytes long", long_lines),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
