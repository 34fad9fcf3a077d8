/* integrity.h: is what runs what this program was built with, and did it stay so while it ran? Only then a run
 * approves. */
#ifndef GE_RUN_INTEGRITY_H
#define GE_RUN_INTEGRITY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/paths.h"

/* Appends the place, size and times of every installed file (stdlib, gates, scripts, modules, programs). A file that
 * is changed, replaced or put back has another status change time (stat(2), st_ctim), which nobody can set back: two
 * stamps that are equal say that nothing was changed between them. 0 / -1 with *e. */
int integrity_stamp(const paths *tree, buf *out, err *e);
/* A name of the environment that makes the dynamic linker load what this program was not built with (ld.so(8)), or
 * NULL. */
const char *integrity_preload(void);

#endif
