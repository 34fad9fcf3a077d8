#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/roster/roster.h"

#define DRIVER_NAME_MAX 40

static const char *type_name(rs_type type) {
    static const char *const names[] = {
        [RS_1ER] = "1er", [RS_2ER_REG] = "2er-reg", [RS_2ER_SPLIT] = "2er-split", [RS_3ER] = "3er-chain"};
    return names[type];
}

typedef struct row {
    int driver;
    const rs_tour *tour;
    rs_type type;
} row;

static int by_driver_and_id(const void *a, const void *b) {
    const row *x = a, *y = b;
    return x->driver != y->driver ? x->driver - y->driver : strcmp(x->tour->id, y->tour->id);
}

/* Numbers the drivers by their first tour, so that names come from the plan and not from how it was found. */
static int collect(const rs_week *w, row *rows, int *number) {
    const rs_problem *p = w->p;
    int named = 0;
    for (int d = 0; d < w->n; d++) {
        number[d] = -1;
    }
    int n = 0;
    for (int u = 0; u < p->n_units; u++) {
        int d = w->driver_of[u];
        if (d < 0) {
            return -1;
        }
        if (number[d] < 0) {
            number[d] = ++named;
        }
        for (int k = 0; k < p->units[u].n; k++) {
            rows[n++] = (row){.driver = number[d],
                              .tour = &p->tours[p->units[u].tour[k]],
                              .type = w->drivers[d].day[p->units[u].day].type};
        }
    }
    return n == p->n_tours ? named : -1;
}

static json_t *document(const rs_week *w, const row *rows, int drivers, int bound) {
    const rs_problem *p = w->p;
    int width = snprintf(NULL, 0, "%d", drivers);
    width = width < 3 ? 3 : width > 9 ? 9 : width;
    json_t *list = json_array();
    for (int i = 0; i < p->n_tours && list != NULL; i++) {
        char name[DRIVER_NAME_MAX], block[DRIVER_NAME_MAX];
        json_t *item = NULL;
        if (snprintf(name, sizeof name, "D%0*d", width, rows[i].driver) < (int)sizeof name &&
            snprintf(block, sizeof block, "%s-%d", name, rows[i].tour->day + 1) < (int)sizeof block) {
            item = json_pack("{s:s, s:s, s:i, s:s, s:s}", "driver_id", name, "tour_instance_id", rows[i].tour->id,
                             "day", rows[i].tour->day + 1, "block_id", block, "block_type", type_name(rows[i].type));
        }
        if (item == NULL || json_array_append_new(list, item) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list == NULL
               ? NULL
               : json_pack("{s:{s:s, s:s}, s:i, s:i, s:I, s:o}", "solver", "name", RS_NAME, "version", RS_VERSION,
                           "drivers", drivers, "lower_bound", bound, "seed", (json_int_t)p->seed, "assignments", list);
}

static int append(const char *bytes, size_t n, void *out) {
    return buf_append(out, bytes, n);
}

int rs_plan_write(const rs_week *w, int bound, buf *out, err *e) {
    const rs_problem *p = w->p;
    row *rows = malloc((size_t)p->n_tours * sizeof *rows);
    int *number = malloc((size_t)(w->n > 0 ? w->n : 1) * sizeof *number);
    int rc = 0;
    if (rows == NULL || number == NULL) {
        rc = err_set(e, "out_of_memory", "no memory for a plan of %d tours", p->n_tours);
    }
    int drivers = rc == 0 ? collect(w, rows, number) : 0;
    if (drivers < 0) {
        rc = err_set(e, "internal", "the plan does not hold every tour once");
    }
    if (rc == 0) {
        qsort(rows, (size_t)p->n_tours, sizeof *rows, by_driver_and_id);
        json_t *doc = document(w, rows, drivers, bound);
        if (doc == NULL || json_dump_callback(doc, append, out, JSON_COMPACT | JSON_SORT_KEYS) != 0) {
            rc = err_set(e, "out_of_memory", "no memory for the plan's text");
        }
        json_decref(doc);
    }
    free(rows);
    free(number);
    return rc;
}
