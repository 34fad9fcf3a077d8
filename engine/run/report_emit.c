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

static int write_target(const buf *text, const json_t *target, err *e) {
    const char *format = json_string_value(json_object_get(target, "format"));
    const char *file = json_string_value(json_object_get(target, "file"));
    if (file == NULL || strcmp(file, "-") == 0) {
        return write_out(STDOUT_FILENO, text, "the report to standard output", e);
    }
    err why;
    if (fs_write_atomic(file, buf_str(text), text->len, 0644, &why) != 0) {
        err_set(e, "report_write", "cannot write the %s report: %s", format, why.message);
        return err_fix(e, "name a file in a directory that exists, can be written to and has room");
    }
    return 0;
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

/* Renders everything: the text into out[0], each target into the one after. */
static int render_all(buf *out, const json_t *report, const json_t *targets, const report_opts *o, err *e) {
    size_t lost = mem_lost();
    size_t i;
    json_t *target;
    if (!o->no_text) {
        int fd = takes_stdout(targets) ? STDERR_FILENO : STDOUT_FILENO;
        report_opts mine = *o;
        mine.colour = o->colour && report_colour(fd);
        if (report_text(&out[0], report, &mine) != 0) {
            return err_set(e, "out_of_memory", "out of memory while writing the report");
        }
        if (!o->verbose) {
            mention_advisories(report);
        }
    }
    json_array_foreach(targets, i, target) {
        if (report_render(&out[1 + i], report, json_string_value(json_object_get(target, "format")), e) != 0) {
            return -1;
        }
    }
    return mem_lost() == lost ? 0 : err_set(e, "out_of_memory", "out of memory while writing the report");
}

static int write_all(const buf *out, const json_t *targets, const report_opts *o, err *e) {
    int failed = 0;
    err why;
    if (!o->no_text) {
        failed = write_out(takes_stdout(targets) ? STDERR_FILENO : STDOUT_FILENO, &out[0], "the report", e);
    }
    size_t i;
    json_t *target;
    json_array_foreach(targets, i, target) {
        if (write_target(&out[1 + i], target, &why) != 0) {
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

/* All is rendered before anything is written: what one reader is told, the others are too. */
int report_emit(const json_t *report, const json_t *targets, const report_opts *o, err *e) {
    size_t n = 1 + json_array_size(targets);
    buf *out = calloc(n, sizeof *out);
    if (out == NULL) {
        mem_note();
        return err_set(e, "out_of_memory", "out of memory while writing the report");
    }
    int rc = render_all(out, report, targets, o, e);
    rc = rc == 0 ? write_all(out, targets, o, e) : rc;
    for (size_t i = 0; i < n; i++) {
        buf_free(&out[i]);
    }
    free(out);
    return rc;
}
