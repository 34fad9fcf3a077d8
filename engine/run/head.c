#include "run/head.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "run/head_parts.h"
#include "run/keyline.h"
#include "run/lualex.h"
#include "run/options.h"
#include "run/script.h"

typedef struct checker {
    schema_source src;
    json_t *problems; /* borrowed; NULL: stop at the first */
    err *e;
    int found;
} checker;

/* One problem more; true when the check should end here. */
static bool report(checker *c, const char *path, const char *code, const char *fix, const char *text) {
    c->found++;
    schema_problem(&c->src, path, c->problems, c->e, code, fix, "%s", text);
    return c->problems == NULL;
}

/* "options.runs.default": the name is an id where the schema let it through. */
static const char *path_of(buf *b, const char *table, const char *name, const char *key) {
    buf_reset(b);
    buf_printf(b, "%s.%s%s%s", table, name, *key != '\0' ? "." : "", key);
    return buf_str(b);
}

/* ---- options ---- */

/* Flags the engine itself has: an option of that name could never be reached. */
static const char *const taken[] = {"tenant",   "config",          "only",    "verbose", "trace",  "report",
                                    "baseline", "strict",          "jobs",    "timeout", "repeat", "help",
                                    "version",  "require_sandbox", "dry_run", "stdlib",  "apply",  "plan"};

static bool option_name(checker *c, const char *name, buf *path) {
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strcmp(name, taken[i]) == 0) {
            return report(c, path_of(path, "options", name, ""), "head_option_taken", "choose another name",
                          "expected a name that is not a flag of gate-engine itself, found one that is");
        }
    }
    return false;
}

static bool is_numeric(const char *type) {
    return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
}

/* Keys that have no meaning for the type are mistakes. */
static bool option_keys(checker *c, const char *name, const json_t *spec, const char *type, buf *path) {
    bool numeric = is_numeric(type), is_path = strcmp(type, "path") == 0, is_enum = strcmp(type, "enum") == 0;
    const struct {
        const char *key;
        bool allowed;
        const char *fix;
    } rules[] = {{"min", numeric, "min belongs to integer and number"},
                 {"max", numeric, "max belongs to integer and number"},
                 {"choices", is_enum, "choices belong to enum"},
                 {"access", is_path, "access belongs to path"},
                 {"search", is_path, "search belongs to path"}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (json_object_get(spec, rules[i].key) != NULL && !rules[i].allowed) {
            buf text = BUF_INIT;
            buf_printf(&text, "expected no %s for an option of type \"%s\", found one", rules[i].key, type);
            bool stop =
                report(c, path_of(path, "options", name, rules[i].key), "head_option", rules[i].fix, buf_str(&text));
            buf_free(&text);
            if (stop) {
                return true;
            }
        }
    }
    if (is_enum && json_array_size(json_object_get(spec, "choices")) == 0) {
        return report(c, path_of(path, "options", name, "choices"), "schema_required", "list what may be chosen",
                      "expected a list of strings that is not empty, found nothing");
    }
    const json_t *min = json_object_get(spec, "min"), *max = json_object_get(spec, "max");
    if (min != NULL && max != NULL && json_number_value(min) > json_number_value(max)) {
        return report(c, path_of(path, "options", name, "max"), "schema_range", "min and max are swapped",
                      "expected a number that is not below min, found one that is");
    }
    return false;
}

/* A default, at options.NAME.KEY, is a value that the flag would take. */
static bool default_fits(checker *c, const char *name, const json_t *spec, const json_t *value, const char *key,
                         buf *path) {
    buf expected = BUF_INIT;
    bool stop = false;
    if (options_default_fits(spec, value, &expected) != 0) {
        buf text = BUF_INIT;
        char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        buf_printf(&text, "expected %s, found ", buf_str(&expected));
        text_sanitise(&text, shown != NULL ? shown : "?", shown != NULL ? strlen(shown) : 1, 60, false);
        stop = report(c, path_of(path, "options", name, key), "head_option",
                      "the default must be a value the flag would accept", buf_str(&text));
        free(shown);
        buf_free(&text);
    }
    buf_free(&expected);
    return stop;
}

static bool is_choice(const json_t *spec, const char *text) {
    size_t i;
    const json_t *choice;
    json_array_foreach(json_object_get(spec, "choices"), i, choice) {
        if (json_is_string(choice) && strcmp(json_string_value(choice), text) == 0) {
            return true;
        }
    }
    return false;
}

