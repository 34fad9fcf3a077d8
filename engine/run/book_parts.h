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
    bool done;
    bool stopped; /* an operation was refused or failed: no step may begin */
};

#endif
