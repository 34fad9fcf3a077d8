/* mem.h: remembers that memory was asked for and not given.
 *
 * Not every result of a library can be looked at where it is made: a report has thousands of values. Whoever states
 * something in the end looks here once instead: after a failed allocation anything may be missing, so nothing that was
 * made since can be a pass. The memory counts as lost for the rest of the process, and in what it forks. */
#ifndef GE_BASE_MEM_H
#define GE_BASE_MEM_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

/* Exit code of a process of the engine that had no memory left to say so otherwise. */
#define MEM_EXIT 112

/* Has jansson's allocations watched. Call first in main: what was allocated before must not be freed after. */
void mem_watch(void);
/* json_loadb, for which memory may run out: then NULL, and `why` says so with json_error_out_of_memory. jansson's
 * reader leaves characters of a text out where its buffer cannot grow, and may break an assertion of its own over what
 * is left. A new reference. */
json_t *mem_json(const char *text, size_t n, size_t flags, json_error_t *why);
/* An allocation failed, and the caller has no error to say so with, or one that may be swallowed. */
void mem_note(void);
/* How many have failed so far; 0 = none. What must be whole compares before and after. */
size_t mem_lost(void);
/* What an error was taken for after an allocation failed may be a mistake, such as a text that is missing for "not
 * UTF-8": makes it an out_of_memory whose detail is what it said. Leaves it alone when no memory was lost. */
void mem_explain(err *e);

#endif
