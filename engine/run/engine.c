#include "run/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/text.h"
#include "prim/pg.h"
#include "run/cli.h"
#include "run/engine_parts.h"
#include "run/loader.h"
#include "run/report.h"
#include "run/signals.h"

/* --- one worker per gate --- */

double engine_limit(const run_request *r, const char *id, const char *key, double fallback) {
    const json_t *all = json_object_get(r->cfg->doc, "limits");
    const json_t *own = id != NULL ? json_object_get(json_object_get(json_object_get(all, "scripts"), id), key) : NULL;
    const json_t *v = own != NULL ? own : json_object_get(all, key);
    return json_is_number(v) && json_number_value(v) > 0 ? json_number_value(v) : fallback;
}

int engine_limit_audits(const run_request *r, json_t *audits, err *e) {
    size_t i;
    json_t *audit;
    json_array_foreach(audits, i, audit) {
        const char *id = json_string_value(json_object_get(audit, "script"));
        double memory = engine_limit(r, id, "memory_mb", 256);
        if (json_object_set_new(audit, "memory_bytes", json_integer((json_int_t)memory << 20)) != 0 ||
            json_object_set_new(audit, "wall_s", json_real(engine_limit(r, id, "cpu_s", 60))) != 0) {
            return err_set(e, "out_of_memory", "out of memory");
        }
    }
    return 0;
}

void engine_task_free(engine_task *t) {
    book_free(t->pool.book);
    json_decref(t->pool.limits);
    json_decref(t->job);
    json_decref(t->commands);
    json_decref(t->head);
    json_decref(t->keep);
    free(t->paths);
    free(t->script_dir);
    *t = (engine_task){0};
}

/* Where a gate's solver is asked, and answers are kept for a run that goes on where this one breaks off (kept.h). A run
 * that can approve makes all of its own, and so does one that is repeated; there nothing is kept. */
static json_t *keep_for(const run_request *r, const json_t *gate, const char *mode) {
    char configured[SHA256_HEX_SIZE], build[SHA256_HEX_SIZE], series[SHA256_HEX_SIZE];
    const char *kind = json_string_value(json_object_get(r->head, "kind"));
    const json_t *head = json_object_get(gate, "head"), *id = json_object_get(head, "id");
    const json_t *sha256 = json_object_get(json_object_get(gate, "raw"), "sha256");
    err e;
    if (kind == NULL || strcmp(kind, "gate") != 0 || strcmp(mode, "run") != 0 || r->repeat != 1 ||
        !json_is_true(json_object_get(json_object_get(head, "needs"), "solver"))) {
        return NULL;
    }
    char *state = pg_state_dir(&e);
    int rc = state != NULL ? config_hash(r->cfg->doc, configured, &e) : -1;
    rc = rc == 0 ? loader_build(build, &e) : rc;
    if (rc != 0) {
        log_line(LOG_WARN, "answers cannot be kept, should this run be interrupted: %s", e.message);
        free(state);
        return NULL;
    }
    buf name = BUF_INIT;
    buf_printf(&name, "%s\n%s\n", json_string_value(id), r->tenant != NULL ? r->tenant : "");
    sha256_hex(buf_str(&name), name.len, series);
    buf_free(&name);
    json_t *out = json_pack("{s:s, s:s, s:{s:s, s:s, s:O?, s:s?}}", "state", state, "series", series, "run", "build",
                            build, "config", configured, "script", sha256, "tenant", r->tenant);
    free(state);
    return out;
}

