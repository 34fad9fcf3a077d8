/* target_services.c: where the services are that a configuration names, without a credential, and which variables of
 * the environment say so: what a recovery writes commands with. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "run/target_parts.h"

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* A URL without password and query; with its user, where one belongs into the command. */
static json_t *without_secrets(const char *url, bool user) {
    const char *start = url != NULL ? strstr(url, "://") : NULL;
    if (start == NULL) {
        return NULL;
    }
    start += 3;
    size_t end = strcspn(start, "?#");
    size_t authority = strcspn(start, "/?#");
    const char *at = memrchr(start, '@', authority);
    if (at == NULL && memchr(start, '@', end) != NULL) {
        return NULL; /* a password with a slash that is not encoded: where it ends nobody can say */
    }
    const char *host = at != NULL ? at + 1 : start;
    size_t name = at != NULL && user ? strcspn(start, ":@") : 0;
    return json_sprintf("%.*s%.*s%s%.*s", (int)(start - url), url, (int)name, start, name > 0 ? "@" : "",
                        (int)(start + end - host), host);
}

/* What a database's URL says after its "?" of where and how, which is no secret: without its host a command is of
 * another server. Names that are written in another way are left out, as all that is not known. */
static void add_parameters(buf *out, const char *url) {
    static const char *const KEYS[] = {"host",    "hostaddr",    "port",    "dbname",
                                       "user",    "sslmode",     "service", "target_session_attrs",
                                       "sslcert", "sslrootcert", NULL};
    const char *at = strchr(url, '?');
    char mark = '?';
    while (at != NULL && *at != '\0' && *at != '#') {
        at++;
        size_t n = strcspn(at, "&#"), key = strcspn(at, "=&#");
        for (size_t i = 0; KEYS[i] != NULL; i++) {
            if (strlen(KEYS[i]) == key && strncmp(at, KEYS[i], key) == 0) {
                buf_printf(out, "%c%.*s", mark, (int)n, at);
                mark = '&';
            }
        }
        at += n;
    }
}

static json_t *database_url(const char *url) {
    json_t *bare = without_secrets(url, true), *whole = NULL;
    buf out = BUF_INIT;
    if (bare != NULL) {
        buf_puts(&out, json_string_value(bare));
        add_parameters(&out, url);
        whole = json_string(buf_str(&out));
    }
    json_decref(bare);
    buf_free(&out);
    return whole;
}

static json_t *database_of(const json_t *spec) {
    if (str(spec, "url") != NULL) {
        json_t *url = database_url(str(spec, "url"));
        return url != NULL ? json_pack("{s:o}", "url", url) : NULL;
    }
    static const char *const KEYS[] = {"host", "port", "dbname", "user", NULL};
    json_t *out = json_object();
    for (size_t i = 0; KEYS[i] != NULL; i++) {
        json_t *value = json_object_get(spec, KEYS[i]);
        if (value != NULL) {
            json_object_set(out, KEYS[i], value);
        }
    }
    return out;
}

static json_t *store_of(const target *t, const json_t *spec) {
    static const char *const KEYS[] = {"bucket", "container", "account", "region", "path", NULL};
    json_t *out = json_pack("{s:s}", "kind", str(spec, "kind") != NULL ? str(spec, "kind") : "local");
    for (size_t i = 0; KEYS[i] != NULL; i++) {
        json_t *value = json_object_get(spec, KEYS[i]);
        if (value != NULL) {
            json_object_set(out, KEYS[i], value);
        }
    }
    json_t *place = target_store_place(spec, str(t->tenant, "code"));
    if (place != NULL) {
        json_object_set(out, "url", json_object_get(place, "url"));
        json_object_set(out, "prefix", json_object_get(place, "prefix"));
    } else if (str(spec, "path") == NULL && t->artifacts != NULL) {
        json_object_set_new(out, "path", json_string(t->artifacts));
    }
    json_t *endpoint = without_secrets(str(spec, "endpoint"), false);
    if (endpoint != NULL) {
        json_object_set_new(out, "endpoint", endpoint);
    }
    json_decref(place);
    return out;
}