/* Defaults by the choice of another option: that is an enum, and has the choice. */
static bool option_default_by(checker *c, const json_t *options, const char *name, const json_t *spec, buf *path) {
    const char *by, *choice;
    json_t *choices, *value;
    bool stop = false;
    json_object_foreach(json_object_get(spec, "default_by"), by, choices) {
        const json_t *other = json_object_get(options, by);
        json_object_foreach(choices, choice, value) {
            buf key = BUF_INIT;
            buf_printf(&key, "default_by.%s", by);
            if (!is_choice(other, choice)) {
                stop = report(c, path_of(path, "options", name, buf_str(&key)), "head_option",
                              "name an option of type enum of this script, and its choices",
                              "expected a choice of another option, found one that no option has");
            } else {
                buf_printf(&key, ".%s", choice);
                stop = default_fits(c, name, spec, value, buf_str(&key), path);
            }
            buf_free(&key);
            if (stop) {
                return true;
            }
        }
    }
    return false;
}

static bool option_default(checker *c, const json_t *options, const char *name, const json_t *spec, buf *path) {
    const json_t *value = json_object_get(spec, "default");
    bool any = value != NULL || json_object_get(spec, "default_by") != NULL;
    if (any && json_is_true(json_object_get(spec, "required"))) {
        return report(c, path_of(path, "options", name, "required"), "head_option",
                      "remove one of required and default",
                      "expected no default for an option that must be given, found one");
    }
    return (value != NULL && default_fits(c, name, spec, value, "default", path)) ||
           option_default_by(c, options, name, spec, path);
}

static bool check_options(checker *c, const json_t *head) {
    const char *name;
    json_t *spec;
    buf path = BUF_INIT;
    bool stop = false;
    const json_t *options = json_object_get(head, "options");
    json_object_foreach((json_t *)options, name, spec) {
        const char *type = json_string_value(json_object_get(spec, "type"));
        stop = option_name(c, name, &path) || (type != NULL && (option_keys(c, name, spec, type, &path) ||
                                                                option_default(c, options, name, spec, &path)));
        if (stop) {
            break;
        }
    }
    buf_free(&path);
    return stop;
}

/* ---- failures ---- */

/* The texts are formatted with arguments that a script gives: %s and %% are all that is needed, and all that is safe.
 */
static bool check_text(checker *c, const char *class, const char *text, buf *path) {
    int arguments = 0;
    for (const char *p = text != NULL ? strchr(text, '%') : NULL; p != NULL; p = strchr(p + 2, '%')) {
        if (p[1] != 's' && p[1] != '%') {
            buf found = BUF_INIT;
            buf_puts(&found, "expected no directive but %s and %%, found \"%");
            size_t n = text_utf8_seq(p + 1, strlen(p + 1));
            text_sanitise(&found, p + 1, n, 0, false);
            buf_putc(&found, '"');
            bool stop = report(c, path_of(path, "failures", class, "text"), "head_text", "write %% for a percent sign",
                               buf_str(&found));
            buf_free(&found);
            return stop;
        }
        arguments += p[1] == 's';
    }
    return arguments > 8 && report(c, path_of(path, "failures", class, "text"), "head_text", "put the rest into detail",
                                   "expected at most 8 times %s, found more");
}

static bool check_failures(checker *c, const json_t *head) {
    const char *class;
    json_t *failure;
    buf path = BUF_INIT;
    bool stop = false;
    json_object_foreach(json_object_get(head, "failures"), class, failure) {
        stop = check_text(c, class, json_string_value(json_object_get(failure, "text")), &path);
        if (stop) {
            break;
        }
    }
    buf_free(&path);
    return stop;
}

/* ---- audits ---- */

/* A routing plan is of one day and has no weeks before it. */
static bool check_history(checker *c, const json_t *head) {
    const json_t *weeks = json_object_get(json_object_get(head, "needs"), "history");
    const char *pack = json_string_value(json_object_get(head, "pack"));
    if (weeks == NULL || pack == NULL || strcmp(pack, "routing") != 0) {
        return false;
    }
    return report(c, "needs.history", "head_history", "remove needs.history: only roster plans are of a week",
                  "expected no history for an audit of pack \"routing\", whose plans are of one day, found one");
}

/* ---- texts ---- */

/* What a script says of itself stands in the engine's own lines, on terminals too: no control characters, and nothing
 * that begins a line of its own. */
static bool check_shown(checker *c, const char *path, const json_t *value, bool lines) {
    const char *s = json_string_value(value);
    if (s == NULL || (strlen(s) == json_string_length(value) && (lines ? text_is_block(s) : text_is_line(s)))) {
        return false;
    }
    buf text = BUF_INIT;
    buf_printf(&text, "expected %s, found \"", lines ? "printable text" : "one line of printable text");
    text_sanitise(&text, s, json_string_length(value), 100, false);
    buf_putc(&text, '"');
    bool stop =
        report(c, path, "head_text", "leave out control characters and what looks like nothing", buf_str(&text));
    buf_free(&text);
    return stop;
}

