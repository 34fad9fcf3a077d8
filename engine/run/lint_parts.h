/* lint_parts.h: private to lint*.c. */
#ifndef GE_RUN_LINT_PARTS_H
#define GE_RUN_LINT_PARTS_H

#include <jansson.h>

#include "base/buf.h"
#include "run/lualex.h"

#define MODULES_MAX 64
#define CONTEXTS_MAX 8

typedef struct lint {
    lualex lx;
    const json_t *head;
    json_t *out;  /* borrowed */
    char *inside; /* owned; per token: the bracket it stands in, or 0 */
    bool audit, operation, failed;
} lint;

/* What the analysis of one script's use of ctx holds. */
typedef struct lint_usage {
    lint *l;
    lualex modules[MODULES_MAX]; /* of what it requires: what is used there is used */
    buf texts[MODULES_MAX];
    size_t nmodules;
    bool *skip; /* per token: it stands in needs, options or failures of the head, where names are declared */
    const lualex_token *contexts[CONTEXTS_MAX];
    size_t ncontexts;
    bool dynamic; /* a class of findings is put together at run time */
} lint_usage;

/* One finding. fix may be NULL. */
void lint_say(lint *l, int line, const char *code, bool note, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Is token i a name that stands for a variable: no field, method, label or key of a constructor? */
bool lint_is_variable(const lint *l, size_t i);
/* NAME = … inside a constructor. */
bool lint_is_key(const lualex *lx, size_t i);
/* Globals that do not exist, and members that the sandbox's libraries lack. */
void lint_globals(lint *l);

/* Notes on what is declared and never used, and on a gate without recover. */
void lint_unused(lint_usage *u);

#endif
