/* engine_scratch.c: scratch copies: a user's schema in a server of the run's own. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "run/baseline.h"
#include "run/engine_parts.h"
#include "run/report.h"
#include "run/signals.h"

#define LOAD_S 300

/* An internal gate that reads one path and has the superuser's connection and the owner's. */
static json_t *load_gate(const json_t *place) {
    return json_pack("{s:{s:s, s:s, s:{s:[s, s], s:b, s:b}, s:{}, s:{s:{s:s}}}, s:{s:{s:O, s:s}}}", "head", "id",
                     "scratch", "name", "scratch copy", "needs", "db", "admin", "owner", "solver", 0, "audits", 0,
                     "failures", "options", "schema", "type", "path", "options", "schema", "path",
                     json_object_get(place, "path"), "access", "read");
}

static void say(const json_t *notes) {
    size_t i;
    const json_t *note;
    json_array_foreach(notes, i, note) {
        log_line(LOG_INFO, "scratch copy: %s", json_string_value(note));
    }
}

int engine_scratch(engine_run_state *s, err *e) {
    json_t *gate = load_gate(s->r->scratch);
    engine_task t;
    int rc =
        gate != NULL ? engine_task_init(s, &t, gate, "scratch", NULL, e) : err_set(e, "out_of_memory", "out of memory");
    json_decref(gate);
    if (rc != 0) {
        return -1;
    }
    json_object_set(t.job, "scratch", s->r->scratch);
    rc = engine_pool_prepare(s, &t, LOAD_S, "the schema could not be loaded", e);
    const json_t *result = book_result(t.pool.book);
    if (rc == 0 && signals_flag != 0) {
        rc = err_set(e, "interrupted", "interrupted while the schema was loaded");
    } else if (rc == 0 && result != NULL) {
        json_t *facts = json_object_get(result, "facts");
        say(json_object_get(result, "notes"));
        if (s->r->against != NULL) {
            json_object_set(facts, "against", json_object_get(s->r->against, "path"));
        }
        json_object_set(json_object_get(s->report, "target"), "scratch", facts);
    } else if (rc == 0) {
        engine_worker_error(t.pool.book, e);
        rc = -1;
    }
    engine_task_free(&t);
    return rc;
}

/* What stands in a report of the base that nobody can compare with: something could not be evaluated. */
static int check_base(const json_t *report, err *e) {
    size_t g, i;
    const json_t *gate, *check;
    json_array_foreach(json_object_get(report, "gates"), g, gate) {
        json_array_foreach(json_object_get(gate, "checks"), i, check) {
            const char *status = json_string_value(json_object_get(check, "status"));
            if (status != NULL && strcmp(status, "ERROR") == 0) {
                const char *failure = json_string_value(json_object_get(check, "failure"));
                log_line(LOG_INFO, "--against: undecided there: %s", failure != NULL ? failure : "(no text)");
            }
        }
        if (json_array_size(json_object_get(gate, "checks")) == 0) {
            return err_set(e, "scratch_against", "--against: nothing was evaluated on that schema");
        }
    }
    return 0;
}

int engine_base(const run_request *r, json_t **base, err *e) {
    run_request before = *r;
    json_t *scratch = json_copy(r->scratch);
    json_object_update(scratch, (json_t *)r->against);
    before.scratch = scratch;
    before.against = NULL;
    before.strict = false;
    engine_run_state s;
    int rc = scratch != NULL ? engine_open(&s, &before, e) : err_set(e, "out_of_memory", "out of memory");
    rc = rc == 0 ? engine_gates(&s, e) : rc;
    /* A first migration is compared with nothing. */
    if (rc != 0 && (strcmp(e->code, "scratch_empty") == 0 || strcmp(e->code, "scratch_app_unknown") == 0)) {
        log_line(LOG_INFO, "--against: everything is new: %s", e->message);
        *base = json_object();
        engine_close(&s);
        json_decref(scratch);
        return *base != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    }
    rc = rc == 0 && signals_flag != 0 ? err_set(e, "interrupted", "interrupted in the schema of --against") : rc;
    rc = rc == 0 ? check_base(s.report, e) : rc;
    if (rc == 0) {
        *base = baseline_of(s.report);
        rc = *base != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    }
    if (scratch != NULL) {
        engine_close(&s);
    }
    json_decref(scratch);
    return rc;
}
