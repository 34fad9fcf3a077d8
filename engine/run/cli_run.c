/* cli_run.c: `run` and `recover`: from words to a run_request. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "prim/ring.h"
#include "run/baseline.h"
#include "run/child.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/config.h"
#include "run/engine.h"
#include "run/integrity.h"
#include "run/options.h"
#include "run/report.h"
#include "run/script.h"
#include "run/signals.h"

#define GATES_MAX 256
#define JOBS_MAX 64
#define REPEAT_MAX 1000
#define TIMEOUT_MAX 86400.0

/* Everything a run needs, in one place, so that every way out frees it. */
typedef struct job {
    const cli_verb *verb;
    script main;    /* what was named */
    script *gates;  /* owned; of a suite, else NULL */
    size_t n;       /* gates in it */
    json_t *union_; /* options of all gates: what the command line may set */
    cli_words words;
    config *cfg;
    run_request r;
} job;

static void job_free(job *j) {
    script_free(&j->main);
    for (size_t i = 0; i < j->n; i++) {
        script_free(&j->gates[i]);
    }
    free(j->gates);
    json_decref(j->union_);
    cli_words_free(&j->words);
    config_free(j->cfg);
    free(j->r.script);
    free(j->r.tenant);
    free(j->r.stdlib_dir);
    free(j->r.plan_path);
    json_decref(j->r.baseline);
    free(j->r.stamp);
    json_decref(j->r.record);
    json_decref(j->r.scratch);
    json_decref(j->r.against);
    json_decref(j->r.only);
    json_decref(j->r.gates);
    json_decref(j->r.reports);
}

static const char *kind_of(const script *s) {
    return json_string_value(json_object_get(s->head, "kind"));
}

static bool is_kind(const script *s, const char *kind) {
    return strcmp(kind_of(s), kind) == 0;
}

