/* The ledger's chain: what breaks it is told apart and named, what a dying writer leaves is cut off, and writers side
 * by side make one chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/fs.h"
#include "run/ledger.h"

static char dir[64], path[128], head[160];

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test-ledger.XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/below/ledger.jsonl", dir);
    snprintf(head, sizeof head, "%s.head", path);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    err e;
    return fs_remove_tree(dir, &e);
}

/* Appends {"what": what}; "" or the code of what went wrong. */
static const char *add(const char *what) {
    static err e;
    ledger l;
    err_clear(&e);
    json_t *record = json_pack("{s:s}", "what", what);
    assert_non_null(record);
    int rc = ledger_open(&l, path, &e);
    rc = rc == 0 ? ledger_place(&l, record, &e) : rc;
    rc = rc == 0 ? ledger_append(&l, record, &e) : rc;
    ledger_close(&l);
    json_decref(record);
    return rc == 0 ? "" : e.code;
}

static int count(void *ctx, const json_t *record, err *e) {
    (void)e;
    assert_true(json_is_string(json_object_get(record, "what")));
    ++*(int *)ctx;
    return 0;
}

/* Reads it all; "" or the code, and the message in said. */
static char said[ERR_TEXT_MAX];
static const char *check(int *records) {
    static err e;
    ledger_state at;
    int n = 0;
    err_clear(&e);
    int rc = ledger_read(path, count, &n, &at, &e);
    snprintf(said, sizeof said, "%s", e.message);
    if (records != NULL) {
        *records = n;
    }
    return rc == 0 ? "" : e.code;
}

static char *content(const char *file) {
    buf b = BUF_INIT;
    err e;
    assert_int_equal(fs_read(file, 1u << 20, &b, &e), 0);
    return buf_steal(&b);
}

static void put(const char *file, const char *text) {
    err e;
    assert_int_equal(fs_write_atomic(file, text, strlen(text), 0600, &e), 0);
}

static void three(void) {
    assert_string_equal(add("one"), "");
    assert_string_equal(add("two"), "");
    assert_string_equal(add("three"), "");
}

static void test_chain(void **state) {
    (void)state;
    int n;
    assert_string_equal(check(&n), "");
    assert_int_equal(n, 0);
    three();
    assert_string_equal(check(&n), "");
    assert_int_equal(n, 3);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char *text = content(path);
    assert_non_null(strstr(text, "\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\""));
    free(text);
}

/* The file with one line of it left out (from 0), or with a word put in another's place. */
static void without_line(int line) {
    char *text = content(path);
    char *at = text;
    for (; line > 0; line--) {
        at = strchr(at, '\n') + 1;
    }
    char *next = strchr(at, '\n') + 1;
    memmove(at, next, strlen(next) + 1);
    put(path, text);
    free(text);
}

static void replace(const char *old, const char *new) {
    char *text = content(path);
    char *at = strstr(text, old);
    assert_non_null(at);
    assert_int_equal(strlen(old), strlen(new));
    memcpy(at, new, strlen(new));
    put(path, text);
    free(text);
}

static void test_edited(void **state) {
    (void)state;
    int n;
    three();
    replace("\"two\"", "\"owt\"");
    assert_string_equal(check(&n), "ledger_broken");
    assert_non_null(strstr(said, "record 2 was edited"));
    assert_int_equal(n, 1);
    /* The last one, which the next writer looks at. */
    replace("\"owt\"", "\"two\"");
    replace("\"three\"", "\"eerht\"");
    assert_string_equal(add("four"), "ledger_broken");
}

static void test_spelling(void **state) {
    (void)state;
    three();
    char *text = content(path), *more = NULL;
    assert_true(asprintf(&more, "{ %s", text + 1) > 0);
    put(path, more);
    assert_string_equal(check(NULL), "ledger_broken");
    assert_non_null(strstr(said, "record 1 is not in canonical form"));
    free(more);
    free(text);
}

static void test_removed(void **state) {
    (void)state;
    three();
    without_line(1);
    assert_string_equal(check(NULL), "ledger_broken");
    assert_non_null(strstr(said, "record 2 was expected, record 3 found"));
}

static void test_cut(void **state) {
    (void)state;
    three();
    without_line(2);
    assert_string_equal(check(NULL), "ledger_truncated");
    assert_non_null(strstr(said, "ends with record 2, and its head says that there were 3"));
    assert_string_equal(add("four"), "ledger_truncated");
    put(path, "");
    assert_string_equal(add("four"), "ledger_truncated");
    unlink(path);
    assert_string_equal(check(NULL), "ledger_truncated");
    assert_string_equal(add("four"), "ledger_truncated");
}

static void test_head(void **state) {
    (void)state;
    three();
    char *good = content(head);
    unlink(head);
    assert_string_equal(check(NULL), "ledger_rewritten");
    assert_string_equal(add("four"), "ledger_rewritten");
    put(head, "{}");
    assert_string_equal(check(NULL), "ledger_rewritten");
    put(head, good);
    assert_string_equal(check(NULL), "");
    free(good);
}

/* A whole other chain of the same length: its head is not this one's. */
static void test_replaced(void **state) {
    (void)state;
    three();
    char *kept = content(head);
    unlink(path);
    unlink(head);
    add("1");
    add("2");
    add("3");
    put(head, kept);
    assert_string_equal(check(NULL), "ledger_rewritten");
    free(kept);
}

