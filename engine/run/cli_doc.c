/* cli_doc.c: `doc`: the reference in the terminal. Its only sources are those that editors and the checks read too: the
 * annotations in stdlib/ (LuaLS: https://luals.github.io/wiki/annotations/), the configuration's schema and the heads
 * of the installed gates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/config.h"
#include "run/script.h"

static const struct {
    const char *name, *file, *summary; /* file: below the installed tree; NULL: made here */
} TOPICS[] = {
    {"gate", "stdlib/gate.lua", "what a gate declares of itself"},
    {"ctx", "stdlib/meta/ctx.lua", "what run and recover are given: checks, findings, capabilities"},
    {"operation", "stdlib/meta/operation.lua",
     "what an operation declares, and what its run is given beside a gate's ctx"},
    {"suite", "stdlib/suite.lua", "several gates that run together"},
    {"db", "stdlib/meta/db.lua", "PostgreSQL: ctx.db.<role>"},
    {"http", "stdlib/meta/http.lua", "requests: ctx.http"},
    {"mail", "stdlib/meta/mail.lua", "mail over SMTP with TLS: ctx.mail"},
    {"store", "stdlib/meta/store.lua", "artifacts and files: ctx.store, ctx.files"},
    {"exec", "stdlib/meta/exec.lua", "declared commands: ctx.exec"},
    {"hash", "stdlib/meta/hash.lua", "digests, canonical JSON, signatures"},
    {"jose", "stdlib/meta/jose.lua", "signed tokens and their keys"},
    {"json", "stdlib/meta/json.lua", "strict JSON"},
    {"sql", "stdlib/meta/sql.lua", "PostgreSQL's grammar: trees, fingerprints"},
    {"task", "stdlib/meta/task.lua", "waiting side by side"},
    {"errors", "stdlib/errors.lua", "structured errors"},
    {"audit", "stdlib/meta/audit.lua", "tenant audits: the plan and the report"},
    {"roster", "stdlib/audit/roster.lua", "helpers of audits for roster plans"},
    {"routing", "stdlib/audit/routing.lua", "helpers of audits for routing plans"},
    {"testing", "stdlib/testing.lua", "specs of gates and audits"},
    {"config", NULL, "every key of gate-engine.conf.lua"},
    {"checks", NULL, "what the installed gates may find, and what to do then"},
    {"rights", NULL, "which rights gate 1 needs for what, and what it touches on a live database"},
    {"exit-codes", NULL, "what the exit codes mean"},
    {"man", NULL, "gate-engine(1) as roff, for man -l /dev/stdin"},
};
#define N_TOPICS (sizeof TOPICS / sizeof TOPICS[0])

static void list_topics(void) {
    printf("Topics:\n");
    for (size_t i = 0; i < N_TOPICS; i++) {
        printf("  %-12s%s\n", TOPICS[i].name, TOPICS[i].summary);
    }
    printf("\ngate-engine doc TOPIC shows one.\n");
}

/* One line of a comment, without its dashes: tags become words, fences of examples go. */
static void take_comment(const char *line, size_t n, buf *out) {
    static const struct {
        const char *tag, *word;
    } TAGS[] = {{"@param ", "    "},
                {"@field ", "    "},
                {"@return ", "    returns "},
                {"@class ", "\nTable "},
                {"@operator ", "    operator "}};
    if (n >= 6 && memcmp(line, " ```lua", n < 7 ? n : 7) == 0) {
        return;
    }
    if (n == 4 && memcmp(line, " ```", 4) == 0) {
        return;
    }
    if (n > 0 && line[0] == '@') {
        for (size_t i = 0; i < sizeof TAGS / sizeof TAGS[0]; i++) {
            size_t len = strlen(TAGS[i].tag);
            if (n >= len && memcmp(line, TAGS[i].tag, len) == 0) {
                buf_puts(out, TAGS[i].word);
                buf_append(out, line + len, n - len);
                buf_putc(out, '\n');
                return;
            }
        }
        return; /* @meta, @generic: for editors alone */
    }
    if (n > 0) {
        buf_puts(out, line[0] == ' ' ? "   " : "    ");
        buf_append(out, line, n);
    }
    buf_putc(out, '\n');
}

/* "function ctx:fail(class, fields) end" → "ctx:fail(class, fields)"; anything else is no heading. */
static size_t heading(const char *line, size_t n, const char **from) {
    static const char WORD[] = "function ";
    if (n < sizeof WORD || memcmp(line, WORD, sizeof WORD - 1) != 0) {
        return 0;
    }
    const char *close = memchr(line, ')', n);
    *from = line + sizeof WORD - 1;
    return close != NULL ? (size_t)(close + 1 - *from) : 0;
}

