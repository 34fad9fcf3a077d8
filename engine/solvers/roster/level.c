/* Full time for as many as the work allows: threshold accepting (G. Dueck, T. Scheuer, Journal of Computational Physics
 * 90 (1990)) on the sum of the squared minutes that drivers lack to full time. Integers only: no exponential whose last
 * digit depends on a machine's library. The number of drivers stays as it is. Where there is work
 * for it, nobody is left at the very limit either. */
#include "solvers/roster/roster.h"

#define FULL_TIME_MINUTES 2400
/* Of the weekly limit, one part in so many is kept free where the work allows it: at 55 hours, the last one. */
#define SPARE_PART 55
/* In 100 minutes of work so many may be spoken for: blocks do not add up to the minute. */
#define USABLE_PERCENT 98
#define STEPS_BASE INT64_C(50000)
#define STEPS_PER_UNIT INT64_C(2000)
/* First threshold: two hours' lack for a driver who lacked nothing. It falls to nothing in equal steps. */
#define THRESHOLD_START (INT64_C(120) * 120)

typedef struct level {
    rs_week *w;
    solver_rng *rng;
    int full;     /* minutes of full time, or of the week where that is less */
    int high;     /* minutes nobody should have more of; beyond full time and within the limit */
    int *target;  /* minutes each driver should have */
    int64_t lack; /* what is minimised */
} level;

static int64_t lack_of(const level *l, int driver, int minutes) {
    int64_t d = l->target[driver] > minutes ? l->target[driver] - minutes : minutes > l->high ? minutes - l->high : 0;
    return d * d;
}

/* Gives a and b their new blocks when that is legal and worsens the whole by at most the threshold. */
static void attempt(level *l, int a, const rs_block *for_a, int b, const rs_block *for_b, int day, int64_t threshold) {
    rs_week *w = l->w;
    int had_a = w->drivers[a].minutes, had_b = w->drivers[b].minutes;
    int gets_a = had_a - w->drivers[a].day[day].minutes + for_a->minutes;
    int gets_b = had_b - w->drivers[b].day[day].minutes + for_b->minutes;
    int64_t change = lack_of(l, a, gets_a) + lack_of(l, b, gets_b) - lack_of(l, a, had_a) - lack_of(l, b, had_b);
    if (change > threshold || gets_a == 0 || gets_b == 0 || !rs_week_fits(w, a, day, for_a) ||
        !rs_week_fits(w, b, day, for_b)) {
        return;
    }
    static const rs_block none;
    rs_block x = *for_a, y = *for_b;
    rs_week_set(w, a, day, &none);
    rs_week_set(w, b, day, &none);
    rs_week_set(w, a, day, &x);
    rs_week_set(w, b, day, &y);
    l->lack += change;
}

/* b's units without `out`, with `in` (-1 = none). */
static bool exchanged(const rs_week *w, int d, int day, int out, int in, rs_block *made) {
    const rs_block *b = &w->drivers[d].day[day];
    int units[RS_BLOCK_TOURS + 1], n = 0;
    for (int i = 0; i < b->n; i++) {
        if (b->unit[i] != out) {
            units[n++] = b->unit[i];
        }
    }
    if (in >= 0) {
        units[n++] = in;
    }
    return n <= RS_BLOCK_TOURS && rs_block_make(w->p, units, n, made);
}

static void step(level *l, int64_t threshold) {
    rs_week *w = l->w;
    int a = solver_rng_below(l->rng, w->n), b = solver_rng_below(l->rng, w->n), day = solver_rng_below(l->rng, RS_DAYS);
    const rs_block *x = &w->drivers[a].day[day], *y = &w->drivers[b].day[day];
    int kind = solver_rng_below(l->rng, 3);
    if (a == b || (x->n == 0 && y->n == 0)) {
        return;
    }
    rs_block for_a, for_b;
    if (kind == 0) {
        for_a = *y;
        for_b = *x;
    } else {
        int u = x->n > 0 ? x->unit[solver_rng_below(l->rng, x->n)] : -1;
        int v = y->n > 0 && (kind == 2 || u < 0) ? y->unit[solver_rng_below(l->rng, y->n)] : -1;
        if (!exchanged(w, a, day, u, v, &for_a) || !exchanged(w, b, day, v, u, &for_b)) {
            return;
        }
    }
    attempt(l, a, &for_a, b, &for_b, day, threshold);
}

