/* engine_audit.c: a tenant audit on saved plans: run AUDIT --plan FILE|DIR.
 *
 * Plans are foreign bytes. gate-audit reads them; the supervisor itself looks into one, bounded, only where the plans
 * of a directory are each other's history: to know of which week it is. An audit that asks for earlier weeks gets those
 * of the directory, unless a plan brings its own. A week that has too few before it is skipped with the reason; where
 * that leaves none to judge, it is an error. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err_json.h"
#include "base/fs.h"
#include "base/plan.h"
#include "run/cli.h"
#include "run/engine_parts.h"
#include "run/report.h"
#include "run/signals.h"

/* Of all plans together; and of one that the supervisor looks into, whose values take up to 240 bytes of memory each. A
 * week of 1,385 tours has 0.6 MB and 40,000 values. */
enum { PLANS_MAX = 1000, BYTES_MAX = 64 << 20, LOOK_BYTES_MAX = 8 << 20, LOOK_VALUES_MAX = 500000 };

typedef struct saved {
    char *name;    /* owned, as all below: the file's, beneath what --plan names */
    buf text;      /* as it came */
    char when[16]; /* its week; "": not known, or not looked for */
    bool own;      /* it brings its own history */
    bool broken;   /* it cannot be judged at all, and `why` says why */
    err why;
} saved;

/* What --plan names. */
typedef struct plans {
    saved *list;
    size_t n, bytes;
    const char *pack; /* of the audit */
    size_t history;   /* weeks it asks for */
    const char *root; /* the directory that is gone through; NULL: one file was named */
} plans;

static void plans_free(plans *p) {
    for (size_t i = 0; i < p->n; i++) {
        free(p->list[i].name);
        buf_free(&p->list[i].text);
    }
    free(p->list);
    *p = (plans){0};
}

/* --- reading --- */

static int too_large(err *e, const char *what, int bytes, const char *count, int n) {
    err_set(e, "plan_too_large", "%s more than %d MB, or %d %s", what, bytes >> 20, n, count);
    return err_fix(e, "name fewer plans at a time, or what golden_path_e2e --artifacts DIR wrote");
}

/* Takes the name in any case. What is wrong with a plan is its own error; -1 only where the run cannot go on. */
static int add_plan(plans *p, char *name, const char *path, err *e) {
    saved *grown = name != NULL && path != NULL ? realloc(p->list, (p->n + 1) * sizeof *grown) : NULL;
    if (grown == NULL) {
        free(name);
        return err_set(e, "out_of_memory", "out of memory");
    }
    p->list = grown;
    saved *s = &p->list[p->n++];
    *s = (saved){.name = name};
    if (p->root != NULL &&
        !fs_is_beneath(p->root, path)) { /* what is wrong with a plan is shown, and this may be anybody's file */
        err_set(&s->why, "plan_unreadable", "a symbolic link that leads out of the directory");
        err_fix(&s->why, "put the plan itself there, or name it: --plan FILE");
        s->broken = true;
        return 0;
    }
    s->broken = fs_read(path, BYTES_MAX, &s->text, &s->why) != 0;
    if (s->broken && strcmp(s->why.code, "out_of_memory") == 0) {
        *e = s->why;
        return -1;
    }
    p->bytes += s->text.len;
    bool over = p->n > PLANS_MAX || p->bytes > BYTES_MAX || strcmp(s->why.code, "file_too_large") == 0;
    return over ? too_large(e, "expected no", BYTES_MAX, "plans", PLANS_MAX) : 0;
}

/* One entry of a directory: a plan's file, or a directory of artifacts. Anything else is passed over. */
static int add_entry(plans *p, const char *dir, const char *name, err *e) {
    size_t len = strlen(name);
    if (name[0] == '.') {
        return 0;
    }
    char *path = fs_join(dir, name);
    bool is_dir = path != NULL && fs_is_dir(path);
    char *inner = is_dir ? fs_join(path, "audit-plan.json") : NULL;
    int rc = path != NULL && (!is_dir || inner != NULL) ? 0 : err_set(e, "out_of_memory", "out of memory");
    if (rc == 0 && inner != NULL && fs_exists(inner)) {
        rc = add_plan(p, fs_join(name, "audit-plan.json"), inner, e);
    } else if (rc == 0 && !is_dir && len > 5 && strcmp(name + len - 5, ".json") == 0) {
        rc = add_plan(p, strdup(name), path, e);
    }
    free(inner);
    free(path);
    return rc;
}

