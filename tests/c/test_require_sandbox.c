/* A kernel without a ring, played by a filter that makes the ring's system call unknown: the engine as a whole says
 * what is missing, and with --require-sandbox does not begin. */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "prim/ring.h"

static char dir[64];

static void write_file(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void read_file(const char *name, char *out, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    out[fread(out, 1, size - 1, f)] = '\0';
    fclose(f);
}

/* In the child: from here on the kernel does not know the call. */
static void forget(int call) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0) != 0 || seccomp_load(filter) != 0) {
        _exit(99);
    }
    seccomp_release(filter);
}

/* Runs the gate in `dir`; without the call when it is not negative. Returns the exit code, standard error in err.txt.
 */
static int run(int call, const char *flag) {
    const char *build = getenv("BUILD");
    char engine[4096], gate[128], config[128], out[128];
    snprintf(engine, sizeof engine, "%s/gate-engine", build != NULL ? build : "build");
    snprintf(gate, sizeof gate, "%s/plain.lua", dir);
    snprintf(config, sizeof config, "%s/gate-engine.conf.lua", dir);
    snprintf(out, sizeof out, "%s/err.txt", dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(out, O_CREAT | O_TRUNC | O_WRONLY, 0600), null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(fd, 2);
        if (call >= 0) {
            forget(call);
        }
        execl(engine, engine, "run", gate, "--config", config, "--tenant", "acme", flag, (char *)NULL);
        _exit(98);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int make(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test_sandbox.XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    write_file("gate-engine.conf.lua",
               "return { platform = 'external', database = { tenant = { column = 'x', setting = 'y.z' } } }\n");
    write_file("plain.lua",
               "return require('gate').define { api = 1, id = 'plain', name = 'Plain', purpose = 'passes',\n"
               "  run = function(ctx) ctx:check('one', function() end) end }\n");
    return 0;
}

static int unmake(void **state) {
    (void)state;
    static const char *const NAMES[] = {"gate-engine.conf.lua", "plain.lua", "err.txt"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, NAMES[i]);
        unlink(path);
    }
    return rmdir(dir);
}

static void with_every_ring_the_flag_changes_nothing(void **state) {
    (void)state;
    ring_status has;
    ring_probe(&has);
    if (has.sanitizer || !has.landlock || !has.seccomp) {
        skip();
    }
    char text[4096];
    assert_int_equal(run(-1, "--require-sandbox"), 0);
    read_file("err.txt", text, sizeof text);
    assert_null(strstr(text, "fewer rings"));
}

static void without_landlock_the_run_says_so(void **state) {
    (void)state;
    ring_status has;
    ring_probe(&has);
    if (has.sanitizer) {
        skip();
    }
    char text[4096];
    assert_int_equal(run(SCMP_SYS(landlock_create_ruleset), "--verbose"), 0);
    read_file("err.txt", text, sizeof text);
    assert_non_null(strstr(text, "fewer rings: this kernel lacks Landlock"));
}

static void without_landlock_the_flag_refuses(void **state) {
    (void)state;
    char text[4096];
    assert_int_equal(run(SCMP_SYS(landlock_create_ruleset), "--require-sandbox"), 2);
    read_file("err.txt", text, sizeof text);
    assert_non_null(strstr(text, "--require-sandbox: this"));
    assert_non_null(strstr(text, "fix: run on a kernel with Landlock"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(with_every_ring_the_flag_changes_nothing, make, unmake),
        cmocka_unit_test_setup_teardown(without_landlock_the_run_says_so, make, unmake),
        cmocka_unit_test_setup_teardown(without_landlock_the_flag_refuses, make, unmake)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
