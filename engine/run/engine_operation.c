/* engine_operation.c: the front door of operations: a script that changes something by an operator's will.
 *
 * It runs in a worker as a gate does. What differs: nobody but its steps changes anything, a refusal by a rule is exit
 * 1, saying nothing is an error, and the tenant need not be there yet. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "run/cli.h"
#include "run/engine_parts.h"
#include "run/report.h"
#include "run/signals.h"

/* Does it reach what only a running platform has: a database, the platform's own artifact store? */
static bool needs_platform(const run_request *r) {
    const json_t *needs = json_object_get(r->head, "needs");
    return json_array_size(json_object_get(needs, "db")) > 0 || json_array_size(json_object_get(needs, "stores")) > 0;
}

static int run(engine_run_state *s, err *e) {
    json_t *prepared = NULL;
    if (needs_platform(s->r)) {
        if (engine_prepare(s, &prepared, e) != 0) {
            return -1;
        }
        report_set_target(s->report, target_report(&s->target, s->r, prepared));
        json_decref(prepared);
    }
    return engine_tasks(s, "operation", e);
}

/* What the operation said: to whoever runs it and to no report, since a key that is shown once may be in it. */
static int print_said(const engine_run_state *s) {
    FILE *out = report_stream(s->r->reports);
    size_t i;
    json_t *line;
    json_array_foreach(s->said, i, line) {
        fprintf(out, "%s\n", json_string_value(line));
    }
    return fflush(out) == 0 && ferror(out) == 0 ? 0 : -1;
}

int engine_operation(const run_request *r) {
    engine_run_state s;
    err e;
    err_clear(&e);
    int rc = needs_platform(r) ? engine_open(&s, r, &e) : engine_open_offline(&s, r, &e);
    rc = rc == 0 ? run(&s, &e) : rc;
    int code = engine_finish(&s, rc, &e);
    code = engine_emit(&s, code, false);
    if (print_said(&s) != 0) {
        log_line(LOG_ERROR, "what the operation said could not be written");
        code = code == EXIT_PASS ? EXIT_BROKEN : code;
    }
    engine_close(&s);
    return code;
}
