/* cli_flags.c: the engine's flags as data, and reading them.
 *
 * getopt_long does the reading: it is in libc, does what users of GNU tools expect ("--x=v", "--", any order), and
 * costs no dependency. What it does not do is put right here: abbreviated names are refused (a flag added later must
 * not change what a script in CI means), and so is a flag that is given twice with one meaning. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "run/cli_parts.h"
#include "run/options.h"
#include "run/report.h"
#include "run/script.h"

#define RUNS (VERB_RUN | VERB_RECOVER)
#define ALL (~0u)
#define FLAGS_MAX 256
#define SHOWN_MAX 80

const cli_flag CLI_FLAGS[] = {
    {"tenant", "CODE", false, RUNS | VERB_EVIDENCE,
     "the tenant; on the embedded platform \"demo\" when it is not given"},
    {"config", "FILE", false, RUNS | VERB_CHECK | VERB_EVIDENCE | VERB_VERIFY,
     "configuration, instead of the one that is found"},
    {"only", "NAME,…", true, RUNS, "only these checks or groups of checks; never approves"},
    {"verbose", NULL, false, RUNS, "show every check"},
    {"trace", NULL, false, RUNS, "show each query, request, store call and command, with its time"},
    {"report", "FORMAT=FILE", true, RUNS,
     "write a report: json, junit, sarif, markdown, tap, html or github; \"-\" is standard output"},
    {"baseline", "FILE", false, VERB_RUN,
     "an earlier JSON report: only findings that are not in it fail; never approves"},
    {"schema", "FILE", false, RUNS,
     "gate 1: make a scratch copy of this schema (pg_dump --schema-only, or DDL) and run there; never approves"},
    {"migrations", "DIR", false, RUNS,
     "gate 1: as --schema, from the *.sql files of a directory, in the order of names"},
    {"against", "FILE|DIR", false, VERB_RUN,
     "with --schema or --migrations: the schema before; only findings that it does not have fail"},
    {"app-role", "NAME", false, RUNS, "scratch copy: the application's role, instead of database.app's"},
    {"tenant-column", "NAME", false, RUNS, "scratch copy: the tenant column, instead of database.tenant.column"},
    {"tenant-setting", "NAME", false, RUNS, "scratch copy: the tenant setting, instead of database.tenant.setting"},
    {"strict", NULL, false, RUNS, "advisories fail the run"},
    {"jobs", "N", false, RUNS, "gates, and runs of a solver, that go side by side; default: by processors"},
    {"repeat", "N", false, VERB_RUN, "run each gate N times; one that does not pass each time is FLAKY"},
    {"timeout", "SECONDS", false, RUNS,
     "most a gate may take, and the run before its gates; default: limits.wall_s of the configuration, 300"},
    {"require-sandbox", NULL, false, RUNS, "refuse to run where the kernel cannot contain scripts"},
    {"stdlib", "DIR", false, RUNS, "another standard library; never approves"},
    {"dry-run", NULL, false, RUNS, "operations and recover: show what would be done"},
    {"apply", NULL, false, VERB_RECOVER, "do what was proposed, then run the gate again"},
    {"record", "FILE", false, VERB_RUN,
     "record the statements that come through a proxy, of the command after -- or until Ctrl-C; then look at them"},
    {"listen", "HOST:PORT|PATH", false, VERB_RUN,
     "where --record waits for clients; default: a free port of 127.0.0.1"},
    {"plan", "FILE|DIR", false, VERB_RUN, "audits: the saved plan that is looked at"},
    {"pack", "roster|routing", false, VERB_NEW, "audits: the pack whose plans it looks at; default: roster"},
    {"url", "URL", false, VERB_INIT, "the database: postgresql://user@host:port/database"},
    {"output", "FILE", false, VERB_INIT | VERB_EVIDENCE,
     "the file to write; default: gate-engine.conf.lua, for keygen gate-engine.key; for export a directory"},
    {"ledger", "FILE", false, VERB_EVIDENCE, "the ledger, instead of the configuration's"},
    {"since", "DATE", false, VERB_EVIDENCE, "only what is not older, such as 2027-01-31 or 2027-01-31T12:00:00Z (UTC)"},
    {"csv", NULL, false, VERB_EVIDENCE, "export: as CSV instead of JSON lines"},
    {"key", "FILE", true, VERB_VERIFY, "a public key that is trusted (PEM), instead of the configuration's"},
    {"connect", NULL, false, VERB_CHECK,
     "also connect: server, TLS, poolers, and whether the configuration's roles have the rights a script needs"},
    {"help", NULL, false, ALL, "this text; after a script also its options"},
    {NULL, NULL, false, 0, NULL}};

/* What a getopt value means: an engine flag or a script's option. */
typedef struct known {
    struct option list[FLAGS_MAX + 1];
    char *names[FLAGS_MAX];        /* owned: spelling of script options */
    const char *option[FLAGS_MAX]; /* the option's name in the head, NULL for an engine flag */
    bool repeated[FLAGS_MAX];
    size_t n;
} known;

