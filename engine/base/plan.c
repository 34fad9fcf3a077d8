#include "base/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/calendar.h"
#include "base/canon.h"
#include "base/plan_fields.h"
#include "base/plan_sense.h"
#include "base/text.h"

/* What is different in the plans of each pack. */
typedef struct form {
    const char *pack, *schema;
    const char *work; /* nobody does anything where this list is empty */
    const struct plan_field *const *fields;
    int (*sense)(const json_t *plan, err *e);
} form;

static const form FORMS[] = {
    {"roster", "gate-engine/audit-plan/1", "assignments", &PLAN_ROSTER, plan_sense_roster},
    {"routing", "gate-engine/audit-plan-routing/1", "routes", &PLAN_ROUTING, plan_sense_routing},
};

/* A string's text; NULL for another value, and for a text that goes on behind a NUL. */
static const char *text_of(const json_t *v) {
    const char *text = json_string_value(v);
    return text != NULL && strlen(text) == json_string_length(v) ? text : NULL;
}

int plan_wrong(err *e, const char *code, const char *key, const char *expected, const json_t *found) {
    char *text = found != NULL && !json_is_object(found) && !json_is_array(found)
                     ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT)
                     : NULL;
    buf shown = BUF_INIT;
    const char *fallback = json_is_object(found) ? "an object" : json_is_array(found) ? "a list" : "nothing";
    int rc = text != NULL ? text_sanitise(&shown, text, strlen(text), 80, false) : buf_puts(&shown, fallback);
    err_set(e, code, "%s: expected %s, found %s", key, expected, rc == 0 ? buf_str(&shown) : "something else");
    buf_free(&shown);
    free(text);
    return err_fix(e, "a plan is what golden_path_e2e --artifacts DIR writes as audit-plan.json");
}

static const form *form_of(const json_t *plan, err *e) {
    const json_t *pack = json_object_get(plan, "pack");
    const json_t *schema = json_object_get(plan, "schema");
    const char *name = text_of(pack);
    const char *found = text_of(schema);
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        if (name != NULL && strcmp(name, FORMS[i].pack) == 0) {
            if (found == NULL || strcmp(found, FORMS[i].schema) != 0) {
                char expected[64];
                snprintf(expected, sizeof expected, "\"%s\"", FORMS[i].schema);
                plan_wrong(e, "plan_shape", "schema", expected, schema);
                return NULL;
            }
            return &FORMS[i];
        }
    }
    plan_wrong(e, "plan_shape", "pack", "\"roster\" or \"routing\"", pack);
    return NULL;
}

int plan_check(const json_t *plan, plan_facts *out, err *e) {
    if (!json_is_object(plan)) {
        return plan_wrong(e, "plan_shape", "the plan", "an object", plan);
    }
    const form *f = form_of(plan, e);
    if (f == NULL) {
        return -1;
    }
    bool daily = strcmp(f->pack, "routing") == 0;
    const json_t *when = daily ? json_object_get(plan, "date") : json_object_get(json_object_get(plan, "week"), "iso");
    const char *text = text_of(when);
    if (daily && (text == NULL || !calendar_is_date(text))) {
        return plan_wrong(e, "plan_date", "date", "a date such as \"2026-03-02\"", when);
    }
    if (!daily && (text == NULL || !calendar_is_week(text))) {
        return plan_wrong(e, "plan_week", "week.iso", "an ISO week such as \"2026-W10\"", when);
    }
    if (plan_fields_check(*f->fields, plan, e) != 0 || f->sense(plan, e) != 0) {
        return -1;
    }
    if (out != NULL) {
        bool stands_in = json_object_get(json_object_get(plan, "week"), "reference") != NULL;
        *out = (plan_facts){.pack = f->pack,
                            .when = daily || !stands_in ? text : NULL,
                            .empty = json_array_size(json_object_get(plan, f->work)) == 0};
    }
    return 0;
}

json_t *plan_parse(const char *text, size_t n, err *e) {
    err why;
    json_t *plan = canon_parse(text, n, &why);
    if (plan == NULL && strcmp(why.code, "out_of_memory") == 0) {
        *e = why;
    } else if (plan == NULL) {
        err_set(e, "audit_plan", "the plan is not JSON: %s", why.message);
        err_fix(e, "a plan is what golden_path_e2e --artifacts DIR writes as audit-plan.json");
    }
    return plan;
}

static int join_one(json_t *history, const char *text, size_t n, err *e) {
    err why;
    err_clear(&why);
    json_t *past = plan_parse(text, n, &why);
    if (past == NULL) {
        return err_set(e, why.code, "history[%zu]: %s", json_array_size(history) + 1, why.message);
    }
    if (json_object_get(past, "history") != NULL) {
        json_object_del(past, "history");
    }
    return json_array_append_new(history, past) == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
}

