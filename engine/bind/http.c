/* http.c: require "engine.http", requests to named endpoints (stdlib/meta/http.lua is its reference). */
#include <arpa/inet.h>
#include <jansson.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bind/certificate.h"
#include "bind/http_args.h"
#include "bind/wait.h"
#include "prim/http_url.h"
#include "prim/http_xml.h"
#include "vm/conv.h"
#include "vm/luax.h"

#define CLIENT "gate.http.client"
#define REQUEST "gate.http.request"
#define LIBRARY "gate.http.library"
#define JSON_BOX "gate.http.json"
#define XML_BOX "gate.http.xml"

typedef struct request {
    http_request *r; /* owned */
    client *owner;   /* kept by user value 1 */
} request;

static int client_gc(lua_State *L) { /* [-0, +0, -] */
    client *c = luaL_checkudata(L, 1, CLIENT);
    http_client *h = c->h;
    c->h = NULL;
    http_client_free(h);
    return 0;
}

static int client_tostring(lua_State *L) {
    const client *c = luaL_checkudata(L, 1, CLIENT);
    lua_pushstring(L, c->h != NULL ? "http.client (open)" : "http.client (closed)");
    return 1;
}

static int request_gc(lua_State *L) { /* [-0, +0, -] */
    request *q = luaL_checkudata(L, 1, REQUEST);
    http_request *r = q->r;
    q->r = NULL;
    http_request_free(r);
    return 0;
}

static int library_gc(lua_State *L) { /* [-0, +0, -] */
    bool *started = luaL_checkudata(L, 1, LIBRARY);
    if (*started) {
        *started = false;
        http_global_cleanup();
    }
    return 0;
}

static int json_gc(lua_State *L) { /* [-0, +0, -] */
    json_t **box = luaL_checkudata(L, 1, JSON_BOX);
    json_decref(*box);
    *box = NULL;
    return 0;
}

/* response.json(): upvalue 1 is the body. */
static int response_json(lua_State *L) { /* [-0, +1, v] */
    size_t n = 0;
    const char *body = lua_tolstring(L, lua_upvalueindex(1), &n);
    json_t **box = luax_new(L, JSON_BOX, sizeof(json_t *), 0);
    json_error_t why;
    *box = mem_json(body, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (*box == NULL) {
        return luax_fail(L, "http_protocol", "http: the answer is no valid JSON: %s (line %d, column %d)", why.text,
                         why.line, why.column);
    }
    conv_push_json(L, *box);
    json_decref(*box);
    *box = NULL;
    return 1;
}

static int xml_gc(lua_State *L) { /* [-0, +0, -] */
    http_xml_free(luaL_checkudata(L, 1, XML_BOX));
    return 0;
}

/* response.xml(): upvalue 1 is the body. An element is {name=, text=, its elements…}. */
static int response_xml(lua_State *L) { /* [-0, +1, v] */
    size_t n = 0;
    const char *body = lua_tolstring(L, lua_upvalueindex(1), &n);
    http_xml *x = luax_new(L, XML_BOX, sizeof *x, 0);
    err e;
    size_t blank = strspn(body, " \t\r\n"); /* S3 sends some while it works on a long answer */
    if (http_xml_parse(body + blank, n - blank, x, &e) != 0) {
        http_xml_free(x);
        return luax_raise(L, &e);
    }
    luaL_checkstack(L, 6, "xml");
    lua_createtable(L, (int)x->count, 0); /* every element, by its place */
    int all = lua_gettop(L);
    for (size_t i = 0; i < x->count; i++) {
        const http_xml_node *node = &x->nodes[i];
        lua_createtable(L, 0, 2);
        lua_pushstring(L, node->name);
        lua_setfield(L, -2, "name");
        lua_pushlstring(L, buf_str(&node->text), node->text.len);
        lua_setfield(L, -2, "text");
        if (node->parent != i) {
            lua_rawgeti(L, all, (lua_Integer)node->parent + 1);
            lua_pushvalue(L, -2);
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
            lua_pop(L, 1);
        }
        lua_rawseti(L, all, (lua_Integer)i + 1);
    }
    http_xml_free(x);
    lua_rawgeti(L, all, 1);
    return 1;
}

static void set_number(lua_State *L, const char *key, double value) { /* [-0, +0, m] */
    lua_pushnumber(L, value);
    lua_setfield(L, -2, key);
}

static void push_timings(lua_State *L, const http_response *x) { /* [-0, +1, m] */
    lua_createtable(L, 0, 6);
    set_number(L, "dns", x->dns_ms);
    set_number(L, "connect", x->connect_ms);
    set_number(L, "tls", x->tls_ms);
    set_number(L, "first_byte", x->first_byte_ms);
    set_number(L, "total", x->total_ms);
    set_number(L, "elapsed", x->elapsed_ms);
}

static void push_response(lua_State *L, const http_response *x) { /* [-0, +1, m] */
    luaL_checkstack(L, 6, "response");
    lua_createtable(L, 0, 10);
    lua_pushinteger(L, x->status);
    lua_setfield(L, -2, "status");
    lua_createtable(L, 0, (int)x->field_count);
    for (size_t i = 0; i < x->field_count; i++) {
        lua_pushlstring(L, x->fields[i].value, x->fields[i].value_len);
        lua_setfield(L, -2, x->fields[i].name);
    }
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, buf_str(&x->body), x->body.len);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, response_json, 1);
    lua_setfield(L, -3, "json");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, response_xml, 1);
    lua_setfield(L, -3, "xml");
    lua_setfield(L, -2, "body");
    push_timings(L, x);
    lua_setfield(L, -2, "timings");
    lua_pushinteger(L, x->attempts);
    lua_setfield(L, -2, "attempts");
    lua_pushinteger(L, x->redirects);
    lua_setfield(L, -2, "redirects");
    lua_pushstring(L, x->address);
    lua_setfield(L, -2, "address");
    if (x->date >= 0) {
        lua_pushinteger(L, x->date);
        lua_setfield(L, -2, "date");
    }
    if (x->certificate.known) {
        certificate_push(L, &x->certificate);
        lua_setfield(L, -2, "certificate");
    }
}

