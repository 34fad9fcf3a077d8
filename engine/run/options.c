#include "run/options.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "run/script.h"

#define NAMES_MAX 512
#define SHOWN_MAX 80

void options_flag(const char *name, buf *out) {
    buf_puts(out, "--");
    for (; *name != '\0'; name++) {
        buf_putc(out, *name == '_' ? '-' : *name);
    }
}

static const char *type_of(const json_t *spec) {
    const char *type = json_string_value(json_object_get(spec, "type"));
    return type != NULL ? type : "";
}

static bool is_type(const json_t *spec, const char *type) {
    return strcmp(type_of(spec), type) == 0;
}

/* ---- what is expected ---- */

static void say_number(buf *b, const json_t *n) {
    if (json_is_integer(n)) {
        buf_printf(b, "%lld", (long long)json_integer_value(n));
    } else {
        buf_printf(b, "%.15g", json_number_value(n));
    }
}

static void say_range(buf *b, const json_t *spec) {
    const json_t *min = json_object_get(spec, "min"), *max = json_object_get(spec, "max");
    if (min != NULL) {
        buf_puts(b, max != NULL ? " from " : " of at least ");
        say_number(b, min);
    }
    if (max != NULL) {
        buf_puts(b, min != NULL ? " to " : " of at most ");
        say_number(b, max);
    }
}

static void say_expected(buf *b, const json_t *spec) {
    if (is_type(spec, "integer")) {
        buf_puts(b, "a whole number");
        say_range(b, spec);
    } else if (is_type(spec, "number")) {
        buf_puts(b, "a number");
        say_range(b, spec);
    } else if (is_type(spec, "boolean")) {
        buf_puts(b, "true or false");
    } else if (is_type(spec, "enum")) {
        const json_t *choices = json_object_get(spec, "choices");
        size_t i;
        const json_t *c;
        json_array_foreach(choices, i, c) {
            buf_printf(b, "%s%s",
                       i == 0                              ? ""
                       : i + 1 == json_array_size(choices) ? " or "
                                                           : ", ",
                       json_string_value(c));
        }
    } else if (is_type(spec, "path") || is_type(spec, "audit")) {
        buf_puts(b, "a path");
    } else {
        buf_puts(b, "a string");
    }
}

/* ---- does a value fit ---- */

static bool in_range(const json_t *spec, const json_t *value) {
    const json_t *min = json_object_get(spec, "min"), *max = json_object_get(spec, "max");
    if (json_is_integer(value)) { /* whole numbers are compared as such: a double would round the large ones */
        json_int_t n = json_integer_value(value);
        bool low =
            json_is_integer(min) ? n >= json_integer_value(min) : min == NULL || (double)n >= json_real_value(min);
        bool high =
            json_is_integer(max) ? n <= json_integer_value(max) : max == NULL || (double)n <= json_real_value(max);
        return low && high;
    }
    double n = json_number_value(value);
    return (min == NULL || n >= json_number_value(min)) && (max == NULL || n <= json_number_value(max));
}

static bool in_choices(const json_t *spec, const char *text) {
    size_t i;
    const json_t *c;
    json_array_foreach(json_object_get(spec, "choices"), i, c) {
        if (json_is_string(c) && strcmp(json_string_value(c), text) == 0) {
            return true;
        }
    }
    return false;
}

static bool fits_one(const json_t *spec, const json_t *value) {
    if (is_type(spec, "integer")) {
        return json_is_integer(value) && in_range(spec, value);
    }
    if (is_type(spec, "number")) {
        return json_is_number(value) && in_range(spec, value);
    }
    if (is_type(spec, "boolean")) {
        return json_is_boolean(value);
    }
    if (is_type(spec, "enum")) {
        return json_is_string(value) && in_choices(spec, json_string_value(value));
    }
    bool path = is_type(spec, "path") || is_type(spec, "audit");
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value) &&
           !(path && json_string_length(value) == 0);
}

int options_default_fits(const json_t *spec, const json_t *value, buf *expected) {
    if (!json_is_true(json_object_get(spec, "multiple"))) {
        say_expected(expected, spec);
        return fits_one(spec, value) ? 0 : -1;
    }
    buf_puts(expected, "a list, each element ");
    say_expected(expected, spec);
    bool empty = json_is_object(value) && json_object_size(value) == 0;
    bool fits = json_is_array(value) || empty;
    size_t i;
    const json_t *item;
    json_array_foreach(value, i, item) {
        fits = fits && fits_one(spec, item);
    }
    return fits ? 0 : -1;
}

