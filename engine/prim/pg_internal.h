/* pg_internal.h: what the parts of prim/pg share. */
#ifndef GE_PRIM_PG_INTERNAL_H
#define GE_PRIM_PG_INTERNAL_H

#include <limits.h>
#include <stdint.h>

#include "prim/pg.h"
#include "prim/ring.h"

#define PG_SOCKET_DIR_MAX 90 /* + "/.s.PGSQL.5432.lock" stays within sun_path's 107 bytes (unix(7)) */

/* Where everything is and as whom it runs; filled by pg_env_open. */
typedef struct pg_env {
    const pg_options *o;
    char bin[PATH_MAX];  /* PostgreSQL's programs */
    char root[PATH_MAX]; /* <state>/pg */
    char key[40];        /* of the template */
    bool switch_user;    /* we are root: PostgreSQL runs as uid, gid, user */
    uid_t uid;
    gid_t gid;
    char user[64];
    int lock_fd; /* of <state>/pg/lock, -1 = not open */
} pg_env;

/* pg_env.c: state directory, programs, user, template key, lock. */
int pg_env_open(pg_env *env, const pg_options *o, err *e);
void pg_env_close(pg_env *env);
/* LOCK_SH, LOCK_EX or LOCK_UN of flock(2); waits unless LOCK_NB is added (then 1 = somebody else has it). */
int pg_env_lock(pg_env *env, int operation, err *e);
bool pg_env_interrupted(const pg_env *env); /* or the deadline has passed */
int pg_interrupted_error(const pg_env *env, err *e);
/* snprintf of a path; -1 with pg_state when it does not fit. */
int pg_path(char out[PATH_MAX], err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Gives an error of fs_* on the state directory its code and fix: full, read-only, no rights. Returns -1. */
int pg_state_error(const pg_env *env, err *e);
/* A directory, mode 0700, that belongs to the user PostgreSQL runs as. */
int pg_mkdir_owned(const pg_env *env, const char *path, err *e);
/* A fresh directory <root>/<prefix>-XXXXXX (0711 as root, else 0700), into out. */
int pg_mkdir_fresh(const pg_env *env, const char *prefix, char out[PATH_MAX], err *e);

/* pg_spawn.c: programs of PostgreSQL. */
typedef struct pg_child {
    pid_t pid; /* 0 = none */
    int pidfd; /* -1 where the kernel has none */
    bool ours; /* our child: we reap it */
} pg_child;

typedef struct pg_spawn_args {
    const char *const *argv; /* argv[0] is a name in env->bin */
    const char *cwd;
    int stdin_fd;           /* -1 = /dev/null */
    int out_fd;             /* standard output and error */
    int death_signal;       /* sent to it when we die; 0 = none */
    bool daemon;            /* not our child: it outlives us */
    const ring_path *paths; /* what it may read and write, and nothing else (RING_SERVER); NULL: it is not contained */
    size_t npaths;
} pg_spawn_args;

int pg_spawn(const pg_env *env, const pg_spawn_args *a, pg_child *out, err *e);
/* Waits for its end: 1 = ended (*status as waitpid's where it is our child), 0 = time is up, -1 = interrupted. */
int pg_child_wait(pg_child *c, const pg_env *env, int timeout_ms, int *status);
/* Also returns after timeout_ms (1 = readable) when extra_fd has something to read; see pg_child_wait. */
int pg_child_poll(const pg_child *c, int extra_fd, int timeout_ms);
void pg_child_signal(const pg_child *c, int sig);
/* Signals first, waits grace_ms, then kills. Never interrupted. c is empty afterwards. */
void pg_child_end(pg_child *c, int first, int grace_ms);
/* A process that is no child of ours, by its id. -1 when it is gone. */
int pg_child_adopt(pg_child *c, pid_t pid);
/* Runs a program to its end. 0 = exit 0, 1 = failed, -1 = interrupted or not started (*e set). */
int pg_run(const pg_env *env, const char *const *argv, const char *cwd, int stdin_fd, int out_fd, err *e);
/* Start time of a process in clock ticks since boot (proc(5), stat field 22), 0 when it is not there or a zombie. */
unsigned long long pg_start_time(pid_t pid);
/* The process runs in this directory (a server's working directory is its data directory)? */
bool pg_runs_in(pid_t pid, const char *dir);
/* The log holds these words? */
bool pg_log_says(const char *path, const char *words);
/* What a log file says of the failure, as an error's detail. */
void pg_log_tail(const char *path, err *e);

/* pg_serve.c: one server on one data directory. */
typedef struct pg_serve_args {
    const char *dir; /* holds data/ and log */
    const char *socket_dir;
    bool durable; /* fsync and full_page_writes on */
    bool daemon;
    bool contained; /* it is to run foreign SQL */
} pg_serve_args;

/* First line of data/postmaster.pid: the server's process; 0 when there is no such file. *ready, *shmid may be NULL. */
pid_t pg_postmaster(const char *dir, bool *ready, int *shmid);
/* Starts the server; it is not ready yet. */
int pg_serve_spawn(const pg_env *env, const pg_serve_args *a, pg_child *out, err *e);
/* Waits until it takes connections. On failure the child is ended. */
int pg_serve_ready(const pg_env *env, const pg_serve_args *a, pg_child *c, err *e);
/* Ends whatever server runs on dir/data and removes what only it would have removed (its shared memory segment). */
void pg_serve_clear(const char *dir);
/* A fresh private directory for the socket into out. Its name stands in dir/socket before it is made, so that whoever
 * removes dir (pg_remove_dir) finds it, whenever we die. */
int pg_socket_make(const pg_env *env, const char *dir, char out[PG_SOCKET_DIR_MAX + 1], err *e);
/* The same directory as before. */
int pg_socket_again(const pg_env *env, const char *dir, const char *socket_dir, err *e);
void pg_socket_remove(const pg_env *env, const char *socket_dir);
/* Something accepts connections there? */
bool pg_socket_answers(const char *socket_dir);

/* pg_template.c */
/* Makes sure the template is there. The lock is held exclusively. */
int pg_template_make(pg_env *env, err *e);
bool pg_template_exists(const pg_env *env);
/* Copies its data to `to` (which must not exist). The lock is held. linked: databases that are never written to are
 * hard links, which spares most of the copying; for servers whose data nobody is going to keep. */
int pg_template_copy(const pg_env *env, const char *to, bool linked, err *e);
/* The server's version text as of its making. */
void pg_template_version(const pg_env *env, char *out, size_t cap);
/* Ends what runs in a run's or half-made directory, removes it and its socket's. */
void pg_remove_dir(const pg_env *env, const char *dir);
/* Removes half-made directories and the runs of dead processes. The lock is held exclusively. */
void pg_sweep(pg_env *env);

/* pg_kept.c */
typedef struct pg_kept {
    pid_t pid;
    unsigned long long start_time;
    char boot_id[40];
    char socket_dir[PG_SOCKET_DIR_MAX + 1];
    char version[64];
    char key[40];
} pg_kept;

/* 1 = a kept server lives (*k filled), 0 = none (a dead one's remains are removed, the lock being held exclusively by
 * us for that), -1. */
int pg_kept_find(pg_env *env, pg_kept *k, err *e);
/* Starts one; the template is there, the lock is held exclusively. */
int pg_kept_start(pg_env *env, pg_kept *k, const char *socket_dir, err *e);

#endif
