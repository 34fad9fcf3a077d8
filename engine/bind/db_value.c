/* Values: parameters on their way to the server, results on their way to Lua. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bind/db_bind.h"
#include "prim/db_text.h"
#include "vm/conv.h"

/* Type OIDs of pg_type.dat; fixed for ever, since clients depend on them. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_JSONB = 3802
};

static const struct {
    const char *name;
    Oid element, array;
} ARRAYS[] = {{"bool", OID_BOOL, 1000},
              {"boolean", OID_BOOL, 1000},
              {"bytea", OID_BYTEA, 1001},
              {"char", 18, 1002},
              {"name", 19, 1003},
              {"int2", OID_INT2, 1005},
              {"smallint", OID_INT2, 1005},
              {"int4", OID_INT4, 1007},
              {"integer", OID_INT4, 1007},
              {"int8", OID_INT8, 1016},
              {"bigint", OID_INT8, 1016},
              {"text", 25, 1009},
              {"bpchar", 1042, 1014},
              {"varchar", 1043, 1015},
              {"oid", OID_OID, 1028},
              {"float4", OID_FLOAT4, 1021},
              {"real", OID_FLOAT4, 1021},
              {"float8", OID_FLOAT8, 1022},
              {"double precision", OID_FLOAT8, 1022},
              {"numeric", OID_NUMERIC, 1231},
              {"date", 1082, 1182},
              {"time", 1083, 1183},
              {"timestamp", 1114, 1115},
              {"timestamptz", OID_TIMESTAMPTZ, 1185},
              {"interval", 1186, 1187},
              {"uuid", 2950, 2951},
              {"inet", 869, 1041},
              {"cidr", 650, 651},
              {"json", OID_JSON, 199},
              {"jsonb", OID_JSONB, 3807},
              {"regclass", 2205, 2210},
              {"regtype", 2206, 2211},
              {"aclitem", 1033, 1034}};
#define N_ARRAYS (sizeof ARRAYS / sizeof ARRAYS[0])

typedef struct param { /* db.json, db.array, db.bytea; user value 1 is the string to send */
    Oid type;
    int format;
} param;

/* ---- to the server */

/* The value at idx as the text PostgreSQL reads, replacing it in place; its length in *n. [-0, +0, v] */
static const char *scalar_text(lua_State *L, const char *fn, int idx, size_t *n) {
    char number[40];
    switch (lua_type(L, idx)) {
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, idx) ? "t" : "f");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx)) {
            snprintf(number, sizeof number, "%lld", (long long)lua_tointeger(L, idx));
        } else {
            double d = lua_tonumber(L, idx);
            snprintf(number, sizeof number, "%.17g", d);
            if (!isfinite(d)) {
                snprintf(number, sizeof number, "%s", isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity");
            }
        }
        lua_pushstring(L, number);
        break;
    case LUA_TSTRING:
        lua_pushvalue(L, idx);
        break;
    case LUA_TUSERDATA:
        if (luaL_testudata(L, idx, DB_PARAM) != NULL) {
            lua_getiuservalue(L, idx, 1);
            break;
        }
        if (db_decimal_text(L, idx) != NULL) {
            lua_pushstring(L, db_decimal_text(L, idx));
            break;
        }
        /* fall through */
    default:
        luax_fail_fix(L, "bad_argument", "pass tables as db.json(t) or db.array(t)",
                      "%s: a parameter must be nil, a boolean, a number, a string or made by db.*, got %s", fn,
                      luaL_typename(L, idx));
    }
    lua_replace(L, idx);
    return lua_tolstring(L, idx, n);
}

const char *db_check_sql(lua_State *L, const char *fn, int idx) {
    size_t n = 0;
    const char *sql = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &n) : NULL;
    if (sql == NULL) {
        luax_fail(L, "bad_argument", "%s: expected a string, got %s", fn, luaL_typename(L, idx));
    }
    if (strlen(sql) != n) {
        luax_fail(L, "bad_argument", "%s: the string has a NUL byte", fn);
    }
    return sql;
}

static void set_param(lua_State *L, const char *fn, db_box *b, int i, int idx) {
    int type = lua_type(L, idx);
    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, idx) == NULL)) {
        return; /* NULL */
    }
    const param *p = luaL_testudata(L, idx, DB_PARAM);
    if (p != NULL) {
        b->types[i] = p->type;
        b->formats[i] = p->format;
    }
    bool binary = p != NULL && p->format == 1;
    size_t n;
    const char *s = scalar_text(L, fn, idx, &n);
    if (!binary && memchr(s, '\0', n) != NULL) {
        luax_fail_fix(L, "bad_argument", "pass bytes as db.bytea(s)", "%s: parameter $%d: a text has no NUL bytes", fn,
                      i + 1);
    }
    if (n > 0x3fffffff) {
        luax_fail(L, "bad_argument", "%s: parameter $%d is over 1 GB", fn, i + 1);
    }
    b->values[i] = s;
    b->lengths[i] = (int)n;
}

