/* child.h: the processes of a run: forked workers, spawned programs, and what holds for all of them.
 *
 * Every child is the leader of its own process group, dies with the supervisor (PR_SET_PDEATHSIG), cannot gain
 * privileges, has no descriptor it was not given, dumps no core and is watched through a pidfd, so that no number is
 * ever killed that belongs to another process by then. */
#ifndef GE_RUN_CHILD_H
#define GE_RUN_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/err.h"

typedef struct child_limits {
    uint64_t address_space; /* bytes; 0 = as the system has it */
    uint64_t cpu_s;         /* seconds of processor time; 0 = as the system has it */
    uint64_t file_size;     /* bytes a file may grow to; 0 = as the system has it */
    uint64_t files;         /* descriptors; 0 = as the system has it */
} child_limits;

typedef struct child {
    pid_t pid; /* 0 = none */
    int pidfd;
} child;

typedef struct child_spec {
    int stdin_fd, stdout_fd, stderr_fd; /* become 0, 1, 2; -1 = /dev/null */
    int keep_fd;                        /* stays open under its number 3; -1 = none */
    child_limits limits;
} child_spec;

/* Lets this process have as many descriptors as it may: each request of each gate takes four. Children keep the limit
 * this process came with, or get one of their own. */
void child_raise_files(void);

/* Forks. Returns 1 in the hardened child, 0 in the parent with *c set, -1 with *e set. */
int child_fork(const child_spec *spec, child *c, err *e);

/* What may differ between two runs of one program, on purpose (design §9). NULL or zero = as it is. */
typedef struct child_perturb {
    const char *cwd;
    bool no_aslr;
    int cpu; /* the one processor it may run on, or -1 */
} child_perturb;

/* Forks and executes argv[0] (looked up in the PATH of `env`) with exactly `env`. What stops the program from starting
 * is in *e (code exec_failed_to_start). `applied` (may be NULL) is not touched by failure to perturb: *perturb_failed
 * tells. */
int child_spawn(const child_spec *spec, char *const argv[], char *const env[], const child_perturb *perturb, child *c,
                err *e);

/* Kills the whole process group, through the pidfd where the leader still runs. */
void child_kill(const child *c);
/* Waits for the end (call when the pidfd is readable, or blocking), closes the pidfd and empties *c. Returns wait
 * status. */
int child_reap(child *c, struct rusage *usage);

#endif
