/* Statements: query, row, value, exec, try, script, pipeline. */
#include <string.h>

#include "bind/db_bind.h"

enum { MODE_ROWS, MODE_ROW, MODE_VALUE, MODE_EXEC, MODE_TRY, MODE_PIPELINE, MODE_ATOMIC };

static const db_stmt BEGIN_READ_ONLY = {.sql = "BEGIN READ ONLY"};
/* Takes the transaction's snapshot: from then on the server refuses to make it read-write. */
static const db_stmt SNAPSHOT = {.sql = "SELECT 1"};
static const db_stmt COMMIT = {.sql = "COMMIT"};
static const db_stmt ROLLBACK = {.sql = "ROLLBACK"};
static const db_stmt SAVEPOINT = {.sql = "SAVEPOINT gate_try"};
static const db_stmt RELEASE = {.sql = "RELEASE SAVEPOINT gate_try"};
static const db_stmt ROLLBACK_TO = {.sql = "ROLLBACK TO SAVEPOINT gate_try"};

static int guard(db_conn *c, const db_stmt *s, err *e) {
    return db_add(c, DB_STMT_GUARD, s, e);
}

/* What stands before a statement on a read-only connection. Outside a transaction it gets one of its own, as it does on
 * one that rolls back; inside, the snapshot is taken again, since ROLLBACK AND CHAIN may have begun a new transaction
 * without one. In a failed transaction a guard would fail too and the statement, a ROLLBACK TO at best, never run. */
static int guard_readonly(db_conn *c, PGTransactionStatusType tx, err *e) {
    if (!(db_readonly(c) || (db_rolls_back(c) && tx == PQTRANS_IDLE)) || tx == PQTRANS_INERROR) {
        return 0;
    }
    if (tx == PQTRANS_IDLE && guard(c, &BEGIN_READ_ONLY, e) != 0) {
        return -1;
    }
    return guard(c, &SNAPSHOT, e);
}

/* After a sync. COMMIT ends a failed transaction as ROLLBACK does, and keeps a setting. It would also keep what the
 * server allows in a read-only transaction (before PostgreSQL 16 large objects), so that a connection which promises
 * that nothing stays commits settings alone. */
static int end_readonly(db_conn *c, PGTransactionStatusType tx, bool settings, err *e) {
    if (!(db_readonly(c) || db_rolls_back(c)) || tx != PQTRANS_IDLE) {
        return 0;
    }
    return guard(c, db_rolls_back(c) && !settings ? &ROLLBACK : &COMMIT, e) != 0 || db_sync(c, e) != 0 ? -1 : 0;
}

/* One statement that leaves the transaction as it was when it fails. The savepoint is released and set anew behind the
 * statement, so that the unconditional ROLLBACK TO undoes a failed statement and nothing of a good one: no round trip
 * is needed to find out which it was. */
static int send_in_savepoint(db_conn *c, const db_stmt *s, PGTransactionStatusType tx, err *e) {
    return guard_readonly(c, tx, e) != 0 || db_add(c, DB_STMT_OWN, s, e) != 0 || guard(c, &RELEASE, e) != 0 ||
                   guard(c, &SAVEPOINT, e) != 0 || db_sync(c, e) != 0 || guard(c, &ROLLBACK_TO, e) != 0 ||
                   db_sync(c, e) != 0
               ? -1
               : 0;
}

static int send_plain(db_conn *c, const db_stmt *s, PGTransactionStatusType tx, err *e) {
    return guard_readonly(c, tx, e) != 0 || db_add(c, DB_STMT_OWN, s, e) != 0 || db_sync(c, e) != 0 ||
                   end_readonly(c, tx, db_is_setting(s->sql), e) != 0
               ? -1
               : 0;
}

/* A statement that would take the transaction out of our hands is not sent: inside connection:transaction, where
 * rollback = true must be able to promise that nothing stays, and where statements follow each other unseen on a
 * read-only connection. */