/* Does an entry of a directory hold a plan, as far as its text says? */
static bool holds_plan(const char *dir, const char *name) {
    size_t len = strlen(name);
    char *path = fs_join(dir, name);
    char *inner = path != NULL && fs_is_dir(path) ? fs_join(path, "audit-plan.json") : NULL;
    bool holds = inner != NULL && fs_exists(inner);
    if (path != NULL && inner == NULL && len > 5 && strcmp(name + len - 5, ".json") == 0) {
        buf text = BUF_INIT;
        err ignored;
        holds = fs_read(path, LOOK_BYTES_MAX, &text, &ignored) == 0 &&
                memmem(buf_str(&text), text.len, "\"gate-engine/audit-plan", 23) != NULL;
        buf_free(&text);
    }
    free(inner);
    free(path);
    return holds;
}

/* A directory of artifacts is one plan. Of another one beside it nobody can say whether it was meant too. */
static int collect_artifacts(plans *p, const char *dir, char *one, err *e) {
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    int rc = n < 0 ? err_errno(e, "plan_unreadable", "cannot read the directory %s", dir) : 0;
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        if (rc == 0 && name[0] != '.' && strcmp(name, "audit-plan.json") != 0 && holds_plan(dir, name)) {
            err_set(e, "plan_ambiguous", "--plan: %s holds audit-plan.json and another plan, %s", dir, name);
            rc =
                err_fix(e, "name the one that is meant, or put plans that belong together into a directory under names "
                           "of their own (2026-W10.json, …)");
        }
        free(names[i]);
    }
    free(names);
    return rc == 0 ? add_plan(p, strdup("audit-plan.json"), one, e) : rc;
}

/* A file; a directory of artifacts, which is one plan; else what of a directory is either. */
static int collect(plans *p, const char *path, err *e) {
    if (!fs_is_dir(path)) {
        return add_plan(p, strdup(strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path), path, e);
    }
    p->root = path;
    char *one = fs_join(path, "audit-plan.json");
    if (one == NULL || fs_exists(one)) {
        int rc = one != NULL ? collect_artifacts(p, path, one, e) : err_set(e, "out_of_memory", "out of memory");
        free(one);
        return rc;
    }
    free(one);
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    int rc = n < 0 ? err_errno(e, "plan_unreadable", "cannot read the directory %s", path) : 0;
    for (int i = 0; i < n; i++) {
        rc = rc == 0 ? add_entry(p, path, names[i]->d_name, e) : rc;
        free(names[i]);
    }
    free(names);
    if (rc == 0 && p->n == 0) {
        err_set(e, "plan_missing",
                "--plan: expected audit-plan.json, or plans of several weeks (2026-W10.json, …), in the directory %s, "
                "found %s",
                path, n <= 2 ? "nothing" : "no file whose name ends in .json");
        return err_fix(e, "gate-engine run golden_path_e2e --artifacts DIR writes DIR/audit-plan.json");
    }
    return rc;
}

/* --- history --- */

/* About how many values a JSON text has, before any of them is made. */
static size_t count_values(const char *text, size_t n) {
    size_t count = 1;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted) {
            quoted = text[i] != '"';
            i += text[i] == '\\' ? 1 : 0;
        } else if (text[i] == '"') {
            quoted = true;
        } else {
            count += text[i] == ',' || text[i] == '[' || text[i] == '{' ? 1 : 0;
        }
    }
    return count;
}

/* Of which week is it? What is no plan of the audit's pack, or of no week, is none of anybody's earlier weeks, and
 * gate-audit says what is wrong with it. -1 only out of memory. */
static int look(const plans *p, saved *s, err *e) {
    if (s->broken) {
        return 0;
    }
    if (s->text.len > LOOK_BYTES_MAX || count_values(buf_str(&s->text), s->text.len) > LOOK_VALUES_MAX) {
        s->broken = true;
        too_large(&s->why, "a plan among several has", LOOK_BYTES_MAX, "values", LOOK_VALUES_MAX);
        return 0;
    }
    err ignored;
    plan_facts facts;
    json_t *doc = plan_parse(buf_str(&s->text), s->text.len, &ignored);
    if (doc == NULL && strcmp(ignored.code, "out_of_memory") == 0) {
        *e = ignored;
        return -1;
    }
    if (doc != NULL && plan_is_of(doc, p->pack, &ignored) == 0 && plan_check(doc, &facts, &ignored) == 0 &&
        facts.when != NULL) {
        snprintf(s->when, sizeof s->when, "%s", facts.when);
        s->own = json_object_get(doc, "history") != NULL;
    }
    json_decref(doc);
    return 0;
}

