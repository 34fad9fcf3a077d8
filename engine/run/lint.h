/* lint.h: what can be seen wrong with a script without running it (`check`, on top of what head.h says of its head).
 *
 * The source is read as tokens, not as a program: what is found is what stands there in so many words. A capability
 * that is reached through another variable is not followed; then nothing is said, rather than something false. */
#ifndef GE_RUN_LINT_H
#define GE_RUN_LINT_H

#include <jansson.h>

#include "base/err.h"

/* Appends to `findings` what is wrong with a script, in order of lines: {"line", "message", "fix"|null, "code",
 * "note"}. Notes make nothing fail: what is declared and not used, a gate without recover. raw is the loader's, head
 * checked. Returns 0, or -1 (out_of_memory). Codes: lint_not_declared, lint_failure, lint_option, lint_context,
 * lint_global, and of notes lint_unused, lint_no_recover. */
int lint_script(const json_t *raw, const json_t *head, json_t *findings, err *e);

/* What luacheck (the tool, where it is installed; found in PATH) says of a file, as notes of code lint_luacheck: the
 * same script must not pass on one machine and fail on another. Returns 0, also without luacheck, or -1 where it did
 * not answer as it should. Source: luacheck's "plain" formatter, "FILE:LINE:COLUMN: message". */
int lint_luacheck(const char *path, json_t *findings, err *e);

#endif
