/* mail.c: require "engine.mail", messages to an SMTP server (stdlib/meta/mail.lua is its reference). */
#include "prim/mail.h"

#include <curl/curl.h>
#include <math.h>
#include <string.h>

#include "bind/certificate.h"
#include "prim/crypto.h"
#include "vm/luax_work.h"

#define LIBRARY "gate.mail.library"
#define MESSAGE_MAX (16u << 20)

/* The list of strings at `key` as a NULL-ended array in a userdata, or NULL. [-0, +2, v] */
static const char *const *read_list(lua_State *L, const char *key, size_t max) {
    luaL_checkstack(L, 4, "mail.send");
    if (luax_opt_value(L, 1, "mail.send", key, LUA_TTABLE) == LUA_TNIL) {
        lua_pushnil(L);
        return NULL;
    }
    int tab = lua_gettop(L);
    lua_Unsigned n = lua_rawlen(L, tab);
    if (n == 0 || n > max) {
        luax_fail(L, "bad_argument", "mail.send: option \"%s\": expected a list of 1 to %zu strings", key, max);
    }
    const char **out = lua_newuserdatauv(L, (n + 1) * sizeof *out, 0);
    for (lua_Unsigned i = 0; i < n; i++) {
        if (lua_rawgeti(L, tab, (lua_Integer)i + 1) != LUA_TSTRING) {
            luax_fail(L, "bad_argument", "mail.send: option \"%s\": expected strings, got %s", key,
                      luaL_typename(L, -1));
        }
        out[i] = lua_tostring(L, -1); /* the list keeps it */
        lua_pop(L, 1);
    }
    out[n] = NULL;
    return out;
}

/* What goes into a command of the protocol holds no line break and no bracket, and is ASCII: no SMTPUTF8 is asked for.
 */
static void check_address(lua_State *L, const char *address) { /* [-0, +0, v] */
    const char *at = strchr(address, '@');
    bool ok = at != NULL && at != address && at[1] != '\0' && strchr(at + 1, '@') == NULL && strlen(address) <= 254;
    for (const char *p = address; ok && *p != '\0'; p++) {
        ok = *p > 0x20 && *p < 0x7F && strchr("<>()[]\\,;:\"", *p) == NULL;
    }
    if (!ok) {
        luax_fail(L, "bad_argument", "mail.send: expected addresses such as someone@example.org");
    }
}

static int lib_send(lua_State *L) { /* [-1, +1, v] */
    static const char *const KEYS[] = {"url", "user",    "password", "ca_file",         "resolve", "from",
                                       "to",  "message", "timeout",  "connect_timeout", NULL};
    const char *fn = "mail.send";
    luax_check_table(L, 1, fn);
    luax_only_keys(L, 1, fn, KEYS);
    mail_spec s = {.url = luax_req_string(L, 1, fn, "url", NULL), .from = luax_req_string(L, 1, fn, "from", NULL)};
    s.user = luax_opt_string(L, 1, fn, "user", NULL, NULL);
    s.password = luax_opt_string(L, 1, fn, "password", NULL, NULL);
    s.ca_file = luax_opt_string(L, 1, fn, "ca_file", NULL, NULL);
    s.message = luax_req_string(L, 1, fn, "message", &s.message_len);
    s.timeout_ms = (int64_t)ceil(luax_opt_number(L, 1, fn, "timeout", 0.001, 3600, 60) * 1000);
    s.connect_timeout_ms = (int64_t)ceil(luax_opt_number(L, 1, fn, "connect_timeout", 0.001, 3600, 10) * 1000);
    s.resolve = read_list(L, "resolve", 32);
    s.to = read_list(L, "to", MAIL_RECIPIENTS_MAX);
    if (s.to == NULL || s.message_len > MESSAGE_MAX) {
        return luax_fail(L, "bad_argument", "mail.send: expected a list of recipients and a message of at most %u MB",
                         MESSAGE_MAX >> 20);
    }
    check_address(L, s.from);
    for (size_t i = 0; s.to[i] != NULL; i++) {
        check_address(L, s.to[i]);
    }
    mail_result r;
    err e;
    if (mail_send(&s, &r, &e) != 0) {
        return luax_raise(L, &e);
    }
    lua_createtable(L, 0, 3);
    lua_pushstring(L, r.sent ? "sent" : "unknown");
    lua_setfield(L, -2, "outcome");
    lua_pushinteger(L, r.reply);
    lua_setfield(L, -2, "reply");
    lua_pushstring(L, r.text);
    lua_setfield(L, -2, "detail");
    return 1;
}

