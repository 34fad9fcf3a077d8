/* engine_audit.c: the front door of a tenant audit on saved plans (`run AUDIT --plan FILE|DIR`).
 *
 * An audit that needs earlier weeks gets them from the plan itself (its `history`), else from the other plans of the
 * same directory. A week that has too few before it serves as history alone: judged without what the audit asks for it
 * would pass. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err_json.h"
#include "base/fs.h"
#include "base/log.h"
#include "run/cli.h"
#include "run/engine_parts.h"
#include "run/report.h"
#include "run/signals.h"

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
    int lost = json_array_append_new(events, json_pack("{s:s, s:s}", "t", "check", "name", check));
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(verdict, "violations"), i, v) {
        lost |=
            json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:O, s:O, s:[s]}", "t", "finding", "check", check,
                                                    "class", "audit_violation", "object", json_object_get(v, "object"),
                                                    "detail", json_object_get(v, "detail"), "args", check));
    }
    const json_t *error = json_object_get(verdict, "error");
    if (verdict == NULL) {
        lost |= json_array_append_new(
            events, json_pack("{s:s, s:s, s:o}", "t", "check_error", "check", check, "error", err_to_json(failed)));
    } else if (json_is_object(error)) {
        lost |= json_array_append_new(events,
                                      json_pack("{s:s, s:s, s:O}", "t", "check_error", "check", check, "error", error));
    }
    lost |= json_array_append_new(events, json_pack("{s:s, s:s}", "t", "check_end", "check", check));
    /* A violation that found no memory, or has another shape, must not leave a pass behind. */
    int rc = lost == 0 ? 0 : err_set(e, "out_of_memory", "the audit's verdict could not be taken over");
    json_array_foreach(events, i, v) {
        rc = rc == 0 ? book_event(b, v, e) : rc;
    }
    json_decref(events);
    return rc;
}

/* --- history --- */

static const char *week_of(const json_t *entry) {
    return json_string_value(json_object_get(json_object_get(json_object_get(entry, "plan"), "week"), "iso"));
}

/* ISO 8601 weeks as they are written, "2026-W05", sort as text. */
static bool is_week(const char *s) {
    return s != NULL && strlen(s) == 8 && strspn(s, "0123456789") == 4 && s[4] == '-' && s[5] == 'W' &&
           strspn(s + 6, "0123456789") == 2;
}

/* Reads each plan as JSON, beside its text. One that is none keeps its text alone: the audit's process says what is
 * wrong. */
static int parse_plans(json_t *plans) {
    int lost = 0;
    size_t i;
    json_t *entry;
    json_array_foreach(plans, i, entry) {
        const json_t *text = json_object_get(entry, "text");
        json_t *plan = json_loadb(json_string_value(text), json_string_length(text), JSON_REJECT_DUPLICATES, NULL);
        lost |= plan != NULL ? json_object_set_new(entry, "plan", plan) : 0;
    }
    return lost;
}

/* The newest plan among `plans` whose week lies before `week` (exclusive), or NULL. */
static const json_t *week_before(const json_t *plans, const char *week) {
    const json_t *best = NULL;
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)plans, i, entry) {
        const char *mine = week_of(entry);
        if (is_week(mine) && strcmp(mine, week) < 0 && (best == NULL || strcmp(mine, week_of(best)) >= 0)) {
            best = entry;
        }
    }
    return best;
}

/* The weeks before a plan, newest first, at most `wanted`: its own `history`, else those of the same directory. New
 * reference; NULL out of memory. */
static json_t *history_of(const json_t *plans, const json_t *entry, size_t wanted) {
    const json_t *own = json_object_get(json_object_get(entry, "plan"), "history");
    json_t *out = json_array();
    if (out != NULL && json_is_array(own)) {
        for (size_t i = 0; i < wanted && i < json_array_size(own); i++) {
            json_array_append(out, json_array_get(own, i));
        }
        return out;
    }
    const char *week = week_of(entry);
    const json_t *earlier = is_week(week) ? week_before(plans, week) : NULL;
    while (out != NULL && earlier != NULL && json_array_size(out) < wanted) {
        json_t *copy = json_copy(json_object_get(earlier, "plan"));
        json_object_del(copy, "history");
        json_array_append_new(out, copy);
        earlier = week_before(plans, week_of(earlier));
    }
    return out;
}

/* The bytes the audit gets: the plan as it was saved, with exactly the weeks it asked for. Returns how many there are
 * of them; fewer than wanted: *payload is empty. -1 with *e: out of memory. */
