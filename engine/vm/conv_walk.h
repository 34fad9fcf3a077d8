/* conv_walk.h: what conv.c and conv_canon.c share: where in a Lua value the reader is, its bounds, and how it says what
 * it refuses. */
#ifndef GE_VM_CONV_WALK_H
#define GE_VM_CONV_WALK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "vm/conv.h"

#define CONV_DEPTH_MAX 200

/* A table that is being read, and what of it. */
typedef struct conv_frame {
    const void *table;
    const char *key; /* of the member; NULL in an array, and before the first one */
    size_t at;       /* the key's length, or the item's index, 0 before the first one */
} conv_frame;

typedef struct conv_walk {
    lua_State *L;
    const conv_limits *lim;
    err *e;
    size_t nodes;
    size_t bytes;
    int depth;
    conv_frame open[CONV_DEPTH_MAX];
} conv_walk;

/* Sets the error: `what` with the path to where the reader is. Returns -1. [-0, +0, -] */
int conv_fail(conv_walk *w, const char *code, const char *what);
int conv_no_memory(conv_walk *w);
/* Goes into the table at idx, its depth one more, with eight slots of Lua's stack; NULL, or the code of why it must not
 * be read, with the words for it. [-0, +0, -] */
const char *conv_enter(conv_walk *w, int idx, const char **what);
/* The frame of the table that was entered last. */
static inline conv_frame *conv_here(conv_walk *w) {
    return &w->open[w->depth - 1];
}
/* Errors are about that table as a whole again, not about one member. */
static inline void conv_leave_member(conv_walk *w) {
    conv_here(w)->key = NULL;
    conv_here(w)->at = 0;
}
/* Are the keys of the table at idx 1..n and no others? Its length alone could be a border of a sparse table.
 * [-0, +0, -] */
bool conv_is_sequence(lua_State *L, int idx, size_t *count);
/* Has the table at idx the array metatable? [-0, +0, -] */
bool conv_is_marked_array(lua_State *L, int idx);

#endif
