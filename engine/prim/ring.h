/* ring.h: the kernel's rings around a process that runs foreign code: Landlock, seccomp, and no way back to privileges.
 *
 * Each ring is asked for at run time and used as far as this kernel has it; what is missing is said, never assumed.
 * Sources: landlock(7), Documentation/userspace-api/landlock.rst, seccomp(2). The filters are made by the build with
 * libseccomp (filters/filters.c): entering a ring allocates nothing. A sanitizer build enters no ring: the sanitizers
 * need what the filters refuse. */
#ifndef GE_PRIM_RING_H
#define GE_PRIM_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef enum {
    RING_LOADER, /* reads scripts; talks to the supervisor */
    RING_GATE,   /* also sockets, and files beneath what it was given */
    RING_AUDIT,  /* nothing but memory, its input and its output */
    RING_SERVER, /* a program that is to be started: it makes its socket and processes, and connects to nobody */
    RING_RELAY   /* descriptors that are open already, clients it accepts, and one port it may connect to */
} ring_profile;

typedef enum {
    RING_READ, /* files and directories beneath it */
    RING_WRITE,
    RING_LIST /* names beneath it, no file's content */
} ring_access;

typedef struct ring_path {
    const char *path;
    ring_access access;
} ring_path;

typedef struct ring_options {
    ring_profile profile;
    const ring_path *paths; /* n of them; one that does not exist is passed over */
    size_t npaths;
    const uint16_t *tcp_ports; /* RING_GATE, RING_RELAY: ports it may connect to (Landlock ABI 4); NULL: any */
    size_t nports;
} ring_options;

typedef struct ring_status {
    int landlock_abi; /* of this kernel; 0 = none */
    bool landlock;    /* entered, or could be */
    bool landlock_net;
    bool seccomp;
    bool sanitizer; /* this build enters none */
} ring_status;

/* What this kernel has. Enters nothing. */
void ring_probe(ring_status *s);
/* What of them is missing here, in words; NULL where nothing is. */
const char *ring_missing(void);
/* Refuses (sandbox_missing) where this kernel or this build lacks a ring that contains scripts. */
int ring_require(err *e);
/* Enters every ring the kernel has, for this process and for good. Returns 0 with *s saying which; -1 where a ring that
 * is there cannot be entered: then the process must not go on to run foreign code. */
int ring_enter(const ring_options *o, ring_status *s, err *e);

#endif