int engine_task_init(engine_run_state *s, engine_task *t, const json_t *gate, const char *mode, const char *script,
                     err *e) {
    const run_request *r = s->r;
    *t = (engine_task){.head = json_incref(json_object_get(gate, "head"))};
    t->job = target_job(&s->target, r, gate, mode);
    bool dry = target_is_dry(r, mode);
    t->commands = dry ? json_object() : target_commands(r, t->head, &s->tree); /* in a dry run nothing is started */
    book_options bo = {.head = t->head,
                       .config = r->cfg->doc,
                       .strict = r->strict,
                       .trace = r->trace,
                       .operation = strcmp(mode, "operation") == 0,
                       .dry_run = dry};
    t->pool.book = book_new(&bo);
    size_t npaths = 0;
    t->script_dir = script != NULL ? fs_dirname(script) : strdup("/nonexistent");
    t->paths = t->job != NULL ? target_paths(t->job, s->stdlib_dir, t->script_dir, &s->tree, &npaths) : NULL;
    if (t->paths == NULL || t->script_dir == NULL || t->commands == NULL || t->pool.book == NULL) {
        engine_task_free(t);
        return err_set(e, "out_of_memory", "out of memory");
    }
    const char *id = json_string_value(json_object_get(t->head, "id"));
    size_t memory = (size_t)engine_limit(r, id, "memory_mb", 256) << 20;
    bool audits = json_is_true(json_object_get(json_object_get(t->head, "needs"), "audits"));
    t->pool.id = id;
    t->pool.wall_s = r->timeout_s > 0 ? r->timeout_s : engine_limit(r, id, "wall_s", 300);
    t->pool.cpu_s = (uint64_t)engine_limit(r, id, "cpu_s", 60);
    t->pool.alone = json_is_false(json_object_get(t->head, "parallel"));
    t->pool.worker = (worker_setup){.job = t->job,
                                    .script = script,
                                    .source = json_object_get(json_object_get(gate, "raw"), "source"),
                                    .stdlib_dir = s->stdlib_dir,
                                    .modules_dir = s->tree.modules,
                                    .memory_bytes = memory,
                                    .paths = t->paths,
                                    .npaths = npaths};
    t->keep = keep_for(r, gate, mode);
    t->pool.broker = (broker_options){.commands = t->commands,
                                      .keep = t->keep,
                                      .audits = audits ? s->target.audits : NULL,
                                      .hosts = s->target.hosts,
                                      .audit_program = s->audit_program,
                                      .audit_helpers = s->target.helpers,
                                      .audit_memory = (uint64_t)engine_limit(r, NULL, "memory_mb", 256) << 20,
                                      .audit_wall_s = engine_limit(r, NULL, "cpu_s", 60)};
    return 0;
}

/* --- progress --- */

static void on_changed(void *ctx, size_t task, const char *check) {
    engine_run_state *s = ctx;
    const json_t *gate = json_array_get(s->r->gates, task);
    if (check != NULL) {
        if (!s->tasks[task].shown) {
            progress_gate(s->progress, task, json_string_value(json_object_get(json_object_get(gate, "head"), "name")));
        }
        s->tasks[task].shown = true;
        progress_check(s->progress, task, check);
    } else {
        json_t *closed = book_close(s->running[task].book, 0, NULL);
        progress_gate_done(s->progress, task, json_string_value(json_object_get(closed, "status")),
                           s->running[task].duration_ms);
        json_decref(closed);
    }
}

static void on_said(void *ctx, size_t task, const char *text) {
    engine_run_state *s = ctx;
    (void)task;
    json_t *clean = book_text(text, strlen(text), 0, true);
    json_array_append_new(s->said, clean);
}

static void on_moved(void *ctx, size_t task, const char *text) {
    engine_run_state *s = ctx;
    progress_step(s->progress, task, text);
}

int engine_pool(engine_run_state *s, pool_task *tasks, size_t n, err *e) {
    pool_hooks quiet = {.moved = on_moved, .ctx = s};
    pool_hooks hooks = {.changed = on_changed, .said = on_said, .moved = on_moved, .ctx = s};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int jobs = s->r->jobs > 0 ? s->r->jobs : processors > 1 ? (int)processors : 1;
    s->running = tasks;
    return pool_run(tasks, n, jobs, s->tasks != NULL ? &hooks : &quiet, e);
}

int engine_pool_apart(engine_run_state *s, pool_task *task, err *e) {
    engine_task *gates = s->tasks;
    s->tasks = NULL;
    int rc = engine_pool(s, task, 1, e);
    s->tasks = gates;
    return rc;
}

/* --- before the gates: tenant and target --- */

void engine_worker_error(book *b, err *e) {
    json_t *closed = book_close(b, 0, NULL);
    const json_t *check = json_array_get(json_object_get(closed, "checks"), 0);
    const char *code = json_string_value(json_object_get(check, "class"));
    const char *text = json_string_value(json_object_get(check, "failure"));
    const char *detail = json_string_value(json_object_get(check, "detail"));
    const char *fix = json_string_value(json_object_get(check, "fix"));
    err_set(e, code != NULL ? code : "worker_crash", "%s", text != NULL ? text : "the target could not be prepared");
    if (detail != NULL) {
        err_detail(e, "%s", detail);
    }
    if (fix != NULL) {
        err_fix(e, "%s", fix);
    }
    json_decref(closed);
}

