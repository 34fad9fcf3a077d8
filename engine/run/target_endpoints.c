/* target_endpoints.c: what the http module is given: where to, and the credentials, which no script sees. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "run/target_parts.h"

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* An endpoint as the http module takes it: the credential of its auth entry becomes a header. A token of Entra ID is
 * had for a while only: the script that asks for it sends it. */
static json_t *endpoint_of(const json_t *settings, const char *name) {
    json_t *spec = json_object_get(json_object_get(settings, "endpoints"), name);
    if (spec == NULL) {
        char key[160];
        snprintf(key, sizeof key, "endpoints.%s", name);
        return json_pack("{s:s}", "missing", key);
    }
    json_t *out = json_copy(spec);
    const char *auth = str(spec, "auth");
    json_object_del(out, "auth");
    json_object_del(out, "probe");
    json_t *proxy = target_proxy(spec, str(spec, "url"));
    if (proxy != NULL) {
        json_object_set_new(out, "proxy", proxy);
    }
    if (auth != NULL && strcmp(auth, "api_key") == 0) {
        const json_t *key = json_object_get(json_object_get(settings, "auth"), "api_key");
        json_object_set_new(
            out, "auth",
            json_pack("{s:O, s:O}", "header", json_object_get(key, "header"), "value", json_object_get(key, "value")));
    }
    return out;
}

/* application/x-www-form-urlencoded, as RFC 6749 section 2.3.1 wants a client's id and secret before they are joined.
 */
static void form_encoded(buf *out, const char *s) {
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '*') {
            buf_putc(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

static json_t *issuer_of(const json_t *entra) {
    buf basic = BUF_INIT;
    form_encoded(&basic, str(entra, "client_id"));
    buf_putc(&basic, ':');
    form_encoded(&basic, str(entra, "client_secret"));
    json_t *out = basic.failed
                      ? NULL
                      : json_pack("{s:O, s:O*, s:o*, s:{s:s}}", "url", json_object_get(entra, "authority"), "ca_file",
                                  json_object_get(entra, "ca_file"), "proxy",
                                  target_proxy(entra, str(entra, "authority")), "auth", "basic", buf_str(&basic));
    buf_free(&basic);
    return out;
}

json_t *target_endpoints(const run_request *r, const json_t *needs) {
    const json_t *settings = r->cfg->doc;
    json_t *out = json_object();
    json_t *wanted = json_object_get(needs, "endpoints");
    json_t *all = json_is_true(wanted) ? json_object_get(settings, "endpoints") : NULL;
    for (void *it = json_object_iter(all); it != NULL; it = json_object_iter_next(all, it)) {
        json_object_set_new(out, json_object_iter_key(it), endpoint_of(settings, json_object_iter_key(it)));
    }
    size_t i;
    json_t *name;
    json_array_foreach(wanted, i, name) {
        json_object_set_new(out, json_string_value(name), endpoint_of(settings, json_string_value(name)));
    }
    const json_t *entra = json_object_get(json_object_get(settings, "auth"), "entra");
    json_array_foreach(json_object_get(needs, "auth"), i, name) {
        if (entra != NULL && strcmp(json_string_value(name), "entra") == 0) {
            json_object_set_new(out, TARGET_ISSUER, issuer_of(entra));
        }
    }
    return out;
}
