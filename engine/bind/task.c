/* engine.task: coroutines that wait together. task.map runs a function over a list, several items at a time; where one
 * waits for a database or a service, another goes on. There are no threads: what does not wait does not overlap.
 *
 * A map inside a task hands its waits up: it yields (sentinel, its scheduler) and the outermost one polls for all. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bind/wait.h"
#include "vm/luax.h"

#define SCHED "gate.task.map"
#define MAP "task.map"
#define TASKS_MAX 1000
#define ITEMS_MAX 10000000

/* The map function's stack.
 *
 * While tasks are under way the scheduler itself must not raise: they would be left behind, with statements still
 * running on their connections. So what it needs is made before, or in a protected call whose failure is an error like
 * a task's own. */
enum { LIST = 1, SLOTS, FN, STATE, RESULTS, THREADS, ERROR };

typedef struct sched sched;

typedef struct slot {
    lua_State *co;    /* anchored in THREADS at the slot's number; NULL = free */
    lua_Integer item; /* which item of the list it works on */
    int fd;           /* what it waits for; -1 = the time alone */
    short events;     /* poll bits */
    int revents;      /* what has happened */
    int64_t until;    /* monotonic ms, -1 = no limit */
    const sched *map; /* it waits inside a map of its own; anchored in THREADS at n + the slot's number */
    bool ready;
    bool cancelled; /* has been told so */
} slot;

struct sched {
    lua_Integer count; /* items */
    lua_Integer next;  /* the item to start next */
    int n;             /* slots */
    int live;
    bool failed;
    struct pollfd *polls; /* owned: freed by __gc */
    int cap_polls;
    slot slots[];
};

static char sentinel;

/* ---- waiting */

static int count_waits(const sched *s) {
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        if (s->slots[i].co != NULL) {
            n += s->slots[i].map != NULL ? count_waits(s->slots[i].map) : 1;
        }
    }
    return n;
}

/* Fills the poll list and finds the earliest deadline. Returns the number of entries. */
static int collect(const sched *s, struct pollfd *polls, int64_t *earliest) {
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        const slot *t = &s->slots[i];
        if (t->co == NULL) {
            continue;
        }
        if (t->map != NULL) {
            n += collect(t->map, polls + n, earliest);
            continue;
        }
        polls[n++] = (struct pollfd){.fd = t->fd, .events = t->events};
        if (t->until >= 0 && (*earliest < 0 || t->until < *earliest)) {
            *earliest = t->until;
        }
    }
    return n;
}

/* Marks who can go on, in the same order as collect. Returns whether anybody can; *used entries were looked at. */
static bool distribute(sched *s, const struct pollfd *polls, int64_t now, int *used) {
    bool any = false;
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        slot *t = &s->slots[i];
        if (t->co == NULL) {
            continue;
        }
        if (t->map != NULL) {
            int inner = 0;
            /* One that is through already was resumed by somebody else: to be told so, its task goes on. */
            t->ready = distribute((sched *)t->map, polls + n, now, &inner) || t->map->live == 0;
            n += inner;
        } else {
            t->revents = polls[n++].revents;
            t->ready = t->revents != 0 || (t->until >= 0 && now >= t->until);
        }
        any = any || t->ready;
    }
    *used = n;
    return any;
}

/* Room for n entries, or NULL when memory is out. */
static struct pollfd *poll_list(sched *s, int n) {
    if (s->cap_polls < n) {
        struct pollfd *polls = realloc(s->polls, (size_t)n * 2 * sizeof *polls);
        if (polls == NULL) {
            return NULL;
        }
        s->polls = polls;
        s->cap_polls = n * 2;
    }
    return s->polls;
}

/* Out of memory: everybody looks for himself. Waking somebody for nothing is allowed (wait.h). */
static void wake_all(sched *s) {
    poll(NULL, 0, 10);
    for (int i = 0; i < s->n; i++) {
        slot *t = &s->slots[i];
        if (t->co != NULL && t->map != NULL) {
            wake_all((sched *)t->map);
        }
        t->ready = t->co != NULL && (t->map != NULL || t->events != 0 || (t->until >= 0 && clock_ms() >= t->until));
        t->revents = t->events;
    }
}

