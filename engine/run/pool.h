/* pool.h: runs workers side by side, kills what is over its time, and keeps each one's book. */
#ifndef GE_RUN_POOL_H
#define GE_RUN_POOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "run/book.h"
#include "run/broker.h"
#include "run/worker.h"

typedef struct pool_task {
    /* in */
    const char *id; /* for messages and progress */
    worker_setup worker;
    broker_options broker;
    book *book; /* takes the events; the caller closes it */
    double wall_s;
    uint64_t cpu_s; /* processor time of the worker; must not be 0 */
    bool alone;     /* runs beside no other */
    /* out */
    bool started, finished;
    bool interrupted; /* a signal ended it, or kept it from starting */
    double duration_ms;
    size_t taken;   /* answers of commands that an earlier run had */
    json_t *limits; /* owned by the caller: {"memory_bytes": {peak, limit}, "wall_ms", "cpu_ms", "printed_bytes",
                       "events", "event_bytes": {…}} */
} pool_task;

typedef struct pool_hooks {
    void (*changed)(void *ctx, size_t task, const char *check); /* a check began, or NULL: the task ended */
    void (*said)(void *ctx, size_t task, const char *text);     /* a line of an operation's output */
    void (*moved)(void *ctx, size_t task, const char *text);    /* how far something is that takes long */
    void *ctx;
} pool_hooks;

/* Runs all tasks, at most `jobs` at once, in order of their index. Returns 0, or -1 only where the pool itself cannot
 * work; what goes wrong with a task is in its book. A signal ends all of them. */
int pool_run(pool_task *tasks, size_t n, int jobs, const pool_hooks *hooks, err *e);

#endif
