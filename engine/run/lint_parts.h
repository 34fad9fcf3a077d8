/* lint_parts.h: private to lint*.c. */
#ifndef GE_RUN_LINT_PARTS_H
#define GE_RUN_LINT_PARTS_H

#include <jansson.h>

#include "run/lualex.h"

typedef struct lint {
    lualex lx;
    const json_t *head;
    json_t *out;  /* borrowed */
    char *inside; /* owned; per token: the bracket it stands in, or 0 */
    bool audit, failed;
} lint;

/* One finding; code NULL ends nothing. fix may be NULL. */
void lint_say(lint *l, int line, const char *code, bool note, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Is token i a name that stands for a variable: no field, method, label or key of a constructor? */
bool lint_is_variable(const lint *l, size_t i);
/* NAME = … inside a constructor. */
bool lint_is_key(const lualex *lx, size_t i);
/* Globals that do not exist, and members that the sandbox's libraries lack. */
void lint_globals(lint *l);

#endif
