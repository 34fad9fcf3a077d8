/* cli_reports.c: where reports may go. What a run reads, or another report goes to, is not written over, and nothing is
 * opened that would keep the run waiting. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "run/cli_parts.h"
#include "run/config.h"

static const char *file_of(const json_t *targets, size_t i) {
    const char *file = json_string_value(json_object_get(json_array_get(targets, i), "file"));
    return file == NULL || strcmp(file, "-") == 0 ? NULL : file;
}

/* "--report json=FILE", as it was given; new memory, "" without any. */
static void show(buf *out, const json_t *targets, size_t i) {
    const json_t *target = json_array_get(targets, i);
    const char *format = json_string_value(json_object_get(target, "format"));
    const char *file = json_string_value(json_object_get(target, "file"));
    buf_printf(out, "--report %s=", format != NULL ? format : "?");
    text_sanitise(out, file != NULL ? file : "-", strlen(file != NULL ? file : "-"), 200, false);
}

/* The one name of a file that is there, or that could be made there, into out: false where neither. */
static bool place_of(const char *path, char out[PATH_MAX]) {
    if (realpath(path, out) != NULL) {
        return true;
    }
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    char *dir = fs_dirname(path);
    bool found = errno == ENOENT && *name != '\0' && dir != NULL && realpath(dir, out) != NULL;
    free(dir);
    char *whole = found ? fs_join(out, name) : NULL;
    int n = whole != NULL ? snprintf(out, PATH_MAX, "%s", whole) : -1;
    free(whole);
    return n >= 0 && n < PATH_MAX;
}

/* Do both name one file? What is no regular file (/dev/null) may be named as often as one likes. */
static bool same_file(const char *a, const char *b) {
    char pa[PATH_MAX];
    char pb[PATH_MAX];
    struct stat sa, sb;
    bool there_a = stat(a, &sa) == 0, there_b = stat(b, &sb) == 0;
    if (there_a && there_b) {
        return S_ISREG(sa.st_mode) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
    }
    return there_a == there_b && place_of(a, pa) && place_of(b, pb) && strcmp(pa, pb) == 0;
}

/* Pipes that the caller has open already: a shell's >(…) and redirections. */
static bool is_own_descriptor(const char *file) {
    return strncmp(file, "/dev/fd/", 8) == 0 || strncmp(file, "/proc/self/fd/", 14) == 0 ||
           strcmp(file, "/dev/stdout") == 0 || strcmp(file, "/dev/stderr") == 0;
}

static const char *unfit(const char *file) {
    struct stat st;
    if (stat(file, &st) != 0 || S_ISREG(st.st_mode) || S_ISCHR(st.st_mode)) {
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        return "a directory";
    }
    if (S_ISFIFO(st.st_mode)) {
        return is_own_descriptor(file) ? NULL : "a named pipe, which may wait for its reader for ever";
    }
    return S_ISSOCK(st.st_mode) ? "a socket" : "a block device";
}

static int refuse(const json_t *targets, size_t i, const char *what, const char *fix, err *e) {
    buf shown = BUF_INIT;
    show(&shown, targets, i);
    err_set(e, "usage_flag", "%s: %s", buf_str(&shown), what);
    buf_free(&shown);
    return err_fix(e, "%s", fix);
}

/* `input` as given: the file itself, or a directory with a plan. */
static bool reads(const char *input, const char *file) {
    if (same_file(file, input)) {
        return true;
    }
    char *inside = fs_is_dir(input) ? fs_join(input, "audit-plan.json") : NULL;
    bool same = inside != NULL && same_file(file, inside);
    free(inside);
    return same;
}

static bool ends_in(const char *text, const char *suffix) {
    size_t n = strlen(text), k = strlen(suffix);
    return n > k && strcmp(text + n - k, suffix) == 0;
}

/* A file that no line of the command names and that a run may read all the same: a module or an audit, a migration, a
 * plan of the directory `plans` (NULL: none), what a kept server is known by. No report ever was one of these. */
static bool is_source(const char *file, const char *plans) {
    const char *state = getenv("GATE_ENGINE_STATE");
    if (!fs_is_file(file)) {
        return false;
    }
    bool state_of_engine = state != NULL && *state != '\0' && fs_is_beneath(state, file);
    bool plan = plans != NULL && fs_is_dir(plans) && ends_in(file, ".json") && fs_is_beneath(plans, file);
    return ends_in(file, ".lua") || ends_in(file, ".sql") || state_of_engine || plan;
}

/* May report i be written, beside those before it and what the run uses? */
static int fits(const json_t *targets, size_t i, const char *const *inputs, size_t n, const char *plans, err *e) {
    const char *file = file_of(targets, i);
    buf what = BUF_INIT;
    int rc = 0;
    if (file == NULL) {
        return 0;
    }
    const char *bad = unfit(file);
    if (bad != NULL) {
        buf_printf(&what, "expected a file, found %s", bad);
        rc = refuse(targets, i, buf_str(&what), "name a file, or a shell's pipe: --report FORMAT=>(COMMAND)", e);
    }
    for (size_t k = 0; rc == 0 && k < i; k++) {
        const char *other = file_of(targets, k);
        if (other != NULL && same_file(file, other)) {
            show(&what, targets, k);
            buf_puts(&what, " goes to the same file");
            rc = refuse(targets, i, buf_str(&what), "give each report a file of its own", e);
        }
    }
    for (size_t k = 0; rc == 0 && k < n; k++) {
        if (reads(inputs[k], file)) {
            buf_puts(&what, "it would be written over ");
            text_sanitise(&what, inputs[k], strlen(inputs[k]), 200, false);
            buf_puts(&what, ", which this run uses");
            rc = refuse(targets, i, buf_str(&what), "name another file", e);
        }
    }
    if (rc == 0 && is_source(file, plans)) {
        rc = refuse(targets, i, "it would be written over a file that gate-engine may read", "name another file", e);
    }
    buf_free(&what);
    return rc;
}

/* The value of a word of the line that may be a file; moves *i over a report's. */
static const char *input_at(int argc, char **argv, int *i) {
    const char *word = argv[*i];
    if (*word != '-') {
        return word;
    }
    const char *equals = strchr(word, '=');
    if (strncmp(word, "--report", 8) == 0 && (word[8] == '\0' || word[8] == '=')) {
        *i += word[8] == '\0' && *i + 1 < argc;
        return NULL;
    }
    return equals != NULL ? equals + 1 : NULL;
}

int cli_fit_reports(json_t *targets, int argc, char **argv, const char *const *scripts, size_t n, err *e) {
    const char **inputs = calloc((size_t)argc + n + 1, sizeof *inputs);
    char *settings = config_find(cli_peek_value(argc, argv, "config"));
    size_t count = 0;
    int rc = 0;
    for (int i = 1; inputs != NULL && i < argc; i++) {
        const char *input = input_at(argc, argv, &i);
        if (input != NULL && *input != '\0') {
            inputs[count++] = input;
        }
    }
    for (size_t i = 0; inputs != NULL && i < n; i++) {
        inputs[count++] = scripts[i];
    }
    if (inputs != NULL && settings != NULL) {
        inputs[count++] = settings;
    }
    for (size_t i = json_array_size(targets); i > 0; i--) {
        err why;
        if (inputs == NULL) {
            rc = err_set(e, "out_of_memory", "out of memory");
            json_array_remove(targets, i - 1);
        } else if (fits(targets, i - 1, inputs, count, cli_peek_value(argc, argv, "plan"), &why) != 0) {
            *e = why;
            rc = -1;
            json_array_remove(targets, i - 1);
        }
    }
    free(settings);
    free(inputs);
    return rc;
}