static int plan_payload(const json_t *plans, const json_t *entry, size_t wanted, buf *payload, err *e) {
    const json_t *text = json_object_get(entry, "text");
    const json_t *plan = json_object_get(entry, "plan");
    if (wanted == 0 || !json_is_object(plan)) {
        int rc = buf_append(payload, json_string_value(text), json_string_length(text));
        return rc == 0 ? (int)wanted : err_set(e, "out_of_memory", "out of memory");
    }
    json_t *history = history_of(plans, entry, wanted);
    size_t n = json_array_size(history);
    json_t *whole = n == wanted ? json_copy((json_t *)plan) : NULL;
    char *bytes = NULL;
    int rc = history != NULL ? 0 : -1;
    if (rc == 0 && n == wanted) {
        rc = whole != NULL && json_object_set(whole, "history", history) == 0 &&
                     (bytes = json_dumps(whole, JSON_COMPACT)) != NULL
                 ? buf_append(payload, bytes, strlen(bytes))
                 : -1;
    }
    free(bytes);
    json_decref(whole);
    json_decref(history);
    return rc == 0 ? (int)n : err_set(e, "out_of_memory", "out of memory");
}

/* A week with too few before it: among others it is their history; alone it cannot be judged. *skipped: nothing is said
 * of it in the book. */
static void too_few(const engine_run_state *s, bool alone, const json_t *entry, const char *name, int have,
                    bool *skipped, err *failed) {
    long long wanted = (long long)json_integer_value(json_object_get(json_object_get(s->r->head, "needs"), "history"));
    const char *week = week_of(entry);
    *skipped = !alone && is_week(week);
    if (*skipped) {
        log_line(LOG_INFO, "%s (%s) serves as history alone: %d earlier week(s), the audit needs %lld", name, week,
                 have, wanted);
        return;
    }
    err_set(failed, "history_short", "the audit needs %lld earlier week(s), and %s has %d", wanted, name, have);
    err_fix(failed, "give a directory with the earlier weeks' plans, or a plan that holds them as history");
}

static int audit_plans(engine_run_state *s, json_t *plans, book *b, broker *br, err *e) {
    size_t wanted = (size_t)json_integer_value(json_object_get(json_object_get(s->r->head, "needs"), "history"));
    if (wanted > 0 && parse_plans(plans) != 0) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    size_t i, judged = 0;
    json_t *plan;
    json_array_foreach(plans, i, plan) {
        err failed;
        err_clear(&failed);
        const char *path = json_string_value(json_object_get(plan, "path"));
        const char *base = strrchr(path, '/');
        const char *name = json_array_size(plans) > 1 && base != NULL
                               ? base + 1
                               : json_string_value(json_object_get(s->r->head, "name"));
        buf payload = BUF_INIT;
        int have = plan_payload(plans, plan, wanted, &payload, e);
        bool skipped = false;
        if (have >= 0 && (size_t)have < wanted) {
            /* The last of them may not pass in silence where none was judged before it. */
            bool alone = judged == 0 && i + 1 == json_array_size(plans);
            too_few(s, alone, plan, name, have, &skipped, &failed);
        }
        judged += skipped ? 0 : 1;
        json_t *verdict = have == (int)wanted ? broker_audit_now(br, 0, &payload, &failed) : NULL;
        buf_free(&payload);
        int rc = have < 0 ? -1 : skipped ? 0 : book_verdict(b, name, verdict, &failed, e);
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
                        .audit_memory = (uint64_t)engine_limit(s->r, NULL, "memory_mb", 256) << 20,
                        .audit_wall_s = s->r->timeout_s > 0 ? s->r->timeout_s : engine_limit(s->r, NULL, "cpu_s", 60)};
    book *b = book_new(&bo);
    int rc = collect_plans(s->r->plan_path, plans, e);
    const json_t *raw = json_object_get(json_array_get(s->r->gates, 0), "raw");
    rc = rc == 0 ? target_add_audit(&s->target, json_string_value(json_object_get(raw, "path")), e) : rc;
    /* --timeout, given for this run alone, is stronger than the configuration's. */
    rc = rc == 0 && s->r->timeout_s <= 0 ? engine_limit_audits(s->r, s->target.audits, e) : rc;
    broker *br = rc == 0 ? broker_new(&o) : NULL;
    rc = rc == 0 && b != NULL && br != NULL ? audit_plans(s, plans, b, br, e) : -1;
    json_t *done = json_pack("{s:s}", "t", "done");
    rc = rc == 0 ? book_event(b, done, e) : rc;
    json_decref(done);
    json_t *closed = rc == 0 ? book_close(b, clock_ms_exact() - s->started, broker_budgets(br)) : NULL;
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
