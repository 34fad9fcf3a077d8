/* head_parts.h: private to head*.c. */
#ifndef GE_RUN_HEAD_PARTS_H
#define GE_RUN_HEAD_PARTS_H

#include "run/schema.h"

/* The schema of a kind ("gate", "suite", "operation", "audit"), or NULL. */
const schema_spec *head_schema(const char *kind);

#endif
