#include <stdlib.h>
#include <string.h>

#include "solvers/routing/routing.h"

int rt_metres(const rt_problem *p, int from, int to) {
    return p->metres[(size_t)from * (size_t)p->n_places + (size_t)to];
}

int rt_seconds(const rt_problem *p, int from, int to) {
    return p->seconds[(size_t)from * (size_t)p->n_places + (size_t)to];
}

int rt_plan_init(rt_plan *plan, const rt_problem *p, err *e) {
    size_t stops = (size_t)p->n_stops, vehicles = (size_t)p->n_vehicles;
    *plan = (rt_plan){.p = p, .unserved = p->n_stops};
    plan->seq = calloc(stops * vehicles, sizeof *plan->seq);
    plan->length = calloc(vehicles, sizeof *plan->length);
    plan->cost = calloc(vehicles, sizeof *plan->cost);
    plan->vehicle_of = calloc(stops, sizeof *plan->vehicle_of);
    if (plan->seq == NULL || plan->length == NULL || plan->cost == NULL || plan->vehicle_of == NULL) {
        rt_plan_free(plan);
        return err_set(e, "out_of_memory", "no memory for a plan of %zu stops and %zu vehicles", stops, vehicles);
    }
    for (size_t i = 0; i < stops; i++) {
        plan->vehicle_of[i] = -1;
    }
    return 0;
}

void rt_plan_free(rt_plan *plan) {
    free(plan->seq);
    free(plan->length);
    free(plan->cost);
    free(plan->vehicle_of);
    *plan = (rt_plan){0};
}

void rt_plan_copy(rt_plan *to, const rt_plan *from) {
    size_t stops = (size_t)from->p->n_stops, vehicles = (size_t)from->p->n_vehicles;
    for (size_t v = 0; v < vehicles; v++) {
        memcpy(to->seq + v * stops, from->seq + v * stops, (size_t)from->length[v] * sizeof *to->seq);
    }
    memcpy(to->length, from->length, vehicles * sizeof *to->length);
    memcpy(to->cost, from->cost, vehicles * sizeof *to->cost);
    memcpy(to->vehicle_of, from->vehicle_of, stops * sizeof *to->vehicle_of);
    to->unserved = from->unserved;
    to->metres = from->metres;
    to->seconds = from->seconds;
}

bool rt_drive(const rt_problem *p, int vehicle, const int *stops, int n, rt_cost *cost, rt_visit *visits) {
    const rt_vehicle *v = &p->vehicles[vehicle];
    *cost = (rt_cost){.begin = v->start, .end = v->start};
    if (n == 0) {
        return true;
    }
    int64_t now = v->start, load = 0;
    int at = v->place;
    for (int i = 0; i < n; i++) {
        const rt_stop *s = &p->stops[stops[i]];
        int way = rt_seconds(p, at, s->place), metres = rt_metres(p, at, s->place);
        load += s->demand;
        if (way < 0 || metres < 0 || (s->skills & ~v->skills) != 0 || load > v->capacity) {
            return false;
        }
        int64_t arrive = now + way, start = arrive < s->open ? s->open : arrive;
        if (start > s->close) {
            return false;
        }
        if (i == 0) {
            cost->begin = start - way;
            arrive = start;
        }
        if (visits != NULL) {
            visits[i] = (rt_visit){.arrive = arrive, .start = start, .leave = start + s->service};
        }
        cost->metres += metres;
        now = start + s->service;
        at = s->place;
    }
    int home = rt_seconds(p, at, v->place), metres = rt_metres(p, at, v->place);
    cost->metres += metres;
    cost->end = now + home;
    return home >= 0 && metres >= 0 && cost->end <= v->end;
}

void rt_plan_set(rt_plan *plan, int vehicle, const int *stops, int n, const rt_cost *cost) {
    size_t width = (size_t)plan->p->n_stops;
    int *seq = plan->seq + (size_t)vehicle * width;
    for (int i = 0; i < plan->length[vehicle]; i++) {
        plan->unserved += plan->vehicle_of[seq[i]] == vehicle ? 1 : 0;
        plan->vehicle_of[seq[i]] = plan->vehicle_of[seq[i]] == vehicle ? -1 : plan->vehicle_of[seq[i]];
    }
    rt_cost *old = &plan->cost[vehicle];
    plan->metres += cost->metres - old->metres;
    plan->seconds += (cost->end - cost->begin) - (old->end - old->begin);
    *old = *cost;
    memmove(seq, stops, (size_t)n * sizeof *seq);
    plan->length[vehicle] = n;
    for (int i = 0; i < n; i++) {
        plan->unserved -= plan->vehicle_of[seq[i]] < 0 ? 1 : 0;
        plan->vehicle_of[seq[i]] = vehicle;
    }
}

bool rt_plan_better(const rt_plan *a, const rt_plan *b) {
    if (a->unserved != b->unserved) {
        return a->unserved < b->unserved;
    }
    return a->metres != b->metres ? a->metres < b->metres : a->seconds < b->seconds;
}