json_t *plan_join(const char *text, size_t n, const json_t *earlier, err *e) {
    size_t weeks = json_array_size(earlier), behind = 0, i;
    for (i = 0; i < weeks; i++) {
        json_int_t length = json_integer_value(json_array_get(earlier, i));
        if (length < 0 || (size_t)length > n - behind) {
            err_set(e, "audit_plan", "the lengths of the earlier weeks are not those of their texts");
            return NULL;
        }
        behind += (size_t)length;
    }
    json_t *plan = plan_parse(text, n - behind, e);
    json_t *history = plan != NULL && weeks > 0 ? json_array() : NULL;
    const char *at = text + (n - behind);
    int rc = plan != NULL ? 0 : -1;
    for (i = 0; rc == 0 && i < weeks; i++) {
        size_t length = (size_t)json_integer_value(json_array_get(earlier, i));
        rc = history != NULL ? join_one(history, at, length, e) : err_set(e, "out_of_memory", "out of memory");
        at += length;
    }
    if (rc == 0 && weeks > 0) {
        rc = json_is_object(plan) ? json_object_set(plan, "history", history) : 0;
        rc = rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
    }
    json_decref(history);
    if (rc != 0) {
        json_decref(plan);
        return NULL;
    }
    return plan;
}

int plan_check_saved(const json_t *plan, err *e) {
    plan_facts facts;
    if (plan_check(plan, &facts, e) != 0) {
        return -1;
    }
    if (facts.empty) {
        err_set(e, "plan_empty", "nobody does anything in this plan: an audit of it would say nothing");
        return err_fix(e, "name the plan that is meant");
    }
    return 0;
}

int plan_is_of(const json_t *plan, const char *pack, err *e) {
    const json_t *found = json_object_get(plan, "pack");
    if (text_of(found) != NULL && strcmp(text_of(found), pack) == 0) {
        return 0;
    }
    buf shown = BUF_INIT;
    if (json_is_string(found)) {
        text_sanitise(&shown, json_string_value(found), json_string_length(found), 80, false);
    }
    err_set(e, "audit_pack", "the audit is for plans of the pack %s, and this one is of %s", pack,
            shown.len > 0 ? buf_str(&shown) : "none");
    buf_free(&shown);
    return err_fix(e, "run it on a plan of its pack");
}

static int no_week(err *e, const char *which) {
    err_set(e, "plan_week", "%sits dataset names no week, so that nobody knows which weeks came before it", which);
    return err_fix(
        e, "name the ISO week in manifest.json of the dataset (\"week\": \"2026-W10\"), and make the plan again");
}

int plan_short(err *e, size_t weeks, size_t found, const char *when) {
    err_set(e, "history_short", "the audit needs %zu earlier week%s, and there %s %zu before %s", weeks,
            weeks == 1 ? "" : "s", found == 1 ? "is" : "are", found, when);
    return err_fix(
        e, "lock the weeks before it first; or run the audit with --plan on a directory that holds their plans");
}

/* The nth plan of a history, 0 the newest, which must be of a week before `later`. */
static int check_past(json_t *past, size_t n, const plan_facts *plan, const char **later, err *e) {
    plan_facts facts;
    err why;
    if (plan_check(past, &facts, &why) != 0) {
        err_set(e, why.code, "history[%zu]: %s", n + 1, why.message);
        return err_fix(e, "%s", why.fix);
    }
    if (facts.when == NULL) {
        char which[32];
        snprintf(which, sizeof which, "history[%zu]: ", n + 1);
        return no_week(e, which);
    }
    if (strcmp(facts.pack, plan->pack) != 0) {
        return err_set(e, "plan_history", "history[%zu]: expected a plan of pack \"%s\", found one of pack \"%s\"",
                       n + 1, plan->pack, facts.pack);
    }
    if (strcmp(facts.when, *later) >= 0) {
        err_set(e, "plan_history", "history[%zu]: expected a week before %s, found %s", n + 1, *later, facts.when);
        return err_fix(e, "order the earlier weeks newest first, each once");
    }
    if (json_object_get(past, "history") != NULL) {
        return err_set(e, "plan_history", "history[%zu]: expected a week without a history of its own", n + 1);
    }
    *later = facts.when;
    return 0;
}

int plan_trim(json_t *plan, size_t weeks, err *e) {
    json_t *history = json_object_get(plan, "history");
    if (weeks == 0) {
        if (history != NULL) {
            json_object_del(plan, "history");
        }
        return 0;
    }
    plan_facts facts;
    if (plan_check(plan, &facts, e) != 0) {
        return -1;
    }
    if (facts.when == NULL) {
        return no_week(e, "");
    }
    size_t found = json_array_size(history);
    if (found > PLAN_HISTORY_MAX) {
        return err_set(e, "plan_history", "history: expected at most %d weeks, found %zu", PLAN_HISTORY_MAX, found);
    }
    if (found < weeks) {
        return plan_short(e, weeks, found, facts.when);
    }
    const char *later = facts.when;
    for (size_t i = 0; i < found; i++) {
        if (check_past(json_array_get(history, i), i, &facts, &later, e) != 0) {
            return -1;
        }
    }
    while (json_array_size(history) > weeks) {
        json_array_remove(history, json_array_size(history) - 1);
    }
    return 0;
}
