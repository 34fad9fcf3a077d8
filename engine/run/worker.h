/* worker.h: what a worker process does: one script, one mode, in the sandbox, with the capabilities its job lists. */
#ifndef GE_RUN_WORKER_H
#define GE_RUN_WORKER_H

#include <jansson.h>
#include <stddef.h>

#include "prim/ring.h"

typedef struct worker_setup {
    const json_t
        *job; /* what runner.lua reads (its head describes it); holds credentials of declared capabilities only */
    const json_t
        *source; /* the script's text as its head was read from it: what lies in its file by now does not matter */
    const char *script; /* absolute path; NULL = an internal job without a script of its own */
    const char *stdlib_dir;
    const char *modules_dir;
    size_t memory_bytes;
    const ring_path *paths; /* what it may read and write, beside the system's libraries */
    size_t npaths;
} worker_setup;

/* In the forked child, after child_fork returned 1: runs and never returns. The channel to the supervisor is descriptor
 * 3; what a script prints goes to standard output, which the supervisor reads. */
_Noreturn void worker_main(const worker_setup *s);

#endif