static int usage(err *e, const char *fix, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int usage(err *e, const char *fix, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    err_vset(e, "usage_flag", fmt, ap);
    va_end(ap);
    return err_fix(e, "%s", fix);
}

/* ---- scripts ---- */

/* One option more in the union. Gates of a suite may share an option, but then must mean the same type by it. */
static int add_option(job *j, const char *name, json_t *spec, const script *from, err *e) {
    const json_t *had = json_object_get(j->union_, name);
    if (had != NULL && (!json_equal(json_object_get(had, "type"), json_object_get(spec, "type")) ||
                        !json_equal(json_object_get(had, "multiple"), json_object_get(spec, "multiple")))) {
        err_set(e, "head_suite", "%s: %s declares the option \"%s\" with another type than a gate before it",
                j->main.label, from->label, name);
        return err_fix(e, "give the option one type, or two names");
    }
    return had != NULL || json_object_set(j->union_, name, spec) == 0 ? 0
                                                                      : err_set(e, "out_of_memory", "out of memory");
}

static int add_options(job *j, const script *s, err *e) {
    const char *name;
    json_t *spec;
    json_object_foreach(json_object_get(s->head, "options"), name, spec) {
        if (add_option(j, name, spec, s, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int load_gates(job *j, err *e) {
    const json_t *names = json_object_get(j->main.head, "gates");
    size_t count = json_array_size(names), i;
    if (count > GATES_MAX) {
        return err_set(e, "head_suite", "%s: expected at most %d gates, found %zu", j->main.label, GATES_MAX, count);
    }
    j->gates = calloc(count, sizeof *j->gates);
    char *dir = fs_dirname(j->main.path);
    json_t *seen = json_object();
    int rc = j->gates != NULL && dir != NULL && seen != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    const json_t *name;
    json_array_foreach(names, i, name) {
        if (rc != 0) {
            break;
        }
        rc = script_load(json_string_value(name), dir, j->r.stdlib_dir, &j->gates[j->n], e);
        if (rc == 0) {
            const script *gate = &j->gates[j->n++];
            if (!is_kind(gate, "gate")) {
                err_set(e, "head_suite", "%s: gates[%zu]: expected a gate, found one of kind \"%s\": %s", j->main.label,
                        i + 1, kind_of(gate), gate->label);
                rc = err_fix(e, "a suite holds gates only");
            } else {
                rc = script_note_gate(seen, j->main.label, i + 1, gate, e) == 0 ? add_options(j, gate, e) : -1;
            }
        }
    }
    json_decref(seen);
    free(dir);
    return rc;
}

/* --stdlib must be known before anything is loaded. */
static int set_stdlib(job *j, int argc, char **argv, err *e) {
    const char *dir = cli_peek_value(argc, argv, "stdlib");
    if (dir == NULL) {
        return 0;
    }
    j->r.stdlib_dir = realpath(dir, NULL);
    if (j->r.stdlib_dir == NULL || !fs_is_dir(j->r.stdlib_dir)) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, dir, strlen(dir), 200, false);
        usage(e, "name the directory that holds gate.lua", "--stdlib: expected a directory, found \"%s\"",
              buf_str(&shown));
        buf_free(&shown);
        return -1;
    }
    return 0;
}

static int load_script(job *j, int argc, char **argv, err *e) {
    const char *name = cli_peek_script(j->verb, argc, argv);
    if (name == NULL) {
        cli_words words; /* a mistake before the script is the better message */
        if (cli_parse(j->verb, argc, argv, NULL, &words, e) != 0) {
            return -1;
        }
        cli_words_free(&words);
        return usage(e, "name one; gate-engine list shows what there is", "%s: expected a script, found none",
                     j->verb->name);
    }
    j->union_ = json_object();
    if (j->union_ == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (set_stdlib(j, argc, argv, e) != 0 || script_load(name, NULL, j->r.stdlib_dir, &j->main, e) != 0) {
        return -1;
    }
    return is_kind(&j->main, "suite") ? load_gates(j, e) : add_options(j, &j->main, e);
}

/* ---- flags ---- */

static int set_tenant(job *j, err *e) {
    const char *code = cli_text(&j->words, "tenant");
    if (code != NULL && !text_is_code(code)) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, code, strlen(code), 80, false);
        usage(e, "tenant codes start with a letter or digit and go on with at most 62 letters, digits, _ or -",
              "--tenant: expected a tenant code ([A-Za-z0-9][A-Za-z0-9_-]{0,62}), found \"%s\"", buf_str(&shown));
        buf_free(&shown);
        return -1;
    }
    if (code != NULL) {
        j->r.tenant = strdup(code);
        return j->r.tenant != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    }
    return 0;
}

/* Without --tenant: the embedded platform has one of its own, elsewhere nobody can guess. */
static int default_tenant(job *j, err *e) {
    if (j->r.tenant != NULL || is_kind(&j->main, "audit")) {
        return 0;
    }
    if (j->r.scratch == NULL && strcmp(json_string_value(json_object_get(j->cfg->doc, "platform")), "embedded") != 0) {
        return usage(e, "add --tenant CODE", "expected --tenant on an external platform, found none");
    }
    j->r.tenant = strdup(ENGINE_DEMO_TENANT);
    return j->r.tenant != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
}

/* A whole number from 1 to `most`; `otherwise` where the flag is not given. -1 with *e. */
static int whole_number(const job *j, const char *flag, int most, int otherwise, const char *fix, err *e) {
    const char *text = cli_text(&j->words, flag);
    if (text == NULL) {
        return otherwise;
    }
    long n = *text != '\0' && strspn(text, "0123456789") == strlen(text) ? strtol(text, NULL, 10) : 0;
    if (n < 1 || n > most) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, text, strlen(text), 40, false);
        usage(e, fix, "--%s: expected a whole number from 1 to %d, found \"%s\"", flag, most, buf_str(&shown));
        buf_free(&shown);
        return -1;
    }
    return (int)n;
}

