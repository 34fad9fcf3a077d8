#include <stdlib.h>
#include <string.h>

#include "solvers/routing/routing.h"

/* One place, and one vehicle, in this many is passed over when stops are inserted at random. */
#define BLINK 64
#define BLINK_VEHICLE 4

typedef struct place {
    int64_t metres; /* more than without the stop; INT64_MAX = it does not fit */
    int at;
} place;

typedef struct bench {
    rt_plan *plan;
    solver_rng *rng; /* NULL: no chance */
    int64_t *leave;  /* owned; of one route: when its stops are left at the earliest */
    int64_t *latest; /* owned; when service must begin at the latest for the rest to be in time */
    int *seq;        /* owned; a route that is being made */
    int *open;       /* owned; stops not served */
    place *best;     /* owned; of stop s in the route of vehicle v: [s * n_vehicles + v] */
    int64_t work;
} bench;

static void bench_free(bench *b) {
    free(b->leave);
    free(b->latest);
    free(b->seq);
    free(b->open);
    free(b->best);
}

static int bench_init(bench *b, rt_plan *plan, solver_rng *rng, err *e) {
    size_t stops = (size_t)plan->p->n_stops, vehicles = (size_t)plan->p->n_vehicles;
    *b = (bench){.plan = plan, .rng = rng};
    b->leave = malloc(stops * sizeof *b->leave);
    b->latest = malloc(stops * sizeof *b->latest);
    b->seq = malloc(stops * sizeof *b->seq);
    b->open = malloc(stops * sizeof *b->open);
    b->best = malloc(stops * vehicles * sizeof *b->best);
    if (b->leave == NULL || b->latest == NULL || b->seq == NULL || b->open == NULL || b->best == NULL) {
        bench_free(b);
        return err_set(e, "out_of_memory", "no memory to insert into %zu routes", vehicles);
    }
    return 0;
}

/* The route of v as `leave` and `latest`; returns what it loads. */
static int64_t look_at(bench *b, int v) {
    const rt_problem *p = b->plan->p;
    const rt_vehicle *vehicle = &p->vehicles[v];
    const int *seq = b->plan->seq + (size_t)v * (size_t)p->n_stops;
    int n = b->plan->length[v], at = vehicle->place;
    int64_t now = vehicle->start, load = 0;
    for (int i = 0; i < n; i++) {
        const rt_stop *s = &p->stops[seq[i]];
        now += rt_seconds(p, at, s->place);
        now = (now < s->open ? s->open : now) + s->service;
        b->leave[i] = now;
        at = s->place;
        load += s->demand;
    }
    int64_t limit = vehicle->end;
    int next = vehicle->place;
    for (int i = n - 1; i >= 0; i--) {
        const rt_stop *s = &p->stops[seq[i]];
        limit -= rt_seconds(p, s->place, next) + s->service;
        limit = limit < s->close ? limit : s->close;
        b->latest[i] = limit;
        next = s->place;
    }
    b->work += 2 * n;
    return load;
}

/* What it costs to visit stop s between two places; INT64_MAX where the time does not allow it. */
static int64_t between(const rt_problem *p, int s, int from, int64_t leave, int to, int64_t open, int64_t latest) {
    const rt_stop *stop = &p->stops[s];
    int there = rt_seconds(p, from, stop->place), on = rt_seconds(p, stop->place, to);
    int a = rt_metres(p, from, stop->place), c = rt_metres(p, stop->place, to);
    if (there < 0 || on < 0 || a < 0 || c < 0) {
        return INT64_MAX;
    }
    int64_t start = leave + there < stop->open ? stop->open : leave + there;
    int64_t then = start + stop->service + on;
    if (start > stop->close || (then < open ? open : then) > latest) {
        return INT64_MAX;
    }
    int without = from == to ? 0 : rt_metres(p, from, to);
    return (int64_t)a + c - (without < 0 ? 0 : without);
}

/* The best place for stop s in the route of v, at which look_at was just called. */
static place find(bench *b, int v, int64_t load, int s) {
    const rt_problem *p = b->plan->p;
    const rt_vehicle *vehicle = &p->vehicles[v];
    const int *seq = b->plan->seq + (size_t)v * (size_t)p->n_stops;
    int n = b->plan->length[v];
    place best = {.metres = INT64_MAX};
    if ((p->stops[s].skills & ~vehicle->skills) != 0 || load + p->stops[s].demand > vehicle->capacity) {
        return best;
    }
    b->work += n + 1;
    for (int i = 0; i <= n; i++) {
        if (b->rng != NULL && solver_rng_below(b->rng, BLINK) == 0) {
            continue;
        }
        int from = i == 0 ? vehicle->place : p->stops[seq[i - 1]].place;
        int to = i == n ? vehicle->place : p->stops[seq[i]].place;
        int64_t metres = between(p, s, from, i == 0 ? vehicle->start : b->leave[i - 1], to,
                                 i == n ? 0 : p->stops[seq[i]].open, i == n ? vehicle->end : b->latest[i]);
        if (metres < best.metres) {
            best = (place){.metres = metres, .at = i};
        }
    }
    return best;
}

