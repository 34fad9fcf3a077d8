/* db_conn.h: what the parts of prim/db share. Only they include it. */
#ifndef GE_PRIM_DB_CONN_H
#define GE_PRIM_DB_CONN_H

#include "prim/db.h"

typedef enum { ACT_NONE, ACT_CONNECT, ACT_PIPELINE, ACT_PLAIN } activity;
typedef enum { PLAIN_SCRIPT, PLAIN_COPY_OUT, PLAIN_COPY_IN } plain_kind;
typedef enum { COPY_NONE, COPY_READING, COPY_WRITING } copy_phase;
enum { STEP_OWN, STEP_GUARD, STEP_SYNC };

struct db_conn {
    PGconn *pg;
    activity act;
    bool up;   /* connecting has succeeded */
    bool lost; /* and the connection has gone since */
    bool readonly;
    bool rolls_back;
    bool only_tls;
    short events;
    int64_t deadline; /* monotonic ms, -1 = none */
    int statement_timeout_ms;
    int connect_timeout_ms;
    char lost_state[6]; /* the server's last words, when it ended the session */
    char lost_why[256];

    unsigned char *steps; /* of the pipeline, in order */
    size_t n_steps, cap_steps, at;
    size_t own_sent;
    PGresult **results; /* one slot per own statement */
    size_t n_results, cap_results;
    PGresult *guard_error; /* the first one */
    bool tx_end;
    bool answered;  /* the statement at `at` has a result */
    bool abandoned; /* nobody waits for what the statement under way gives */

    plain_kind plain;
    copy_phase copying;
    bool copy_misplaced;
    buf copied;
    const char *copy_data;
    size_t copy_len, copy_sent;

    db_notice *notices;
    size_t n_notices, dropped_notices;

    char *password; /* for db_mask, wiped by db_close */
    char *url_password;
};

/* Marks the connection lost and says why: db_lost with libpq's (masked) words. Returns DB_FAILED. */
db_progress db_set_lost(db_conn *c, err *e);
/* Did libpq lack memory for something? It says so in its error text alone. Then it is noted (base/mem.h). */
bool db_note_memory(const db_conn *c);
/* 0 when an activity may start, with the old results cleared. */
int db_ready(db_conn *c, err *e);
/* Keeps a result of an own statement (takes it over) and looks at its command tag. */
int db_keep(db_conn *c, PGresult *res, err *e);
/* Sets the deadline for n statements: statement_timeout plus a margin in which the server answers by itself. */
void db_set_deadline(db_conn *c, size_t n);
/* While connecting: has all been seen that there is to see of its TLS? */
bool db_tls_looked(const db_conn *c);
db_progress db_step_connect(db_conn *c, err *e);
db_progress db_step_plain(db_conn *c, err *e);
db_progress db_step_pipeline(db_conn *c, err *e);

#endif
