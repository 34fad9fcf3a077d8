/* sql.h: PostgreSQL's own grammar, by libpg_query (the parser of PostgreSQL 15).
 *
 * What is parsed is foreign: the parser recurses over the tree it made without looking at the stack, so the text is
 * bounded in bytes and in the tokens that can nest before it is parsed at all. Where memory runs out inside the library
 * the process ends; within these bounds it takes some 50 MB at most.
 *
 * Errors: sql_syntax (position set), sql_size, sql_depth, sql_encoding, sql_failed, out_of_memory. */
#ifndef GE_PRIM_SQL_H
#define GE_PRIM_SQL_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define SQL_TEXT_MAX (1 << 20)  /* most bytes of a text */
#define SQL_TOKENS_MAX 10000    /* most operators and words, each of which may be one level of the tree */
#define SQL_FINGERPRINT_SIZE 17 /* 16 hexadecimal digits and the terminator */

/* Parses the statements of a text. Returns {"version": 150001, "stmts": [{"stmt": {…}}, …]} as libpg_query writes it
 * (the caller owns it), or NULL. *position is the character at which a syntax error was found, counted from 1; else 0.
 */
json_t *sql_parse(const char *text, size_t n, int *position, err *e);
/* A hash of the tree that is the same for texts which differ in constants, spelling and white space only. */
int sql_fingerprint(const char *text, size_t n, char out[SQL_FINGERPRINT_SIZE], int *position, err *e);
/* Appends the text with $1, $2, … in place of its constants. */
int sql_normalize(const char *text, size_t n, buf *out, int *position, err *e);

#endif