static int lib_probe(lua_State *L) { /* [-1, +1, v] */
    static const char *const KEYS[] = {"url",     "user",    "password",        "ca_file",
                                       "resolve", "timeout", "connect_timeout", NULL};
    const char *fn = "mail.probe";
    luax_check_table(L, 1, fn);
    luax_only_keys(L, 1, fn, KEYS);
    mail_spec s = {.url = luax_req_string(L, 1, fn, "url", NULL)};
    s.user = luax_opt_string(L, 1, fn, "user", NULL, NULL);
    s.password = luax_opt_string(L, 1, fn, "password", NULL, NULL);
    s.ca_file = luax_opt_string(L, 1, fn, "ca_file", NULL, NULL);
    s.timeout_ms = (int64_t)ceil(luax_opt_number(L, 1, fn, "timeout", 0.001, 3600, 10) * 1000);
    s.connect_timeout_ms = (int64_t)ceil(luax_opt_number(L, 1, fn, "connect_timeout", 0.001, 3600, 10) * 1000);
    s.resolve = read_list(L, "resolve", 32);
    certificate cert;
    err e;
    if (mail_probe(&s, &cert, &e) != 0) {
        return luax_raise(L, &e);
    }
    lua_createtable(L, 0, 1);
    if (cert.known) {
        certificate_push(L, &cert);
        lua_setfield(L, -2, "certificate");
    }
    return 1;
}

static int lib_seal(lua_State *L) { /* [-2, +1, v] */
    size_t pem_len, n;
    const char *pem = luaL_checklstring(L, 1, &pem_len);
    const char *bytes = luaL_checklstring(L, 2, &n);
    work *w = work_new(L);
    err e;
    return mail_seal(&w->text, pem, pem_len, bytes, n, &e) == 0 ? work_push(L, w) : work_fail(L, w, &e);
}

static int lib_target(lua_State *L) { /* [-1, +1, v] */
    mail_target t;
    err e;
    if (mail_url(luaL_checkstring(L, 1), &t, &e) != 0) {
        return luax_raise(L, &e);
    }
    lua_createtable(L, 0, 3);
    lua_pushstring(L, t.host);
    lua_setfield(L, -2, "host");
    lua_pushboolean(L, t.address);
    lua_setfield(L, -2, "address");
    lua_pushinteger(L, t.port);
    lua_setfield(L, -2, "port");
    return 1;
}

static int library_gc(lua_State *L) { /* [-0, +0, -] */
    bool *started = luaL_checkudata(L, 1, LIBRARY);
    if (*started) {
        *started = false;
        curl_global_cleanup();
    }
    return 0;
}

/* libcurl's global state is counted: engine.http may be there too. */
static void start_library(lua_State *L) { /* [-0, +0, v] */
    static const luaL_Reg NONE[] = {{NULL, NULL}};
    static const luaL_Reg META[] = {{"__gc", library_gc}, {NULL, NULL}};
    luax_class(L, LIBRARY, NONE, META);
    bool *started = luax_new(L, LIBRARY, sizeof *started, 0);
    crypto_begin();
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (rc != CURLE_OK) {
        luax_fail(L, "mail_connect", "mail: libcurl does not start: %s", curl_easy_strerror(rc));
    }
    *started = true;
    lua_setfield(L, LUA_REGISTRYINDEX, LIBRARY ".started");
}

LUAX_EXPORT int luaopen_engine_mail(lua_State *L);

int luaopen_engine_mail(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {
        {"send", lib_send}, {"probe", lib_probe}, {"seal", lib_seal}, {"target", lib_target}, {NULL, NULL}};
    start_library(L);
    work_class(L);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