static void refuse_tx_control(lua_State *L, const db_handle *h, const char *fn, const char *sql, bool unseen) {
    if (!db_is_tx_control(sql)) {
        return;
    }
    if (h->depth > 0) {
        luax_fail_fix(L, "db_transaction",
                      "let connection:transaction commit or roll back; use nested ones for savepoints",
                      "%s: inside connection:transaction no statement may begin or end a transaction", fn);
    }
    if (db_rolls_back(h->conn)) {
        luax_fail_fix(L, "db_transaction", "call connection:transaction, whose end takes everything back",
                      "%s: on a connection that rolls back no statement may begin or end a transaction", fn);
    }
    if (unseen && db_readonly(h->conn)) {
        luax_fail(L, "db_permission", "%s: on a read-only connection no statement may begin or end a transaction", fn);
    }
}

/* ---- one statement */

/* The statement's own error, or that of the guard which kept it from running; NULL when it succeeded. */
static const PGresult *error_of(db_handle *h, size_t i) {
    const PGresult *res = db_result(h->conn, i);
    switch (PQresultStatus(res)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        return NULL;
    case PGRES_PIPELINE_ABORTED:
        return db_guard_error(h->conn) != NULL ? db_guard_error(h->conn) : res;
    default:
        return res;
    }
}

void db_check_transaction(lua_State *L, db_handle *h) {
    if (h->depth == 0 || h->tx_broken) {
        return;
    }
    PGTransactionStatusType tx = db_tx_status(h->conn);
    if (db_saw_transaction_end(h->conn) || (tx != PQTRANS_INTRANS && tx != PQTRANS_INERROR)) {
        h->tx_broken = true;
        luax_fail_fix(L, "db_transaction",
                      "let connection:transaction commit or roll back; use nested ones for savepoints",
                      "a statement ended the transaction which connection:transaction holds open");
    }
}

static int try_done(lua_State *L, db_handle *h) {
    const PGresult *bad = error_of(h, 0);
    if (bad != NULL) {
        lua_pushboolean(L, 0);
        db_push_result_error(L, h, bad, lua_tostring(L, 2));
        db_clear(h->conn);
        return 2;
    }
    db_check_transaction(L, h);
    lua_pushboolean(L, 1);
    db_push_affected(L, db_result(h->conn, 0));
    db_push_rows(L, db_result(h->conn, 0));
    db_clear(h->conn);
    return 3;
}

static int statement_done(lua_State *L, db_handle *h) {
    int mode = h->mode;
    const PGresult *bad = error_of(h, 0);
    if (bad != NULL) {
        db_push_result_error(L, h, bad, lua_tostring(L, 2));
        db_clear(h->conn);
        return lua_error(L);
    }
    db_check_transaction(L, h);
    const PGresult *res = db_result(h->conn, 0);
    if (mode == MODE_ROWS) {
        db_push_rows(L, res);
    } else if (mode == MODE_EXEC) {
        db_push_affected(L, res);
    } else if (PQntuples(res) == 0 || PQnfields(res) == 0) {
        lua_pushnil(L);
    } else if (mode == MODE_ROW) {
        db_push_row(L, res, 0);
    } else {
        db_push_first(L, res, 0);
    }
    db_clear(h->conn);
    return 1;
}

static int statement(lua_State *L, const char *fn, int mode) {
    db_handle *h = db_enter(L, fn);
    if (lua_gettop(L) < 2) {
        lua_settop(L, 2);
    }
    const db_box *box = db_new_box(L, fn, 2, 3, lua_gettop(L) - 2);
    refuse_tx_control(L, h, fn, box->stmt.sql, false);
    h->mode = mode;
    PGTransactionStatusType tx = db_tx_status(h->conn);
    err e;
    int sent = db_begin(h->conn, &e);
    if (sent == 0 && mode == MODE_TRY && tx != PQTRANS_IDLE) {
        sent = guard(h->conn, &SAVEPOINT, &e) != 0 || send_in_savepoint(h->conn, &box->stmt, tx, &e) != 0 ||
                       guard(h->conn, &RELEASE, &e) != 0 || db_sync(h->conn, &e) != 0
                   ? -1
                   : 0;
    } else if (sent == 0) {
        sent = send_plain(h->conn, &box->stmt, tx, &e);
    }
    if (sent != 0) {
        return db_raise(L, h, &e);
    }
    return db_drive(L, h, mode == MODE_TRY ? try_done : statement_done);
}

