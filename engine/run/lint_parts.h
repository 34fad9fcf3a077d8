/* lint_parts.h: private to lint*.c. */
#ifndef GE_RUN_LINT_PARTS_H
#define GE_RUN_LINT_PARTS_H

#include <jansson.h>

#include "base/buf.h"
#include "run/lualex.h"

#define LINT_FILES_MAX 256
#define LINT_NAME_MAX 128

/* What a local variable is known to hold. */
typedef enum {
    LINT_UNKNOWN,
    LINT_CONTEXT, /* ctx */
    LINT_FIELD,   /* ctx.db, ctx.http, …: `at` is the field's name */
    LINT_OBJECT,  /* what has the methods of `object`: a connection, a store, an audit's report */
    LINT_MODULE,  /* what `require` gave: `at` is the string with its name */
    LINT_NOTHING  /* assigned twice: not known, whatever it was once */
} lint_is;

typedef struct lint_meaning {
    lint_is is;
    size_t at;
    const char *object; /* static: a key of lint_methods */
} lint_meaning;

/* One file: the script, or a module of its own directory. */
typedef struct lint {
    lualex lx;
    buf text;
    const char *file;   /* borrowed: its label; NULL for the script itself */
    const char *module; /* borrowed: the name under which it is required; NULL for the script */
    const json_t *head;
    json_t *out;   /* borrowed */
    char *inside;  /* owned; per token: the bracket it stands in, or 0 */
    bool *skip;    /* owned; per token: it stands in needs, options or failures of the head, which declare names */
    int *binding;  /* owned; per token that names a variable: the token that declares it, or -1 */
    int *function; /* owned; per token: the `function` it stands in, or -1 */
    lint_meaning *meaning; /* owned; per token that declares a local */
    bool audit, operation, failed;
} lint;

/* What is looked at together. */
typedef struct lint_usage {
    lint *l; /* the file that is being looked at */
    lint *files[LINT_FILES_MAX];
    size_t nfiles;
    lint *others[LINT_FILES_MAX]; /* of the engine's library: what they use is used, but nothing is said of them */
    size_t nothers;
    json_t *methods;  /* owned; of lint_methods, NULL until they are needed */
    json_t *contexts; /* owned: "MODULE.FUNCTION" → the number of the parameter that is a context */
    bool dynamic;     /* a class of findings is put together at run time */
    bool escapes;     /* a context goes where it is not followed */
    bool checks, applies;
} lint_usage;

/* One finding. fix may be NULL. */
void lint_say(lint *l, int line, const char *code, bool note, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Is token i a name that stands for a variable: no field, method, label or key of a constructor? */
bool lint_is_variable(const lint *l, size_t i);
/* NAME = … inside a constructor. */
bool lint_is_key(const lualex *lx, size_t i);
/* A token's text; "" where it is too long to be a name. */
const char *lint_text(const lualex_token *t, char out[LINT_NAME_MAX]);
/* From an opening bracket to the token that closes it (or the end). */
size_t lint_close(const lint *l, size_t open);

/* Globals that do not exist, and members that the sandbox's libraries lack; fills in binding and function. */
void lint_scope(lint *l);
/* Who holds the context, and what is taken from it. Returns whether it learned something that another file needs. */
bool lint_flow(lint_usage *u);
/* What the context of one file is asked for and told. */
void lint_context(lint_usage *u);
/* A step of recovery: `apply` is token name, what follows it token open, the first constructor among the arguments
 * token step (0: none). */
void lint_apply(lint_usage *u, size_t name, size_t open, size_t step);
/* Whether the object of stdlib/meta/ ("connection", "ctx", "hash", …) has such a function; *near is the nearest one it
 * has, or NULL. True also where nothing is known of the object. */
bool lint_has_method(lint_usage *u, const char *object, const char *name, const char **near);
/* `require` of what is not there, or not to be had. */
void lint_requires(lint_usage *u, const json_t *raw);

/* Whether an audit asks for the earlier weeks that it looks at. */
void lint_audit(lint *l);

/* Notes on what is declared and never used, and on a gate without recover. */
void lint_unused(lint_usage *u);

#endif
