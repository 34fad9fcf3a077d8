/* db.h: PostgreSQL over libpq's non-blocking interface. No Lua, no waiting: a caller starts an activity, then calls
 * db_step, waits for what db_fd, db_events and db_deadline say, and calls db_step again until it is not DB_WAIT.
 *
 * One activity at a time per connection: connecting, a pipeline of statements, a script, a copy. Statements always run
 * in libpq's pipeline mode (PostgreSQL 15 manual, 34.5), so that a savepoint or a read-only guard around a statement
 * costs no round trip of its own. Errors of the server are results (db_result); DB_FAILED means the connection. */
#ifndef GE_PRIM_DB_H
#define GE_PRIM_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "prim/certificate.h"

typedef struct db_conn db_conn;

typedef struct db_setting {
    const char *name;
    const char *value;
} db_setting;

/* NULL = not given. All strings are the caller's and only read by db_connect. */
typedef struct db_params {
    const char *url; /* URI or keyword/value string; what else is given here wins over it */
    const char *host;
    const char *hostaddr;
    const char *port;
    const char *dbname;
    const char *user;
    const char *password;
    const char *application_name;
    const db_setting *settings; /* server settings of the session, its reset values too */
    size_t n_settings;
    int statement_timeout_ms; /* 0 = the server's */
    int connect_timeout_ms;   /* over all addresses; > 0 */
    bool readonly;
    bool rollback; /* see db_rolls_back */
    bool
        only_tls; /* no further than TLS, whose certificate is not verified: no credential is sent, no session begins */
} db_params;

/* A statement. The four arrays have n entries, or are NULL with n = 0, as PQsendQueryParams takes them. */
typedef struct db_stmt {
    const char *sql;
    int n;
    const Oid *types;
    const char *const *values;
    const int *lengths;
    const int *formats;
} db_stmt;

typedef struct db_tls {
    bool used;
    char mode[16]; /* sslmode */
    char protocol[16];
    char cipher[64];
    char address[64]; /* of the server; "" over a socket's path */
    certificate certificate;
} db_tls;

typedef enum { DB_DONE, DB_WAIT, DB_FAILED } db_progress;
typedef enum { DB_STMT_OWN /* its result is kept */, DB_STMT_GUARD /* only its error is */ } db_kind;

typedef struct db_notice {
    char severity[16];
    char sqlstate[6];
    char *message; /* owned; never NULL */
    char *detail;  /* owned; may be NULL */
    char *hint;    /* owned; may be NULL */
} db_notice;

/* Starts connecting. The caller owns what it gets (db_close). NULL: *e has db_connect (a URL that does not parse, out
 * of memory); no text of it holds the password. Resolving a host name blocks: give hostaddr where that matters. */
db_conn *db_connect(const db_params *p, err *e);
/* Ends the connection and frees it with everything it owns; NULL is allowed. */
void db_close(db_conn *c);

/* Advances what is under way. DB_FAILED: *e has db_connect, db_auth (while connecting), db_lost or db_timeout; the
 * connection is then of no more use. */
db_progress db_step(db_conn *c, err *e);
int db_fd(const db_conn *c);
short db_events(const db_conn *c);           /* poll bits */
int db_timeout_ms(const db_conn *c);         /* until the activity's deadline; -1 = none */
bool db_active(const db_conn *c);            /* something is under way */
bool db_is_open(const db_conn *c);           /* connected and not lost */
const char *db_lost_state(const db_conn *c); /* SQLSTATE with which the server ended the session; may be "" */

/* A pipeline: begin, add and sync as often as wanted (the last call is a sync), step. A failing statement skips those
 * behind it up to the next sync. Each returns 0, or -1 with db_closed, db_lost or db_query. */
int db_begin(db_conn *c, err *e);
int db_add(db_conn *c, db_kind kind, const db_stmt *s, err *e);
int db_sync(db_conn *c, err *e);
/* Several statements in one string, simple protocol. A COPY inside it is refused. */
int db_script(db_conn *c, const char *sql, err *e);
/* COPY … TO STDOUT: the data is in db_copied afterwards, at most `limit` bytes. */
int db_copy_out(db_conn *c, const char *sql, size_t limit, err *e);
/* COPY … FROM STDIN: data stays the caller's and must live until the activity is over. */
int db_copy_in(db_conn *c, const char *sql, const char *data, size_t len, err *e);

/* Results of the last activity, owned by the connection, gone with the next one: the i-th of n own statements. A result
 * may be PGRES_PIPELINE_ABORTED: not run, because a statement before it failed (db_guard_error says which, if it was a
 * guard). */
size_t db_n_results(const db_conn *c);
const PGresult *db_result(const db_conn *c, size_t i);
const PGresult *db_guard_error(const db_conn *c);
const buf *db_copied(const db_conn *c);
void db_clear(db_conn *c); /* frees the results now */
/* Did an own statement of the last activity end or begin a transaction (COMMIT, BEGIN, START TRANSACTION, PREPARE
 * TRANSACTION)? */
bool db_saw_transaction_end(const db_conn *c);

/* Did a script hold a COPY … TO STDOUT? Its rows were thrown away. (A COPY … FROM STDIN fails by itself.) */
bool db_copy_misplaced(const db_conn *c);

/* Asks the server to stop the statement under way (PQcancel: blocks for one round trip); step on until the activity is
 * over. 0, or -1 when the request could not be sent. */
int db_cancel(db_conn *c);

/* Nobody will finish what is under way, and data of a COPY may be gone: nothing of it is read any more. Asks the server
 * to stop; step on until the activity is over. */
void db_abandon(db_conn *c);

PGTransactionStatusType db_tx_status(const db_conn *c);
const char *db_parameter(const db_conn *c, const char *name); /* reported by the server, or NULL */
int db_backend_pid(const db_conn *c);
/* What TLS it has: of a connection that is open, or that was made with only_tls. */
void db_tls_of(const db_conn *c, db_tls *out);
bool db_readonly(const db_conn *c);
/* Was the connection opened so that nothing done on it stays? The binding sees to it: outside of a transaction a
 * statement can only read, and a transaction ends with ROLLBACK. */
bool db_rolls_back(const db_conn *c);

/* Notices since the last db_forget_notices, the first DB_NOTICES_MAX of them; *dropped counts the rest. */
#define DB_NOTICES_MAX 1000
const db_notice *db_notices(const db_conn *c, size_t *n, size_t *dropped);
void db_forget_notices(db_conn *c);

/* Appends text with the connection's password replaced by "***". Returns 0 / -1. */
int db_mask(const db_conn *c, buf *out, const char *text);
/* The engine's name for a SQLSTATE (PostgreSQL manual, appendix A): db_permission, db_auth, db_timeout, db_lost,
 * db_aborted or db_query. */
const char *db_code(const char *sqlstate);
/* Is the first word COPY? It cannot run in a pipeline. Leading white space and comments are skipped. */
bool db_is_copy(const char *sql);
/* Does the statement begin or end a transaction (BEGIN, START, COMMIT, END, ABORT, ROLLBACK but not ROLLBACK TO,
 * PREPARE TRANSACTION)? Looks at the first words; of a single statement that is all there is to see. */
bool db_is_tx_control(const char *sql);
/* Could one of the script's statements begin or end a transaction? Whatever stands behind a semicolon counts as the
 * beginning of one, in quotes too: it may say yes of a script that holds none, and never no of one that does. */
bool db_may_control_tx(const char *script);
/* SET or RESET: nothing else can come of it than a setting of the session. */
bool db_is_setting(const char *sql);

#endif