int db_m_query(lua_State *L) {
    return statement(L, "connection:query", MODE_ROWS);
}

int db_m_row(lua_State *L) {
    return statement(L, "connection:row", MODE_ROW);
}

int db_m_value(lua_State *L) {
    return statement(L, "connection:value", MODE_VALUE);
}

int db_m_exec(lua_State *L) {
    return statement(L, "connection:exec", MODE_EXEC);
}

int db_m_try(lua_State *L) {
    return statement(L, "connection:try", MODE_TRY);
}

/* ---- script */

static int script_done(lua_State *L, db_handle *h) {
    size_t n = db_n_results(h->conn);
    for (size_t i = 0; i < n; i++) {
        const PGresult *bad = error_of(h, i);
        if (bad != NULL) {
            db_push_result_error(L, h, bad, lua_tostring(L, 2));
            lua_pushinteger(L, (lua_Integer)i + 1);
            lua_setfield(L, -2, "statement");
            db_clear(h->conn);
            return lua_error(L);
        }
    }
    db_check_transaction(L, h);
    if (db_copy_misplaced(h->conn)) {
        return luax_fail_fix(L, "db_query", "use connection:copy_out", "connection:script: COPY is not possible here");
    }
    db_clear(h->conn);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* A script's statements follow each other unseen: one of them could keep what the connection promises to take back. */
static void refuse_script(lua_State *L, const db_handle *h, const char *sql) {
    if (!db_rolls_back(h->conn)) {
        return;
    }
    if (h->depth == 0) {
        luax_fail_fix(L, "db_permission", "call it inside connection:transaction, whose end takes everything back",
                      "connection:script: not on a connection that rolls back, outside of connection:transaction");
    }
    if (db_may_control_tx(sql)) {
        luax_fail_fix(
            L, "db_transaction", "send its statements one by one with connection:exec",
            "connection:script: a statement of it, or what stands behind a semicolon in one, could begin or end "
            "a transaction, which no statement may on a connection that rolls back");
    }
}

int db_m_script(lua_State *L) {
    db_handle *h = db_enter(L, "connection:script");
    const char *sql = db_check_sql(L, "connection:script", 2);
    lua_settop(L, 2);
    if (db_readonly(h->conn)) {
        return luax_fail_fix(L, "db_permission", "send the statements one by one with query, or with pipeline",
                             "connection:script: not on a read-only connection, since a script could end the read-only "
                             "transaction around it");
    }
    refuse_script(L, h, sql);
    h->mode = MODE_EXEC;
    err e;
    if (db_script(h->conn, sql, &e) != 0) {
        return db_raise(L, h, &e);
    }
    return db_drive(L, h, script_done);
}

/* ---- pipeline */

static void push_not_run(lua_State *L, const char *sql) {
    err e;
    err_set(&e, "db_aborted", "not run, because a statement before it in the pipeline failed");
    luax_push_error(L, &e);
    lua_pushstring(L, sql);
    lua_setfield(L, -2, "query");
}

/* Stack: 1 connection, 2 list of boxes. */
static int pipeline_done(lua_State *L, db_handle *h) {
    size_t n = db_n_results(h->conn);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        const db_box *box = lua_touserdata(L, -1);
        const PGresult *bad = error_of(h, i);
        lua_createtable(L, 0, 3);
        lua_pushboolean(L, bad == NULL);
        lua_setfield(L, -2, "ok");
        if (bad == NULL) {
            db_push_rows(L, db_result(h->conn, i));
            lua_setfield(L, -2, "rows");
            db_push_affected(L, db_result(h->conn, i));
            lua_setfield(L, -2, "affected");
        } else {
            if (PQresultStatus(bad) == PGRES_PIPELINE_ABORTED) {
                push_not_run(L, box->stmt.sql);
            } else {
                db_push_result_error(L, h, bad, box->stmt.sql);
            }
            lua_setfield(L, -2, "error");
        }
        lua_rawseti(L, 3, (lua_Integer)i + 1);
        lua_pop(L, 1);
    }
    db_check_transaction(L, h);
    db_clear(h->conn);
    return 1;
}

