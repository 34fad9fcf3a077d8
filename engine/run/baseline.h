/* baseline.h: findings that are known already (`--baseline FILE`, the JSON report of an earlier run).
 *
 * A team with two hundred findings can hold the line from today on: known ones are listed and do not fail the run, new
 * ones do, those that vanished are told. Errors are never known, and such a run never approves. */
#ifndef GE_RUN_BASELINE_H
#define GE_RUN_BASELINE_H

#include <jansson.h>

#include "base/err.h"

/* Reads a report into {gate id: {key: {"class", "object", "failure", "count"}}}; a new reference, or NULL with *e:
 * baseline_unreadable (no file, no JSON, no report of this schema), baseline_tenant (of another tenant than `tenant`;
 * NULL takes any). */
json_t *baseline_read(const char *path, const char *tenant, err *e);

/* The same of a report at hand, for a run's comparison with another. NULL out of memory. */
json_t *baseline_of(const json_t *report);

/* Turns the known FAIL entries of a gate (book.h) into PASS with "baseline": "known", and works its status out anew.
 * facts.baseline_known and facts.baseline_gone say how many there were and what vanished. -1 out of memory: the gate
 * must not be used then. */
int baseline_apply(const json_t *baseline, json_t *gate);
/* The same for a comparison with another schema: the summary and facts.against say what is new, fixed and unchanged. */
int baseline_compare(const json_t *base, json_t *gate);

#endif
