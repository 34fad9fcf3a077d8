/* Fewer drivers: guided ejection search (Y. Nagata, O. Braeysy, "A powerful route minimization heuristic for the
 * vehicle routing problem with time windows", Operations Research Letters 37 (2009)).
 *
 * A driver is dissolved and their units go to a pool. The unit that came last leaves it first: it is put where it fits
 * or, where it fits nowhere, where up to three units of least penalty make room; these join the pool. A unit that could
 * not be put anywhere has its penalty raised, so that what is hard to place is thrown out ever more rarely. Random
 * legal moves in between keep the weeks changing. Once the pool is empty there is one driver less. */
#include <limits.h>
#include <stdlib.h>

#include "solvers/roster/roster.h"

#define EJECT_MAX 3
#define STIR_MOVES 60
/* Drivers looked at, in all: a fixed base and some for every unit, so that effort follows size and never time. */
#define EFFORT_BASE INT64_C(200000)
#define EFFORT_PER_UNIT INT64_C(9000)
#define EFFORT_MAX INT64_C(50000000)

typedef struct search {
    rs_week *w;
    const rs_problem *p;
    solver_rng *rng;
    int *penalty; /* of each unit */
    int *pool;    /* stack of units without a driver */
    int n_pool;
    int64_t effort, limit;
} search;

/* Keeps of a block the units in `mask`. */
typedef struct cut {
    int day; /* -1 = none */
    rs_block rest;
    int cost, count;
} cut;

typedef struct place {
    int driver;
    int cost, count;
    rs_block block; /* with the new unit, on its day */
    cut cuts[3];    /* what makes room on other days */
    int ties;
} place;

/* The block of the units of b in `mask`, plus `more` unless it is -1. */
static bool part_of(const rs_problem *p, const rs_block *b, int mask, int more, rs_block *out) {
    int units[RS_BLOCK_TOURS], n = 0;
    for (int i = 0; i < b->n; i++) {
        if ((mask >> i & 1) != 0) {
            units[n++] = b->unit[i];
        }
    }
    if (more >= 0) {
        if (n == RS_BLOCK_TOURS) {
            return false;
        }
        units[n++] = more;
    }
    return rs_block_make(p, units, n, out);
}

static int cost_of(const search *s, const rs_block *b, int mask, int *count) {
    int cost = 0;
    *count = 0;
    for (int i = 0; i < b->n; i++) {
        if ((mask >> i & 1) == 0) {
            cost += s->penalty[b->unit[i]];
            ++*count;
        }
    }
    return cost;
}

/* May `early` on day i and `late` on day k follow each other with nothing in between? */
static bool in_order(const rs_problem *p, const rs_block *early, int i, const rs_block *late, int k) {
    return early->end + p->limits.rest <= late->start && !(k == i + 1 && early->type == RS_3ER && late->type == RS_3ER);
}

static int neighbour(const rs_driver *d, int day, int step) {
    for (day += step; day >= 0 && day < RS_DAYS; day += step) {
        if (d->day[day].n > 0) {
            return day;
        }
    }
    return -1;
}

static bool compatible(const rs_problem *p, const rs_block *b, int day, const rs_block *other, int at) {
    return at < day ? in_order(p, other, at, b, day) : in_order(p, b, day, other, at);
}

/* The cheapest cut of the block nearest to `day` in direction `step` that lets b stand there. A cut with day -1 where
 * nothing has to go. */
static bool cut_neighbour(const search *s, const rs_driver *d, int day, const rs_block *b, int step, cut *out) {
    *out = (cut){.day = -1};
    int at = neighbour(d, day, step);
    if (at < 0 || compatible(s->p, b, day, &d->day[at], at)) {
        return true;
    }
    const rs_block *old = &d->day[at];
    int best = INT_MAX;
    for (int mask = 0; mask < (1 << old->n) - 1; mask++) {
        rs_block rest;
        int count, cost = cost_of(s, old, mask, &count);
        if (cost >= best || !part_of(s->p, old, mask, -1, &rest)) {
            continue;
        }
        if (rest.n > 0 && !compatible(s->p, b, day, &rest, at)) {
            continue;
        }
        int far = rest.n > 0 ? -1 : neighbour(d, at, step);
        if (far >= 0 && !compatible(s->p, b, day, &d->day[far], far)) {
            continue;
        }
        best = cost;
        *out = (cut){.day = at, .rest = rest, .cost = cost, .count = count};
    }
    return best < INT_MAX;
}

