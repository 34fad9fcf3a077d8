/* cli_explain.c: `gate-engine explain [CLASS]`: what a finding means, from the heads of the installed gates, which are
 * its one source; what an ERROR of the engine's own means, from
 * cli_explain_errors.c, and of gate 1, from cli_explain_isolation.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/script.h"

enum { CLASSES_MAX = 4096 };

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Appends {"gate", "class", "failure"} for each class of one script. A script that does not load has none to show. */
static void add_classes(const char *label, json_t *out) {
    script s;
    err e;
    err_clear(&e);
    if (script_load(label, NULL, NULL, &s, &e) != 0) {
        cli_say_error(&e);
        return;
    }
    const json_t *failures = json_object_get(s.head, "failures");
    const char *names[CLASSES_MAX];
    size_t n = 0;
    const char *class;
    json_t *failure;
    json_object_foreach((json_t *)failures, class, failure) {
        if (n < CLASSES_MAX) {
            names[n++] = class;
        }
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(out, json_pack("{s:s, s:s, s:O}", "gate", s.label, "class", names[i], "failure",
                                             json_object_get(failures, names[i])));
    }
    script_free(&s);
}

static void add_errors(const struct engine_class *list, const char *of, json_t *out) {
    for (const struct engine_class *c = list; c->name != NULL; c++) {
        const char *severity = strcmp(c->name, "audit_violation") == 0 ? "FAIL" : "ERROR";
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s*}}", "gate", of, "class", c->name, "failure",
                                        "severity", severity, "text", c->text, "fix", c->fix, "explain", c->explain));
    }
}

/* All classes of the installed gates and scripts; a new reference, or NULL with *e. */
static json_t *all_classes(err *e) {
    json_t *names = script_names(true, e);
    json_t *out = names != NULL ? json_array() : NULL;
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name) {
        add_classes(json_string_value(name), out);
    }
    if (out != NULL) {
        add_errors(ENGINE_CLASSES, "any gate or audit", out);
        add_errors(ISOLATION_CLASSES, "gates/rls_harness.lua", out);
    }
    json_decref(names);
    return out;
}

static const char *member(const json_t *entry, const char *key) {
    return json_string_value(json_object_get(json_object_get(entry, "failure"), key));
}

/* A script's text: whole lines, nothing that moves the cursor. */
static void print_text(const char *label, const char *text, bool lines) {
    if (text == NULL) {
        return;
    }
    buf b = BUF_INIT;
    text_sanitise(&b, text, strlen(text), 0, lines);
    printf("%s%s\n", label, buf_str(&b));
    buf_free(&b);
}

static void print_class(const json_t *entry) {
    const char *severity = member(entry, "severity");
    printf("%s (%s; %s)\n\n", json_string_value(json_object_get(entry, "class")), severity != NULL ? severity : "leak",
           json_string_value(json_object_get(entry, "gate")));
    print_text("Says:  ", member(entry, "text"), false);
    print_text("Fix:   ", member(entry, "fix"), false);
    const char *explain = member(entry, "explain");
    if (explain != NULL) {
        print_text("\n", explain, true);
    }
}

static void list_classes(const json_t *classes) {
    const char *gate = "";
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)classes, i, entry) {
        const char *mine = json_string_value(json_object_get(entry, "gate"));
        if (strcmp(mine, gate) != 0) {
            printf("%s%s:\n", *gate != '\0' ? "\n" : "", mine);
            gate = mine;
        }
        printf("  %-26s", json_string_value(json_object_get(entry, "class")));
        print_text("", member(entry, "text"), false);
    }
}

static int explain_one(const json_t *classes, const char *wanted, err *e) {
    const char *names[CLASSES_MAX + 1];
    size_t n = 0, found = 0, i;
    json_t *entry;
    json_array_foreach((json_t *)classes, i, entry) {
        const char *class = json_string_value(json_object_get(entry, "class"));
        if (strcmp(class, wanted) == 0) {
            printf("%s", found++ > 0 ? "\n" : "");
            print_class(entry);
        } else if (n < CLASSES_MAX) {
            names[n++] = class;
        }
    }
    names[n] = NULL;
    if (found > 0) {
        return 0;
    }
    return cli_no_such(e, "neither an installed gate nor the engine has a class", wanted, names,
                       "gate-engine explain lists the classes");
}

static int explain(const cli_words *words, err *e) {
    size_t n = json_array_size(words->operands);
    if (n > 1) {
        err_set(e, "usage_operand", "explain takes one class");
        return EXIT_USAGE;
    }
    json_t *classes = all_classes(e);
    int code = classes != NULL ? EXIT_PASS : EXIT_BROKEN;
    if (classes != NULL && n == 0) {
        list_classes(classes);
    } else if (classes != NULL && explain_one(classes, json_string_value(json_array_get(words->operands, 0)), e) != 0) {
        code = EXIT_USAGE;
    }
    json_decref(classes);
    return code;
}

int cli_explain_main(const cli_verb *verb, int argc, char **argv) {
    return cli_act(verb, argc, argv, explain);
}
