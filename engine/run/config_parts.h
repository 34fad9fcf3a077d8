/* config_parts.h: the steps of config_load, apart so that each stays small. Private to config*.c. */
#ifndef GE_RUN_CONFIG_PARTS_H
#define GE_RUN_CONFIG_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "run/schema.h"

/* The first environment variable that names a database (DATABASE_URL, PGHOST, …), or NULL. */
const char *config_env_target(void);
/* Fills what `raw` leaves out from the usual environment variables. Only for a configuration that states its platform.
 * 0 / -1 (memory). */
int config_env_fill(json_t *raw, err *e);
/* Takes libpq's variables out of the environment: all of them for the embedded platform; for an external one those that
 * would bend a connection which is spelt out (what they said was filled in before). The others keep working by
 * themselves. */
void config_env_isolate(bool embedded);
/* Registers the secrets of a (not yet checked) document. */
void config_secrets_doc(const json_t *raw);
/* Rules between keys, on a document that fits the schema: what is named exists, what is needed is there. */
int config_rules(const json_t *doc, const schema_source *src, err *e);
/* Makes relative paths absolute from the file's directory and expands `audits`. */
int config_paths(json_t *doc, const char *dir, const schema_source *src, err *e);

/* An identifier of PostgreSQL; SCHEMA.NAME, and SCHEMA.NAME(TYPES), parts of which may be in double quotes. */
bool config_is_identifier(const char *s);
bool config_is_relation(const char *s);
bool config_is_routine(const char *s);

#endif
