/* engine_emit.c: the finished report goes out, also when a signal says to hurry. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/cli.h"
#include "run/engine_parts.h"
#include "run/report.h"
#include "run/signals.h"

#define ENTRIES_CUT 100

/* The report of a run that is told to end while it is written: what fits into a moment, and an error that says so. */
static int emit_cut(engine_run_state *s, report_opts o) {
    int code = signals_exit_code();
    err e;
    err_set(&e, "interrupted",
            "interrupted by signal %d while the reports were written: of each gate they hold %d entries at most",
            (int)signals_flag, ENTRIES_CUT);
    err_fix(&e, "run again for the others");
    log_line(LOG_ERROR, "%s", e.message);
    json_t *cut = report_cut(s->report, ENTRIES_CUT, &e);
    if (cut == NULL) {
        log_line(LOG_ERROR, "out of memory while writing the report");
        return code;
    }
    report_finish(cut, clock_ms_exact() - s->started, false, code);
    o.interrupted = NULL;
    if (report_emit(cut, s->r->reports, &o, &e) != 0) {
        log_line(LOG_ERROR, "%s", e.message);
    }
    json_decref(cut);
    return code;
}

/* Prints and writes the finished report; the exit code may get worse by what could not be written. */
int engine_emit(engine_run_state *s, int code, bool no_text) {
    report_opts o = {.verbose = s->r->verbose,
                     .colour = report_colour(1),
                     .no_text = no_text,
                     .interrupted = &signals_flag,
                     .said = s->said};
    err e;
    progress_hide(s->progress);
    if (signals_flag != 0 && code == signals_exit_code()) {
        signals_forget(); /* the signal that ended the run is in the report; the next one ends its writing */
    }
    if (report_emit(s->report, s->r->reports, &o, &e) != 0) {
        if (strcmp(e.code, "interrupted") == 0) {
            return emit_cut(s, o);
        }
        log_line(LOG_ERROR, "%s", e.message);
        if (signals_flag != 0) { /* nobody read, and whoever waited for that ended it */
            return signals_exit_code();
        }
        return code == EXIT_PASS ? EXIT_BROKEN : code;
    }
    return code;
}
