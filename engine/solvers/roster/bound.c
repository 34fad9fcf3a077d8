/* Lower bounds on the number of drivers. Each is a proof: a relaxation that no legal plan can beat.
 *
 * Hours: a driver works at most max_weekly minutes, and since every tour is a multiple of g minutes (g the greatest
 * common divisor of all durations) in truth at most floor(max_weekly / g) * g.
 *
 * Tours: a driver can drive at most as many tours as the shortest ones that fit into max_weekly.
 *
 * Blocks of a day: a driver has one block a day. A block of k tours joins k - 1 pairs of tours that follow each other
 * directly; each tour has at most one direct successor and one predecessor, so the joined pairs are a matching, and
 * blocks >= tours - maximum matching (a path cover); and a block has at most three tours.
 *
 * Rest pair: let t be a minute, A the tours of one day that end after t - rest and B the tours of the next that start
 * at or before t. Who drives one of A and one of B rests less than `rest`: the two sets need different drivers, each as
 * many as its own blocks. (Whatever lies between two tours of A in a block is in A too, and so for B; hence the path
 * cover of A or B alone is a bound for the blocks that touch it.) */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/roster/roster.h"

/* Reached by a search that failed. Nothing added later links to it (see cover_prefixes), so every search that comes by
 * would fail there again. */
#define DEAD INT_MAX

typedef struct cover {
    const rs_problem *p;
    int n;
    const int *order; /* tours, in the order they are added */
    int *next, *prev; /* matching, by position in `order`; -1 = none */
    int *seen;        /* by position: the round in which a search came by, or DEAD */
    int round;
    int *stack;
} cover;

/* May b follow a directly in some block? */
static bool follows(const rs_problem *p, const rs_tour *a, const rs_tour *b) {
    int gap = b->start - a->end, span = b->end - a->start;
    bool chain = gap >= RS_GAP_MIN && gap <= RS_GAP_MAX;
    bool split = gap >= RS_BREAK_MIN && gap <= RS_BREAK_MAX;
    int longest = p->limits.span_regular > p->limits.span_split ? p->limits.span_regular : p->limits.span_split;
    return (chain && span <= longest) || (split && span <= p->limits.span_split);
}

/* One augmenting path from position v among the first n, along successors (`forward`) or predecessors. Kuhn's
 * algorithm (H. W. Kuhn, 1955), breadth first; `parent` records the way back. Returns whether the matching grew. */
static bool augment(cover *c, int v, int n, bool forward, int *parent) {
    int *out = forward ? c->next : c->prev, *in = forward ? c->prev : c->next;
    int head = 0, tail = 0;
    c->stack[tail++] = v;
    c->round++;
    while (head < tail) {
        int a = c->stack[head++];
        const rs_tour *ta = &c->p->tours[c->order[a]];
        for (int b = 0; b < n; b++) {
            const rs_tour *tb = &c->p->tours[c->order[b]];
            if (c->seen[b] == c->round || c->seen[b] == DEAD ||
                !(forward ? follows(c->p, ta, tb) : follows(c->p, tb, ta))) {
                continue;
            }
            c->seen[b] = c->round;
            parent[b] = a;
            if (in[b] >= 0) {
                c->stack[tail++] = in[b];
                continue;
            }
            for (int x = b;;) {
                int y = parent[x], was = out[y];
                out[y] = x;
                in[x] = y;
                if (y == v) {
                    return true;
                }
                x = was;
            }
        }
    }
    for (int b = 0; b < n; b++) {
        c->seen[b] = c->seen[b] == c->round ? DEAD : c->seen[b];
    }
    return false;
}

/* blocks[k] = least blocks that the first k tours of `order` need. They are added one by one, each coming after
 * (forward = false) or before (true) all that it can be linked to, so that one augmenting path a tour is enough. */
static int cover_prefixes(const rs_problem *p, const int *order, int n, bool forward, int *blocks, err *e) {
    size_t bytes = (size_t)(n > 0 ? n : 1) * sizeof(int);
    int *parent = malloc(bytes);
    cover c = {.p = p,
               .n = n,
               .order = order,
               .next = malloc(bytes),
               .prev = malloc(bytes),
               .seen = calloc(1, bytes),
               .stack = malloc(bytes)};
    int rc = 0;
    if (parent == NULL || c.next == NULL || c.prev == NULL || c.seen == NULL || c.stack == NULL) {
        rc = err_set(e, "out_of_memory", "no memory for a matching of %d tours", n);
    }
    int links = 0;
    blocks[0] = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        c.next[i] = c.prev[i] = -1;
        links += augment(&c, i, i, forward, parent) ? 1 : 0;
        int thirds = (i + 1 + RS_BLOCK_TOURS - 1) / RS_BLOCK_TOURS;
        blocks[i + 1] = i + 1 - links > thirds ? i + 1 - links : thirds;
    }
    free(parent);
    free(c.next);
    free(c.prev);
    free(c.seen);
    free(c.stack);
    return rc;
}

