#include "run/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/cli_parts.h"
#include "run/config.h"
#include "run/platform.h"

#define STACK_WANTED (8u << 20) /* bytes; Linux's own default */
#define STACK_NEEDED (256u << 10)

const cli_verb CLI_VERBS[] = {
    {VERB_RUN, "run", "SCRIPT [OPTIONS]", "Run a gate, a suite of gates, an operation or a tenant audit",
     "SCRIPT is a path (in the working directory, then in the installed tree) or an id (gate-engine list).\n"
     "scripts/all.lua is the full onboarding validation.\n",
     cli_run_main},
    {VERB_RECOVER, "recover", "GATE [OPTIONS]", "Show a gate's way out of what it found; carry it out with --apply",
     "The gate is run first. Without --apply nothing is changed.\n", cli_run_main},
    {VERB_INIT, "init", "--url URL", "Read a database and write a commented configuration for it",
     "Tenant column and setting, the application's role and shared tables come from the catalogue. Nothing is changed, "
     "no\n"
     "password is written, no file is overwritten.\n",
     cli_init_main},
    {VERB_NEW, "new", "gate|operation|audit NAME [OPTIONS]",
     "Write a commented starting point and its spec into this directory",
     "NAME is the script's id and its file's name. Nothing is overwritten.\n", cli_new_main},
    {VERB_CHECK, "check", "SCRIPT...", "Load scripts and show every problem with file and line; nothing is run",
     "Looks at the head (fields by name and type) and at the source: capabilities that are used and not declared, "
     "unknown\n"
     "failures and options, globals. Notes, luacheck's among them where it is installed, do not fail the check.\n",
     cli_check_main},
    {VERB_DOC, "doc", "[TOPIC]", "Show the reference of what scripts and the configuration can use",
     "Without a TOPIC: what topics there are.\n", cli_doc_main},
    {VERB_EXPLAIN, "explain", "[CLASS]", "Show what a class of findings means, how it is exploited, how it is closed",
     "Without a CLASS: all classes of the installed gates. A report's findings have theirs as \"class\".\n",
     cli_explain_main},
    {VERB_LIST, "list", "", "List the installed gates and scripts", "", cli_list_main},
    {VERB_EVIDENCE, "evidence", "list|show SEQ|export|keygen", "Show what is on record of runs, or make a signing key",
     "The ledger is the configuration's evidence.ledger, or --ledger. keygen writes FILE (private) and FILE.pub;\n"
     "export --output DIR writes a ledger that is in the database as files, for verify.\n",
     cli_evidence_main},
    {VERB_VERIFY, "verify", "[FILE...]", "Check ledgers and signed statements, offline, and say which link breaks",
     "Without a file it is the configuration's ledger, also where that is in the database, and its anchor and the\n"
     "tenants' events are asked what they know of it. Exit 0: valid; 1: not valid; 3: could not be read, or holds\n"
     "no record. Keys are --key, or those of the configuration's evidence.\n",
     cli_verify_main},
    {VERB_PLATFORM, "platform", "start|stop|status|psql|reset", "Keep an embedded platform between runs",
     "While one is kept every run uses it. psql [ARGS] connects to it as its superuser.\n", cli_platform_main},
    {VERB_VERSION, "version", "", "Show the version, libraries, and what the sandbox can use on this kernel", "",
     cli_version_main},
    {VERB_HELP, "help", "[VERB]", "Show this text, or a verb's", "", cli_help_main},
    {.name = NULL}};

void cli_say_error(const err *e) {
    log_line(LOG_ERROR, "%s", e->message);
    if (*e->detail != '\0') {
        log_line(LOG_INFO, "%s", e->detail);
    }
    if (*e->fix != '\0') {
        log_line(LOG_INFO, "fix: %s", e->fix);
    }
}

int cli_act(const cli_verb *verb, int argc, char **argv, int (*act)(const cli_words *words, err *e)) {
    cli_words words;
    err e;
    err_clear(&e);
    if (cli_parse(verb, argc, argv, NULL, &words, &e) != 0) {
        cli_say_error(&e);
        return EXIT_USAGE;
    }
    int code = EXIT_PASS;
    if (cli_given(&words, "help")) {
        cli_help_verb(verb);
    } else {
        code = act(&words, &e);
    }
    if (code != EXIT_PASS) {
        cli_say_error(&e);
    }
    cli_words_free(&words);
    return code;
}