/* The documented parts of a Lua file, in order: each function's head before its text. */
static void render(const char *source, buf *out) {
    buf comment = BUF_INIT;
    while (*source != '\0') {
        size_t n = strcspn(source, "\n");
        const char *from;
        size_t len = heading(source, n, &from);
        if (n >= 3 && strncmp(source, "---", 3) == 0) {
            take_comment(source + 3, n - 3, &comment);
        } else {
            if (len > 0 && comment.len > 0) {
                buf_putc(out, '\n');
                buf_append(out, from, len);
                buf_putc(out, '\n');
            }
            buf_append(out, buf_str(&comment), comment.len);
            buf_reset(&comment);
        }
        source += n + (source[n] == '\n');
    }
    out->failed = out->failed || comment.failed;
    buf_free(&comment);
}

static int doc_file(const char *file, err *e) {
    const paths *tree = script_tree(e);
    char *path = tree != NULL ? fs_join(tree->share, file) : NULL;
    buf text = BUF_INIT, out = BUF_INIT;
    int rc = path != NULL ? fs_read(path, 1u << 20, &text, e) : err_set(e, "install_broken", "%s is not there", file);
    if (rc == 0) {
        render(buf_str(&text), &out);
        rc = out.failed ? err_set(e, "out_of_memory", "out of memory") : 0;
    }
    if (rc == 0) {
        const char *shown = buf_str(&out);
        printf("%s", shown + strspn(shown, "\n"));
    }
    free(path);
    buf_free(&text);
    buf_free(&out);
    return rc;
}

static int doc_config(err *e) {
    buf out = BUF_INIT;
    int rc = schema_describe(config_schema(), &out);
    if (rc == 0) {
        printf("gate-engine.conf.lua: return { … }. env \"NAME\" and file \"PATH\" bring in secrets.\n\n%s",
               buf_str(&out));
    }
    buf_free(&out);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
}

static void print_failures(const json_t *head) {
    printf("%s: %s\n", json_string_value(json_object_get(head, "id")),
           json_string_value(json_object_get(head, "name")));
    const char *class;
    json_t *failure;
    json_object_foreach(json_object_get((json_t *)head, "failures"), class, failure) {
        const char *fix = json_string_value(json_object_get(failure, "fix"));
        printf("  %s\n      %s\n", class, json_string_value(json_object_get(failure, "text")));
        if (fix != NULL) {
            printf("      fix: %s\n", fix);
        }
    }
}

static int doc_checks(err *e) {
    json_t *names = script_names(true, e);
    int rc = names != NULL ? 0 : -1;
    size_t i;
    const json_t *name;
    json_array_foreach(names, i, name) {
        script s;
        if (strncmp(json_string_value(name), "gates/", 6) != 0) {
            continue;
        }
        if (script_load(json_string_value(name), NULL, NULL, &s, e) != 0) {
            rc = -1;
            break;
        }
        print_failures(s.head);
        script_free(&s);
    }
    json_decref(names);
    return rc;
}

/* Text in roff (groff_man(7)): a backslash is \e, a dash that is typed is \-, a line begins with no control character.
 */
static void roff(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            printf("\\e");
        } else if (*text == '-') {
            printf("\\-");
        } else {
            putchar(*text);
        }
    }
}

static void roff_item(const char *name, const char *argument, const char *text) {
    printf(".TP\n.B ");
    roff(name);
    printf("%s", *argument != '\0' ? " " : "");
    roff(argument);
    printf("\n");
    roff(text);
    printf("\n");
}

static void doc_man(void) {
    printf(".TH GATE\\-ENGINE 1 \"\" \"gate\\-engine %s\"\n.SH NAME\ngate\\-engine \\- the gates a tenant passes "
           "before it "
           "goes live\n.SH SYNOPSIS\n.B gate\\-engine\nVERB …\n.SH VERBS\n",
           GE_VERSION);
    for (const cli_verb *v = CLI_VERBS; v->name != NULL; v++) {
        roff_item(v->name, v->usage, v->summary);
    }
    printf(".SH OPTIONS\n");
    for (const cli_flag *f = CLI_FLAGS; f->name != NULL; f++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", f->name);
        roff_item(name, f->argument != NULL ? f->argument : "", f->help);
    }
    printf(".SH TOPICS\n.B gate\\-engine doc\nTOPIC shows each of these.\n");
    for (size_t i = 0; i < N_TOPICS; i++) {
        roff_item(TOPICS[i].name, "", TOPICS[i].summary);
    }
    printf(".SH EXIT STATUS\n");
    roff(CLI_EXIT_CODES);
}

