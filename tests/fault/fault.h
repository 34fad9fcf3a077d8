/* fault.h: what the runner (run.c) and the library in the process under test (fault.c) say to each other.
 *
 * One page in a file that both have mapped: it reaches processes whose environment is empty, whose descriptors are
 * closed and whose system calls are filtered, since a forked process keeps its mappings. */
#ifndef GE_TESTS_FAULT_H
#define GE_TESTS_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

#define FAULT_PAGE_ENV "GE_FAULT_PAGE" /* the file, for a program that is started with LD_PRELOAD */
#define FAULT_PAGE_SUFFIX ".fault"     /* else the program's own path and this: it may be linked with the library */
#define FAULT_TRACE_MAX 16384
#define FAULT_PATHS_MAX (1u << 14) /* a power of two */

typedef struct fault_page {
    /* The runner's, set before the program starts. */
    uint64_t at;      /* the allocation that fails, 1 = the process's first; 0 = none, they are only counted */
    uint32_t process; /* 0 = the program itself; k = the k-th process it forks */
    uint32_t onwards; /* all that follow fail as well */
    uint32_t trace;   /* say where the first one was asked for */
    uint32_t paths;   /* tell call paths apart */
    /* The library's. */
    _Atomic uint32_t claimed; /* by the first process that maps it: what that one executes does not count */
    _Atomic uint32_t forks;
    _Atomic uint64_t calls;  /* allocations of the chosen process */
    _Atomic uint64_t failed; /* so many of them failed; 0 = `at` was never reached */
    char where[FAULT_TRACE_MAX];
    /* With `paths`, in order of hash: each way on which the process came to an allocation, and the first one's number.
     * One process writes it, whose allocations are counted; a slot that is free has number 0. */
    struct {
        uint64_t hash, number;
    } path[FAULT_PATHS_MAX];
    uint32_t paths_found;
} fault_page;

#endif
