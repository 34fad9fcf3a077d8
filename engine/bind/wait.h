/* wait.h: how a primitive waits for a descriptor.
 *
 * Under the task scheduler (engine.task) the coroutine yields a wait descriptor and the scheduler polls for all of
 * them; anywhere else, and inside C functions that cannot be yielded across, the wait is a plain poll(). A primitive is
 * written once, as a continuation:
 *
 *     static int step(lua_State *L, int status, lua_KContext ctx) {
 *         int revents = gate_wait_result(L);              // pops it
 *         ... condition met? return results
 *         return gate_wait(L, fd, POLLIN, timeout_ms, ctx, step);
 *     }
 *
 * What woke it may have been another's event on the same descriptor (a shared curl_multi or channel), so a
 * continuation looks at its own condition and waits again when it is not met. A loop that may wait thousands of times
 * should not recurse through gate_wait: it asks gate_can_yield and calls gate_yield or gate_poll.
 *
 * GATE_WAIT_CANCELLED in revents means that another task of the same task.map failed: put the resource back in order
 * and raise gate_cancelled(L). It comes once per task; who waits again after it is waited for.
 *
 * Scheduler side: registry["gate.task.running"] is the coroutine (thread) the scheduler is resuming right now, or false
 * or nil; registry["gate.task.sentinel"] is a light userdata only the scheduler and this header know. A yield of
 * (sentinel, fd, events, timeout_ms) is a wait. No script can forge it: the light userdata never reaches one. */
#ifndef GE_BIND_WAIT_H
#define GE_BIND_WAIT_H

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vm/luax.h"

#define GATE_TASK_RUNNING "gate.task.running"
#define GATE_TASK_SENTINEL "gate.task.sentinel"
/* Beside poll's own bits, which fit a short. */
#define GATE_WAIT_CANCELLED 0x10000

/* Is this very coroutine resumed by the scheduler, with nothing on its C stack that a yield could not cross?
 * [-0, +0, m] */
static inline bool gate_can_yield(lua_State *L) {
    if (!lua_isyieldable(L)) {
        return false;
    }
    luaL_checkstack(L, 2, "waiting");
    bool mine = lua_getfield(L, LUA_REGISTRYINDEX, GATE_TASK_RUNNING) == LUA_TTHREAD && lua_tothread(L, -1) == L;
    lua_pop(L, 1);
    return mine;
}

/* Yields to the scheduler; `return gate_yield(…)`. fd -1 waits for the time alone, timeout_ms -1 for the descriptor
 * alone. k finds the stack as it was plus revents on top. [-0, +1, v] */
static inline int gate_yield(lua_State *L, int fd, int events, int timeout_ms, lua_KContext ctx, lua_KFunction k) {
    luaL_checkstack(L, 6, "waiting");
    lua_getfield(L, LUA_REGISTRYINDEX, GATE_TASK_SENTINEL);
    lua_pushinteger(L, fd);
    lua_pushinteger(L, events);
    lua_pushinteger(L, timeout_ms);
    return lua_yieldk(L, 4, ctx, k);
}

/* poll() on one descriptor that outlasts signals. Returns revents, 0 once the time has passed, POLLERR if poll itself
 * fails (the caller's next read or write then says why). */
static inline int gate_poll(int fd, int events, int timeout_ms) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t end = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + timeout_ms;
    struct pollfd p = {.fd = fd, .events = (short)events};
    for (;;) {
        int n = poll(&p, 1, timeout_ms);
        if (n > 0) {
            return p.revents;
        }
        if (n == 0) {
            return 0;
        }
        if (errno != EINTR) {
            return POLLERR;
        }
        if (timeout_ms >= 0) {
            clock_gettime(CLOCK_MONOTONIC, &ts);
            int64_t left = end - ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
            timeout_ms = left > 0 ? (int)left : 0;
        }
    }
}

/* Waits in whichever way fits, then runs k with revents on top of the stack; `return gate_wait(…)`. [-0, +1, v] */
static inline int gate_wait(lua_State *L, int fd, int events, int timeout_ms, lua_KContext ctx, lua_KFunction k) {
    if (gate_can_yield(L)) {
        return gate_yield(L, fd, events, timeout_ms, ctx, k);
    }
    int revents = gate_poll(fd, events, timeout_ms);
    luaL_checkstack(L, 1, "waiting");
    lua_pushinteger(L, revents);
    return k(L, LUA_YIELD, ctx);
}

/* Takes revents off the stack, first thing in a continuation. 0: the timeout passed. [-1, +0, -] */
static inline int gate_wait_result(lua_State *L) {
    int revents = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return revents;
}

/* Raises what a primitive raises after GATE_WAIT_CANCELLED, once its resource is in order again. [-0, +0, v] */
static inline int gate_cancelled(lua_State *L) {
    return luax_fail(L, "task_cancelled", "cancelled, because another task of the same task.map failed");
}

#endif