/* Names alone, and whether they are set: no value goes to a script. */
static json_t *environment(const json_t *settings) {
    static const char *const NAMES[] = {"PLATFORM_URL",
                                        "PLATFORM_API_KEY",
                                        "ENTRA_TENANT_ID",
                                        "ENTRA_CLIENT_ID",
                                        "ENTRA_CLIENT_SECRET",
                                        "ENTRA_AUDIENCE",
                                        "AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_REGION",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_ENDPOINT_URL",
                                        "AZURE_STORAGE_ACCOUNT",
                                        "AZURE_STORAGE_KEY",
                                        "AZURE_STORAGE_SAS_TOKEN",
                                        "OSRM_URL",
                                        "DATABASE_URL",
                                        "PGHOST",
                                        "PGPORT",
                                        "PGUSER",
                                        "PGDATABASE",
                                        "PGPASSWORD",
                                        "SMTP_URL",
                                        "http_proxy",
                                        "https_proxy",
                                        "HTTPS_PROXY",
                                        "all_proxy",
                                        "ALL_PROXY",
                                        "no_proxy",
                                        "NO_PROXY",
                                        NULL};
    json_t *out = json_object();
    for (size_t i = 0; NAMES[i] != NULL; i++) {
        const char *v = getenv(NAMES[i]);
        json_object_set_new(out, NAMES[i], json_boolean(v != NULL && v[0] != '\0'));
    }
    json_t *key = target_key_variable(json_object_get(json_object_get(settings, "auth"), "api_key"));
    const char *name = json_string_value(key), *value = name != NULL ? getenv(name) : NULL;
    if (name != NULL) {
        json_object_set_new(out, name, json_boolean(value != NULL && value[0] != '\0'));
    }
    json_decref(key);
    return out;
}

json_t *target_key_variable(const json_t *key) {
    extern char **environ;
    static const char USUAL[] = "PLATFORM_API_KEY";
    const char *value = str(key, "value"), *usual = getenv(USUAL);
    bool known = value == NULL || value[0] == '\0' || (usual != NULL && strcmp(usual, value) == 0);
    for (char **at = environ; !known && at != NULL && *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        if (equals != NULL && strcmp(equals + 1, value) == 0) {
            return json_stringn(*at, (size_t)(equals - *at));
        }
    }
    return json_string(USUAL);
}

json_t *target_services(const target *t, const run_request *r) {
    const json_t *settings = r->cfg->doc;
    json_t *endpoints = json_object(), *databases = json_object(), *spec;
    const char *name;
    json_object_foreach(json_object_get(settings, "endpoints"), name, spec) {
        json_t *url = without_secrets(str(spec, "url"), false);
        if (url != NULL) {
            json_object_set_new(endpoints, name,
                                json_pack("{s:o, s:O*}", "url", url, "auth", json_object_get(spec, "auth")));
        }
    }
    static const char *const ROLES[] = {"admin", "app", "operator", NULL};
    for (size_t i = 0; ROLES[i] != NULL; i++) {
        spec = json_object_get(json_object_get(settings, "database"), ROLES[i]);
        json_t *database = spec != NULL ? database_of(spec) : NULL;
        if (database != NULL) {
            json_object_set_new(databases, ROLES[i], database);
        }
    }
    const json_t *entra = json_object_get(json_object_get(settings, "auth"), "entra");
    return json_pack("{s:o, s:o, s:o, s:o*, s:o*, s:o}", "endpoints", endpoints, "databases", databases, "store",
                     store_of(t, json_object_get(settings, "artifacts")), "entra",
                     entra != NULL
                         ? json_pack("{s:o*, s:O*, s:O*}", "url", without_secrets(str(entra, "authority"), false),
                                     "tenant", json_object_get(entra, "tenant"), "client_id",
                                     json_object_get(entra, "client_id"))
                         : NULL,
                     "mail", without_secrets(str(json_object_get(settings, "mail"), "url"), false), "environment",
                     environment(settings));
}
