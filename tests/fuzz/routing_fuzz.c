/* The routing solver's input: any bytes are a problem or a named error; a small problem is solved, twice the same. */
#include <string.h>

#include "promise.h"
#include "solvers/routing/routing.h"

enum { SMALL = 3 };

static void check_problem(const rt_problem *p) {
    for (int i = 0; i < p->n_stops; i++) {
        const rt_stop *s = &p->stops[i];
        PROMISE(s->place >= 0 && s->place < p->n_places && s->open >= 0 && s->close >= s->open && s->demand >= 0);
        PROMISE(i == 0 || strcmp(p->stops[i - 1].id, s->id) < 0);
    }
    for (int i = 0; i < p->n_vehicles; i++) {
        const rt_vehicle *v = &p->vehicles[i];
        PROMISE(v->place >= 0 && v->place < p->n_places && v->end >= v->start && v->capacity >= 0);
    }
    for (int i = 0; i < p->n_places * p->n_places; i++) {
        PROMISE(p->seconds[i] >= RT_NO_WAY && p->metres[i] >= RT_NO_WAY);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *text = (const char *)data;
    err e;
    rt_problem p;
    memset(&p, 0, sizeof p);
    if (rt_problem_read(&p, text, n, &e) != 0) {
        PROMISE(e.code[0] != '\0' && e.message[0] != '\0');
        return 0;
    }
    check_problem(&p);
    bool small = p.n_stops <= SMALL && p.n_vehicles <= SMALL;
    rt_problem_free(&p);
    if (small) {
        buf first = BUF_INIT;
        buf second = BUF_INIT;
        int rc = rt_solve_text(text, n, &first, &e);
        PROMISE(rt_solve_text(text, n, &second, &e) == rc);
        PROMISE(first.len == second.len && memcmp(buf_str(&first), buf_str(&second), first.len) == 0);
        buf_free(&second);
        buf_free(&first);
    }
    return 0;
}
