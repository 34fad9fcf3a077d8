/* The embedded PostgreSQL that is kept between runs. */
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
    err e;
    pg_options o = options_for(shared);
    if (pg_kept_stop(&o, &e) < 0)
        return -1;
    state_drop(shared);
    return 0;
}

static int stop_kept(void **state) {
    (void)state;
    err e;
    pg_options o = options_for(shared);
    return pg_kept_stop(&o, &e) < 0 ? -1 : 0;
}

static pg_server *keep(void) {
    pg_options o = options_for(shared);
    pg_server *s = NULL;
    err e;
    o.keep = true;
    if (pg_acquire(&o, &s, &e) != 0)
        fail_msg("%s: %s (%s)", e.code, e.message, e.detail);
    assert_true(pg_is_kept(s));
    return s;
}

static pg_kept_status look(void) {
    pg_options o = options_for(shared);
    pg_kept_status st;
    err e;
    if (pg_kept_look(&o, &st, &e) != 0)
        fail_msg("%s: %s", e.code, e.message);
    return st;
}

static void a_kept_server_serves_every_acquire_until_it_is_stopped(void **state) {
    (void)state;
    assert_false(look().running);
    pg_server *s = keep();
    pid_t pid = pg_pid(s);
    answers(s, "create table public.stays (id int)", "");
    pg_release(s);
    s = acquire(shared);
    assert_true(pg_is_kept(s));
    assert_int_equal(pg_pid(s), pid);
    answers(s, "select to_regclass('public.stays') is null", "f");
    answers(s, "show fsync", "on");
    pg_release(s);
    pg_kept_status st = look();
    assert_true(st.running);
    assert_int_equal(st.pid, pid);
    assert_false(st.other_template);

    int pidfd = pidfd_of(pid);
    pg_options o = options_for(shared);
    err e;
    assert_int_equal(pg_kept_stop(&o, &e), 1);
    assert_true(ends(pidfd));
    close(pidfd);
    assert_false(fs_exists(st.socket_dir));
    assert_int_equal(entries(shared, "kept"), 0);
    assert_int_equal(pg_kept_stop(&o, &e), 0);
    s = acquire(shared);
    assert_false(pg_is_kept(s));
    pg_release(s);
}

static void keeping_twice_keeps_the_first(void **state) {
    (void)state;
    pg_server *a = keep(), *b = keep();
    assert_int_equal(pg_pid(a), pg_pid(b));
    pg_release(a);
    pg_release(b);
}

static void a_kept_server_outlives_whoever_started_it(void **state) {
    (void)state;
    pid_t pid = fork_test();
    assert_true(pid >= 0);
    if (pid == 0) {
        pg_options o = options_for(shared);
        pg_server *s;
        err e;
        o.keep = true;
        if (pg_acquire(&o, &s, &e) != 0)
            _exit(1);
        for (;;)
            pause();
    }
    while (!look().running)
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    kill_owner(pid);
    pg_server *s = acquire(shared);
    assert_true(pg_is_kept(s));
    answers(s, "select 1", "1");
    pg_release(s);
}

static void reset_restores_the_first_state_on_the_same_socket(void **state) {
    (void)state;
    pg_server *s = keep();
    char socket_dir[108];
    snprintf(socket_dir, sizeof socket_dir, "%s", pg_socket_dir(s));
    answers(s, "drop policy tenant_isolation on public.assignments", "");
    pg_release(s);
    pg_options o = options_for(shared);
    err e;
    assert_int_equal(pg_kept_reset(&o, &e), 1);
    s = acquire(shared);
    assert_true(pg_is_kept(s));
    assert_string_equal(pg_socket_dir(s), socket_dir);
    answers(s, "select count(*) from pg_policies where tablename = 'assignments'", "1");
    pg_release(s);
    assert_int_equal(pg_kept_stop(&o, &e), 1);
    assert_int_equal(pg_kept_reset(&o, &e), 0);
}

static void a_dead_kept_server_is_removed_and_a_private_one_serves(void **state) {
    (void)state;
    pg_server *s = keep();
    pid_t pid = pg_pid(s);
    char socket_dir[108];
    snprintf(socket_dir, sizeof socket_dir, "%s", pg_socket_dir(s));
    pg_release(s);
    int pidfd = pidfd_of(pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(ends(pidfd));
    close(pidfd);
    s = acquire(shared);
    assert_false(pg_is_kept(s));
    answers(s, "select 1", "1");
    pg_release(s);
    assert_int_equal(entries(shared, "kept"), 0);
    assert_false(fs_exists(socket_dir));
}

/* The record names a living process that is not the server: this test itself. */
static void a_reused_process_id_is_not_mistaken_for_the_server(void **state) {
    (void)state;
    pg_server *s = keep();
    int pidfd = pidfd_of(pg_pid(s));
    char path[PATH_MAX], text[1024], old[32], new[32];
    err e;
    buf record = BUF_INIT;
    assert_int_equal(kill(pg_pid(s), SIGKILL), 0);
    assert_true(ends(pidfd));
    close(pidfd);
    snprintf(path, sizeof path, "%s/pg/kept.json", shared);
    assert_int_equal(fs_read(path, 4096, &record, &e), 0);
    snprintf(old, sizeof old, "\"pid\": %d", (int)pg_pid(s));
    snprintf(new, sizeof new, "\"pid\": %d", (int)getpid());
    const char *at = strstr(buf_str(&record), old);
    assert_non_null(at);
    int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - record.data), record.data, new, at + strlen(old));
    assert_int_equal(fs_write_atomic(path, text, (size_t)n, 0600, &e), 0);
    buf_free(&record);
    pg_release(s);
    assert_false(look().running);
}

static void a_server_nobody_recorded_is_foreign_until_stopped(void **state) {
    (void)state;
    pg_server *s = keep();
    int pidfd = pidfd_of(pg_pid(s));
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/pg/kept.json", shared);
    assert_int_equal(unlink(path), 0);
    char socket_dir[108];
    snprintf(socket_dir, sizeof socket_dir, "%s", pg_socket_dir(s));
    pg_release(s);
    pg_options o = options_for(shared);
    refuses(&o, "pg_foreign", "platform stop");
    err e;
    assert_int_equal(pg_kept_stop(&o, &e), 1);
    assert_true(ends(pidfd));
    close(pidfd);
    assert_false(fs_exists(socket_dir));
    s = acquire(shared);
    assert_false(pg_is_kept(s));
    pg_release(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_kept_server_serves_every_acquire_until_it_is_stopped, stop_kept),
        cmocka_unit_test_teardown(keeping_twice_keeps_the_first, stop_kept),
        cmocka_unit_test_teardown(a_kept_server_outlives_whoever_started_it, stop_kept),
        cmocka_unit_test_teardown(reset_restores_the_first_state_on_the_same_socket, stop_kept),
        cmocka_unit_test_teardown(a_dead_kept_server_is_removed_and_a_private_one_serves, stop_kept),
        cmocka_unit_test_teardown(a_reused_process_id_is_not_mistaken_for_the_server, stop_kept),
        cmocka_unit_test_teardown(a_server_nobody_recorded_is_foreign_until_stopped, stop_kept),
    };
    return cmocka_run_group_tests(tests, make_shared, drop_shared);
}
