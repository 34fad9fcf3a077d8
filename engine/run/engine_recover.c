/* engine_recover.c: the other front doors: recover, operations, a tenant audit on saved plans. */
#include <dirent.h>
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
    if (note != NULL) {
        fprintf(out, "%s\n", note);
    }
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
            rc = err_set(e, class, "recover: %s", text != NULL ? text : "failed");
            if (detail != NULL) {
                err_detail(e, "%s", detail);
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
    if (refuse_without_recover(s, e) != 0 || engine_gates(s, e) != 0) {
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
    json_object_set_new(s.report, "exit_code", json_integer(code));
    code = engine_emit(&s, code, own_text);
    engine_close(&s);
    return code;
}

/* --- operations --- */

int engine_operation(engine_run_state *s, err *e) {
    (void)s;
    err_set(e, "operation_unsupported", "operations are not available in this version");
    return err_fix(e, "run a gate or a suite");
}

/* --- a tenant audit on saved plans --- */

static int add_plan(json_t *plans, const char *path, err *e) {
    buf text = BUF_INIT;
    int rc = fs_read(path, 64u << 20, &text, e);
    json_t *entry = rc == 0 ? json_pack("{s:s, s:s#}", "path", path, "text", buf_str(&text), (int)text.len) : NULL;
    buf_free(&text);
    if (rc == 0 && (entry == NULL || json_array_append_new(plans, entry) != 0)) {
        return err_set(e, "plan_unreadable", "%s: expected a plan as UTF-8 JSON", path);
    }
    return rc;
}

/* A file, or a directory: its audit-plan.json, else every *.json in it in order of name. */
static int collect_plans(const char *path, json_t *plans, err *e) {
    if (!fs_is_dir(path)) {
        return add_plan(plans, path, e);
    }
    char *one = fs_join(path, "audit-plan.json");
    if (one != NULL && fs_exists(one)) {
        int rc = add_plan(plans, one, e);
        free(one);
        return rc;
    }
    free(one);
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    int rc = n < 0 ? err_errno(e, "plan_unreadable", "cannot read the directory %s", path) : 0;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(names[i]->d_name);
        if (rc == 0 && len > 5 && strcmp(names[i]->d_name + len - 5, ".json") == 0) {
            char *file = fs_join(path, names[i]->d_name);
            rc = file != NULL ? add_plan(plans, file, e) : err_set(e, "out_of_memory", "out of memory");
            free(file);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

/* The events of one audit on one plan, as a worker would have sent them: the book words and judges them. */
static int book_verdict(book *b, const char *check, const json_t *verdict, const err *failed, err *e) {
    json_t *events = json_array();
    json_array_append_new(events, json_pack("{s:s, s:s}", "t", "check", "name", check));
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(verdict, "violations"), i, v) {
        json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:O, s:O, s:[s]}", "t", "finding", "check", check,
                                                "class", "audit_violation", "object", json_object_get(v, "object"),
                                                "detail", json_object_get(v, "detail"), "args", check));
    }
    const json_t *error = json_object_get(verdict, "error");
    if (verdict == NULL) {
        json_array_append_new(events, json_pack("{s:s, s:s, s:{s:s, s:s}}", "t", "check_error", "check", check, "error",
                                                "code", failed->code, "message", failed->message));
    } else if (json_is_object(error)) {
        json_array_append_new(events, json_pack("{s:s, s:s, s:O}", "t", "check_error", "check", check, "error", error));
    }
    json_array_append_new(events, json_pack("{s:s, s:s}", "t", "check_end", "check", check));
    int rc = 0;
    json_array_foreach(events, i, v) {
        rc = rc == 0 ? book_event(b, v, e) : rc;
    }
    json_decref(events);
    return rc;
}

/* *peak: the most memory one of the runs used. */
static int audit_plans(engine_run_state *s, json_t *plans, book *b, broker *br, json_int_t *peak, err *e) {
    size_t i;
    json_t *plan;
    json_array_foreach(plans, i, plan) {
        err failed;
        err_clear(&failed);
        const json_t *text = json_object_get(plan, "text");
        buf payload = BUF_INIT;
        int rc = buf_append(&payload, json_string_value(text), json_string_length(text));
        json_t *verdict = rc == 0 ? broker_audit_now(br, 0, &payload, &failed) : NULL;
        buf_free(&payload);
        const char *path = json_string_value(json_object_get(plan, "path"));
        const char *base = strrchr(path, '/');
        rc = book_verdict(b,
                          json_array_size(plans) > 1 && base != NULL
                              ? base + 1
                              : json_string_value(json_object_get(s->r->head, "name")),
                          verdict, &failed, e);
        json_int_t used = json_integer_value(json_object_get(verdict, "memory_peak"));
        *peak = used > *peak ? used : *peak;
        json_decref(verdict);
        if (rc != 0) {
            return -1;
        }
        if (signals_flag != 0) {
            return err_set(e, "interrupted", "interrupted");
        }
    }
    return 0;
}

static int run_audit(engine_run_state *s, err *e) {
    if (s->r->plan_path == NULL) {
        err_set(e, "plan_missing", "a tenant audit runs on a saved plan");
        return err_fix(
            e, "give it one: gate-engine run AUDIT --plan FILE|DIR (golden_path_e2e --artifacts DIR writes it)");
    }
    json_t *plans = json_array();
    json_t *head = json_deep_copy(s->r->head);
    json_object_set_new(head, "failures",
                        json_pack("{s:{s:s, s:s, s:s}}", "audit_violation", "text", "Audit %s: FAIL", "fix",
                                  "Review audit violation details", "severity", "leak"));
    book_options bo = {.head = head, .config = s->r->cfg->doc};
    broker_options o = {.audits = s->target.audits,
                        .audit_program = s->audit_program,
                        .audit_helpers = s->target.helpers,
                        .audit_memory = (size_t)engine_limit(s->r, "memory_mb", 256) << 20,
                        .audit_wall_s = s->r->timeout_s > 0 ? s->r->timeout_s : engine_limit(s->r, "cpu_s", 60)};
    json_int_t peak = 0;
    book *b = book_new(&bo);
    int rc = collect_plans(s->r->plan_path, plans, e);
    rc = rc == 0 ? target_add_audit(&s->target, first_path(s), e) : rc;
    broker *br = rc == 0 ? broker_new(&o) : NULL;
    if (rc == 0) {
        rc = b != NULL && br != NULL ? audit_plans(s, plans, b, br, &peak, e)
                                     : err_set(e, "out_of_memory", "out of memory");
    }
    json_t *done = json_pack("{s:s}", "t", "done");
    rc = rc == 0 ? book_event(b, done, e) : rc;
    json_decref(done);
    json_t *closed = rc == 0 ? book_close(b, clock_ms_exact() - s->started, NULL) : NULL;
    if (rc == 0) {
        rc = closed != NULL ? report_set_gate(s->report, 0, closed) : err_set(e, "out_of_memory", "out of memory");
    }
    broker_free(br);
    book_free(b);
    json_decref(head);
    json_decref(plans);
    return rc;
}

int engine_audit(const run_request *r) {
    engine_run_state s;
    err e;
    err_clear(&e);
    int rc = engine_open_offline(&s, r, &e);
    rc = rc == 0 ? run_audit(&s, &e) : rc;
    int code = engine_finish(&s, rc, &e);
    code = engine_emit(&s, code, false);
    engine_close(&s);
    return code;
}
