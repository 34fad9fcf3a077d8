/* target_databases.c: the connections that a worker is given for its roles. */
#include <stdio.h>
#include <string.h>

#include "run/target_parts.h"

static const json_t *doc(const run_request *r) {
    return r->cfg->doc;
}

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static json_t *embedded_role(const target *t, const char *role) {
    const char *user = strcmp(role, "admin") == 0      ? PG_SUPERUSER
                       : strcmp(role, "operator") == 0 ? "platform_admin"
                                                       : "app_user";
    return json_pack("{s:s, s:i, s:s, s:s}", "host", pg_socket_dir(t->server), "port", pg_port(t->server), "dbname",
                     pg_database(t->server), "user", user);
}

const char *target_scratch_app(const run_request *r) {
    const json_t *app = json_object_get(json_object_get(doc(r), "database"), "app");
    const char *names[] = {str(r->scratch, "app"), str(app, "role"), str(app, "user")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i] != NULL) {
            return names[i];
        }
    }
    return NULL;
}

/* On a scratch copy logins are real and need no password. The owner runs the user's statements, without being a
 * superuser. */
static json_t *scratch_role(const target *t, const run_request *r, const char *role) {
    const char *app = target_scratch_app(r);
    const char *user = strcmp(role, "owner") == 0 ? SCRATCH_OWNER
                       : strcmp(role, "app") == 0 ? app
                                                  : PG_SCRATCH_SUPERUSER;
    return user != NULL ? json_pack("{s:s, s:i, s:s, s:s}", "host", pg_socket_dir(t->server), "port",
                                    pg_port(t->server), "dbname", pg_database(t->server), "user", user)
                        : json_pack("{s:s}", "missing", "database.app.role");
}

/* The connection of a role on an external platform. A role without a login of its own is the admin's login with SET
 * ROLE. */
static json_t *external_role(const json_t *settings, const char *role) {
    const json_t *db = json_object_get(settings, "database");
    json_t *spec = json_object_get(db, role);
    if (spec == NULL) {
        char key[64];
        snprintf(key, sizeof key, "database.%s", role);
        return json_pack("{s:s}", "missing", key);
    }
    json_t *own = json_copy(spec);
    if (str(spec, "url") == NULL && str(spec, "host") == NULL && str(spec, "dbname") == NULL) {
        json_t *admin = json_object_get(db, "admin");
        if (admin == NULL) {
            json_decref(own);
            return json_pack("{s:s}", "missing", "database.admin");
        }
        json_object_update_missing(own, admin);
    }
    return own;
}

json_t *target_databases(const target *t, const run_request *r, const json_t *needs) {
    json_t *out = json_object();
    size_t i;
    json_t *role;
    json_array_foreach(json_object_get(needs, "db"), i, role) {
        const char *name = json_string_value(role);
        json_object_set_new(out, name,
                            t->scratch    ? scratch_role(t, r, name)
                            : t->embedded ? embedded_role(t, name)
                                          : external_role(doc(r), name));
    }
    return out;
}

void target_scratch_tenant(const run_request *r, json_t *database) {
    const json_t *given = json_object_get(database, "tenant");
    if (r->scratch == NULL) {
        return;
    }
    if (json_is_object(given)) {
        json_object_set_new(database, "tenant", json_copy((json_t *)given));
    }
    json_t *own = json_object_get(database, "tenant");
    static const char *const KEYS[] = {"column", "setting"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const json_t *flag = json_object_get(r->scratch, KEYS[i]);
        if (flag != NULL && !json_is_object(own)) {
            own = json_pack("{s:s}", "value", "{id}");
            json_object_set_new(database, "tenant", own);
        }
        if (flag != NULL) {
            json_object_set(own, KEYS[i], (json_t *)flag);
        }
    }
}
