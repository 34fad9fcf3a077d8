/* Errors of the server as Lua tables. */
#include <stdlib.h>
#include <string.h>

#include "bind/db_bind.h"

/* What a writer of statements gets wrong most often, where the server gives no hint of its own. */
static const char *fix_for_statement(const char *sqlstate) {
    static const struct {
        const char *sqlstate, *fix;
    } FIXES[] = {{"42P01", "name the table with its schema (core.tenants), and see that it is there: on the embedded "
                           "platform gate-engine platform psql -c '\\dt *.*' lists them"},
                 {"42P02", "give a value for each of $1, $2, … after the statement"},
                 {"42P18", "cast the parameter, since its place does not tell its type: $1::text"},
                 {"08P01", "give as many values after the statement as it names parameters: $1, $2, …"},
                 {"42804", "cast the parameter or the value: $1::int8"}};
    for (size_t i = 0; i < sizeof FIXES / sizeof FIXES[0]; i++) {
        if (strcmp(FIXES[i].sqlstate, sqlstate) == 0) {
            return FIXES[i].fix;
        }
    }
    return NULL;
}

static const char *fix_for(const db_conn *c, const char *sqlstate, const char *code, bool hint) {
    if (strcmp(sqlstate, "25006") == 0) {
        return db_rolls_back(c)
                   ? "try what changes something inside connection:transaction, whose end takes it back; what "
                     "is to stay is for another connection"
                   : "this connection or transaction is read-only: change data through another one";
    }
    if (strcmp(code, "db_permission") == 0) {
        return "connect as a role which has the privilege, or which a policy lets see and change the row";
    }
    if (strcmp(code, "db_timeout") == 0) {
        return "see who holds the lock or why the statement is slow; else raise the timeout";
    }
    if (strcmp(code, "db_aborted") == 0) {
        return "run a statement that may fail with connection:try, or in a nested transaction";
    }
    return hint || strcmp(code, "db_query") != 0 ? NULL : fix_for_statement(sqlstate);
}

static void set_masked(lua_State *L, db_handle *h, db_scratch *s, const char *key, const char *text) {
    if (text == NULL || text[0] == '\0') {
        return;
    }
    buf_reset(&s->text);
    if (db_mask(h->conn, &s->text, text) != 0) {
        text = "(out of memory)";
    } else {
        text = buf_str(&s->text);
    }
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

/* The first 200 characters, not cut inside a UTF-8 sequence. */
static void set_query(lua_State *L, const char *sql) {
    size_t n = 0;
    for (int characters = 0; sql[n] != '\0'; n++) {
        if (((unsigned char)sql[n] & 0xC0) != 0x80 && ++characters > 200) {
            break;
        }
    }
    lua_pushlstring(L, sql, n);
    lua_setfield(L, -2, "query");
}

void db_push_result_error(lua_State *L, db_handle *h, const PGresult *res, const char *sql) {
    static const struct {
        const char *key;
        int field;
    } fields[] = {
        {"message", PG_DIAG_MESSAGE_PRIMARY}, {"detail", PG_DIAG_MESSAGE_DETAIL},      {"hint", PG_DIAG_MESSAGE_HINT},
        {"sqlstate", PG_DIAG_SQLSTATE},       {"schema", PG_DIAG_SCHEMA_NAME},         {"table", PG_DIAG_TABLE_NAME},
        {"column", PG_DIAG_COLUMN_NAME},      {"constraint", PG_DIAG_CONSTRAINT_NAME}, {"context", PG_DIAG_CONTEXT}};
    luaL_checkstack(L, 8, "error");
    db_scratch *s = db_new_scratch(L);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *code = db_code(state != NULL ? state : ""), *severity;
    severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (state != NULL && strcmp(state, "08P01") == 0 && severity != NULL && strcmp(severity, "ERROR") == 0) {
        code = "db_query"; /* the wrong number of parameters; the session goes on */
    }
    lua_createtable(L, 0, 12);
    lua_pushstring(L, code);
    lua_setfield(L, -2, "code");
    set_masked(L, h, s, "message", "the statement failed");
    set_masked(L, h, s, "message", PQresultErrorMessage(res));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        set_masked(L, h, s, fields[i].key, PQresultErrorField(res, fields[i].field));
    }
    const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    if (position != NULL) {
        lua_pushinteger(L, (lua_Integer)strtoll(position, NULL, 10));
        lua_setfield(L, -2, "position");
    }
    if (sql != NULL) {
        set_query(L, sql);
    }
    const char *fix =
        fix_for(h->conn, state != NULL ? state : "", code, PQresultErrorField(res, PG_DIAG_MESSAGE_HINT) != NULL);
    if (fix != NULL) {
        lua_pushstring(L, fix);
        lua_setfield(L, -2, "fix");
    }
    luax_mark_error(L);
    lua_remove(L, -2);
}
