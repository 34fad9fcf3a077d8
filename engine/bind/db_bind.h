/* db_bind.h: what the files of the db binding share. */
#ifndef GE_BIND_DB_BIND_H
#define GE_BIND_DB_BIND_H

#include <jansson.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "base/buf.h"
#include "prim/db.h"
#include "vm/luax.h"

#define DB_CONNECTION "gate.db.connection"
#define DB_DECIMAL "gate.decimal"
#define DB_PARAM "gate.db.param"
#define DB_SCRATCH "gate.db.scratch"
#define DB_BOX "gate.db.statement"

/* Behind a connection userdata. User value 1 holds the name of its role, or nil. */
typedef struct db_handle {
    db_conn *conn;       /* owned; NULL before and after */
    lua_State *user;     /* the coroutine whose operation is under way; only compared, never used */
    const void *tx_task; /* the task (or NULL, outside any) whose transaction is open; only compared */
    int depth;           /* of conn:transaction calls */
    bool tx_broken;      /* SQL inside ended the transaction behind conn:transaction's back */
    bool shield;         /* the operation is our own bookkeeping: it is not cancelled, and its failure is handed on */
    bool failed;         /* a shielded operation failed; the error is on top of the stack */
    bool cancelled;
    int mode; /* which of the statement methods */
} db_handle;

/* Memory owned by the Lua state across calls that may raise: create it first, then fill it. */
typedef struct db_scratch {
    buf text;
    json_t *json;
} db_scratch;

/* A statement with its parameters converted; user value 1 anchors their strings. */
typedef struct db_box {
    db_stmt stmt;
    Oid *types;
    const char **values;
    int *lengths;
    int *formats;
} db_box;

/* ---- db.c: operations. The connection is at stack index 1 throughout. */

/* Called when the operation has ended and the connection is free again; returns Lua results or starts the next one.
 * With `shield` it must look at h->failed. */
typedef int (*db_finish)(lua_State *L, db_handle *h);
/* The connection at index 1, open and free for this coroutine, else raises db_closed, db_lost, db_busy. [-0, +0, v] */
db_handle *db_enter(lua_State *L, const char *fn);
/* Waits for the operation under way, then `return done(L, h)`. May yield: `return db_drive(…)`. [-0, +?, v] */
int db_drive(lua_State *L, db_handle *h, db_finish done);
/* As db_drive for bookkeeping (BEGIN, COMMIT): see db_handle.shield. */
int db_drive_shielded(lua_State *L, db_handle *h, db_finish done);
/* Raises what a prim function reported, with the SQLSTATE if the server gave one. [-0, +0, v] */
int db_raise(lua_State *L, db_handle *h, const err *e);
db_scratch *db_new_scratch(lua_State *L); /* [-0, +1, m] */
/* Which task is running, NULL outside any; only to be compared. [-0, +0, -] */
const void *db_current_task(lua_State *L);

/* ---- db_value.c: conversions. */

void db_value_open(lua_State *L); /* classes; adds null, json, array, bytea to the table on top [-0, +0, m] */
/* The statement `sql_idx` with n parameters from index `first`, as a db_box. [-0, +1, v] */
db_box *db_new_box(lua_State *L, const char *fn, int sql_idx, int first, int n);
/* All rows as a list with fields n, columns and affected. [-0, +1, v] */
void db_push_rows(lua_State *L, const PGresult *res);
/* One row as {column = value}. [-0, +1, v] */
void db_push_row(lua_State *L, const PGresult *res, int row);
/* Column 0 of a row. [-0, +1, v] */
void db_push_first(lua_State *L, const PGresult *res, int row);
void db_push_affected(lua_State *L, const PGresult *res);        /* [-0, +1, -] */
const char *db_check_sql(lua_State *L, const char *fn, int idx); /* [-0, +0, v] */

/* ---- db_tls.c */

int db_m_tls(lua_State *L);

/* ---- db_error.c */

/* The server's error as a table. `sql` may be NULL. [-0, +1, m] */
void db_push_result_error(lua_State *L, db_handle *h, const PGresult *res, const char *sql);

/* ---- db_decimal.c */

void db_decimal_open(lua_State *L); /* [-0, +0, m] */
/* A numeric's text: integer or float where exactly that, else gate.decimal. [-0, +1, m] */
void db_push_numeric(lua_State *L, const char *text);
/* The exact text if the value is a gate.decimal, else NULL. [-0, +0, -] */
const char *db_decimal_text(lua_State *L, int idx);

/* ---- db_query.c, db_tx.c, db_copy.c: methods. [-n, +?, v] */

int db_m_query(lua_State *L);
int db_m_row(lua_State *L);
int db_m_value(lua_State *L);
int db_m_exec(lua_State *L);
int db_m_try(lua_State *L);
int db_m_script(lua_State *L);
int db_m_pipeline(lua_State *L);
int db_m_transaction(lua_State *L);
int db_m_copy_out(lua_State *L);
int db_m_copy_in(lua_State *L);
int db_m_reset_session(lua_State *L);
/* Raises when an own statement has ended the transaction that conn:transaction holds open. [-0, +0, v] */
void db_check_transaction(lua_State *L, db_handle *h);

#endif
