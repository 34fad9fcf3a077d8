#include "run/schema.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/keyline.h"

#define SHOWN_MAX 60  /* bytes of a value shown in a message */
#define NAMES_MAX 128 /* most keys or choices that are compared with a misspelling */

typedef struct walk {
    const schema_source *src;
    json_t *problems; /* borrowed; NULL: stop at the first */
    err *e;
    buf path;
    int found; /* problems so far */
} walk;

int schema_function_line(const json_t *value) {
    const json_t *line = json_object_size(value) == 1 ? json_object_get(value, "$function") : NULL;
    return json_is_integer(line) ? (int)json_integer_value(line) : 0;
}

/* {} is both the empty table and the empty list: Lua has one notation for them. */
static bool is_list(const json_t *v) {
    return json_is_array(v) || (json_is_object(v) && json_object_size(v) == 0);
}

static bool is_table(const json_t *v) {
    return (json_is_object(v) && schema_function_line(v) == 0) || (json_is_array(v) && json_array_size(v) == 0);
}

static bool is_whole(const json_t *v) {
    return json_is_integer(v) || (json_is_real(v) && trunc(json_real_value(v)) == json_real_value(v) &&
                                  fabs(json_real_value(v)) <= 9007199254740992.0);
}

static bool fits(const schema_spec *spec, const json_t *v) {
    switch (spec->type) {
    case SCHEMA_ANY:
        return true;
    case SCHEMA_STRING:
    case SCHEMA_ENUM:
        return json_is_string(v);
    case SCHEMA_INTEGER:
        return is_whole(v);
    case SCHEMA_NUMBER:
        return json_is_number(v) && isfinite(json_number_value(v));
    case SCHEMA_BOOLEAN:
        return json_is_boolean(v);
    case SCHEMA_LIST:
        return is_list(v);
    case SCHEMA_MAP:
    case SCHEMA_TABLE:
    case SCHEMA_VARIANT:
        return is_table(v);
    case SCHEMA_FUNCTION:
        return schema_function_line(v) != 0;
    case SCHEMA_ONE_OF:
        for (const schema_spec *s = spec->children; s->key != NULL; s++) {
            if (fits(s, v)) {
                return true;
            }
        }
        return false;
    }
    return false;
}

/* ---- what messages say ---- */

static void say_bounds(buf *b, const schema_spec *spec, const char *unit) {
    bool low = (spec->bounds & SCHEMA_MIN) != 0, high = (spec->bounds & SCHEMA_MAX) != 0;
    if (low && high) {
        buf_printf(b, " from %.15g to %.15g%s", spec->min, spec->max, unit);
    } else if (low) {
        buf_printf(b, " of at least %.15g%s", spec->min, unit);
    } else if (high) {
        buf_printf(b, " of at most %.15g%s", spec->max, unit);
    }
}

static void say_expected(buf *b, const schema_spec *spec) {
    if (spec->what != NULL) {
        buf_puts(b, spec->what);
        return;
    }
    switch (spec->type) {
    case SCHEMA_ANY:
        buf_puts(b, "a value");
        break;
    case SCHEMA_STRING:
        if (spec->bounds == SCHEMA_MIN && spec->min == 1) {
            buf_puts(b, "a string that is not empty");
        } else {
            buf_puts(b, "a string");
            say_bounds(b, spec, " bytes");
        }
        break;
    case SCHEMA_INTEGER:
        buf_puts(b, "a whole number");
        say_bounds(b, spec, "");
        break;
    case SCHEMA_NUMBER:
        buf_puts(b, "a number");
        say_bounds(b, spec, "");
        break;
    case SCHEMA_BOOLEAN:
        buf_puts(b, "true or false");
        break;
    case SCHEMA_ENUM:
        for (const char *const *c = spec->choices; *c != NULL; c++) {
            buf_printf(b, "%s\"%s\"", c == spec->choices ? "" : c[1] == NULL ? " or " : ", ", *c);
        }
        break;
    case SCHEMA_LIST:
        buf_puts(b, "a list");
        break;
    case SCHEMA_MAP:
    case SCHEMA_TABLE:
    case SCHEMA_VARIANT:
        buf_puts(b, "a table");
        break;
    case SCHEMA_FUNCTION:
        buf_puts(b, "a function");
        break;
    case SCHEMA_ONE_OF:
        for (const schema_spec *s = spec->children; s->key != NULL; s++) {
            buf_puts(b, s == spec->children ? "" : " or ");
            say_expected(b, s);
        }
        break;
    }
}

