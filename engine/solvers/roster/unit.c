/* Tours to units: split shifts are joined, and what cannot stand as a block of its own is joined with what lets it. */
#include <stdlib.h>
#include <string.h>

#include "solvers/roster/roster.h"

/* Blocks tried when companions are looked for, at most; beyond it the answer is "not found", never "impossible". */
#define COMPANION_STEPS 20000000
/* Such tours in one week, at most: bounds the depth of the recursion. */
#define NEEDY_MAX 5000

static bool in(int value, int min, int max) {
    return value >= min && value <= max;
}

/* Type of a block from its tours in order of start. */
static rs_type type_of(const rs_tour *const *t, int n) {
    if (n == 1) {
        return RS_1ER;
    }
    int gap = t[1]->start - t[0]->end;
    if (n == 2) {
        return in(gap, RS_GAP_MIN, RS_GAP_MAX)       ? RS_2ER_REG
               : in(gap, RS_BREAK_MIN, RS_BREAK_MAX) ? RS_2ER_SPLIT
                                                     : RS_NONE;
    }
    bool chained = in(gap, RS_GAP_MIN, RS_GAP_MAX) && in(t[2]->start - t[1]->end, RS_GAP_MIN, RS_GAP_MAX);
    return chained ? RS_3ER : RS_NONE;
}

bool rs_block_make(const rs_problem *p, const int *units, int n, rs_block *out) {
    *out = (rs_block){0};
    if (n <= 0) {
        return true;
    }
    const rs_tour *t[RS_BLOCK_TOURS] = {NULL};
    int count = 0;
    for (int i = 0; i < n; i++) {
        const rs_unit *u = &p->units[units[i]];
        if (count + u->n > RS_BLOCK_TOURS) {
            return false;
        }
        for (int k = 0; k < u->n; k++) {
            const rs_tour *tour = &p->tours[u->tour[k]];
            int at = count++;
            for (; at > 0 && t[at - 1]->start > tour->start; at--) {
                t[at] = t[at - 1];
            }
            t[at] = tour;
        }
        out->unit[i] = units[i];
        out->minutes += u->minutes;
    }
    out->n = n;
    out->type = type_of(t, count);
    out->start = t[0]->start;
    out->end = t[count - 1]->end;
    int span = out->type == RS_1ER || out->type == RS_2ER_REG ? p->limits.span_regular : p->limits.span_split;
    return out->type != RS_NONE && out->end - out->start <= span && out->minutes <= p->limits.weekly;
}

/* Which rule keeps a unit from being a block, into e. Called for units that are none. */
static void name_rule(const rs_problem *p, const rs_unit *u, err *e) {
    const rs_tour *a = &p->tours[u->tour[0]];
    const rs_limits *l = &p->limits;
    if (u->n == 1) {
        int minutes = a->end - a->start;
        bool week = minutes > l->weekly;
        err_set(e, "infeasible_tour", "tour %.200s of %d minutes is longer than %s (%d minutes)", a->id, minutes,
                week ? "max_weekly_minutes allows in a week" : "max_span_regular_minutes allows a block of one tour",
                week ? l->weekly : l->span_regular);
        err_detail(e, "rule %s; no other tours of the day make it part of a legal block",
                   week ? "weekly_max" : "span_regular");
        err_fix(e, "Split the tour in the forecast, or correct its times");
        return;
    }
    const rs_tour *b = &p->tours[u->tour[1]];
    int gap = b->start - a->end;
    if (u->minutes > l->weekly) {
        err_set(e, "infeasible_split_group", "split group %.200s has %d minutes of work, max_weekly_minutes allows %d",
                a->group, u->minutes, l->weekly);
    } else if (in(gap, RS_GAP_MIN, RS_GAP_MAX) || in(gap, RS_BREAK_MIN, RS_BREAK_MAX)) {
        bool regular = gap <= RS_GAP_MAX;
        err_set(e, "infeasible_split_group", "split group %.200s spans %d minutes, %s allows %d", a->group,
                b->end - a->start, regular ? "max_span_regular_minutes" : "max_span_split_minutes",
                regular ? l->span_regular : l->span_split);
    } else {
        err_set(e, "infeasible_split_group",
                "split group %.200s has a break of %d minutes, one driver's block needs %d to %d or %d to %d", a->group,
                gap, RS_GAP_MIN, RS_GAP_MAX, RS_BREAK_MIN, RS_BREAK_MAX);
    }
    err_detail(e, "rule span_split: tours %.200s and %.200s need the same driver, and a driver has one block a day",
               a->id, b->id);
    err_fix(e, "Correct the split shift's times in the forecast, or write its parts as two lines");
}

