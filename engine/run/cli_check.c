/* cli_check.c: `check` and `list`: scripts are loaded in a contained process and looked at; nothing of them runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/config.h"
#include "run/engine.h"
#include "run/head.h"
#include "run/lint.h"
#include "run/loader.h"
#include "run/script.h"
#include "run/signals.h"

/* One line on standard output: masked and printable. */
static void print_line(const char *before, const char *text) {
    buf masked = BUF_INIT, line = BUF_INIT;
    if (log_mask(&masked, text, strlen(text)) == 0 &&
        text_sanitise(&line, buf_str(&masked), masked.len, 0, false) == 0) {
        printf("%s%s\n", before, buf_str(&line));
    }
    buf_free(&masked);
    buf_free(&line);
}

static void print_error(const char *label, const err *e) {
    buf b = BUF_INIT;
    /* Messages that name file and line already do not need the file again. */
    bool placed = strncmp(e->message, label, strlen(label)) == 0;
    buf_printf(&b, "%s%s%s", placed ? "" : label, placed ? "" : ": ", e->message);
    print_line("", buf_str(&b));
    buf_free(&b);
    if (*e->detail != '\0') {
        print_line("  ", e->detail);
    }
    if (*e->fix != '\0') {
        print_line("  fix: ", e->fix);
    }
}

/* Gates a suite names must be there, load, and be gates. */
static int check_gates(const char *path, const char *label, const json_t *head) {
    char *dir = fs_dirname(path);
    json_t *seen = json_object();
    int problems = 0;
    size_t i;
    const json_t *name;
    json_array_foreach(json_object_get(head, "gates"), i, name) {
        script gate;
        err e;
        err_set(&e, "out_of_memory", "out of memory");
        if (dir == NULL || seen == NULL || script_load(json_string_value(name), dir, NULL, &gate, &e) != 0) {
            buf at = BUF_INIT;
            buf_printf(&at, "%s: gates[%zu]", label, i + 1);
            print_error(buf_str(&at), &e);
            buf_free(&at);
            problems++;
            continue;
        }
        if (strcmp(json_string_value(json_object_get(gate.head, "kind")), "gate") != 0) {
            buf line = BUF_INIT;
            buf_printf(&line, "%s: gates[%zu]: expected a gate, found another kind of script: %s", label, i + 1,
                       gate.label);
            print_line("", buf_str(&line));
            buf_free(&line);
            problems++;
        } else if (script_note_gate(seen, label, i + 1, &gate, &e) != 0) {
            print_error(label, &e);
            problems++;
        }
        script_free(&gate);
    }
    json_decref(seen);
    free(dir);
    return problems;
}

static int by_line(const void *a, const void *b) {
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "line"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "line"));
    return (x > y) - (x < y);
}

/* In the order of the file, as one reads it. */
static void print_problems(const json_t *problems) {
    size_t n = json_array_size(problems), i;
    json_t **sorted = calloc(n + 1, sizeof *sorted);
    for (i = 0; sorted != NULL && i < n; i++) {
        sorted[i] = json_array_get(problems, i);
    }
    if (sorted != NULL) {
        qsort(sorted, n, sizeof *sorted, by_line);
    }
    for (i = 0; i < n; i++) {
        const json_t *problem = sorted != NULL ? sorted[i] : json_array_get(problems, i);
        print_line("", json_string_value(json_object_get(problem, "message")));
        const char *fix = json_string_value(json_object_get(problem, "fix"));
        if (fix != NULL && *fix != '\0') {
            print_line("  fix: ", fix);
        }
    }
    free(sorted);
}

static int print_findings(const char *label, const json_t *findings) {
    int problems = 0;
    size_t i;
    const json_t *finding;
    json_array_foreach(findings, i, finding) {
        bool note = json_is_true(json_object_get(finding, "note"));
        const char *fix = json_string_value(json_object_get(finding, "fix"));
        buf line = BUF_INIT;
        const char *file = json_string_value(json_object_get(finding, "file"));
        buf_printf(&line, "%s:%d: %s%s", file != NULL ? file : label,
                   (int)json_integer_value(json_object_get(finding, "line")), note ? "note: " : "",
                   json_string_value(json_object_get(finding, "message")));
        print_line("", buf_str(&line));
        buf_free(&line);
        if (fix != NULL) {
            print_line("  fix: ", fix);
        }
        problems += !note;
    }
    return problems;
}

