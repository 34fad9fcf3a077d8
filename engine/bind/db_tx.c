/* connection:transaction(fn, options). A state machine over continuations, since every step may yield:
 *
 *     begin → begun (calls fn) → called → ended
 *
 * Stack: 1 connection, 2 fn, 3 plan (integer: depth * 2 + always-roll-back), from 4 on fn's results or its error. */
#include "bind/db_bind.h"

#include <stdio.h>
#include <string.h>

#define FN "connection:transaction"

enum { PLAN = 3, FIRST = 4 };

static int plan_depth(lua_State *L) {
    return (int)(lua_tointeger(L, PLAN) / 2);
}

static bool plan_rolls_back(lua_State *L) {
    return lua_tointeger(L, PLAN) % 2 == 1;
}

/* Sends one or two statements of our own; the second may be NULL. */
static int send(db_handle *h, const char *first, const char *second, err *e) {
    const db_stmt a = {.sql = first};
    const db_stmt b = {.sql = second};
    return db_begin(h->conn, e) != 0 || db_add(h->conn, DB_STMT_OWN, &a, e) != 0 ||
                   (second != NULL && db_add(h->conn, DB_STMT_OWN, &b, e) != 0) || db_sync(h->conn, e) != 0
               ? -1
               : 0;
}

/* The first of the last statements that failed, or NULL. */
static const PGresult *failed_statement(db_handle *h) {
    for (size_t i = 0; i < db_n_results(h->conn); i++) {
        const PGresult *res = db_result(h->conn, i);
        if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK) {
            return res;
        }
    }
    return NULL;
}

static void leave(db_handle *h, int depth) {
    h->depth = depth - 1;
    if (h->depth == 0) {
        h->tx_broken = false;
        h->tx_task = NULL;
    }
}

static int rolled_back_after_error(lua_State *L, db_handle *h) {
    /* Whatever came of the ROLLBACK: the first error is the one to tell. */
    leave(h, plan_depth(L));
    lua_settop(L, FIRST);
    return lua_error(L);
}

static int fail_aborted(lua_State *L) {
    return luax_fail_fix(L, "db_aborted",
                         "run a statement that may fail with connection:try, or in a nested transaction",
                         "the transaction was rolled back: a statement in it had failed, and its error was caught");
}

static int rolled_back_aborted(lua_State *L, db_handle *h) {
    leave(h, plan_depth(L));
    return fail_aborted(L);
}

static int ended(lua_State *L, db_handle *h) {
    bool commit = !plan_rolls_back(L);
    leave(h, plan_depth(L));
    if (h->failed) { /* the connection went; the error is on top */
        return lua_error(L);
    }
    const PGresult *bad = failed_statement(h);
    if (bad != NULL) { /* a deferred constraint, a serialization failure */
        db_push_result_error(L, h, bad, commit ? "COMMIT" : "ROLLBACK");
        db_clear(h->conn);
        return lua_error(L);
    }
    bool rolled_back = commit && h->depth == 0 && strcmp(PQcmdStatus((PGresult *)db_result(h->conn, 0)), "COMMIT") != 0;
    db_clear(h->conn);
    return rolled_back ? fail_aborted(L) : lua_gettop(L) - (FIRST - 1);
}

static int end_with(lua_State *L, db_handle *h, bool commit, db_finish done) {
    int depth = plan_depth(L);
    char first[64];
    char second[64];
    err e;
    bool outer = depth == 1;
    snprintf(second, sizeof second, "RELEASE SAVEPOINT gate_%d", depth);
    snprintf(first, sizeof first, "ROLLBACK TO SAVEPOINT gate_%d", depth);
    int sent = outer    ? send(h, commit ? "COMMIT" : "ROLLBACK", NULL, &e)
               : commit ? send(h, second, NULL, &e)
                        : send(h, first, second, &e);
    if (sent != 0) {
        h->shield = h->failed = true;
        luax_push_error(L, &e);
        return done(L, h);
    }
    return db_drive_shielded(L, h, done);
}

