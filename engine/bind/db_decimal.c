/* gate.decimal: a numeric that no Lua number holds exactly. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bind/db_bind.h"
#include "prim/db_decimal.h"

const char *db_decimal_text(lua_State *L, int idx) {
    return luaL_testudata(L, idx, DB_DECIMAL);
}

void db_push_numeric(lua_State *L, const char *text) {
    decimal d;
    int64_t i;
    double f;
    if (decimal_read(text, &d) != 0) { /* NaN, Infinity, -Infinity */
        lua_pushnumber(L, strtod(text, NULL));
    } else if (decimal_int64(&d, &i)) {
        lua_pushinteger(L, (lua_Integer)i);
    } else if (decimal_double(&d, text, &f)) {
        lua_pushnumber(L, f);
    } else {
        size_t n = strlen(text) + 1;
        memcpy(luax_new(L, DB_DECIMAL, n, 0), text, n);
    }
}

/* An operand as a decimal; its digits go to scratch when it is a number. False: not finite, *f says which. */
static bool operand(lua_State *L, int idx, char scratch[DECIMAL_DOUBLE_MAX], decimal *out, double *f) {
    const char *text = db_decimal_text(L, idx);
    if (text == NULL && lua_type(L, idx) != LUA_TNUMBER) {
        luax_fail(L, "bad_argument", "a decimal can only be used with numbers and decimals, got %s",
                  luaL_typename(L, idx));
    }
    if (text == NULL && lua_isinteger(L, idx)) {
        lua_Integer v = lua_tointeger(L, idx);
        lua_Unsigned u = v < 0 ? 0u - (lua_Unsigned)v : (lua_Unsigned)v;
        char *s = scratch + 24;
        *s = '\0';
        do {
            *--s = (char)('0' + u % 10);
            u /= 10;
        } while (u > 0);
        if (v < 0) {
            *--s = '-';
        }
        text = s;
    } else if (text == NULL) {
        *f = lua_tonumber(L, idx);
        if (!isfinite(*f)) {
            return false;
        }
        decimal_of_double(*f, scratch);
        text = scratch;
    }
    if (decimal_read(text, out) != 0) {
        luax_fail(L, "bad_argument", "not a decimal");
    }
    return true;
}

/* -1, 0, 1; 2 when an operand is NaN. */
static int compare(lua_State *L) {
    char a_text[DECIMAL_DOUBLE_MAX];
    char b_text[DECIMAL_DOUBLE_MAX];
    decimal a, b;
    double f = 0;
    if (!operand(L, 1, a_text, &a, &f)) {
        return isnan(f) ? 2 : f < 0 ? -1 : 1;
    }
    if (!operand(L, 2, b_text, &b, &f)) {
        return isnan(f) ? 2 : f < 0 ? 1 : -1;
    }
    return decimal_compare(&a, &b);
}

static int m_lt(lua_State *L) {
    lua_pushboolean(L, compare(L) == -1);
    return 1;
}

static int m_le(lua_State *L) {
    int c = compare(L);
    lua_pushboolean(L, c == -1 || c == 0);
    return 1;
}

static int m_eq(lua_State *L) {
    bool both = db_decimal_text(L, 1) != NULL && db_decimal_text(L, 2) != NULL;
    lua_pushboolean(L, both && compare(L) == 0);
    return 1;
}

/* Both operands as Lua numbers on top, for lua_arith. */
static int arith(lua_State *L, int op) {
    for (int i = 1; i <= 2; i++) {
        const char *text = db_decimal_text(L, i);
        if (text != NULL) {
            lua_pushnumber(L, strtod(text, NULL));
        } else if (lua_type(L, i) == LUA_TNUMBER) {
            lua_pushvalue(L, i);
        } else {
            return luax_fail(L, "bad_argument", "a decimal can only be used with numbers and decimals, got %s",
                             luaL_typename(L, i));
        }
    }
    lua_arith(L, op);
    return 1;
}

static int m_add(lua_State *L) {
    return arith(L, LUA_OPADD);
}
static int m_sub(lua_State *L) {
    return arith(L, LUA_OPSUB);
}
static int m_mul(lua_State *L) {
    return arith(L, LUA_OPMUL);
}
static int m_div(lua_State *L) {
    return arith(L, LUA_OPDIV);
}
static int m_mod(lua_State *L) {
    return arith(L, LUA_OPMOD);
}
static int m_pow(lua_State *L) {
    return arith(L, LUA_OPPOW);
}
static int m_idiv(lua_State *L) {
    return arith(L, LUA_OPIDIV);
}

static int m_unm(lua_State *L) {
    const char *text = luax_check(L, 1, DB_DECIMAL, "decimal");
    lua_pushnumber(L, -strtod(text, NULL));
    return 1;
}

static int m_tostring(lua_State *L) {
    lua_pushstring(L, luax_check(L, 1, DB_DECIMAL, "tostring"));
    return 1;
}

static int m_tonumber(lua_State *L) {
    lua_pushnumber(L, strtod(luax_check(L, 1, DB_DECIMAL, "decimal:tonumber"), NULL));
    return 1;
}

static int m_concat(lua_State *L) {
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

void db_decimal_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"tonumber", m_tonumber}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__lt", m_lt},
                                    {"__le", m_le},
                                    {"__eq", m_eq},
                                    {"__add", m_add},
                                    {"__sub", m_sub},
                                    {"__mul", m_mul},
                                    {"__div", m_div},
                                    {"__mod", m_mod},
                                    {"__pow", m_pow},
                                    {"__idiv", m_idiv},
                                    {"__unm", m_unm},
                                    {"__concat", m_concat},
                                    {"__tostring", m_tostring},
                                    {"__tonumber", m_tonumber}, /* for string.format, see vm/sandbox_format.c */
                                    {NULL, NULL}};
    luax_class(L, DB_DECIMAL, methods, meta);
}
