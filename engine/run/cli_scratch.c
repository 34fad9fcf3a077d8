/* cli_scratch.c: the flags of a scratch copy: which schema gate 1 is to load and look at. */
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "run/cli_parts.h"
#include "run/config.h"

static int usage(err *e, const char *fix, const char *fmt, const char *a, const char *b)
    __attribute__((format(printf, 3, 0)));

static int usage(err *e, const char *fix, const char *fmt, const char *a, const char *b) {
    buf first = BUF_INIT, second = BUF_INIT;
    text_sanitise(&first, a, strlen(a), 200, false);
    text_sanitise(&second, b, strlen(b), 200, false);
    err_set(e, "usage_flag", fmt, buf_str(&first), buf_str(&second));
    buf_free(&first);
    buf_free(&second);
    return err_fix(e, "%s", fix);
}

enum { OPEN_AT_ONCE = 16 };

/* The first entry that is neither a file nor a directory, for nftw, which hands nothing through; owned. */
static char *odd_entry;

static int look_at(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)at;
    /* Also what has no name in UTF-8, or cannot be read: nothing of a schema may be left out in silence. */
    bool odd = kind == FTW_SL || kind == FTW_DNR || kind == FTW_NS || (kind == FTW_F && !S_ISREG(st->st_mode)) ||
               !text_utf8_valid(path, strlen(path));
    odd_entry = odd ? strdup(path) : NULL;
    return odd ? 1 : 0;
}

/* A tool that applies migrations follows links, and what is read here is what lies in the directory itself: a table
 * behind a link would be looked at by nobody. */
static int refuse_odd_entries(const char *flag, const char *dir, err *e) {
    odd_entry = NULL;
    int rc = nftw(dir, look_at, OPEN_AT_ONCE, FTW_PHYS);
    if (rc < 0) {
        return err_errno(e, "usage_flag", "--%s: cannot read the directory", flag);
    }
    if (rc > 0) {
        usage(e, "put the file itself there: what a link leads to would not be looked at",
              "--%s: expected files and directories, found a link or something else: \"%s\"", flag,
              odd_entry != NULL ? odd_entry : dir);
        free(odd_entry);
        odd_entry = NULL;
        return -1;
    }
    return 0;
}

/* {"path", "dir"} of what a flag names; NULL with *e. */
static json_t *place(const char *flag, const char *path, bool dir, bool file, err *e) {
    char *real = realpath(path, NULL);
    bool is_dir = real != NULL && fs_is_dir(real);
    json_t *out = NULL;
    if (real == NULL || (is_dir && !dir) || (!is_dir && !file)) {
        usage(e,
              !file  ? "name the directory that holds the migrations, *.sql"
              : !dir ? "name a file that pg_dump --schema-only wrote, or one of DDL statements"
                     : "name a file of DDL statements, or a directory of migrations",
              real == NULL ? "--%s: there is no \"%s\"" : "--%s: \"%s\" is of another kind than expected", flag, path);
    } else if (!is_dir || refuse_odd_entries(flag, real, e) == 0) {
        out = json_pack("{s:s, s:b}", "path", real, "dir", is_dir);
        if (out == NULL) {
            err_set(e, "usage_flag", "--%s: expected UTF-8", flag);
        }
    }
    free(real);
    return out;
}

/* Flags that say something about a scratch copy say nothing without one. */
static int refuse_lone(const cli_words *w, err *e) {
    static const char *const ONES[] = {"against", "app-role", "tenant-column", "tenant-setting"};
    for (size_t i = 0; i < sizeof ONES / sizeof *ONES; i++) {
        if (cli_given(w, ONES[i])) {
            return usage(e, "add --schema FILE or --migrations DIR", "--%s belongs to a scratch copy%s", ONES[i], "");
        }
    }
    return 0;
}

int cli_scratch(const cli_words *w, const char *script, bool looks, run_request *r, err *e) {
    const char *schema = cli_text(w, "schema"), *migrations = cli_text(w, "migrations");
    if (schema == NULL && migrations == NULL) {
        return refuse_lone(w, e);
    }
    if (schema != NULL && migrations != NULL) {
        return usage(e, "give one of them", "--schema and --migrations contradict each other%s%s", "", "");
    }
    const char *flag = schema != NULL ? "schema" : "migrations";
    if (!looks) {
        return usage(e, "run gates/rls_harness.lua on it", "--%s: %s does not look at a schema", flag, script);
    }
    static const char *const NOT_WITH[] = {"record", "apply"};
    for (size_t i = 0; i < sizeof NOT_WITH / sizeof *NOT_WITH; i++) {
        if (cli_given(w, NOT_WITH[i])) {
            return usage(e, "a scratch copy is gone after the run: leave one of them away",
                         "--%s and --%s contradict each other", flag, NOT_WITH[i]);
        }
    }
    r->scratch = place(flag, schema != NULL ? schema : migrations, schema == NULL, schema != NULL, e);
    if (r->scratch == NULL) {
        return -1;
    }
    static const char *const NAMES[][2] = {
        {"app-role", "app"}, {"tenant-column", "column"}, {"tenant-setting", "setting"}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const char *value = cli_text(w, NAMES[i][0]);
        if (value != NULL &&
            (*value == '\0' || json_object_set_new(r->scratch, NAMES[i][1], json_string(value)) != 0)) {
            return usage(e, "give it as it stands in the catalogue", "--%s: expected a name%s", NAMES[i][0], "");
        }
    }
    const char *setting = cli_text(w, "tenant-setting");
    if (setting != NULL && !config_is_setting(setting)) {
        return usage(e, "give it as the policies read it, such as app.tenant_id",
                     "--%s: expected the name of a session setting with a dot in it%s", "tenant-setting", "");
    }
    const char *against = cli_text(w, "against");
    if (against != NULL && cli_given(w, "baseline")) {
        return usage(e, "give one of them", "--against and --baseline contradict each other%s%s", "", "");
    }
    r->against = against != NULL ? place("against", against, true, true, e) : NULL;
    return against == NULL || r->against != NULL ? 0 : -1;
}
