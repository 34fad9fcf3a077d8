/* luax.h: what every binding needs at the C–Lua boundary: structured errors, classes, table arguments.
 *
 * Marks as in the Lua manual section 4.6: [-pops, +pushes, e]; e: '-' never raises, 'm' memory only, 'v' always or on
 * purpose. */
#ifndef GE_VM_LUAX_H
#define GE_VM_LUAX_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define LUAX_ERROR "gate.error"
/* registry[LUAX_TASKS] is {coroutine = true}, keys weak: those that engine.task resumes, and nobody else may. A C
 * function that waits in one keeps pointers to its stack. */
#define LUAX_TASKS "gate.task.threads"
#define LUAX_EXPORT __attribute__((visibility("default")))

/* Pushes {code=, message=, detail=, fix=} with the shared metatable "gate.error", whose __tostring joins them.
 * [-0, +1, m] */
void luax_push_error(lua_State *L, const err *e);
/* Gives the table on top the "gate.error" metatable, for errors with more fields. [-0, +0, m] */
void luax_mark_error(lua_State *L);
/* Is the value such a table? [-0, +0, -] */
bool luax_is_error(lua_State *L, int idx);
/* Raises. Declared int so that `return luax_raise(L, &e)` reads well. [-0, +0, v] */
int luax_raise(lua_State *L, const err *e);
int luax_fail(lua_State *L, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int luax_fail_fix(lua_State *L, const char *code, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Makes the metatable `name` once per state: __index = methods, __name = name, __metatable = false (a script cannot
 * reach it). `meta` may be NULL. [-0, +0, m] */
void luax_class(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);
/* A userdata of that class, zeroed, its metatable set: acquire the resource after this. [-0, +1, m] */
void *luax_new(lua_State *L, const char *name, size_t size, int user_values);
/* The userdata at idx, or an error "FN: expected NAME, got TYPE". [-0, +0, v] */
void *luax_check(lua_State *L, int idx, const char *name, const char *fn);

/* Reading options out of the table at `tab` (raw access). Each error reads `FN: option "KEY": expected X, got Y` and
 * has code "bad_argument". luax_opt_* take the default where the option is absent; luax_req_string raises. A string
 * stays valid while the table holds it. [-0, +0, v] */
void luax_check_table(lua_State *L, int tab, const char *fn);
const char *luax_opt_string(lua_State *L, int tab, const char *fn, const char *key, size_t *len, const char *def);
const char *luax_req_string(lua_State *L, int tab, const char *fn, const char *key, size_t *len);
lua_Integer luax_opt_integer(lua_State *L, int tab, const char *fn, const char *key, lua_Integer min, lua_Integer max,
                             lua_Integer def);
double luax_opt_number(lua_State *L, int tab, const char *fn, const char *key, double min, double max, double def);
bool luax_opt_boolean(lua_State *L, int tab, const char *fn, const char *key, bool def);
/* Pushes the option and returns its type; anything but `type` or nil raises. [-0, +1, v] */
int luax_opt_value(lua_State *L, int tab, const char *fn, const char *key, int type);
/* Refuses keys which are not in `names` (NULL-ended), with the nearest one named. [-0, +0, v] */
void luax_only_keys(lua_State *L, int tab, const char *fn, const char *const *names);

#endif