/* Blocks until a task can go on. */
static void wait_for_any(sched *s) {
    struct pollfd *polls = poll_list(s, count_waits(s));
    if (polls == NULL) {
        wake_all(s);
        return;
    }
    for (;;) {
        int64_t earliest = -1;
        int n = collect(s, polls, &earliest);
        int64_t left = earliest < 0 ? -1 : earliest - clock_ms();
        int timeout = earliest < 0 ? -1 : left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
        if (poll(polls, (nfds_t)n, timeout) < 0) {
            /* Interrupted: nothing has happened. Else the one whose descriptor it was will say so on its next call. */
            short revents = errno == EINTR ? 0 : POLLERR;
            for (int i = 0; i < n; i++) {
                polls[i].revents = revents;
            }
        }
        int used;
        if (distribute(s, polls, clock_ms(), &used)) {
            return;
        }
    }
}

/* ---- one task */

static void finish(sched *s, slot *t) {
    t->co = NULL;
    t->map = NULL;
    t->ready = false;
    s->live--;
}

/* The first error is kept; it is on top of the stack. [-1, +0, -] */
static void keep_error(lua_State *L, sched *s) {
    if (s->failed) {
        lua_pop(L, 1);
    } else {
        s->failed = true;
        lua_replace(L, ERROR);
    }
}

static int make_error(lua_State *L) {
    luax_push_error(L, lua_touserdata(L, 1));
    return 1;
}

/* Keeps an error of the scheduler's own; "not enough memory" where there is none to make it. */
static void keep_own_error(lua_State *L, sched *s, const char *code, const char *message, const char *fix) {
    err e;
    err_set(&e, code, "%s", message);
    err_fix(&e, "%s", fix);
    lua_pushcfunction(L, make_error);
    lua_pushlightuserdata(L, &e);
    lua_pcall(L, 1, 1, 0);
    keep_error(L, s);
}

/* Looks at what a coroutine yielded: a wait, or false. A map it waits in is anchored here, not only on its own stack:
 * who gets hold of the coroutine may end it. [-0, +0, -] */
static bool read_wait(lua_State *L, sched *s, slot *t, int n) {
    lua_State *co = t->co;
    if (n != 2 && n != 4) {
        return false;
    }
    int first = lua_gettop(co) - n + 1;
    if (lua_type(co, first) != LUA_TLIGHTUSERDATA || lua_touserdata(co, first) != &sentinel) {
        return false;
    }
    t->map = NULL;
    t->fd = -1;
    t->until = -1;
    if (n == 2) {
        t->map = lua_touserdata(co, first + 1);
        lua_pushvalue(co, first + 1);
        lua_xmove(co, L, 1);
        lua_rawseti(L, THREADS, s->n + (lua_Integer)(t - s->slots) + 1); /* there is room: it allocates nothing */
    } else {
        t->fd = (int)lua_tointeger(co, first + 1);
        t->events = (short)lua_tointeger(co, first + 2);
        int timeout = (int)lua_tointeger(co, first + 3);
        t->until = timeout >= 0 ? clock_ms() + timeout : -1;
    }
    lua_pop(co, n);
    return true;
}

