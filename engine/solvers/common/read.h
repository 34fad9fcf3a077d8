/* read.h: what the solvers' readers of requests share. Strict: every key known, every value of its type and in its
 * range. All return 0, or -1 with an error that names the place in the request. */
#ifndef GE_SOLVERS_READ_H
#define GE_SOLVERS_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SOLVER_NAME_MAX 256
/* Integers JSON readers agree on (RFC 8785 appendix D): doubles hold them exactly. */
#define SOLVER_SEED_MAX INT64_C(9007199254740991)

/* One JSON document without duplicate keys. On success *out is the caller's. Errors: input_json, out_of_memory. */
int solver_read_document(const char *text, size_t n, json_t **out, err *e);
/* Sets the error input_value: at `at` something else was expected than what was found (NULL: nothing). Returns -1. */
int solver_bad(err *e, const char *at, const char *expected, const json_t *found);
/* Refuses keys that are not in `names` (NULL-ended), and values that are not objects. */
int solver_check_keys(const json_t *object, const char *at, const char *const *names, err *e);
int solver_read_int(const json_t *object, const char *where, const char *key, int64_t min, int64_t max, int64_t *out,
                    err *e);
/* A text of 1 to SOLVER_NAME_MAX bytes without control characters, borrowed; NULL allowed where `optional`. */
int solver_read_name(const json_t *object, const char *where, const char *key, bool optional, const char **out, err *e);

#endif