static void say_string(buf *b, const char *s, size_t n) {
    buf_putc(b, '"');
    text_sanitise(b, s, n, SHOWN_MAX, false);
    buf_putc(b, '"');
}

static void say_found(buf *b, const json_t *v, bool secret) {
    if (v == NULL || json_is_null(v)) {
        buf_puts(b, "nothing");
    } else if (json_is_string(v) && secret) {
        buf_puts(b, json_string_length(v) == 0 ? "an empty string" : "a string (not shown, it is a secret)");
    } else if (json_is_string(v)) {
        say_string(b, json_string_value(v), json_string_length(v));
    } else if (json_is_number(v) && secret) {
        buf_puts(b, "a number (not shown, it is a secret)");
    } else if (json_is_integer(v)) {
        buf_printf(b, "%lld", (long long)json_integer_value(v));
    } else if (json_is_real(v)) {
        buf_printf(b, "%.15g", json_real_value(v));
    } else if (json_is_boolean(v)) {
        buf_puts(b, json_is_true(v) ? "true" : "false");
    } else if (schema_function_line(v) != 0) {
        buf_puts(b, "a function");
    } else if (json_is_array(v)) {
        buf_puts(b, "a list");
    } else {
        buf_puts(b, json_object_size(v) == 0 ? "an empty table" : "a table");
    }
}

/* ---- problems ---- */

static int report(const schema_source *src, const char *path, json_t *problems, err *e, bool first, const char *code,
                  const char *fix, const char *text) {
    int line = src->lines != NULL ? keyline_find(src->lines, path) : 0;
    buf m = BUF_INIT;
    buf_puts(&m, src->file);
    if (line > 0) {
        buf_printf(&m, ":%d", line);
    }
    buf_printf(&m, ": %s%s%s", path, *path != '\0' ? ": " : "", text);
    if (first) {
        err_set(e, code, "%s", buf_str(&m));
        if (fix != NULL && *fix != '\0') {
            err_fix(e, "%s", fix);
        }
    }
    if (problems != NULL) {
        json_array_append_new(problems, json_pack("{s:i, s:s, s:s, s:s, s:s}", "line", line, "path", path, "message",
                                                  buf_str(&m), "fix", fix != NULL ? fix : "", "code", code));
    }
    buf_free(&m);
    return -1;
}

int schema_problem(const schema_source *src, const char *path, json_t *problems, err *e, const char *code,
                   const char *fix, const char *fmt, ...) {
    buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    bool first = problems == NULL || json_array_size(problems) == 0;
    report(src, path, problems, e, first, code, fix, buf_str(&text));
    buf_free(&text);
    return -1;
}

/* Takes over (frees) text. */
static int problem(walk *w, const char *code, const char *fix, buf *text) {
    bool first = w->found == 0 && (w->problems == NULL || json_array_size(w->problems) == 0);
    w->found++;
    report(w->src, buf_str(&w->path), w->problems, w->e, first, code, fix, buf_str(text));
    buf_free(text);
    return -1;
}

static int out_of_memory(walk *w) {
    w->found++;
    return err_set(w->e, "out_of_memory", "out of memory while reading %s", w->src->file);
}

/* The last step of a path where it is a plain key, else NULL. */
static const char *last_key(const char *path) {
    const char *dot = strrchr(path, '.');
    const char *key = dot != NULL ? dot + 1 : path;
    return text_is_id(key) ? key : NULL;
}

