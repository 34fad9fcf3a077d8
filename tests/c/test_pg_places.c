/* The embedded PostgreSQL where the machine is not as hoped: no rights, no space, no home, no server, somebody else
 * there. */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>

#include "pg_support.h"

static char *shared;

static int make_shared(void **state) {
    (void)state;
    shared = state_fresh();
    pg_release(acquire(shared));
    return 0;
}

static int drop_shared(void **state) {
    (void)state;
    state_drop(shared);
    return 0;
}

/* Acquires in a child after `prepare`, and copies its error here; code "" = it worked. 77 from prepare = cannot be
 * tried here. */
static bool acquire_apart(int (*prepare)(const char *), const char *state, err *e) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork_test();
    assert_true(pid >= 0);
    if (pid == 0) {
        int r = prepare(state);
        if (r != 0)
            _exit(r);
        pg_options o = options_for(strcmp(state, "default") == 0 ? NULL : state);
        pg_server *s;
        err mine = {0};
        if (pg_acquire(&o, &s, &mine) == 0) {
            err_clear(&mine);
            pg_release(s);
        }
        _exit(fs_write_all(pipes[1], &mine, sizeof mine) == 0 ? 0 : 1);
    }
    close(pipes[1]);
    size_t have = 0;
    ssize_t n;
    while (have < sizeof *e && (n = read(pipes[0], (char *)e + have, sizeof *e - have)) > 0)
        have += (size_t)n;
    close(pipes[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        return false;
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(have, sizeof *e);
    return true;
}

static void must_be(const err *e, const char *code, const char *in_fix) {
    if (strcmp(e->code, code) != 0 || !strstr(e->fix, in_fix))
        fail_msg("expected %s, got %s: %s (%s) fix: %s", code, e->code, e->message, e->detail, e->fix);
}

static int mount_over(const char *path, const char *options, unsigned long flags) {
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", flags, options) != 0)
        return 77;
    return 0;
}

static int mount_read_only(const char *path) {
    return mount_over(path, "mode=0755", MS_RDONLY);
}

static int mount_small(const char *path) {
    return mount_over(path, "mode=0755,size=8m", 0);
}

static int mount_tiny(const char *path) {
    return mount_over(path, "mode=0755,size=64k", 0);
}

static int become_nobody(const char *path) {
    (void)path;
    gid_t none = 65534;
    if (geteuid() == 0 && (setgroups(1, &none) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    return setenv("HOME", "/nonexistent", 1) == 0 && unsetenv("XDG_STATE_HOME") == 0 &&
                   unsetenv("GATE_ENGINE_STATE") == 0 && unsetenv("XDG_RUNTIME_DIR") == 0
               ? 0
               : 1;
}

static void a_read_only_state_directory_is_named(void **state) {
    (void)state;
    char *own = state_fresh();
    err e;
    bool tried = acquire_apart(mount_read_only, own, &e);
    state_drop(own);
    if (!tried)
        skip();
    must_be(&e, "pg_state", "GATE_ENGINE_STATE");
    assert_non_null(strstr(e.message, "Read-only"));
}

static void a_full_state_directory_is_named(void **state) {
    (void)state;
    int (*const sizes[])(const char *) = {mount_small, mount_tiny};
    for (size_t i = 0; i < 2; i++) {
        char *own = state_fresh();
        err e;
        bool tried = acquire_apart(sizes[i], own, &e);
        state_drop(own);
        if (!tried)
            skip();
        must_be(&e, "pg_state_full", "free space");
        assert_null(strstr(e.detail, "STATEMENT"));
    }
}

static void a_home_directory_that_is_not_there_is_named(void **state) {
    (void)state;
    err e;
    if (!acquire_apart(become_nobody, "default", &e))
        skip();
    must_be(&e, "pg_state", "GATE_ENGINE_STATE");
    assert_non_null(strstr(e.message, "/nonexistent"));
}

static void a_plain_user_gets_a_server_too(void **state) {
    (void)state;
    char *own = state_fresh();
    err e;
    if (geteuid() == 0)
        assert_int_equal(chown(own, 65534, 65534), 0);
    bool tried = acquire_apart(become_nobody, own, &e);
    state_drop(own);
    if (!tried)
        skip();
    if (e.code[0])
        fail_msg("%s: %s (%s)", e.code, e.message, e.detail);
}

static void a_file_where_the_state_directory_should_be_is_named(void **state) {
    (void)state;
    pg_options o = options_for("/etc/passwd");
    refuses(&o, "pg_state", "GATE_ENGINE_STATE");
}

static void a_directory_postgres_may_not_enter_is_named(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    char *own = state_fresh();
    assert_int_equal(chmod(own, 0700), 0);
    pg_options o = options_for(own);
    refuses(&o, "pg_state", "pass through");
    state_drop(own);
}

static void a_relative_state_directory_is_refused(void **state) {
    (void)state;
    err e;
    assert_int_equal(setenv("GATE_ENGINE_STATE", "here", 1), 0);
    assert_null(pg_state_dir(&e));
    assert_int_equal(unsetenv("GATE_ENGINE_STATE"), 0);
    assert_string_equal(e.code, "pg_state");
}

static void postgresql_not_installed_is_named(void **state) {
    (void)state;
    assert_int_equal(setenv("GATE_ENGINE_PG_BIN", "/nonexistent", 1), 0);
    pg_options o = options_for(shared);
    refuses(&o, "pg_missing", "bin directory");
    assert_int_equal(unsetenv("GATE_ENGINE_PG_BIN"), 0);
}

static void long_directories_do_not_reach_the_sockets_limit(void **state) {
    (void)state;
    char *own = state_fresh(), runtime[PATH_MAX], deep[PATH_MAX];
    err e;
    snprintf(runtime, sizeof runtime, "%s/%0100d", own, 1);
    snprintf(deep, sizeof deep, "%s/%0150d", own, 2);
    assert_int_equal(fs_mkdirs(runtime, 0711, &e), 0);
    assert_int_equal(fs_mkdirs(deep, 0711, &e), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
    pg_server *s = acquire(deep);
    assert_true(strlen(pg_socket_dir(s)) < 90);
    answers(s, "select 1", "1");
    pg_release(s);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    state_drop(own);
}

static void a_path_nobody_could_use_is_refused(void **state) {
    (void)state;
    char path[PATH_MAX + 100];
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    pg_options o = options_for(path);
    refuses(&o, "pg_state", "shorter");
}

static void waiting_for_anothers_lock_can_be_interrupted(void **state) {
    (void)state;
    static volatile sig_atomic_t interrupted = 1;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/pg/lock", shared);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    pg_options o = options_for(shared);
    o.interrupted = &interrupted;
    refuses(&o, "pg_interrupted", NULL);
    close(fd);
    pg_release(acquire(shared));
}

/* A process which, as far as anybody can tell, is a server on that directory. */
static pid_t squat(const char *data) {
    char path[PATH_MAX], text[32];
    err e;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork_test();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (chdir(data) != 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], text, 1), 1);
    close(ready[0]);
    snprintf(path, sizeof path, "%s/postmaster.pid", data);
    int n = snprintf(text, sizeof text, "%d\n", (int)pid);
    assert_int_equal(fs_write_atomic(path, text, (size_t)n, 0600, &e), 0);
    return pid;
}

static void a_foreign_server_on_the_template_is_named_and_afterwards_it_is_made_anew(void **state) {
    (void)state;
    char *own = state_fresh(), root[1024], data[PATH_MAX];
    pg_release(acquire(own));
    snprintf(root, sizeof root, "%s/pg", own);
    data[0] = '\0';
    DIR *d = opendir(root);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));)
        if (strncmp(entry->d_name, "template-", 9) == 0)
            snprintf(data, sizeof data, "%s/%s/data", root, entry->d_name);
    closedir(d);
    pid_t squatter = squat(data);
    pg_options o = options_for(own);
    refuses(&o, "pg_foreign", "stop that server");
    kill_owner(squatter);
    pg_server *s = acquire(own);
    answers(s, "select count(*) from core.tenants", "0");
    pg_release(s);
    state_drop(own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_only_state_directory_is_named),
        cmocka_unit_test(a_full_state_directory_is_named),
        cmocka_unit_test(a_home_directory_that_is_not_there_is_named),
        cmocka_unit_test(a_plain_user_gets_a_server_too),
        cmocka_unit_test(a_file_where_the_state_directory_should_be_is_named),
        cmocka_unit_test(a_directory_postgres_may_not_enter_is_named),
        cmocka_unit_test(a_relative_state_directory_is_refused),
        cmocka_unit_test(postgresql_not_installed_is_named),
        cmocka_unit_test(long_directories_do_not_reach_the_sockets_limit),
        cmocka_unit_test(a_path_nobody_could_use_is_refused),
        cmocka_unit_test(waiting_for_anothers_lock_can_be_interrupted),
        cmocka_unit_test(a_foreign_server_on_the_template_is_named_and_afterwards_it_is_made_anew),
    };
    return cmocka_run_group_tests(tests, make_shared, drop_shared);
}
