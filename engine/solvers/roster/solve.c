#include "solvers/roster/roster.h"

static int solve(const rs_problem *p, buf *out, err *e) {
    int bound = rs_lower_bound(p, e);
    if (bound < 0) {
        return -1;
    }
    rs_week week;
    if (rs_week_init(&week, p, e) != 0) {
        return -1;
    }
    solver_rng rng;
    solver_rng_seed(&rng, (uint64_t)p->seed);
    int rc = rs_greedy(&week, e);
    if (rc == 0) {
        rc = rs_search_drivers(&week, bound, &rng, e);
    }
    if (rc == 0) {
        rc = rs_search_full_time(&week, &rng, e);
    }
    if (rc == 0) {
        rc = rs_plan_write(&week, bound, out, e);
    }
    rs_week_free(&week);
    return rc;
}

int rs_solve_text(const char *text, size_t n, buf *out, err *e) {
    rs_problem p;
    if (rs_problem_read(&p, text, n, e) != 0) {
        return -1;
    }
    int rc = rs_units_make(&p, e);
    if (rc == 0) {
        rc = solve(&p, out, e);
    }
    rs_problem_free(&p);
    return rc;
}
