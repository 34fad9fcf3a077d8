/* engine.db: connections, and how every operation on one waits. */
#include "bind/db_bind.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "bind/wait.h"
#include "vm/conv.h"

const void *db_current_task(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, GATE_TASK_RUNNING);
    const void *task = lua_topointer(L, -1);
    lua_pop(L, 1);
    return task;
}

int db_raise(lua_State *L, db_handle *h, const err *e) {
    luax_push_error(L, e);
    if (h != NULL && h->conn != NULL && db_lost_state(h->conn)[0] != '\0') {
        lua_pushstring(L, db_lost_state(h->conn));
        lua_setfield(L, -2, "sqlstate");
    }
    return lua_error(L);
}

static int scratch_gc(lua_State *L) {
    db_scratch *s = luax_check(L, 1, DB_SCRATCH, "__gc");
    buf_free(&s->text);
    json_decref(s->json);
    s->json = NULL;
    return 0;
}

db_scratch *db_new_scratch(lua_State *L) {
    return luax_new(L, DB_SCRATCH, sizeof(db_scratch), 0);
}

static void drop(db_handle *h) {
    db_conn *c = h->conn;
    h->conn = NULL;
    h->user = NULL;
    h->depth = 0;
    h->tx_broken = false;
    db_close(c);
}

/* An error raised between two waits (out of memory) left an operation of this very coroutine behind: end it. */
static void clear_abandoned(db_handle *h) {
    err e;
    db_abandon(h->conn);
    while (db_step(h->conn, &e) == DB_WAIT) {
        gate_poll(db_fd(h->conn), db_events(h->conn), db_timeout_ms(h->conn));
    }
    h->user = NULL;
}

db_handle *db_enter(lua_State *L, const char *fn) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, fn);
    luaL_checkstack(L, 20, fn);
    if (h->conn == NULL) {
        luax_fail_fix(L, "db_closed", "open a new connection with db.connect", "%s: the connection is closed", fn);
    }
    if (db_active(h->conn) && h->user == L) {
        clear_abandoned(h);
    }
    if (db_active(h->conn)) {
        luax_fail_fix(L, "db_busy", "open one connection per task",
                      "%s: the connection is busy with a statement of another coroutine", fn);
    }
    if (h->depth > 0 && h->tx_task != db_current_task(L)) {
        luax_fail_fix(L, "db_busy", "open one connection per task",
                      "%s: the connection is inside a transaction of another task", fn);
    }
    if (!db_is_open(h->conn)) {
        luax_fail_fix(L, "db_lost", "open a new connection with db.connect", "%s: the connection was lost earlier", fn);
    }
    h->shield = h->failed = h->cancelled = false;
    return h;
}

static int failed(lua_State *L, db_handle *h, const err *e) {
    if (!db_is_open(h->conn) && lua_type(L, 1) == LUA_TUSERDATA && h->depth == 0 && h->mode < 0) {
        drop(h); /* it never connected: nothing to ask of it later */
    }
    return db_raise(L, h, e);
}

/* A cancel request stops one statement of a pipeline, and none when it arrives between two: it is repeated until the
 * pipeline is through. */
#define CANCEL_AGAIN_MS 100

static int resumed(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    int revents = gate_wait_result(L);
    db_handle *h = lua_touserdata(L, 1);
    if (h->conn == NULL) {
        return luax_fail(L, "db_closed", "the connection was closed while a statement was under way");
    }
    if ((revents & GATE_WAIT_CANCELLED) != 0 && !h->shield) {
        if (h->mode < 0) { /* still connecting */
            drop(h);
            return gate_cancelled(L);
        }
        h->cancelled = true;
    }
    if (h->cancelled) {
        db_cancel(h->conn);
    }
    return db_drive(L, h, (db_finish)ctx);
}

int db_drive(lua_State *L, db_handle *h, db_finish done) {
    h->user = L;
    for (;;) {
        err e;
        db_progress p = db_step(h->conn, &e);
        if (p != DB_WAIT) {
            h->user = NULL;
            h->failed = p == DB_FAILED;
            if (h->failed && h->shield) {
                luax_push_error(L, &e);
            } else if (h->failed) {
                return failed(L, h, &e);
            } else if (h->cancelled) {
                h->cancelled = false;
                return gate_cancelled(L);
            }
            return done(L, h);
        }
        int fd = db_fd(h->conn);
        int events = db_events(h->conn);
        int timeout_ms = db_timeout_ms(h->conn);
        if (h->cancelled && (timeout_ms < 0 || timeout_ms > CANCEL_AGAIN_MS)) {
            timeout_ms = CANCEL_AGAIN_MS;
        }
        if (gate_can_yield(L)) {
            return gate_yield(L, fd, events, timeout_ms, (lua_KContext)done, resumed);
        }
        gate_poll(fd, events, timeout_ms);
    }
}

