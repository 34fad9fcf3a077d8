/* JSON into Lua and back: what comes back is what went in, and its canonical bytes are the same on both sides. */
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

/* The canonical bytes without a tree are those of the tree, unless it is nested deeper than a Lua value may be. */
static void same_bytes(const json_t *value) {
    err e, other;
    buf direct = BUF_INIT, by_tree = BUF_INIT;
    int rc = conv_canonical(state, 1, &direct, &e);
    PROMISE(lua_gettop(state) == 1);
    if (rc != 0 && strcmp(e.code, "json_number") != 0) {
        PROMISE(strcmp(e.code, "value_depth") == 0 || strcmp(e.code, "value_size") == 0);
    } else {
        PROMISE(canon_value(&by_tree, value, &other) == rc);
        PROMISE(rc != 0 || strcmp(buf_str(&direct), buf_str(&by_tree)) == 0);
    }
    buf_free(&direct);
    buf_free(&by_tree);
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
        same_bytes(value);
        json_decref(value);
        lua_settop(state, 0);
        lua_gc(state, LUA_GCCOLLECT,
               0); /* what an input leaves behind makes the fuzzer look for leaks, which takes long */
    } else {
        PROMISE(e.code[0] != '\0' && e.message[0] != '\0');
    }
    return 0;
}
