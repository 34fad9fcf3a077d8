/* record_place.h: where the recorder passes statements on to, where it waits for clients, and what a recorded command
 * is told of both. */
#ifndef GE_RUN_RECORD_PLACE_H
#define GE_RUN_RECORD_PLACE_H

#include <jansson.h>

#include "base/err.h"

/* A connection of the configuration ({"url"} or {"host", "port", …}) as the recorder takes it:
 *   {"host", "port", "user"?, "password"?, "dbname"?, "sslmode"?, "sslrootcert"?, "scheme", "rest"}
 * rest: the URL's other parameters, as they stood there. New reference, or NULL with *e: record_target. */
json_t *record_upstream(const json_t *connection, err *e);

/* "--listen" (NULL: a free port of 127.0.0.1): {"host", "port"} or {"path", "dir", "port"}. New reference, or NULL with
 * *e: record_listen. */
json_t *record_listen(const char *text, err *e);

/* The environment of a recorded command: this process's own, with PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD,
 * PGSSLMODE and DATABASE_URL saying that the database is where the recorder is. A NULL-ended list in fresh memory,
 * freed by record_environment_free; NULL out of memory. */
char **record_environment(const json_t *upstream, const json_t *listen, int port);
void record_environment_free(char **env);

#endif
