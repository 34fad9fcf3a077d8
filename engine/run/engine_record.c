/* engine_record.c: `run … --record FILE [--listen …] [-- COMMAND …]`: the recorder's process, the command that it
 * watches, and then the recording, which the gate looks at like at any other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err_json.h"
#include "base/frame.h"
#include "base/fs.h"
#include "base/log.h"
#include "run/child.h"
#include "run/engine_parts.h"
#include "run/record_place.h"
#include "run/signals.h"

#define READY_MS 30000
#define FORMAT "gate-engine/recording/1"

typedef struct record {
    json_t *upstream, *listen; /* owned */
    child recorder;
    int to, from, file; /* pipes to and from it, the recording; -1 = closed */
    buf pending;        /* of from */
    int port;
} record;

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* ---- what is recorded ---- */

/* As the application connects: its own login, else the admin's, as whom a role alone is assumed. */
static json_t *app_connection(const engine_run_state *s) {
    const target *t = &s->target;
    if (t->embedded) {
        return json_pack("{s:s, s:i, s:s, s:s}", "host", pg_socket_dir(t->server), "port", pg_port(t->server), "dbname",
                         pg_database(t->server), "user", "app_user");
    }
    const json_t *db = json_object_get(s->r->cfg->doc, "database");
    json_t *app = json_object_get(db, "app");
    bool own = str(app, "url") != NULL || str(app, "host") != NULL || str(app, "dbname") != NULL;
    json_t *spec = own ? app : json_object_get(db, "admin");
    return spec != NULL ? json_incref(spec) : json_object();
}

/* The names of the tenant's settings: of one axis, or of several. */
static json_t *setting_names(const engine_run_state *s) {
    json_t *out = json_array();
    json_t *tenant = json_object_get(json_object_get(s->r->cfg->doc, "database"), "tenant");
    json_t *one = json_object_get(tenant, "setting"), *axis;
    if (one != NULL) {
        json_array_append(out, one);
    }
    size_t i;
    json_array_foreach(tenant, i, axis) {
        json_t *name = json_object_get(axis, "setting");
        if (name != NULL) {
            json_array_append(out, name);
        }
    }
    return out;
}

static json_t *make_header(const engine_run_state *s, const json_t *prepared, err *e) {
    char now[CLOCK_RFC3339_MAX];
    clock_rfc3339(now, sizeof now);
    json_t *settings = setting_names(s);
    if (json_array_size(settings) == 0) {
        json_decref(settings);
        err_set(e, "record_config", "--record needs database.tenant.setting, which the configuration does not define");
        err_fix(e, "add database = { tenant = { column = …, setting = … } } to gate-engine.conf.lua");
        return NULL;
    }
    if (str(prepared, "system_identifier") == NULL || str(prepared, "database") == NULL) {
        json_decref(settings);
        char why[2 * ERR_TEXT_MAX + 4] = "";
        if (prepared == NULL) { /* what the look at it ended with */
            snprintf(why, sizeof why, "%s%s%s", e->message, e->detail[0] != '\0' ? ": " : "", e->detail);
        }
        err_set(e, "record_target", "the database could not be asked who it is, which a recording has to say");
        err_detail(e, "%s", why);
        err_fix(e, "check database.admin in the configuration, that its server runs, and that it may call "
                   "pg_control_system()");
        return NULL;
    }
    /* The program alone: what it was given may hold what is nobody's business. */
    const char *program = json_string_value(json_array_get(json_object_get(s->r->record, "command"), 0));
    const char *slash = program != NULL ? strrchr(program, '/') : NULL;
    return json_pack("{s:s, s:s, s:s, s:s?, s:O, s:O, s:O?, s:O?, s:o}", "format", FORMAT, "started", now, "engine",
                     "gate-engine " GE_VERSION, "command", slash != NULL ? slash + 1 : program, "database",
                     json_object_get(prepared, "database"), "system_identifier",
                     json_object_get(prepared, "system_identifier"), "server", json_object_get(prepared, "server"),
                     "schema_hash", json_object_get(prepared, "schema_hash"), "settings", settings);
}

/* ---- the recorder ---- */

static int open_file(const char *path, err *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || ftruncate(fd, 0) != 0) {
        err_errno(e, "record_file", "the recording %s cannot be written", path);
        err_fix(e, "name a file in a directory that can be written to");
        fs_close(&fd);
        return -1;
    }
    return fd;
}

