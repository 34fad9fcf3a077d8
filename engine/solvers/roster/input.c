#include <stdlib.h>
#include <string.h>

#include "solvers/common/read.h"
#include "solvers/roster/roster.h"

static int read_limits(rs_limits *out, const json_t *config, err *e) {
    static const char *const keys[] = {"max_weekly_minutes", "min_rest_minutes", "max_span_regular_minutes",
                                       "max_span_split_minutes", NULL};
    if (solver_check_keys(config, "config", keys, e) != 0) {
        return -1;
    }
    int64_t v[4] = {0};
    for (int i = 0; i < 4; i++) {
        if (solver_read_int(config, "config", keys[i], i == 1 ? 0 : 1, RS_DAYS * RS_DAY_MINUTES, &v[i], e) != 0) {
            return -1;
        }
    }
    *out = (rs_limits){.weekly = (int)v[0], .rest = (int)v[1], .span_regular = (int)v[2], .span_split = (int)v[3]};
    return 0;
}

static int read_tour(rs_tour *out, const json_t *item, size_t index, err *e) {
    static const char *const keys[] = {"id", "day", "start_min", "end_min", "depot", "skill", "split_group", NULL};
    char where[48];
    snprintf(where, sizeof where, "instances[%zu]", index);
    int64_t day, start, end;
    const char *ignored;
    if (solver_check_keys(item, where, keys, e) != 0 || solver_read_name(item, where, "id", false, &out->id, e) != 0 ||
        solver_read_name(item, where, "split_group", true, &out->group, e) != 0 ||
        solver_read_name(item, where, "depot", true, &ignored, e) != 0 ||
        solver_read_name(item, where, "skill", true, &ignored, e) != 0 ||
        solver_read_int(item, where, "day", 1, RS_DAYS, &day, e) != 0 ||
        solver_read_int(item, where, "start_min", (day - 1) * RS_DAY_MINUTES, day * RS_DAY_MINUTES - 1, &start, e) !=
            0 ||
        solver_read_int(item, where, "end_min", start + 1, start + RS_DAYS * RS_DAY_MINUTES, &end, e) != 0) {
        return -1;
    }
    out->day = (int)day - 1;
    out->start = (int)start;
    out->end = (int)end;
    return 0;
}

static int by_time(const void *a, const void *b) {
    const rs_tour *x = a, *y = b;
    if (x->day != y->day) {
        return x->day < y->day ? -1 : 1;
    }
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    if (x->end != y->end) {
        return x->end < y->end ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

/* An id twice would be told apart by its times in by_time; look at the ids alone. */
static int by_id(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const rs_problem *p, err *e) {
    const char **ids = malloc((size_t)p->n_tours * sizeof *ids);
    if (ids == NULL) {
        return err_set(e, "out_of_memory", "no memory for %d tours", p->n_tours);
    }
    for (int i = 0; i < p->n_tours; i++) {
        ids[i] = p->tours[i].id;
    }
    qsort(ids, (size_t)p->n_tours, sizeof *ids, by_id);
    int rc = 0;
    for (int i = 1; i < p->n_tours && rc == 0; i++) {
        if (strcmp(ids[i - 1], ids[i]) == 0) {
            err_set(e, "input_value", "instances: the id \"%.200s\" is given twice", ids[i]);
            rc = err_fix(e, "Give every tour instance an id of its own");
        }
    }
    free(ids);
    return rc;
}

static int read_tours(rs_problem *p, const json_t *list, err *e) {
    if (!json_is_array(list)) {
        return solver_bad(e, "instances", "a list", list);
    }
    size_t n = json_array_size(list);
    if (n < 1 || n > RS_TOURS_MAX) {
        err_set(e, "input_value", "instances: expected 1 to %d tours, found %zu", RS_TOURS_MAX, n);
        return err_fix(e, n == 0 ? "Give at least one tour: a plan of nothing proves nothing" : "Split the forecast");
    }
    p->tours = calloc(n, sizeof *p->tours);
    if (p->tours == NULL) {
        return err_set(e, "out_of_memory", "no memory for %zu tours", n);
    }
    p->n_tours = (int)n;
    for (size_t i = 0; i < n; i++) {
        if (read_tour(&p->tours[i], json_array_get(list, i), i, e) != 0) {
            return -1;
        }
    }
    if (check_unique(p, e) != 0) {
        return -1;
    }
    qsort(p->tours, n, sizeof *p->tours, by_time);
    return 0;
}

int rs_problem_read(rs_problem *p, const char *text, size_t n, err *e) {
    static const char *const keys[] = {"pack", "seed", "config", "instances", NULL};
    *p = (rs_problem){0};
    if (solver_read_document(text, n, &p->doc, e) != 0) {
        return -1;
    }
    const json_t *pack = json_object_get(p->doc, "pack");
    int rc = solver_check_keys(p->doc, "request", keys, e);
    if (rc == 0 && (!json_is_string(pack) || strcmp(json_string_value(pack), "roster") != 0)) {
        rc = solver_bad(e, "pack", "\"roster\"", pack);
    }
    if (rc == 0) {
        rc = solver_read_int(p->doc, "", "seed", -SOLVER_SEED_MAX, SOLVER_SEED_MAX, &p->seed, e);
    }
    if (rc == 0) {
        rc = read_limits(&p->limits, json_object_get(p->doc, "config"), e);
    }
    if (rc == 0) {
        rc = read_tours(p, json_object_get(p->doc, "instances"), e);
    }
    if (rc != 0) {
        rs_problem_free(p);
    }
    return rc;
}

void rs_problem_free(rs_problem *p) {
    free(p->units);
    free(p->tours);
    json_decref(p->doc);
    *p = (rs_problem){0};
}
