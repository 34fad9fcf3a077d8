/* schema.h: one declarative schema for what people write in Lua tables: the configuration and the heads of scripts.
 *
 * A schema is data: arrays of schema_spec, one entry a key. The same entry validates a value, fills its default, names
 * it in messages and documents it. Messages read `FILE:LINE: key.path: expected X, found Y`; the line comes from
 * keyline.h. */
#ifndef GE_RUN_SCHEMA_H
#define GE_RUN_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum {
    SCHEMA_ANY,     /* any value */
    SCHEMA_STRING,  /* min, max: bytes */
    SCHEMA_INTEGER, /* a whole number; a float with a whole value is one */
    SCHEMA_NUMBER,  /* integer or float, never NaN or infinite */
    SCHEMA_BOOLEAN,
    SCHEMA_ENUM,     /* one of choices */
    SCHEMA_LIST,     /* children[0] describes each element; min, max: elements */
    SCHEMA_MAP,      /* free keys; children[0] describes each value, key_is the keys */
    SCHEMA_TABLE,    /* children: its keys, ended by a spec without key; any other key is a problem */
    SCHEMA_VARIANT,  /* a table whose string key "kind" chooses among children: each a SCHEMA_TABLE named by its kind */
    SCHEMA_FUNCTION, /* a Lua function, which a loader hands over as {"$function": line} */
    SCHEMA_ONE_OF    /* children: alternatives; the first one whose Lua type fits is the one that is checked */
} schema_type;

/* What of a value is a secret: all of it | the password in a URL | it is not shown, but it is common text, so nothing
 * is masked for it. */
enum { SCHEMA_SECRET = 1, SCHEMA_SECRET_URL, SCHEMA_HIDDEN };
enum { SCHEMA_MIN = 1, SCHEMA_MAX = 2 }; /* which of min and max count */

typedef struct schema_spec {
    const char *key; /* NULL ends an array (of children); elements and alternatives have a key of their own choosing */
    schema_type type;
    bool required;
    unsigned char
        secret; /* one of the above; 0 = none. Such values are never shown in messages; schema_secrets finds them */
    const char *def; /* default as JSON text; NULL = stays absent */
    unsigned bounds; /* SCHEMA_MIN | SCHEMA_MAX */
    double min, max;
    const char *const *choices;    /* SCHEMA_ENUM: NULL-ended */
    bool (*is)(const char *s);     /* SCHEMA_STRING: what it must look like … */
    const char *what;              /* … and how that is said ("an identifier"); for tables and lists: what they are */
    bool (*key_is)(const char *s); /* SCHEMA_MAP: keys … */
    const char *key_what;          /* … and how that is said */
    const struct schema_spec *children;
    const char *doc; /* one sentence */
} schema_spec;

/* Where a value came from: what messages call the file, and its text (may be NULL: then no line is named). */
typedef struct schema_source {
    const char *file;
    const json_t *lines; /* of keyline_index, or NULL */
} schema_source;

/* Checks a value against a spec of SCHEMA_TABLE (or any other type).
 *   out       new reference to the normalised value with defaults filled in; may be NULL. Set only on success
 *   problems  array to which {"line", "path", "message", "fix", "code"} is appended for every problem ("message" in
 * full form, with file and line); NULL: stops at the first Returns 0, or -1 with *e set to the first problem. Codes:
 * schema_type, schema_required, schema_unknown_key, schema_range, schema_choice, schema_pattern, out_of_memory. */
int schema_check(const schema_spec *spec, const schema_source *src, const json_t *value, json_t **out, json_t *problems,
                 err *e);

/* Adds one problem of a rule that the specs cannot express, in the same form. path is as in messages
 * ("failures.x.text"). Returns -1. */
int schema_problem(const schema_source *src, const char *path, json_t *problems, err *e, const char *code,
                   const char *fix, const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* Calls found() with every string whose spec is marked secret. The value need not be valid. */
void schema_secrets(const schema_spec *spec, const json_t *value,
                    void (*found)(const schema_spec *spec, const char *value));

/* A copy without secrets, of a value that was checked: what is a secret by its spec (a hidden value too) becomes true,
 * a URL loses its password and such parameters as are secrets. Two values that differ in secrets alone have equal
 * copies. New reference; NULL out of memory. */
json_t *schema_redact(const schema_spec *spec, const json_t *value);

/* Appends every key with its type, default and sentence, a line or two each. 0 / -1 out of memory. */
int schema_describe(const schema_spec *spec, buf *out);

/* Is this what a loader hands over for a Lua function? Then its line, else 0. */
int schema_function_line(const json_t *value);

#endif
