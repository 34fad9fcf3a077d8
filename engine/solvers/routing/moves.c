#include <stdlib.h>
#include <string.h>

#include "solvers/routing/routing.h"

#define SEGMENT_MAX 3

typedef struct bench {
    rt_plan *plan;
    int *a, *b; /* owned; two routes that are being made */
    int64_t work;
} bench;

static const int *route(const bench *b, int v) {
    return b->plan->seq + (size_t)v * (size_t)b->plan->p->n_stops;
}

/* Appends n stops; returns how many there are then. */
static int add(int *to, int have, const int *stops, int n) {
    memcpy(to + have, stops, (size_t)n * sizeof *to);
    return have + n;
}

static int add_reversed(int *to, int have, const int *stops, int n) {
    for (int i = 0; i < n; i++) {
        to[have + i] = stops[n - 1 - i];
    }
    return have + n;
}

static bool shorter(const rt_cost *now, int64_t metres, int64_t seconds) {
    return now->metres != metres ? now->metres < metres : now->end - now->begin < seconds;
}

/* Takes the route in b->a for vehicle v if it is better than what v has. */
static bool take_one(bench *b, int v, int n) {
    const rt_cost *old = &b->plan->cost[v];
    rt_cost cost;
    b->work += n;
    if (!rt_drive(b->plan->p, v, b->a, n, &cost, NULL) || !shorter(&cost, old->metres, old->end - old->begin)) {
        return false;
    }
    rt_plan_set(b->plan, v, b->a, n, &cost);
    return true;
}

/* The same for the routes in b->a and b->b of two vehicles. */
static bool take_two(bench *b, int v, int n, int w, int m) {
    const rt_cost *x = &b->plan->cost[v], *y = &b->plan->cost[w];
    int64_t metres = x->metres + y->metres, seconds = x->end - x->begin + y->end - y->begin;
    rt_cost first, second;
    b->work += n;
    if (!rt_drive(b->plan->p, v, b->a, n, &first, NULL) || first.metres > metres) {
        return false;
    }
    b->work += m;
    if (!rt_drive(b->plan->p, w, b->b, m, &second, NULL)) {
        return false;
    }
    rt_cost both = {.metres = first.metres + second.metres, .end = first.end - first.begin + second.end - second.begin};
    if (!shorter(&both, metres, seconds)) {
        return false;
    }
    rt_plan_set(b->plan, v, b->a, n, &first);
    rt_plan_set(b->plan, w, b->b, m, &second);
    return true;
}

/* Or-opt: up to three stops in a row from one route into another, or elsewhere into their own, either way round. */
static bool relocate(bench *b, int v, int w) {
    const int *from = route(b, v), *to = route(b, w);
    int n = b->plan->length[v], m = v == w ? 0 : b->plan->length[w];
    for (int size = 1; size <= SEGMENT_MAX && size <= n; size++) {
        for (int i = 0; i + size <= n; i++) {
            int left = v == w ? n - size : m;
            for (int at = 0; at <= left; at++) {
                for (int turned = 0; turned <= (size > 1); turned++) {
                    int rest = add(b->b, add(b->b, 0, from, i), from + i + size, n - i - size);
                    const int *base = v == w ? b->b : to;
                    int k = add(b->a, 0, base, at);
                    k = turned ? add_reversed(b->a, k, from + i, size) : add(b->a, k, from + i, size);
                    k = add(b->a, k, base + at, left - at);
                    if (v == w ? take_one(b, v, k) : take_two(b, w, k, v, rest)) {
                        return true;
                    }
                }
            }
        }
    }
    return false;
}

static bool swap(bench *b, int v, int w) {
    int n = b->plan->length[v], m = b->plan->length[w];
    for (int i = 0; i < n; i++) {
        for (int k = v == w ? i + 1 : 0; k < m; k++) {
            add(b->a, 0, route(b, v), n);
            add(b->b, 0, route(b, w), m);
            b->a[i] = route(b, w)[k];
            if (v == w) {
                b->a[k] = route(b, v)[i];
            }
            b->b[k] = route(b, v)[i];
            if (v == w ? take_one(b, v, n) : take_two(b, v, n, w, m)) {
                return true;
            }
        }
    }
    return false;
}

/* 2-opt*: the first i stops of v go on with what w has from k on, and the other way round; inside one route a part is
 * turned round. */
static bool cross(bench *b, int v, int w) {
    int n = b->plan->length[v], m = b->plan->length[w];
    for (int i = 0; i <= n; i++) {
        for (int k = v == w ? i + 2 : 0; k <= m; k++) {
            const int *x = route(b, v), *y = route(b, w);
            if (v == w) {
                int part = add_reversed(b->a, add(b->a, 0, x, i), x + i, k - i);
                if (take_one(b, v, add(b->a, part, x + k, n - k))) {
                    return true;
                }
            } else {
                int first = add(b->a, add(b->a, 0, x, i), y + k, m - k);
                int second = add(b->b, add(b->b, 0, y, k), x + i, n - i);
                if (take_two(b, v, first, w, second)) {
                    return true;
                }
            }
        }
    }
    return false;
}

int64_t rt_improve(rt_plan *plan, err *e) {
    size_t stops = (size_t)plan->p->n_stops;
    bench b = {.plan = plan, .a = malloc(stops * sizeof(int)), .b = malloc(stops * sizeof(int))};
    if (b.a == NULL || b.b == NULL) {
        free(b.a);
        free(b.b);
        err_set(e, "out_of_memory", "no memory for a route of %zu stops", stops);
        return -1;
    }
    for (bool better = true; better;) {
        better = false;
        for (int v = 0; v < plan->p->n_vehicles; v++) {
            for (int w = 0; w < plan->p->n_vehicles; w++) {
                while (relocate(&b, v, w) || (w >= v && (swap(&b, v, w) || cross(&b, v, w)))) {
                    better = true;
                }
            }
        }
    }
    free(b.a);
    free(b.b);
    return b.work;
}
