#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "solvers/common/read.h"
#include "solvers/routing/routing.h"

/* The bit of a skill, a new one where the name is; -1 when there are too many. */
static int skill_bit(rt_problem *p, const char *name, err *e) {
    for (int i = 0; i < p->n_skills; i++) {
        if (strcmp(p->skill[i], name) == 0) {
            return i;
        }
    }
    if (p->n_skills == RT_SKILLS_MAX) {
        err_set(e, "input_value", "skills: more than %d different ones", RT_SKILLS_MAX);
        return err_fix(e, "Name fewer skills, or split the scenario");
    }
    p->skill[p->n_skills] = name;
    return p->n_skills++;
}

static int read_skills(rt_problem *p, const json_t *object, const char *where, uint64_t *out, err *e) {
    const json_t *list = json_object_get(object, "skills");
    char at[64];
    snprintf(at, sizeof at, "%s.skills", where);
    if (!json_is_array(list)) {
        return solver_bad(e, at, "a list of texts", list);
    }
    *out = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item) || json_string_length(item) == 0 || json_string_length(item) > SOLVER_NAME_MAX) {
            return solver_bad(e, at, "a list of texts of at most 256 bytes", item);
        }
        int bit = skill_bit(p, json_string_value(item), e);
        if (bit < 0) {
            return -1;
        }
        *out |= UINT64_C(1) << bit;
    }
    return 0;
}

static int read_place(const rt_problem *p, const json_t *object, const char *where, int *out, err *e) {
    int64_t place;
    if (solver_read_int(object, where, "place", 0, p->n_places - 1, &place, e) != 0) {
        return -1;
    }
    *out = (int)place;
    return 0;
}

static int read_stop(rt_problem *p, rt_stop *out, const json_t *item, const char *where, err *e) {
    static const char *const keys[] = {"id",           "place",  "demand", "service_s", "window_start_s",
                                       "window_end_s", "skills", NULL};
    if (solver_check_keys(item, where, keys, e) != 0 || solver_read_name(item, where, "id", false, &out->id, e) != 0 ||
        read_place(p, item, where, &out->place, e) != 0 ||
        solver_read_int(item, where, "demand", 0, RT_AMOUNT_MAX, &out->demand, e) != 0 ||
        solver_read_int(item, where, "service_s", 0, RT_TIME_MAX, &out->service, e) != 0 ||
        solver_read_int(item, where, "window_start_s", 0, RT_TIME_MAX, &out->open, e) != 0 ||
        solver_read_int(item, where, "window_end_s", out->open, RT_TIME_MAX, &out->close, e) != 0) {
        return -1;
    }
    return read_skills(p, item, where, &out->skills, e);
}

static int read_vehicle(rt_problem *p, rt_vehicle *out, const json_t *item, const char *where, err *e) {
    static const char *const keys[] = {"id", "place", "capacity", "shift_start_s", "shift_end_s", "skills", NULL};
    if (solver_check_keys(item, where, keys, e) != 0 || solver_read_name(item, where, "id", false, &out->id, e) != 0 ||
        read_place(p, item, where, &out->place, e) != 0 ||
        solver_read_int(item, where, "capacity", 0, RT_AMOUNT_MAX, &out->capacity, e) != 0 ||
        solver_read_int(item, where, "shift_start_s", 0, RT_TIME_MAX, &out->start, e) != 0 ||
        solver_read_int(item, where, "shift_end_s", out->start, RT_TIME_MAX, &out->end, e) != 0) {
        return -1;
    }
    return read_skills(p, item, where, &out->skills, e);
}

/* A list of 1 to `max` things; its length, or -1. */
static int list_length(const json_t *doc, const char *key, int max, err *e) {
    const json_t *list = json_object_get(doc, key);
    if (!json_is_array(list)) {
        return solver_bad(e, key, "a list", list);
    }
    size_t n = json_array_size(list);
    if (n < 1 || n > (size_t)max) {
        err_set(e, "input_value", "%s: expected 1 to %d, found %zu", key, max, n);
        return err_fix(e, n == 0 ? "Give at least one: a plan of nothing proves nothing" : "Split the scenario");
    }
    return (int)n;
}

static int stop_by_id(const void *a, const void *b) {
    return strcmp(((const rt_stop *)a)->id, ((const rt_stop *)b)->id);
}

static int vehicle_by_id(const void *a, const void *b) {
    return strcmp(((const rt_vehicle *)a)->id, ((const rt_vehicle *)b)->id);
}

static int twice(const char *key, const char *id, err *e) {
    err_set(e, "input_value", "%s: the id \"%.200s\" is given twice", key, id);
    return err_fix(e, "Give each an id of its own");
}

static int read_stops(rt_problem *p, err *e) {
    int n = list_length(p->doc, "stops", RT_STOPS_MAX, e);
    if (n < 0) {
        return -1;
    }
    p->stops = calloc((size_t)n, sizeof *p->stops);
    if (p->stops == NULL) {
        return err_set(e, "out_of_memory", "no memory for %d stops", n);
    }
    const json_t *list = json_object_get(p->doc, "stops");
    for (int i = 0; i < n; i++) {
        char where[32];
        snprintf(where, sizeof where, "stops[%d]", i);
        if (read_stop(p, &p->stops[i], json_array_get(list, (size_t)i), where, e) != 0) {
            return -1;
        }
    }
    p->n_stops = n;
    qsort(p->stops, (size_t)n, sizeof *p->stops, stop_by_id);
    for (int i = 1; i < n; i++) {
        if (strcmp(p->stops[i - 1].id, p->stops[i].id) == 0) {
            return twice("stops", p->stops[i].id, e);
        }
    }
    return 0;
}