int engine_pool_prepare(engine_run_state *s, engine_task *t, double most_s, const char *what, err *e) {
    double left = (double)(s->prepare_by - clock_ms()) / 1e3;
    bool late = left <= 0;
    t->pool.wall_s = left < most_s ? left : most_s;
    if (!late && engine_pool_apart(s, &t->pool, e) != 0) {
        return -1;
    }
    if (!late && signals_flag == 0 && book_result(t->pool.book) == NULL) {
        err why;
        engine_worker_error(t->pool.book, &why);
        late = strcmp(why.code, "gate_timeout") == 0;
    }
    if (!late) {
        return 0;
    }
    err_set(e, "prepare_timeout", "%s within %.3g s", what, s->prepare_s < most_s ? s->prepare_s : most_s);
    return err_fix(e, "see who holds a lock there and whether the server is overloaded, or raise --timeout or "
                      "limits.wall_s");
}

bool engine_is_operation(const run_request *r) {
    const char *kind = json_string_value(json_object_get(r->head, "kind"));
    return kind != NULL && strcmp(kind, "operation") == 0;
}

/* --- audits named by the configuration and by options --- */

static int add_option_audits(engine_run_state *s, const json_t *value, err *e) {
    if (json_is_array(value)) {
        size_t i;
        json_t *one;
        json_array_foreach((json_t *)value, i, one) {
            if (add_option_audits(s, one, e) != 0) {
                return -1;
            }
        }
        return 0;
    }
    const char *path = json_string_value(json_object_get(value, "path"));
    return path != NULL ? target_add_audit(&s->target, path, e) : 0;
}

int engine_collect_audits(engine_run_state *s, err *e) {
    bool wanted = false;
    size_t g;
    json_t *gate;
    json_array_foreach(s->r->gates, g, gate) {
        const json_t *head = json_object_get(gate, "head");
        wanted = wanted || json_is_true(json_object_get(json_object_get(head, "needs"), "audits"));
    }
    if (!wanted) {
        return 0;
    }
    size_t i;
    json_t *path;
    json_array_foreach(json_object_get(s->r->cfg->doc, "audits"), i, path) {
        if (target_add_audit(&s->target, json_string_value(path), e) != 0) {
            return -1;
        }
    }
    json_array_foreach(s->r->gates, g, gate) {
        json_t *options = json_object_get(json_object_get(gate, "head"), "options");
        for (void *it = json_object_iter(options); it != NULL; it = json_object_iter_next(options, it)) {
            const char *type = json_string_value(json_object_get(json_object_iter_value(it), "type"));
            const json_t *value = json_object_get(json_object_get(gate, "options"), json_object_iter_key(it));
            if (type != NULL && strcmp(type, "audit") == 0 && value != NULL && add_option_audits(s, value, e) != 0) {
                return -1;
            }
        }
    }
    return engine_limit_audits(s->r, s->target.audits, e);
}

/* --- the gates --- */

/* Appends the names of checks and groups which --only left out in all gates; at most `most`. */
static size_t left_out_names(const engine_run_state *s, const char **names, size_t most) {
    size_t n = 0;
    for (size_t g = 0; g < json_array_size(s->r->gates); g++) {
        const json_t *left_out = book_unselected(s->tasks[g].pool.book);
        for (size_t k = 0; k < json_array_size(left_out) && n < most; k++) {
            names[n++] = json_string_value(json_array_get(left_out, k));
        }
    }
    return n;
}

/* Names given to --only that no check bears: a misspelling must not look like a run. Where a gate did not come to its
 * end nobody knows all names. */
