/* program.h: a solver as a program: a problem as JSON on standard input, a plan or an error as JSON on standard output.
 */
#ifndef GE_SOLVERS_PROGRAM_H
#define GE_SOLVERS_PROGRAM_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct solver_program {
    const char *name, *version; /* what --version prints */
    /* From input text to output text; -1 with an error. */
    int (*solve)(const char *text, size_t n, buf *out, err *e);
} solver_program;

/* Exit status: 0 a plan was written; 1 {"error": {code, message, detail, fix}} was written; 2 wrong usage, or standard
 * input or output failed (the reason is on standard error). */
int solver_main(const solver_program *p, int argc, char **argv);

#endif
