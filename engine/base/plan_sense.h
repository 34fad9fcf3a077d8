/* plan_sense.h: what a plan says twice must be the same both times.
 *
 * A plan tells most things in more than one way, for audits to choose from: a tour's day by its number, its weekday,
 * its date and its minutes, a driver's week by its tours and by its sums. An audit reads one of them. If they differed,
 * whoever made the plan would choose by which of them it is judged. */
#ifndef GE_BASE_PLAN_SENSE_H
#define GE_BASE_PLAN_SENSE_H

#include <jansson.h>

#include "base/err.h"

/* For plans whose fields are right (plan_fields.h): 0, or -1 with code plan_contradiction, which names the field, what
 * the rest of the plan says of it and what it says. */
int plan_sense_roster(const json_t *plan, err *e);
int plan_sense_routing(const json_t *plan, err *e);

#endif