static int by_group(const void *a, const void *b) {
    const rs_tour *x = *(const rs_tour *const *)a, *y = *(const rs_tour *const *)b;
    int order = strcmp(x->group, y->group);
    return order != 0 ? order : (x > y) - (x < y); /* both point into one array, sorted by time */
}

/* partner[i] = the other tour of i's split group, -1 for none. Groups are exactly two tours of one day. */
static int pair_groups(const rs_problem *p, int *partner, err *e) {
    const rs_tour **list = malloc((size_t)p->n_tours * sizeof *list);
    if (list == NULL) {
        return err_set(e, "out_of_memory", "no memory for %d tours", p->n_tours);
    }
    int n = 0, rc = 0;
    for (int i = 0; i < p->n_tours; i++) {
        partner[i] = -1;
        if (p->tours[i].group != NULL) {
            list[n++] = &p->tours[i];
        }
    }
    qsort(list, (size_t)n, sizeof(const rs_tour *), by_group);
    for (int i = 0, k; i < n && rc == 0; i = k) {
        for (k = i + 1; k < n && strcmp(list[k]->group, list[i]->group) == 0; k++) {
        }
        if (k - i != 2 || list[i]->day != list[i + 1]->day) {
            err_set(e, "input_value", "split group \"%.200s\": expected two tours of one day, found %d%s",
                    list[i]->group, k - i, k - i == 2 ? " on different days" : "");
            rc = err_fix(e, "Give each split shift a group of its own");
            break;
        }
        int a = (int)(list[i] - p->tours), b = (int)(list[i + 1] - p->tours);
        partner[a] = b;
        partner[b] = a;
    }
    free(list);
    return rc;
}

typedef struct companions {
    const rs_problem *p;
    const int *needy; /* units that are no block alone */
    int n;
    bool *used;
    int (*found)[RS_BLOCK_TOURS]; /* per needy unit: the units of its block, -1 = none */
    long steps;
} companions;

static bool joins(companions *c, const int *units, int n) {
    rs_block b;
    c->steps++;
    return rs_block_make(c->p, units, n, &b);
}

/* Finds, for the needy units from `at` on, disjoint sets of other units which make them blocks. Depth first; exact
 * unless the steps run out. Recursion is as deep as there are needy units with companions. */
static bool match_from(companions *c, int at) {
    if (at == c->n) {
        return true;
    }
    int set[RS_BLOCK_TOURS] = {c->needy[at], -1, -1};
    if (c->used[set[0]]) {
        return match_from(c, at + 1);
    }
    int day = c->p->units[set[0]].day;
    c->used[set[0]] = true;
    for (int i = 0; i < c->p->n_units && c->steps < COMPANION_STEPS; i++) {
        if (c->used[i] || c->p->units[i].day != day) {
            continue;
        }
        c->used[i] = true;
        for (int k = i; k < c->p->n_units && c->steps < COMPANION_STEPS; k++) {
            if (k != i && (c->used[k] || c->p->units[k].day != day)) {
                continue;
            }
            set[1] = i;
            set[2] = k == i ? -1 : k;
            if (!joins(c, set, k == i ? 2 : 3)) {
                continue;
            }
            bool was = c->used[k];
            c->used[k] = true;
            memcpy(c->found[at], set, sizeof set);
            if (match_from(c, at + 1)) {
                return true;
            }
            c->used[k] = was;
            c->found[at][0] = -1;
        }
        c->used[i] = false;
    }
    c->used[set[0]] = false;
    return false;
}

/* Makes one unit of each found set: its first unit takes the tours, the others become empty. */
static void join_found(rs_problem *p, const companions *c) {
    for (int i = 0; i < c->n; i++) {
        if (c->found[i][0] < 0) {
            continue;
        }
        rs_unit all = {.day = p->units[c->found[i][0]].day};
        for (int k = 0; k < RS_BLOCK_TOURS && c->found[i][k] >= 0; k++) {
            rs_unit *u = &p->units[c->found[i][k]];
            for (int j = 0; j < u->n; j++) {
                int at = all.n++;
                for (; at > 0 && all.tour[at - 1] > u->tour[j]; at--) {
                    all.tour[at] = all.tour[at - 1];
                }
                all.tour[at] = u->tour[j];
            }
            all.minutes += u->minutes;
            u->n = 0;
        }
        p->units[c->found[i][0]] = all;
    }
    int n = 0;
    for (int i = 0; i < p->n_units; i++) {
        if (p->units[i].n > 0) {
            p->units[n++] = p->units[i];
        }
    }
    p->n_units = n;
}

