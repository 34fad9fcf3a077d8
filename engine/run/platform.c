/* platform.c: gate-engine platform start|stop|status|psql|reset. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/text.h"
#include "prim/pg.h"
#include "run/cli.h"
#include "run/platform.h"

static const char usage[] =
    "Usage: gate-engine platform start|stop|status|psql [ARGS]|reset\n"
    "\n"
    "Keeps one embedded platform (a private PostgreSQL with the reference schema) between runs. While it runs, every\n"
    "run on the embedded platform uses it; without it each run has one of its own.\n"
    "\n"
    "  start    start it, or say that it runs\n"
    "  stop     stop it and remove its data\n"
    "  status   say whether it runs: exit 0 when it does, 1 when not\n"
    "  psql     connect as its superuser; ARGS go to psql, e.g. psql -c 'select code from core.tenants'\n"
    "  reset    restore it to its first state, on the same socket\n"
    "\n"
    "Its files are in $GATE_ENGINE_STATE, else as root in /var/lib/gate-engine, else in\n"
    "${XDG_STATE_HOME:-~/.local/state}/gate-engine.\n";

static volatile sig_atomic_t interrupted;

static void on_signal(int sig) {
    interrupted = sig;
}

static void catch_signals(void (*handler)(int)) {
    struct sigaction sa = {.sa_handler = handler};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

static int fails(const err *e) {
    fprintf(stderr, "gate-engine platform: %s\n", e->message);
    if (e->detail[0])
        fprintf(stderr, "%s\n", e->detail);
    if (e->fix[0])
        fprintf(stderr, "fix: %s\n", e->fix);
    if (interrupted)
        return interrupted == SIGTERM ? EXIT_SIGTERM : EXIT_SIGINT;
    return EXIT_BROKEN;
}

static int not_running(void) {
    fputs("gate-engine platform: no kept server runs\nfix: start one with `gate-engine platform start`\n", stderr);
    return EXIT_USAGE;
}

static int show(const pg_options *o, const char *word) {
    pg_kept_status st;
    err e;
    if (pg_kept_look(o, &st, &e) != 0)
        return fails(&e);
    if (!st.running) {
        puts("not running");
        return EXIT_FAIL;
    }
    printf("%s: PostgreSQL %s, process %d\nsocket: %s, port %d, database %s\n", word, st.version, (int)st.pid,
           st.socket_dir, PG_PORT, PG_DATABASE);
    if (st.other_template)
        puts("it was made from other migrations than this gate-engine's: gate-engine platform reset");
    return EXIT_PASS;
}

static int start(const pg_options *o, char **args) {
    (void)args;
    pg_options keep = *o;
    pg_kept_status before;
    pg_server *s;
    err e;
    keep.keep = true;
    if (pg_kept_look(o, &before, &e) != 0 || pg_acquire(&keep, &s, &e) != 0)
        return fails(&e);
    pg_release(s);
    return show(o, before.running ? "running already" : "started");
}

static int stop(const pg_options *o, char **args) {
    (void)args;
    err e;
    int r = pg_kept_stop(o, &e);
    if (r < 0)
        return fails(&e);
    puts(r == 1 ? "stopped" : "not running");
    return EXIT_PASS;
}

static int status(const pg_options *o, char **args) {
    (void)args;
    return show(o, "running");
}

static int reset(const pg_options *o, char **args) {
    (void)args;
    err e;
    int r = pg_kept_reset(o, &e);
    if (r < 0)
        return fails(&e);
    return r == 1 ? show(o, "reset") : not_running();
}

/* libpq's variables could lead psql elsewhere: none is passed on but those about how psql itself behaves. */
static int clean_environment(void) {
    static const char *const names[] = {"PGHOST",           "PGHOSTADDR",    "PGPORT",
                                        "PGDATABASE",       "PGUSER",        "PGPASSWORD",
                                        "PGPASSFILE",       "PGSERVICE",     "PGSERVICEFILE",
                                        "PGOPTIONS",        "PGSSLMODE",     "PGREQUIRESSL",
                                        "PGCHANNELBINDING", "PGREQUIREPEER", "PGTARGETSESSIONATTRS",
                                        "PGREQUIREAUTH",    "PGGSSENCMODE",  "PGLOADBALANCEHOSTS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (unsetenv(names[i]) != 0)
            return -1;
    return 0;
}

static int psql(const pg_options *o, char **args) {
    pg_kept_status st;
    err e;
    char bin[PATH_MAX], program[PATH_MAX + 8];
    if (pg_kept_look(o, &st, &e) != 0)
        return fails(&e);
    if (!st.running)
        return not_running();
    if (pg_find_bin(bin, sizeof bin, &e) != 0)
        return fails(&e);
    size_t n = 0;
    while (args[n])
        n++;
    const char *fixed[] = {"psql", "-h", st.socket_dir, "-p", "5432", "-U", PG_SUPERUSER, "-d", PG_DATABASE};
    size_t count = sizeof fixed / sizeof *fixed;
    const char **argv = calloc(count + n + 1, sizeof *argv);
    if (!argv || clean_environment() != 0) {
        free(argv);
        err_set(&e, "out_of_memory", "out of memory");
        return fails(&e);
    }
    memcpy(argv, fixed, sizeof fixed);
    memcpy(argv + count, args, n * sizeof *args);
    snprintf(program, sizeof program, "%s/psql", bin);
    catch_signals(SIG_DFL);
    fflush(NULL);
    execv(program, (char *const *)argv);
    err_errno(&e, "pg_missing", "cannot start %s", program);
    free(argv);
    return fails(&e);
}

static int usage_error(const char *fmt, const char *word) {
    fputs("gate-engine platform: ", stderr);
    fprintf(stderr, fmt, word);
    fputs("\n", stderr);
    fputs("Usage: gate-engine platform start|stop|status|psql [ARGS]|reset\n", stderr);
    return EXIT_USAGE;
}

int platform_main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(const pg_options *, char **);
    } verbs[] = {{"start", start}, {"stop", stop}, {"status", status}, {"psql", psql}, {"reset", reset}};
    static const char *const names[] = {"start", "stop", "status", "psql", "reset", NULL};
    if (argc < 2)
        return usage_error("%s: start, stop, status, psql or reset", "say what to do");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        fputs(usage, stdout);
        return EXIT_PASS;
    }
    size_t i = 0, count = sizeof verbs / sizeof *verbs;
    while (i < count && strcmp(argv[1], verbs[i].name) != 0)
        i++;
    if (i == count) {
        const char *near = text_suggest(argv[1], names);
        return near ? usage_error("no such verb; did you mean \"%s\"?", near)
                    : usage_error("no such verb: %s", argv[1]);
    }
    bool is_psql = strcmp(verbs[i].name, "psql") == 0;
    if (!is_psql && argc > 2) {
        if (strcmp(argv[2], "--help") == 0) {
            fputs(usage, stdout);
            return EXIT_PASS;
        }
        return usage_error("unexpected argument: %s", argv[2]);
    }
    paths where;
    err e;
    if (paths_find(&where, &e) != 0)
        return fails(&e);
    char migrations[PATH_MAX];
    int n = snprintf(migrations, sizeof migrations, "%s/stdlib/platform/migrations", where.share);
    paths_free(&where);
    if (n < 0 || n >= (int)sizeof migrations) {
        err_set(&e, "install_broken", "the installed tree's path is too long");
        return fails(&e);
    }
    catch_signals(on_signal);
    pg_options o = {.migrations_dir = migrations, .interrupted = &interrupted};
    int r = verbs[i].run(&o, argv + 2);
    catch_signals(SIG_DFL);
    return r;
}
