/* The embedded PostgreSQL: private servers, their template, and what a dead owner leaves. */
#include "pg_support.h"

static char *shared; /* a state directory whose template is made once for all tests */

static int make_shared(void **state) {
    (void)state;
    shared = state_fresh();
    return 0;
}

static int drop_shared(void **state) {
    (void)state;
    state_drop(shared);
    return 0;
}

static void a_server_holds_the_migrated_platform(void **state) {
    (void)state;
    pg_server *s = acquire(shared);
    assert_false(pg_is_kept(s));
    answers(s, "select current_database()", "platform");
    answers(s, "select count(*) > 10 from pg_policies where policyname = 'tenant_isolation'", "t");
    answers(s, "show listen_addresses", "");
    answers(s, "select rolsuper::text || rolbypassrls::text from pg_roles where rolname = 'app_user'", "falsefalse");
    pg_release(s);
}

static void the_server_never_runs_as_root(void **state) {
    (void)state;
    struct stat st;
    char path[64];
    pg_server *s = acquire(shared);
    snprintf(path, sizeof path, "/proc/%d", (int)pg_pid(s));
    assert_int_equal(stat(path, &st), 0);
    assert_int_not_equal(st.st_uid, 0);
    /* Nobody else can reach the socket. */
    assert_int_equal(stat(pg_socket_dir(s), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    pg_release(s);
}

static void release_leaves_no_process_no_file_no_descriptor(void **state) {
    (void)state;
    char socket_dir[108];
    pg_release(acquire(shared)); /* opens once what libraries keep open */
    int before = open_descriptors();
    pg_server *s = acquire(shared);
    int pidfd = pidfd_of(pg_pid(s));
    snprintf(socket_dir, sizeof socket_dir, "%s", pg_socket_dir(s));
    assert_int_equal(entries(shared, "run-"), 1);
    pg_release(s);
    assert_true(ends(pidfd));
    close(pidfd);
    assert_int_equal(entries(shared, "run-"), 0);
    assert_false(fs_exists(socket_dir));
    assert_int_equal(open_descriptors(), before);
}

static void two_servers_at_once_never_meet(void **state) {
    (void)state;
    told other;
    pg_server *s = acquire(shared);
    pid_t owner = owner_fork(shared, &other);
    assert_string_not_equal(pg_socket_dir(s), other.socket_dir);
    assert_int_not_equal(pg_pid(s), other.server);
    pg_server *t = acquire(shared);
    answers(s, "create table public.only_here (id int)", "");
    answers(t, "select to_regclass('public.only_here') is null", "t");
    assert_int_equal(entries(shared, "run-"), 3);
    pg_release(t);
    answers(s, "select to_regclass('public.only_here') is null", "f");
    pg_release(s);
    kill_owner(owner);
}

static void a_killed_owner_leaves_no_server_and_the_next_one_sweeps(void **state) {
    (void)state;
    told t;
    pid_t owner = owner_fork(shared, &t);
    int pidfd = pidfd_of(t.server);
    kill_owner(owner);
    assert_true(ends(pidfd));
    close(pidfd);
    assert_true(fs_exists(t.socket_dir));
    pg_server *s = acquire(shared);
    assert_false(fs_exists(t.socket_dir));
    assert_int_equal(entries(shared, "run-"), 1);
    pg_release(s);
}

static void a_killed_server_does_not_hinder_release(void **state) {
    (void)state;
    pg_server *s = acquire(shared);
    assert_int_equal(kill(pg_pid(s), SIGKILL), 0);
    pg_release(s);
    assert_int_equal(entries(shared, "run-"), 0);
}

/* The template is made by a child that is killed as soon as something half-made is there. */
static void a_half_made_template_mends_itself(void **state) {
    (void)state;
    char *own = state_fresh(), path[PATH_MAX];
    pid_t pid = fork_test();
    assert_true(pid >= 0);
    if (pid == 0) {
        pg_options o = options_for(own);
        pg_server *s;
        err e;
        pg_acquire(&o, &s, &e);
        _exit(0);
    }
    while (entries(own, "tmp-") == 0)
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    kill_owner(pid);
    assert_int_equal(entries(own, "template-"), 0);
    assert_int_equal(entries(own, "tmp-"), 1);
    snprintf(path, sizeof path, "%s/pg/tmp-garbage", own);
    assert_int_equal(mkdir(path, 0700), 0);

    pg_server *s = acquire(own);
    answers(s, "select count(*) from core.tenants", "0");
    assert_int_equal(entries(own, "tmp-"), 0);
    assert_int_equal(entries(own, "template-"), 1);
    pg_release(s);
    state_drop(own);
}

/* Whoever has not died when the owner did holds a run directory's files open: the sweep ends it first. */
static void an_owner_killed_at_any_moment_leaves_nothing_that_stays(void **state) {
    (void)state;
    for (int ms = 0; ms < 100; ms += 9) {
        pid_t pid = fork_test();
        assert_true(pid >= 0);
        if (pid == 0) {
            pg_options o = options_for(shared);
            pg_server *s;
            err e;
            if (pg_acquire(&o, &s, &e) == 0)
                pg_release(s);
            _exit(0);
        }
        poll(NULL, 0, ms); /* a moment, whichever: nothing is asserted about it */
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    pg_server *s = acquire(shared);
    assert_int_equal(entries(shared, "run-"), 1);
    assert_int_equal(entries(shared, "tmp-"), 0);
    pg_release(s);
}

static void other_migrations_make_another_template(void **state) {
    (void)state;
    char *own = state_fresh(), path[PATH_MAX];
    err e;
    snprintf(path, sizeof path, "%s/one.sql", own);
    assert_int_equal(fs_write_atomic(path, "create table a (id int);", 24, 0600, &e), 0);
    pg_options o = {.migrations_dir = own, .state_dir = own};
    pg_server *s;
    assert_int_equal(pg_acquire(&o, &s, &e), 0);
    answers(s, "select to_regclass('a') is null", "f");
    pg_release(s);
    assert_int_equal(fs_write_atomic(path, "create table b (id int);", 24, 0600, &e), 0);
    assert_int_equal(pg_acquire(&o, &s, &e), 0);
    answers(s, "select to_regclass('a') is null", "t");
    pg_release(s);
    assert_int_equal(entries(own, "template-"), 2);
    state_drop(own);
}

static void a_wrong_migration_is_named_with_the_servers_words(void **state) {
    (void)state;
    char *own = state_fresh(), path[PATH_MAX];
    err e;
    snprintf(path, sizeof path, "%s/002_wrong.sql", own);
    assert_int_equal(fs_write_atomic(path, "select no_such_thing();", 23, 0600, &e), 0);
    pg_options o = {.migrations_dir = own, .state_dir = own};
    pg_server *s;
    assert_int_equal(pg_acquire(&o, &s, &e), -1);
    assert_string_equal(e.code, "pg_migration");
    assert_non_null(strstr(e.message, "002_wrong.sql"));
    assert_non_null(strstr(e.detail, "no_such_thing"));
    assert_int_equal(entries(own, "tmp-") + entries(own, "template-") + entries(own, "run-"), 0);
    state_drop(own);
}

static void no_migrations_are_an_error_and_not_an_empty_platform(void **state) {
    (void)state;
    char *own = state_fresh();
    pg_options o = {.migrations_dir = own, .state_dir = own};
    refuses(&o, "pg_migration", "install");
    state_drop(own);
}

static void an_interruption_ends_the_waiting_and_leaves_nothing(void **state) {
    (void)state;
    static volatile sig_atomic_t interrupted = 1;
    char *own = state_fresh();
    pg_options o = {.migrations_dir = MIGRATIONS, .state_dir = own, .interrupted = &interrupted};
    refuses(&o, "pg_interrupted", NULL);
    assert_int_equal(entries(own, "tmp-") + entries(own, "template-") + entries(own, "run-"), 0);
    state_drop(own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_holds_the_migrated_platform),
        cmocka_unit_test(the_server_never_runs_as_root),
        cmocka_unit_test(release_leaves_no_process_no_file_no_descriptor),
        cmocka_unit_test(two_servers_at_once_never_meet),
        cmocka_unit_test(a_killed_owner_leaves_no_server_and_the_next_one_sweeps),
        cmocka_unit_test(a_killed_server_does_not_hinder_release),
        cmocka_unit_test(a_half_made_template_mends_itself),
        cmocka_unit_test(an_owner_killed_at_any_moment_leaves_nothing_that_stays),
        cmocka_unit_test(other_migrations_make_another_template),
        cmocka_unit_test(a_wrong_migration_is_named_with_the_servers_words),
        cmocka_unit_test(no_migrations_are_an_error_and_not_an_empty_platform),
        cmocka_unit_test(an_interruption_ends_the_waiting_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_shared, drop_shared);
}