static const cli_flag *find_flag(const char *name, size_t len, unsigned verbs) {
    for (const cli_flag *f = CLI_FLAGS; f->name != NULL; f++) {
        if (strlen(f->name) == len && memcmp(f->name, name, len) == 0 && (f->verbs & verbs) != 0) {
            return f;
        }
    }
    return NULL;
}

static void known_free(known *k) {
    for (size_t i = 0; i < k->n; i++) {
        free(k->names[i]);
    }
}

static int known_fill(known *k, const cli_verb *verb, const json_t *options, err *e) {
    *k = (known){.n = 0};
    for (const cli_flag *f = CLI_FLAGS; f->name != NULL; f++) {
        if ((f->verbs & verb->id) != 0) {
            k->repeated[k->n] = f->repeated;
            k->list[k->n] = (struct option){f->name, f->argument != NULL ? required_argument : no_argument, NULL,
                                            (int)(256 + k->n)};
            k->n++;
        }
    }
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)options, name, spec) {
        buf flag = BUF_INIT;
        options_flag(name, &flag);
        char *spelling = buf_steal(&flag);
        if (spelling == NULL || k->n == FLAGS_MAX) {
            free(spelling);
            return err_set(e, "usage_flag", "the script declares more options than can be read");
        }
        const char *type = json_string_value(json_object_get(spec, "type"));
        bool boolean = type != NULL && strcmp(type, "boolean") == 0;
        k->names[k->n] = spelling;
        k->option[k->n] = name;
        k->repeated[k->n] = json_is_true(json_object_get(spec, "multiple"));
        k->list[k->n] =
            (struct option){spelling + 2, boolean ? optional_argument : required_argument, NULL, (int)(256 + k->n)};
        k->n++;
    }
    return 0;
}

static void say_word(buf *b, const char *word) {
    text_sanitise(b, word, strlen(word), SHOWN_MAX, false);
}

static int unknown_flag(const known *k, const cli_verb *verb, const char *word, err *e) {
    const char *names[FLAGS_MAX + 1];
    for (size_t i = 0; i < k->n; i++) {
        names[i] = k->list[i].name;
    }
    names[k->n] = NULL;
    buf name = BUF_INIT, shown = BUF_INIT;
    const char *start = word + strspn(word, "-");
    buf_append(&name, start, strcspn(start, "="));
    say_word(&shown, word);
    err_set(e, "usage_flag", "%s: unknown option \"%s\"", verb->name, buf_str(&shown));
    const char *near = text_suggest(buf_str(&name), names);
    const cli_flag *elsewhere = find_flag(buf_str(&name), name.len, ALL);
    if (near == NULL && name.len >= 3) { /* an abbreviation: further off than a misspelling, but as clear */
        for (size_t i = 0; i < k->n && near == NULL; i++) {
            near = strncmp(names[i], buf_str(&name), name.len) == 0 ? names[i] : NULL;
        }
    }
    if (near != NULL) {
        err_fix(e, "did you mean \"--%s\"?", near);
    } else if (elsewhere != NULL) {
        err_fix(e, "--%s belongs to gate-engine %s", elsewhere->name,
                (elsewhere->verbs & VERB_RUN) != 0 ? "run" : "recover");
    } else {
        bool runs = (verb->id & RUNS) != 0;
        err_fix(e, "gate-engine %s %s--help shows what there is", verb->name, runs ? "SCRIPT " : "");
    }
    buf_free(&name);
    buf_free(&shown);
    return -1;
}

/* The element of argv which getopt_long just read an option from. */
static const char *option_word(char **argv) {
    bool apart = optarg != NULL && optind >= 2 && optarg == argv[optind - 1];
    return argv[apart ? optind - 2 : optind - 1];
}

