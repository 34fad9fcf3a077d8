#include <stdlib.h>

#include "solvers/routing/routing.h"

/* Effort, in visits driven: so much for each stop and ten more, at most so much. */
#define WORK_STOP INT64_C(1600000)
#define WORK_MAX INT64_C(100000000)
/* Most stops taken out at a time. */
#define RUIN_MAX 25
/* Where there are no more stops than this, all of them may be taken out at once. */
#define FEW 12
/* A plan is searched on from while it is longer than the best one by less than this part of it: at first, and the less
 * the longer no better one was found. */
#define TOLERANCE 8
/* After so many rounds without a better plan the best one is taken up again; after so many for each stop and one more
 * nothing better is expected. */
#define PATIENCE 300
#define ROUNDS_STOP 200

static void take_out(rt_plan *plan, int s) {
    int v = plan->vehicle_of[s];
    if (v < 0) {
        return;
    }
    int *seq = plan->seq + (size_t)v * (size_t)plan->p->n_stops;
    int n = 0;
    plan->vehicle_of[s] = -1;
    plan->unserved++;
    for (int i = 0; i < plan->length[v]; i++) {
        if (seq[i] != s) {
            seq[n++] = seq[i];
        }
    }
    plan->length[v] = n;
}

/* The costs of routes that stops were taken from. False where one cannot be driven any more: without a triangle
 * inequality the way past a stop may be longer than by it. Such a route is given up as a whole. */
static void settle(rt_plan *plan) {
    plan->metres = plan->seconds = 0;
    for (int v = 0; v < plan->p->n_vehicles; v++) {
        const int *seq = plan->seq + (size_t)v * (size_t)plan->p->n_stops;
        if (!rt_drive(plan->p, v, seq, plan->length[v], &plan->cost[v], NULL)) {
            for (int i = 0; i < plan->length[v]; i++) {
                plan->vehicle_of[seq[i]] = -1;
                plan->unserved++;
            }
            plan->length[v] = 0;
            (void)rt_drive(plan->p, v, seq, 0, &plan->cost[v], NULL);
        }
        plan->metres += plan->cost[v].metres;
        plan->seconds += plan->cost[v].end - plan->cost[v].begin;
    }
}

/* The served stop nearest to one, -1 when none is served. */
static int nearest(const rt_plan *plan, int centre) {
    const rt_problem *p = plan->p;
    int best = -1;
    int64_t least = INT64_MAX;
    for (int s = 0; s < p->n_stops; s++) {
        int metres = rt_metres(p, p->stops[centre].place, p->stops[s].place);
        int64_t far = metres < 0 ? INT64_MAX - 1 : metres;
        if (plan->vehicle_of[s] >= 0 && far < least) {
            least = far;
            best = s;
        }
    }
    return best;
}

/* Takes some neighbours out, or any stops at all. Returns the work done. */
static int64_t ruin(rt_plan *plan, solver_rng *rng) {
    int n = plan->p->n_stops, most = n <= FEW ? n : n / 3 > RUIN_MAX ? RUIN_MAX : n / 3;
    int count = 1 + solver_rng_below(rng, most), centre = solver_rng_below(rng, n);
    bool together = solver_rng_below(rng, 4) != 0;
    for (int i = 0; i < count; i++) {
        int s = together ? nearest(plan, centre) : solver_rng_below(rng, n);
        if (s >= 0) {
            take_out(plan, s);
        }
    }
    settle(plan);
    return (int64_t)count * n + n;
}

static int64_t round_once(rt_plan *now, solver_rng *rng, err *e) {
    int64_t work = ruin(now, rng);
    int64_t chance = solver_rng_below(rng, 2) == 0 ? 0 : rt_insert(now, rng, e);
    int64_t rest = chance < 0 ? -1 : rt_insert(now, NULL, e);
    int64_t better = rest < 0 ? -1 : rt_improve(now, e);
    return better < 0 ? -1 : work + chance + rest + better;
}

/* Is a plan near enough to the best one to be searched on from, after so many rounds without a better one? */
static bool near(const rt_plan *now, const rt_plan *best, int idle) {
    int64_t more = best->metres * (PATIENCE - 1 - idle % PATIENCE) / (TOLERANCE * PATIENCE);
    return now->unserved <= best->unserved && now->metres <= best->metres + more;
}

static int refine(rt_plan *best, rt_plan *now, err *e) {
    int64_t budget = WORK_STOP * (best->p->n_stops + 10);
    budget = budget < WORK_MAX ? budget : WORK_MAX;
    solver_rng rng;
    solver_rng_seed(&rng, (uint64_t)best->p->seed);
    int idle = 0, most = ROUNDS_STOP * (best->p->n_stops + 1);
    while (budget > 0 && idle < most) {
        if (idle % PATIENCE == PATIENCE - 1) {
            rt_plan_copy(now, best);
        }
        int64_t work = round_once(now, &rng, e);
        if (work < 0) {
            return -1;
        }
        budget -= work;
        idle++;
        if (rt_plan_better(now, best)) {
            rt_plan_copy(best, now);
            idle = 0;
        } else if (!near(now, best, idle)) {
            rt_plan_copy(now, best);
        }
    }
    return 0;
}

int rt_search(rt_plan *plan, err *e) {
    rt_plan now;
    if (rt_plan_init(&now, plan->p, e) != 0) {
        return -1;
    }
    int rc = rt_insert(plan, NULL, e) < 0 || rt_improve(plan, e) < 0 ? -1 : 0;
    if (rc == 0 && plan->unserved < plan->p->n_stops) {
        rt_plan_copy(&now, plan);
        rc = refine(plan, &now, e);
    }
    rt_plan_free(&now);
    return rc;
}

static int solve(const rt_problem *p, buf *out, err *e) {
    rt_plan plan;
    if (rt_plan_init(&plan, p, e) != 0) {
        return -1;
    }
    int rc = rt_search(&plan, e);
    if (rc == 0) {
        rc = rt_plan_write(&plan, out, e);
    }
    rt_plan_free(&plan);
    return rc;
}

int rt_solve_text(const char *text, size_t n, buf *out, err *e) {
    rt_problem p;
    if (rt_problem_read(&p, text, n, e) != 0) {
        return -1;
    }
    int rc = solve(&p, out, e);
    rt_problem_free(&p);
    return rc;
}