db_box *db_new_box(lua_State *L, const char *fn, int sql_idx, int first, int n) {
    const char *sql = db_check_sql(L, fn, sql_idx);
    if (db_is_copy(sql)) {
        luax_fail_fix(L, "bad_argument", "use connection:copy_out or connection:copy_in",
                      "%s: COPY is not possible here", fn);
    }
    if (n > 65535) {
        luax_fail(L, "bad_argument", "%s: at most 65535 parameters, got %d", fn, n);
    }
    luaL_checkstack(L, 8, fn);
    size_t count = (size_t)n;
    db_box *b =
        luax_new(L, DB_BOX, sizeof *b + count * (sizeof *b->values + sizeof *b->types + 2 * sizeof *b->lengths), 1);
    int box = lua_gettop(L);
    b->values = (const char **)(b + 1);
    b->types = (Oid *)(b->values + count);
    b->lengths = (int *)(b->types + count);
    b->formats = b->lengths + count;
    b->stmt = (db_stmt){sql, n, b->types, b->values, b->lengths, b->formats};
    lua_createtable(L, n + 1, 0);
    lua_pushvalue(L, sql_idx);
    lua_rawseti(L, -2, n + 1);
    for (int i = 0; i < n; i++) {
        lua_pushvalue(L, first + i);
        set_param(L, fn, b, i, lua_gettop(L));
        lua_rawseti(L, box + 1, i + 1);
    }
    lua_setiuservalue(L, box, 1);
    return b;
}

/* The string on top becomes a parameter of that type. [-1, +1, m] */
static void push_param(lua_State *L, Oid type, int format) {
    param *p = luax_new(L, DB_PARAM, sizeof *p, 1);
    p->type = type;
    p->format = format;
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
}

static int append(const char *bytes, size_t n, void *to) {
    return buf_append(to, bytes, n);
}

static int f_json(lua_State *L) {
    luaL_checkany(L, 1);
    db_scratch *s = db_new_scratch(L);
    err e;
    s->json = conv_to_json(L, 1, NULL, &e);
    if (s->json == NULL) {
        return luax_raise(L, &e);
    }
    if (json_dump_callback(s->json, append, &s->text, JSON_ENCODE_ANY | JSON_COMPACT) != 0) {
        return luax_fail(L, "out_of_memory", "db.json: out of memory");
    }
    lua_pushlstring(L, buf_str(&s->text), s->text.len);
    push_param(L, 0, 0);
    return 1;
}

static int f_bytea(lua_State *L) {
    if (lua_type(L, 1) != LUA_TSTRING) {
        return luax_fail(L, "bad_argument", "db.bytea: expected a string, got %s", luaL_typename(L, 1));
    }
    lua_settop(L, 1);
    push_param(L, OID_BYTEA, 1);
    return 1;
}

static void append_hex(buf *out, const char *s, size_t n) {
    static const char digits[] = "0123456789abcdef";
    buf_puts(out, "\"\\\\x");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        buf_putc(out, digits[c >> 4]);
        buf_putc(out, digits[c & 15]);
    }
    buf_putc(out, '"');
}

/* Appends the list at idx as an array literal; lists inside make more dimensions. [-0, +0, v] */
static void append_array(lua_State *L, int idx, buf *out, int depth) {
    if (depth > 6) {
        luax_fail(L, "bad_argument", "db.array: at most 6 dimensions");
    }
    luaL_checkstack(L, 8, "db.array");
    lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
    lua_Integer keys = 0;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        keys++;
    }
    if (keys != n) {
        luax_fail_fix(L, "bad_argument", "write db.null for NULL elements",
                      "db.array: expected a list without holes and other keys");
    }
    buf_putc(out, '{');
    for (lua_Integer i = 1; i <= n; i++) {
        buf_puts(out, i > 1 ? "," : "");
        lua_rawgeti(L, idx, i);
        int at = lua_gettop(L);
        const param *p = luaL_testudata(L, at, DB_PARAM);
        if (lua_type(L, at) == LUA_TTABLE) {
            append_array(L, at, out, depth + 1);
        } else if (lua_type(L, at) == LUA_TLIGHTUSERDATA && lua_touserdata(L, at) == NULL) {
            buf_puts(out, "NULL");
        } else {
            bool bytes = p != NULL && p->format == 1;
            size_t len;
            const char *s = scalar_text(L, "db.array", at, &len);
            if (bytes) {
                append_hex(out, s, len);
            } else {
                db_array_quote(out, s, len);
            }
        }
        lua_pop(L, 1);
    }
    if (buf_putc(out, '}') != 0) {
        luax_fail(L, "out_of_memory", "db.array: out of memory");
    }
}