static int read_vehicles(rt_problem *p, err *e) {
    int n = list_length(p->doc, "vehicles", RT_VEHICLES_MAX, e);
    if (n < 0) {
        return -1;
    }
    p->vehicles = calloc((size_t)n, sizeof *p->vehicles);
    if (p->vehicles == NULL) {
        return err_set(e, "out_of_memory", "no memory for %d vehicles", n);
    }
    const json_t *list = json_object_get(p->doc, "vehicles");
    for (int i = 0; i < n; i++) {
        char where[32];
        snprintf(where, sizeof where, "vehicles[%d]", i);
        if (read_vehicle(p, &p->vehicles[i], json_array_get(list, (size_t)i), where, e) != 0) {
            return -1;
        }
    }
    p->n_vehicles = n;
    qsort(p->vehicles, (size_t)n, sizeof *p->vehicles, vehicle_by_id);
    for (int i = 1; i < n; i++) {
        if (strcmp(p->vehicles[i - 1].id, p->vehicles[i].id) == 0) {
            return twice("vehicles", p->vehicles[i].id, e);
        }
    }
    return 0;
}

static int read_row(const json_t *row, int n, int *out, const char *where, err *e) {
    if (!json_is_array(row) || json_array_size(row) != (size_t)n) {
        char expected[64];
        snprintf(expected, sizeof expected, "a list of %d, one a place", n);
        return solver_bad(e, where, expected, row);
    }
    for (int i = 0; i < n; i++) {
        const json_t *value = json_array_get(row, (size_t)i);
        json_int_t amount = json_integer_value(value);
        if (json_is_null(value)) {
            amount = RT_NO_WAY;
        } else if (!json_is_integer(value) || amount < 0 || amount > RT_AMOUNT_MAX) {
            char at[96];
            snprintf(at, sizeof at, "%s[%d]", where, i);
            return solver_bad(e, at, "an integer from 0 to 1000000000, or null where there is no way", value);
        }
        out[i] = (int)amount;
    }
    return 0;
}

static int read_table(const rt_problem *p, const json_t *matrix, const char *key, int **out, err *e) {
    const json_t *rows = json_object_get(matrix, key);
    char where[64];
    snprintf(where, sizeof where, "matrix.%s", key);
    if (!json_is_array(rows) || json_array_size(rows) != (size_t)p->n_places) {
        return solver_bad(e, where, "as many rows as matrix.seconds", rows);
    }
    *out = calloc((size_t)p->n_places * (size_t)p->n_places, sizeof **out);
    if (*out == NULL) {
        return err_set(e, "out_of_memory", "no memory for travel between %d places", p->n_places);
    }
    for (int i = 0; i < p->n_places; i++) {
        snprintf(where, sizeof where, "matrix.%s[%d]", key, i);
        int *row = *out + (size_t)i * (size_t)p->n_places;
        if (read_row(json_array_get(rows, (size_t)i), p->n_places, row, where, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_matrix(rt_problem *p, err *e) {
    static const char *const keys[] = {"seconds", "metres", NULL};
    const json_t *matrix = json_object_get(p->doc, "matrix");
    if (solver_check_keys(matrix, "matrix", keys, e) != 0) {
        return -1;
    }
    p->n_places = list_length(matrix, "seconds", RT_PLACES_MAX, e);
    return p->n_places < 0 || read_table(p, matrix, "seconds", &p->seconds, e) != 0 ||
                   read_table(p, matrix, "metres", &p->metres, e) != 0
               ? -1
               : 0;
}

static int read_all(rt_problem *p, err *e) {
    static const char *const keys[] = {"pack", "seed", "config", "matrix", "stops", "vehicles", NULL};
    static const char *const none[] = {NULL};
    if (solver_check_keys(p->doc, "request", keys, e) != 0) {
        return -1;
    }
    const json_t *pack = json_object_get(p->doc, "pack");
    if (!json_is_string(pack) || strcmp(json_string_value(pack), "routing") != 0) {
        return solver_bad(e, "pack", "\"routing\"", pack);
    }
    return solver_read_int(p->doc, "", "seed", -SOLVER_SEED_MAX, SOLVER_SEED_MAX, &p->seed, e) != 0 ||
                   solver_check_keys(json_object_get(p->doc, "config"), "config", none, e) != 0 ||
                   read_matrix(p, e) != 0 || read_stops(p, e) != 0 || read_vehicles(p, e) != 0
               ? -1
               : 0;
}

int rt_problem_read(rt_problem *p, const char *text, size_t n, err *e) {
    *p = (rt_problem){0};
    if (solver_read_document(text, n, &p->doc, e) != 0) {
        return -1;
    }
    int rc = read_all(p, e);
    if (rc != 0) {
        rt_problem_free(p);
    }
    return rc;
}

void rt_problem_free(rt_problem *p) {
    free(p->stops);
    free(p->vehicles);
    free(p->seconds);
    free(p->metres);
    json_decref(p->doc);
    *p = (rt_problem){0};
}
