/* Where reports go: standard output, standard error, files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/report.h"
#include "run/report_parts.h"

const char *const REPORT_FORMATS[] = {"json", "junit", "sarif", "markdown", "tap", "html", "github", NULL};

/* In the order of REPORT_FORMATS. */
static int (*const RENDER[])(buf *, const json_t *, err *) = {report_json, report_junit, report_sarif, report_markdown,
                                                              report_tap,  report_html,  report_github};

int report_json(buf *out, const json_t *report, err *e) {
    report_put_json(out, report, 0);
    return buf_putc(out, '\n') == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the JSON report");
}

int report_render(buf *out, const json_t *report, const char *format, err *e) {
    for (size_t i = 0; format != NULL && REPORT_FORMATS[i] != NULL; i++) {
        if (strcmp(format, REPORT_FORMATS[i]) == 0) {
            return RENDER[i](out, report, e);
        }
    }
    err_set(e, "report_format", "no report is called \"%s\"", format != NULL ? format : "");
    return err_fix(e, "use --report FORMAT=FILE with one of the formats that `gate-engine run --help` lists");
}

/* Standard output may be closed or full: that is an error of the run, not of nobody. */
static int write_out(int fd, const buf *text, const char *what, err *e) {
    if (fs_write_all(fd, buf_str(text), text->len) != 0) {
        err_errno(e, "report_write", "cannot write %s", what);
        return err_fix(e, "make room or point the output elsewhere, then run again");
    }
    return 0;
}

/* Where one target's bytes go: a file beside the one they will replace, or memory until all is rendered. */
typedef struct sink {
    buf out;
    fs_replacement file; /* begun where `to_file` */
    bool to_file, failed;
    err why; /* where failed: this target's alone */
    const report_opts *o;
} sink;

static bool interrupted(const report_opts *o) {
    return o->interrupted != NULL && *o->interrupted != 0;
}

static const char *file_of(const json_t *target) {
    const char *file = json_string_value(json_object_get(target, "file"));
    return file == NULL || strcmp(file, "-") == 0 ? NULL : file;
}

static int cannot_write(const json_t *target, const err *why, err *e) {
    const char *format = json_string_value(json_object_get(target, "format"));
    err_set(e, "report_write", "cannot write the %s report: %s", format != NULL ? format : "", why->message);
    return err_fix(e, "name a file in a directory that exists, can be written to and has room");
}

static int drain(void *ctx, const char *bytes, size_t n) {
    sink *s = ctx;
    if (interrupted(s->o) || s->failed) {
        return -1;
    }
    s->failed = fs_replace_write(&s->file, bytes, n, &s->why) != 0;
    return s->failed ? -1 : 0;
}

static void open_sink(sink *s, const json_t *target, const report_opts *o) {
    *s = (sink){.file.fd = -1, .o = o};
    if (file_of(target) != NULL) {
        int how = fs_replace_begin(&s->file, file_of(target), 0644, &s->why);
        s->failed = how < 0;
        s->to_file = how == 0;
    }
    if (s->to_file) {
        s->out.drain = drain;
        s->out.drain_ctx = s;
    }
}

/* Renders a target as far as it goes; what is wrong with the target alone stays in the sink. */
static int fill(sink *s, const json_t *report, const json_t *target, err *e) {
    if (s->failed) {
        return 0;
    }
    int rc = report_render(&s->out, report, json_string_value(json_object_get(target, "format")), e);
    if (rc == 0 && s->to_file && drain(s, buf_str(&s->out), s->out.len) != 0) {
        rc = -1;
    }
    return s->failed ? 0 : rc;
}

static int commit(sink *s, const json_t *target, err *e) {
    err why = s->why;
    if (s->failed) {
        return cannot_write(target, &why, e);
    }
    if (file_of(target) == NULL) {
        return write_out(STDOUT_FILENO, &s->out, "the report to standard output", e);
    }
    int rc = s->to_file ? fs_replace_commit(&s->file, &why)
                        : fs_write_atomic(file_of(target), buf_str(&s->out), s->out.len, 0644, &why);
    return rc == 0 ? 0 : cannot_write(target, &why, e);
}

