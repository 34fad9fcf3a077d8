/* COPY. It cannot run in a pipeline, so on a read-only connection the guard around it is two round trips of its own. */
#include "bind/db_bind.h"

#define COPY_MAX (256u << 20)

/* The error of the copy, or NULL. */
static const PGresult *copy_error(db_handle *h) {
    for (size_t i = 0; i < db_n_results(h->conn); i++) {
        if (PQresultStatus(db_result(h->conn, i)) == PGRES_FATAL_ERROR) {
            return db_result(h->conn, i);
        }
    }
    return NULL;
}

static void check_copy(lua_State *L, const char *fn) {
    if (!db_is_copy(db_check_sql(L, fn, 2))) {
        luax_fail(L, "bad_argument", "%s: expected a COPY statement", fn);
    }
}

/* Has the copy to stand in a read-only transaction of its own? */
static bool is_guarded(const db_handle *h) {
    return (db_readonly(h->conn) || db_rolls_back(h->conn)) && h->depth == 0;
}

/* Stack: 1 connection, 2 sql, 3 data, or 3 and 4 false and an error. */
static int guard_ended(lua_State *L, db_handle *h) {
    db_clear(h->conn);
    if (h->failed || lua_gettop(L) > 3) {
        return lua_error(L);
    }
    return 1;
}

static int out_done(lua_State *L, db_handle *h) {
    if (h->failed) {
        return lua_error(L);
    }
    const PGresult *bad = copy_error(h);
    lua_settop(L, 2);
    if (bad != NULL) {
        lua_pushboolean(L, 0);
        db_push_result_error(L, h, bad, lua_tostring(L, 2));
    } else if (db_copied(h->conn)->failed) {
        lua_pushboolean(L, 0);
        err e;
        err_set(&e, "db_query", "connection:copy_out: more than %u MB, or out of memory", COPY_MAX >> 20);
        err_fix(&e, "copy less at a time");
        luax_push_error(L, &e);
    } else {
        db_check_transaction(L, h);
        lua_pushlstring(L, buf_str(db_copied(h->conn)), db_copied(h->conn)->len);
    }
    db_clear(h->conn);
    if (!is_guarded(h)) {
        return lua_gettop(L) > 3 ? lua_error(L) : 1;
    }
    const db_stmt end = {.sql = "ROLLBACK"};
    err e;
    if (db_begin(h->conn, &e) != 0 || db_add(h->conn, DB_STMT_OWN, &end, &e) != 0 || db_sync(h->conn, &e) != 0) {
        return db_raise(L, h, &e);
    }
    return db_drive_shielded(L, h, guard_ended);
}

static int start_out(lua_State *L, db_handle *h) {
    if (h->failed) {
        return lua_error(L);
    }
    err e;
    if (db_copy_out(h->conn, lua_tostring(L, 2), COPY_MAX, &e) != 0) {
        return db_raise(L, h, &e);
    }
    /* Cancelled inside the guard's transaction, it would leave that open: then it runs to its end. */
    return h->shield ? db_drive_shielded(L, h, out_done) : db_drive(L, h, out_done);
}

int db_m_copy_out(lua_State *L) {
    db_handle *h = db_enter(L, "connection:copy_out");
    check_copy(L, "connection:copy_out");
    lua_settop(L, 2);
    h->mode = 0;
    if (!is_guarded(h)) {
        return start_out(L, h);
    }
    const db_stmt begin = {.sql = "BEGIN READ ONLY"};
    err e;
    if (db_begin(h->conn, &e) != 0 || db_add(h->conn, DB_STMT_OWN, &begin, &e) != 0 || db_sync(h->conn, &e) != 0) {
        return db_raise(L, h, &e);
    }
    return db_drive_shielded(L, h, start_out);
}

static int in_done(lua_State *L, db_handle *h) {
    const PGresult *bad = copy_error(h);
    if (bad != NULL) {
        db_push_result_error(L, h, bad, lua_tostring(L, 2));
        db_clear(h->conn);
        return lua_error(L);
    }
    db_check_transaction(L, h);
    size_t n = db_n_results(h->conn);
    if (n == 0 || db_copy_misplaced(h->conn)) {
        return luax_fail(L, "db_query", "connection:copy_in: the statement was no COPY … FROM STDIN");
    }
    db_push_affected(L, db_result(h->conn, n - 1));
    db_clear(h->conn);
    return 1;
}

int db_m_copy_in(lua_State *L) {
    db_handle *h = db_enter(L, "connection:copy_in");
    check_copy(L, "connection:copy_in");
    lua_settop(L, 3);
    size_t n = 0;
    const char *data = lua_type(L, 3) == LUA_TSTRING ? lua_tolstring(L, 3, &n) : NULL;
    if (data == NULL) {
        return luax_fail(L, "bad_argument", "connection:copy_in: expected the data as a string, got %s",
                         luaL_typename(L, 3));
    }
    if (db_readonly(h->conn)) {
        return luax_fail(L, "db_permission", "connection:copy_in: the connection is read-only");
    }
    if (db_rolls_back(h->conn) && h->depth == 0) {
        return luax_fail_fix(
            L, "db_permission", "call it inside connection:transaction, whose end takes everything back",
            "connection:copy_in: not on a connection that rolls back, outside of connection:transaction");
    }
    h->mode = 0;
    err e;
    if (db_copy_in(h->conn, lua_tostring(L, 2), data, n, &e) != 0) {
        return db_raise(L, h, &e);
    }
    return db_drive(L, h, in_done);
}
