/* pg_support.h: what the tests of the embedded PostgreSQL share. Run from the top of the tree, as root or as a plain
 * user. */
#ifndef GE_TESTS_PG_SUPPORT_H
#define GE_TESTS_PG_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "prim/pg.h"

#define MIGRATIONS "stdlib/platform/migrations"

/* A fresh state directory, which the user postgres may pass through. Free the text; state_drop removes both. */
static inline char *state_fresh(void) {
    char *path = strdup("/tmp/gate-pg-test-XXXXXX");
    assert_non_null(path);
    assert_non_null(mkdtemp(path));
    assert_int_equal(chmod(path, 0711), 0);
    return path;
}

static inline void state_drop(char *path) {
    err e;
    if (fs_remove_tree(path, &e) != 0)
        fail_msg("%s", e.message);
    free(path);
}

static inline pg_options options_for(const char *state) {
    return (pg_options){.migrations_dir = MIGRATIONS, .state_dir = state};
}

static inline pg_server *acquire(const char *state) {
    pg_options o = options_for(state);
    pg_server *s = NULL;
    err e;
    if (pg_acquire(&o, &s, &e) != 0)
        fail_msg("%s: %s (%s)", e.code, e.message, e.detail);
    return s;
}

/* Acquiring must fail with this code, and say how to mend it. */
static inline void refuses(const pg_options *o, const char *code, const char *in_fix) {
    pg_server *s = NULL;
    err e;
    assert_int_equal(pg_acquire(o, &s, &e), -1);
    assert_null(s);
    if (strcmp(e.code, code) != 0)
        fail_msg("expected %s, got %s: %s (%s)", code, e.code, e.message, e.detail);
    if (in_fix && !strstr(e.fix, in_fix))
        fail_msg("expected \"%s\" in the fix of %s: \"%s\"", in_fix, e.code, e.fix);
}

/* The first value of a statement's result, as text in fresh memory; NULL when it fails. */
static inline char *ask(const pg_server *s, const char *sql) {
    char dsn[256], *text = NULL;
    snprintf(dsn, sizeof dsn, "host=%s port=%d dbname=%s user=postgres", pg_socket_dir(s), pg_port(s), pg_database(s));
    PGconn *c = PQconnectdb(dsn);
    if (PQstatus(c) == CONNECTION_OK) {
        PGresult *r = PQexec(c, sql);
        if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0)
            text = strdup(PQgetvalue(r, 0, 0));
        else if (PQresultStatus(r) == PGRES_COMMAND_OK)
            text = strdup("");
        PQclear(r);
    }
    PQfinish(c);
    return text;
}

static inline void answers(const pg_server *s, const char *sql, const char *expected) {
    char *text = ask(s, sql);
    if (!text || strcmp(text, expected) != 0)
        fail_msg("%s: expected \"%s\", got \"%s\"", sql, expected, text ? text : "(failed)");
    free(text);
}

static inline int pidfd_of(pid_t pid) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(fd >= 0);
    return fd;
}

/* Waits for a process's end, for as long as the design allows: 5 s. */
static inline bool ends(int pidfd) {
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 5000) == 1;
}

static inline int open_descriptors(void) {
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* How many entries of <state>/pg begin with prefix. */
static inline int entries(const char *state, const char *prefix) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/pg", state);
    DIR *d = opendir(path);
    int n = 0;
    if (!d)
        return 0;
    for (struct dirent *entry; (entry = readdir(d));)
        n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(d);
    return n;
}

/* A child of the test that does not outlive it, should the test fail. */
static inline pid_t fork_test(void) {
    pid_t pid = fork();
    if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(1);
    return pid;
}

/* What a child that acquired a server tells its parent. */
typedef struct told {
    pid_t server;
    char socket_dir[108];
} told;

/* Forks an owner that acquires a server, tells about it and then waits to be killed. */
static inline pid_t owner_fork(const char *state, told *t) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork_test();
    assert_true(pid >= 0);
    if (pid == 0) {
        pg_options o = options_for(state);
        pg_server *s;
        err e;
        told mine = {0};
        if (pg_acquire(&o, &s, &e) != 0)
            _exit(1);
        mine.server = pg_pid(s);
        snprintf(mine.socket_dir, sizeof mine.socket_dir, "%s", pg_socket_dir(s));
        if (fs_write_all(pipes[1], &mine, sizeof mine) != 0)
            _exit(2);
        for (;;)
            pause();
    }
    close(pipes[1]);
    assert_int_equal(read(pipes[0], t, sizeof *t), sizeof *t);
    close(pipes[0]);
    return pid;
}

static inline void kill_owner(pid_t pid) {
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#endif