static int f_array(lua_State *L) {
    if (lua_type(L, 1) != LUA_TTABLE) {
        return luax_fail(L, "bad_argument", "db.array: expected a list, got %s", luaL_typename(L, 1));
    }
    Oid type = 0;
    if (!lua_isnoneornil(L, 2)) {
        const char *name = db_check_sql(L, "db.array: element type", 2);
        for (size_t i = 0; i < N_ARRAYS && type == 0; i++) {
            type = strcmp(ARRAYS[i].name, name) == 0 ? ARRAYS[i].array : 0;
        }
        if (type == 0) {
            return luax_fail_fix(L, "bad_argument", "leave the type out and write a cast in the SQL, as in $1::mood[]",
                                 "db.array: unknown element type \"%s\"", name);
        }
    }
    lua_settop(L, 1);
    db_scratch *s = db_new_scratch(L);
    append_array(L, 1, &s->text, 1);
    lua_pushlstring(L, buf_str(&s->text), s->text.len);
    push_param(L, type, 0);
    return 1;
}

/* ---- from the server */

static int bad_value(lua_State *L, const char *fix, const char *what) {
    return luax_fail_fix(L, "db_value", fix, "a %s of the result cannot be read", what);
}

static void push_json(lua_State *L, db_scratch *s, const char *text, size_t n) {
    json_error_t why;
    json_decref(s->json);
    s->json = mem_json(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (s->json == NULL) {
        luax_fail_fix(L, "db_value", "select it as text (column::text)",
                      "a json value of the result cannot be read: %s", why.text);
    }
    conv_push_json(L, s->json);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool is_octal(char c) {
    return c >= '0' && c <= '7';
}

/* bytea_output hex or escape (PostgreSQL manual, 8.4). */
static void push_bytea(lua_State *L, const char *s, size_t n) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    if (n >= 2 && s[0] == '\\' && s[1] == 'x') {
        for (size_t i = 2; i + 1 < n; i += 2) {
            int high = hex_digit(s[i]);
            int low = hex_digit(s[i + 1]);
            if (high < 0 || low < 0) {
                bad_value(L, "ask another server: this one sends what is no bytea", "bytea");
            }
            luaL_addchar(&b, (char)(high * 16 + low));
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            if (s[i] != '\\') {
                luaL_addchar(&b, s[i]);
            } else if (i + 1 < n && s[i + 1] == '\\') {
                luaL_addchar(&b, s[++i]);
            } else if (i + 3 < n && is_octal(s[i + 1]) && is_octal(s[i + 2]) && is_octal(s[i + 3])) {
                luaL_addchar(&b, (char)((s[i + 1] - '0') * 64 + (s[i + 2] - '0') * 8 + (s[i + 3] - '0')));
                i += 3;
            } else {
                bad_value(L, "ask another server: this one sends what is no bytea", "bytea");
            }
        }
    }
    luaL_pushresult(&b);
}

static void push_timestamp(lua_State *L, const char *text, size_t n) {
    char out[DB_RFC3339_MAX];
    int r = db_rfc3339(text, out);
    if (r < 0) {
        bad_value(L, "leave DateStyle at ISO", "timestamptz");
    }
    if (r == 0) {
        lua_pushstring(L, out);
    } else {
        lua_pushlstring(L, text, n);
    }
}

static Oid element_of(Oid array) {
    for (size_t i = 0; i < N_ARRAYS; i++) {
        if (ARRAYS[i].array == array) {
            return ARRAYS[i].element;
        }
    }
    return 0;
}

static void push_array(lua_State *L, db_scratch *s, Oid element, const char *text);

static void push_text(lua_State *L, db_scratch *s, Oid type, const char *text, size_t n) {
    switch (type) {
    case OID_BOOL:
        lua_pushboolean(L, text[0] == 't');
        return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        lua_pushinteger(L, (lua_Integer)strtoll(text, NULL, 10));
        return;
    case OID_FLOAT4:
    case OID_FLOAT8:
        lua_pushnumber(L, strtod(text, NULL));
        return;
    case OID_NUMERIC:
        db_push_numeric(L, text);
        return;
    case OID_JSON:
    case OID_JSONB:
        push_json(L, s, text, n);
        return;
    case OID_BYTEA:
        push_bytea(L, text, n);
        return;
    case OID_TIMESTAMPTZ:
        push_timestamp(L, text, n);
        return;
    default:
        break;
    }
    Oid element = element_of(type);
    if (element != 0) {
        push_array(L, s, element, text);
    } else {
        lua_pushlstring(L, text, n);
    }
}

/* Each open dimension is a table on the stack with its count in `filled`. */
static void push_array(lua_State *L, db_scratch *s, Oid element, const char *text) {
    luaL_checkstack(L, 16, "array");
    int filled[8] = {0};
    int depth = 0;
    db_array a;
    db_array_start(&a, text);
    for (;;) {
        switch (db_array_next(&a, &s->text)) {
        case DB_ARRAY_OPEN:
            lua_newtable(L);
            filled[++depth] = 0;
            continue;
        case DB_ARRAY_CLOSE:
            if (filled[depth] == 0) {
                conv_push_array_meta(L);
                lua_setmetatable(L, -2);
            }
            if (--depth == 0) {
                continue;
            }
            break;
        case DB_ARRAY_NULL:
            lua_pushlightuserdata(L, NULL);
            break;
        case DB_ARRAY_ITEM:
            push_text(L, s, element, buf_str(&s->text), s->text.len);
            break;
        case DB_ARRAY_END:
            return;
        case DB_ARRAY_BAD:
            bad_value(L, "select it as text (column::text)", "array");
        }
        lua_rawseti(L, -2, ++filled[depth]);
    }
}

static void push_field(lua_State *L, db_scratch *s, const PGresult *res, int row, int col) {
    if (PQgetisnull(res, row, col)) {
        lua_pushnil(L);
    } else {
        push_text(L, s, PQftype(res, col), PQgetvalue(res, row, col), (size_t)PQgetlength(res, row, col));
    }
}

/* A row as a table; `names` is the index of the list of column names. [-0, +1, v] */
static void push_named(lua_State *L, db_scratch *s, const PGresult *res, int row, int names) {
    int n = PQnfields(res);
    lua_createtable(L, 0, n);
    for (int col = 0; col < n; col++) {
        lua_rawgeti(L, names, col + 1);
        push_field(L, s, res, row, col);
        lua_rawset(L, -3);
    }
}

static void push_names(lua_State *L, const PGresult *res) {
    int n = PQnfields(res);
    lua_createtable(L, n, 0);
    for (int col = 0; col < n; col++) {
        lua_pushstring(L, PQfname(res, col));
        lua_rawseti(L, -2, col + 1);
    }
}

void db_push_affected(lua_State *L, const PGresult *res) {
    /* Its argument is not const only for history's sake; it changes nothing. */
    lua_pushinteger(L, (lua_Integer)strtoll(PQcmdTuples((PGresult *)res), NULL, 10));
}

void db_push_rows(lua_State *L, const PGresult *res) {
    luaL_checkstack(L, 12, "rows");
    int n = PQntuples(res);
    db_scratch *s = db_new_scratch(L);
    int base = lua_gettop(L);
    lua_createtable(L, n, 3);
    push_names(L, res);
    for (int row = 0; row < n; row++) {
        push_named(L, s, res, row, base + 2);
        lua_rawseti(L, base + 1, row + 1);
    }
    lua_setfield(L, base + 1, "columns");
    lua_pushinteger(L, n);
    lua_setfield(L, base + 1, "n");
    db_push_affected(L, res);
    lua_setfield(L, base + 1, "affected");
    lua_remove(L, base);
}

void db_push_row(lua_State *L, const PGresult *res, int row) {
    luaL_checkstack(L, 12, "row");
    db_scratch *s = db_new_scratch(L);
    int base = lua_gettop(L);
    push_names(L, res);
    push_named(L, s, res, row, base + 1);
    lua_replace(L, base);
    lua_settop(L, base);
}

void db_push_first(lua_State *L, const PGresult *res, int row) {
    luaL_checkstack(L, 12, "value");
    db_scratch *s = db_new_scratch(L);
    push_field(L, s, res, row, 0);
    lua_remove(L, -2);
}

void db_value_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"json", f_json}, {"array", f_array}, {"bytea", f_bytea}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    luax_class(L, DB_PARAM, none, NULL);
    luaL_setfuncs(L, functions, 0);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
}
