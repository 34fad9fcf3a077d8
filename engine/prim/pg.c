/* pg.c: acquiring and releasing a server. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "prim/pg_internal.h"

#define TEMPLATE_TRIES 3
#define END_MS 5000

struct pg_server {
    pg_env env; /* without options or lock: the user and the root are what release needs */
    bool kept, scratch;
    char dir[PATH_MAX];
    char socket_dir[PG_SOCKET_DIR_MAX + 1];
    pg_child child;
    int owner_fd; /* holds the lock of <dir>/owner.lock: we live */
};

/* Leaves with the lock shared and the template there. */
static int lock_with_template(pg_env *env, err *e) {
    for (int i = 0; i < TEMPLATE_TRIES; i++) {
        int busy = pg_env_lock(env, LOCK_EX | LOCK_NB, e);
        if (busy < 0)
            return -1;
        /* Somebody is copying: when there is a template that is all we want as well, and the sweep can wait. */
        if (busy == 1 && !pg_template_exists(env) && pg_env_lock(env, LOCK_EX, e) != 0)
            return -1;
        if (busy == 0 || !pg_template_exists(env)) {
            pg_sweep(env);
            if (pg_template_make(env, e) != 0)
                return -1;
        }
        /* Turning exclusive into shared is not atomic (flock(2)): look again. */
        if (pg_env_lock(env, LOCK_SH, e) != 0)
            return -1;
        if (pg_template_exists(env))
            return 0;
    }
    return err_set(e, "pg_template", "the template in %s keeps vanishing", env->root);
}

static int own(pg_server *s, err *e) {
    char path[PATH_MAX];
    if (pg_path(path, e, "%s/owner.lock", s->dir) != 0)
        return -1;
    s->owner_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (s->owner_fd < 0 || flock(s->owner_fd, LOCK_EX | LOCK_NB) != 0) {
        err_errno(e, "pg_state", "cannot lock %s", path);
        return pg_state_error(&s->env, e);
    }
    return 0;
}

static int start_private(pg_env *env, pg_server *s, err *e) {
    char data[PATH_MAX];
    if (lock_with_template(env, e) != 0)
        return -1;
    if (pg_mkdir_fresh(env, "run", s->dir, e) != 0) {
        s->dir[0] = '\0';
        return -1;
    }
    if (own(s, e) != 0 || pg_path(data, e, "%s/data", s->dir) != 0 || pg_template_copy(env, data, true, e) != 0 ||
        pg_env_lock(env, LOCK_UN, e) != 0 || pg_socket_make(env, s->dir, s->socket_dir, e) != 0)
        return -1;
    pg_serve_args server = {.dir = s->dir, .socket_dir = s->socket_dir, .contained = s->scratch};
    if (pg_serve_spawn(env, &server, &s->child, e) != 0)
        return -1;
    return pg_serve_ready(env, &server, &s->child, e);
}

/* 1 = s is the kept server, 0 = there is none, -1. */
static int take_kept(pg_env *env, pg_server *s, err *e) {
    char path[PATH_MAX];
    pg_kept k;
    if (pg_path(path, e, "%s/kept", env->root) != 0)
        return -1;
    if (!env->o->keep && !fs_exists(path))
        return 0;
    if (pg_env_lock(env, LOCK_EX, e) != 0)
        return -1;
    int r = pg_kept_find(env, &k, e);
    if (r == 0 && env->o->keep) {
        pg_sweep(env);
        if (pg_template_make(env, e) != 0 || pg_kept_start(env, &k, NULL, e) != 0)
            return -1;
        r = 1;
    }
    if (r == 1) {
        s->kept = true;
        s->child.pid = k.pid;
        memcpy(s->socket_dir, k.socket_dir, sizeof s->socket_dir);
    }
    if (r >= 0 && pg_env_lock(env, LOCK_UN, e) != 0)
        return -1;
    return r;
}

int pg_acquire(const pg_options *o, pg_server **out, err *e) {
    pg_server *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_set(e, "out_of_memory", "out of memory");
    s->owner_fd = -1;
    s->child.pidfd = -1;
    pg_env env;
    int r = pg_env_open(&env, o, e);
    s->env = env;
    s->env.o = NULL;
    s->env.lock_fd = -1;
    s->scratch = o->scratch;
    if (r == 0) {
        int kept = o->scratch ? 0 : take_kept(&env, s, e);
        r = kept < 0 ? -1 : kept == 1 ? 0 : start_private(&env, s, e);
    }
    pg_env_close(&env);
    if (r != 0) {
        pg_release(s);
        return -1;
    }
    *out = s;
    return 0;
}

void pg_release(pg_server *s) {
    if (!s)
        return;
    if (!s->kept) {
        pg_child_end(&s->child, SIGQUIT, END_MS);
        if (s->dir[0])
            pg_remove_dir(&s->env, s->dir);
    }
    if (s->owner_fd >= 0)
        close(s->owner_fd);
    free(s);
}

const char *pg_socket_dir(const pg_server *s) {
    return s->socket_dir;
}

const char *pg_database(const pg_server *s) {
    return s->scratch ? PG_SCRATCH_DATABASE : PG_DATABASE;
}

int pg_port(const pg_server *s) {
    (void)s;
    return PG_PORT;
}

bool pg_is_kept(const pg_server *s) {
    return s->kept;
}

pid_t pg_pid(const pg_server *s) {
    return s->child.pid;
}