typedef struct ranked {
    int driver, minutes;
} ranked;

static int most_first(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    return x->minutes != y->minutes ? y->minutes - x->minutes : x->driver - y->driver;
}

/* The first `enough` drivers by work are to have full time, the others whatever is left. */
static int set_targets(level *l, int enough, err *e) {
    const rs_week *w = l->w;
    ranked *order = malloc((size_t)w->n * sizeof *order);
    if (order == NULL) {
        return err_set(e, "out_of_memory", "no memory for %d drivers", w->n);
    }
    for (int d = 0; d < w->n; d++) {
        order[d] = (ranked){.driver = d, .minutes = w->drivers[d].minutes};
    }
    qsort(order, (size_t)w->n, sizeof *order, most_first);
    for (int i = 0; i < w->n; i++) {
        l->target[order[i].driver] = i < enough ? l->full : 0;
    }
    free(order);
    l->lack = 0;
    for (int d = 0; d < w->n; d++) {
        l->lack += lack_of(l, d, w->drivers[d].minutes);
    }
    return 0;
}

static int descend(level *l, err *e) {
    rs_week best;
    if (rs_week_init(&best, l->w->p, e) != 0) {
        return -1;
    }
    int rc = rs_week_copy(&best, l->w, e);
    int64_t least = l->lack, steps = STEPS_BASE + STEPS_PER_UNIT * l->w->p->n_units;
    for (int64_t i = 0; i < steps && l->lack > 0 && rc == 0; i++) {
        step(l, THRESHOLD_START * (steps - i) / steps);
    }
    if (rc == 0 && l->lack > least) {
        rc = rs_week_copy(l->w, &best, e);
    }
    rs_week_free(&best);
    return rc;
}

static int full_timers(const level *l) {
    int n = 0;
    for (int d = 0; d < l->w->n; d++) {
        n += l->w->drivers[d].minutes >= l->full ? 1 : 0;
    }
    return n;
}

/* With too little work for all: as many as it is enough for, if most of them can be brought there; else evenly. */
static int concentrate(level *l, int enough, err *e) {
    rs_week even;
    if (rs_week_init(&even, l->w->p, e) != 0) {
        return -1;
    }
    int rc = rs_week_copy(&even, l->w, e), before = full_timers(l);
    if (rc == 0 && (rc = set_targets(l, enough, e)) == 0) {
        rc = descend(l, e);
    }
    int after = full_timers(l);
    if (rc == 0 && (after <= before || 2 * after < enough)) {
        rc = rs_week_copy(l->w, &even, e);
    }
    rs_week_free(&even);
    return rc;
}

int rs_search_full_time(rs_week *w, solver_rng *rng, err *e) {
    if (w->n < 2) {
        return 0;
    }
    int weekly = w->p->limits.weekly;
    level l = {.w = w, .rng = rng, .full = weekly < FULL_TIME_MINUTES ? weekly : FULL_TIME_MINUTES};
    l.target = malloc((size_t)w->n * sizeof *l.target);
    int rc =
        l.target != NULL ? set_targets(&l, w->n, e) : err_set(e, "out_of_memory", "no memory for %d drivers", w->n);
    int64_t total = 0;
    for (int d = 0; d < w->n; d++) {
        total += w->drivers[d].minutes;
    }
    int64_t enough = total * USABLE_PERCENT / 100 / l.full;
    int high = weekly - weekly / SPARE_PART;
    l.high = high >= l.full && total <= (int64_t)w->n * high * USABLE_PERCENT / 100 ? high : weekly;
    if (rc == 0) {
        rc = set_targets(&l, w->n, e);
    }
    if (rc == 0 && l.lack > 0) {
        rc = descend(&l, e);
    }
    if (rc == 0 && l.lack > 0 && enough > 0 && enough < w->n) {
        rc = concentrate(&l, (int)enough, e);
    }
    free(l.target);
    return rc;
}