static int set_numbers(job *j, err *e) {
    const char *timeout = cli_text(&j->words, "timeout");
    char *end = NULL;
    j->r.jobs = whole_number(j, "jobs", JOBS_MAX, 0, "--jobs 1 runs one gate at a time", e);
    if (j->r.jobs < 0) {
        return -1;
    }
    j->r.repeat = whole_number(j, "repeat", REPEAT_MAX, 1, "--repeat 3 runs each gate three times", e);
    if (j->r.repeat < 0) {
        return -1;
    }
    if (timeout != NULL) {
        bool plain = *timeout != '\0' && strspn(timeout, "0123456789.") == strlen(timeout);
        double s = plain ? strtod(timeout, &end) : 0;
        if (!plain || *end != '\0' || !(s > 0) || s > TIMEOUT_MAX) {
            buf shown = BUF_INIT;
            text_sanitise(&shown, timeout, strlen(timeout), 40, false);
            usage(e, "--timeout 60 gives each gate a minute",
                  "--timeout: expected seconds above 0 and at most %.0f, found \"%s\"", TIMEOUT_MAX, buf_str(&shown));
            buf_free(&shown);
            return -1;
        }
        j->r.timeout_s = s;
    }
    return 0;
}

static int add_names(json_t *only, const char *text, err *e) {
    while (true) {
        size_t n = strcspn(text, ",");
        const char *name = text;
        size_t len = n;
        for (; len > 0 && *name == ' '; len--) {
            name++;
        }
        for (; len > 0 && name[len - 1] == ' '; len--) {
        }
        if (len == 0) {
            return usage(e, "for example --only coverage,isolation",
                         "--only: expected names with commas between them, found an empty name");
        }
        if (json_array_append_new(only, json_stringn(name, len)) != 0) {
            return err_set(e, "out_of_memory", "out of memory");
        }
        if (text[n] == '\0') {
            return 0;
        }
        text += n + 1;
    }
}

static int set_only(job *j, err *e) {
    const json_t *texts = json_object_get(j->words.flags, "only"), *text;
    if (texts == NULL) {
        return 0;
    }
    j->r.only = json_array();
    size_t i;
    json_array_foreach(texts, i, text) {
        if (add_names(j->r.only, json_string_value(text), e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int set_reports(job *j, err *e) {
    j->r.reports = json_array();
    size_t i, on_stdout = 0;
    const json_t *text;
    json_array_foreach(json_object_get(j->words.flags, "report"), i, text) {
        json_t *target = cli_report_target(json_string_value(text), e);
        if (target == NULL || json_array_append(j->r.reports, target) != 0) {
            json_decref(target);
            return -1;
        }
        on_stdout += strcmp(json_string_value(json_object_get(target, "file")), "-") == 0;
        json_decref(target);
    }
    return on_stdout > 1 ? usage(e, "send one of them to a file",
                                 "--report: expected at most one report on standard output, found %zu", on_stdout)
                         : 0;
}

static int set_plan(job *j, err *e) {
    const char *plan = cli_text(&j->words, "plan");
    if (plan == NULL) {
        return 0;
    }
    j->r.plan_path = realpath(plan, NULL);
    if (j->r.plan_path == NULL) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, plan, strlen(plan), 200, false);
        usage(e, "name an audit-plan.json, or the directory that --artifacts wrote",
              "--plan: there is no file or directory \"%s\"", buf_str(&shown));
        buf_free(&shown);
        return -1;
    }
    return 0;
}

static int set_baseline(job *j, err *e) {
    const char *path = cli_text(&j->words, "baseline");
    if (path == NULL) {
        return 0;
    }
    j->r.baseline = baseline_read(path, j->r.tenant, e);
    return j->r.baseline != NULL ? 0 : -1;
}

static bool declares_recording(const json_t *head) {
    return json_object_get(json_object_get(head, "options"), "recording") != NULL;
}

/* The file need not be there yet; its directory must. New memory, or NULL. */
static char *absolute(const char *file) {
    char *dir = fs_dirname(file);
    char *real = dir != NULL ? realpath(dir, NULL) : NULL;
    const char *slash = strrchr(file, '/');
    const char *name = slash != NULL ? slash + 1 : file;
    char *path = real != NULL && *name != '\0' && !fs_is_dir(file) ? fs_join(real, name) : NULL;
    free(dir);
    free(real);
    return path;
}

static int set_record(job *j, err *e) {
    const char *file = cli_text(&j->words, "record");
    if (file == NULL) {
        return cli_given(&j->words, "listen") ? usage(e, "add --record FILE", "--listen belongs to --record")
               : json_array_size(j->words.command) == 0
                   ? 0
                   : usage(e, "add --record FILE, or leave the words after -- away",
                           "%s: expected one script, found a command after -- that nothing records", j->verb->name);
    }
    if (json_object_get(j->union_, "recording") == NULL) {
        return usage(e, "record for gates/rls_harness.lua", "--record: %s looks at no recording", j->main.label);
    }
    if (json_object_get(j->words.options, "recording") != NULL) {
        return usage(e, "give one of them", "--record and --recording contradict each other");
    }
    char *path = absolute(file);
    if (path == NULL) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, file, strlen(file), 200, false);
        usage(e, "name a file in a directory that is there", "--record: \"%s\" cannot be written", buf_str(&shown));
        buf_free(&shown);
        return -1;
    }
    j->r.record = json_pack("{s:s, s:s?, s:O}", "file", path, "listen", cli_text(&j->words, "listen"), "command",
                            j->words.command);
    free(path);
    return j->r.record != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
}

