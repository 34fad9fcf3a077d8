/* The roster solver's input: any bytes are a problem or a named error; a small problem is solved, twice the same. */
#include <string.h>

#include "promise.h"
#include "solvers/roster/roster.h"

enum { SMALL = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *text = (const char *)data;
    err e;
    rs_problem p;
    memset(&p, 0, sizeof p);
    if (rs_problem_read(&p, text, n, &e) != 0) {
        PROMISE(e.code[0] != '\0' && e.message[0] != '\0');
        return 0;
    }
    int tours = p.n_tours;
    for (int i = 0; i < tours; i++) {
        PROMISE(p.tours[i].day >= 0 && p.tours[i].day < RS_DAYS && p.tours[i].end > p.tours[i].start);
    }
    (void)rs_units_make(&p, &e);
    rs_problem_free(&p);
    if (tours <= SMALL) {
        buf first = BUF_INIT;
        buf second = BUF_INIT;
        int rc = rs_solve_text(text, n, &first, &e);
        PROMISE(rs_solve_text(text, n, &second, &e) == rc);
        PROMISE(first.len == second.len && memcmp(buf_str(&first), buf_str(&second), first.len) == 0);
        buf_free(&second);
        buf_free(&first);
    }
    return 0;
}