/* Other words for a topic, and what stands in one under a name of its own. */
static const struct {
    const char *word, *topic;
} WORDS[] = {{"context", "ctx"},          {"database", "db"},    {"postgres", "db"},     {"postgresql", "db"},
             {"connection", "db"},        {"endpoints", "http"}, {"request", "http"},    {"artifacts", "store"},
             {"stores", "store"},         {"files", "store"},    {"commands", "exec"},   {"command", "exec"},
             {"needs", "gate"},           {"options", "gate"},   {"failures", "gate"},   {"head", "gate"},
             {"recover", "ctx"},          {"run", "ctx"},        {"plan", "audit"},      {"report", "audit"},
             {"violation", "audit"},      {"history", "audit"},  {"helpers", "roster"},  {"spec", "testing"},
             {"configuration", "config"}, {"classes", "checks"}, {"exit", "exit-codes"}, {"error", "errors"}};

/* The function of this name ("check", "ctx:check", "roster.by_driver") in the file of a topic, as it is called there:
 * appended to out. */
static bool find_function(const char *file, const char *name, buf *out) {
    err ignored;
    const paths *tree = script_tree(&ignored);
    char *path = tree != NULL ? fs_join(tree->share, file) : NULL;
    buf text = BUF_INIT;
    const char *last = name + strlen(name);
    while (last > name && last[-1] != '.' && last[-1] != ':') {
        last--;
    }
    const char *line =
        path != NULL && *last != '\0' && fs_read(path, 1u << 20, &text, &ignored) == 0 ? buf_str(&text) : NULL;
    while (line != NULL && out->len == 0) {
        const char *from;
        size_t len = heading(line, strcspn(line, "\n"), &from);
        size_t head = len > 0 ? strcspn(from, "(") : 0, n = strlen(last);
        if (head > n && strncmp(from + head - n, last, n) == 0 && strchr(".:", from[head - n - 1]) != NULL) {
            buf_append(out, from, len);
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    buf_free(&text);
    free(path);
    return out->len > 0;
}

/* Where a word stands that is no topic. */
static int no_topic(const char *topic, const char *const *names, err *e) {
    int rc = cli_no_such(e, "there is no topic", topic, names, "gate-engine doc lists the topics");
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strcmp(WORDS[i].word, topic) == 0) {
            return err_fix(e, "gate-engine doc %s tells of it", WORDS[i].topic);
        }
    }
    for (size_t i = 0; i < N_TOPICS; i++) {
        buf call = BUF_INIT;
        if (TOPICS[i].file != NULL && find_function(TOPICS[i].file, topic, &call)) {
            err_fix(e, "gate-engine doc %s has %s", TOPICS[i].name, buf_str(&call));
            buf_free(&call);
            return rc;
        }
        buf_free(&call);
    }
    return rc;
}

static int doc_topic(const char *topic, err *e) {
    const char *names[N_TOPICS + 1];
    for (size_t i = 0; i < N_TOPICS; i++) {
        names[i] = TOPICS[i].name;
        if (strcmp(topic, TOPICS[i].name) != 0) {
            continue;
        }
        if (TOPICS[i].file != NULL) {
            return doc_file(TOPICS[i].file, e);
        }
        if (strcmp(topic, "config") == 0) {
            return doc_config(e);
        }
        if (strcmp(topic, "checks") == 0) {
            return doc_checks(e);
        }
        if (strcmp(topic, "man") == 0) {
            doc_man();
        } else if (strcmp(topic, "rights") == 0) {
            printf("%s", CLI_DOC_RIGHTS);
        } else {
            printf("%s", CLI_EXIT_CODES);
        }
        return 0;
    }
    names[N_TOPICS] = NULL;
    return no_topic(topic, names, e);
}

static int doc(const cli_words *words, err *e) {
    int rc = 0;
    size_t n = json_array_size(words->operands);
    if (n == 0) {
        list_topics();
    } else if (n > 1) {
        rc = err_set(e, "usage_operand", "doc takes one topic");
    } else {
        rc = doc_topic(json_string_value(json_array_get(words->operands, 0)), e);
    }
    return rc == 0 ? EXIT_PASS : EXIT_USAGE;
}

int cli_doc_main(const cli_verb *verb, int argc, char **argv) {
    return cli_act(verb, argc, argv, doc);
}
