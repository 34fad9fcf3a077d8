/* book.h: the record of one gate. Events of a worker go in one at a time; the verdict comes out.
 *
 * A worker only says what happened. Which check that counts for, what its text is, and what the gate's verdict is, is
 * decided here, from the head as it was loaded: nothing a script prints, returns or sends can word a failure, close
 * another's check or name a verdict. All text is sanitised and masked on the way in. */
#ifndef GE_RUN_BOOK_H
#define GE_RUN_BOOK_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

typedef struct book book;

typedef struct book_options {
    const json_t *head;   /* of the gate, checked (head.h); outlives the book */
    const json_t *config; /* the configuration's document: it must prove a SKIP */
    bool strict;          /* advisories fail */
    bool trace;           /* lines of a trace are logged; else they are dropped */
    bool operation;       /* an operation: its steps are checks too, and saying nothing is no pass */
    bool dry_run;         /* its steps are told and not taken */
} book_options;

book *book_new(const book_options *o);
void book_free(book *b);

/* Takes one event. -1 with *e set where the worker broke the protocol or its bounds: the caller ends the worker and
 * calls book_crash. */
int book_event(book *b, const json_t *event, err *e);
/* Skips the open check for a reason that the supervisor itself knows. No event says that: it would need proof. */
int book_skip(book *b, const char *check, const char *reason, err *e);
/* An operation asks whether it may take a step. 0: the step is on record, and its worker may be told to begin. -1 with
 * *e: it must not begin (code step_stopped: what keeps it from that is on record already). */
int book_step(book *b, const json_t *request, err *e);
/* The gate could not be evaluated to its end: becomes an ERROR beside what was found. The open check, if any, is named.
 */
void book_crash(book *b, const err *why);
/* The same for an error object {code, message, detail, fix, where} that a worker sent. */
void book_raised(book *b, const json_t *error);
/* The name of a check that is open, or NULL. Owned by the book. */
const char *book_open_check(const book *b);
/* Names of checks and groups that --only left out, owned by the book. */
const json_t *book_unselected(const book *b);
/* A name given to --only was of use here? */
bool book_selected(const book *b, const char *name);
/* The gate ran to its end, but --only left out every check of it. */
bool book_left_out(const book *b);
bool book_crashed(const book *b);
/* The results, proposals and lines of an operation or recovery: new references, arrays. */
json_t *book_proposals(const book *b);
json_t *book_findings(const book *b);     /* FAIL findings as recover takes them: [{check, class, object, detail}] */
const json_t *book_result(const book *b); /* what an internal script returned, or NULL; owned by the book */
bool book_done(const book *b);            /* the worker said it came to its end */

/* The gate's entry of the report (design §1), a new reference; NULL out of memory. A book that never took "done" is no
 * pass. `limits` (stolen, may be NULL) is its limits object. */
json_t *book_close(book *b, double duration_ms, json_t *limits);

/* Foreign text as reports carry it: UTF-8, control characters visible, secrets masked, at most max bytes. New
 * reference; never NULL short of memory. */
json_t *book_text(const char *s, size_t n, size_t max, bool multiline);

#endif
