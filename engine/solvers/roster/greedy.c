/* A first plan: each unit, in order of its start, goes where it fits best. */
#include "solvers/roster/roster.h"

/* How well a block suits a driver, higher is better: a day that is already worked before a free one (that is what
 * keeps the number of drivers down), chains before splits, then who has most work already. */
static int suits(const rs_week *w, int d, int day, const rs_block *b) {
    static const int by_type[] = {[RS_NONE] = 0, [RS_1ER] = 0, [RS_2ER_REG] = 2, [RS_2ER_SPLIT] = 1, [RS_3ER] = 3};
    const rs_driver *driver = &w->drivers[d];
    int score = driver->day[day].n > 0 ? by_type[b->type] + 1 : 0;
    return score * 2 * RS_DAYS * RS_DAY_MINUTES + driver->minutes;
}

int rs_greedy(rs_week *w, err *e) {
    const rs_problem *p = w->p;
    for (int u = 0; u < p->n_units; u++) {
        int day = p->units[u].day, best = -1, best_score = 0;
        rs_block block, best_block = {0};
        for (int d = 0; d < w->n; d++) {
            if (!rs_week_with(w, d, u, &block) || !rs_week_fits(w, d, day, &block)) {
                continue;
            }
            int score = suits(w, d, day, &block);
            if (best < 0 || score > best_score) {
                best = d;
                best_score = score;
                best_block = block;
            }
        }
        if (best < 0) {
            best = rs_week_add_driver(w);
            if (best < 0) {
                return err_set(e, "out_of_memory", "no memory for %d drivers", w->n + 1);
            }
            if (!rs_week_with(w, best, u, &best_block)) {
                return err_set(e, "internal", "unit %d is no block of its own", u);
            }
        }
        rs_week_set(w, best, day, &best_block);
    }
    return 0;
}
