#include "bind/http_args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vm/luax.h"

#define MAX_BODY_DEFAULT ((lua_Integer)16 << 20)
#define MAX_BODY_MOST ((lua_Integer)1 << 30)
#define SECONDS_MOST 86400.0
#define ENTRIES_MAX 1000 /* of a query, of headers */

static const char *const CLIENT_FN = "http.client";
static const char *const REQUEST_FN = "http.request";

static int64_t to_ms(double seconds) {
    return (int64_t)ceil(seconds * 1000.0);
}

void http_args_client(lua_State *L, int idx, client *c) {
    static const char *const KEYS[] = {"endpoints", "max_body", "timeout", "connect_timeout", NULL};
    luax_check_table(L, idx, CLIENT_FN);
    luax_only_keys(L, idx, CLIENT_FN, KEYS);
    c->max_body = luax_opt_integer(L, idx, CLIENT_FN, "max_body", 0, MAX_BODY_MOST, MAX_BODY_DEFAULT);
    c->timeout_s = luax_opt_number(L, idx, CLIENT_FN, "timeout", 0.001, SECONDS_MOST, 30);
    c->connect_timeout_s = luax_opt_number(L, idx, CLIENT_FN, "connect_timeout", 0.001, SECONDS_MOST, 10);
}

/* The table option `headers` as an array in a userdata, which stays on the stack with the table. [-0, +2, v] */
static const http_header *read_headers(lua_State *L, int idx, const char *fn, size_t *count) {
    luaL_checkstack(L, 8, "headers");
    *count = 0;
    if (luax_opt_value(L, idx, fn, "headers", LUA_TTABLE) == LUA_TNIL) {
        lua_pushnil(L);
        return NULL;
    }
    int tab = lua_gettop(L);
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, tab); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            luax_fail(L, "bad_argument", "%s: option \"headers\": expected names and values as strings, got %s = %s",
                      fn, luaL_typename(L, -2), luaL_typename(L, -1));
        }
        if (++n > ENTRIES_MAX) {
            luax_fail(L, "bad_argument", "%s: option \"headers\": over %d headers", fn, ENTRIES_MAX);
        }
    }
    http_header *out = lua_newuserdatauv(L, (n > 0 ? n : 1) * sizeof *out, 0);
    for (lua_pushnil(L); lua_next(L, tab) && *count < n; lua_pop(L, 1)) {
        http_header *h = &out[(*count)++];
        h->name = lua_tolstring(L, -2, &h->name_len);
        h->value = lua_tolstring(L, -1, &h->value_len);
    }
    return out;
}

/* A list of strings as a NULL-ended array in a userdata; NULL when absent. [-0, +2, v] */
static const char *const *read_addresses(lua_State *L, int idx, const char *key) {
    luaL_checkstack(L, 6, "addresses");
    if (luax_opt_value(L, idx, CLIENT_FN, key, LUA_TTABLE) == LUA_TNIL) {
        lua_pushnil(L);
        return NULL;
    }
    int tab = lua_gettop(L);
    lua_Unsigned n = lua_rawlen(L, tab);
    if (n == 0 || n > HTTP_RESOLVE_MAX) {
        luax_fail(L, "bad_argument", "%s: option \"%s\": expected a list of 1 to %d addresses", CLIENT_FN, key,
                  HTTP_RESOLVE_MAX);
    }
    const char **out = lua_newuserdatauv(L, (n + 1) * sizeof *out, 0);
    for (lua_Unsigned i = 0; i < n; i++) {
        if (lua_rawgeti(L, tab, (lua_Integer)i + 1) != LUA_TSTRING) {
            luax_fail(L, "bad_argument", "%s: option \"%s\": expected addresses as strings", CLIENT_FN, key);
        }
        out[i] = lua_tostring(L, -1); /* the list keeps it */
        lua_pop(L, 1);
    }
    out[n] = NULL;
    return out;
}

/* auth = {sigv4={access_key_id=, secret_access_key=, session_token=, region=}} | {azure_key={account=, key=}} |
 * {azure_sas="sv=…"}: true, and *s filled. [-0, +2, v] */