/* The configuration's recording, for gates that look at one and were given none. */
static void default_recording(const job *j) {
    const char *path = json_string_value(json_object_get(j->cfg->doc, "recording"));
    size_t i;
    json_t *gate;
    json_array_foreach(j->r.gates, i, gate) {
        json_t *options = json_object_get(gate, "options");
        if (path != NULL && j->r.record == NULL && declares_recording(json_object_get(gate, "head")) &&
            json_object_get(options, "recording") == NULL) {
            json_object_set_new(options, "recording", json_pack("{s:s, s:s}", "path", path, "access", "read"));
        }
    }
}

/* Flags that have no meaning for this kind of script would be ignored silently: they are refused. */
static int check_kind(const job *j, err *e) {
    bool audit = is_kind(&j->main, "audit"), operation = is_kind(&j->main, "operation");
    const char *label = j->main.label;
    if (j->verb->id == VERB_RECOVER && !is_kind(&j->main, "gate")) {
        return usage(e, "name one gate, such as gates/rls_harness.lua",
                     "%s is no gate: only gates have a recovery path", label);
    }
    if (j->verb->id == VERB_RECOVER && !json_is_true(json_object_get(j->main.head, "has_recover"))) {
        const char *runbook = json_string_value(json_object_get(j->main.head, "runbook"));
        return usage(e, runbook != NULL ? runbook : "ask its owner", "%s declares no recovery path", label);
    }
    if (audit && !cli_given(&j->words, "plan")) {
        return usage(e, "add --plan FILE, an audit-plan.json or the directory that --artifacts wrote",
                     "%s is a tenant audit: expected --plan, found none", label);
    }
    if (!audit && cli_given(&j->words, "plan")) {
        return usage(e, "leave it away", "--plan belongs to tenant audits, and %s is none", label);
    }
    if (j->verb->id == VERB_RUN && !operation && cli_given(&j->words, "dry-run")) {
        return usage(e, "leave it away: gates change nothing", "--dry-run belongs to operations, and %s is none",
                     label);
    }
    static const char *const OF_GATES[] = {"only", "baseline", "repeat"};
    for (size_t i = 0; i < sizeof OF_GATES / sizeof OF_GATES[0] && (operation || audit); i++) {
        if (cli_given(&j->words, OF_GATES[i])) {
            return usage(e, "leave it away", "--%s belongs to gates, and %s is none", OF_GATES[i], label);
        }
    }
    if (cli_given(&j->words, "apply") && cli_given(&j->words, "dry-run")) {
        return usage(e, "give one of them", "--apply and --dry-run contradict each other");
    }
    return 0;
}