/* The request's own end: its descriptor's wake must not outlast it, so it is freed before anything is raised. */
static int finish(lua_State *L, request *q) { /* [-0, +1, v] */
    err e;
    const char *reason = "";
    const http_response *x = http_request_result(q->r, &e, &reason);
    if (x != NULL) {
        push_response(L, x);
        http_request_free(q->r);
        q->r = NULL;
        return 1;
    }
    http_request_free(q->r);
    q->r = NULL;
    luax_push_error(L, &e);
    if (reason[0] != '\0') {
        lua_pushstring(L, reason);
        lua_setfield(L, -2, "reason");
    }
    return lua_error(L);
}

static int request_continue(lua_State *L, int status, lua_KContext ctx);

/* Drives the request at index 1 to its end, and every other on its client with it. */
static int request_drive(lua_State *L) { /* [-0, +1, v] */
    request *q = lua_touserdata(L, 1);
    while (!http_request_done(q->r)) {
        if (gate_can_yield(L)) {
            return gate_yield(L, http_client_fd(q->owner->h), POLLIN, -1, 0, request_continue);
        }
        gate_poll(http_client_fd(q->owner->h), POLLIN, -1);
        http_client_drive(q->owner->h);
    }
    return finish(L, q);
}

static int request_continue(lua_State *L, int status, lua_KContext ctx) { /* [-0, +1, v] */
    (void)status;
    (void)ctx;
    int revents = gate_wait_result(L);
    lua_settop(L, 1);
    request *q = lua_touserdata(L, 1);
    if (revents & GATE_WAIT_CANCELLED) {
        http_request_free(q->r);
        q->r = NULL;
        return gate_cancelled(L);
    }
    /* A closed client has ended all its requests. */
    if (!http_request_done(q->r) && q->owner->h != NULL) {
        http_client_drive(q->owner->h);
    }
    return request_drive(L);
}

/* The value on top as JSON text (free it), or NULL. [-0, +0, -] */
static char *json_text(lua_State *L, err *e) {
    json_t *json = conv_to_json(L, -1, &CONV_DEFAULT, e);
    if (json == NULL) {
        return NULL;
    }
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) {
        err_set(e, "out_of_memory", "http.request: out of memory");
    }
    json_decref(json);
    return text;
}