int cli_no_such(err *e, const char *what, const char *given, const char *const *names, const char *otherwise) {
    buf shown = BUF_INIT;
    text_sanitise(&shown, given, strlen(given), 80, false);
    err_set(e, "usage_operand", "%s \"%s\"", what, buf_str(&shown));
    buf_free(&shown);
    const char *near = text_suggest(given, names);
    return near != NULL ? err_fix(e, "did you mean \"%s\"?", near) : err_fix(e, "%s", otherwise);
}

int cli_platform_main(const cli_verb *verb, int argc, char **argv) {
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        cli_help_verb(verb);
        return EXIT_PASS;
    }
    return platform_main(argc, argv);
}

static int dispatch(int argc, char **argv) {
    if (argc < 2) {
        err e;
        err_set(&e, "usage_verb", "expected a verb, found nothing");
        err_fix(&e, "gate-engine --help lists the verbs; gate-engine run scripts/all.lua runs the full validation");
        cli_say_error(&e);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        cli_help_all();
        return EXIT_PASS;
    }
    name = strcmp(name, "--version") == 0 ? "version" : name;
    err e;
    const cli_verb *verb = cli_find_verb(name, &e);
    if (verb == NULL) {
        cli_say_error(&e);
        return EXIT_USAGE;
    }
    /* The verbs that only print read no flags but --help. */
    return verb->main(verb, argc - 1, argv + 1);
}

/* Libraries would write the keys of TLS connections to a file, load code of somebody's choice, or take one host for
 * another. Nothing of that is part of a run's configuration. */
static void forget_variables(void) {
    static const char *const NAMES[] = {"SSLKEYLOGFILE", "OPENSSL_ENGINES", "OPENSSL_MODULES", "GCONV_PATH",
                                        "LOCPATH",       "NLSPATH",         "HOSTALIASES",     NULL};
    for (size_t i = 0; NAMES[i] != NULL; i++) {
        unsetenv(NAMES[i]);
    }
}

/* What is opened next would become standard output, or be written into as if it were. Where there is none, writing
 * fails (a descriptor that is only read), and the exit code says so. */
static void fill_descriptors(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2) {
        close(fd);
    }
}

/* The linker's and libraries' own frames take tens of kilobytes. A limit that can be lifted is. */
static int ensure_stack(err *e) {
    struct rlimit stack;
    if (getrlimit(RLIMIT_STACK, &stack) != 0 || stack.rlim_cur == RLIM_INFINITY || stack.rlim_cur >= STACK_WANTED) {
        return 0;
    }
    rlim_t before = stack.rlim_cur;
    stack.rlim_cur = stack.rlim_max == RLIM_INFINITY || stack.rlim_max > STACK_WANTED ? STACK_WANTED : stack.rlim_max;
    if (setrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur >= STACK_NEEDED) {
        return 0;
    }
    err_set(e, "system", "the stack may have %llu KB, and at least %u KB are needed", (unsigned long long)before >> 10,
            STACK_NEEDED >> 10);
    return err_fix(e, "raise the limit: ulimit -s %u", STACK_WANTED >> 10);
}

int cli_main(int argc, char **argv) {
    fill_descriptors();
    forget_variables();
    mem_watch();
    /* A reader that went away is an error of a write, told by its exit code, and no silent death. */
    signal(SIGPIPE, SIG_IGN);
    /* So is a file that may grow no further. */
    signal(SIGXFSZ, SIG_IGN);
    config_secrets_env();
    err why;
    int code = EXIT_BROKEN;
    if (ensure_stack(&why) == 0) {
        code = dispatch(argc, argv);
    } else {
        cli_say_error(&why);
    }
    errno = 0;
    bool lost = ferror(stdout) != 0;
    lost = fflush(stdout) != 0 || lost;
    if (lost) {
        err e;
        if (errno != 0) {
            err_errno(&e, "report_write", "cannot write standard output");
        } else { /* an earlier write failed, and its reason is gone */
            err_set(&e, "report_write", "cannot write standard output: not all of it was taken");
        }
        cli_say_error(&e);
        code = code == EXIT_PASS ? EXIT_BROKEN : code;
    }
    /* Whatever was said: after a failed allocation something may be missing from it. */
    if (mem_lost() > 0) {
        log_line(LOG_ERROR, "out of memory: what was said may not be complete");
        code = code == EXIT_PASS || code == EXIT_FAIL ? EXIT_BROKEN : code;
    }
    return code;
}