/* Resumes a task with n values on its stack and sees to what comes of it. [-0, +0, -] */
static void resume(lua_State *L, sched *s, slot *t, int n) {
    lua_State *co = t->co;
    t->ready = false;
    lua_getfield(L, LUA_REGISTRYINDEX, GATE_TASK_RUNNING); /* the task around this map, if any */
    lua_rawgeti(L, THREADS, (lua_Integer)(t - s->slots) + 1);
    lua_setfield(L, LUA_REGISTRYINDEX, GATE_TASK_RUNNING);
    int n_results = 0;
    int status = lua_resume(co, L, n, &n_results);
    lua_setfield(L, LUA_REGISTRYINDEX, GATE_TASK_RUNNING);
    if (status == LUA_YIELD && read_wait(L, s, t, n_results)) {
        return;
    }
    if (status == LUA_OK) {
        if (n_results > 0 && !s->failed) {
            lua_pushvalue(co, -n_results);
            lua_xmove(co, L, 1);
            lua_rawseti(L, RESULTS, t->item);
        }
    } else if (status == LUA_YIELD) {
        lua_resetthread(co);
        keep_own_error(L, s, "task_yield", "a task yielded by itself; only what the engine waits for may",
                       "do not call coroutine.yield in a task outside a coroutine of its own");
    } else {
        lua_resetthread(co); /* runs pending __close; the error is on top afterwards */
        if (lua_gettop(co) == 0) {
            lua_pushliteral(co, "a task was ended by somebody else"); /* as a constant it needs no memory twice */
        }
        lua_xmove(co, L, 1);
        keep_error(L, s);
    }
    finish(s, t);
}

/* (threads, slot number): makes the coroutine of a slot. Called protected. */
static int make_thread(lua_State *L) {
    lua_State *co = lua_newthread(L);
    luaL_checkstack(co, 8, MAP);
    lua_getfield(L, LUA_REGISTRYINDEX, LUAX_TASKS);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_rawseti(L, 1, lua_tointeger(L, 2));
    return 0;
}

/* [-0, +0, -] */
static void start(lua_State *L, sched *s, slot *t) {
    lua_Integer number = (lua_Integer)(t - s->slots) + 1;
    lua_pushcfunction(L, make_thread);
    lua_pushvalue(L, THREADS);
    lua_pushinteger(L, number);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        keep_error(L, s);
        return;
    }
    lua_rawgeti(L, THREADS, number);
    t->co = lua_tothread(L, -1);
    lua_pop(L, 1);
    t->item = s->next++;
    t->cancelled = false;
    s->live++;
    lua_pushvalue(L, FN);
    lua_rawgeti(L, LIST, t->item);
    lua_xmove(L, t->co, 2);
    lua_pushinteger(t->co, t->item);
    resume(L, s, t, 2);
}

/* ---- all of them */

static void cancel_rest(lua_State *L, sched *s) {
    for (int i = 0; i < s->n; i++) {
        slot *t = &s->slots[i];
        if (t->co != NULL && !t->cancelled) {
            t->cancelled = true;
            lua_pushinteger(t->co, GATE_WAIT_CANCELLED);
            resume(L, s, t, 1);
        }
    }
}

static void resume_ready(lua_State *L, sched *s) {
    for (int i = 0; i < s->n; i++) {
        slot *t = &s->slots[i];
        if (t->co != NULL && t->ready) {
            lua_pushinteger(t->co, t->revents);
            t->revents = 0;
            resume(L, s, t, 1);
        }
    }
}

static int run_map(lua_State *L, int status, lua_KContext ctx);

static int step(lua_State *L) {
    sched *s = lua_touserdata(L, STATE);
    for (;;) {
        resume_ready(L, s);
        for (int i = 0; i < s->n && !s->failed && s->next <= s->count; i++) {
            while (s->slots[i].co == NULL && !s->failed && s->next <= s->count) {
                start(L, s, &s->slots[i]);
            }
        }
        if (s->failed) {
            cancel_rest(L, s);
        }
        if (s->live == 0) {
            break;
        }
        if (gate_can_yield(L)) {
            lua_pushlightuserdata(L, &sentinel);
            lua_pushvalue(L, STATE);
            return lua_yieldk(L, 2, 0, run_map);
        }
        wait_for_any(s);
    }
    if (s->failed) {
        lua_settop(L, ERROR);
        return lua_error(L);
    }
    lua_settop(L, RESULTS);
    return 1;
}

