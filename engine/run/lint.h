/* lint.h: what can be seen wrong with a script without running it (`check`, on top of what head.h says of its head).
 *
 * The source is read as tokens with the scopes of its names. The context is followed through parameters, locals,
 * functions of the script and modules beside it; what goes further (into tables, results of calls) is not: then nothing
 * is said, rather than something false. */
#ifndef GE_RUN_LINT_H
#define GE_RUN_LINT_H

#include <jansson.h>

#include "base/err.h"

/* Appends to `findings` what is wrong with a script and the modules beside it, in order of lines: {"line", "message",
 * "fix"|null, "code", "note", "file"|null (the script itself)}. Notes make nothing fail: what is declared and not used,
 * a gate without recover. raw is the loader's, head checked. Returns 0, or -1 (out_of_memory). Codes:
 * lint_not_declared, lint_failure, lint_option, lint_context, lint_global, lint_module, lint_no_check, lint_recover,
 * and of notes lint_unused, lint_no_recover, lint_no_step, lint_twice. */
int lint_script(const json_t *raw, const json_t *head, json_t *findings, err *e);
/* The part of it that needs no head that is right: globals and modules. */
int lint_source(const json_t *raw, json_t *findings, err *e);

/* What luacheck (the tool, where it is installed; found in PATH) says of a file, as notes of code lint_luacheck: the
 * same script must not pass on one machine and fail on another. Returns 0, also without luacheck, or -1 where it did
 * not answer as it should. Source: luacheck's "plain" formatter, "FILE:LINE:COLUMN: message". */
int lint_luacheck(const char *path, json_t *findings, err *e);

#endif
