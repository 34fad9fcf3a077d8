/* luax_work.h: what a binding's call holds while Lua may raise: a value and a text, which the collector frees where an
 * error leaves them behind. */
#ifndef GE_VM_LUAX_WORK_H
#define GE_VM_LUAX_WORK_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "vm/luax.h"

typedef struct work {
    json_t *value; /* owned; may be NULL */
    buf text;
} work;

/* Makes the class; once, when a module is opened. [-0, +0, m] */
void work_class(lua_State *L);
/* An empty work, anchored on the stack. [-0, +1, m] */
work *work_new(lua_State *L);
/* Lets go of what it holds; the collector would later. [-0, +0, -] */
void work_free(work *w);
/* Frees it and raises *e; never returns. [-0, +0, v] */
int work_fail(lua_State *L, work *w, const err *e);
/* Pushes its text as a string and frees it. Returns 1. [-0, +1, m] */
int work_push(lua_State *L, work *w);

#endif
