/* Every allocation of Lua's fails once, while engine.db and engine.task work against a real server: nothing may crash,
 * leak (under AddressSanitizer) or pass for a success, and the connection must be usable afterwards. */
#include "pg_support.h"
#include "prim/db.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static char *state_dir;
static pg_server *server;

static int set_up(void **state) {
    (void)state;
    state_dir = state_fresh();
    server = acquire(state_dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    pg_release(server);
    state_drop(state_dir);
    return 0;
}

/* Allocates until `countdown` more have been made, fails that one and Lua's second try after its emergency collection,
 * and goes on. */
typedef struct meter {
    long countdown; /* < 0: never fails */
    bool failed;
} meter;

static void *failing(void *ud, void *block, size_t before, size_t after) {
    meter *m = ud;
    if (after == 0) {
        free(block);
        return NULL;
    }
    bool grows = block == NULL || after > before; /* Lua relies on shrinking to succeed */
    if (grows && m->countdown >= 0) {
        if (m->countdown == 0 && m->failed) {
            m->countdown = -1;
            return NULL;
        }
        if (m->countdown == 0) {
            m->failed = true;
            return NULL;
        }
        m->countdown--;
    }
    return realloc(block, after);
}

/* A state with the modules of this build on its path and `options` as a global. */
static lua_State *fresh(meter *m) {
    lua_State *L = lua_newstate(failing, m);
    assert_non_null(L);
    luaL_openlibs(L);
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/../modules/?.so", exe);
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushstring(L, pg_socket_dir(server));
    lua_setfield(L, -2, "host");
    lua_pushinteger(L, pg_port(server));
    lua_setfield(L, -2, "port");
    lua_pushstring(L, pg_database(server));
    lua_setfield(L, -2, "dbname");
    lua_pushliteral(L, "postgres");
    lua_setfield(L, -2, "user");
    lua_setglobal(L, "options");
    return L;
}

/* Runs the chunk with the 1st, 2nd … allocation failing until it succeeds, then once more per failure `after`, in which
 * nothing fails. */
static void fail_each_allocation(const char *chunk, const char *after) {
    meter m = {.countdown = -1};
    lua_State *L = fresh(&m);
    if (luaL_dostring(L, "db = require 'engine.db'; task = require 'engine.task'") != LUA_OK ||
        luaL_loadstring(L, chunk) != LUA_OK || luaL_loadstring(L, after) != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    int top = lua_gettop(L);
    long n = 0;
    for (;; n++) {
        lua_gc(L, LUA_GCCOLLECT, 0);
        lua_pushvalue(L, top - 1);
        m.failed = false;
        m.countdown = n;
        int status = lua_pcall(L, 0, 1, 0);
        m.countdown = -1;
        if (status == LUA_OK) {
            if (m.failed)
                fail_msg("a failed allocation (%ld) passed for a success", n);
            assert_true(lua_toboolean(L, -1));
            break;
        }
        if (!m.failed)
            fail_msg("%ld: %s", n, luaL_tolstring(L, -1, NULL));
        lua_settop(L, top);
        lua_pushvalue(L, top);
        if (lua_pcall(L, 0, 0, 0) != LUA_OK)
            fail_msg("after failure %ld: %s", n, luaL_tolstring(L, -1, NULL));
    }
    assert_true(n > 10);
    lua_close(L);
}

static void connecting_survives_every_failed_allocation(void **state) {
    (void)state;
    fail_each_allocation(
        "local c <close> = db.connect { host = options.host, port = options.port, dbname = options.dbname,\n"
        "  user = 'postgres', role = 'app_user', readonly = true, options = { work_mem = '1MB' } }\n"
        "return c:value 'select 1' == 1",
        "");
}

static void statements_survive_every_failed_allocation(void **state) {
    (void)state;
    fail_each_allocation(
        "conn = conn or db.connect(options)\n"
        "local r = conn:query([[select $1::int4 i, $2::numeric n, $3::jsonb j, $4::text[] a, $5::bytea b, now() t]],\n"
        "  1, 0.1, db.json { x = { 1, 'y' } }, db.array { 'p', db.null, 'q' }, db.bytea '\\0\\1')\n"
        "assert(tostring(r[1].n) == '0.10000000000000001' and r[1].n < 1 and r[1].j.x[2] == 'y' and r[1].a[3] == 'q')\n"
        "assert(conn:row('select 5 as x').x == 5 and conn:exec 'select 1' == 1)\n"
        "local ok, e = conn:try 'select 1/0'\n"
        "assert(not ok and e.sqlstate == '22012')\n"
        "local out = conn:pipeline { { 'select $1::int as x', 3 }, { 'select nonsense' } }\n"
        "assert(out[1].rows[1].x == 3 and not out[2].ok)\n"
        "conn:exec [[do $$ begin raise notice 'n'; end $$]]\n"
        "assert(#conn:notices() >= 1)\n"
        "return conn:copy_out 'copy (select 7) to stdout' == '7\\n' and conn:script 'select 1; select 2' == 2",
        "if conn then conn:notices(); assert(conn:value 'select 1' == 1) end");
}

static void transactions_survive_every_failed_allocation(void **state) {
    (void)state;
    fail_each_allocation("conn = conn or db.connect(options)\n"
                         "return conn:transaction(function(tx)\n"
                         "  tx:exec 'create temporary table t (i int)'\n"
                         "  local _, e = pcall(tx.transaction, tx, function() tx:exec 'select 1/0' end)\n"
                         "  if type(e) == 'string' then error(e, 0) end\n"
                         "  tx:transaction(function() tx:exec 'insert into t values (1)' end)\n"
                         "  return tx:value 'select count(*) from t' == 1\n"
                         "end, { rollback = true })",
                         "if conn then assert(conn:value [[select to_regclass('t') is null]]) end");
}

static void tasks_survive_every_failed_allocation(void **state) {
    (void)state;
    fail_each_allocation("a, b = a or db.connect(options), b or db.connect(options)\n"
                         "local out = task.map({ a, b }, 2, function(c)\n"
                         "  return task.map({ 1 }, 1, function() return c:value 'select 1' end)[1]\n"
                         "end)\n"
                         "return out[1] + out[2] == 2",
                         "if a and b then assert(a:value 'select 1' == 1 and b:value 'select 1' == 1) end");
}

static void finish(db_conn *c) {
    err e;
    db_progress p;
    while ((p = db_step(c, &e)) == DB_WAIT) {
        struct pollfd fd = {.fd = db_fd(c), .events = db_events(c)};
        assert_true(poll(&fd, 1, 60000) > 0);
    }
    if (p != DB_DONE)
        fail_msg("%s: %s", e.code, e.message);
}

static void an_abandoned_copy_reads_its_data_no_more(void **state) {
    (void)state;
    enum { SIZE = 32 << 20 };
    char port[8];
    err e;
    snprintf(port, sizeof port, "%d", pg_port(server));
    const db_params p = {.host = pg_socket_dir(server),
                         .port = port,
                         .dbname = pg_database(server),
                         .user = "postgres",
                         .connect_timeout_ms = 10000};
    db_conn *c = db_connect(&p, &e);
    assert_non_null(c);
    finish(c);
    assert_int_equal(db_script(c, "create temporary table t (a text)", &e), 0);
    finish(c);
    for (int steps = 0; steps < 3; steps++) { /* before the COPY has begun, and amid of it */
        char *data = malloc(SIZE);
        assert_non_null(data);
        memset(data, 'y', SIZE);
        assert_int_equal(db_copy_in(c, "copy t from stdin", data, SIZE, &e), 0);
        for (int i = 0; i < steps && db_step(c, &e) == DB_WAIT; i++) {
            struct pollfd fd = {.fd = db_fd(c), .events = db_events(c)};
            assert_true(poll(&fd, 1, 60000) > 0);
        }
        assert_true(db_active(c));
        db_abandon(c);
        free(data);
        finish(c);
        assert_int_equal(db_script(c, "select count(*) from t", &e), 0);
        finish(c);
        assert_string_equal(PQgetvalue(db_result(c, 0), 0, 0), "0");
    }
    db_close(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connecting_survives_every_failed_allocation),
        cmocka_unit_test(statements_survive_every_failed_allocation),
        cmocka_unit_test(transactions_survive_every_failed_allocation),
        cmocka_unit_test(tasks_survive_every_failed_allocation),
        cmocka_unit_test(an_abandoned_copy_reads_its_data_no_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
