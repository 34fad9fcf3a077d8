/* status_file.h: tenant-status.json, {"tenants": {CODE: {…}}, "last_updated": RFC 3339}: what a platform's people and
 * programs read to see which tenant is where. It follows from the database and decides nothing.
 *
 * Errors: status_file_form (what is there is not such a file: it is left alone), file_locked, those of base/fs.h. */
#ifndef GE_RUN_STATUS_FILE_H
#define GE_RUN_STATUS_FILE_H

#include <jansson.h>

#include "base/err.h"

/* Puts these keys into a tenant's entry, making it where it is missing, and replaces the file atomically; other tenants
 * and other keys stay. Writers take turns at FILE.lock. */
int status_file_update(const char *path, const char *code, const json_t *keys, err *e);

#endif
