#include <stdio.h>
#include <stdlib.h>

#include "solvers/routing/routing.h"

#define DETAIL_MAX 800

/* Why stop s is in no route: the rule, and a text. A vehicle that would do by the rules before is looked for each time,
 * so that the rule named is the one that stops the last of them. */
static const char *reason(const rt_problem *p, int s, char detail[DETAIL_MAX]) {
    const rt_stop *stop = &p->stops[s];
    int skilled = -1, big = -1;
    int64_t soonest = INT64_MAX;
    for (int v = 0; v < p->n_vehicles; v++) {
        const rt_vehicle *vehicle = &p->vehicles[v];
        if ((stop->skills & ~vehicle->skills) != 0) {
            continue;
        }
        skilled = skilled < 0 || vehicle->capacity > p->vehicles[skilled].capacity ? v : skilled;
        if (stop->demand > vehicle->capacity) {
            continue;
        }
        big = v;
        int way = rt_seconds(p, vehicle->place, stop->place);
        rt_cost cost;
        if (rt_drive(p, v, &s, 1, &cost, NULL)) {
            snprintf(detail, DETAIL_MAX,
                     "%s could serve it alone, but no vehicle has room or time for it beside its stops", vehicle->id);
            return "no_room";
        }
        soonest = way >= 0 && vehicle->start + way < soonest ? vehicle->start + way : soonest;
    }
    if (skilled < 0) {
        const char *name = "";
        for (int i = 0; i < p->n_skills && *name == '\0'; i++) {
            name = (stop->skills >> i & 1) != 0 ? p->skill[i] : "";
        }
        snprintf(detail, DETAIL_MAX, "no vehicle has all the skills it needs (\"%s\")", name);
        return "skills_compliance";
    }
    if (big < 0) {
        snprintf(detail, DETAIL_MAX, "its demand is %lld, and the largest vehicle for it, %s, takes %lld",
                 (long long)stop->demand, p->vehicles[skilled].id, (long long)p->vehicles[skilled].capacity);
        return "capacity";
    }
    if (soonest == INT64_MAX) {
        snprintf(detail, DETAIL_MAX, "there is no way to it from any depot");
    } else {
        snprintf(detail, DETAIL_MAX,
                 "its window closes at second %lld, no vehicle can be there before second %lld, or none is back in its "
                 "shift",
                 (long long)stop->close, (long long)soonest);
    }
    return "time_window";
}

static json_t *unassigned(const rt_plan *plan) {
    json_t *list = json_array();
    for (int s = 0; s < plan->p->n_stops && list != NULL; s++) {
        if (plan->vehicle_of[s] >= 0) {
            continue;
        }
        char detail[DETAIL_MAX];
        const char *rule = reason(plan->p, s, detail);
        json_t *item = json_pack("{s:s, s:s, s:s*}", "stop_id", plan->p->stops[s].id, "rule", rule, "detail", detail);
        if (item == NULL || json_array_append_new(list, item) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* The stops of a route; also proves once more that it can be driven. */
static json_t *visits_of(const rt_plan *plan, int v, rt_visit *times) {
    const int *seq = plan->seq + (size_t)v * (size_t)plan->p->n_stops;
    rt_cost cost;
    json_t *list = rt_drive(plan->p, v, seq, plan->length[v], &cost, times) ? json_array() : NULL;
    for (int i = 0; i < plan->length[v] && list != NULL; i++) {
        json_t *item = json_pack("{s:s, s:I, s:I, s:I}", "stop_id", plan->p->stops[seq[i]].id, "arrive_s",
                                 (json_int_t)times[i].arrive, "start_s", (json_int_t)times[i].start, "leave_s",
                                 (json_int_t)times[i].leave);
        if (item == NULL || json_array_append_new(list, item) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *routes(const rt_plan *plan, rt_visit *times) {
    json_t *list = json_array();
    for (int v = 0; v < plan->p->n_vehicles && list != NULL; v++) {
        if (plan->length[v] == 0) {
            continue;
        }
        json_t *visits = visits_of(plan, v, times);
        json_t *item =
            json_pack("{s:s, s:I, s:I, s:o}", "vehicle_id", plan->p->vehicles[v].id, "start_s",
                      (json_int_t)plan->cost[v].begin, "end_s", (json_int_t)plan->cost[v].end, "visits", visits);
        if (visits == NULL || item == NULL || json_array_append_new(list, item) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static int append(const char *bytes, size_t n, void *out) {
    return buf_append(out, bytes, n);
}

int rt_plan_write(const rt_plan *plan, buf *out, err *e) {
    rt_visit *times = malloc((size_t)plan->p->n_stops * sizeof *times);
    json_t *made = times != NULL ? routes(plan, times) : NULL;
    json_t *left = unassigned(plan);
    json_t *doc = json_pack("{s:{s:s, s:s}, s:I, s:b, s:I, s:o, s:o}", "solver", "name", RT_NAME, "version", RT_VERSION,
                            "seed", (json_int_t)plan->p->seed, "feasible", plan->unserved == 0, "distance_m",
                            (json_int_t)plan->metres, "routes", made, "unassigned", left);
    int rc = 0;
    if (doc == NULL || made == NULL || left == NULL ||
        json_dump_callback(doc, append, out, JSON_COMPACT | JSON_SORT_KEYS) != 0) {
        rc = err_set(e, "out_of_memory", "no memory for the plan's text");
    }
    json_decref(doc);
    free(times);
    return rc;
}