static const rs_problem *sort_problem; /* qsort has no context argument; the program has one thread */

static int latest_end_first(const void *a, const void *b) {
    const rs_tour *x = &sort_problem->tours[*(const int *)a], *y = &sort_problem->tours[*(const int *)b];
    if (x->end != y->end) {
        return x->end > y->end ? -1 : 1;
    }
    return *(const int *)a - *(const int *)b;
}

typedef struct day_cover {
    int n;
    int *by_start, *by_end;     /* tours: earliest start first; latest end first */
    int *from_start, *from_end; /* blocks of the prefixes of these */
} day_cover;

static void day_free(day_cover *d) {
    free(d->by_start);
    free(d->by_end);
    free(d->from_start);
    free(d->from_end);
}

static int day_make(day_cover *d, const rs_problem *p, int day, err *e) {
    *d = (day_cover){0};
    int first = 0;
    while (first < p->n_tours && p->tours[first].day != day) {
        first++;
    }
    while (first + d->n < p->n_tours && p->tours[first + d->n].day == day) {
        d->n++;
    }
    size_t bytes = (size_t)(d->n + 1) * sizeof(int);
    d->by_start = malloc(bytes);
    d->by_end = malloc(bytes);
    d->from_start = malloc(bytes);
    d->from_end = malloc(bytes);
    if (d->by_start == NULL || d->by_end == NULL || d->from_start == NULL || d->from_end == NULL) {
        return err_set(e, "out_of_memory", "no memory for a day of %d tours", d->n);
    }
    for (int i = 0; i < d->n; i++) {
        d->by_start[i] = d->by_end[i] = first + i;
    }
    sort_problem = p;
    qsort(d->by_end, (size_t)d->n, sizeof(int), latest_end_first);
    return cover_prefixes(p, d->by_start, d->n, false, d->from_start, e) != 0 ||
                   cover_prefixes(p, d->by_end, d->n, true, d->from_end, e) != 0
               ? -1
               : 0;
}

/* The best rest pair of two days, over every t that matters: the starts of the later day. */
static int rest_pair(const rs_problem *p, const day_cover *a, const day_cover *b) {
    int best = 0, late = a->n;
    for (int k = 1; k <= b->n; k++) {
        int t = p->tours[b->by_start[k - 1]].start;
        if (k < b->n && p->tours[b->by_start[k]].start == t) {
            continue;
        }
        while (late > 0 && p->tours[a->by_end[late - 1]].end <= t - p->limits.rest) {
            late--;
        }
        int need = a->from_end[late] + b->from_start[k];
        best = need > best ? need : best;
    }
    return best;
}

static int64_t gcd(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static int ascending(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

static int bound_work(const rs_problem *p, err *e) {
    int *minutes = malloc((size_t)p->n_tours * sizeof *minutes);
    if (minutes == NULL) {
        return err_set(e, "out_of_memory", "no memory for %d tours", p->n_tours);
    }
    int64_t total = 0, step = 0;
    for (int i = 0; i < p->n_tours; i++) {
        minutes[i] = p->tours[i].end - p->tours[i].start;
        total += minutes[i];
        step = gcd(step, minutes[i]);
    }
    qsort(minutes, (size_t)p->n_tours, sizeof *minutes, ascending);
    int most = 0;
    for (int64_t sum = 0; most < p->n_tours && sum + minutes[most] <= p->limits.weekly; most++) {
        sum += minutes[most];
    }
    free(minutes);
    int64_t week = p->limits.weekly / step * step; /* every tour fits a week: rs_units_make refused the others */
    int64_t hours = (total + week - 1) / week, tours = (p->n_tours + most - 1) / most;
    return (int)(hours > tours ? hours : tours);
}

int rs_lower_bound(const rs_problem *p, err *e) {
    int best = bound_work(p, e), rc = best < 0 ? -1 : 0;
    day_cover days[RS_DAYS] = {0};
    for (int d = 0; d < RS_DAYS && rc == 0; d++) {
        rc = day_make(&days[d], p, d, e);
        if (rc == 0) {
            int whole = days[d].from_start[days[d].n];
            best = whole > best ? whole : best;
        }
        if (rc == 0 && d > 0) {
            int pair = rest_pair(p, &days[d - 1], &days[d]);
            best = pair > best ? pair : best;
        }
    }
    for (int d = 0; d < RS_DAYS; d++) {
        day_free(&days[d]);
    }
    return rc == 0 ? best : -1;
}