static bool is_exact(const char *word, const char *name) {
    size_t n = strlen(name);
    return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, n) == 0 &&
           (word[2 + n] == '\0' || word[2 + n] == '=');
}

static int not_text(const char *name, err *e) {
    err_set(e, "usage_flag_value", "--%s: the value is not UTF-8 text", name);
    return err_fix(e, "give it in UTF-8");
}

/* Adds one occurrence of flag i. */
static int take(const known *k, size_t i, cli_words *out, err *e) {
    json_t *table = k->option[i] != NULL ? out->options : out->flags;
    const char *name = k->option[i] != NULL ? k->option[i] : k->list[i].name;
    json_t *list = json_object_get(table, name);
    if (list != NULL && !k->repeated[i]) {
        err_set(e, "usage_flag", "--%s is given twice", k->list[i].name);
        return err_fix(e, "give it once");
    }
    if (list == NULL) {
        list = json_array();
        if (json_object_set_new(table, name, list) != 0) {
            return err_set(e, "out_of_memory", "out of memory");
        }
    }
    const char *text = optarg;
    if (text == NULL && k->option[i] != NULL) {
        text = "true"; /* a boolean option without a value */
    }
    return text == NULL || json_array_append_new(list, json_string(text)) == 0 ? 0 : not_text(k->list[i].name, e);
}

static int operand(const char *text, json_t *into, err *e) {
    if (json_array_append_new(into, json_string(text)) != 0) {
        err_set(e, "usage_operand", "an argument is not UTF-8 text");
        return err_fix(e, "give it in UTF-8");
    }
    return 0;
}

static int wrong_argument(const known *k, const cli_verb *verb, int c, char **argv, err *e) {
    if (optopt < 256 || (size_t)(optopt - 256) >= k->n) {
        char dashed[3] = {'-', (char)optopt, '\0'};
        const char *word = argv[optind - 1];
        return unknown_flag(k, verb, optopt > 0 && optopt < 128 ? dashed : word, e);
    }
    const char *name = k->list[optopt - 256].name;
    if (!is_exact(argv[optind - 1], name)) {
        return unknown_flag(k, verb, argv[optind - 1], e);
    }
    if (c == ':') {
        err_set(e, "usage_flag_value", "--%s: expected a value, found nothing", name);
        return err_fix(e, "gate-engine %s --help shows what it takes", verb->name);
    }
    err_set(e, "usage_flag_value", "--%s takes no value", name);
    return err_fix(e, "write --%s", name);
}

static int parse(const known *k, const cli_verb *verb, int argc, char **argv, cli_words *out, err *e) {
    opterr = 0;
    optind = 0; /* glibc: start anew */
    int c;
    /* "-": operands come in order, as options with value 1; ":": a missing value is told apart. */
    while ((c = getopt_long(argc, argv, "-:h", k->list, NULL)) != -1) {
        if (c == '?' || c == ':') {
            return wrong_argument(k, verb, c, argv, e);
        }
        int rc;
        if (c == 1) {
            rc = operand(optarg, out->operands, e);
        } else if (c == 'h') {
            rc = json_object_set_new(out->flags, "help", json_array());
        } else {
            size_t i = (size_t)(c - 256);
            rc = is_exact(option_word(argv), k->list[i].name) ? take(k, i, out, e)
                                                              : unknown_flag(k, verb, option_word(argv), e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    bool command = verb->id == VERB_RUN && json_array_size(out->operands) > 0; /* what follows "--" */
    for (; optind < argc; optind++) {
        if (operand(argv[optind], command ? out->command : out->operands, e) != 0) {
            return -1;
        }
    }
    return 0;
}

int cli_parse(const cli_verb *verb, int argc, char **argv, const json_t *options, cli_words *out, err *e) {
    *out = (cli_words){json_object(), json_object(), json_array(), json_array()};
    known k;
    bool made = out->flags != NULL && out->options != NULL && out->operands != NULL && out->command != NULL;
    int rc = made ? known_fill(&k, verb, options, e) : err_set(e, "out_of_memory", "out of memory");
    if (made) {
        rc = rc == 0 ? parse(&k, verb, argc, argv, out, e) : rc;
        known_free(&k);
    }
    if (rc != 0) {
        cli_words_free(out);
    }
    return rc;
}

void cli_words_free(cli_words *w) {
    json_decref(w->flags);
    json_decref(w->options);
    json_decref(w->operands);
    json_decref(w->command);
    *w = (cli_words){0};
}

const char *cli_text(const cli_words *w, const char *flag) {
    return json_string_value(json_array_get(json_object_get(w->flags, flag), 0));
}

bool cli_given(const cli_words *w, const char *flag) {
    return json_object_get(w->flags, flag) != NULL;
}

/* ---- looking ahead ---- */

bool cli_peek(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if ((strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, flag) == 0) ||
            (strcmp(flag, "help") == 0 && strcmp(argv[i], "-h") == 0)) {
            return true;
        }
    }
    return false;
}

/* The value of `flag` at argv[*i], or NULL; moves *i over a value that stands apart. */
static const char *value_at(int argc, char **argv, int *i, const char *flag) {
    if (strncmp(argv[*i], "--", 2) != 0 || !is_exact(argv[*i], flag)) {
        return NULL;
    }
    const char *equals = strchr(argv[*i], '=');
    if (equals != NULL) {
        return equals + 1;
    }
    return *i + 1 < argc ? argv[++*i] : NULL;
}

const char *cli_peek_value(int argc, char **argv, const char *flag) {
    const char *found = NULL;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = value_at(argc, argv, &i, flag);
        found = value != NULL ? value : found;
    }
    return found;
}