static int check_only(const engine_run_state *s, err *e) {
    const char *names[512] = {0};
    size_t n = left_out_names(s, names, 511);
    size_t i;
    json_t *wanted;
    json_array_foreach(s->r->only, i, wanted) {
        const char *name = json_string_value(wanted);
        bool used = false;
        for (size_t g = 0; g < json_array_size(s->r->gates); g++) {
            const book *b = s->tasks[g].pool.book;
            used = used || book_crashed(b) || book_selected(b, name);
        }
        const char *near = used || n == 0 ? NULL : text_suggest(name, names);
        if (!used) {
            err_set(e, "only_unknown", "--only: no check or group is named \"%s\"%s%s%s", name,
                    near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
            return err_fix(e, "the gate's checks and groups are shown by a run with --verbose");
        }
    }
    return 0;
}

/* Gates of which --only left out every check are absent, as those checks are; a run of nothing stays in the report as
 * what it is. */
static void drop_left_out(engine_run_state *s) {
    size_t n = json_array_size(s->r->gates);
    size_t left_out = 0;
    for (size_t i = 0; i < n; i++) {
        left_out += book_left_out(s->tasks[i].pool.book) ? 1 : 0;
    }
    for (size_t i = n; i > 0 && left_out < n; i--) {
        if (book_left_out(s->tasks[i - 1].pool.book)) {
            json_array_remove(json_object_get(s->report, "gates"), i - 1);
        }
    }
}

static bool all_pass(const json_t *report) {
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        if (strcmp(json_string_value(json_object_get(gate, "status")), "PASS") != 0) {
            return false;
        }
    }
    return json_array_size(json_object_get(report, "gates")) > 0;
}

/* --- front --- */

void engine_show_target(engine_run_state *s) {
    char *line = target_line(&s->target, s->r);
    if (line != NULL) {
        log_line(LOG_INFO, "%s", line);
    } else {
        mem_note();
    }
    free(line);
}

/* Whose a gate is here, and where its runbook is, the configuration knows better than the gate. */
static void name_owners(const run_request *r) {
    static const char *const KEYS[] = {"owner", "runbook", NULL};
    size_t i;
    json_t *gate;
    json_array_foreach(r->gates, i, gate) {
        json_t *head = json_object_get(gate, "head");
        const char *id = json_string_value(json_object_get(head, "id"));
        const json_t *own = id != NULL ? json_object_get(json_object_get(r->cfg->doc, "gates"), id) : NULL;
        for (size_t k = 0; KEYS[k] != NULL; k++) {
            json_t *said = json_object_get(own, KEYS[k]);
            if (said != NULL) {
                json_object_set(head, KEYS[k], said);
            }
        }
    }
}

