/* JSON into Lua and back: what comes back is what went in. */
#include <lauxlib.h>
#include <string.h>

#include "base/canon.h"
#include "promise.h"
#include "vm/conv.h"

static lua_State *state;

static int push(lua_State *L) {
    conv_push_json(L, lua_touserdata(L, 1));
    return 1;
}

/* Is there an object in it whose keys Lua would take for something else, or a text JSON has and C texts have not? None
 * is: keys stay texts. An object without keys and an array are told apart by their mark. */
static void there_and_back(const json_t *value) {
    err e;
    lua_settop(state, 0);
    lua_pushcfunction(state, push);
    lua_pushlightuserdata(state, (void *)value);
    PROMISE(lua_pcall(state, 1, 1, 0) == LUA_OK);
    conv_limits lim = CONV_DEFAULT;
    lim.depth = 200;
    json_t *back = conv_to_json(state, 1, &lim, &e);
    PROMISE(lua_gettop(state) == 1);
    if (back == NULL) {
        PROMISE(strcmp(e.code, "value_depth") == 0 || strcmp(e.code, "value_size") == 0);
        return;
    }
    PROMISE(json_equal(value, back));
    json_decref(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    err e;
    if (state == NULL) {
        state = luaL_newstate();
        PROMISE(state != NULL);
    }
    json_t *value = canon_parse((const char *)data, n, &e);
    if (value != NULL) {
        there_and_back(value);
        json_decref(value);
        lua_settop(state, 0);
        lua_gc(state, LUA_GCCOLLECT,
               0); /* what an input leaves behind makes the fuzzer look for leaks, which takes long */
    } else {
        PROMISE(e.code[0] != '\0' && e.message[0] != '\0');
    }
    return 0;
}