int db_drive_shielded(lua_State *L, db_handle *h, db_finish done) {
    h->shield = true;
    return db_drive(L, h, done);
}

/* ---- db.connect */

static const char *const CONNECT_KEYS[] = {"url",
                                           "host",
                                           "hostaddr",
                                           "port",
                                           "dbname",
                                           "user",
                                           "password",
                                           "application_name",
                                           "role",
                                           "readonly",
                                           "rollback",
                                           "options",
                                           "connect_timeout",
                                           "statement_timeout_ms",
                                           "only_tls",
                                           NULL};

#define FN "db.connect"
#define SETTINGS_MAX 64

static int set_up_done(lua_State *L, db_handle *h) {
    if (h->failed) {
        return lua_error(L);
    }
    for (size_t i = 0; i < db_n_results(h->conn); i++) {
        const PGresult *res = db_result(h->conn, i);
        if (PQresultStatus(res) != PGRES_TUPLES_OK) {
            db_push_result_error(L, h, res, NULL);
            drop(h);
            return lua_error(L);
        }
    }
    db_clear(h->conn);
    h->mode = 0;
    lua_settop(L, 1);
    return 1;
}

/* A worker may be killed in the middle of a statement, which would run on and hold its locks until it has something to
 * say: PostgreSQL 14 looks at the client meanwhile, where it is asked to. Not through a pooler that lends its sessions
 * (the server's process is another than the one the start-up named), whose next client would inherit the setting. */
static const char NOTICE_THE_END[] =
    "select pg_catalog.set_config('client_connection_check_interval', '1s', false) "
    "where pg_catalog.current_setting('client_connection_check_interval', true) operator(pg_catalog.=) '0' "
    "and pg_catalog.pg_backend_pid() operator(pg_catalog.=) $1::pg_catalog.int4";

/* SET ROLE and, where the server's default is another, DateStyle ISO, which the reading of time stamps needs. Behind
 * them, in a transaction of its own since a server whose kernel cannot look refuses it, what may fail. */
static int set_up(lua_State *L, db_handle *h) {
    lua_getiuservalue(L, 1, 1);
    const char *role = lua_tostring(L, -1);
    lua_pop(L, 1);
    const char *style = db_parameter(h->conn, "DateStyle");
    char pid[16];
    snprintf(pid, sizeof pid, "%d", db_backend_pid(h->conn));
    const char *pids[] = {pid};
    err e;
    const db_stmt set_role = {.sql = "select pg_catalog.set_config('role', $1, false)", .n = 1, .values = &role};
    const db_stmt set_style = {.sql = "select pg_catalog.set_config('datestyle', 'ISO', false)"};
    const db_stmt notice_the_end = {.sql = NOTICE_THE_END, .n = 1, .values = pids};
    if (db_begin(h->conn, &e) != 0 || (role != NULL && db_add(h->conn, DB_STMT_OWN, &set_role, &e) != 0) ||
        ((style == NULL || strncmp(style, "ISO", 3) != 0) && db_add(h->conn, DB_STMT_OWN, &set_style, &e) != 0) ||
        db_sync(h->conn, &e) != 0 || db_add(h->conn, DB_STMT_GUARD, &notice_the_end, &e) != 0 ||
        db_sync(h->conn, &e) != 0) {
        return db_raise(L, h, &e);
    }
    return h->shield ? db_drive_shielded(L, h, set_up_done) : db_drive(L, h, set_up_done);
}

static int looked(lua_State *L, db_handle *h) {
    h->mode = 0;
    lua_settop(L, 1);
    return 1;
}

