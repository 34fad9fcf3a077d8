/* db_text.h: reading PostgreSQL's text forms: arrays, time stamps, numerics. Pure functions. */
#ifndef GE_PRIM_DB_TEXT_H
#define GE_PRIM_DB_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* An array's text form, piece by piece (PostgreSQL manual, 8.15.6). A leading "[2:4]=" with bounds is skipped. */
typedef struct db_array {
    const char *s;
    int depth;
    bool want_item;
} db_array;

typedef enum {
    DB_ARRAY_OPEN,
    DB_ARRAY_CLOSE,
    DB_ARRAY_NULL,
    DB_ARRAY_ITEM, /* its unescaped text is in *item */
    DB_ARRAY_END,
    DB_ARRAY_BAD /* not an array, or out of memory */
} db_array_piece;

void db_array_start(db_array *a, const char *text);
db_array_piece db_array_next(db_array *a, buf *item);
/* Appends an element in double quotes with its escapes. 0 / -1. */
int db_array_quote(buf *out, const char *s, size_t n);

#define DB_RFC3339_MAX 40

/* A timestamptz in DateStyle ISO as RFC 3339 in UTC. 0: done; 1: a value RFC 3339 does not have (infinity, BC, a year
 * over 9999); -1: not ISO. */
int db_rfc3339(const char *pg, char out[DB_RFC3339_MAX]);

#endif