static int spawn(record *r, const engine_run_state *s, err *e) {
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    char *program = fs_join(s->tree.libexec, "gate-recorder");
    char *argv[] = {program, NULL};
    char *env[] = {"LANG=C.UTF-8", NULL};
    int rc = program != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    if (rc == 0 && (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)) {
        rc = err_errno(e, "system", "cannot make pipes");
    }
    if (rc == 0) {
        child_spec spec = {.stdin_fd = in[0], .stdout_fd = out[1], .stderr_fd = 2, .keep_fd = r->file};
        rc = child_spawn(&spec, argv, env, NULL, &r->recorder, e);
    }
    fs_close(&in[0]);
    fs_close(&out[1]);
    r->to = in[1];
    r->from = out[0];
    free(program);
    return rc;
}

/* The next frame of the recorder: 1 and *message, 0 its end came first, -1. Waits at most `ms`; a signal ends it too.
 */
static int next_frame(record *r, int ms, json_t **message, err *e) {
    int64_t until = clock_ms() + ms;
    for (;;) {
        int rc = frame_take(&r->pending, message, NULL, e);
        if (rc != 0) {
            return rc;
        }
        int64_t left = until - clock_ms();
        struct pollfd p[2] = {{.fd = r->from, .events = POLLIN}, {.fd = signals_fd(), .events = POLLIN}};
        if (left <= 0 || (poll(p, 2, (int)left) < 0 && errno != EINTR)) {
            return err_set(e, "record_failed", "the recorder does not answer");
        }
        if (signals_flag != 0) {
            return err_set(e, "interrupted", "interrupted while the recorder worked");
        }
        if (p[0].revents == 0) {
            continue;
        }
        char chunk[4096];
        ssize_t n = read(r->from, chunk, sizeof chunk);
        if (n == 0) {
            return 0;
        }
        if (n > 0 && buf_append(&r->pending, chunk, (size_t)n) != 0) {
            return err_set(e, "out_of_memory", "out of memory");
        }
    }
}

/* A frame of that kind, else *e. New reference. */
static json_t *expect(record *r, const char *kind, err *e) {
    json_t *message = NULL;
    int rc = next_frame(r, READY_MS, &message, e);
    if (rc == 0) {
        err_set(e, "record_failed", "the recorder died");
        err_fix(e, "its recording is not whole and is not looked at; record again");
    }
    if (rc == 1 && str(message, "t") != NULL && strcmp(str(message, "t"), kind) == 0) {
        return message;
    }
    if (rc == 1) {
        err_from_json(e, json_object_get(message, "error"), "record_failed",
                      "the recorder gave an answer that makes no sense");
    }
    json_decref(message);
    return NULL;
}

static int start(record *r, const engine_run_state *s, const json_t *prepared, err *e) {
    json_t *connection = app_connection(s);
    json_t *header = make_header(s, prepared, e);
    r->upstream = header != NULL ? record_upstream(connection, e) : NULL;
    r->listen = r->upstream != NULL ? record_listen(str(s->r->record, "listen"), e) : NULL;
    json_decref(connection);
    if (r->listen == NULL || (r->file = open_file(str(s->r->record, "file"), e)) < 0 || spawn(r, s, e) != 0) {
        json_decref(header);
        return -1;
    }
    json_t *up = json_pack("{s:O, s:O, s:O*, s:O*}", "host", json_object_get(r->upstream, "host"), "port",
                           json_object_get(r->upstream, "port"), "sslmode", json_object_get(r->upstream, "sslmode"),
                           "sslrootcert", json_object_get(r->upstream, "sslrootcert"));
    json_t *job = json_pack("{s:O, s:o, s:o}", "listen", r->listen, "upstream", up, "header", header);
    int rc = frame_write(r->to, job, NULL, 0, e) > 0 ? 0 : -1;
    json_decref(job);
    json_t *ready = rc == 0 ? expect(r, "ready", e) : NULL;
    json_int_t port = json_integer_value(json_object_get(ready, "port"));
    r->port = port > 0 ? (int)port : (int)json_integer_value(json_object_get(r->listen, "port"));
    json_decref(ready);
    return ready != NULL ? 0 : -1;
}

static void say_where(const record *r, bool command) {
    const char *dir = str(r->listen, "dir"), *host = dir != NULL ? dir : str(r->listen, "host");
    bool near =
        dir != NULL || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
    log_line(LOG_INFO, "recording: clients connect to PGHOST=%s PGPORT=%d%s", host, r->port,
             command ? "" : "; Ctrl-C ends the recording");
    if (!near) {
        log_line(LOG_WARN, "recording: %s is reached from other machines, and what goes there is not encrypted", host);
    }
}

/* ---- the command ---- */

static char **words_of(const json_t *command) {
    char **argv = calloc(json_array_size(command) + 1, sizeof *argv);
    size_t i;
    const json_t *word;
    json_array_foreach(command, i, word) {
        if (argv != NULL) {
            argv[i] = (char *)json_string_value(word);
        }
    }
    return argv;
}

