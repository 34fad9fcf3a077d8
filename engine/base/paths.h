/* paths.h: where the installed tree is. Found from the running program: beside build/ in a source tree, else under
 * PREFIX. */
#ifndef GE_BASE_PATHS_H
#define GE_BASE_PATHS_H

#include "base/err.h"

typedef struct paths {
    char *share;   /* holds stdlib/, gates/, scripts/ */
    char *modules; /* holds engine/<noun>.so */
    char *libexec; /* holds gate-audit, roster-solver, routing-solver */
} paths;

/* Errors: install_broken, naming what was looked for. */
int paths_find(paths *p, err *e);
/* The same for a program at this absolute path. */
int paths_find_from(paths *p, const char *program, err *e);
void paths_free(paths *p);

#endif