/* What its source shows; returns the number of problems, notes not counted. */
static int check_source(const char *path, const char *label, const json_t *raw, const json_t *head) {
    err e;
    err_clear(&e);
    json_t *findings = json_array();
    int count = 1;
    if (findings == NULL) {
        err_set(&e, "out_of_memory", "out of memory");
        print_error(label, &e);
    } else if (lint_script(raw, head, findings, &e) != 0) {
        print_error(label, &e);
    } else {
        count = print_findings(label, findings);
        json_array_clear(findings);
        if (lint_luacheck(path, findings, &e) == 0) {
            print_findings(label, findings);
        } else {
            log_line(LOG_WARN, "luacheck says nothing: %s", e.message);
        }
    }
    json_decref(findings);
    return count;
}

/* What can be told while the head is wrong; returns the number of problems. */
static int check_globals(const char *label, const json_t *raw) {
    err ignored;
    json_t *findings = json_array();
    int count = findings != NULL && lint_source(raw, findings, &ignored) == 0 ? print_findings(label, findings) : 0;
    json_decref(findings);
    return count;
}

/* What the source shows of a script that does not load, beside the error it ended with: each `require` and global that
 * is not there, not the first alone. Findings in the error's own line are that error. */
static void check_unloaded(const char *path, const char *label, const err *why) {
    err ignored;
    buf text = BUF_INIT;
    const char *colon = strncmp(why->message, label, strlen(label)) == 0 ? why->message + strlen(label) : NULL;
    int line = colon != NULL && *colon == ':' ? atoi(colon + 1) : 0;
    bool runs = strcmp(why->code, "script_module") == 0 || strcmp(why->code, "script_global") == 0;
    json_t *raw = NULL, *findings = json_array();
    if (runs && fs_read(path, 4u << 20, &text, &ignored) == 0) {
        raw = json_pack("{s:s, s:s, s:{}}", "source", buf_str(&text), "path", path, "head");
    }
    if (raw != NULL && findings != NULL && lint_source(raw, findings, &ignored) == 0) {
        for (size_t i = json_array_size(findings); i > 0; i--) {
            if (json_integer_value(json_object_get(json_array_get(findings, i - 1), "line")) == line) {
                json_array_remove(findings, i - 1);
            }
        }
        print_findings(label, findings);
    }
    json_decref(raw);
    json_decref(findings);
    buf_free(&text);
}

/* Returns the number of problems of one script, which it prints. */
/* What the configuration's connections may do, for a script that needs them. Returns how many problems there are. */
static int connect_one(const char *name, const config *cfg) {
    script s;
    err e;
    err_clear(&e);
    if (script_load(name, NULL, NULL, &s, &e) != 0) {
        return 0; /* told already */
    }
    const json_t *roles = json_object_get(json_object_get(s.head, "needs"), "db");
    bool gate1 = json_object_get(json_object_get(s.head, "options"), "recording") != NULL;
    json_t *input = json_pack("{s:O?, s:b}", "roles", roles, "gate1", gate1), *result = NULL;
    int problems = 0;
    if (json_array_size(roles) == 0) {
        buf line = BUF_INIT;
        buf_printf(&line, "%s: needs no database", s.label);
        print_line("", buf_str(&line));
        buf_free(&line);
    } else if (engine_ask(cfg, "rights", roles, input, &result, &e) != 0) {
        print_error(s.label, &e);
        problems = 1;
    }
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(result, "lines"), i, entry) {
        print_line("  ", json_string_value(entry));
    }
    json_array_foreach(json_object_get(result, "problems"), i, entry) {
        print_line("  missing: ", json_string_value(json_object_get(entry, "text")));
        print_line("    fix: ", json_string_value(json_object_get(entry, "fix")));
        problems++;
    }
    json_decref(input);
    json_decref(result);
    script_free(&s);
    return problems;
}

/* --connect: for each script of the line. */
static int connect_all(const cli_words *words) {
    config *cfg = NULL;
    err e;
    err_clear(&e);
    if (config_load(cli_text(words, "config"), false, &cfg, &e) != 0) {
        cli_say_error(&e);
        return 1;
    }
    int problems = 0;
    size_t i;
    const json_t *name;
    json_array_foreach(words->operands, i, name) {
        problems += signals_flag == 0 ? connect_one(json_string_value(name), cfg) : 0;
    }
    config_free(cfg);
    return problems;
}