/* The cheapest cut on one more day that takes at least `excess` minutes off the week. */
static bool cut_hours(const search *s, const rs_driver *d, int day, const place *so_far, int excess, cut *out) {
    *out = (cut){.day = -1};
    int best = INT_MAX;
    for (int at = 0; at < RS_DAYS; at++) {
        const rs_block *old = &d->day[at];
        if (at == day || at == so_far->cuts[0].day || at == so_far->cuts[1].day || old->minutes < excess) {
            continue;
        }
        for (int mask = 0; mask < (1 << old->n) - 1; mask++) {
            rs_block rest;
            int count, cost = cost_of(s, old, mask, &count);
            if (cost < best && so_far->count + count <= EJECT_MAX && part_of(s->p, old, mask, -1, &rest) &&
                old->minutes - rest.minutes >= excess) {
                best = cost;
                *out = (cut){.day = at, .rest = rest, .cost = cost, .count = count};
            }
        }
    }
    return best < INT_MAX;
}

/* Better than the best so far, or as good and the dice say so (every tie is kept with equal chance)? */
static void consider(search *s, const place *c, place *best) {
    if (c->cost > best->cost) {
        return;
    }
    int ties = c->cost < best->cost ? 1 : best->ties + 1;
    if (ties > 1 && solver_rng_below(s->rng, ties) != 0) {
        best->ties = ties;
        return;
    }
    *best = *c;
    best->ties = ties;
}

/* All ways to put unit u to driver d that keep a subset of what d has on that day. */
static void try_driver(search *s, int d, int u, place *best) {
    const rs_driver *driver = &s->w->drivers[d];
    int day = s->p->units[u].day;
    const rs_block *old = &driver->day[day];
    for (int mask = (1 << old->n) - 1; mask >= 0; mask--) {
        place c = {.driver = d};
        c.cost = cost_of(s, old, mask, &c.count);
        if (c.cost > best->cost || c.count > EJECT_MAX || !part_of(s->p, old, mask, u, &c.block)) {
            continue;
        }
        if (!cut_neighbour(s, driver, day, &c.block, -1, &c.cuts[0]) ||
            !cut_neighbour(s, driver, day, &c.block, 1, &c.cuts[1])) {
            continue;
        }
        int minutes = driver->minutes - old->minutes + c.block.minutes;
        for (int i = 0; i < 2; i++) {
            if (c.cuts[i].day >= 0) {
                c.cost += c.cuts[i].cost;
                c.count += c.cuts[i].count;
                minutes -= driver->day[c.cuts[i].day].minutes - c.cuts[i].rest.minutes;
            }
        }
        if (c.cost > best->cost || c.count > EJECT_MAX) {
            continue;
        }
        c.cuts[2].day = -1;
        if (minutes > s->p->limits.weekly) {
            if (!cut_hours(s, driver, day, &c, minutes - s->p->limits.weekly, &c.cuts[2])) {
                continue;
            }
            c.cost += c.cuts[2].cost;
            c.count += c.cuts[2].count;
        }
        consider(s, &c, best);
    }
}

/* Replaces a block; what it loses goes to the pool. */
static void replace(search *s, int d, int day, const rs_block *b) {
    rs_block old = s->w->drivers[d].day[day];
    rs_week_set(s->w, d, day, b);
    for (int i = 0; i < old.n; i++) {
        if (s->w->driver_of[old.unit[i]] < 0) {
            s->pool[s->n_pool++] = old.unit[i];
        }
    }
}

static void apply(search *s, int u, const place *c) {
    for (int i = 0; i < 3; i++) {
        if (c->cuts[i].day >= 0) {
            replace(s, c->driver, c->cuts[i].day, &c->cuts[i].rest);
        }
    }
    replace(s, c->driver, s->p->units[u].day, &c->block);
}