/* By week; those of none last. */
static int by_time(const void *a, const void *b) {
    const saved *x = a, *y = b;
    int c = strcmp(x->when[0] != '\0' ? x->when : "~", y->when[0] != '\0' ? y->when : "~");
    return c != 0 ? c : strcmp(x->name, y->name);
}

static int order(plans *p, err *e) {
    for (size_t i = 0; i < p->n; i++) {
        if (look(p, &p->list[i], e) != 0) {
            return -1;
        }
    }
    qsort(p->list, p->n, sizeof *p->list, by_time);
    return 0;
}

static int same_week(const saved *a, const saved *b, err *e) {
    if (strcmp(a->when, b->when) != 0) {
        return 0;
    }
    err_set(e, "plan_history", "two plans are of %s: %s and %s", a->when, a->name, b->name);
    return err_fix(e, "keep the one that was locked");
}

/* Appends the texts of the weeks before the i-th plan to the payload, newest first, as many as are asked for, and their
 * lengths to *earlier. Errors: history_short; plan_history where two plans are of one of these weeks, or of its own. */
static int add_earlier(const plans *p, size_t i, buf *payload, json_t *earlier, err *e) {
    const saved *s = &p->list[i];
    if (i + 1 < p->n && same_week(s, &p->list[i + 1], e) != 0) {
        return -1;
    }
    for (size_t k = i; k > 0; k--) {
        const saved *past = &p->list[k - 1];
        if (same_week(past, &p->list[k], e) != 0) {
            return -1;
        }
        if (json_array_size(earlier) == p->history) {
            return 0;
        }
        if (buf_append(payload, buf_str(&past->text), past->text.len) != 0 ||
            json_array_append_new(earlier, json_integer((json_int_t)past->text.len)) != 0) {
            return err_set(e, "out_of_memory", "out of memory");
        }
    }
    size_t found = json_array_size(earlier);
    return found < p->history ? plan_short(e, p->history, found, s->when) : 0;
}

/* --- judging --- */

/* What one audit run is about. */
typedef struct audit_run {
    const engine_run_state *s;
    plans p;
    book *book;
    broker *broker;
    size_t judged, skipped; /* plans */
} audit_run;

/* Books one event, which is taken in any case: a violation that found no memory must not leave a pass behind. */
static int say(audit_run *r, json_t *event, err *e) {
    int rc = event != NULL ? book_event(r->book, event, e)
                           : err_set(e, "out_of_memory", "the audit's verdict could not be taken over");
    json_decref(event);
    return rc;
}

/* Puts the file before what is wrong with the one plan that --plan names, unless it is what a run has written; of
 * several each has a check of its name. */
static void name_plan(const audit_run *r, json_t *error) {
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    bool of_plan =
        code != NULL && message != NULL && (strcmp(code, "audit_plan") == 0 || strncmp(code, "plan_", 5) == 0);
    if (of_plan && r->p.n == 1 && strcmp(r->p.list[0].name, "audit-plan.json") != 0) {
        json_object_set_new(error, "message", json_sprintf("%s: %s", r->p.list[0].name, message));
    }
}

/* What an audit said of one plan, as the events that a worker would have sent: the book words and judges them. verdict
 * NULL: there is none, and `failed` says why. */
static int book_verdict(audit_run *r, const char *check, const json_t *verdict, const err *failed, err *e) {
    int rc = 0;
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(verdict, "violations"), i, v) {
        rc = rc == 0 ? say(r,
                           json_pack("{s:s, s:s, s:s, s:O, s:O, s:[s]}", "t", "finding", "check", check, "class",
                                     "audit_violation", "object", json_object_get(v, "object"), "detail",
                                     json_object_get(v, "detail"), "args", check),
                           e)
                     : rc;
    }
    json_t *error = verdict == NULL ? err_to_json(failed) : json_incref(json_object_get(verdict, "error"));
    name_plan(r, error);
    if (rc == 0 && (verdict == NULL || json_is_object(error))) {
        rc = say(r, json_pack("{s:s, s:s, s:O}", "t", "check_error", "check", check, "error", error), e);
    }
    json_decref(error);
    return rc;
}

