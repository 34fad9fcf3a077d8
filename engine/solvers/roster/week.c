#include <stdlib.h>
#include <string.h>

#include "solvers/roster/roster.h"

int rs_week_init(rs_week *w, const rs_problem *p, err *e) {
    *w = (rs_week){.p = p};
    w->driver_of = malloc((size_t)p->n_units * sizeof *w->driver_of);
    if (w->driver_of == NULL) {
        return err_set(e, "out_of_memory", "no memory for %d tours", p->n_units);
    }
    for (int i = 0; i < p->n_units; i++) {
        w->driver_of[i] = -1;
    }
    return 0;
}

void rs_week_free(rs_week *w) {
    free(w->drivers);
    free(w->driver_of);
    *w = (rs_week){0};
}

static int reserve(rs_week *w, int n) {
    if (n <= w->cap) {
        return 0;
    }
    int cap = w->cap < 64 ? 64 : w->cap * 2;
    cap = cap < n ? n : cap;
    rs_driver *grown = realloc(w->drivers, (size_t)cap * sizeof *grown);
    if (grown == NULL) {
        return -1;
    }
    w->drivers = grown;
    w->cap = cap;
    return 0;
}

int rs_week_copy(rs_week *to, const rs_week *from, err *e) {
    if (reserve(to, from->n) != 0) {
        return err_set(e, "out_of_memory", "no memory for %d drivers", from->n);
    }
    if (from->n > 0) {
        memcpy(to->drivers, from->drivers, (size_t)from->n * sizeof *to->drivers);
    }
    to->n = from->n;
    memcpy(to->driver_of, from->driver_of, (size_t)from->p->n_units * sizeof *to->driver_of);
    return 0;
}

int rs_week_add_driver(rs_week *w) {
    if (reserve(w, w->n + 1) != 0) {
        return -1;
    }
    memset(&w->drivers[w->n], 0, sizeof w->drivers[0]);
    return w->n++;
}

void rs_week_drop_driver(rs_week *w, int d) {
    static const rs_block none;
    for (int day = 0; day < RS_DAYS; day++) {
        rs_week_set(w, d, day, &none);
    }
    w->n--;
    if (d == w->n) {
        return;
    }
    w->drivers[d] = w->drivers[w->n];
    for (int day = 0; day < RS_DAYS; day++) {
        const rs_block *b = &w->drivers[d].day[day];
        for (int i = 0; i < b->n; i++) {
            w->driver_of[b->unit[i]] = d;
        }
    }
}

bool rs_week_fits(const rs_week *w, int d, int day, const rs_block *b) {
    const rs_driver *driver = &w->drivers[d];
    const rs_limits *limits = &w->p->limits;
    if (b->n == 0) {
        return true; /* rest only grows: the blocks around it already kept their distance to one that lay between */
    }
    if (driver->minutes - driver->day[day].minutes + b->minutes > limits->weekly) {
        return false;
    }
    int i = day - 1;
    while (i >= 0 && driver->day[i].n == 0) {
        i--;
    }
    if (i >= 0 && driver->day[i].end + limits->rest > b->start) {
        return false;
    }
    i = day + 1;
    while (i < RS_DAYS && driver->day[i].n == 0) {
        i++;
    }
    if (i < RS_DAYS && b->end + limits->rest > driver->day[i].start) {
        return false;
    }
    return b->type != RS_3ER || ((day == 0 || driver->day[day - 1].type != RS_3ER) &&
                                 (day == RS_DAYS - 1 || driver->day[day + 1].type != RS_3ER));
}

void rs_week_set(rs_week *w, int d, int day, const rs_block *b) {
    rs_driver *driver = &w->drivers[d];
    rs_block *old = &driver->day[day];
    for (int i = 0; i < old->n; i++) {
        w->driver_of[old->unit[i]] = -1;
    }
    driver->minutes += b->minutes - old->minutes;
    *old = *b;
    for (int i = 0; i < b->n; i++) {
        w->driver_of[b->unit[i]] = d;
    }
}

bool rs_week_with(const rs_week *w, int d, int unit, rs_block *out) {
    const rs_block *b = &w->drivers[d].day[w->p->units[unit].day];
    if (b->n >= RS_BLOCK_TOURS) {
        return false;
    }
    int units[RS_BLOCK_TOURS];
    for (int i = 0; i < b->n; i++) {
        units[i] = b->unit[i];
    }
    units[b->n] = unit;
    return rs_block_make(w->p, units, b->n + 1, out);
}

bool rs_week_without(const rs_week *w, int d, int unit, rs_block *out) {
    const rs_block *b = &w->drivers[d].day[w->p->units[unit].day];
    int units[RS_BLOCK_TOURS], n = 0;
    for (int i = 0; i < b->n; i++) {
        if (b->unit[i] != unit) {
            units[n++] = b->unit[i];
        }
    }
    return rs_block_make(w->p, units, n, out);
}
