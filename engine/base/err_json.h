/* err_json.h: errors between processes: {"code", "message", "detail", "fix"}, all four texts. */
#ifndef GE_BASE_ERR_JSON_H
#define GE_BASE_ERR_JSON_H

#include <jansson.h>

#include "base/err.h"

/* A new reference, or NULL out of memory alone: what is not UTF-8 is escaped as text_sanitise does, so that no error is
 * lost for its form. */
json_t *err_to_json(const err *e);
/* Reads such an object from foreign hands. Where `from` is no object or lacks a code or a message, these stand in.
 * Returns -1. */
int err_from_json(err *e, const json_t *from, const char *code, const char *message);

#endif
