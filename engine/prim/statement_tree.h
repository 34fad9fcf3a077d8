/* statement_tree.h: which tables and functions a statement speaks of, by PostgreSQL's own parser (libpg_query). */
#ifndef GE_PRIM_STATEMENT_TREE_H
#define GE_PRIM_STATEMENT_TREE_H

#include <jansson.h>

#include "base/err.h"

/* Reads the statements of a text. A new list, one object a statement:
 *   {"node": "SelectStmt", "touches": true, "tables": [{"schema"?, "name"}], "functions": [{"schema"?, "name"}],
 *    "name"?: of PREPARE and EXECUTE}
 * touches is false where rows are neither read nor written (DDL, SET, PREPARE, EXPLAIN without ANALYZE …). Names of
 * common table expressions are no tables. NULL with *e: statement_unread (no SQL that this parser knows),
 * out_of_memory. */
json_t *statement_tree(const char *sql, err *e);

#endif