/* ---- from a flag's text ---- */

static json_t *parse_integer(const char *text) {
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    bool plain = strspn(text, "+-0123456789") == strlen(text);
    return plain && *text != '\0' && *end == '\0' && errno == 0 ? json_integer(n) : NULL;
}

static json_t *parse_number(const char *text) {
    char *end;
    double n = strtod(text, &end);
    bool plain = strspn(text, "+-.0123456789eE") == strlen(text);
    return plain && *text != '\0' && *end == '\0' && isfinite(n) ? json_real(n) : NULL;
}

static json_t *parse_boolean(const char *text) {
    if (strcmp(text, "true") == 0) {
        return json_true();
    }
    return strcmp(text, "false") == 0 ? json_false() : NULL;
}

static void suggest_choice(const json_t *spec, const char *text, err *e) {
    const char *names[NAMES_MAX + 1];
    size_t n = 0, i;
    const json_t *c;
    json_array_foreach(json_object_get(spec, "choices"), i, c) {
        if (n < NAMES_MAX) {
            names[n++] = json_string_value(c);
        }
    }
    names[n] = NULL;
    const char *near = text_suggest(text, names);
    if (near != NULL) {
        err_fix(e, "did you mean \"%s\"?", near);
    }
}

json_t *options_parse(const char *name, const json_t *spec, const char *text, err *e) {
    json_t *value = is_type(spec, "integer")   ? parse_integer(text)
                    : is_type(spec, "number")  ? parse_number(text)
                    : is_type(spec, "boolean") ? parse_boolean(text)
                                               : json_string(text);
    if (value != NULL && fits_one(spec, value)) {
        return value;
    }
    json_decref(value);
    buf flag = BUF_INIT, expected = BUF_INIT, shown = BUF_INIT;
    options_flag(name, &flag);
    say_expected(&expected, spec);
    text_sanitise(&shown, text, strlen(text), SHOWN_MAX, false);
    err_set(e, "usage_option_value", "%s: expected %s, found \"%s\"", buf_str(&flag), buf_str(&expected),
            buf_str(&shown));
    const char *help = json_string_value(json_object_get(spec, "help"));
    if (is_type(spec, "enum")) {
        suggest_choice(spec, text, e);
    } else if (help != NULL && *help != '\0') {
        err_fix(e, "%s: %s", buf_str(&flag), help);
    }
    buf_free(&flag);
    buf_free(&expected);
    buf_free(&shown);
    return NULL;
}

/* ---- paths ---- */

/* Names in the search directories of the installed tree, sorted by directory listing order of a small set; for
 * messages. */
static size_t list_names(const json_t *search, const char *share, char *names[NAMES_MAX]) {
    size_t n = 0, i;
    const json_t *item;
    json_array_foreach(search, i, item) {
        char *dir = fs_join(share, json_string_value(item));
        struct dirent **entries = NULL;
        int count = dir != NULL ? scandir(dir, &entries, NULL, alphasort) : 0;
        for (int k = 0; k < count; k++) {
            if (*entries[k]->d_name != '.' && n < NAMES_MAX && (names[n] = strdup(entries[k]->d_name)) != NULL) {
                n++;
            }
            free(entries[k]);
        }
        free(entries);
        free(dir);
    }
    return n;
}

static int path_missing(const char *flag, const char *text, const json_t *search, const char *share, err *e) {
    buf shown = BUF_INIT;
    text_sanitise(&shown, text, strlen(text), SHOWN_MAX, false);
    if (json_array_size(search) == 0) {
        err_set(e, "usage_path", "%s: there is no file or directory \"%s\"", flag, buf_str(&shown));
        err_fix(e, "give a path that exists, absolute or from the working directory");
        buf_free(&shown);
        return -1;
    }
    char *names[NAMES_MAX];
    const char *list[NAMES_MAX + 1];
    size_t n = list_names(search, share, names);
    memcpy(list, names, n * sizeof *list);
    list[n] = NULL;
    const char *near = text_suggest(text, list);
    buf where = BUF_INIT, known = BUF_INIT;
    size_t i;
    const json_t *item;
    json_array_foreach(search, i, item) {
        buf_printf(&where, "%s%s", i == 0 ? "" : ", ", json_string_value(item));
    }
    if (near != NULL) {
        buf_printf(&known, "did you mean \"%s\"? ", near);
    }
    buf_puts(&known, n > 0 ? "There are:" : "Those directories are empty: give a path that exists");
    for (i = 0; i < n; i++) {
        buf_printf(&known, "%s%s", i == 0 ? " " : ", ", names[i]);
        free(names[i]);
    }
    err_set(e, "usage_path", "%s: no \"%s\" in %s of the installed tree, nor as a path", flag, buf_str(&shown),
            buf_str(&where));
    err_fix(e, "%s", buf_str(&known));
    buf_free(&shown);
    buf_free(&where);
    buf_free(&known);
    return -1;
}