/* {sql, …} at the top becomes a box. Trailing nils count when the table has a field n. [-1, +1, v] */
static void box_item(lua_State *L, lua_Integer i) {
    int item = lua_gettop(L);
    if (lua_type(L, item) != LUA_TTABLE) {
        luax_fail(L, "bad_argument", "connection:pipeline: statement %lld: expected {sql, …}, got %s", (long long)i,
                  luaL_typename(L, item));
    }
    lua_pushliteral(L, "n");
    lua_rawget(L, item);
    lua_Integer highest = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    for (lua_pushnil(L); lua_next(L, item); lua_pop(L, 1)) {
        if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > highest) {
            highest = lua_tointeger(L, -2);
        }
    }
    if (highest > 65536 || !lua_checkstack(L, (int)highest + 10)) {
        luax_fail(L, "bad_argument", "connection:pipeline: statement %lld has too many parameters", (long long)i);
    }
    lua_rawgeti(L, item, 1);
    for (lua_Integer p = 2; p <= highest; p++) {
        lua_rawgeti(L, item, p);
    }
    db_new_box(L, "connection:pipeline", item + 1, item + 2, highest > 1 ? (int)highest - 1 : 0);
    lua_replace(L, item);
    lua_settop(L, item);
}

static int send_boxes(lua_State *L, db_handle *h, lua_Integer n, bool atomic, err *e) {
    db_conn *c = h->conn;
    PGTransactionStatusType tx = db_tx_status(c);
    bool savepoints = !atomic && tx != PQTRANS_IDLE;
    bool settings = true;
    if (db_begin(c, e) != 0 || (atomic && guard_readonly(c, tx, e) != 0) ||
        (savepoints && guard(c, &SAVEPOINT, e) != 0)) {
        return -1;
    }
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, i);
        const db_stmt *s = &((const db_box *)lua_touserdata(L, -1))->stmt;
        lua_pop(L, 1);
        settings = settings && db_is_setting(s->sql);
        int sent = atomic       ? db_add(c, DB_STMT_OWN, s, e)
                   : savepoints ? send_in_savepoint(c, s, tx, e)
                                : send_plain(c, s, tx, e);
        if (sent != 0) {
            return -1;
        }
    }
    if (savepoints && guard(c, &RELEASE, e) != 0) {
        return -1;
    }
    return (atomic || savepoints) && (db_sync(c, e) != 0 || (atomic && end_readonly(c, tx, settings, e) != 0)) ? -1 : 0;
}

int db_m_pipeline(lua_State *L) {
    static const char fn[] = "connection:pipeline";
    static const char *const keys[] = {"atomic", NULL};
    db_handle *h = db_enter(L, fn);
    lua_settop(L, 3);
    bool atomic = false;
    if (!lua_isnil(L, 3)) {
        luax_check_table(L, 3, fn);
        luax_only_keys(L, 3, fn, keys);
        atomic = luax_opt_boolean(L, 3, fn, "atomic", false);
    }
    if (lua_type(L, 2) != LUA_TTABLE) {
        return luax_fail(L, "bad_argument", "%s: expected a list of {sql, …}, got %s", fn, luaL_typename(L, 2));
    }
    lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
    lua_createtable(L, n < 100000 ? (int)n : 0, 0);
    lua_replace(L, 3);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, i);
        box_item(L, i);
        refuse_tx_control(L, h, fn, ((const db_box *)lua_touserdata(L, -1))->stmt.sql, true);
        lua_rawseti(L, 3, i);
    }
    lua_replace(L, 2); /* 1 connection, 2 boxes */
    if (n == 0) {
        lua_newtable(L);
        return 1;
    }
    h->mode = MODE_PIPELINE;
    err e;
    if (send_boxes(L, h, n, atomic, &e) != 0) {
        return db_raise(L, h, &e);
    }
    return db_drive(L, h, pipeline_done);
}
