/* engine_rounds.c: a worker for each gate, once or several times over, and what one is to think of a gate that did not
 * end the same way each time. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "run/baseline.h"
#include "run/engine_parts.h"
#include "run/report.h"
#include "run/signals.h"

/* Starts a worker for each gate and waits for them all. */
static int run_workers(engine_run_state *s, const char *mode, err *e) {
    size_t n = json_array_size(s->r->gates);
    s->tasks = calloc(n, sizeof *s->tasks);
    pool_task *pool = calloc(n, sizeof *pool);
    int rc = s->tasks == NULL || pool == NULL ? err_set(e, "out_of_memory", "out of memory") : 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const json_t *gate = json_array_get(s->r->gates, i);
        const char *path = json_string_value(json_object_get(json_object_get(gate, "raw"), "path"));
        rc = engine_task_init(s, &s->tasks[i], gate, mode, path, e);
        if (rc == 0) {
            pool[i] = s->tasks[i].pool;
        }
    }
    if (rc == 0) {
        rc = engine_pool(s, pool, n, e);
        for (size_t i = 0; i < n; i++) { /* what they own comes back whatever became of them */
            s->tasks[i].pool = pool[i];
        }
    }
    free(pool);
    return rc;
}

/* Appends each gate's result to its list in `rounds`. */
static int close_round(engine_run_state *s, json_t *rounds, err *e) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(s->r->gates); i++) {
        pool_task *task = &s->tasks[i].pool;
        json_t *limits = task->limits;
        task->limits = NULL;
        json_t *closed = book_close(task->book, task->duration_ms, limits);
        int applied = closed == NULL           ? 0
                      : s->base != NULL        ? baseline_compare(s->base, closed)
                      : s->r->baseline != NULL ? baseline_apply(s->r->baseline, closed)
                                               : 0;
        if (applied != 0) {
            json_decref(closed);
            closed = NULL;
        }
        /* Counted here and not by the gate: what it says of itself is its author's word. */
        if (closed != NULL && task->taken > 0) {
            json_object_set_new(closed, "taken_over", json_integer((json_int_t)task->taken));
        }
        rc = json_array_append_new(json_array_get(rounds, i), closed);
    }
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
}

void engine_forget_tasks(engine_run_state *s) {
    for (size_t i = 0; s->tasks != NULL && i < json_array_size(s->r->gates); i++) {
        engine_task_free(&s->tasks[i]);
    }
    free(s->tasks);
    s->tasks = NULL;
}

static const char *status_of(const json_t *gate) {
    const char *status = json_string_value(json_object_get(gate, "status"));
    return status != NULL ? status : "ERROR";
}

/* The first result of this status; NULL where there is none. Borrowed. */
static json_t *first_of(const json_t *results, const char *status) {
    size_t i;
    json_t *gate;
    json_array_foreach((json_t *)results, i, gate) {
        if (strcmp(status_of(gate), status) == 0) {
            return gate;
        }
    }
    return NULL;
}

static json_t *statuses_of(const json_t *results) {
    json_t *out = json_array();
    size_t i;
    json_t *gate;
    json_array_foreach((json_t *)results, i, gate) {
        json_array_append_new(out, json_string(status_of(gate)));
    }
    return out;
}

static int say_flaky(json_t *gate, const json_t *results) {
    size_t passed = 0, first = 0, n = json_array_size(results);
    for (size_t i = n; i > 0; i--) {
        bool pass = strcmp(status_of(json_array_get(results, i - 1)), "PASS") == 0;
        passed += pass ? 1 : 0;
        first = pass ? first : i;
    }
    buf text = BUF_INIT;
    buf_printf(&text, "%zu of %zu runs passed; run %zu ended in %s, and is shown here", passed, n, first,
               status_of(json_array_get(results, first - 1)));
    int rc = json_object_set_new(gate, "status", json_string("FLAKY"));
    rc |= json_object_set_new(gate, "summary", text.failed ? NULL : json_string(buf_str(&text)));
    buf_free(&text);
    return rc;
}

/* One result of several: the worst of them, FAIL before ERROR before PASS; FLAKY where some passed and some did not.
 * facts.repeat says how each ended. New reference; NULL out of memory. */
static json_t *merge(const json_t *results) {
    json_t *pass = first_of(results, "PASS"), *worst = first_of(results, "FAIL");
    worst = worst != NULL ? worst : first_of(results, "ERROR");
    json_t *out = json_deep_copy(worst != NULL ? worst : pass);
    json_t *facts = json_object_get(out, "facts");
    double duration = 0;
    size_t i;
    json_t *gate;
    json_array_foreach((json_t *)results, i, gate) {
        duration += json_number_value(json_object_get(gate, "duration_ms"));
    }
    int rc = json_object_set_new(facts, "repeat", statuses_of(results));
    rc |= json_object_set_new(out, "duration_ms", json_real(duration));
    if (pass != NULL && worst != NULL) {
        rc |= say_flaky(out, results);
    }
    if (rc != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static json_t *lists(size_t n) {
    json_t *out = json_array();
    for (size_t i = 0; out != NULL && i < n; i++) {
        if (json_array_append_new(out, json_array()) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

int engine_tasks(engine_run_state *s, const char *mode, err *e) {
    size_t n = json_array_size(s->r->gates);
    json_t *rounds = lists(n);
    int rc = rounds != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    for (int round = 0; rc == 0 && round < s->r->repeat && signals_flag == 0; round++) {
        engine_forget_tasks(s);
        rc = run_workers(s, mode, e);
        rc = rc == 0 ? close_round(s, rounds, e) : rc;
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const json_t *results = json_array_get(rounds, i);
        if (json_array_size(results) == 0) { /* interrupted before the first round: it stays "not evaluated" */
            continue;
        }
        json_t *result = s->r->repeat > 1 ? merge(results) : json_incref(json_array_get(results, 0));
        rc = result != NULL ? report_set_gate(s->report, i, result) : err_set(e, "out_of_memory", "out of memory");
    }
    json_decref(rounds);
    return rc;
}
