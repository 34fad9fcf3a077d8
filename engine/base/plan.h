/* plan.h: what the engine itself knows of a plan that an audit looks at (stdlib/schema/audit-plan-1.json and
 * audit-plan-routing-1.json): which pack it is of, which week or day, and the weeks before it. */
#ifndef GE_BASE_PLAN_H
#define GE_BASE_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Most earlier weeks that an audit may ask for (needs.history). */
#define PLAN_HISTORY_MAX 8

/* Borrowed from the plan. */
typedef struct plan_facts {
    const char *pack; /* "roster" or "routing" */
    const char *when; /* ISO week of a roster plan, NULL where its dataset named none; date of a routing plan */
    bool empty;       /* nobody does anything in it */
} plan_facts;

/* Reads a plan strictly (canon_parse): a new reference, or NULL with audit_plan, or out_of_memory. */
json_t *plan_parse(const char *text, size_t n, err *e);
/* As plan_parse; `earlier` are the lengths of further texts behind the plan's, which are read one by one and become its
 * history in that order; a history of their own they lose. Not an array, or an empty one: there are none. */
json_t *plan_join(const char *text, size_t n, const json_t *earlier, err *e);
/* Is it a plan as its pack's schema publishes it, with a week or date of the calendar, and does it say the same of
 * a thing wherever it names it (plan_sense.h)? Errors: plan_shape, plan_week, plan_date, plan_contradiction. out may be
 * NULL; `when` of a plan whose dataset named no week is NULL. */
int plan_check(const json_t *plan, plan_facts *out, err *e);
/* Can a plan be judged that comes from a file: is it one, and does anybody do anything in it? Errors: plan_check's,
 * plan_empty. */
int plan_check_saved(const json_t *plan, err *e);
/* Is the plan of the pack that its audit is for? Error: audit_pack, naming both. */
int plan_is_of(const json_t *plan, const char *pack, err *e);
/* Gives a plan exactly the history that its audit asked for: the first `weeks` plans of plan.history. That must be at
 * most PLAN_HISTORY_MAX plans, newest first, each of a week before the one in front of it and of the plan's pack,
 * without a history of its own. 0 weeks: no history, and the plan need not be one. Errors: history_short, plan_history,
 * and plan_check's. */
int plan_trim(json_t *plan, size_t weeks, err *e);
/* "it needs 2 earlier weeks, and there is 1 before 2026-W12", as history_short, with what to do. Returns -1. */
int plan_short(err *e, size_t weeks, size_t found, const char *when);

#endif