/* "write owner = "…": who to ask": how the key is written, and its sentence. A sentence with an example says enough. */
static const char *say_fix(buf *b, const schema_spec *spec, const char *path, const json_t *found) {
    const char *key = last_key(path);
    const char *value = NULL;
    if (spec->doc == NULL || key == NULL || strstr(spec->doc, " = ") != NULL) {
        return spec->doc;
    }
    buf quoted = BUF_INIT;
    if (spec->type == SCHEMA_LIST && json_is_string(found) && spec->secret == 0) {
        buf_puts(&quoted, "{ ");
        say_string(&quoted, json_string_value(found), json_string_length(found));
        buf_puts(&quoted, " }");
        value = buf_str(&quoted);
    } else if (spec->type == SCHEMA_MAP) {
        value = "{ NAME = … }";
    } else if (spec->type == SCHEMA_LIST || spec->type == SCHEMA_TABLE) {
        value = "{ … }";
    } else if (spec->type == SCHEMA_STRING) {
        value = "\"…\"";
    } else if (spec->type == SCHEMA_BOOLEAN) {
        value = "true";
    }
    buf_printf(b, "%s%s%s%s%s", value != NULL ? "write " : "", value != NULL ? key : "", value != NULL ? " = " : "",
               value != NULL ? value : "", value != NULL ? ": " : "");
    buf_puts(b, spec->doc);
    buf_free(&quoted);
    return buf_str(b);
}

static int mismatch(walk *w, const schema_spec *spec, const json_t *v, const char *code) {
    buf text = BUF_INIT, fix = BUF_INIT;
    buf_puts(&text, "expected ");
    say_expected(&text, spec);
    buf_puts(&text, ", found ");
    say_found(&text, v, spec->secret != 0);
    problem(w, code, say_fix(&fix, spec, buf_str(&w->path), v), &text);
    buf_free(&fix);
    return -1;
}

static bool go_on(const walk *w) {
    return w->found == 0 || w->problems != NULL;
}

/* ---- paths ---- */

static void path_key(buf *path, const char *key) {
    if (text_is_id(key)) {
        buf_printf(path, "%s%s", path->len > 0 ? "." : "", key);
        return;
    }
    buf_puts(path, "[\"");
    buf safe = BUF_INIT;
    text_sanitise(&safe, key, strlen(key), SHOWN_MAX, false);
    for (const char *c = buf_str(&safe); *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            buf_putc(path, '\\');
        }
        buf_putc(path, *c);
    }
    buf_free(&safe);
    buf_puts(path, "\"]");
}

static void path_cut(buf *path, size_t len) {
    path->len = len;
    if (path->data != NULL) {
        path->data[len] = '\0';
    }
}

/* ---- checking ---- */

static int check(walk *w, const schema_spec *spec, const json_t *v, json_t **out);

static bool in_bounds(const schema_spec *spec, double n) {
    return !((spec->bounds & SCHEMA_MIN) != 0 && n < spec->min) && !((spec->bounds & SCHEMA_MAX) != 0 && n > spec->max);
}

static const char *suggest_fix(buf *fix, const char *word, const char *const *names, const char *known) {
    const char *near = text_suggest(word, names);
    bool audit = false;
    for (size_t i = 0; names[i] != NULL; i++) {
        audit = audit || strcmp(names[i], "audit") == 0;
    }
    if (near != NULL) {
        buf_printf(fix, "did you mean \"%s\"?", near);
        return buf_str(fix);
    }
    if (audit && strcmp(word, "id") == 0) {
        buf_puts(fix, "leave it out: an audit has no id, its name is what messages and reports call it; ");
    } else if (audit && (strcmp(word, "run") == 0 || strcmp(word, "check") == 0)) {
        buf_puts(fix, "an audit has audit = function(plan, report) … end; ");
    }
    buf_puts(fix, known);
    for (size_t i = 0; names[i] != NULL; i++) {
        buf_printf(fix, "%s%s", i == 0 ? " " : ", ", names[i]);
    }
    return buf_str(fix);
}

static int check_enum(walk *w, const schema_spec *spec, const json_t *v) {
    for (const char *const *c = spec->choices; *c != NULL; c++) {
        if (strcmp(*c, json_string_value(v)) == 0) {
            return 0;
        }
    }
    buf text = BUF_INIT, fix = BUF_INIT;
    buf_puts(&text, "expected ");
    say_expected(&text, spec);
    buf_puts(&text, ", found ");
    say_found(&text, v, spec->secret != 0);
    problem(w, "schema_choice", suggest_fix(&fix, json_string_value(v), spec->choices, "choose one of"), &text);
    buf_free(&fix);
    return -1;
}

