/* config.h: gate-engine.conf.lua, found, validated and completed (design §4). */
#ifndef GE_RUN_CONFIG_H
#define GE_RUN_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "run/schema.h"

typedef struct config {
    char *path;   /* owned; the file it came from, absolute; NULL: there is none and the embedded platform serves */
    json_t *doc;  /* owned; validated, defaults filled, environment fallbacks applied. doc.platform is "embedded" or
                     "external" */
    bool by_flag; /* --config named it */
    bool platform_stated; /* the file says `platform` itself */
} config;

/* Finds, evaluates (in a contained child) and validates the configuration: flag_path (may be NULL), else
 * $GATE_ENGINE_CONFIG, else ./gate-engine.conf.lua, else the XDG configuration directory's
 * gate-engine/gate-engine.conf.lua, else none.
 *
 * scratch: the run brings its own database. Then nothing has to say which one is meant, none of PG* counts, and nothing
 * of the embedded platform is filled in.
 *
 * Registers every secret with log_add_secret. Relative paths in the document are made absolute, from the file's
 * directory. libpq's variables (PG*) are taken out of the environment where they could bend a connection: all of them
 * for the embedded platform, PGHOSTADDR, PGSERVICE and PGOPTIONS for an external one.
 * Errors: config_missing, config_wrong_target (a database in the environment and no stated platform), the loader's, the
 * schema's. */
int config_load(const char *flag_path, bool scratch, config **out, err *e);
/* The file that config_load would read: new memory, or NULL where there is none (or it cannot be told). */
char *config_find(const char *flag_path);
void config_free(config *c);

/* Registers the secrets of the environment with log_add_secret. config_load does it too; for what is printed before. */
void config_secrets_env(void);

/* Registers the secrets of a document that did not come from a file. */
void config_secrets_known(const json_t *doc);

/* SHA-256 of the canonical form of what bears on the gates: all but secrets and the keys about what happens to a
 * verdict (evidence, mail, tickets, webhooks, status_file). */
int config_hash(const json_t *doc, char hex[65], err *e);

/* The schema of the file, for documentation. */
const schema_spec *config_schema(void);

/* Is it a parameter of PostgreSQL which a session may make up: two or more names joined by dots (guc.c,
 * valid_custom_variable_name)? */
bool config_is_setting(const char *s);

#endif