/* A command that reads from a terminal would be stopped there: it stands in the background. */
static int input_of_command(void) {
    return isatty(0) ? -1 : 0;
}

static int start_command(const record *r, const json_t *command, child *c, err *e) {
    char **argv = words_of(command), **env = record_environment(r->upstream, r->listen, r->port);
    child_spec spec = {.stdin_fd = input_of_command(), .stdout_fd = 2, .stderr_fd = 2, .keep_fd = -1};
    int rc = argv != NULL && env != NULL ? child_spawn(&spec, argv, env, NULL, c, e)
                                         : err_set(e, "out_of_memory", "out of memory");
    record_environment_free(env);
    free(argv);
    return rc;
}

/* Until the command, the recorder or the patience of the one who records ends. -1 with *e where it was not the command,
 * or without one the user. */
static int watch(const record *r, const child *c, err *e) {
    for (;;) {
        struct pollfd p[3] = {{.fd = signals_fd(), .events = POLLIN},
                              {.fd = r->recorder.pidfd, .events = POLLIN},
                              {.fd = c->pid > 0 ? c->pidfd : -1, .events = POLLIN}};
        if (poll(p, 3, -1) < 0 && errno != EINTR) {
            return err_errno(e, "system", "cannot wait for the recorder");
        }
        if (signals_flag != 0 && c->pid == 0) {
            signals_forget(); /* that is how it was to end; the next one ends the run */
            return 0;
        }
        if (signals_flag != 0) {
            return err_set(e, "interrupted", "interrupted while the command was recorded");
        }
        if (p[1].revents != 0) {
            err_set(e, "record_failed", "the recorder died");
            return err_fix(e, "its recording is not whole and is not looked at; record again");
        }
        if (p[2].revents != 0) {
            return 0;
        }
    }
}

/* As a shell says how a command ended. */
static int exit_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int attend(record *r, const json_t *command, err *e) {
    child c = {.pidfd = -1};
    bool with = json_array_size(command) > 0;
    say_where(r, with);
    if (with && start_command(r, command, &c, e) != 0) {
        return -1;
    }
    int rc = watch(r, &c, e);
    if (!with) {
        return rc;
    }
    if (rc != 0) {
        child_kill(&c);
    }
    int status = exit_of(child_reap(&c, NULL));
    if (rc != 0) {
        return -1;
    }
    log_line(status == 0 ? LOG_INFO : LOG_WARN, "recording: the command ended with exit %d", status);
    json_t *word = json_pack("{s:i}", "exit", status);
    rc = word != NULL && frame_write(r->to, word, NULL, 0, e) > 0 ? 0 : -1;
    json_decref(word);
    return rc;
}

/* ---- the end ---- */

static int stop(record *r, err *e) {
    fs_close(&r->to);
    json_t *end = expect(r, "end", e);
    if (end == NULL) {
        return -1;
    }
    log_line(LOG_INFO, "recording: %lld statements in %lld sessions",
             (long long)json_integer_value(json_object_get(end, "statements")),
             (long long)json_integer_value(json_object_get(end, "sessions")));
    json_decref(end);
    int status = child_reap(&r->recorder, NULL);
    return exit_of(status) == 0 ? 0 : err_set(e, "record_failed", "the recorder ended with exit %d", exit_of(status));
}

static void close_all(record *r) {
    if (r->recorder.pid > 0) {
        child_kill(&r->recorder);
        child_reap(&r->recorder, NULL);
    }
    const char *path = str(r->listen, "path");
    if (path != NULL && r->port > 0) {
        (void)unlink(path);
    }
    fs_close(&r->to);
    fs_close(&r->from);
    fs_close(&r->file);
    buf_free(&r->pending);
    json_decref(r->upstream);
    json_decref(r->listen);
}

static void name_to_gates(const engine_run_state *s) {
    size_t i;
    json_t *gate;
    json_array_foreach(s->r->gates, i, gate) {
        if (json_object_get(json_object_get(json_object_get(gate, "head"), "options"), "recording") != NULL) {
            json_object_set_new(json_object_get(gate, "options"), "recording",
                                json_pack("{s:s, s:s}", "path", str(s->r->record, "file"), "access", "read"));
        }
    }
}

int engine_record(engine_run_state *s, const json_t *prepared, err *e) {
    record r = {.recorder = {.pidfd = -1}, .to = -1, .from = -1, .file = -1};
    int rc = start(&r, s, prepared, e);
    rc = rc == 0 ? attend(&r, json_object_get(s->r->record, "command"), e) : -1;
    rc = rc == 0 ? stop(&r, e) : -1;
    close_all(&r);
    if (rc == 0) {
        name_to_gates(s);
    }
    return rc;
}
