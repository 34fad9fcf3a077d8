/* routing.h: what the parts of the routing solver share.
 *
 * The program reads a problem (canonical JSON) and writes a plan: which vehicle visits which stop, in which order and
 * when, on one day. Its answer is a function of its input bytes alone, on any machine: whole seconds and metres only,
 * own random numbers, effort counted in visits driven and never in seconds, stops and vehicles brought into an order of
 * their own first, so that neither the order of the input's lists nor anything about the process shows in the output.
 *
 * Serve as many stops as can be, then drive as few metres as can be, then be away as short as can be. A vehicle makes
 * at most one route. */
#ifndef GE_ROUTING_H
#define GE_ROUTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "solvers/common/rng.h"

#define RT_NAME "routing-solver"
/* Changes whenever the plan for any input may change: it is part of solver_config_hash. */
#define RT_VERSION "1.0.0"

#define RT_STOPS_MAX 500
#define RT_VEHICLES_MAX 200
#define RT_PLACES_MAX 600
#define RT_SKILLS_MAX 64
#define RT_TIME_MAX 172800       /* seconds: two days after the day's 00:00 */
#define RT_AMOUNT_MAX 1000000000 /* seconds or metres of one way, demand, capacity */
#define RT_NO_WAY (-1)           /* in the tables of travel: this way is never driven */

typedef struct rt_stop {
    const char *id; /* borrowed from the input document */
    int place;      /* index of the tables of travel */
    int64_t demand;
    int64_t service;     /* seconds */
    int64_t open, close; /* service begins from `open` to `close`, both included */
    uint64_t skills;     /* needed; a bit for each name */
} rt_stop;

typedef struct rt_vehicle {
    const char *id;
    int place; /* of its depot */
    int64_t capacity;
    int64_t start, end; /* of its shift */
    uint64_t skills;
} rt_vehicle;

typedef struct rt_problem {
    json_t *doc; /* owned: keeps the names alive */
    int64_t seed;
    int n_stops, n_vehicles, n_places, n_skills;
    rt_stop *stops;       /* owned; sorted by id */
    rt_vehicle *vehicles; /* owned; sorted by id */
    int *seconds;         /* owned; from place a to place b: [a * n_places + b], RT_NO_WAY where there is none */
    int *metres;
    const char *skill[RT_SKILLS_MAX]; /* borrowed names, by bit */
} rt_problem;

typedef struct rt_cost {
    int64_t metres;
    int64_t begin, end; /* leaves the depot, is back */
} rt_cost;

typedef struct rt_visit {
    int64_t arrive, start, leave;
} rt_visit;

typedef struct rt_plan {
    const rt_problem *p; /* borrowed */
    int *seq;        /* owned; the stops of vehicle v in driving order: [v * n_stops], of which length[v] are used */
    int *length;     /* owned */
    rt_cost *cost;   /* owned; by vehicle */
    int *vehicle_of; /* owned; by stop, -1 = not served */
    int unserved;
    int64_t metres, seconds; /* of all routes */
} rt_plan;

/* input.c: a problem from JSON text. Strict: every key known, every value in range, no id twice. On success p owns its
 * memory (rt_problem_free). Errors: input_json, input_value, out_of_memory. */
int rt_problem_read(rt_problem *p, const char *text, size_t n, err *e);
void rt_problem_free(rt_problem *p);

/* plan.c */
int rt_plan_init(rt_plan *plan, const rt_problem *p, err *e);
void rt_plan_free(rt_plan *plan);
void rt_plan_copy(rt_plan *to, const rt_plan *from); /* both initialised for the same problem */
/* Can this vehicle visit these stops in this order? As early as can be, leaving the depot as late as that allows. Every
 * rule is looked at; `visits` (n of them) may be NULL. */
bool rt_drive(const rt_problem *p, int vehicle, const int *stops, int n, rt_cost *cost, rt_visit *visits);
/* Gives a vehicle these stops (a sequence rt_drive says yes to, with that cost) in place of its own. */
void rt_plan_set(rt_plan *plan, int vehicle, const int *stops, int n, const rt_cost *cost);
/* Is a better than b? */
bool rt_plan_better(const rt_plan *a, const rt_plan *b);
/* The way between two places in metres, RT_NO_WAY where there is none. */
int rt_metres(const rt_problem *p, int from, int to);
int rt_seconds(const rt_problem *p, int from, int to);

/* insert.c: puts stops that are not served where they cost least, the one first whose choice matters most (regret-2:
 * J.-Y. Potvin, J.-M. Rousseau, "A parallel route building algorithm for the vehicle routing and scheduling problem
 * with time windows", EJOR 66 (1993)). With `rng` in random order instead, now and then past the best place (J.
 * Christiaens, G. Vanden Berghe, "Slack induction by string removals", Transportation Science 54 (2020)). Returns the
 * work done, in visits; -1 out of memory. */
int64_t rt_insert(rt_plan *plan, solver_rng *rng, err *e);

/* moves.c: relocates up to three stops in a row (Or-opt), swaps two, exchanges tails (2-opt*) and turns parts round
 * (2-opt) while that makes the plan better. Returns the work done, in visits; -1 out of memory. */
int64_t rt_improve(rt_plan *plan, err *e);

/* search.c: a plan, by insertion, improvement, and again after taking neighbours out. */
int rt_search(rt_plan *plan, err *e);

/* output.c: the plan as canonical JSON; each stop that is not served with the rule that forbids it. */
int rt_plan_write(const rt_plan *plan, buf *out, err *e);

/* The whole way from input text to output text. */
int rt_solve_text(const char *text, size_t n, buf *out, err *e);

#endif
