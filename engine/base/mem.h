/* mem.h: remembers that memory was asked for and not given.
 *
 * Not every result of a library can be looked at where it is made: a report has thousands of values. Whoever states
 * something in the end looks here once instead: after a failed allocation anything may be missing, so nothing that was
 * made since can be a pass. The memory counts as lost for the rest of the process, and in what it forks. */
#ifndef GE_BASE_MEM_H
#define GE_BASE_MEM_H

#include <stddef.h>

#include "base/err.h"

/* Exit code of a process of the engine that had no memory left to say so otherwise. */
#define MEM_EXIT 112

/* Has jansson's allocations watched. Call first in main: what was allocated before must not be freed after. */
void mem_watch(void);
/* An allocation failed. err_set does this for every out_of_memory; who gives NULL without an err calls it. */
void mem_note(void);
/* How many have failed so far; 0 = none. What must be whole compares before and after. */
size_t mem_lost(void);
/* What an error was taken for after an allocation failed may be a mistake, such as a text that is missing for "not
 * UTF-8": makes it an out_of_memory whose detail is what it said. Leaves it alone when no memory was lost. */
void mem_explain(err *e);

#endif
