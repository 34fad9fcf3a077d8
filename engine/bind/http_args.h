/* http_args.h: the tables that http.client and client:request take, read into C. For http*.c alone.
 *
 * What is read stays valid while the tables hold it and the stack keeps what was pushed on top. */
#ifndef GE_BIND_HTTP_ARGS_H
#define GE_BIND_HTTP_ARGS_H

#include <lua.h>

#include "prim/http.h"

typedef struct client {
    http_client *h; /* owned; NULL once closed */
    lua_Integer max_body;
    double timeout_s;
    double connect_timeout_s;
} client;

/* Defaults of http.client{…} at idx. [-0, +0, v] */
void http_args_client(lua_State *L, int idx, client *c);
/* Adds every endpoint of http.client{endpoints = …} to c->h. [-0, +n, v] */
void http_args_endpoints(lua_State *L, int idx, client *c);
/* All of client:request{…} at idx but `json`. [-0, +n, v] */
void http_args_request(lua_State *L, int idx, const client *c, http_request_spec *out);

#endif
