/* options.h: the options a script declares, as values: from flags, from defaults, and to help. */
#ifndef GE_RUN_OPTIONS_H
#define GE_RUN_OPTIONS_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* The flag of an option: "--forecast-id" for forecast_id. Into out. */
void options_flag(const char *name, buf *out);

/* Turns a flag's text into a value of the option's type. New reference, or NULL with *e: usage_option_value, naming
 * flag, what was expected and what was found. Paths and audits stay strings (options_resolve). */
json_t *options_parse(const char *name, const json_t *spec, const char *text, err *e);

/* Does a default fit its own declaration? 0, or -1 with what was expected appended to `expected`. */
int options_default_fits(const json_t *spec, const json_t *value, buf *expected);

/* What an option is where its flag is not given: what default_by says for the values of other options, else default;
 * NULL where it has none. options: of a head; values: name → value of those that are given. Borrowed. */
const json_t *options_default(const json_t *options, const json_t *spec, const json_t *values);

/* Values for a head: given (name → value or list, may hold names of other gates), else default; paths and audits
 * resolved to
 * {"path": absolute, "access": "read"|"write"}. New reference, or NULL with *e: usage_option_missing, usage_path. */
json_t *options_resolve(const json_t *head, const json_t *given, err *e);

/* Appends the help lines of the options in `options` (as in a head). */
void options_help(const json_t *options, buf *out);

#endif