/* No companion can help: too long for every type, too much work, or parts too near for anything to lie between. */
static bool hopeless(const rs_problem *p, const rs_unit *u) {
    const rs_tour *first = &p->tours[u->tour[0]], *last = &p->tours[u->tour[u->n - 1]];
    const rs_limits *l = &p->limits;
    int longest = l->span_regular > l->span_split ? l->span_regular : l->span_split;
    return last->end - first->start > longest || first->end - first->start > longest || u->minutes > l->weekly ||
           (u->n == 2 && last->start - first->end < RS_GAP_MIN);
}

/* Can the unit be part of any block at all? Exact while steps last; "yes" once they are used up. */
static bool has_companions(companions *c, int which) {
    if (hopeless(c->p, &c->p->units[c->needy[which]])) {
        return false;
    }
    companions alone = *c;
    alone.needy = &c->needy[which];
    alone.n = 1;
    int found[1][RS_BLOCK_TOURS];
    alone.found = found;
    bool ok = match_from(&alone, 0);
    for (int k = 0; ok && k < RS_BLOCK_TOURS && found[0][k] >= 0; k++) {
        c->used[found[0][k]] = false;
    }
    c->steps = alone.steps;
    return ok || alone.steps >= COMPANION_STEPS;
}

static int find_companions(rs_problem *p, companions *c, err *e) {
    for (int i = 0; i < c->n; i++) {
        if (!has_companions(c, i)) {
            name_rule(p, &p->units[c->needy[i]], e);
            return -1;
        }
        c->found[i][0] = -1;
    }
    if (c->n <= NEEDY_MAX && match_from(c, 0)) {
        join_found(p, c);
        return 0;
    }
    name_rule(p, &p->units[c->needy[0]], e);
    if (c->n <= NEEDY_MAX && c->steps < COMPANION_STEPS) {
        return err_detail(e, "%d such tours of the week compete for the tours that would make their blocks legal",
                          c->n);
    }
    err_set(e, "no_plan_found", "no blocks were found for %d tours that are not legal alone, such as %.200s", c->n,
            p->tours[p->units[c->needy[0]].tour[0]].id);
    err_detail(e, "the search was given up; not proven impossible");
    return err_fix(e, "Shorten those tours, or correct their times");
}

static int join_needy(rs_problem *p, err *e) {
    size_t n = (size_t)p->n_units;
    int *needy = malloc(n * sizeof *needy);
    bool *used = calloc(n, sizeof *used);
    companions c = {.p = p, .needy = needy, .used = used, .found = malloc(n * sizeof *c.found)};
    int rc = 0;
    if (needy == NULL || used == NULL || c.found == NULL) {
        rc = err_set(e, "out_of_memory", "no memory for %d tours", p->n_tours);
    }
    rs_block b;
    for (int i = 0; rc == 0 && i < p->n_units; i++) {
        if (!rs_block_make(p, &i, 1, &b)) {
            needy[c.n++] = i;
        }
    }
    if (rc == 0 && c.n > 0) {
        rc = find_companions(p, &c, e);
    }
    free(needy);
    free(used);
    free(c.found);
    return rc;
}

int rs_units_make(rs_problem *p, err *e) {
    int *partner = malloc((size_t)p->n_tours * sizeof *partner);
    p->units = calloc((size_t)p->n_tours, sizeof *p->units);
    if (partner == NULL || p->units == NULL) {
        free(partner);
        return err_set(e, "out_of_memory", "no memory for %d tours", p->n_tours);
    }
    if (pair_groups(p, partner, e) != 0) {
        free(partner);
        return -1;
    }
    p->n_units = 0;
    for (int i = 0; i < p->n_tours; i++) {
        if (partner[i] >= 0 && partner[i] < i) {
            continue;
        }
        rs_unit *u = &p->units[p->n_units++];
        *u = (rs_unit){.day = p->tours[i].day, .n = 1, .tour = {i}};
        u->minutes = p->tours[i].end - p->tours[i].start;
        if (partner[i] >= 0) {
            const rs_tour *b = &p->tours[partner[i]];
            u->tour[u->n++] = partner[i];
            u->minutes += b->end - b->start;
        }
    }
    free(partner);
    return join_needy(p, e);
}
