/* schema_secrets.c: which values of a document its schema calls secret. */
#include <string.h>

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
