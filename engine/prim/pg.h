/* pg.h: the embedded platform's PostgreSQL (design §5): found, made, started and removed by the supervisor. No libpq.
 *
 * A template (initdb and the migrations) is made once for each set of migrations and server build. Each run gets a
 * private copy of it, with a server of its own on a unix socket in a private directory; the server dies with the
 * process that acquired it, also by SIGKILL, and its files are removed on release, or by the next acquire when nobody
 * was left to. `platform start` keeps one server instead: while it lives every acquire returns it.
 *
 *   <state>/pg/lock           shared while copying or creating, exclusive while the template is made or garbage removed
 *   <state>/pg/template-KEY/  data/, version          moved here complete or not at all
 *   <state>/pg/tmp-XXXXXX/    something half-made: garbage once nobody holds the lock
 *   <state>/pg/run-XXXXXX/    data/, log, socket, owner.lock (held by the living owner)
 *   <state>/pg/kept/          data/, log, and kept.json beside it
 *
 * <state> is $GATE_ENGINE_STATE, else /var/lib/gate-engine as root, else $XDG_STATE_HOME/gate-engine, else
 * ~/.local/state/gate-engine. As root everything that PostgreSQL runs or owns belongs to the user `postgres`.
 *
 * A private server trades durability for speed (fsync off): its data dies with it. A kept one has fsync on and
 * synchronous_commit off: a crash of the machine costs its last moments and never its consistency.
 *
 * A scratch server is private in every case, has an empty database and nothing of the platform, and runs foreign SQL:
 * Landlock keeps it to its own directories, away from TCP, and from every program but itself (ring.h, RING_SERVER).
 *
 * The calling process must not reap children it did not start (no waitpid(-1)): a server is a child of it. */
#ifndef GE_PRIM_PG_H
#define GE_PRIM_PG_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define PG_DATABASE "platform"
#define PG_SUPERUSER "postgres"
#define PG_PORT 5432
#define PG_SCRATCH_DATABASE "scratch"
/* No role of a user's schema: "postgres" often is one, and gate_engine is the one that `init` writes. */
#define PG_SCRATCH_SUPERUSER "gate_engine_scratch"

typedef struct pg_options {
    const char *migrations_dir;               /* *.sql, applied in the order of their names */
    const char *state_dir;                    /* NULL = the default above */
    bool keep;                                /* start a kept server (or return the one there is) */
    bool scratch;                             /* a scratch server; no migrations, and keep has no meaning */
    const volatile sig_atomic_t *interrupted; /* looked at while waiting; NULL = never */
    int64_t deadline;                         /* of waiting, on clock_ms; 0 = none */
} pg_options;

typedef struct pg_server pg_server;

/* The kept server if one lives, else a private copy for this process, ready for connections. *out is owned by the
 * caller: pg_release it. Returns 0, or -1 with nothing left behind. Errors:
 *   pg_missing       PostgreSQL is not installed            pg_user        as root: there is no user postgres
 *   pg_state         the state directory cannot be used     pg_state_full  its file system is full
 *   pg_socket        no place for the socket                pg_foreign     another server runs on our directory
 *   pg_template      initdb failed                          pg_migration   a migration failed
 *   pg_start         the server did not come up             pg_interrupted *interrupted was set
 *   pg_timeout       the deadline passed */
int pg_acquire(const pg_options *o, pg_server **out, err *e);
/* Private: stops the server and removes its files, within some seconds. Kept: only frees s. NULL is fine. */
void pg_release(pg_server *s);

/* All owned by s. */
const char *pg_socket_dir(const pg_server *s); /* absolute directory: libpq's host */
const char *pg_database(const pg_server *s);
int pg_port(const pg_server *s);
bool pg_is_kept(const pg_server *s);
pid_t pg_pid(const pg_server *s);

/* The kept server, as `platform status` shows it. */
typedef struct pg_kept_status {
    bool running;
    pid_t pid;
    char socket_dir[108];
    char version[64];    /* as `postgres --version` ends, e.g. "15.14 (Debian 15.14-0+deb12u1)" */
    bool other_template; /* it was made from other migrations than these */
} pg_kept_status;

int pg_kept_look(const pg_options *o, pg_kept_status *st, err *e);
/* Stops and removes the kept server. Returns 1 when there was one, 0 when there was none, -1. */
int pg_kept_stop(const pg_options *o, err *e);
/* Gives the kept server a fresh copy of the template, on the same socket. Returns as pg_kept_stop. */
int pg_kept_reset(const pg_options *o, err *e);

/* Where the state is: fresh memory (free it), or NULL: pg_state, out_of_memory. Nothing is created. */
char *pg_state_dir(err *e);
/* The directory of the newest installed server's programs, into out. Errors: pg_missing. */
int pg_find_bin(char *out, size_t cap, err *e);

#endif