static bool check_texts(checker *c, const json_t *head) {
    static const char *const OWN[] = {"name", "purpose", "pass", "owner", "runbook", NULL};
    bool stop = false;
    for (size_t i = 0; OWN[i] != NULL && !stop; i++) {
        stop = check_shown(c, OWN[i], json_object_get(head, OWN[i]), false);
    }
    const char *name_said = json_string_value(json_object_get(head, "name"));
    if (!stop && name_said != NULL && strncmp(name_said, "OVERALL:", 8) == 0) {
        stop = report(c, "name", "head_text", "choose another name",
                      "expected a name that does not look like the report's last line, found one that does");
    }
    const struct {
        const char *table, *key;
        bool lines;
    } inner[] = {{"options", "help", false}, {"failures", "text", false}, {"failures", "fix", true}};
    buf path = BUF_INIT;
    for (size_t i = 0; i < sizeof inner / sizeof *inner && !stop; i++) {
        const char *name;
        json_t *entry;
        json_object_foreach(json_object_get(head, inner[i].table), name, entry) {
            stop = stop || check_shown(c, path_of(&path, inner[i].table, name, inner[i].key),
                                       json_object_get(entry, inner[i].key), inner[i].lines);
        }
    }
    buf_free(&path);
    return stop;
}

/* ---- suites ---- */

static bool check_gates(checker *c, const json_t *head) {
    const json_t *gates = json_object_get(head, "gates");
    size_t i, k;
    const json_t *a, *b;
    json_array_foreach(gates, i, a) {
        json_array_foreach(gates, k, b) {
            if (k < i && json_equal(a, b)) {
                char path[64];
                snprintf(path, sizeof path, "gates[%zu]", i + 1);
                return report(c, path, "head_suite", "name each gate once",
                              "expected a gate that is not in the list yet, found one twice");
            }
        }
    }
    return false;
}

/* ---- the whole ---- */

static const char *kind_of(const json_t *raw_head) {
    const char *kind = json_string_value(json_object_get(raw_head, "kind"));
    if (kind == NULL && json_object_get(raw_head, "audit") != NULL) {
        return "audit";
    }
    return kind;
}

typedef struct placed {
    const char *name; /* borrowed from the object */
    int line;
} placed;

static int compare_placed(const void *a, const void *b) {
    const placed *x = a, *y = b;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line) : strcmp(x->name, y->name);
}

/* Lua forgets in which order keys were written; help shows options as their author put them. */
static int order_options(json_t *head, const json_t *lines) {
    json_t *options = json_object_get(head, "options");
    size_t n = json_object_size(options), i = 0;
    placed *list = calloc(n + 1, sizeof *list);
    json_t *ordered = json_object();
    int rc = list != NULL && ordered != NULL ? 0 : -1;
    const char *name;
    json_t *spec;
    buf path = BUF_INIT;
    json_object_foreach(options, name, spec) {
        if (rc == 0) {
            list[i++] = (placed){name, keyline_find(lines, path_of(&path, "options", name, ""))};
        }
    }
    buf_free(&path);
    if (rc == 0) {
        qsort(list, n, sizeof *list, compare_placed);
    }
    for (i = 0; rc == 0 && i < n; i++) {
        rc = json_object_set(ordered, list[i].name, json_object_get(options, list[i].name));
    }
    if (rc == 0) {
        rc = json_object_set(head, "options", ordered);
    }
    json_decref(ordered);
    free(list);
    return rc;
}

/* A tenant audit has no id of its own; reports need one: its file's name, as far as that can be an id. */
static int add_audit_id(json_t *head, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    char id[64] = "audit_";
    size_t n = 0, len = strlen(name);
    len -= len > 4 && strcmp(name + len - 4, ".lua") == 0 ? 4 : 0;
    n = len > 0 && isalpha((unsigned char)*name) ? 0 : strlen(id);
    for (size_t i = 0; i < len && n + 1 < sizeof id; i++) {
        unsigned char c = (unsigned char)name[i];
        id[n++] = isalnum(c) ? (char)tolower(c) : '_';
    }
    id[n] = '\0';
    return json_object_set_new(head, "id", json_string(id));
}

static int complete(json_t *head, const char *kind, const json_t *lines) {
    int rc = json_object_set_new(head, "kind", json_string(kind));
    rc |= json_object_set_new(head, "has_run", json_boolean(json_object_get(head, "run") != NULL));
    rc |= json_object_set_new(head, "has_recover", json_boolean(json_object_get(head, "recover") != NULL));
    static const char *const tables[] = {"options", "failures"};
    for (size_t i = 0; i < 2; i++) {
        if (json_object_get(head, tables[i]) == NULL) {
            rc |= json_object_set_new(head, tables[i], json_object());
        }
    }
    if (json_object_get(head, "gates") == NULL) {
        rc |= json_object_set_new(head, "gates", json_array());
    }
    const char *name;
    json_t *option;
    json_object_foreach(json_object_get(head, "options"), name, option) {
        if (strcmp(json_string_value(json_object_get(option, "type")), "path") == 0 &&
            json_object_get(option, "access") == NULL) {
            rc |= json_object_set_new(option, "access", json_string("read"));
        }
    }
    return rc == 0 ? order_options(head, lines) : rc;
}