/* Resumed by the map around this one. */
static int run_map(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    if ((gate_wait_result(L) & GATE_WAIT_CANCELLED) != 0) {
        keep_own_error(L, lua_touserdata(L, STATE), "task_cancelled",
                       "cancelled, because another task of the same task.map failed", "");
    }
    return step(L);
}

/* map(list, n, fn) → results. [-3, +1, v] */
static int task_map(lua_State *L) {
    if (lua_type(L, LIST) != LUA_TTABLE) {
        return luax_fail(L, "bad_argument", MAP ": expected a list, got %s", luaL_typename(L, LIST));
    }
    int is_integer;
    lua_Integer n = lua_type(L, SLOTS) == LUA_TNUMBER ? lua_tointegerx(L, SLOTS, &is_integer) : (is_integer = 0);
    if (!is_integer || n < 1 || n > TASKS_MAX) {
        return luax_fail(L, "bad_argument", MAP ": expected how many tasks may run at once, from 1 to %d, second",
                         TASKS_MAX);
    }
    if (lua_type(L, FN) != LUA_TFUNCTION) {
        return luax_fail(L, "bad_argument", MAP ": expected a function, got %s", luaL_typename(L, FN));
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, LIST);
    if (count > ITEMS_MAX) {
        return luax_fail(L, "bad_argument", MAP ": at most %d items, got %lld", ITEMS_MAX, (long long)count);
    }
    lua_settop(L, FN);
    luaL_checkstack(L, 20, MAP);
    n = count < n ? count : n;
    sched *s = luax_new(L, SCHED, sizeof *s + (size_t)n * sizeof s->slots[0], 0);
    s->n = (int)n;
    s->count = count;
    s->next = 1;
    lua_createtable(L, (int)count, 1); /* RESULTS: with room for all, so that filling it cannot fail */
    lua_pushinteger(L, count);
    lua_setfield(L, RESULTS, "n");
    lua_createtable(L, 2 * (int)n, 0); /* THREADS, and the maps they wait in */
    lua_pushnil(L);                    /* ERROR */
    return step(L);
}

static int slept(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    return (gate_wait_result(L) & GATE_WAIT_CANCELLED) != 0 ? gate_cancelled(L) : 0;
}

/* sleep(seconds). [-1, +0, v] */
static int task_sleep(lua_State *L) {
    double seconds = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : -1;
    if (!(seconds >= 0 && seconds <= 86400)) {
        return luax_fail(L, "bad_argument", "task.sleep: expected seconds from 0 to 86400, got %s",
                         lua_type(L, 1) == LUA_TNUMBER ? "another number" : luaL_typename(L, 1));
    }
    lua_settop(L, 0);
    return gate_wait(L, -1, 0, (int)ceil(seconds * 1000), 0, slept);
}

/* lua: task.now() → ms. [-0, +1, -] */
static int task_now(lua_State *L) {
    lua_pushnumber(L, clock_ms_exact());
    return 1;
}

static int sched_gc(lua_State *L) {
    sched *s = luax_check(L, 1, SCHED, "__gc");
    free(s->polls);
    s->polls = NULL;
    return 0;
}

LUAX_EXPORT int luaopen_engine_task(lua_State *L);
LUAX_EXPORT int luaopen_engine_task(lua_State *L) {
    static const luaL_Reg functions[] = {{"map", task_map}, {"sleep", task_sleep}, {"now", task_now}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", sched_gc}, {NULL, NULL}};
    luax_class(L, SCHED, none, meta);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, LUAX_TASKS);
    /* Not nil: the key must stay alive, so that looking it up allocates nothing. */
    lua_pushboolean(L, 0);
    lua_setfield(L, LUA_REGISTRYINDEX, GATE_TASK_RUNNING);
    lua_pushlightuserdata(L, &sentinel);
    lua_setfield(L, LUA_REGISTRYINDEX, GATE_TASK_SENTINEL);
    luaL_newlib(L, functions);
    return 1;
}
