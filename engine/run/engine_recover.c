/* engine_recover.c: the front door of recover. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/cli.h"
#include "run/engine_parts.h"
#include "run/report.h"
#include "run/signals.h"

static const json_t *first_gate(const engine_run_state *s) {
    return json_array_get(s->r->gates, 0);
}

static const char *first_path(const engine_run_state *s) {
    return json_string_value(json_object_get(json_object_get(first_gate(s), "raw"), "path"));
}

static const char *gate_status(const engine_run_state *s) {
    return json_string_value(json_object_get(json_array_get(json_object_get(s->report, "gates"), 0), "status"));
}

/* --- recover --- */

/* Each line of a note as a comment: what is printed is meant to be pasted, and must look like nothing of the engine's.
 */
static void print_comment(FILE *out, const char *text) {
    while (text != NULL) {
        size_t n = strcspn(text, "\n");
        fprintf(out, "-- %.*s\n", (int)n, text);
        text = text[n] == '\n' ? text + n + 1 : NULL;
    }
}

static void print_step(FILE *out, const json_t *step, size_t number) {
    const char *sql = json_string_value(json_object_get(step, "sql"));
    const char *run = json_string_value(json_object_get(step, "run"));
    const char *note = json_string_value(json_object_get(step, "note"));
    bool applied = json_is_true(json_object_get(step, "applied"));
    fprintf(out, "\n-- %zu. %s%s\n", number, json_string_value(json_object_get(step, "title")),
            applied ? " [applied]" : "");
    if (sql != NULL) {
        fprintf(out, "%s\n", sql);
    }
    if (run != NULL) {
        fprintf(out, "command: %s\n", run);
    }
    print_comment(out, note);
}

static void print_proposals(FILE *out, const json_t *proposals) {
    size_t i;
    json_t *step;
    json_array_foreach((json_t *)proposals, i, step) {
        print_step(out, step, i + 1);
    }
}

/* Runs the recover function with the findings of the run just made. *steps: the proposals, a new reference. */
static int run_recover(engine_run_state *s, json_t *findings, json_t **steps, err *e) {
    engine_task t;
    *steps = NULL;
    if (engine_task_init(s, &t, first_gate(s), "recover", first_path(s), e) != 0) {
        return -1;
    }
    json_object_set(t.job, "findings", findings);
    engine_task *gates = s->tasks;
    s->tasks = NULL;
    int rc = engine_pool(s, &t.pool, 1, e);
    s->tasks = gates;
    if (rc == 0) {
        *steps = book_proposals(t.pool.book);
        json_t *closed = book_close(t.pool.book, t.pool.duration_ms, t.pool.limits);
        t.pool.limits = NULL;
        const json_t *check = json_array_get(json_object_get(closed, "checks"), 0);
        const char *class = json_string_value(json_object_get(check, "class"));
        if (class != NULL && strcmp(class, "nothing_checked") != 0) {
            const char *text = json_string_value(json_object_get(check, "failure"));
            const char *detail = json_string_value(json_object_get(check, "detail"));
            const char *fix = json_string_value(json_object_get(check, "fix"));
            rc = err_set(e, class, "recover: %s", text != NULL ? text : "failed");
            if (detail != NULL) {
                err_detail(e, "%s", detail);
            }
            if (fix != NULL) {
                err_fix(e, "%s", fix);
            }
        }
        json_decref(closed);
    }
    engine_task_free(&t);
    return rc;
}

static int refuse_without_recover(engine_run_state *s, err *e) {
    const json_t *head = json_object_get(first_gate(s), "head");
    if (json_is_true(json_object_get(head, "has_recover"))) {
        return 0;
    }
    err_set(e, "no_recover", "the gate %s has no recover function", json_string_value(json_object_get(head, "id")));
    return err_fix(e, "add recover = function(ctx, findings) … end to the script");
}

/* A fresh report for the run after --apply. */
static int rerun(engine_run_state *s, err *e) {
    for (size_t i = 0; i < json_array_size(s->r->gates); i++) {
        engine_task_free(&s->tasks[i]);
    }
    free(s->tasks);
    s->tasks = NULL;
    json_decref(s->report);
    s->report = report_new(s->r);
    return s->report != NULL ? engine_gates(s, e) : err_set(e, "out_of_memory", "out of memory");
}

/* The recovery itself. *code stays -1 where the gate's own verdict decides. */
static int recover(engine_run_state *s, int *code, err *e) {
    FILE *out = report_stream(s->r->reports);
    if (refuse_without_recover(s, e) != 0 || (s->r->apply && engine_ledger_sound(s, e) != 0) ||
        engine_gates(s, e) != 0) {
        return -1;
    }
    if (signals_flag != 0) {
        return 0;
    }
    if (strcmp(gate_status(s), "PASS") == 0) {
        fprintf(out, "Nothing to recover: the gate passes.\n");
        *code = EXIT_PASS;
        return 0;
    }
    json_t *findings = book_findings(s->tasks[0].pool.book);
    json_t *steps = NULL;
    int rc = run_recover(s, findings, &steps, e);
    json_decref(findings);
    progress_hide(s->progress);
    print_proposals(out, steps);
    size_t n = json_array_size(steps);
    json_object_set(s->report, "proposals", steps);
    if (rc == 0 && n == 0) {
        rc = err_set(e, "no_proposal", "the gate does not pass, and its recovery has no proposal for what was found");
        err_fix(e, "see the findings: run the gate with --verbose");
    } else if (rc == 0 && !s->r->apply) {
        fprintf(out, "\nDry run: nothing was changed. To apply: the same command with --apply.\n");
        *code = EXIT_PASS;
    } else if (rc == 0) {
        fprintf(out, "\n");
        rc = rerun(s, e);
        json_object_set(s->report, "proposals", steps);
    }
    json_decref(steps);
    return rc;
}

int engine_recover(const run_request *r) {
    engine_run_state s;
    err e;
    err_clear(&e);
    int code = -1;
    int rc = engine_open(&s, r, &e);
    rc = rc == 0 ? recover(&s, &code, &e) : rc;
    int finished = engine_finish(&s, rc, &e);
    bool own_text = rc != 0 || code >= 0;
    code = rc == 0 && code >= 0 && signals_flag == 0 && mem_lost() == 0 ? code : finished;
    if (fflush(stdout) != 0 && code == EXIT_PASS) {
        code = EXIT_BROKEN;
    }
    /* In place: a new number could fail to be made, and the report would say another code than the run. */
    json_t *said = json_object_get(s.report, "exit_code");
    if (said == NULL || json_integer_set(said, code) != 0) {
        mem_note();
    }
    code = engine_emit(&s, code, own_text);
    engine_close(&s);
    return code;
}