/* What a script returned that is no script, as a person would say it. */
static void say_found(buf *b, const json_t *head, const char *source) {
    if (json_is_null(head) || head == NULL) {
        lualex lx = {0};
        bool empty = lualex_read(&lx, source != NULL ? source : "") == 0 && lx.n <= 1;
        lualex_free(&lx);
        buf_puts(b, empty ? "nothing but white space and comments" : "one that returns nothing");
    } else if (schema_function_line(head) != 0) {
        buf_puts(b, "one that returns a function");
    } else if (json_is_string(head)) {
        buf_puts(b, "one that returns a string");
    } else if (!json_is_object(head)) {
        buf_puts(b, json_is_array(head) ? "one that returns a list" : "one that returns a plain value");
    } else {
        buf_puts(b, "one that returns a table with ");
        const char *key;
        json_t *value;
        int n = 0;
        json_object_foreach((json_t *)head, key, value) {
            if (n++ < 4) {
                buf_puts(b, n > 1 ? ", " : "");
                text_sanitise(b, key, strlen(key), 40, false);
            }
        }
        buf_puts(b, n == 0 ? "nothing in it" : n > 4 ? ", …" : "");
    }
}

static void report_no_kind(checker *c, const json_t *head, const char *source) {
    buf text = BUF_INIT;
    buf_puts(&text, "expected a script that returns a gate, a suite, an operation or an audit, found ");
    say_found(&text, head, source);
    const char *fix = "return gate.define{…}, suite.define{…}, operation.define{…}, or a table with an audit function";
    if (json_is_null(head) && source != NULL && strstr(source, ".define") != NULL) {
        fix = "write return before gate.define { … }";
    } else if (json_is_null(head)) {
        fix = "end it with: return gate.define { … }; gate-engine new gate NAME writes one to start from";
    } else if (json_object_get(head, "run") != NULL) {
        fix = "wrap the table: local gate = require \"gate\", then return gate.define { … }";
    } else if (json_is_object(head) && json_object_get(head, "pack") != NULL) {
        fix = "an audit has name, pack, and audit = function(plan, report) … end: is the last one misspelt?";
    } else if (json_is_object(head) && schema_function_line(head) == 0) {
        fix = "check the script that requires this module; a script itself returns gate.define { … }";
    }
    report(c, "", "head_kind", fix, buf_str(&text));
    buf_free(&text);
}

static int check(checker *c, const json_t *raw, json_t **out) {
    json_t *raw_head = json_object_get(raw, "head");
    const char *kind = kind_of(raw_head);
    const schema_spec *spec = kind != NULL ? head_schema(kind) : NULL;
    if (spec == NULL) {
        report_no_kind(c, raw_head, json_string_value(json_object_get(raw, "source")));
        return -1;
    }
    json_t *head = NULL;
    int rc = schema_check(spec, &c->src, raw_head, &head, c->problems, c->e);
    if (rc != 0 && c->problems == NULL) {
        return -1;
    }
    /* These read the script's own table and pass over what does not fit the schema, so that one look shows every
     * problem. */
    bool stop = check_options(c, raw_head) || check_failures(c, raw_head) || check_texts(c, raw_head) ||
                check_gates(c, raw_head) || check_history(c, raw_head);
    if (rc != 0 || stop || c->found > 0) {
        json_decref(head);
        return -1;
    }
    const char *path = json_string_value(json_object_get(raw, "path"));
    bool named = strcmp(kind, "audit") != 0 || add_audit_id(head, path != NULL ? path : "") == 0;
    if (!named || complete(head, kind, c->src.lines) != 0) {
        json_decref(head);
        return err_set(c->e, "out_of_memory", "out of memory while reading %s", c->src.file);
    }
    *out = head;
    return 0;
}

int head_problems(const json_t *raw, json_t **head, json_t *problems, err *e) {
    char *label = script_label(json_string_value(json_object_get(raw, "path")));
    const char *source = json_string_value(json_object_get(raw, "source"));
    json_t *lines = source != NULL ? keyline_index(source) : NULL;
    checker c = {.src = {.file = label != NULL ? label : "script", .lines = lines}, .problems = problems, .e = e};
    json_t *checked = NULL;
    int rc = check(&c, raw, &checked);
    if (rc == 0 && head != NULL) {
        *head = checked;
    } else {
        json_decref(checked);
    }
    json_decref(lines);
    free(label);
    return rc;
}

int head_check(const json_t *raw, json_t **head, err *e) {
    return head_problems(raw, head, NULL, e);
}