static int check_scalar(walk *w, const schema_spec *spec, const json_t *v, json_t **out) {
    int rc = 0;
    if (spec->type == SCHEMA_ENUM) {
        rc = check_enum(w, spec, v);
    } else if (spec->type == SCHEMA_STRING) {
        const char *s = json_string_value(v);
        if (strlen(s) != json_string_length(v)) {
            rc = mismatch(w, spec, v, "schema_pattern"); /* a NUL inside would cut it short wherever C reads it */
        } else if (!in_bounds(spec, (double)json_string_length(v))) {
            rc = mismatch(w, spec, v, "schema_range");
        } else if (spec->is != NULL && !spec->is(s)) {
            rc = mismatch(w, spec, v, "schema_pattern");
        }
    } else if ((spec->type == SCHEMA_INTEGER || spec->type == SCHEMA_NUMBER) &&
               !in_bounds(spec, json_number_value(v))) {
        rc = mismatch(w, spec, v, "schema_range");
    }
    if (rc == 0 && out != NULL) {
        *out = spec->type == SCHEMA_INTEGER && json_is_real(v) ? json_integer((json_int_t)json_real_value(v))
                                                               : json_deep_copy(v);
        return *out != NULL ? 0 : out_of_memory(w);
    }
    return rc;
}

static int check_list(walk *w, const schema_spec *spec, const json_t *v, json_t **out) {
    if (!in_bounds(spec, (double)json_array_size(v))) {
        return mismatch(w, spec, v, "schema_range");
    }
    json_t *copy = json_array();
    if (copy == NULL) {
        return out_of_memory(w);
    }
    int rc = 0;
    size_t len = w->path.len, i;
    const json_t *item;
    json_array_foreach(v, i, item) {
        json_t *checked = NULL;
        buf_printf(&w->path, "[%zu]", i + 1);
        if (check(w, spec->children, item, &checked) != 0 || json_array_append_new(copy, checked) != 0) {
            rc = -1;
        }
        path_cut(&w->path, len);
        if (!go_on(w)) {
            break;
        }
    }
    if (rc == 0 && out != NULL) {
        *out = json_incref(copy);
    }
    json_decref(copy);
    return rc;
}

/* The id that a key was meant to be ("Max-Age" → "max_age"), as a fix; NULL where it is none. */
static const char *nearest_id(buf *fix, const char *key) {
    char id[64];
    size_t n = strlen(key);
    for (size_t i = 0; i <= n && n < sizeof id; i++) {
        id[i] = key[i] == '-' || key[i] == ' ' ? '_' : (char)tolower((unsigned char)key[i]);
    }
    if (n >= sizeof id || !text_is_id(id)) {
        return NULL;
    }
    buf_printf(fix, "write it as %s", id);
    return buf_str(fix);
}

static int check_map(walk *w, const schema_spec *spec, const json_t *v, json_t **out) {
    json_t *copy = json_object();
    if (copy == NULL) {
        return out_of_memory(w);
    }
    int rc = 0;
    size_t len = w->path.len;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)v, key, item) {
        json_t *checked = NULL;
        path_key(&w->path, key);
        if (spec->key_is != NULL && !spec->key_is(key)) {
            buf text = BUF_INIT;
            buf_printf(&text, "expected %s for a key, found ", spec->key_what);
            say_string(&text, key, strlen(key));
            buf fix = BUF_INIT;
            rc = problem(w, "schema_pattern", nearest_id(&fix, key), &text);
            buf_free(&fix);
        } else if (check(w, spec->children, item, &checked) != 0 || json_object_set_new(copy, key, checked) != 0) {
            rc = -1;
        }
        path_cut(&w->path, len);
        if (!go_on(w)) {
            break;
        }
    }
    if (rc == 0 && out != NULL) {
        *out = json_incref(copy);
    }
    json_decref(copy);
    return rc;
}

static const schema_spec *find_key(const schema_spec *children, const char *key) {
    for (const schema_spec *s = children; s->key != NULL; s++) {
        if (strcmp(s->key, key) == 0) {
            return s;
        }
    }
    return NULL;
}

static void collect_names(const schema_spec *children, const char *names[NAMES_MAX + 1]) {
    size_t n = 0;
    for (const schema_spec *s = children; s->key != NULL && n < NAMES_MAX; s++) {
        names[n++] = s->key;
    }
    names[n] = NULL;
}