static bool read_signer(lua_State *L, int tab, http_endpoint_spec *s) {
    static const char *const AWS[] = {"access_key_id", "secret_access_key", "session_token", "region", NULL};
    static const char *const AZURE[] = {"account", "key", NULL};
    const char *fn = "http.client: auth";
    luaL_checkstack(L, 8, "auth");
    s->credential.value = luax_opt_string(L, tab, fn, "azure_sas", &s->credential.value_len, NULL);
    bool aws = luax_opt_value(L, tab, fn, "sigv4", LUA_TTABLE) == LUA_TTABLE;
    int spec = lua_gettop(L);
    bool azure = luax_opt_value(L, tab, fn, "azure_key", LUA_TTABLE) == LUA_TTABLE;
    if (!aws && !azure && s->credential.value == NULL) {
        return false;
    }
    lua_pushnil(L);
    int named = 0;
    while (lua_next(L, tab) != 0) {
        named++;
        lua_pop(L, 1);
    }
    if (named != 1) {
        luax_fail(L, "bad_argument", "%s: expected one kind of credential, got %d", fn, named);
    }
    if (aws) {
        luax_only_keys(L, spec, fn, AWS);
        s->auth = HTTP_AUTH_SIGV4;
        s->account = luax_req_string(L, spec, fn, "access_key_id", NULL);
        s->credential.value = luax_req_string(L, spec, fn, "secret_access_key", &s->credential.value_len);
        s->session_token = luax_opt_string(L, spec, fn, "session_token", NULL, NULL);
        s->region = luax_req_string(L, spec, fn, "region", NULL);
    } else if (azure) {
        luax_only_keys(L, spec + 1, fn, AZURE);
        s->auth = HTTP_AUTH_AZURE_KEY;
        s->account = luax_req_string(L, spec + 1, fn, "account", NULL);
        s->credential.value = luax_req_string(L, spec + 1, fn, "key", &s->credential.value_len);
    } else {
        s->auth = HTTP_AUTH_AZURE_SAS;
    }
    return true;
}

/* auth = {bearer=} | {basic="user:password"} | {header=, value=} | what signs. Messages never show a value. [-0, +n, v]
 */
static void read_auth(lua_State *L, int idx, http_endpoint_spec *s) {
    static const char *const KEYS[] = {"bearer", "basic", "header", "value", "sigv4", "azure_key", "azure_sas", NULL};
    const char *fn = "http.client: auth";
    if (luax_opt_value(L, idx, CLIENT_FN, "auth", LUA_TTABLE) == LUA_TNIL) {
        return;
    }
    int tab = lua_gettop(L);
    size_t bearer_len = 0;
    size_t basic_len = 0;
    luax_only_keys(L, tab, fn, KEYS);
    if (read_signer(L, tab, s)) {
        return;
    }
    const char *bearer = luax_opt_string(L, tab, fn, "bearer", &bearer_len, NULL);
    const char *basic = luax_opt_string(L, tab, fn, "basic", &basic_len, NULL);
    const char *header = luax_opt_string(L, tab, fn, "header", &s->credential.name_len, NULL);
    const char *value = luax_opt_string(L, tab, fn, "value", &s->credential.value_len, NULL);
    if ((bearer != NULL) + (basic != NULL) + (header != NULL) != 1 || (header != NULL) != (value != NULL)) {
        luax_fail(L, "bad_argument", "%s: expected one of bearer = …, basic = …, or header = … with value = …", fn);
    }
    s->auth = bearer != NULL ? HTTP_AUTH_BEARER : basic != NULL ? HTTP_AUTH_BASIC : HTTP_AUTH_HEADER;
    s->credential.name = header;
    s->credential.value = bearer != NULL ? bearer : basic != NULL ? basic : value;
    s->credential.value_len = bearer != NULL ? bearer_len : basic != NULL ? basic_len : s->credential.value_len;
    if (basic != NULL && memchr(basic, ':', basic_len) == NULL) {
        luax_fail(L, "bad_argument", "%s: option \"basic\": expected \"user:password\"", fn);
    }
    if (s->credential.value_len == 0) {
        luax_fail(L, "bad_argument", "%s: the credential is empty", fn);
    }
}

