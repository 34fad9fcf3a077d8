/* plan_fields.h: the fields of a plan that an audit looks at, as stdlib/schema/audit-plan-1.json and
 * audit-plan-routing-1.json publish them. */
#ifndef GE_BASE_PLAN_FIELDS_H
#define GE_BASE_PLAN_FIELDS_H

#include <jansson.h>

#include "base/err.h"

struct plan_field;
extern const struct plan_field *const PLAN_ROSTER, *const PLAN_ROUTING;

/* Has the plan all fields that its schema asks for and no others, each of its type and in its range? Strings that are
 * dates must be days of the calendar, which the schema cannot ask. Error: plan_shape, naming the field
 * ("assignments[3].day"), what was expected and what was found. What stands in a history is not looked at. */
int plan_fields_check(const struct plan_field *fields, const json_t *plan, err *e);

/* Sets the error of a field that is not as expected; found NULL: there is none. Returns -1. */
int plan_wrong(err *e, const char *code, const char *key, const char *expected, const json_t *found);

#endif