static int check_one(const char *name) {
    err e;
    char *path = NULL;
    err_clear(&e);
    if (script_find(name, NULL, &path, &e) != 0) {
        print_error("check", &e);
        return 1;
    }
    char *label = script_label(path);
    json_t *raw = NULL, *head = NULL, *problems = json_array();
    int count = 1;
    if (label == NULL || problems == NULL) {
        err_set(&e, "out_of_memory", "out of memory");
        print_error(name, &e);
    } else if (loader_head(path, NULL, &raw, &e) != 0) {
        print_error(label, &e);
        check_unloaded(path, label, &e);
    } else if (head_problems(raw, &head, problems, &e) != 0) {
        print_problems(problems);
        count = (int)json_array_size(problems);
        count += check_globals(label, raw);
        if (count == 0) { /* failed without a finding: memory */
            print_error(label, &e);
            count = 1;
        }
    } else {
        count = check_gates(path, label, head) + check_source(path, label, raw, head);
        if (count == 0 && mem_lost() == 0) {
            const char *named = json_object_get(head, "id") != NULL ? "id" : "name";
            buf line = BUF_INIT;
            buf_printf(&line, "%s: ok (%s %s)", label, json_string_value(json_object_get(head, "kind")),
                       json_string_value(json_object_get(head, named)));
            print_line("", buf_str(&line));
            buf_free(&line);
        }
    }
    json_decref(raw);
    json_decref(head);
    json_decref(problems);
    free(label);
    free(path);
    return count;
}

/* Reads the words of a verb without script options; returns -1 to go on, or an exit code. */
static int words_or_exit(const cli_verb *verb, int argc, char **argv, cli_words *words) {
    err e;
    if (signals_install(&e) != 0 || cli_parse(verb, argc, argv, NULL, words, &e) != 0) {
        cli_say_error(&e);
        return EXIT_USAGE;
    }
    if (cli_given(words, "help")) {
        cli_help_verb(verb);
        cli_words_free(words);
        return EXIT_PASS;
    }
    return -1;
}

int cli_check_main(const cli_verb *verb, int argc, char **argv) {
    cli_words words;
    int code = words_or_exit(verb, argc, argv, &words);
    if (code >= 0) {
        return code;
    }
    err e;
    if (json_array_size(words.operands) == 0) {
        err_set(&e, "usage_operand", "check: expected a script, found none");
        err_fix(&e, "name one or more, by path or id");
        cli_say_error(&e);
        cli_words_free(&words);
        return EXIT_USAGE;
    }
    int problems = 0;
    size_t i;
    const json_t *name;
    json_array_foreach(words.operands, i, name) {
        if (signals_flag == 0) {
            problems += check_one(json_string_value(name));
        }
    }
    problems += signals_flag == 0 && cli_given(&words, "connect") ? connect_all(&words) : 0;
    cli_words_free(&words);
    return signals_flag != 0 ? signals_exit_code() : problems == 0 ? EXIT_PASS : EXIT_USAGE;
}

static int list_one(const char *label) {
    script s;
    err e;
    err_clear(&e);
    if (script_load(label, NULL, NULL, &s, &e) != 0) {
        printf("  %-24s%s\n", label, " does not load:");
        print_line("    ", e.message);
        return 1;
    }
    const char *id = json_string_value(json_object_get(s.head, "id"));
    const char *purpose = json_string_value(json_object_get(s.head, "purpose"));
    buf text = BUF_INIT;
    const char *kind = json_string_value(json_object_get(s.head, "kind"));
    buf_printf(&text, "%-24s%s%s%s%s", id != NULL ? id : label, json_string_value(json_object_get(s.head, "name")),
               purpose != NULL && *purpose != '\0' ? ": " : "", purpose != NULL ? purpose : "",
               kind != NULL && strcmp(kind, "operation") == 0 ? " (operation: it changes something)" : "");
    print_line("  ", buf_str(&text));
    buf_free(&text);
    script_free(&s);
    return 0;
}

int cli_list_main(const cli_verb *verb, int argc, char **argv) {
    cli_words words;
    int code = words_or_exit(verb, argc, argv, &words);
    if (code >= 0) {
        return code;
    }
    size_t extra = json_array_size(words.operands);
    cli_words_free(&words);
    err e;
    if (extra > 0) {
        err_set(&e, "usage_operand", "list takes no argument");
        cli_say_error(&e);
        return EXIT_USAGE;
    }
    json_t *names = script_names(true, &e);
    if (names == NULL) {
        cli_say_error(&e);
        return EXIT_BROKEN;
    }
    int broken = 0;
    const char *folder = "";
    size_t i;
    const json_t *name;
    json_array_foreach(names, i, name) {
        if (signals_flag != 0) {
            break;
        }
        const char *label = json_string_value(name);
        const char *mine = strncmp(label, "gates/", 6) == 0 ? "Gates:" : "Scripts:";
        if (strcmp(mine, folder) != 0) {
            printf("%s%s\n", *folder != '\0' ? "\n" : "", mine);
            folder = mine;
        }
        /* The installed one, though a file of that name may lie in the working directory. */
        broken += list_one(label);
    }
    json_decref(names);
    return signals_flag != 0 ? signals_exit_code() : broken == 0 ? EXIT_PASS : EXIT_USAGE;
}