int engine_open_offline(engine_run_state *s, const run_request *r, err *e) {
    *s = (engine_run_state){.r = r, .started = clock_ms_exact(), .said = json_array()};
    name_owners(r);
    s->report = report_new(r);
    if (s->report == NULL || s->said == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (signals_install(e) != 0 || paths_find(&s->tree, e) != 0) {
        return -1;
    }
    s->audit_program = fs_join(s->tree.libexec, "gate-audit");
    s->stdlib_dir = r->stdlib_dir != NULL ? strdup(r->stdlib_dir) : fs_join(s->tree.share, "stdlib");
    if (s->audit_program == NULL || s->stdlib_dir == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    const char *debug = getenv("DEBUG_DETERMINISM"); /* tenant-onboarding's switch; the gate logs stage hashes then */
    const char *missing = ring_missing();
    if (missing != NULL) {
        log_line(LOG_WARN, "scripts are contained by fewer rings: %s", missing);
    }
    log_set_level(r->verbose || (debug != NULL && strcmp(debug, "1") == 0) ? LOG_DEBUG : LOG_INFO);
    s->progress = progress_new(2, r->verbose, json_array_size(r->gates));
    s->prepare_s = r->timeout_s > 0 ? r->timeout_s : engine_limit(r, NULL, "wall_s", 300);
    s->prepare_by = clock_ms() + (int64_t)(s->prepare_s * 1e3);
    return target_open_offline(&s->target, r, &s->tree, e);
}

int engine_open(engine_run_state *s, const run_request *r, err *e) {
    if (engine_open_offline(s, r, e) != 0) {
        return -1;
    }
    if (target_open(&s->target, &s->tree, s->prepare_by, e) != 0) {
        if (strcmp(e->code, "pg_timeout") == 0) {
            err_set(e, "prepare_timeout", "the embedded platform did not come up within %.3g s", s->prepare_s);
            err_fix(e, "raise --timeout or limits.wall_s, or keep it up between runs: gate-engine platform start");
        }
        return -1;
    }
    engine_show_target(s);
    return 0;
}

void engine_close(engine_run_state *s) {
    progress_free(s->progress);
    engine_forget_tasks(s);
    engine_ledger_free(&s->ledger);
    target_close(&s->target);
    json_decref(s->report);
    json_decref(s->base);
    json_decref(s->prepared);
    json_decref(s->said);
    free(s->audit_program);
    free(s->stdlib_dir);
    paths_free(&s->tree);
}

static int exit_for(const err *e) {
    if (signals_flag != 0) {
        return signals_exit_code();
    }
    if (strncmp(e->code, "scratch_", 8) == 0) {
        return EXIT_USAGE;
    }
    static const char *const USAGE[] = {"tenant_unknown", "only_unknown", "evidence_unconfigured", NULL};
    for (size_t i = 0; USAGE[i] != NULL; i++) {
        if (strcmp(e->code, USAGE[i]) == 0) {
            return EXIT_USAGE;
        }
    }
    return EXIT_BROKEN;
}

int engine_gates(engine_run_state *s, err *e) {
    json_t *prepared = NULL;
    if (s->r->scratch != NULL && engine_scratch(s, e) != 0) {
        return -1;
    }
    if (engine_prepare(s, &prepared, e) != 0 || engine_collect_audits(s, e) != 0) {
        json_decref(prepared);
        return -1;
    }
    report_set_target(s->report, target_report(&s->target, s->r, prepared));
    int recorded = s->r->record != NULL ? engine_record(s, prepared, e) : 0;
    json_decref(prepared);
    if (recorded != 0 || engine_tasks(s, "run", e) != 0) {
        return -1;
    }
    if (s->r->only == NULL || signals_flag != 0) {
        return 0;
    }
    drop_left_out(s);
    return check_only(s, e);
}

static void say_failure(const err *e) {
    log_line(LOG_ERROR, "%s%s%s%s", e->message, e->detail[0] != '\0' ? " (" : "", e->detail,
             e->detail[0] != '\0' ? ")" : "");
    if (e->fix[0] != '\0') {
        log_line(LOG_ERROR, "fix: %s", e->fix);
    }
}

static int close_report(engine_run_state *s, int rc, const err *e) {
    int code = -1;
    if (rc != 0) {
        report_set_error(s->report, e);
        code = exit_for(e);
    } else if (signals_flag != 0) {
        code = signals_exit_code();
    }
    bool trusted =
        rc == 0 && signals_flag == 0 && !engine_is_operation(s->r) && all_pass(s->report) && engine_is_trusted(s);
    return report_finish(s->report, clock_ms_exact() - s->started, trusted, code);
}

/* What is on no record does not count. Nothing that was found counts once memory ran out here: what is missing from it
 * nobody knows. When that happens while the report is closed, it is closed again, now as an error. */
int engine_finish(engine_run_state *s, int rc, const err *e) {
    err why = *e;
    if (mem_lost() > 0) {
        rc = -1;
        mem_explain(&why);
        err_fix(&why, "give the machine more memory, or run fewer gates at once (--jobs)");
    }
    if (rc != 0) {
        say_failure(&why);
    }
    size_t lost = mem_lost();
    int code = close_report(s, rc, &why);
    if (mem_lost() != lost) {
        mem_explain(&why);
        say_failure(&why);
        code = close_report(s, -1, &why);
    }
    err first = why;
    if (s->tree.share != NULL && (engine_evidence(s, &why) != 0 || engine_status_file(s, &why) != 0)) {
        bool told = rc != 0 && strcmp(first.code, why.code) == 0; /* it is why nothing was done */
        if (told) {
            why = first;
        } else {
            say_failure(&why);
        }
        report_set_error(s->report, &why);
        /* What is known to fail, or was refused, stays so. */
        code = code == EXIT_FAIL ? report_finish(s->report, clock_ms_exact() - s->started, false, code)
                                 : close_report(s, -1, &why);
    }
    return code;
}

int engine_run(const run_request *r) {
    if (strcmp(r->verb, "recover") == 0) {
        return engine_recover(r);
    }
    const char *kind = json_string_value(json_object_get(r->head, "kind"));
    if (kind != NULL && strcmp(kind, "audit") == 0) {
        return engine_audit(r);
    }
    if (engine_is_operation(r)) {
        return engine_operation(r);
    }
    engine_run_state s;
    err e;
    err_clear(&e);
    json_t *base = NULL;
    int rc = r->against != NULL ? engine_base(r, &base, &e) : 0;
    if (rc == 0) {
        rc = engine_open(&s, r, &e);
    } else {
        err ignored; /* why the other schema could not be evaluated is the reason */
        engine_open_offline(&s, r, &ignored);
    }
    s.base = base;
    rc = rc == 0 ? engine_gates(&s, &e) : rc;
    int code = engine_finish(&s, rc, &e);
    code = engine_emit(&s, code, false);
    engine_close(&s);
    return code;
}
