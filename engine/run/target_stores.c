/* target_stores.c: what the stores of a job are opened with: directories, files, and services behind HTTP with the
 * credentials that no script sees. */
#include <string.h>

#include "base/buf.h"
#include "run/target_parts.h"

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* The file of locked travel times, to be read and compared with its pin. */
static json_t *matrix_store(const json_t *settings) {
    const char *path = str(json_object_get(json_object_get(settings, "packs"), "routing"), "matrix");
    return path != NULL ? json_pack("{s:s, s:s, s:b}", "kind", "file", "path", path, "readonly", 1)
                        : json_pack("{s:s}", "missing", "packs.routing.matrix");
}

/* The CSV file of support tickets. */
static json_t *tickets_store(const json_t *settings) {
    const char *path = str(json_object_get(settings, "tickets"), "file");
    return path != NULL ? json_pack("{s:s, s:s, s:b}", "kind", "file", "path", path, "readonly", 1)
                        : json_pack("{s:s}", "missing", "tickets.file");
}

/* ---- services ---- */

/* Appends text, each "{tenant}" of it replaced by the code. */
static void expand(buf *out, const char *text, const char *code) {
    static const char MARK[] = TARGET_TENANT_MARK;
    for (const char *at; (at = strstr(text, MARK)) != NULL; text = at + sizeof MARK - 1) {
        buf_append(out, text, (size_t)(at - text));
        buf_puts(out, code);
    }
    buf_puts(out, text);
}

/* An origin with the bucket before its host, or behind it. */
static void bucket_url(buf *out, const char *origin, const char *bucket, bool in_host, const char *code) {
    size_t scheme = strcspn(origin, "/");
    size_t n = strlen(origin);
    while (n > 0 && origin[n - 1] == '/') {
        n--;
    }
    if (in_host) {
        buf_printf(out, "%.*s//", (int)scheme, origin);
        expand(out, bucket, code);
        buf_printf(out, ".%.*s", (int)(n - scheme - 2), origin + scheme + 2);
    } else {
        buf_printf(out, "%.*s/", (int)n, origin);
        expand(out, bucket, code);
    }
}

static void origin_of(buf *out, const json_t *spec, bool s3) {
    if (str(spec, "endpoint") != NULL) {
        buf_puts(out, str(spec, "endpoint"));
    } else if (s3) {
        buf_printf(out, "https://s3.%s.amazonaws.com", str(spec, "region"));
    } else {
        buf_printf(out, "https://%s.blob.core.windows.net", str(spec, "account"));
    }
}

/* {url, prefix, tenant}: where the objects of a tenant are. */
static json_t *place_of(const json_t *spec, const char *code) {
    bool s3 = strcmp(str(spec, "kind"), "s3") == 0;
    const char *addressing = str(spec, "addressing");
    bool in_host = s3 && (addressing != NULL ? strcmp(addressing, "virtual") == 0 : str(spec, "endpoint") == NULL);
    buf origin = BUF_INIT, url = BUF_INIT, prefix = BUF_INIT;
    origin_of(&origin, spec, s3);
    bucket_url(&url, buf_str(&origin), str(spec, s3 ? "bucket" : "container"), in_host, code);
    expand(&prefix, str(spec, "prefix") != NULL ? str(spec, "prefix") : "", code);
    json_t *out = origin.failed || url.failed || prefix.failed
                      ? NULL
                      : json_pack("{s:s, s:s, s:s}", "url", buf_str(&url), "prefix", buf_str(&prefix), "tenant", code);
    buf_free(&origin);
    buf_free(&url);
    buf_free(&prefix);
    return out;
}

json_t *target_store_place(const json_t *spec, const char *code) {
    const char *kind = str(spec, "kind");
    return kind != NULL && strcmp(kind, "local") != 0 ? place_of(spec, code) : NULL;
}

static json_t *sign_of(const json_t *spec) {
    if (strcmp(str(spec, "kind"), "s3") == 0) {
        return json_pack("{s:{s:O, s:O, s:O*, s:O}}", "sigv4", "access_key_id", json_object_get(spec, "access_key_id"),
                         "secret_access_key", json_object_get(spec, "secret_access_key"), "session_token",
                         json_object_get(spec, "session_token"), "region", json_object_get(spec, "region"));
    }
    if (json_object_get(spec, "sas") != NULL) {
        return json_pack("{s:O}", "azure_sas", json_object_get(spec, "sas"));
    }
    return json_pack("{s:{s:O, s:O}}", "azure_key", "account", json_object_get(spec, "account"), "key",
                     json_object_get(spec, "key"));
}

static json_t *service_store(const json_t *spec, const char *code) {
    const char *other = str(spec, "other_tenant");
    json_t *place = place_of(spec, code);
    json_t *elsewhere = other != NULL && strcmp(other, code) != 0 ? place_of(spec, other) : NULL;
    return json_pack("{s:O, s:o, s:o, s:o*, s:O*, s:O*, s:o*, s:O*}", "kind", json_object_get(spec, "kind"), "sign",
                     sign_of(spec), "place", place, "elsewhere", elsewhere, "other_tenant",
                     json_object_get(spec, "other_tenant"), "ca_file", json_object_get(spec, "ca_file"), "proxy",
                     target_proxy(spec, str(place, "url")), "timeout_s", json_object_get(spec, "timeout_s"));
}

void target_store_urls(const json_t *settings, const char *code, void (*take)(void *user, const char *url),
                       void *user) {
    const json_t *spec = json_object_get(settings, "artifacts");
    const char *kind = str(spec, "kind");
    if (kind == NULL || strcmp(kind, "local") == 0) {
        return;
    }
    const char *const codes[] = {code, str(spec, "other_tenant")};
    for (size_t i = 0; i < 2; i++) {
        json_t *place = codes[i] != NULL ? place_of(spec, codes[i]) : NULL;
        if (place != NULL) {
            json_t *proxy = target_proxy(spec, str(place, "url"));
            take(user, str(place, "url"));
            take(user, json_string_value(proxy));
            json_decref(proxy);
        }
        json_decref(place);
    }
}

json_t *target_stores(const target *t, const run_request *r, const json_t *needs) {
    const json_t *settings = r->cfg->doc;
    json_t *out = json_object();
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(needs, "stores"), i, name) {
        const json_t *spec = json_object_get(settings, json_string_value(name));
        const char *kind = str(spec, "kind");
        json_t *entry = NULL;
        if (strcmp(json_string_value(name), "matrix") == 0) {
            entry = matrix_store(settings);
        } else if (strcmp(json_string_value(name), "tickets") == 0) {
            entry = tickets_store(settings);
        } else if (kind != NULL && strcmp(kind, "local") == 0) {
            const char *path = str(spec, "path") != NULL ? str(spec, "path") : t->artifacts;
            entry = path != NULL ? json_pack("{s:s, s:s, s:b}", "kind", "local", "path", path, "create", 1) : NULL;
        } else if (kind != NULL) {
            entry = service_store(spec, str(t->tenant, "code"));
        }
        json_object_set_new(out, json_string_value(name), entry != NULL ? entry : json_pack("{s:O}", "missing", name));
    }
    return out;
}
