#include "vm/data.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "vm/conv.h"
#include "vm/luax.h"

/* lua_CFunction(value as light userdata): apart, so that running out of memory is caught. */
static int push_json(lua_State *L) {
    conv_push_json(L, lua_touserdata(L, 1));
    return 1;
}

int vm_push_json(vm *v, const json_t *value, err *e) {
    lua_State *L = vm_lua(v);
    lua_pushcfunction(L, push_json);
    lua_pushlightuserdata(L, (void *)value);
    return vm_call(v, 1, 1, e);
}

int vm_push_script(vm *v, const char *path, const char *text, size_t n, err *e) {
    lua_State *L = vm_lua(v);
    char chunk[4200];
    vm_chunk_name(v, path != NULL ? path : "", chunk, sizeof chunk);
    if (path == NULL) {
        lua_pushnil(L);
    } else if (text == NULL) {
        return err_set(e, "script_missing", "%s: its text was not read", path);
    } else if (vm_load(v, chunk, text, n, false, e) != 0) {
        return -1;
    }
    lua_pushcfunction(L, vm_message_handler);
    return 0;
}

/* A variable that is not set is an error, so that no password is empty by accident. [-2, +1, v] */
static int config_env(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    const char *value = getenv(name);
    if (value != NULL) {
        lua_pushstring(L, value);
    } else if (lua_gettop(L) >= 2) {
        lua_settop(L, 2);
    } else {
        return luaL_error(L, "the environment variable %s is not set", name);
    }
    return 1;
}

/* The file's content without its last newline. Upvalues: the directory, the bound. [-1, +1, v] */
static int config_file(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    err e;
    buf text = BUF_INIT;
    char *path = fs_join(lua_tostring(L, lua_upvalueindex(1)), name);
    size_t max = (size_t)lua_tointeger(L, lua_upvalueindex(2));
    int rc = path != NULL ? fs_read(path, max, &text, &e) : err_set(&e, "out_of_memory", "out of memory");
    free(path);
    if (rc != 0) {
        buf_free(&text);
        luaL_where(L, 1);
        err told;
        err_set(&told, "script_error", "%s%s", lua_tostring(L, -1), e.message);
        if (strcmp(e.code, "file_not_found") == 0) {
            err_fix(
                &told,
                "correct the path, or make the file; a signing key is made by: gate-engine evidence keygen --output %s",
                name);
        }
        return luax_raise(L, &told);
    }
    size_t n = text.len;
    if (n > 0 && buf_str(&text)[n - 1] == '\n') {
        n--;
    }
    lua_pushlstring(L, buf_str(&text), n); /* may raise only for memory, which ends this child */
    buf_free(&text);
    return 1;
}

typedef struct config_place {
    const char *dir;
    size_t max;
} config_place;

/* lua_CFunction(environment, config_place as light userdata) */
static int set_config_functions(lua_State *L) {
    const config_place *place = lua_touserdata(L, 2);
    lua_pushliteral(L, "env");
    lua_pushcfunction(L, config_env);
    lua_rawset(L, 1);
    lua_pushliteral(L, "file");
    lua_pushstring(L, place->dir);
    lua_pushinteger(L, (lua_Integer)place->max);
    lua_pushcclosure(L, config_file, 2);
    lua_rawset(L, 1);
    return 0;
}

int vm_give_config_functions(vm *v, const char *dir, size_t max, err *e) {
    lua_State *L = vm_lua(v);
    config_place place = {dir, max};
    lua_pushcfunction(L, set_config_functions);
    if (lua_getupvalue(L, -2, 1) == NULL) {
        lua_pop(L, 1);
        return err_set(e, "config_error", "the configuration has no environment");
    }
    lua_pushlightuserdata(L, &place);
    return vm_call(v, 2, 0, e);
}
