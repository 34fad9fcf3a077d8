#include "vm/luax_work.h"

#define WORK "gate.work"

static int work_gc(lua_State *L) { /* [-1, +0, -] */
    work_free(lua_touserdata(L, 1));
    return 0;
}

void work_class(lua_State *L) {
    static const luaL_Reg METHODS[] = {{NULL, NULL}};
    static const luaL_Reg META[] = {{"__gc", work_gc}, {NULL, NULL}};
    luax_class(L, WORK, METHODS, META);
}

work *work_new(lua_State *L) {
    return luax_new(L, WORK, sizeof(work), 0);
}

void work_free(work *w) {
    json_decref(w->value);
    w->value = NULL;
    buf_free(&w->text);
}

int work_fail(lua_State *L, work *w, const err *e) {
    work_free(w);
    return luax_raise(L, e);
}

int work_push(lua_State *L, work *w) {
    lua_pushlstring(L, buf_str(&w->text), w->text.len);
    work_free(w);
    return 1;
}