/* The endpoint whose name and table are on top of the stack. [-0, +n, v] */
static void add_endpoint(lua_State *L, client *c) {
    static const char *const KEYS[] = {"url",           "headers", "resolve", "auth", "proxy",
                                       "proxy_resolve", "ca_file", "ca_pem",  NULL};
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TTABLE) {
        luax_fail(L, "bad_argument", "%s: option \"endpoints\": expected names with tables", CLIENT_FN);
    }
    int tab = lua_gettop(L);
    luax_only_keys(L, tab, "http.client: endpoint", KEYS);
    http_endpoint_spec s = {.name = lua_tostring(L, tab - 1)};
    s.url = luax_req_string(L, tab, CLIENT_FN, "url", NULL);
    s.proxy = luax_opt_string(L, tab, CLIENT_FN, "proxy", NULL, NULL);
    s.ca_file = luax_opt_string(L, tab, CLIENT_FN, "ca_file", NULL, NULL);
    s.ca_pem = luax_opt_string(L, tab, CLIENT_FN, "ca_pem", NULL, NULL);
    s.headers = read_headers(L, tab, CLIENT_FN, &s.header_count);
    s.resolve = read_addresses(L, tab, "resolve");
    s.proxy_resolve = read_addresses(L, tab, "proxy_resolve");
    read_auth(L, tab, &s);
    err e;
    if (http_client_add(c->h, &s, &e) != 0) {
        luax_raise(L, &e);
    }
    lua_settop(L, tab);
}

void http_args_endpoints(lua_State *L, int idx, client *c) {
    luaL_checkstack(L, 8, "endpoints");
    if (luax_opt_value(L, idx, CLIENT_FN, "endpoints", LUA_TTABLE) == LUA_TNIL) {
        luax_fail(L, "bad_argument", "%s: option \"endpoints\": expected a table, got nothing", CLIENT_FN);
    }
    int tab = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, tab); lua_pop(L, 1)) {
        add_endpoint(L, c);
    }
}

/* ---- the query ---- */

static void add_encoded(luaL_Buffer *b, const char *s, size_t n) { /* RFC 3986 section 2.3: all but unreserved */
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '_' || c == '~';
        if (plain) {
            luaL_addchar(b, (char)c);
        } else {
            luaL_addchar(b, '%');
            luaL_addchar(b, HEX[c >> 4]);
            luaL_addchar(b, HEX[c & 15]);
        }
    }
}

/* Turns the value on top into its text. [-1, +1, v] */
static void to_text(lua_State *L, const char *key) {
    int type = lua_type(L, -1);
    if (type == LUA_TBOOLEAN) {
        lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
        lua_replace(L, -2);
    } else if (type == LUA_TNUMBER) {
        lua_tolstring(L, -1, NULL);
    } else if (type != LUA_TSTRING) {
        luax_fail(L, "bad_argument", "%s: option \"query\": %s: expected a string, number, boolean or list, got %s",
                  REQUEST_FN, key, luaL_typename(L, -1));
    }
}

/* Pushes "key=value" of the text on top, encoded. [-1, +1, m] */
static void encode_pair(lua_State *L, const char *key, size_t key_len) {
    size_t n = 0;
    int at = lua_gettop(L);
    const char *value = lua_tolstring(L, at, &n);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    add_encoded(&b, key, key_len);
    luaL_addchar(&b, '=');
    add_encoded(&b, value, n);
    luaL_pushresult(&b);
    lua_replace(L, at);
}