/* One random legal exchange of a whole day between two drivers, or of one unit from one to another. */
static void stir(search *s) {
    rs_week *w = s->w;
    int a = solver_rng_below(s->rng, w->n), b = solver_rng_below(s->rng, w->n);
    if (a == b) {
        return;
    }
    if (solver_rng_below(s->rng, 2) == 0) {
        int day = solver_rng_below(s->rng, RS_DAYS);
        rs_block x = w->drivers[a].day[day], y = w->drivers[b].day[day];
        if ((x.n > 0 || y.n > 0) && rs_week_fits(w, a, day, &y) && rs_week_fits(w, b, day, &x)) {
            static const rs_block none;
            rs_week_set(w, a, day, &none);
            rs_week_set(w, b, day, &x);
            rs_week_set(w, a, day, &y);
        }
        return;
    }
    int u = solver_rng_below(s->rng, s->p->n_units);
    rs_block less, more;
    a = w->driver_of[u];
    if (a < 0 || a == b) {
        return;
    }
    int day = s->p->units[u].day;
    if (rs_week_without(w, a, u, &less) && rs_week_with(w, b, u, &more) && rs_week_fits(w, b, day, &more)) {
        rs_week_set(w, a, day, &less);
        rs_week_set(w, b, day, &more);
    }
}

static int least_work(const rs_week *w) {
    int best = 0;
    for (int d = 1; d < w->n; d++) {
        if (w->drivers[d].minutes < w->drivers[best].minutes) {
            best = d;
        }
    }
    return best;
}

/* Empties the pool, or gives up with the effort. */
static bool settle(search *s) {
    while (s->n_pool > 0) {
        if (s->effort >= s->limit) {
            return false;
        }
        int u = s->pool[--s->n_pool];
        place best = {.driver = -1, .cost = INT_MAX};
        for (int d = 0; d < s->w->n; d++) {
            try_driver(s, d, u, &best);
        }
        s->effort += s->w->n;
        if (best.driver < 0) {
            s->pool[s->n_pool++] = u;
            return false;
        }
        if (best.cost > 0) {
            s->penalty[u]++;
        }
        apply(s, u, &best);
        for (int i = 0; i < STIR_MOVES && best.cost > 0; i++) {
            stir(s);
        }
    }
    return true;
}

static void dissolve(search *s, int d) {
    s->n_pool = 0;
    for (int day = 0; day < RS_DAYS; day++) {
        const rs_block *b = &s->w->drivers[d].day[day];
        for (int i = 0; i < b->n; i++) {
            s->pool[s->n_pool++] = b->unit[i];
        }
    }
    rs_week_drop_driver(s->w, d);
}

static int run(search *s, int bound, err *e) {
    rs_week kept;
    if (rs_week_init(&kept, s->p, e) != 0) {
        return -1;
    }
    int rc = rs_week_copy(&kept, s->w, e);
    while (rc == 0 && s->w->n > bound && s->w->n > 1) {
        for (int u = 0; u < s->p->n_units; u++) {
            s->penalty[u] = 1;
        }
        dissolve(s, least_work(s->w));
        if (!settle(s)) {
            rc = rs_week_copy(s->w, &kept, e);
            break;
        }
        rc = rs_week_copy(&kept, s->w, e);
    }
    rs_week_free(&kept);
    return rc;
}

int rs_search_drivers(rs_week *w, int bound, solver_rng *rng, err *e) {
    size_t n = (size_t)w->p->n_units;
    search s = {.w = w,
                .p = w->p,
                .rng = rng,
                .penalty = malloc(n * sizeof(int)),
                .pool = malloc(n * sizeof(int)),
                .limit = EFFORT_BASE + EFFORT_PER_UNIT * w->p->n_units};
    s.limit = s.limit > EFFORT_MAX ? EFFORT_MAX : s.limit;
    int rc = s.penalty != NULL && s.pool != NULL ? run(&s, bound, e)
                                                 : err_set(e, "out_of_memory", "no memory for %zu tours", n);
    free(s.penalty);
    free(s.pool);
    return rc;
}
