/* What a store does where the kernel says no: without openat2 there is no store, and no failure leaves a descriptor or
 * a temporary file behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "prim/store.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

static char dir[] = "/tmp/gate-engine-test-XXXXXX";

/* From here on the system call fails with this errno, as on another kernel or a full disk. For a child process: it
 * cannot be undone. seccomp(2), classic BPF over struct seccomp_data. */
static void deny(unsigned number, unsigned error) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(99);
    }
}

static int count_entries(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    if (d == NULL) {
        return -1;
    }
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

static store *open_store(err *e) {
    store_options o = {.path = dir};
    return store_open(&o, e);
}

/* Runs the case in a child and expects it to return 0. */
static void in_child(int (*fn)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(fn());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int open_without_openat2(void) {
    err e;
    int before = count_entries("/proc/self/fd");
    deny(SYS_openat2, ENOSYS);
    store *s = open_store(&e);
    if (s != NULL) {
        return 1;
    }
    if (strcmp(e.code, "store_unsupported") != 0 || strstr(e.fix, "5.6") == NULL) {
        return 2;
    }
    return count_entries("/proc/self/fd") == before ? 0 : 3;
}

static int put_fails(unsigned call, unsigned error, const char *code) {
    err e;
    store_info info;
    store *s = open_store(&e);
    if (s == NULL || store_put(s, "kept", 4, "former", 6, &info, &e) != 0) {
        return 1;
    }
    int descriptors = count_entries("/proc/self/fd");
    int files = count_entries(dir);
    deny(call, error);
    if (store_put(s, "kept", 4, "new", 3, &info, &e) == 0 || strcmp(e.code, code) != 0) {
        return 2;
    }
    buf got = BUF_INIT;
    if (store_get(s, "kept", 4, 100, NULL, &got, &info, &e) != 0 || strcmp(buf_str(&got), "former") != 0) {
        return 3;
    }
    buf_free(&got);
    if (count_entries("/proc/self/fd") != descriptors || count_entries(dir) != files) {
        return 4;
    }
    store_close(s);
    return 0;
}

static int put_without_rename(void) {
    return put_fails(SYS_renameat, ENOSPC, "store_full");
}

static int put_without_sync(void) {
    return put_fails(SYS_fsync, EIO, "store_io");
}

static int put_without_write(void) {
    return put_fails(SYS_write, EDQUOT, "store_full");
}

static void without_openat2(void **state) {
    (void)state;
    in_child(open_without_openat2);
}

static void failing_puts(void **state) {
    (void)state;
    in_child(put_without_rename);
    in_child(put_without_sync);
    in_child(put_without_write);
}

static void failing_open(void **state) {
    (void)state;
    err e;
    store_info info;
    store *s = open_store(&e);
    assert_non_null(s);
    static const char *const KEYS[] = {"", "..", "/x", "a/../b", "a//b"};
    int before = count_entries("/proc/self/fd");
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        buf got = BUF_INIT;
        size_t n = strlen(KEYS[i]);
        assert_int_equal(store_put(s, KEYS[i], n, "x", 1, &info, &e), -1);
        assert_int_equal(store_get(s, KEYS[i], n, 10, NULL, &got, &info, &e), -1);
        assert_int_equal(store_head(s, KEYS[i], n, &info, &e), -1);
        assert_int_equal(store_delete(s, KEYS[i], n, &e), -1);
        buf_free(&got);
    }
    assert_int_equal(count_entries("/proc/self/fd"), before);
    store_close(s);
}

static int make_dir(void **state) {
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    err e;
    return fs_remove_tree(dir, &e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST("a kernel without openat2 gets no store, and is told why", without_openat2),
        TEST("a put that fails in writing, fsync or rename leaves the former value and nothing else", failing_puts),
        TEST("refused keys leave no descriptor open", failing_open),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
