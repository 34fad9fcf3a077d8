#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "solvers/roster/roster.h"

#define NAME_BYTES_MAX 256
/* Integers JSON readers agree on (RFC 8785 appendix D): doubles hold them exactly. */
#define SEED_MAX INT64_C(9007199254740991)

static int bad(err *e, const char *at, const char *expected, const json_t *found) {
    static const char *const names[] = {"an object",    "a list", "a text", "an integer", "a number with a fraction",
                                        "true or false"};
    const char *kind = "nothing";
    if (found != NULL) {
        switch (json_typeof(found)) {
        case JSON_OBJECT:
            kind = names[0];
            break;
        case JSON_ARRAY:
            kind = names[1];
            break;
        case JSON_STRING:
            kind = names[2];
            break;
        case JSON_INTEGER:
            err_set(e, "input_value", "%s: expected %s, found %" JSON_INTEGER_FORMAT, at, expected,
                    json_integer_value(found));
            return err_fix(e, "Correct the request; the solver's protocol names every key");
        case JSON_REAL:
            kind = names[4];
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            kind = names[5];
            break;
        case JSON_NULL:
            kind = "null";
            break;
        }
    }
    err_set(e, "input_value", "%s: expected %s, found %s", at, expected, kind);
    return err_fix(e, "Correct the request; the solver's protocol names every key");
}

/* Refuses keys that are not in `names` (NULL-ended), and values that are not objects. */
static int check_keys(const json_t *object, const char *at, const char *const *names, err *e) {
    if (!json_is_object(object)) {
        return bad(e, at, "an object", object);
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        bool known = false;
        for (int i = 0; names[i] != NULL; i++) {
            known = known || strcmp(names[i], key) == 0;
        }
        if (!known) {
            const char *near = text_suggest(key, names);
            err_set(e, "input_value", "%s: unknown key \"%.80s\"", at, key);
            return near != NULL ? err_fix(e, "Did you mean \"%s\"?", near) : err_fix(e, "Remove the key");
        }
    }
    return 0;
}

static int read_int(const json_t *object, const char *where, const char *key, int64_t min, int64_t max, int64_t *out,
                    err *e) {
    const json_t *value = json_object_get(object, key);
    char at[128];
    snprintf(at, sizeof at, "%s%s%s", where, *where ? "." : "", key);
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max) {
        char expected[96];
        snprintf(expected, sizeof expected, "an integer from %lld to %lld", (long long)min, (long long)max);
        return bad(e, at, expected, value);
    }
    *out = json_integer_value(value);
    return 0;
}

static int read_limits(rs_limits *out, const json_t *config, err *e) {
    static const char *const keys[] = {"max_weekly_minutes", "min_rest_minutes", "max_span_regular_minutes",
                                       "max_span_split_minutes", NULL};
    if (check_keys(config, "config", keys, e) != 0) {
        return -1;
    }
    int64_t v[4] = {0};
    for (int i = 0; i < 4; i++) {
        if (read_int(config, "config", keys[i], i == 1 ? 0 : 1, RS_DAYS * RS_DAY_MINUTES, &v[i], e) != 0) {
            return -1;
        }
    }
    *out = (rs_limits){.weekly = (int)v[0], .rest = (int)v[1], .span_regular = (int)v[2], .span_split = (int)v[3]};
    return 0;
}

/* A text of 1 to NAME_BYTES_MAX bytes without control characters; NULL allowed where `optional`. */
static int read_name(const json_t *object, const char *where, const char *key, bool optional, const char **out,
                     err *e) {
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    if (optional && (value == NULL || json_is_null(value))) {
        return 0;
    }
    char at[128];
    snprintf(at, sizeof at, "%s.%s", where, key);
    if (!json_is_string(value)) {
        return bad(e, at, optional ? "a text or null" : "a text", value);
    }
    const char *s = json_string_value(value);
    size_t n = json_string_length(value);
    bool clean = n > 0 && n <= NAME_BYTES_MAX;
    for (size_t i = 0; i < n && clean; i++) {
        clean = (unsigned char)s[i] >= 0x20 && s[i] != 0x7f;
    }
    if (!clean) {
        err_set(e, "input_value", "%s: expected a text of 1 to %d bytes without control characters, found %zu bytes",
                at, NAME_BYTES_MAX, n);
        return err_fix(e, "Give each tour a short printable name");
    }
    *out = s;
    return 0;
}

static int read_tour(rs_tour *out, const json_t *item, size_t index, err *e) {
    static const char *const keys[] = {"id", "day", "start_min", "end_min", "depot", "skill", "split_group", NULL};
    char where[48];
    snprintf(where, sizeof where, "instances[%zu]", index);
    int64_t day, start, end;
    const char *ignored;
    if (check_keys(item, where, keys, e) != 0 || read_name(item, where, "id", false, &out->id, e) != 0 ||
        read_name(item, where, "split_group", true, &out->group, e) != 0 ||
        read_name(item, where, "depot", true, &ignored, e) != 0 ||
        read_name(item, where, "skill", true, &ignored, e) != 0 ||
        read_int(item, where, "day", 1, RS_DAYS, &day, e) != 0 ||
        read_int(item, where, "start_min", (day - 1) * RS_DAY_MINUTES, day * RS_DAY_MINUTES - 1, &start, e) != 0 ||
        read_int(item, where, "end_min", start + 1, start + RS_DAYS * RS_DAY_MINUTES, &end, e) != 0) {
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
        return bad(e, "instances", "a list", list);
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
    json_error_t why;
    p->doc = mem_json(text, n, JSON_REJECT_DUPLICATES, &why);
    if (p->doc == NULL) {
        if (json_error_code(&why) == json_error_out_of_memory || why.text[0] == '\0') {
            return err_set(e, "out_of_memory", "no memory to read %zu bytes of JSON", n);
        }
        err_set(e, "input_json", "standard input, line %d, column %d: %s", why.line, why.column, why.text);
        return err_fix(e, "Give one JSON document without duplicate keys on standard input");
    }
    const json_t *pack = json_object_get(p->doc, "pack");
    int rc = check_keys(p->doc, "request", keys, e);
    if (rc == 0 && (!json_is_string(pack) || strcmp(json_string_value(pack), "roster") != 0)) {
        rc = bad(e, "pack", "\"roster\"", pack);
    }
    if (rc == 0) {
        rc = read_int(p->doc, "", "seed", -SEED_MAX, SEED_MAX, &p->seed, e);
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
