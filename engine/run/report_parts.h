/* report_parts.h: private to report*.c: what every rendering of a report is made of. */
#ifndef GE_RUN_REPORT_PARTS_H
#define GE_RUN_REPORT_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* A text of an object; NULL where it is none or empty. Borrowed. */
const char *report_member(const json_t *object, const char *key);
bool report_same(const char *a, const char *b);

/* The report as the machine-readable formats go through it: its gates in order, and behind them, where the run as a
 * whole could not be carried out or has no gate, one more section with "run": true. Each section is a gate of the
 * schema, but has an entry of its own in `checks` where it is no PASS and no entry says so: who counts entries turns
 * nothing green. New reference; NULL out of memory. */
json_t *report_sections(const json_t *report);

/* What an entry is to a reader. */
typedef enum {
    ENTRY_PASS,
    ENTRY_NOTE,     /* passes, and says something */
    ENTRY_ADVISORY, /* passes, and should be looked at */
    ENTRY_SKIP,     /* was not done, for a reason */
    ENTRY_FAIL,
    ENTRY_ERROR /* and whatever else is no pass */
} entry_kind;
entry_kind report_kind(const json_t *entry);
/* "FAIL", "ERROR", "advisory", … */
const char *report_kind_name(entry_kind kind);
/* What an entry says in a sentence; never NULL. Borrowed from the entry. */
const char *report_saying(const json_t *entry);
/* The machine's name of what is wrong: class, else code, else "error". */
const char *report_class(const json_t *entry);

/* Entries of one kind in blocks, in order of appearance: {key: [entries]}, by class, and errors, whose class says less,
 * by what they say too. New reference; NULL out of memory. */
json_t *report_blocks(const json_t *checks, entry_kind kind);

/* What a gate used of one resource: when it ended, at most, and what it may; each with its unit, "-" where there is
 * none. */
typedef struct report_budget {
    const char *name;
    char current[40], peak[40], limit[40];
} report_budget;
/* Calls put() with each budget of a gate or section. */
void report_budgets(const json_t *gate, void (*put)(void *ctx, const report_budget *b), void *ctx);

/* Appends a value as JSON that people can read, as part of something `depth` levels deep. */
void report_put_json(buf *out, const json_t *value, int depth);
/* Appends a text as a JSON string; ascii: other characters as escapes. Without memory `out` has failed. */
void report_put_string(buf *out, const char *text, size_t n, bool ascii);

/* Renderings; each appends to out and says out_of_memory in *e. */
int report_json(buf *out, const json_t *report, err *e);
int report_junit(buf *out, const json_t *report, err *e);
int report_sarif(buf *out, const json_t *report, err *e);
int report_markdown(buf *out, const json_t *report, err *e);
int report_tap(buf *out, const json_t *report, err *e);
int report_html(buf *out, const json_t *report, err *e);
int report_github(buf *out, const json_t *report, err *e);

/* What changed since the last pass, a line each, in plain text; false and nothing where there is nothing to say. */
bool report_since(buf *out, const json_t *report);

#endif
