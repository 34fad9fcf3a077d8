/* conv.h: Lua values to JSON and back, for everything that crosses a process or reaches a report.
 *
 * A value from a script is read raw: no metamethod runs; depth, nodes and bytes are bounded, cycles refused. A table
 * whose keys are exactly 1..n is an array; an empty table is an object unless it carries the metatable
 * "gate.json.array". JSON null is the light userdata NULL (json.null, db.null). */
#ifndef GE_VM_CONV_H
#define GE_VM_CONV_H

#include <jansson.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define CONV_ARRAY "gate.json.array"

typedef struct conv_limits {
    int depth;           /* most nesting, at most 200 */
    size_t nodes;        /* most values */
    size_t bytes;        /* most string bytes, keys included */
    bool mark_functions; /* functions become {"$function": line} instead of an error */
    bool lossy;          /* for messages: what JSON cannot hold becomes a text such as "<userdata>", not an error */
} conv_limits;

extern const conv_limits CONV_DEFAULT; /* depth 64, a million nodes, 64 MB */

/* The value at idx as fresh JSON (the caller owns it), or NULL with *e set: value_type, value_depth, value_cycle,
 * value_size, value_number, value_key, value_utf8, out_of_memory; messages name the path inside the value.
 * Never raises. [-0, +0, -] */
json_t *conv_to_json(lua_State *L, int idx, const conv_limits *lim, err *e);
/* Appends the canonical form (RFC 8785) of the value at idx, read under CONV_DEFAULT, without a tree between. 0, or -1
 * with *e as conv_to_json sets it, or json_number (an integer that no double keeps); out is then to be freed. Which of
 * several faults it names does not depend on the order in which Lua walks a table. Never raises. [-0, +0, -] */
int conv_canonical(lua_State *L, int idx, buf *out, err *e);
/* Pushes a JSON value. Only empty arrays carry the array metatable. [-0, +1, m] */
void conv_push_json(lua_State *L, const json_t *v);
/* Pushes the array metatable, made on first use. [-0, +1, m] */
void conv_push_array_meta(lua_State *L);

#endif
