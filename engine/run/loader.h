/* loader.h: reading a script's head or a configuration is running foreign code, so it is done in a contained child,
 * which returns bounded data. */
#ifndef GE_RUN_LOADER_H
#define GE_RUN_LOADER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "run/sha256.h"

/* Runs a script's chunk and gives what it says of itself: {"path": absolute, "sha256": hex, "source": text, "head": {…,
 * functions as
 * {"$function": line}}, "modules": [{"name", "path", "sha256"}]}; *raw is a new reference. Errors: script_missing,
 * script_syntax, script_error, script_memory, script_timeout, script_crash. stdlib_dir NULL = the installed one. */
int loader_head(const char *path, const char *stdlib_dir, json_t **raw, err *e);

/* Evaluates a configuration with nothing but env "NAME" and file "PATH": {"value": {…}, "source": text}. Errors:
 * config_missing, config_syntax, config_env (a variable is not set), config_file, config_error, config_timeout. */
int loader_config(const char *path, json_t **raw, err *e);

/* Are the installed stdlib, gates, scripts, modules and programs the ones this program was built with? *differing is a
 * new array of relative paths that are changed, missing or added; empty = all as built. */
int loader_integrity(json_t **differing, err *e);
/* SHA-256 over the hashes of all that this program was built with: what two runs of the same build have in common. */
int loader_build(char hex[SHA256_HEX_SIZE], err *e);
/* Is this the hash of that built-in file ("gates/rls_harness.lua")? */
bool loader_is_built_in(const char *relative, const char *sha256);

#endif