static int check_unknown_keys(walk *w, const schema_spec *children, const json_t *v) {
    int rc = 0;
    size_t len = w->path.len;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)v, key, item) {
        if (find_key(children, key) != NULL) {
            continue;
        }
        const char *names[NAMES_MAX + 1];
        collect_names(children, names);
        buf text = BUF_INIT, fix = BUF_INIT;
        buf_printf(&text, "expected a key that is known %s, found ", len > 0 ? "here" : "at the top");
        say_string(&text, key, strlen(key));
        path_key(&w->path, key);
        rc = problem(w, "schema_unknown_key", suggest_fix(&fix, key, names, "known keys are"), &text);
        buf_free(&fix);
        path_cut(&w->path, len);
        if (!go_on(w)) {
            break;
        }
    }
    return rc;
}

/* One key of a table: its value, its default, or that it is missing. */
static int check_key(walk *w, const schema_spec *s, const json_t *item, json_t *copy) {
    json_t *filled = NULL;
    if (item == NULL && s->def != NULL) {
        json_error_t why;
        filled = mem_json(s->def, strlen(s->def), JSON_DECODE_ANY, &why);
        if (filled == NULL) {
            return out_of_memory(w);
        }
        item = filled;
    }
    int rc = 0;
    size_t len = w->path.len;
    path_key(&w->path, s->key);
    if (item != NULL) {
        json_t *checked = NULL;
        rc = check(w, s, item, &checked);
        if (rc == 0 && json_object_set_new(copy, s->key, checked) != 0) {
            rc = out_of_memory(w);
        }
    } else if (s->required) {
        rc = mismatch(w, s, NULL, "schema_required");
    }
    path_cut(&w->path, len);
    json_decref(filled);
    return rc;
}

static int check_table(walk *w, const schema_spec *children, const json_t *v, json_t **out) {
    json_t *copy = json_object();
    if (copy == NULL) {
        return out_of_memory(w);
    }
    int rc = check_unknown_keys(w, children, v);
    for (const schema_spec *s = children; s->key != NULL && go_on(w); s++) {
        const json_t *item = json_object_get(v, s->key);
        if (check_key(w, s, json_is_null(item) ? NULL : item, copy) != 0) {
            rc = -1;
        }
    }
    if (rc == 0 && out != NULL) {
        *out = json_incref(copy);
    }
    json_decref(copy);
    return rc;
}

static int check_variant(walk *w, const schema_spec *spec, const json_t *v, json_t **out) {
    const char *names[NAMES_MAX + 1];
    collect_names(spec->children, names);
    schema_spec kind = {.key = "kind", .type = SCHEMA_ENUM, .choices = names, .doc = spec->doc};
    const json_t *chosen = json_object_get(v, "kind");
    size_t len = w->path.len;
    path_key(&w->path, "kind");
    int rc = json_is_string(chosen) ? check_enum(w, &kind, chosen)
                                    : mismatch(w, &kind, chosen, chosen ? "schema_type" : "schema_required");
    path_cut(&w->path, len);
    return rc != 0 ? rc : check_table(w, find_key(spec->children, json_string_value(chosen))->children, v, out);
}

static int check(walk *w, const schema_spec *spec, const json_t *v, json_t **out) {
    if (!fits(spec, v)) {
        return mismatch(w, spec, v, "schema_type");
    }
    switch (spec->type) {
    case SCHEMA_LIST:
        return check_list(w, spec, v, out);
    case SCHEMA_MAP:
        return check_map(w, spec, v, out);
    case SCHEMA_TABLE:
        return check_table(w, spec->children, v, out);
    case SCHEMA_VARIANT:
        return check_variant(w, spec, v, out);
    case SCHEMA_ONE_OF:
        for (const schema_spec *s = spec->children; s->key != NULL; s++) {
            if (fits(s, v)) {
                return check(w, s, v, out);
            }
        }
        return mismatch(w, spec, v, "schema_type");
    default:
        return check_scalar(w, spec, v, out);
    }
}

int schema_check(const schema_spec *spec, const schema_source *src, const json_t *value, json_t **out, json_t *problems,
                 err *e) {
    walk w = {.src = src, .problems = problems, .e = e, .path = BUF_INIT};
    json_t *copy = NULL;
    int rc = check(&w, spec, value, &copy);
    buf_free(&w.path);
    if (rc == 0 && w.found == 0) {
        if (out != NULL) {
            *out = copy;
        } else {
            json_decref(copy);
        }
        return 0;
    }
    json_decref(copy);
    return -1;
}