static bool takes_stdout(const json_t *targets) {
    size_t i;
    json_t *target;
    json_array_foreach(targets, i, target) {
        const char *file = json_string_value(json_object_get(target, "file"));
        if (file == NULL || strcmp(file, "-") == 0) {
            return true;
        }
    }
    return false;
}

FILE *report_stream(const json_t *targets) {
    return takes_stdout(targets) ? stderr : stdout;
}

/* Advisories change no verdict and the passing text is fixed (design §1), so without --verbose they are told here. */
static void mention_advisories(const json_t *report) {
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        size_t n = 0;
        size_t k;
        json_t *entry;
        json_array_foreach(json_object_get(gate, "checks"), k, entry) {
            const char *severity = json_string_value(json_object_get(entry, "severity"));
            const char *status = json_string_value(json_object_get(entry, "status"));
            n += severity != NULL && strcmp(severity, "advisory") == 0 && status != NULL && strcmp(status, "PASS") == 0
                     ? 1
                     : 0;
        }
        if (n > 0) {
            const char *id = json_string_value(json_object_get(gate, "id"));
            log_line(LOG_INFO, "%s: %zu %s, shown with --verbose and in the report", id != NULL ? id : "gate", n,
                     n == 1 ? "advisory" : "advisories");
        }
    }
}

/* Renders everything: the text, then each target. */
static int render_all(buf *text, sink *sinks, const json_t *report, const json_t *targets, const report_opts *o,
                      err *e) {
    size_t lost = mem_lost();
    size_t i;
    json_t *target;
    if (!o->no_text) {
        int fd = takes_stdout(targets) ? STDERR_FILENO : STDOUT_FILENO;
        report_opts mine = *o;
        mine.colour = o->colour && report_colour(fd);
        if (report_text(text, report, &mine) != 0) {
            return err_set(e, "out_of_memory", "out of memory while writing the report");
        }
    }
    json_array_foreach(targets, i, target) {
        int rc = fill(&sinks[i], report, target, e);
        if (interrupted(o)) {
            return err_set(e, "interrupted", "interrupted while the reports were written");
        }
        if (rc != 0) {
            return -1;
        }
    }
    if (!o->no_text && !o->verbose) {
        mention_advisories(report); /* while what takes memory can still make an error of the run */
    }
    return mem_lost() == lost ? 0 : err_set(e, "out_of_memory", "out of memory while writing the report");
}

static int write_all(const buf *text, sink *sinks, const json_t *targets, const report_opts *o, err *e) {
    int failed = 0;
    err why;
    if (!o->no_text) {
        failed = write_out(takes_stdout(targets) ? STDERR_FILENO : STDOUT_FILENO, text, "the report", e);
    }
    size_t i;
    json_t *target;
    json_array_foreach(targets, i, target) {
        if (commit(&sinks[i], target, &why) != 0) {
            if (failed == 0) {
                *e = why;
            } else {
                log_line(LOG_ERROR, "%s", why.message);
            }
            failed = -1;
        }
    }
    return failed;
}

/* All is rendered before anything is put in its place: what one reader is told, the others are too. */
int report_emit(const json_t *report, const json_t *targets, const report_opts *o, err *e) {
    size_t n = json_array_size(targets);
    buf text = BUF_INIT;
    sink *sinks = calloc(n + 1, sizeof *sinks);
    if (sinks == NULL) {
        mem_note();
        return err_set(e, "out_of_memory", "out of memory while writing the report");
    }
    for (size_t i = 0; i < n; i++) {
        open_sink(&sinks[i], json_array_get(targets, i), o);
    }
    int rc = render_all(&text, sinks, report, targets, o, e);
    rc = rc == 0 ? write_all(&text, sinks, targets, o, e) : rc;
    for (size_t i = 0; i < n; i++) {
        fs_replace_abort(&sinks[i].file);
        buf_free(&sinks[i].out);
    }
    buf_free(&text);
    free(sinks);
    return rc;
}