/* fn has returned (its results from FIRST on) or raised (the error at FIRST). */
static int called(lua_State *L, int status, lua_KContext ctx) {
    (void)ctx;
    db_handle *h = lua_touserdata(L, 1);
    bool ok = status == LUA_OK || status == LUA_YIELD;
    int depth = plan_depth(L);
    luaL_checkstack(L, 20, FN);
    if (h->conn == NULL || !db_is_open(h->conn) || db_active(h->conn)) {
        leave(h, depth);
        if (!ok) {
            return lua_error(L);
        }
        return luax_fail(L, h->conn == NULL ? "db_closed" : "db_lost",
                         FN ": the connection was %s inside, so nothing was "
                            "committed",
                         h->conn == NULL ? "closed" : "lost");
    }
    PGTransactionStatusType tx = db_tx_status(h->conn);
    bool gone = tx != PQTRANS_INTRANS && tx != PQTRANS_INERROR;
    if (!ok) {
        if (gone) {
            leave(h, depth);
            return lua_error(L);
        }
        return end_with(L, h, false, rolled_back_after_error);
    }
    if (h->tx_broken || gone) {
        lua_settop(L, FIRST - 1);
        luaL_checkstack(L, 4, FN);
        err e;
        err_set(&e, "db_transaction",
                "a statement inside ended the transaction which connection:transaction held open");
        err_fix(&e, "let connection:transaction commit or roll back");
        luax_push_error(L, &e);
        if (gone) {
            leave(h, depth);
            return lua_error(L);
        }
        return end_with(L, h, false, rolled_back_after_error);
    }
    if (tx == PQTRANS_INERROR && !plan_rolls_back(L)) {
        return end_with(L, h, false, rolled_back_aborted);
    }
    return end_with(L, h, !plan_rolls_back(L), ended);
}

static int begun(lua_State *L, db_handle *h) {
    if (h->failed) {
        return lua_error(L);
    }
    const PGresult *bad = failed_statement(h);
    if (bad != NULL) {
        db_push_result_error(L, h, bad, "BEGIN");
        db_clear(h->conn);
        return lua_error(L);
    }
    db_clear(h->conn);
    h->depth = plan_depth(L);
    if (h->depth == 1) {
        h->tx_task = db_current_task(L);
    }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 1);
    return called(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, called), 0);
}

/* "BEGIN ISOLATION LEVEL … READ ONLY" from the options at index 3. */
static void begin_sql(lua_State *L, char out[96], bool *roll_back, bool *plain) {
    static const char *const keys[] = {"isolation", "readonly", "rollback", NULL};
    static const char *const levels[] = {"read committed", "repeatable read", "serializable", NULL};
    const char *isolation = NULL;
    bool readonly = false;
    *roll_back = false;
    if (!lua_isnil(L, 3)) {
        luax_check_table(L, 3, FN);
        luax_only_keys(L, 3, FN, keys);
        isolation = luax_opt_string(L, 3, FN, "isolation", NULL, NULL);
        readonly = luax_opt_boolean(L, 3, FN, "readonly", false);
        *roll_back = luax_opt_boolean(L, 3, FN, "rollback", false);
    }
    for (size_t i = 0; isolation != NULL; i++) {
        if (levels[i] == NULL) {
            luax_fail(
                L, "bad_argument",
                FN ": option \"isolation\": expected \"read committed\", \"repeatable read\" or \"serializable\", got "
                   "\"%s\"",
                isolation);
        }
        if (strcmp(levels[i], isolation) == 0) {
            break;
        }
    }
    *plain = isolation == NULL && !readonly;
    snprintf(out, 96, "BEGIN%s%s%s", isolation != NULL ? " ISOLATION LEVEL " : "", isolation != NULL ? isolation : "",
             readonly ? " READ ONLY" : "");
}

int db_m_transaction(lua_State *L) {
    db_handle *h = db_enter(L, FN);
    if (lua_type(L, 2) != LUA_TFUNCTION) {
        return luax_fail(L, "bad_argument", FN ": expected a function, got %s", luaL_typename(L, 2));
    }
    lua_settop(L, 3);
    char sql[96];
    bool roll_back, plain;
    begin_sql(L, sql, &roll_back, &plain);
    int depth = h->depth + 1;
    roll_back = roll_back || (depth == 1 && db_rolls_back(h->conn));
    if (depth > 1 && !plain) {
        return luax_fail(L, "bad_argument", FN ": isolation and readonly belong to the outermost transaction");
    }
    if (depth == 1 && db_tx_status(h->conn) != PQTRANS_IDLE) {
        return luax_fail_fix(L, "db_transaction", "begin it with connection:transaction",
                             FN ": SQL has begun a transaction on this connection");
    }
    if (depth > 1) {
        snprintf(sql, sizeof sql, "SAVEPOINT gate_%d", depth);
    } else if (db_readonly(h->conn) && strstr(sql, "READ ONLY") == NULL) {
        strncat(sql, " READ ONLY", sizeof sql - strlen(sql) - 1);
    }
    lua_pushinteger(L, depth * 2 + (roll_back ? 1 : 0));
    lua_replace(L, PLAN);
    err e;
    if (send(h, sql, NULL, &e) != 0) {
        return db_raise(L, h, &e);
    }
    return db_drive_shielded(L, h, begun);
}