/* The i-th plan's verdict, a new reference; NULL with *why set. */
static json_t *judge(audit_run *r, size_t i, err *why) {
    const saved *s = &r->p.list[i];
    if (s->broken) {
        *why = s->why;
        return NULL;
    }
    buf payload = BUF_INIT;
    json_t *earlier = json_array();
    json_t *verdict = NULL;
    int rc = earlier != NULL && buf_append(&payload, buf_str(&s->text), s->text.len) == 0
                 ? 0
                 : err_set(why, "out_of_memory", "out of memory");
    if (rc == 0 && s->when[0] != '\0' && !s->own) {
        rc = add_earlier(&r->p, i, &payload, earlier, why);
    }
    if (rc == 0) {
        verdict = broker_audit_now(r->broker, 0, &payload, earlier, why);
    }
    buf_free(&payload);
    json_decref(earlier);
    return verdict;
}

/* A week with too few before it serves as history alone, as long as some other one is judged: the last one always is.
 */
static int judge_one(audit_run *r, size_t i, err *e) {
    err why;
    err_clear(&why);
    const saved *s = &r->p.list[i];
    const char *check = r->p.n > 1 ? s->name : json_string_value(json_object_get(r->s->r->head, "name"));
    bool last = i + 1 == r->p.n || r->p.list[i + 1].when[0] == '\0';
    if (say(r, json_pack("{s:s, s:s}", "t", "check", "name", check), e) != 0) {
        return -1;
    }
    json_t *verdict = judge(r, i, &why);
    int rc = 0;
    if (signals_flag != 0) {
        rc = err_set(e, "interrupted", "interrupted");
    } else if (verdict == NULL && strcmp(why.code, "history_short") == 0 && (!last || r->judged > 0)) {
        r->skipped++;
        rc = book_skip(r->book, check, why.message, e);
    } else {
        r->judged++;
        rc = book_verdict(r, check, verdict, &why, e);
    }
    json_decref(verdict);
    return rc == 0 ? say(r, json_pack("{s:s, s:s}", "t", "check_end", "check", check), e) : rc;
}

static int judge_all(audit_run *r, err *e) {
    for (size_t i = 0; i < r->p.n; i++) {
        if (judge_one(r, i, e) != 0) {
            return -1;
        }
    }
    if (r->skipped > 0) {
        json_t *text = json_sprintf("%zu of %zu plans judged, the others are history alone", r->judged, r->p.n);
        int rc = say(r, json_pack("{s:s, s:o}", "t", "summary", "text", text), e);
        if (rc != 0) {
            return rc;
        }
    }
    return say(r, json_pack("{s:s}", "t", "done"), e);
}

static int run_audit(engine_run_state *s, err *e) {
    if (s->r->plan_path == NULL) {
        err_set(e, "plan_missing", "a tenant audit runs on a saved plan");
        return err_fix(
            e, "give it one: gate-engine run AUDIT --plan FILE|DIR (golden_path_e2e --artifacts DIR writes it)");
    }
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
    audit_run r = {.s = s, .book = book_new(&bo)};
    r.p.pack = json_string_value(json_object_get(head, "pack"));
    r.p.history = (size_t)json_integer_value(json_object_get(json_object_get(head, "needs"), "history"));
    int rc = collect(&r.p, s->r->plan_path, e);
    rc = rc == 0 && r.p.history > 0 && r.p.n > 1 ? order(&r.p, e) : rc;
    const json_t *raw = json_object_get(json_array_get(s->r->gates, 0), "raw");
    rc = rc == 0 ? target_add_audit(&s->target, json_string_value(json_object_get(raw, "path")), e) : rc;
    rc = rc == 0 ? engine_limit_audits(s->r, s->target.audits, e) : rc;
    if (rc == 0 && s->r->timeout_s > 0) { /* given for this run alone, it is stronger than the configuration's */
        rc = json_object_set_new(json_array_get(s->target.audits, 0), "wall_s", json_real(s->r->timeout_s)) == 0
                 ? 0
                 : err_set(e, "out_of_memory", "out of memory");
    }
    r.broker = rc == 0 ? broker_new(&o) : NULL;
    if (rc == 0 && (r.book == NULL || r.broker == NULL)) {
        rc = err_set(e, "out_of_memory", "out of memory");
    }
    rc = rc == 0 ? judge_all(&r, e) : rc;
    json_t *closed = rc == 0 ? book_close(r.book, clock_ms_exact() - s->started, broker_budgets(r.broker)) : NULL;
    if (rc == 0) {
        rc = closed != NULL ? report_set_gate(s->report, 0, closed) : err_set(e, "out_of_memory", "out of memory");
    }
    broker_free(r.broker);
    book_free(r.book);
    plans_free(&r.p);
    json_decref(head);
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
