/* schema_secrets.c: which values of a document its schema calls secret. */
#include <string.h>
#include <strings.h>

#include "run/schema.h"

void schema_secrets(const schema_spec *spec, const json_t *value,
                    void (*found)(const schema_spec *spec, const char *value)) {
    if (spec->secret != 0 && json_is_string(value)) {
        found(spec, json_string_value(value));
    } else if (json_is_array(value) && spec->type == SCHEMA_LIST) {
        size_t i;
        const json_t *item;
        json_array_foreach(value, i, item) {
            schema_secrets(spec->children, item, found);
        }
    } else if (spec->type == SCHEMA_ONE_OF) {
        for (const schema_spec *s = spec->children; s->key != NULL; s++) {
            schema_secrets(s, value, found);
        }
    } else if (json_is_object(value) && spec->children != NULL) {
        const char *key;
        json_t *item;
        json_object_foreach((json_t *)value, key, item) {
            for (const schema_spec *s = spec->children; s->key != NULL; s++) {
                if (spec->type == SCHEMA_VARIANT) {
                    schema_secrets(s, value, found);
                } else if (spec->type == SCHEMA_MAP || strcmp(s->key, key) == 0) {
                    schema_secrets(s, item, found);
                }
            }
        }
    }
}

/* The specs that hold for a member of an object: all children of a variant, the one of its name, or a map's only one.
 */
static json_t *redact_member(const schema_spec *spec, const char *key, const json_t *item) {
    for (const schema_spec *s = spec->children; s != NULL && s->key != NULL; s++) {
        if (spec->type == SCHEMA_MAP || strcmp(s->key, key) == 0) {
            return schema_redact(s, item);
        }
    }
    return json_deep_copy(item);
}

static json_t *redact_object(const schema_spec *spec, const json_t *value) {
    json_t *out = json_object();
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)value, key, item) {
        if (out != NULL && json_object_set_new(out, key, redact_member(spec, key, item)) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

/* Parameters of a query whose names say that they are secrets, as config_env.c masks them. */
static bool is_secret_parameter(const char *p) {
    static const char *const NAMES[] = {"password=", "sslpassword=", "token=", "key=", "secret=", "sig=", NULL};
    for (size_t i = 0; NAMES[i] != NULL; i++) {
        if (strncasecmp(p, NAMES[i], strlen(NAMES[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* scheme://user:password@host/path?a=b&password=c → scheme://user@host/path?a=b */
static json_t *redact_url(const char *url) {
    const char *start = strstr(url, "://");
    size_t end = strcspn(url, "?#");
    if (start == NULL) {
        return json_true();
    }
    start += 3;
    const char *at = memrchr(url, '@', end);
    const char *colon = at != NULL && at > start ? memchr(start, ':', (size_t)(at - start)) : NULL;
    buf out = BUF_INIT;
    buf_append(&out, url, colon != NULL ? (size_t)(colon - url) : end);
    if (colon != NULL) {
        buf_append(&out, at, (size_t)(url + end - at));
    }
    for (const char *p = url + end; *p != '\0';) {
        size_t n = 1 + strcspn(p + 1, "&#");
        if (!is_secret_parameter(p + 1)) {
            buf_append(&out, p, n);
        }
        p += n;
    }
    json_t *text = out.failed ? NULL : json_stringn(buf_str(&out), out.len);
    buf_free(&out);
    return text;
}

/* The alternative of SCHEMA_ONE_OF that this value is of, by its Lua type as schema_check chooses; or of a variant. */
static const schema_spec *chosen(const schema_spec *spec, const json_t *value) {
    const char *kind = json_string_value(json_object_get(value, "kind"));
    for (const schema_spec *s = spec->children; s->key != NULL; s++) {
        bool list = s->type == SCHEMA_LIST;
        if (spec->type == SCHEMA_VARIANT ? kind != NULL && strcmp(kind, s->key) == 0 : list == json_is_array(value)) {
            return s;
        }
    }
    return NULL;
}

json_t *schema_redact(const schema_spec *spec, const json_t *value) {
    if (spec->secret == SCHEMA_SECRET_URL && json_is_string(value)) {
        return redact_url(json_string_value(value));
    }
    if (spec->secret != 0 && json_is_string(value)) {
        return json_true();
    }
    if (spec->type == SCHEMA_ONE_OF || spec->type == SCHEMA_VARIANT) {
        const schema_spec *one = chosen(spec, value);
        return one != NULL ? schema_redact(one, value) : json_true();
    }
    if (json_is_array(value) && spec->type == SCHEMA_LIST) {
        json_t *out = json_array();
        size_t i;
        const json_t *item;
        json_array_foreach(value, i, item) {
            if (out != NULL && json_array_append_new(out, schema_redact(spec->children, item)) != 0) {
                json_decref(out);
                out = NULL;
            }
        }
        return out;
    }
    return json_is_object(value) && spec->children != NULL ? redact_object(spec, value) : json_deep_copy(value);
}
