/* pollset.h: several descriptors and a wake flag behind one descriptor that poll() can wait for.
 *
 * Coroutines that share a connection all wait for its one descriptor, and whichever runs first may take what was meant
 * for another that is not in the same round. The wake flag keeps the descriptor readable until that other one has
 * looked, so no answer can be forgotten. Linux epoll(7) and eventfd(2). */
#ifndef GE_BASE_POLLSET_H
#define GE_BASE_POLLSET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct pollset {
    int epoll;
    int event;
    bool awake;
} pollset;

typedef struct pollset_event {
    int fd;
    short events; /* of poll(2): POLLIN, POLLOUT, POLLERR, POLLHUP */
} pollset_event;

#define POLLSET_INIT                                                                                                   \
    { .epoll = -1, .event = -1 }

/* Errors: poll_setup. A failed open leaves nothing open. */
int pollset_open(pollset *p, err *e);
void pollset_close(pollset *p);
/* What fd is watched for, of POLLIN and POLLOUT; 0 takes it out (fine when it is not in). 0 / -1 with errno. */
int pollset_watch(pollset *p, int fd, short events);
/* Keeps p->epoll readable (true) or lets it follow the descriptors alone (false). */
void pollset_wake(pollset *p, bool on);
/* What is ready now, the wake flag left out; never waits. Returns how many, at most max. */
int pollset_take(pollset *p, pollset_event *out, int max);

#endif
