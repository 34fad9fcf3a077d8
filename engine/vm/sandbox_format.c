/* sandbox_format.c: string.format for values that are numbers without being Lua numbers (gate.decimal). A numeric
 * directive gets what their metatable's __tonumber gives; %s and %q keep showing them exactly. */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <string.h>

#include "vm/vm_internal.h"

/* The conversion letter of the directive at *p (which points behind its '%'), *p moved behind it. Lua 5.4 manual,
 * string.format: flags, width and precision as in ISO C. */
static char next_conversion(const char **p, const char *end) {
    while (*p < end && strchr("-+ #0123456789.", **p) != NULL && **p != '\0') {
        (*p)++;
    }
    return *p < end ? *(*p)++ : '\0';
}

/* [-0, +n, v]; upvalue 1: Lua's own string.format */
static int format(lua_State *L) {
    int n = lua_gettop(L);
    size_t len = 0;
    const char *p = luaL_checklstring(L, 1, &len);
    const char *end = p + len;
    int arg = 1;
    while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
        p++;
        char conversion = next_conversion(&p, end);
        if (conversion == '%' || conversion == '\0') {
            continue;
        }
        arg++;
        bool numeric = strchr("diuoxXcaAeEfFgG", conversion) != NULL;
        if (numeric && arg <= n && lua_type(L, arg) == LUA_TUSERDATA &&
            luaL_getmetafield(L, arg, "__tonumber") != LUA_TNIL) {
            lua_pushvalue(L, arg);
            lua_call(L, 1, 1);
            lua_replace(L, arg);
        }
    }
    /* In this same call frame, so that its errors name the caller's line. */
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void sandbox_number_format(lua_State *L, int libs) {
    lua_getfield(L, libs, "string");
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, format, 1);
    lua_setfield(L, -2, "format");
    lua_pop(L, 1);
}