/* options = {setting = value}: strings, numbers and booleans. The strings are anchored in a table left on the stack. */
static size_t read_settings(lua_State *L, db_setting out[SETTINGS_MAX]) {
    if (luax_opt_value(L, 2, FN, "options", LUA_TTABLE) == LUA_TNIL) {
        return 0;
    }
    int options = lua_gettop(L);
    lua_newtable(L);
    int anchor = lua_gettop(L);
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, options)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_isnil(L, -1) || n == SETTINGS_MAX) {
            luax_fail(L, "bad_argument", FN ": option \"options\": expected at most %d settings by name", SETTINGS_MAX);
        }
        out[n].name = lua_tostring(L, -2);
        if (lua_type(L, -1) == LUA_TBOOLEAN) {
            lua_pushstring(L, lua_toboolean(L, -1) ? "on" : "off");
            lua_replace(L, -2);
        }
        if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER) {
            luax_fail(L, "bad_argument", FN ": option \"options\": setting \"%s\": expected a string, got %s",
                      out[n].name, luaL_typename(L, -1));
        }
        out[n++].value = lua_tostring(L, -1);
        lua_rawseti(L, anchor, (lua_Integer)n);
    }
    return n;
}

/* [-1, +1, v] {url=, …} → connection */
static int connect(lua_State *L) {
    luax_check_table(L, 1, FN);
    lua_settop(L, 1);
    luaL_checkstack(L, 20, FN);
    luax_only_keys(L, 1, FN, CONNECT_KEYS);
    db_handle *h = luax_new(L, DB_CONNECTION, sizeof *h, 1);
    lua_insert(L, 1); /* 1 connection, 2 options */
    char port[8];
    db_setting settings[SETTINGS_MAX];
    db_params p = {
        .url = luax_opt_string(L, 2, FN, "url", NULL, NULL),
        .host = luax_opt_string(L, 2, FN, "host", NULL, NULL),
        .hostaddr = luax_opt_string(L, 2, FN, "hostaddr", NULL, NULL),
        .dbname = luax_opt_string(L, 2, FN, "dbname", NULL, NULL),
        .user = luax_opt_string(L, 2, FN, "user", NULL, NULL),
        .password = luax_opt_string(L, 2, FN, "password", NULL, NULL),
        .application_name = luax_opt_string(L, 2, FN, "application_name", NULL, NULL),
        .settings = settings,
        .statement_timeout_ms = (int)luax_opt_integer(L, 2, FN, "statement_timeout_ms", 0, 86400000, 0),
        .connect_timeout_ms = (int)(luax_opt_number(L, 2, FN, "connect_timeout", 0.001, 3600, 10) * 1000),
        .readonly = luax_opt_boolean(L, 2, FN, "readonly", false),
        .rollback = luax_opt_boolean(L, 2, FN, "rollback", false),
        .only_tls = luax_opt_boolean(L, 2, FN, "only_tls", false),
    };
    lua_Integer number = luax_opt_integer(L, 2, FN, "port", 1, 65535, 0);
    if (number > 0) {
        lua_Integer digits = number;
        size_t at = sizeof port - 1;
        port[at] = '\0';
        for (; digits > 0; digits /= 10) {
            port[--at] = (char)('0' + digits % 10);
        }
        p.port = port + at;
    }
    if (luax_opt_value(L, 2, FN, "role", LUA_TSTRING) == LUA_TSTRING) {
        lua_setiuservalue(L, 1, 1);
    }
    p.n_settings = read_settings(L, settings);
    err e;
    h->mode = -1;
    h->conn = db_connect(&p, &e);
    if (h->conn == NULL) {
        return luax_raise(L, &e);
    }
    lua_settop(L, 1);
    return db_drive(L, h, p.only_tls ? looked : set_up);
}
#undef FN

/* ---- the other methods */

static int reset_done(lua_State *L, db_handle *h) {
    if (h->failed) {
        return lua_error(L);
    }
    const PGresult *res = db_result(h->conn, 0);
    if (PQresultStatus(res) != PGRES_COMMAND_OK) {
        db_push_result_error(L, h, res, "DISCARD ALL");
        return lua_error(L);
    }
    return set_up(L, h);
}

int db_m_reset_session(lua_State *L) {
    db_handle *h = db_enter(L, "connection:reset_session");
    lua_settop(L, 1);
    const db_stmt discard = {.sql = "DISCARD ALL"};
    err e;
    if (db_begin(h->conn, &e) != 0 || db_add(h->conn, DB_STMT_OWN, &discard, &e) != 0 || db_sync(h->conn, &e) != 0) {
        return db_raise(L, h, &e);
    }
    /* Shielded: cancelled halfway, the session would go on without its role. */
    return db_drive_shielded(L, h, reset_done);
}

