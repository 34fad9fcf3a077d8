/* What a database server sends as text: arrays, times, numerics, names of columns, values of every type that is read.
 * The input: one byte for the type, then the text; and the same bytes as SQL and as a literal that is quoted. */
#include <libpq-fe.h>
#include <math.h>
#include <string.h>

#include "bind/db_bind.h"
#include "prim/db_decimal.h"
#include "prim/db_text.h"
#include "promise.h"

LUAX_EXPORT int luaopen_engine_db(lua_State *L);

static lua_State *state;

static void array_pieces(const char *text) {
    db_array a;
    buf item = BUF_INIT;
    int depth = 0;
    db_array_start(&a, text);
    for (;;) {
        db_array_piece piece = db_array_next(&a, &item);
        depth += piece == DB_ARRAY_OPEN ? 1 : piece == DB_ARRAY_CLOSE ? -1 : 0;
        PROMISE(depth >= 0 && depth <= 6);
        if (piece == DB_ARRAY_END || piece == DB_ARRAY_BAD) {
            PROMISE(piece == DB_ARRAY_BAD || depth == 0);
            break;
        }
    }
    buf_free(&item);
}

/* What is quoted comes back as it was. */
static void quoted(const char *text, size_t n) {
    buf literal = BUF_INIT;
    buf item = BUF_INIT;
    db_array a;
    PROMISE(buf_putc(&literal, '{') == 0 && db_array_quote(&literal, text, n) == 0 && buf_putc(&literal, '}') == 0);
    db_array_start(&a, buf_str(&literal));
    PROMISE(db_array_next(&a, &item) == DB_ARRAY_OPEN && db_array_next(&a, &item) == DB_ARRAY_ITEM);
    PROMISE(item.len == n && memcmp(buf_str(&item), text, n) == 0);
    PROMISE(db_array_next(&a, &item) == DB_ARRAY_CLOSE && db_array_next(&a, &item) == DB_ARRAY_END);
    buf_free(&item);
    buf_free(&literal);
}

static void number(const char *text) {
    decimal d;
    int64_t whole;
    double v;
    if (decimal_read(text, &d) != 0) {
        return;
    }
    PROMISE(decimal_compare(&d, &d) == 0);
    if (decimal_int64(&d, &whole)) {
        PROMISE(d.n_fraction == 0);
    }
    if (decimal_double(&d, text, &v)) {
        char digits[DECIMAL_DOUBLE_MAX];
        decimal exact;
        decimal_of_double(v, digits);
        PROMISE(isfinite(v) && decimal_read(digits, &exact) == 0 && decimal_compare(&d, &exact) == 0);
    }
}

static void when(const char *text) {
    char out[DB_RFC3339_MAX];
    if (db_rfc3339(text, out) == 0) {
        size_t n = strlen(out);
        PROMISE(n >= 20 && n < DB_RFC3339_MAX && out[10] == 'T' && out[n - 1] == 'Z');
    }
}

/* lua_CFunction(result as light userdata): as query, row and value read it. */
static int read_result(lua_State *L) {
    const PGresult *res = lua_touserdata(L, 1);
    db_push_rows(L, res);
    db_push_row(L, res, 0);
    db_push_first(L, res, 0);
    return 0;
}

static void result(unsigned char kind, char *text, size_t n) {
    static const Oid TYPES[] = {16,   17,   20,   21,   23,   25,   26,   114,  700, 701,  1184, 1700,
                                3802, 1000, 1001, 1016, 1009, 1231, 1185, 3807, 199, 1042, 2950, 0};
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc column = {.name = text, .typid = TYPES[kind % (sizeof TYPES / sizeof TYPES[0])], .format = 0};
    PROMISE(res != NULL && PQsetResultAttrs(res, 1, &column) != 0 && PQsetvalue(res, 0, 0, text, (int)n) != 0);
    lua_settop(state, 0);
    lua_pushcfunction(state, read_result);
    lua_pushlightuserdata(state, res);
    if (lua_pcall(state, 1, 0, 0) != LUA_OK) {
        PROMISE(luax_is_error(state, -1));
    }
    PQclear(res);
    lua_settop(state, 0);
    lua_gc(state, LUA_GCCOLLECT, 0); /* what an input leaves behind makes the fuzzer look for leaks, which takes long */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (state == NULL) {
        state = luaL_newstate();
        PROMISE(state != NULL);
        lua_pushcfunction(state, luaopen_engine_db);
        PROMISE(lua_pcall(state, 0, 1, 0) == LUA_OK);
    }
    if (n == 0) {
        return 0;
    }
    char *text = malloc(n);
    PROMISE(text != NULL);
    memcpy(text, data + 1, n - 1);
    text[n - 1] = '\0';
    size_t len = strlen(text);
    array_pieces(text);
    quoted(text, len);
    number(text);
    when(text);
    PROMISE(!(db_is_copy(text) && db_is_tx_control(text)));
    PROMISE(!db_is_tx_control(text) || db_may_control_tx(text));
    PROMISE(!(db_is_setting(text) && db_is_tx_control(text)));
    PROMISE(db_code(text) != NULL);
    result(data[0], text, len);
    free(text);
    return 0;
}
