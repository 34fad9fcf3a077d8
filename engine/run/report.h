/* report.h: what a run found, as one document, and its renderings.
 *
 * The document is one JSON value in the schema of stdlib/schema/report-1.json (design §1). It is built here and filled
 * by the supervisor; all renderings only read it, so no two of them can disagree. A document is complete from its
 * first moment: every gate stands in it as an ERROR, not evaluated, until its result takes that place, so whatever ends
 * a run early leaves a report that turns nothing green. */
#ifndef GE_RUN_REPORT_H
#define GE_RUN_REPORT_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "run/engine.h"

#define REPORT_SCHEMA "gate-engine/report/1"

/* The formats report_emit can write, NULL-ended. */
extern const char *const REPORT_FORMATS[];

typedef struct report_opts {
    bool verbose; /* every check with status, duration and detail */
    bool colour;  /* see report_colour */
    bool no_text; /* the files only: the verb prints text of its own */
    /* Looked at while rendering; where it is set report_emit gives up, with nothing written. NULL = never. */
    const volatile sig_atomic_t *interrupted;
    /* Lines of an operation, clean, not owned: for whoever runs it and for no report, since a key that is shown once
     * may be among them. */
    const json_t *said;
} report_opts;

/* The document of a run that is about to begin. New reference; NULL out of memory. */
json_t *report_new(const run_request *r);
/* The document of an invocation that ended before any gate could run (exit 2 or 3). script and tenant may be NULL. */
json_t *report_for_error(const char *script, const char *tenant, int exit_code, const err *why);

/* What was tested: {"platform", "host", "database", "config", "schema_hash"}, each a string or null. Steals target. */
int report_set_target(json_t *report, json_t *target);
/* Puts a gate's result (book.h) in the place of gate `index`. Steals gate. */
int report_set_gate(json_t *report, size_t index, json_t *gate);
/* Adds a reason why the run as a whole could not be carried out; the first one stays. */
int report_set_error(json_t *report, const err *why);

/* Closes the document: overall status, duration, approval and exit code.
 *   trusted    gates and stdlib are the built-in or pinned ones; without it nothing is approved
 *   exit_code  what the process will exit with, or -1: as the statuses say
 * Returns the exit code. */
int report_finish(json_t *report, double duration_ms, bool trusted, int exit_code);
/* A copy with at most `most` entries a gate, and why it has no more as its error, for a run that was interrupted while
 * its report was written: so much is written at once. Each gate keeps its verdict. New reference; NULL out of memory.
 */
json_t *report_cut(const json_t *report, size_t most, const err *why);
/* The exit code that the statuses mean: 0, 1 (a FAIL or FLAKY), 3 (an ERROR, or nothing evaluated). */
int report_exit_code(const json_t *report);

/* Colour belongs on this descriptor: a terminal that can show it, and NO_COLOR (no-color.org) is not set. */
bool report_colour(int fd);
/* Appends a rendering. Errors: out_of_memory. */
int report_text(buf *out, const json_t *report, const report_opts *o);
/* In one of REPORT_FORMATS. Errors: report_format, out_of_memory. */
int report_render(buf *out, const json_t *report, const char *format, err *e);

/* Where text goes beside these targets: standard output, or standard error when one of them takes standard output. */
FILE *report_stream(const json_t *targets);
/* Prints the text to standard output, or to standard error when a target takes standard output ("-"), and writes every
 * target [{"format", "file"}], files atomically. All targets are tried, after all were rendered: where there is no
 * memory for one of them, none is written. The first failure is in *e. Codes: report_write, report_format,
 * out_of_memory, interrupted. A caller whose exit code is 0 exits 3 then. */
int report_emit(const json_t *report, const json_t *targets, const report_opts *o, err *e);

#endif