static int read_flags(job *j, int argc, char **argv, err *e) {
    if (cli_parse(j->verb, argc, argv, j->union_, &j->words, e) != 0) {
        return -1;
    }
    if (json_array_size(j->words.operands) > 1) {
        const char *extra = json_string_value(json_array_get(j->words.operands, 1));
        buf shown = BUF_INIT;
        text_sanitise(&shown, extra, strlen(extra), 80, false);
        usage(e, "run one script at a time; a suite runs several gates", "%s: expected one script, found \"%s\" too",
              j->verb->name, buf_str(&shown));
        buf_free(&shown);
        return -1;
    }
    j->r.verbose = cli_given(&j->words, "verbose");
    j->r.trace = cli_given(&j->words, "trace");
    j->r.strict = cli_given(&j->words, "strict");
    j->r.dry_run = cli_given(&j->words, "dry-run");
    j->r.apply = cli_given(&j->words, "apply");
    if (set_reports(j, e) != 0 || set_tenant(j, e) != 0 || set_numbers(j, e) != 0 || set_only(j, e) != 0 ||
        set_plan(j, e) != 0 || set_record(j, e) != 0 ||
        cli_scratch(&j->words, j->main.label, !is_kind(&j->main, "suite") && declares_recording(j->main.head), &j->r,
                    e) != 0) {
        return -1;
    }
    return check_kind(j, e);
}

/* ---- the request ---- */

/* What was given on the command line for the options this gate declares, as values. NULL with *e. */
static json_t *given_values(const job *j, const json_t *declared, err *e) {
    json_t *given = json_object();
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)declared, name, spec) {
        const json_t *texts = json_object_get(j->words.options, name), *text;
        size_t i;
        bool multiple = json_is_true(json_object_get(spec, "multiple"));
        json_array_foreach(texts, i, text) {
            json_t *value = options_parse(name, spec, json_string_value(text), e);
            if (value == NULL) {
                json_decref(given);
                return NULL;
            }
            if (!multiple) {
                json_object_set_new(given, name, value);
                continue;
            }
            if (json_object_get(given, name) == NULL) {
                json_object_set_new(given, name, json_array());
            }
            json_array_append_new(json_object_get(given, name), value);
        }
    }
    if (given == NULL) {
        err_set(e, "out_of_memory", "out of memory");
    }
    return given;
}

static int add_gate(job *j, const script *s, err *e) {
    json_t *given = given_values(j, json_object_get(s->head, "options"), e);
    json_t *options = given != NULL ? options_resolve(s->head, given, e) : NULL;
    json_decref(given);
    if (options == NULL) {
        return -1;
    }
    json_t *gate = json_pack("{s:O, s:O, s:o, s:b}", "head", s->head, "raw", s->raw, "options", options, "shipped",
                             script_is_shipped(s->raw));
    return json_array_append_new(j->r.gates, gate) == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
}

