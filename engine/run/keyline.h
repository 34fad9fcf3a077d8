/* keyline.h: on which line of a Lua source a key stands.
 *
 * A small reader of Lua's table constructors (Lua 5.4 manual, sections 3.1 and 3.4.9). It runs nothing. What it cannot
 * see (tables built by code) falls back to the nearest enclosing table it did see. */
#ifndef GE_RUN_KEYLINE_H
#define GE_RUN_KEYLINE_H

#include <jansson.h>

/* The table which a chunk returns as a tree: {"line": n, "keys": {"name": {…}, "1": {…}}}; list elements are named by
 * position. New reference, NULL out of memory. */
json_t *keyline_index(const char *source);

/* The line of a path such as `database.tenant`, `audits[2]` or `fixtures["public.x"]`, else of the nearest enclosing
 * table; 0 = unknown. */
int keyline_find(const json_t *index, const char *path);

#endif
