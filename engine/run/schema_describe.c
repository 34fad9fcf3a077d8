/* schema_describe.c: a schema as text for people. */
#include <string.h>

#include "run/schema.h"

static const char *type_name(const schema_spec *s) {
    static const char *const NAMES[] = {"any value", "string", "integer", "number", "boolean",  "one of",
                                        "list",      "table",  "table",   "table",  "function", "one of"};
    return s->what != NULL ? s->what : NAMES[s->type];
}

static void describe(const schema_spec *s, const char *path, buf *out, int depth);

static void describe_children(const schema_spec *s, const char *path, buf *out, int depth) {
    bool free_key = s->type == SCHEMA_MAP || s->type == SCHEMA_LIST;
    for (const schema_spec *c = s->children; c != NULL && c->key != NULL && depth < 12; c++) {
        buf child = BUF_INIT;
        if (s->type == SCHEMA_ONE_OF) {
            buf_puts(&child, path);
        } else if (free_key) {
            buf_printf(&child, "%s[%s]", path, s->type == SCHEMA_LIST ? "n" : "name");
        } else if (s->type == SCHEMA_VARIANT) {
            buf_printf(&child, "%s (kind = \"%s\")", path, c->key);
        } else {
            buf_printf(&child, "%s%s%s", path, *path != '\0' ? "." : "", c->key);
        }
        if (s->type == SCHEMA_TABLE || s->type == SCHEMA_VARIANT) {
            describe(c, buf_str(&child), out, depth + 1);
        } else {
            describe_children(c, buf_str(&child), out, depth + 1);
        }
        buf_free(&child);
        if (free_key) {
            break;
        }
    }
}

static void describe(const schema_spec *s, const char *path, buf *out, int depth) {
    buf_printf(out, "  %s: %s", path, type_name(s));
    for (size_t i = 0; s->choices != NULL && s->choices[i] != NULL; i++) {
        buf_printf(out, "%s%s", i == 0 ? (s->what != NULL ? ": " : " ") : ", ", s->choices[i]);
    }
    if (s->required) {
        buf_puts(out, "; required");
    }
    if (s->def != NULL && strcmp(s->def, "{}") != 0 && strcmp(s->def, "[]") != 0) {
        buf_printf(out, "; default %s", s->def);
    }
    buf_puts(out, "\n");
    if (s->doc != NULL) {
        buf_printf(out, "      %s\n", s->doc);
    }
    describe_children(s, path, out, depth);
}

int schema_describe(const schema_spec *spec, buf *out) {
    describe_children(spec, "", out, 0);
    return out->failed ? -1 : 0;
}