static int add_gates(job *j, err *e) {
    j->r.gates = json_array();
    if (j->r.gates == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (!is_kind(&j->main, "suite")) {
        return add_gate(j, &j->main, e);
    }
    for (size_t i = 0; i < j->n; i++) {
        if (add_gate(j, &j->gates[i], e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int fit_reports(const job *j, int argc, char **argv, json_t *targets, err *e) {
    const char *scripts[GATES_MAX + 1];
    size_t n = 0;
    if (j->main.path != NULL) {
        scripts[n++] = j->main.path;
    }
    for (size_t i = 0; i < j->n; i++) {
        scripts[n++] = j->gates[i].path;
    }
    return cli_fit_reports(targets, argc, argv, scripts, n, e);
}

/* What is wrong with the line itself is told before what is wrong with the configuration. */
static int prepare(job *j, int argc, char **argv, err *e) {
    j->r.verb = j->verb->name;
    j->r.head = j->main.head;
    j->r.raw = j->main.raw;
    j->r.script = strdup(j->main.label);
    if (j->r.script == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (read_flags(j, argc, argv, e) != 0 || fit_reports(j, argc, argv, j->r.reports, e) != 0 || add_gates(j, e) != 0) {
        return -1;
    }
    if (config_load(cli_text(&j->words, "config"), j->r.scratch != NULL, &j->cfg, e) != 0) {
        return -1;
    }
    j->r.cfg = j->cfg;
    default_recording(j);
    return default_tenant(j, e) == 0 ? set_baseline(j, e) : -1;
}

/* Whoever asked for a report finds one that is not green, whatever went wrong. Returns the exit code. */
static int fail(const job *j, int argc, char **argv, err *e) {
    mem_explain(e);
    bool memory = strcmp(e->code, "out_of_memory") == 0;
    int code = signals_flag != 0 ? signals_exit_code() : memory ? EXIT_BROKEN : EXIT_USAGE;
    cli_refused(j->verb, argc, argv, j->cfg, j->main.label, j->r.tenant, code, e);
    json_t *targets = cli_peek_reports(argc, argv);
    err unfit;
    (void)fit_reports(j, argc, argv, targets, &unfit);
    if (json_array_size(targets) > 0) {
        const char *name = j->main.label != NULL ? j->main.label : cli_peek_script(j->verb, argc, argv);
        json_t *report = report_for_error(name, j->r.tenant, code, e);
        report_opts quiet = {.no_text = true};
        err why;
        if (report == NULL) {
            err_set(&why, "out_of_memory", "out of memory while writing the report");
            cli_say_error(&why);
        } else if (report_emit(report, targets, &quiet, &why) != 0) {
            cli_say_error(&why);
        }
        /* Where memory ran out for the code, the report says another one, and that is the run's. */
        code = report != NULL ? (int)json_integer_value(json_object_get(report, "exit_code")) : code;
        json_decref(report);
    }
    json_decref(targets);
    return code;
}

/* What has to be known before anything foreign is loaded. */
static int look_around(job *j, int argc, char **argv, err *e) {
    if (cli_peek(argc, argv, "require-sandbox") && ring_require(e) != 0) {
        return -1;
    }
    const paths *tree = script_tree(e);
    buf stamp = BUF_INIT;
    if (tree == NULL || integrity_stamp(tree, &stamp, e) != 0) {
        buf_free(&stamp);
        return -1;
    }
    j->r.stamp = buf_steal(&stamp);
    return j->r.stamp != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
}

int cli_run_main(const cli_verb *verb, int argc, char **argv) {
    bool help = cli_peek(argc, argv, "help");
    if (help && cli_peek_script(verb, argc, argv) == NULL) {
        cli_help_verb(verb);
        return EXIT_PASS;
    }
    job j = {.verb = verb};
    err e;
    err_clear(&e);
    int code;
    /* From here on an interruption is an error like others: it ends what waits, and is reported. */
    child_raise_files();
    if (signals_install(&e) != 0 || look_around(&j, argc, argv, &e) != 0 || load_script(&j, argc, argv, &e) != 0) {
        code = fail(&j, argc, argv, &e);
    } else if (help) {
        cli_help_script(verb, j.main.label, j.main.head, j.union_);
        code = EXIT_PASS;
    } else if (prepare(&j, argc, argv, &e) != 0) {
        code = fail(&j, argc, argv, &e);
    } else {
        code = engine_run(&j.r);
    }
    job_free(&j);
    return code;
}
