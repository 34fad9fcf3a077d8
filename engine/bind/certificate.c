#include "bind/certificate.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include <time.h>

static void set_time(lua_State *L, const char *key, int64_t at) { /* [-0, +0, m] */
    time_t t = (time_t)at;
    struct tm tm;
    char text[32];
    if (gmtime_r(&t, &tm) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, key);
    }
}

void certificate_push(lua_State *L, const certificate *cert) {
    luaL_checkstack(L, 4, "certificate");
    lua_createtable(L, 0, 6);
    lua_pushstring(L, cert->subject);
    lua_setfield(L, -2, "subject");
    lua_pushstring(L, cert->issuer);
    lua_setfield(L, -2, "issuer");
    lua_newtable(L);
    lua_Integer n = 0;
    for (const char *at = cert->chain; *at != '\0';) {
        size_t line = strcspn(at, "\n");
        lua_pushlstring(L, at, line);
        lua_rawseti(L, -2, ++n);
        at += line + (at[line] != '\0' ? 1 : 0);
    }
    lua_setfield(L, -2, "chain");
    set_time(L, "not_before", cert->not_before);
    set_time(L, "not_after", cert->not_after);
    lua_pushinteger(L, (lua_Integer)floor((double)(cert->not_after - (int64_t)time(NULL)) / 86400.0));
    lua_setfield(L, -2, "days_left");
}
