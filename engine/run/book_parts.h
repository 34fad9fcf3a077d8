/* book_parts.h: shared by book*.c alone: what a book keeps. */
#ifndef GE_RUN_BOOK_PARTS_H
#define GE_RUN_BOOK_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "run/book.h"

typedef struct check {
    json_t *name;     /* owned, as all below */
    json_t *findings; /* array of report entries without name and duration */
    json_t *skip;     /* reason, or NULL */
    json_t *error;    /* report entry, or NULL */
    bool open, step;  /* step: of an operation */
    double started, duration;
} check;

struct book {
    book_options o;
    check *checks;
    size_t n, cap;
    json_t *index; /* {name: place in checks}: a gate that has many checks must not make each event slow */
    size_t findings, fact_values;
    json_t *facts, *summary, *unselected, *selected, *proposals, *result, *crash;
    json_t *unchanged; /* why an operation found nothing to do, owned */
    json_t *refusal;   /* report entry of an operation that was refused outside of its checks and steps, owned */
    bool done;
    bool stopped; /* an operation was refused or failed: no step may begin */
};

enum { BOOK_NAME_MAX = 200, BOOK_TEXT_MAX = 4000, BOOK_REPRODUCE_MAX = 20000, BOOK_BASIS_MAX = 64 };

/* A string member of an event as clean text, or JSON null where it is absent. New reference. */
json_t *book_member(const json_t *event, const char *key, size_t max);
/* The check or step of that name, or NULL. */
check *book_find(const book *b, const char *name);
/* Opens one more check, or step, with the event's name. */
int book_add(book *b, const json_t *event, bool step, err *e);
/* The report entry of a finding, worded by the head; `refuses`: it fails whatever its severity. NULL with *e set. */
json_t *book_finding_entry(book *b, const json_t *event, bool refuses, err *e);
/* Takes an event that only operations have; 1 where it is none of them. */
int book_operation_event(book *b, const char *type, const json_t *event, err *e);

#endif