/* False where the route, driven, is not what it was taken for. */
static bool put(bench *b, int v, int s, int at) {
    rt_plan *plan = b->plan;
    const int *seq = plan->seq + (size_t)v * (size_t)plan->p->n_stops;
    int n = plan->length[v];
    memcpy(b->seq, seq, (size_t)at * sizeof *seq);
    b->seq[at] = s;
    memcpy(b->seq + at + 1, seq + at, (size_t)(n - at) * sizeof *seq);
    rt_cost cost;
    b->work += n + 1;
    if (!rt_drive(plan->p, v, b->seq, n + 1, &cost, NULL)) {
        return false;
    }
    rt_plan_set(plan, v, b->seq, n + 1, &cost);
    return true;
}

static int list_open(bench *b) {
    int n = 0;
    for (int s = 0; s < b->plan->p->n_stops; s++) {
        if (b->plan->vehicle_of[s] < 0) {
            b->open[n++] = s;
        }
    }
    return n;
}

static void refresh(bench *b, int v, int n) {
    int64_t load = look_at(b, v);
    for (int i = 0; i < n; i++) {
        b->best[(size_t)b->open[i] * (size_t)b->plan->p->n_vehicles + (size_t)v] = find(b, v, load, b->open[i]);
    }
}

/* The vehicle for stop s, -1 for none, and what is lost if another takes that place first. */
static int choose(const bench *b, int s, int64_t *regret, int64_t *metres) {
    const place *row = b->best + (size_t)s * (size_t)b->plan->p->n_vehicles;
    int vehicle = -1;
    int64_t first = INT64_MAX, second = INT64_MAX;
    for (int v = 0; v < b->plan->p->n_vehicles; v++) {
        if (row[v].metres < first) {
            second = first;
            first = row[v].metres;
            vehicle = v;
        } else if (row[v].metres < second) {
            second = row[v].metres;
        }
    }
    *metres = first;
    *regret = second == INT64_MAX ? INT64_MAX : second - first;
    return vehicle;
}

static void by_regret(bench *b) {
    int n = list_open(b);
    for (int v = 0; v < b->plan->p->n_vehicles; v++) {
        refresh(b, v, n);
    }
    for (;;) {
        int best = -1, vehicle = -1;
        int64_t most = -1, least = INT64_MAX;
        for (int i = 0; i < n; i++) {
            int64_t regret, metres;
            int v = choose(b, b->open[i], &regret, &metres);
            if (v >= 0 && (regret > most || (regret == most && metres < least))) {
                best = i;
                vehicle = v;
                most = regret;
                least = metres;
            }
        }
        b->work += n;
        if (best < 0) {
            return;
        }
        int s = b->open[best];
        place *where = &b->best[(size_t)s * (size_t)b->plan->p->n_vehicles + (size_t)vehicle];
        if (!put(b, vehicle, s, where->at)) {
            where->metres = INT64_MAX;
            continue;
        }
        memmove(b->open + best, b->open + best + 1, (size_t)(n - best - 1) * sizeof *b->open);
        refresh(b, vehicle, --n);
    }
}

static void at_random(bench *b) {
    int n = list_open(b);
    for (int i = n - 1; i > 0; i--) {
        int k = solver_rng_below(b->rng, i + 1), kept = b->open[i];
        b->open[i] = b->open[k];
        b->open[k] = kept;
    }
    for (int i = 0; i < n; i++) {
        place best = {.metres = INT64_MAX};
        int vehicle = -1;
        for (int v = 0; v < b->plan->p->n_vehicles; v++) {
            if (solver_rng_below(b->rng, BLINK_VEHICLE) == 0) {
                continue;
            }
            place here = find(b, v, look_at(b, v), b->open[i]);
            if (here.metres < best.metres) {
                best = here;
                vehicle = v;
            }
        }
        if (vehicle >= 0) {
            (void)put(b, vehicle, b->open[i], best.at);
        }
    }
}

int64_t rt_insert(rt_plan *plan, solver_rng *rng, err *e) {
    bench b;
    if (plan->unserved == 0) {
        return 0;
    }
    if (bench_init(&b, plan, rng, e) != 0) {
        return -1;
    }
    if (rng != NULL) {
        at_random(&b);
    } else {
        by_regret(&b);
    }
    bench_free(&b);
    return b.work;
}
