/* config_env.c: the usual names of the environment: what they say, what they fill in, and which of them are secret. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "run/config.h"
#include "run/config_parts.h"

static const char *env(const char *name) {
    const char *v = getenv(name);
    return v != NULL && *v != '\0' ? v : NULL;
}

/* Those of libpq's variables that decide which server or who logs in (PostgreSQL manual, "Environment Variables" of
 * libpq). */
static const char *const target_names[] = {"DATABASE_URL", "PGHOST",     "PGHOSTADDR", "PGPORT",        "PGDATABASE",
                                           "PGUSER",       "PGPASSWORD", "PGSERVICE",  "PGSERVICEFILE", "PGPASSFILE"};

const char *config_env_target(void) {
    for (size_t i = 0; i < sizeof target_names / sizeof *target_names; i++) {
        if (env(target_names[i]) != NULL) {
            return target_names[i];
        }
    }
    return NULL;
}

/* These bend a connection whose server is spelt out: an address beside its host, a service's address and options,
 * settings. */
static bool bends_target(const char *name) {
    return strcmp(name, "PGHOSTADDR") == 0 || strcmp(name, "PGSERVICE") == 0 || strcmp(name, "PGOPTIONS") == 0;
}

void config_env_isolate(bool embedded) {
    extern char **environ;
    for (char **at = environ; at != NULL && *at != NULL;) {
        char name[64];
        size_t n = strcspn(*at, "=");
        n = n < sizeof name ? n : sizeof name - 1;
        memcpy(name, *at, n);
        name[n] = '\0';
        if (strncmp(name, "PG", 2) == 0 && (embedded || bends_target(name)) && unsetenv(name) == 0) {
            continue; /* the rest moved up: the same place holds the next one */
        }
        at++;
    }
}

/* ---- filling in ---- */

static int fill(json_t *table, const char *key, const char *name) {
    const char *v = env(name);
    if (v == NULL || json_object_get(table, key) != NULL) {
        return 0;
    }
    return json_object_set_new(table, key, json_string(v));
}

/* table[key] as a table, made when it is missing. NULL when it is something else (the schema will say so) or out of
 * memory. */
static json_t *subtable(json_t *table, const char *key) {
    json_t *sub = json_object_get(table, key);
    if (sub == NULL) {
        sub = json_object();
        if (json_object_set_new(table, key, sub) != 0) {
            return NULL;
        }
    }
    return json_is_object(sub) ? sub : NULL;
}

static int fill_port(json_t *connection) {
    const char *v = env("PGPORT");
    if (v == NULL || json_object_get(connection, "port") != NULL) {
        return 0;
    }
    char *end;
    errno = 0;
    long port = strtol(v, &end, 10);
    /* What is no number goes in as it is: the schema's message then names key and value. */
    return json_object_set_new(connection, "port", *end == '\0' && errno == 0 ? json_integer(port) : json_string(v));
}

static int fill_connection(json_t *connection) {
    if (json_object_get(connection, "url") != NULL) {
        return 0;
    }
    static const char *const pairs[][2] = {{"host", "PGHOSTADDR"},
                                           {"host", "PGHOST"},
                                           {"dbname", "PGDATABASE"},
                                           {"user", "PGUSER"},
                                           {"password", "PGPASSWORD"}};
    int rc = fill_port(connection);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        rc |= fill(connection, pairs[i][0], pairs[i][1]);
    }
    return rc;
}

/* PGSERVICE names a section of a service file that says the rest: only a connection that says nothing itself can mean
 * it. */
static int fill_service(json_t *connection) {
    const char *service = env("PGSERVICE");
    if (service == NULL || json_object_size(connection) > 0) {
        return 0;
    }
    buf url = BUF_INIT;
    buf_puts(&url, "postgresql:///?service=");
    for (const char *c = service; *c != '\0'; c++) {
        buf_printf(&url, isalnum((unsigned char)*c) ? "%c" : "%%%02X", (unsigned char)*c);
    }
    int rc = json_object_set_new(connection, "url", json_string(buf_str(&url)));
    buf_free(&url);
    return rc;
}

static bool has_server(const json_t *connection) {
    return json_object_get(connection, "url") != NULL || json_object_get(connection, "host") != NULL ||
           json_object_get(connection, "dbname") != NULL || json_object_get(connection, "user") != NULL;
}