/* An installed name may have parts, but never leads out of its directory. */
static bool is_inside(const char *name) {
    return *name != '/' && strcmp(name, "..") != 0 && strncmp(name, "../", 3) != 0 && strstr(name, "/../") == NULL &&
           !(strlen(name) > 3 && strcmp(name + strlen(name) - 3, "/..") == 0);
}

static char *search_installed(const json_t *search, const char *share, const char *name) {
    size_t i;
    const json_t *item;
    json_array_foreach(search, i, item) {
        char *dir = is_inside(name) ? fs_join(share, json_string_value(item)) : NULL;
        char *full = dir != NULL ? fs_join(dir, name) : NULL;
        char *found = full != NULL ? realpath(full, NULL) : NULL;
        free(dir);
        free(full);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

/* What is read must be there. A bare name means the installed one first, a path with a slash the user's own first. */
static char *find_read(const json_t *spec, const char *text, const char *share) {
    const json_t *search = json_object_get(spec, "search");
    bool bare = strchr(text, '/') == NULL;
    char *found = bare ? search_installed(search, share, text) : NULL;
    if (found == NULL) {
        found = realpath(text, NULL);
    }
    return found == NULL && !bare ? search_installed(search, share, text) : found;
}

/* What is written is made later; its nearest existing ancestor must be a directory. */
static char *find_write(const char *flag, const char *text, err *e) {
    char here[PATH_MAX];
    char *full = realpath(".", here) != NULL ? fs_join(here, text) : NULL;
    if (full == NULL) {
        err_errno(e, "usage_path", "%s: the working directory cannot be read", flag);
        return NULL;
    }
    for (char *end = full + strlen(full); end != NULL && end > full; end = memrchr(full, '/', (size_t)(end - full))) {
        char kept = *end;
        *end = '\0';
        struct stat st;
        bool there = stat(full, &st) == 0, dir = there && S_ISDIR(st.st_mode);
        if (there && !dir) {
            err_set(e, "usage_path", "%s: expected a directory, found something else: %s", flag, full);
            err_fix(e, "name a directory; it is made if it is missing");
            free(full);
            return NULL;
        }
        *end = kept;
        if (there) {
            break;
        }
    }
    return full;
}

static json_t *resolve_path(const char *name, const json_t *spec, const char *text, err *e) {
    const paths *tree = script_tree(e);
    if (tree == NULL) {
        return NULL;
    }
    bool audit = is_type(spec, "audit");
    const char *access = audit ? "read" : json_string_value(json_object_get(spec, "access"));
    access = access != NULL ? access : "read";
    buf flag = BUF_INIT;
    options_flag(name, &flag);
    char *full;
    if (strcmp(access, "write") == 0) {
        full = find_write(buf_str(&flag), text, e);
    } else {
        full = find_read(spec, text, tree->share);
        if (full == NULL && audit && is_inside(text)) {
            char *installed = fs_join(tree->share, text);
            full = installed != NULL ? realpath(installed, NULL) : NULL;
            free(installed);
        }
        if (full == NULL) {
            path_missing(buf_str(&flag), text, json_object_get(spec, "search"), tree->share, e);
        }
    }
    json_t *value = NULL;
    if (full != NULL && audit && !fs_is_beneath(tree->share, full) && fs_leads_out(text)) {
        script_refuse_link(buf_str(&flag), text, e);
    } else if (full != NULL) {
        value = json_pack("{s:s, s:s}", "path", full, "access", access);
        if (value == NULL) {
            err_set(e, "usage_path", "%s: the path is not UTF-8", buf_str(&flag));
        }
    }
    free(full);
    buf_free(&flag);
    return value;
}

/* ---- the values of a head ---- */

static json_t *resolve_one(const char *name, const json_t *spec, const json_t *value, err *e) {
    if (is_type(spec, "path") || is_type(spec, "audit")) {
        return resolve_path(name, spec, json_string_value(value), e);
    }
    if (is_type(spec, "number") && json_is_integer(value)) {
        return json_real((double)json_integer_value(value));
    }
    return json_deep_copy(value);
}

static json_t *resolve(const char *name, const json_t *spec, const json_t *value, err *e) {
    if (!json_is_true(json_object_get(spec, "multiple"))) {
        return resolve_one(name, spec, value, e);
    }
    json_t *list = json_array();
    size_t i;
    const json_t *item;
    json_array_foreach(value, i, item) {
        json_t *one = resolve_one(name, spec, item, e);
        if (one == NULL || json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

const json_t *options_default(const json_t *options, const json_t *spec, const json_t *values) {
    const char *by;
    json_t *choices;
    json_object_foreach(json_object_get(spec, "default_by"), by, choices) {
        const json_t *other = json_object_get(values, by);
        other = other != NULL ? other : json_object_get(json_object_get(options, by), "default");
        const json_t *own = json_is_string(other) ? json_object_get(choices, json_string_value(other)) : NULL;
        if (own != NULL) {
            return own;
        }
    }
    return json_object_get(spec, "default");
}

json_t *options_resolve(const json_t *head, const json_t *given, err *e) {
    json_t *out = json_object();
    const json_t *options = json_object_get(head, "options");
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)options, name, spec) {
        const json_t *value = json_object_get(given, name);
        value = value != NULL ? value : options_default(options, spec, given);
        if (value == NULL && json_is_true(json_object_get(spec, "required"))) {
            buf flag = BUF_INIT;
            options_flag(name, &flag);
            err_set(e, "usage_option_missing", "%s must be given", buf_str(&flag));
            err_fix(e, "%s", json_string_value(json_object_get(spec, "help")));
            buf_free(&flag);
            json_decref(out);
            return NULL;
        }
        json_t *resolved = value != NULL ? resolve(name, spec, value, e) : NULL;
        if (value != NULL && (resolved == NULL || json_object_set_new(out, name, resolved) != 0)) {
            json_decref(out);
            return NULL;
        }
    }
    if (out == NULL) {
        err_set(e, "out_of_memory", "out of memory");
    }
    return out;
}

/* ---- help ---- */

static void say_argument(buf *b, const json_t *spec) {
    if (is_type(spec, "boolean")) {
        return;
    }
    buf_putc(b, ' ');
    if (is_type(spec, "enum")) {
        size_t i;
        const json_t *c;
        json_array_foreach(json_object_get(spec, "choices"), i, c) {
            buf_printf(b, "%s%s", i == 0 ? "" : "|", json_string_value(c));
        }
        return;
    }
    bool named = json_array_size(json_object_get(spec, "search")) > 0;
    buf_puts(b, is_type(spec, "integer")  ? "N"
                : is_type(spec, "number") ? "X"
                : is_type(spec, "path")   ? (named ? "NAME|PATH" : "PATH")
                : is_type(spec, "audit")  ? "FILE"
                                          : "TEXT");
}

static void say_value(buf *b, const json_t *value) {
    char *shown = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_puts(b, json_is_string(value) ? json_string_value(value) : shown != NULL ? shown : "?");
    free(shown);
}

static void say_default(buf *b, const json_t *spec) {
    const json_t *value = json_object_get(spec, "default");
    if (value != NULL && !((json_is_array(value) || json_is_object(value)) && json_array_size(value) == 0)) {
        buf_puts(b, "; default ");
        say_value(b, value);
    }
    const char *by, *choice;
    json_t *choices, *own;
    json_object_foreach(json_object_get(spec, "default_by"), by, choices) {
        json_object_foreach(choices, choice, own) {
            buf_puts(b, "; with ");
            options_flag(by, b);
            buf_printf(b, " %s ", choice);
            say_value(b, own);
        }
    }
}

void options_help(const json_t *options, buf *out) {
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)options, name, spec) {
        buf left = BUF_INIT;
        options_flag(name, &left);
        say_argument(&left, spec);
        const char *help = json_string_value(json_object_get(spec, "help"));
        help = help != NULL ? help : "";
        buf_printf(out, "  %-26s%s", buf_str(&left), left.len >= 26 ? "\n                            " : "");
        text_sanitise(out, help, strlen(help), 0, false);
        buf_printf(out, "%s(%s", *help != '\0' ? " " : "", type_of(spec));
        say_range(out, spec);
        say_default(out, spec);
        if (json_is_true(json_object_get(spec, "required"))) {
            buf_puts(out, "; must be given");
        }
        buf_puts(out, json_is_true(json_object_get(spec, "multiple")) ? "; may be repeated)\n" : ")\n");
        buf_free(&left);
    }
}
