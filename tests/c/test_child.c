/* Children: what they are given, what they are not, and that no end of theirs is misread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "run/child.h"

static char *const ENV[] = {"PATH=/usr/bin:/bin", NULL};

static int open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    int n = 0;
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

/* Runs a shell line with `out` as its output; its wait status. */
static int run(const char *line, const child_limits *limits, const child_perturb *how, buf *out) {
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    child_spec spec = {.stdin_fd = -1, .stdout_fd = p[1], .stderr_fd = p[1], .keep_fd = -1};
    if (limits != NULL) {
        spec.limits = *limits;
    }
    char *argv[] = {"sh", "-c", (char *)line, NULL};
    child c = {.pidfd = -1};
    err e;
    assert_int_equal(child_spawn(&spec, argv, ENV, how, &c, &e), 0);
    close(p[1]);
    char chunk[4096];
    ssize_t n;
    while ((n = read(p[0], chunk, sizeof chunk)) > 0) {
        assert_int_equal(buf_append(out, chunk, (size_t)n), 0);
    }
    close(p[0]);
    return child_reap(&c, NULL);
}

static void a_program_has_three_descriptors_and_its_environment_alone(void **state) {
    (void)state;
    /* Without CLOEXEC: must not get through. A number which the shell's own pipes never have. */
    int low = open("/dev/null", O_RDONLY);
    int extra = fcntl(low, F_DUPFD, 77);
    close(low);
    assert_true(extra >= 0);
    setenv("CHILD_TEST_SECRET", "hunter2", 1);
    buf out = BUF_INIT;
    assert_int_equal(
        run("for i in /proc/$$/fd/*; do echo ${i##*/}; done | sort -n | tr '\n' ' '; env", NULL, NULL, &out), 0);
    assert_non_null(strstr(buf_str(&out), "0 1 2 "));
    assert_null(strstr(buf_str(&out), "CHILD_TEST_SECRET"));
    char number[16];
    snprintf(number, sizeof number, " %d ", extra);
    assert_null(strstr(buf_str(&out), number));
    buf_free(&out);
    unsetenv("CHILD_TEST_SECRET");
    close(extra);
}

static void a_program_is_found_in_the_path_it_is_given(void **state) {
    (void)state;
    char *argv[] = {"true", NULL};
    char *nowhere[] = {"PATH=/nonexistent", NULL};
    child_spec spec = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .keep_fd = -1};
    child c = {.pidfd = -1};
    err e;
    assert_int_equal(child_spawn(&spec, argv, nowhere, NULL, &c, &e), -1);
    assert_string_equal(e.code, "exec_failed_to_start");
    assert_int_equal(c.pid, 0);
    assert_int_equal(child_spawn(&spec, argv, ENV, NULL, &c, &e), 0);
    assert_int_equal(child_reap(&c, NULL), 0);
}

static void what_cannot_be_started_says_why(void **state) {
    (void)state;
    char *missing[] = {"/nonexistent/solver", NULL};
    char *present[] = {"true", NULL};
    child_spec spec = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .keep_fd = -1};
    child c = {.pidfd = -1};
    err e;
    assert_int_equal(child_spawn(&spec, missing, ENV, NULL, &c, &e), -1);
    assert_string_equal(e.code, "exec_failed_to_start");
    assert_non_null(strstr(e.message, "/nonexistent/solver"));
    assert_non_null(strstr(e.message, "No such file"));
    child_perturb gone = {.cwd = "/nonexistent", .cpu = -1};
    assert_int_equal(child_spawn(&spec, present, ENV, &gone, &c, &e), -1);
    assert_string_equal(e.code, "exec_failed_to_start");
}

static void a_descriptor_that_cannot_be_placed_keeps_a_program_from_starting(void **state) {
    (void)state;
    char *argv[] = {"true", NULL};
    child_spec spec = {.stdin_fd = -1, .stdout_fd = 1000000, .stderr_fd = -1, .keep_fd = -1};
    child c = {.pidfd = -1};
    err e;
    assert_int_equal(child_spawn(&spec, argv, ENV, NULL, &c, &e), -1);
    assert_string_equal(e.code, "exec_failed_to_start");
}

static void exits_and_signals_are_told_apart(void **state) {
    (void)state;
    buf out = BUF_INIT;
    int status = run("exit 7", NULL, NULL, &out);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    status = run("kill -SEGV $$", NULL, NULL, &out);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && !WCOREDUMP(status));
    buf_free(&out);
}