/* DATABASE_URL is the application's; PG* is the admin's, and completes logins that are spelt out in parts. */
static int fill_database(json_t *raw) {
    json_t *database = subtable(raw, "database");
    if (database == NULL) {
        return 0;
    }
    int rc = 0;
    json_t *app = json_object_get(database, "app");
    if (env("DATABASE_URL") != NULL && !has_server(app)) {
        app = subtable(database, "app");
        rc |= app != NULL ? fill(app, "url", "DATABASE_URL") : 0;
    }
    static const char *const logins[] = {"PGHOST", "PGHOSTADDR", "PGDATABASE", "PGUSER", "PGSERVICE"};
    bool offered = false;
    for (size_t i = 0; i < sizeof logins / sizeof *logins; i++) {
        offered = offered || env(logins[i]) != NULL;
    }
    json_t *admin = json_object_get(database, "admin");
    if (offered || admin != NULL) {
        admin = subtable(database, "admin");
        rc |= json_is_object(admin) ? fill_service(admin) | fill_connection(admin) : 0;
    }
    if (json_is_object(app) && has_server(app)) {
        rc |= fill_connection(app);
    }
    json_t *operator= json_object_get(database, "operator");
    if (json_is_object(operator) && has_server(operator)) {
        rc |= fill_connection(operator);
    }
    return rc;
}

static int fill_artifacts(json_t *artifacts) {
    const char *kind = json_string_value(json_object_get(artifacts, "kind"));
    int rc = 0;
    if (kind != NULL && strcmp(kind, "s3") == 0) {
        rc |= fill(artifacts, "access_key_id", "AWS_ACCESS_KEY_ID");
        rc |= fill(artifacts, "secret_access_key", "AWS_SECRET_ACCESS_KEY");
        rc |= fill(artifacts, "session_token", "AWS_SESSION_TOKEN");
        rc |= fill(artifacts, "region", "AWS_REGION");
        rc |= fill(artifacts, "region", "AWS_DEFAULT_REGION");
        rc |= fill(artifacts, "endpoint", "AWS_ENDPOINT_URL");
    } else if (kind != NULL && strcmp(kind, "azure") == 0) {
        rc |= fill(artifacts, "account", "AZURE_STORAGE_ACCOUNT");
        if (json_object_get(artifacts, "key") == NULL && json_object_get(artifacts, "sas") == NULL) {
            bool key = env("AZURE_STORAGE_KEY") != NULL;
            rc |= key ? fill(artifacts, "key", "AZURE_STORAGE_KEY") : fill(artifacts, "sas", "AZURE_STORAGE_SAS_TOKEN");
        }
    }
    return rc;
}

static int fill_auth(json_t *raw) {
    json_t *auth = subtable(raw, "auth");
    if (auth == NULL) {
        return 0;
    }
    bool stated = json_object_get(auth, "entra") != NULL;
    bool offered = json_object_size(auth) == 0 && env("ENTRA_TENANT_ID") != NULL && env("ENTRA_CLIENT_ID") != NULL;
    json_t *entra = stated || offered ? subtable(auth, "entra") : NULL;
    if (entra == NULL) {
        return 0;
    }
    return fill(entra, "tenant", "ENTRA_TENANT_ID") | fill(entra, "client_id", "ENTRA_CLIENT_ID") |
           fill(entra, "client_secret", "ENTRA_CLIENT_SECRET") | fill(entra, "audience", "ENTRA_AUDIENCE");
}

/* table[key].url from the environment, where table[key] is missing or a table without url. */
static int fill_url(json_t *table, const char *key, const char *name) {
    json_t *sub = table != NULL && env(name) != NULL ? subtable(table, key) : NULL;
    return sub != NULL ? fill(sub, "url", name) : 0;
}

int config_env_fill(json_t *raw, err *e) {
    const char *platform = json_string_value(json_object_get(raw, "platform"));
    int rc = 0;
    if (platform != NULL && strcmp(platform, "external") == 0) {
        rc |= fill_database(raw);
        rc |= fill_auth(raw);
    }
    if (platform != NULL) {
        rc |= fill_url(env("OSRM_URL") != NULL ? subtable(raw, "endpoints") : NULL, "osrm", "OSRM_URL");
        rc |= fill_url(raw, "mail", "SMTP_URL");
        json_t *artifacts = json_object_get(raw, "artifacts");
        rc |= json_is_object(artifacts) ? fill_artifacts(artifacts) : 0;
    }
    return rc == 0 ? 0 : err_set(e, "config_env", "a value taken from the environment is not UTF-8, or memory ran out");
}