/* What a writer leaves that dies between its record and its head, or in the middle of its record. */
static void test_torn(void **state) {
    (void)state;
    int n;
    three();
    char *before = content(head);
    assert_string_equal(add("four"), "");
    put(head, before);
    assert_string_equal(check(&n), "");
    assert_int_equal(n, 4);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{\"half\":", 8), 8);
    close(fd);
    assert_string_equal(check(&n), "");
    assert_int_equal(n, 4);
    assert_string_equal(add("five"), "");
    assert_string_equal(check(&n), "");
    assert_int_equal(n, 5);
    char *text = content(path);
    assert_null(strstr(text, "half"));
    free(text);
    free(before);
}

/* Writers that die there one after another: each brings the head in line before it adds, so that it never lags by two.
 */
static void test_torn_again(void **state) {
    (void)state;
    three();
    char *before = content(head);
    assert_string_equal(add("four"), "");
    put(head, before);
    free(before);
    ledger l;
    err e;
    assert_int_equal(ledger_open(&l, path, &e),
                     0); /* and it dies here, or at any moment until its own head is written */
    ledger_close(&l);
    before = content(head);
    assert_string_equal(add("five"), "");
    put(head, before);
    free(before);
    assert_string_equal(add("six"), "");
    int records = 0;
    assert_string_equal(check(&records), "");
    assert_int_equal(records, 6);
}

static void test_first_torn(void **state) {
    (void)state;
    int n;
    three();
    unlink(head);
    put(path, "{\"half\":");
    assert_string_equal(add("one"), "");
    assert_string_equal(check(&n), "");
    assert_int_equal(n, 1);
}

#define WRITERS 4
#define EACH 25

static void test_side_by_side(void **state) {
    (void)state;
    int n;
    for (int w = 0; w < WRITERS; w++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            int bad = 0;
            for (int i = 0; i < EACH; i++) {
                bad += *add("x") != '\0';
            }
            _exit(bad == 0 ? 0 : 1);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_string_equal(check(&n), "");
    assert_int_equal(n, WRITERS * EACH);
}

/* Writers killed at any moment: the chain stays whole, and what was acknowledged is in it. */
static void test_killed(void **state) {
    (void)state;
    int n, acknowledged = 0;
    for (int round = 0; round < 40; round++) {
        int out[2];
        assert_int_equal(pipe(out), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            while (*add("x") == '\0' && write(out[1], "x", 1) == 1) {
            }
            _exit(1);
        }
        close(out[1]);
        char c;
        for (int i = 0; i <= round % 4; i++) {
            assert_int_equal(read(out[0], &c, 1), 1);
            acknowledged++;
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(out[0], &c, 1) == 1) {
            acknowledged++;
        }
        close(out[0]);
        assert_string_equal(check(&n), "");
        assert_true(n >= acknowledged);
    }
}

static void test_not_writable(void **state) {
    (void)state;
    three();
    snprintf(path, sizeof path, "/proc/nowhere/ledger.jsonl");
    assert_string_not_equal(add("x"), "");
    snprintf(path, sizeof path, "/dev/full");
    assert_string_equal(add("x"), "ledger_open");
}

static const char *id_of(const char *text, char id[SHA256_HEX_SIZE]) {
    static err e;
    err_clear(&e);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, &e), 0);
    return ledger_id(path, id, &e) == 0 ? "" : e.code;
}

/* What tells a ledger from others is what its first record says: neither what follows, nor what no signature covers. */
static void test_id(void **state) {
    (void)state;
    char one[SHA256_HEX_SIZE], again[SHA256_HEX_SIZE];
    err e;
    assert_int_equal(ledger_id(path, one, &e), 0);
    assert_string_equal(one, "");
    three();
    assert_int_equal(ledger_id(path, one, &e), 0);
    assert_int_equal(strlen(one), 64);
    add("x");
    assert_int_equal(ledger_id(path, again, &e), 0);
    assert_string_equal(one, again);

    assert_string_equal(id_of("{\"hash\":\"a\",\"statement\":{\"file\":\"x\"},\"what\":1}\n", one), "");
    assert_string_equal(id_of("{\"hash\":\"b\",\"what\":1}\n{}\n", again), "");
    assert_string_equal(one, again);
    assert_string_equal(id_of("{\"hash\":\"b\",\"what\":2}\n", again), "");
    assert_string_not_equal(one, again);
    assert_string_equal(id_of("{\"what\":2}", again), ""); /* a line that nobody ended is no record */
    assert_string_equal(again, "");
    assert_string_equal(id_of("\n", again), "");
    assert_string_equal(again, "");
    assert_string_equal(id_of("[1]\n", again), "ledger_broken");
    assert_string_equal(id_of("no record\n", again), "ledger_broken");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {T(test_chain),        T(test_edited),     T(test_spelling),     T(test_removed),
                                       T(test_cut),          T(test_head),       T(test_torn_again),   T(test_replaced),
                                       T(test_torn),         T(test_first_torn), T(test_side_by_side), T(test_killed),
                                       T(test_not_writable), T(test_id)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