static void an_end_that_nobody_knows_is_no_exit_of_zero(void **state) {
    (void)state;
    child_spec spec = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .keep_fd = -1};
    char *argv[] = {"true", NULL};
    child c = {.pidfd = -1};
    err e;
    assert_int_equal(child_spawn(&spec, argv, ENV, NULL, &c, &e), 0);
    int status;
    while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR) { /* as a kernel does where SIGCHLD is ignored */
    }
    status = child_reap(&c, NULL);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(c.pid, 0);
    assert_int_equal(c.pidfd, -1);
}

static void limits_hold(void **state) {
    (void)state;
    buf out = BUF_INIT;
    child_limits few = {.files = 20, .file_size = 512 * 1024};
    assert_int_equal(run("ulimit -n; ulimit -f; ulimit -c", &few, NULL, &out), 0);
    assert_string_equal(buf_str(&out), "20\n1024\n0\n");
    buf_reset(&out);
    child_limits brief = {.cpu_s = 1};
    int status = run("while :; do :; done", &brief, NULL, &out);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
    buf_free(&out);
}

static void a_group_goes_with_its_leader(void **state) {
    (void)state;
    /* The leader ends at once; what it leaves behind holds the pipe until the leader is reaped. */
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    child_spec spec = {.stdin_fd = -1, .stdout_fd = p[1], .stderr_fd = -1, .keep_fd = -1};
    char *argv[] = {"sh", "-c", "sleep 300 & exit 3", NULL};
    child c = {.pidfd = -1};
    err e;
    assert_int_equal(child_spawn(&spec, argv, ENV, NULL, &c, &e), 0);
    close(p[1]);
    struct pollfd ended = {.fd = c.pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 10000), 1);
    int status = child_reap(&c, NULL);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    char byte;
    assert_int_equal(read(p[0], &byte, 1), 0); /* blocks until the last writer is gone */
    close(p[0]);
}

static void a_kill_reaches_the_whole_group(void **state) {
    (void)state;
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    child_spec spec = {.stdin_fd = -1, .stdout_fd = p[1], .stderr_fd = -1, .keep_fd = -1};
    char *argv[] = {"sh", "-c", "sleep 300 & echo up; wait", NULL};
    child c = {.pidfd = -1};
    err e;
    assert_int_equal(child_spawn(&spec, argv, ENV, NULL, &c, &e), 0);
    close(p[1]);
    char text[3];
    assert_int_equal(read(p[0], text, sizeof text), 3);
    child_kill(&c);
    int status = child_reap(&c, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(read(p[0], text, 1), 0);
    close(p[0]);
}

/* In a forked child: says through descriptor 3 what it is. */
static _Noreturn void describe_self(void) {
    int hard = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    int death = 0;
    hard = hard && prctl(PR_GET_PDEATHSIG, &death) == 0 && death == SIGKILL;
    hard = hard && getpgrp() == getpid();
    hard = hard && fcntl(4, F_GETFD) < 0;
    struct rlimit core;
    hard = hard && getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
    _exit(write(3, hard ? "y" : "n", 1) == 1 ? 0 : 1);
}

static void a_forked_worker_is_hardened(void **state) {
    (void)state;
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    child_spec spec = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .keep_fd = p[1]};
    child c = {.pidfd = -1};
    err e;
    int side = child_fork(&spec, &c, &e);
    if (side == 1) {
        describe_self();
    }
    assert_int_equal(side, 0);
    close(p[1]);
    char said = '?';
    assert_int_equal(read(p[0], &said, 1), 1);
    assert_int_equal(said, 'y');
    assert_int_equal(child_reap(&c, NULL), 0);
    close(p[0]);
}

static void nothing_stays_open(void **state) {
    (void)state;
    char *missing[] = {"/nonexistent/solver", NULL};
    child_spec spec = {.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .keep_fd = -1};
    int before = open_descriptors();
    for (int i = 0; i < 5; i++) {
        buf out = BUF_INIT;
        child c = {.pidfd = -1};
        err e;
        run("echo", NULL, NULL, &out);
        buf_free(&out);
        assert_int_equal(child_spawn(&spec, missing, ENV, NULL, &c, &e), -1);
    }
    assert_int_equal(open_descriptors(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_has_three_descriptors_and_its_environment_alone),
        cmocka_unit_test(a_program_is_found_in_the_path_it_is_given),
        cmocka_unit_test(what_cannot_be_started_says_why),
        cmocka_unit_test(a_descriptor_that_cannot_be_placed_keeps_a_program_from_starting),
        cmocka_unit_test(exits_and_signals_are_told_apart),
        cmocka_unit_test(an_end_that_nobody_knows_is_no_exit_of_zero),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_group_goes_with_its_leader),
        cmocka_unit_test(a_kill_reaches_the_whole_group),
        cmocka_unit_test(a_forked_worker_is_hardened),
        cmocka_unit_test(nothing_stays_open),
    };
    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
