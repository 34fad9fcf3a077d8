/* certificate.h: a certificate as scripts see it (class http.certificate in stdlib/meta/http.lua). */
#ifndef GE_BIND_CERTIFICATE_H
#define GE_BIND_CERTIFICATE_H

#include <lua.h>

#include "prim/certificate.h"

void certificate_push(lua_State *L, const certificate *cert); /* [-0, +1, m] */

#endif