json_t *cli_peek_reports(int argc, char **argv) {
    json_t *targets = json_array();
    for (int i = 1; targets != NULL && i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = value_at(argc, argv, &i, "report");
        err ignored;
        json_t *target = value != NULL ? cli_report_target(value, &ignored) : NULL;
        if (target != NULL) {
            json_array_append_new(targets, target);
        }
    }
    return targets;
}

const char *cli_peek_script(const cli_verb *verb, int argc, char **argv) {
    const char *weak = NULL; /* follows an option that only a script could know: its value, or the script */
    bool after_unknown = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0) {
            return i + 1 < argc ? argv[i + 1] : weak;
        }
        if (*word == '-' && word[1] != '\0') {
            const char *name = word + strspn(word, "-");
            size_t n = strcspn(name, "=");
            const cli_flag *f = find_flag(name, n, verb->id);
            bool apart = name[n] != '=';
            after_unknown = f == NULL && apart && strcmp(word, "-h") != 0;
            i += f != NULL && f->argument != NULL && apart;
            continue;
        }
        if (!after_unknown) {
            return word;
        }
        char *path = NULL;
        err ignored;
        if (weak == NULL && script_find(word, NULL, &path, &ignored) == 0) {
            weak = word;
        }
        free(path);
        after_unknown = false;
    }
    return weak;
}

/* ---- reports ---- */

static bool dir_is_there(const char *file) {
    char *dir = fs_dirname(file);
    bool there = dir != NULL && fs_is_dir(dir);
    free(dir);
    return there;
}

json_t *cli_report_target(const char *text, err *e) {
    buf shown = BUF_INIT, format = BUF_INIT;
    const char *equals = strchr(text, '=');
    json_t *target = NULL;
    say_word(&shown, text);
    buf_append(&format, text, equals != NULL ? (size_t)(equals - text) : strlen(text));
    bool known_format = false;
    for (const char *const *f = REPORT_FORMATS; *f != NULL; f++) {
        known_format = known_format || strcmp(*f, buf_str(&format)) == 0;
    }
    if (equals == NULL || equals[1] == '\0') {
        err_set(e, "usage_report", "--report: expected FORMAT=FILE, found \"%s\"", buf_str(&shown));
        err_fix(e, "for example --report json=report.json; --report json=- is standard output");
    } else if (!known_format) {
        err_set(e, "usage_report", "--report: unknown format in \"%s\"", buf_str(&shown));
        const char *near = text_suggest(buf_str(&format), REPORT_FORMATS);
        err_fix(e,
                near != NULL ? "did you mean \"%s\"?"
                             : "formats are json, junit, sarif, markdown, tap, html and github%s",
                near != NULL ? near : "");
    } else if (strcmp(equals + 1, "-") != 0 && !dir_is_there(equals + 1)) {
        err_set(e, "usage_report", "--report: there is no directory for the file of \"%s\"", buf_str(&shown));
        err_fix(e, "make the directory first, or name a file elsewhere");
    } else {
        target = json_pack("{s:s, s:s}", "format", buf_str(&format), "file", equals + 1);
        if (target == NULL) {
            not_text("report", e);
        }
    }
    buf_free(&shown);
    buf_free(&format);
    return target;
}