/* Pushes what one entry adds to the query: the key is at idx, the value (or list of values) on top. [-1, +1, v] */
static void encode_entry(lua_State *L, int idx) {
    size_t key_len = 0;
    const char *key = lua_tolstring(L, idx, &key_len);
    if (lua_type(L, -1) != LUA_TTABLE) {
        to_text(L, key);
        encode_pair(L, key, key_len);
        return;
    }
    int list = lua_gettop(L);
    lua_Unsigned n = lua_rawlen(L, list);
    lua_pushliteral(L, "");
    for (lua_Unsigned i = 1; i <= n && i <= ENTRIES_MAX; i++) {
        lua_pushstring(L, i > 1 ? "&" : "");
        lua_rawgeti(L, list, (lua_Integer)i);
        to_text(L, key);
        encode_pair(L, key, key_len);
        lua_concat(L, 3);
    }
    lua_replace(L, list);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The query's entries, encoded, sorted by key, so that one table always makes one URL. Stays on the stack. [-0, +n, v]
 */
static const char *read_query(lua_State *L, int idx) {
    luaL_checkstack(L, 16, "query");
    if (luax_opt_value(L, idx, REQUEST_FN, "query", LUA_TTABLE) == LUA_TNIL) {
        return NULL;
    }
    int tab = lua_gettop(L);
    lua_newtable(L); /* keeps the encoded entries alive */
    int kept = lua_gettop(L);
    lua_Integer n = 0;
    for (lua_pushnil(L); lua_next(L, tab);) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luax_fail(L, "bad_argument", "%s: option \"query\": expected names as strings, got %s", REQUEST_FN,
                      luaL_typename(L, -2));
        }
        encode_entry(L, lua_gettop(L) - 1);
        lua_rawseti(L, kept, ++n);
        if (n > ENTRIES_MAX) {
            luax_fail(L, "bad_argument", "%s: option \"query\": over %d names", REQUEST_FN, ENTRIES_MAX);
        }
    }
    const char **entries = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *entries, 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_rawgeti(L, kept, i + 1);
        entries[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    qsort(entries, (size_t)n, sizeof *entries, by_text);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (lua_Integer i = 0; i < n; i++) {
        if (entries[i][0] != '\0') { /* an empty list adds nothing */
            luaL_addstring(&b, luaL_bufflen(&b) > 0 ? "&" : "");
            luaL_addstring(&b, entries[i]);
        }
    }
    luaL_pushresult(&b);
    return lua_tostring(L, -1);
}

void http_args_request(lua_State *L, int idx, const client *c, http_request_spec *out) {
    static const char *const KEYS[] = {"endpoint", "method",          "path",       "query",   "headers",   "json",
                                       "body",     "timeout",         "retries",    "backoff", "redirects", "max_body",
                                       "auth",     "connect_timeout", "idempotent", NULL};
    const char *fn = REQUEST_FN;
    luax_check_table(L, idx, fn);
    luax_only_keys(L, idx, fn, KEYS);
    *out = (http_request_spec){.endpoint = luax_req_string(L, idx, fn, "endpoint", NULL),
                               .method = luax_opt_string(L, idx, fn, "method", NULL, "GET")};
    out->path = luax_opt_string(L, idx, fn, "path", &out->path_len, "");
    out->body = luax_opt_string(L, idx, fn, "body", &out->body_len, NULL);
    out->timeout_ms = to_ms(luax_opt_number(L, idx, fn, "timeout", 0.001, SECONDS_MOST, c->timeout_s));
    out->connect_timeout_ms =
        to_ms(luax_opt_number(L, idx, fn, "connect_timeout", 0.001, SECONDS_MOST, c->connect_timeout_s));
    out->backoff_ms = to_ms(luax_opt_number(L, idx, fn, "backoff", 0, 60, 0.2));
    out->retries = (int)luax_opt_integer(L, idx, fn, "retries", 0, 20, 0);
    out->idempotent = luax_opt_boolean(L, idx, fn, "idempotent", false);
    out->redirects = (int)luax_opt_integer(L, idx, fn, "redirects", 0, 20, 5);
    out->max_body = (size_t)luax_opt_integer(L, idx, fn, "max_body", 0, MAX_BODY_MOST, c->max_body);
    out->credentials = luax_opt_boolean(L, idx, fn, "auth", true);
    lua_pushstring(L, "json");
    if (lua_rawget(L, idx) != LUA_TNIL && out->body != NULL) {
        luax_fail(L, "bad_argument", "%s: expected one of body and json, got both", fn);
    }
    lua_pop(L, 1);
    out->headers = read_headers(L, idx, fn, &out->header_count);
    out->query = read_query(L, idx);
}