/* close, __gc and __close. Closing a closed connection is no error. */
static int conn_close(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "connection:close");
    if (h->conn != NULL && db_active(h->conn) && h->user != NULL && h->user != L && h->mode >= 0) {
        return luax_fail(L, "db_busy", "connection:close: a statement of another coroutine is under way");
    }
    if (h->conn != NULL) {
        drop(h);
    }
    return 0;
}

static int conn_gc(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "connection:close");
    if (h->conn != NULL) {
        drop(h);
    }
    return 0;
}

static int conn_tostring(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "tostring");
    if (h->conn == NULL) {
        lua_pushliteral(L, "db.connection (closed)");
    } else if (!db_is_open(h->conn)) {
        lua_pushliteral(L, "db.connection (lost)");
    } else {
        lua_pushfstring(L, "db.connection (backend %d)", db_backend_pid(h->conn));
    }
    return 1;
}

static int conn_is_open(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "connection:is_open");
    lua_pushboolean(L, h->conn != NULL && db_is_open(h->conn));
    return 1;
}

static int conn_backend_pid(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "connection:backend_pid");
    if (h->conn == NULL) {
        return luax_fail(L, "db_closed", "connection:backend_pid: the connection is closed");
    }
    lua_pushinteger(L, db_backend_pid(h->conn));
    return 1;
}

static int conn_parameter(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "connection:parameter");
    if (h->conn == NULL) {
        return luax_fail(L, "db_closed", "connection:parameter: the connection is closed");
    }
    lua_pushstring(L, db_parameter(h->conn, db_check_sql(L, "connection:parameter", 2)));
    return 1;
}

static void set_field(lua_State *L, const char *key, const char *value) {
    if (value != NULL) {
        lua_pushstring(L, value);
        lua_setfield(L, -2, key);
    }
}

static int conn_notices(lua_State *L) {
    db_handle *h = luax_check(L, 1, DB_CONNECTION, "connection:notices");
    if (h->conn == NULL) {
        return luax_fail(L, "db_closed", "connection:notices: the connection is closed");
    }
    size_t n, dropped;
    const db_notice *notices = db_notices(h->conn, &n, &dropped);
    lua_createtable(L, (int)n, 1);
    for (size_t i = 0; i < n; i++) {
        lua_createtable(L, 0, 5);
        set_field(L, "severity", notices[i].severity);
        set_field(L, "sqlstate", notices[i].sqlstate);
        set_field(L, "message", notices[i].message);
        set_field(L, "detail", notices[i].detail);
        set_field(L, "hint", notices[i].hint);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_pushinteger(L, (lua_Integer)dropped);
    lua_setfield(L, -2, "dropped");
    db_forget_notices(h->conn);
    return 1;
}

LUAX_EXPORT int luaopen_engine_db(lua_State *L);
LUAX_EXPORT int luaopen_engine_db(lua_State *L) {
    static const luaL_Reg methods[] = {{"query", db_m_query},
                                       {"row", db_m_row},
                                       {"value", db_m_value},
                                       {"exec", db_m_exec},
                                       {"try", db_m_try},
                                       {"script", db_m_script},
                                       {"pipeline", db_m_pipeline},
                                       {"transaction", db_m_transaction},
                                       {"copy_out", db_m_copy_out},
                                       {"copy_in", db_m_copy_in},
                                       {"reset_session", db_m_reset_session},
                                       {"notices", conn_notices},
                                       {"parameter", conn_parameter},
                                       {"backend_pid", conn_backend_pid},
                                       {"tls", db_m_tls},
                                       {"is_open", conn_is_open},
                                       {"close", conn_close},
                                       {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__gc", conn_gc}, {"__close", conn_close}, {"__tostring", conn_tostring}, {NULL, NULL}};
    static const luaL_Reg scratch_meta[] = {{"__gc", scratch_gc}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    luax_class(L, DB_CONNECTION, methods, meta);
    luax_class(L, DB_SCRATCH, none, scratch_meta);
    luax_class(L, DB_BOX, none, NULL);
    db_decimal_open(L);
    lua_createtable(L, 0, 5);
    lua_pushcfunction(L, connect);
    lua_setfield(L, -2, "connect");
    db_value_open(L);
    return 1;
}
