/* lua_support.h: a Lua state with this build's modules whose memory runs out when a test says so. */
#ifndef GE_TESTS_LUA_SUPPORT_H
#define GE_TESTS_LUA_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/paths.h"

/* Allocations of Lua's until they fail, and then fail until the call is over (Lua collects and tries again); below 0 =
 * never. */
static long lua_left = -1;
static bool reached; /* an allocation failed */

static void *lua_alloc(void *ud, void *p, size_t old, size_t n) {
    (void)ud;
    if (n == 0) {
        free(p);
        return NULL;
    }
    /* Lua relies on shrinking never to fail. */
    if ((p == NULL || n > old) && lua_left >= 0 && lua_left-- == 0) {
        lua_left = 0;
        reached = true;
        return NULL;
    }
    return realloc(p, n);
}

/* The caller closes it. */
static lua_State *open_state(void) {
    lua_State *L = lua_newstate(lua_alloc, NULL);
    assert_non_null(L);
    luaL_openlibs(L);
    paths p;
    err e;
    assert_int_equal(paths_find(&p, &e), 0);
    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/?.so", p.modules);
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);
    paths_free(&p);
    return L;
}

#endif