static int client_request(lua_State *L) { /* [-2, +1, v] */
    client *c = luax_check(L, 1, CLIENT, "http.request");
    if (c->h == NULL) {
        return luax_fail(L, "http_closed", "http.request: the client is closed");
    }
    lua_settop(L, 2);
    http_request_spec spec;
    http_args_request(L, 2, c, &spec);
    request *q = luax_new(L, REQUEST, sizeof *q, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    q->owner = c;
    err e;
    char *text = NULL;
    lua_pushstring(L, "json");
    if (lua_rawget(L, 2) != LUA_TNIL) {
        text = json_text(L, &e);
        if (text == NULL) {
            return luax_raise(L, &e);
        }
        spec.body = text;
        spec.body_len = strlen(text);
        spec.content_type = "application/json";
    }
    lua_pop(L, 1);
    q->r = http_request_new(c->h, &spec, &e);
    free(text);
    if (q->r == NULL) {
        return luax_raise(L, &e);
    }
    lua_replace(L, 1);
    lua_settop(L, 1);
    return request_drive(L);
}

static int client_endpoints(lua_State *L) { /* [-1, +1, v] */
    const client *c = luax_check(L, 1, CLIENT, "client:endpoints");
    const char *names[HTTP_ENDPOINTS_MAX];
    size_t n = c->h != NULL ? http_client_endpoints(c->h, names, HTTP_ENDPOINTS_MAX) : 0;
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int lib_client(lua_State *L) { /* [-1, +1, v] */
    lua_settop(L, 1);
    client *c = luax_new(L, CLIENT, sizeof *c, 0);
    lua_insert(L, 1);
    http_args_client(L, 2, c);
    err e;
    c->h = http_client_new(&e);
    if (c->h == NULL) {
        return luax_raise(L, &e);
    }
    http_args_endpoints(L, 2, c);
    lua_settop(L, 1);
    return 1;
}

/* target(url) -> {scheme=, host=, address=, port=}: as libcurl reads it, and nobody by patterns. */
static int lib_target(lua_State *L) { /* [-1, +1, v] */
    http_origin o = {0};
    unsigned char raw[16];
    char bare[HTTP_HOST_MAX];
    err e;
    if (http_url_target(luaL_checkstring(L, 1), &o, &e) != 0) {
        return luax_raise(L, &e);
    }
    size_t n = strlen(o.host);
    bool bracketed = n > 2 && o.host[0] == '[';
    snprintf(bare, sizeof bare, "%.*s", (int)(bracketed ? n - 2 : n), o.host + (bracketed ? 1 : 0));
    lua_createtable(L, 0, 4);
    lua_pushstring(L, o.scheme);
    lua_setfield(L, -2, "scheme");
    lua_pushstring(L, bare);
    lua_setfield(L, -2, "host");
    lua_pushboolean(L, inet_pton(AF_INET, bare, raw) == 1 || inet_pton(AF_INET6, bare, raw) == 1);
    lua_setfield(L, -2, "address");
    if (o.port != 0) {
        lua_pushinteger(L, o.port);
        lua_setfield(L, -2, "port");
    }
    return 1;
}

/* libcurl is started once per state; the userdata made first is finalised last. */
static void start_library(lua_State *L) { /* [-0, +0, v] */
    static const luaL_Reg NONE[] = {{NULL, NULL}};
    static const luaL_Reg META[] = {{"__gc", library_gc}, {NULL, NULL}};
    luax_class(L, LIBRARY, NONE, META);
    bool *started = luax_new(L, LIBRARY, sizeof *started, 0);
    err e;
    if (http_global_init(&e) != 0) {
        luax_raise(L, &e);
    }
    *started = true;
    lua_setfield(L, LUA_REGISTRYINDEX, LIBRARY ".started");
}

LUAX_EXPORT int luaopen_engine_http(lua_State *L);

int luaopen_engine_http(lua_State *L) {
    static const luaL_Reg METHODS[] = {
        {"request", client_request}, {"endpoints", client_endpoints}, {"close", client_gc}, {NULL, NULL}};
    static const luaL_Reg META[] = {
        {"__gc", client_gc}, {"__close", client_gc}, {"__tostring", client_tostring}, {NULL, NULL}};
    static const luaL_Reg NONE[] = {{NULL, NULL}};
    static const luaL_Reg REQUEST_META[] = {{"__gc", request_gc}, {NULL, NULL}};
    static const luaL_Reg JSON_META[] = {{"__gc", json_gc}, {NULL, NULL}};
    static const luaL_Reg XML_META[] = {{"__gc", xml_gc}, {NULL, NULL}};
    static const luaL_Reg FUNCTIONS[] = {{"client", lib_client}, {"target", lib_target}, {NULL, NULL}};
    start_library(L);
    luax_class(L, CLIENT, METHODS, META);
    luax_class(L, REQUEST, NONE, REQUEST_META);
    luax_class(L, JSON_BOX, NONE, JSON_META);
    luax_class(L, XML_BOX, NONE, XML_META);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
