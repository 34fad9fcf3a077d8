/* cli_help.c: what --help prints. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "run/cli_parts.h"
#include "run/options.h"

const char CLI_EXIT_CODES[] =
    "Exit codes: 0 every gate passed, 1 a gate failed, 2 usage, configuration or script error (nothing was\n"
    "evaluated), 3 a gate could not be evaluated, 129, 130 or 143 interrupted. Of an operation: 0 done, or nothing to\n"
    "do, 1 refused by a rule, 3 could not be carried out.\n";

void cli_help_all(void) {
    printf("gate-engine %s: the gates a tenant passes before it goes live\n\nUsage: gate-engine VERB …\n\nVerbs:\n",
           GE_VERSION);
    for (const cli_verb *v = CLI_VERBS; v->name != NULL; v++) {
        printf("  %-10s%s\n", v->name, v->summary);
    }
    printf("\ngate-engine VERB --help says more; gate-engine run SCRIPT --help shows a script's options.\n\n%s",
           CLI_EXIT_CODES);
}

static void print_flags(const cli_verb *verb) {
    for (const cli_flag *f = CLI_FLAGS; f->name != NULL; f++) {
        if ((f->verbs & verb->id) != 0) {
            char left[64];
            snprintf(left, sizeof left, "--%s%s%s", f->name, f->argument != NULL ? " " : "",
                     f->argument != NULL ? f->argument : "");
            /* "…" is three bytes and one column. */
            int wide = strstr(left, "…") != NULL ? 28 : 26;
            printf("  %-*s%s\n", wide, left, f->help);
        }
    }
}

void cli_help_verb(const cli_verb *verb) {
    printf("Usage: gate-engine %s%s%s\n\n%s.\n%s", verb->name, *verb->usage != '\0' ? " " : "", verb->usage,
           verb->summary, verb->help);
    printf("\nOptions:\n");
    print_flags(verb);
    if ((verb->id & (VERB_RUN | VERB_RECOVER)) != 0) {
        printf("\n%s", CLI_EXIT_CODES);
    }
}

static void print_text(const char *before, const char *text, const char *after) {
    buf b = BUF_INIT;
    text_sanitise(&b, text, strlen(text), 0, false);
    printf("%s%s%s", before, buf_str(&b), after);
    buf_free(&b);
}

void cli_help_script(const cli_verb *verb, const char *label, const json_t *head, const json_t *options) {
    print_text("Usage: gate-engine ", verb->name, " ");
    print_text("", label, " [OPTIONS]\n\n");
    const char *purpose = json_string_value(json_object_get(head, "purpose"));
    print_text("", json_string_value(json_object_get(head, "name")), "");
    if (purpose != NULL && *purpose != '\0') {
        print_text(": ", purpose, "");
    }
    printf("\n");
    if (json_array_size(json_object_get(head, "gates")) > 0) {
        printf("Gates:");
        size_t i;
        const json_t *gate;
        json_array_foreach(json_object_get(head, "gates"), i, gate) {
            print_text(i == 0 ? " " : ", ", json_string_value(gate), "");
        }
        printf("\n");
    }
    if (json_object_size(options) > 0) {
        buf text = BUF_INIT;
        options_help(options, &text);
        printf("\nIts own options:\n%s", buf_str(&text));
        buf_free(&text);
    }
    printf("\nOptions of every script:\n");
    print_flags(verb);
}

const cli_verb *cli_find_verb(const char *name, err *e) {
    const char *names[16];
    size_t n = 0;
    for (const cli_verb *v = CLI_VERBS; v->name != NULL; v++) {
        if (strcmp(v->name, name) == 0) {
            return v;
        }
        names[n++] = v->name;
    }
    names[n] = NULL;
    buf shown = BUF_INIT;
    text_sanitise(&shown, name, strlen(name), 80, false);
    err_set(e, "usage_verb", "unknown verb \"%s\"", buf_str(&shown));
    const char *near = text_suggest(name, names);
    err_fix(e, near != NULL ? "did you mean \"%s\"?" : "gate-engine --help lists the verbs%s",
            near != NULL ? near : "");
    buf_free(&shown);
    return NULL;
}

int cli_help_main(const cli_verb *verb, int argc, char **argv) {
    (void)verb;
    err e;
    if (argc > 2) {
        err_set(&e, "usage_operand", "help takes one verb");
        cli_say_error(&e);
        return 2;
    }
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_help_all();
        return 0;
    }
    const cli_verb *asked = cli_find_verb(argv[1], &e);
    if (asked == NULL) {
        cli_say_error(&e);
        return 2;
    }
    cli_help_verb(asked);
    return 0;
}