/* ---- secrets ---- */

static int hex(char c) {
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Registers text as it stands, and decoded where it is percent-encoded (RFC 3986 section 2.1). */
static void add_encoded(const char *s, size_t n) {
    log_add_secret(s, n);
    buf plain = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        bool coded = s[i] == '%' && i + 2 < n && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0;
        buf_putc(&plain, coded ? (char)(hex(s[i + 1]) * 16 + hex(s[i + 2])) : s[i]);
        i += coded ? 2 : 0;
    }
    log_add_secret(buf_str(&plain), plain.len);
    buf_free(&plain);
}

/* The password of user:password@host, and values of query parameters whose name says so. */
static void add_url(const char *url) {
    const char *start = strstr(url, "://");
    if (start == NULL) {
        return;
    }
    start += 3;
    size_t authority = strcspn(start, "/?#");
    const char *at = memrchr(start, '@', authority);
    if (at == NULL) {
        /* A password with an unescaped slash moves the end of the authority; rather mask too much. */
        at = strchr(start, '@');
    }
    const char *colon = at != NULL ? memchr(start, ':', (size_t)(at - start)) : NULL;
    if (colon != NULL) {
        add_encoded(colon + 1, (size_t)(at - colon - 1));
    }
    static const char *const names[] = {"password=", "sslpassword=", "token=", "key=", "secret=", "sig="};
    for (const char *p = strchr(start, '?'); p != NULL; p = strchr(p, '&')) {
        p++;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            size_t n = strlen(names[i]);
            if (strncasecmp(p, names[i], n) == 0) {
                add_encoded(p + n, strcspn(p + n, "&#"));
            }
        }
    }
}

void config_secrets_env(void) {
    static const char *const whole[] = {
        "PGPASSWORD",          "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AZURE_STORAGE_KEY",   "AZURE_CLIENT_SECRET",   "AZURE_STORAGE_SAS_TOKEN",
        "ENTRA_CLIENT_SECRET", "PLATFORM_API_KEY",      "AZURE_STORAGE_CONNECTION_STRING"};
    static const char *const urls[] = {"DATABASE_URL", "OSRM_URL",  "SMTP_URL",   "AWS_ENDPOINT_URL", "HTTP_PROXY",
                                       "HTTPS_PROXY",  "ALL_PROXY", "http_proxy", "https_proxy",      "all_proxy"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        const char *v = env(whole[i]);
        if (v != NULL) {
            log_add_secret(v, strlen(v));
        }
    }
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const char *v = env(urls[i]);
        if (v != NULL) {
            add_url(v);
        }
    }
}

static void found(const schema_spec *spec, const char *value) {
    if (spec->secret == SCHEMA_SECRET) {
        log_add_secret(value, strlen(value));
    } else if (spec->secret == SCHEMA_SECRET_URL) {
        add_url(value);
    }
}

static bool name_is_secret(const char *name) {
    static const char *const parts[] = {"key", "secret", "token", "pass", "auth", "cookie", "credential", "signature"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcasestr(name, parts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Free-form tables (headers, environments) mix secrets with common text: their names tell. */
static void add_named(const json_t *tables, const char *part) {
    const char *name, *key;
    json_t *table, *value;
    json_object_foreach((json_t *)tables, name, table) {
        json_object_foreach(json_object_get(table, part), key, value) {
            if (json_is_string(value) && name_is_secret(key)) {
                log_add_secret(json_string_value(value), json_string_length(value));
            }
        }
    }
}

void config_secrets_known(const json_t *doc) {
    config_secrets_doc(doc);
}

void config_secrets_doc(const json_t *raw) {
    schema_secrets(config_schema(), raw, found);
    add_named(json_object_get(raw, "endpoints"), "headers");
    add_named(json_object_get(raw, "commands"), "env");
    json_t *solver = json_pack("{s:O*}", "solver", json_object_get(raw, "solver"));
    add_named(solver, "env");
    json_decref(solver);
}
