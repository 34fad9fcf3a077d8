/* cli_evidence.c: gate-engine evidence list|show|export|keygen. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/calendar.h"
#include "base/canon.h"
#include "base/fs.h"
#include "base/text.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/config.h"
#include "run/dsse.h"
#include "run/ledger.h"

#define KEY_FILE "gate-engine.key"

/* What of a ledger is wanted, and how. */
typedef struct wanted {
    const char *tenant, *since; /* NULL = all */
    json_int_t seq;             /* show: the one; 0 = all, -1 = none */
    void (*put)(const json_t *record);
    size_t n;
} wanted;

static const char *text_of(const json_t *record, const char *part, const char *key) {
    const json_t *from = part != NULL ? json_object_get(record, part) : record;
    const char *s = json_string_value(json_object_get(from, key));
    return s != NULL ? s : "";
}

static long long seq_of(const json_t *record) {
    return json_integer_value(json_object_get(record, "seq"));
}

static bool approved(const json_t *record) {
    return json_is_true(json_object_get(record, "approved"));
}

static int each(void *ctx, const json_t *record, err *e) {
    wanted *w = ctx;
    (void)e;
    if ((w->tenant != NULL && strcmp(w->tenant, text_of(record, "tenant", "code")) != 0) ||
        (w->since != NULL && strcmp(text_of(record, NULL, "at"), w->since) < 0) ||
        (w->seq != 0 && w->seq != seq_of(record))) {
        return 0;
    }
    w->n++;
    w->put(record);
    return 0;
}

static void put_row(const json_t *record) {
    const char *tenant = text_of(record, "tenant", "code");
    printf("%6lld  %.19sZ  %-20s %-9s %-8s %s%s\n", seq_of(record), text_of(record, NULL, "at"),
           *tenant != '\0' ? tenant : "-", text_of(record, NULL, "kind"), text_of(record, NULL, "status"),
           text_of(record, NULL, "script"), approved(record) ? "  (approved)" : "");
}

static void put_line(const json_t *record) {
    buf line = BUF_INIT;
    err ignored; /* what was read from canonical JSON can be written as it; memory is counted */
    if (canon_value(&line, record, &ignored) == 0) {
        printf("%s\n", buf_str(&line));
    }
    buf_free(&line);
}

static void put_whole(const json_t *record) {
    buf text = BUF_INIT;
    err ignored;
    if (canon_plain(&text, record, 2, &ignored) == 0) {
        printf("%s\n", buf_str(&text));
    }
    buf_free(&text);
}

/* One field (RFC 4180). What a spreadsheet would take for a formula gets a quote before it. */
static void put_field(const char *s, bool last) {
    putchar('"');
    if (*s != '\0' && strchr("=+-@\t\r", *s) != NULL) {
        putchar('\'');
    }
    for (; *s != '\0'; s++) {
        if (*s == '"') {
            putchar('"');
        }
        putchar(*s);
    }
    fputs(last ? "\"\r\n" : "\",", stdout);
}

static void put_csv(const json_t *record) {
    char seq[32];
    snprintf(seq, sizeof seq, "%lld", seq_of(record));
    put_field(seq, false);
    put_field(text_of(record, NULL, "at"), false);
    put_field(text_of(record, "tenant", "code"), false);
    put_field(text_of(record, NULL, "kind"), false);
    put_field(text_of(record, NULL, "script"), false);
    put_field(text_of(record, NULL, "status"), false);
    put_field(approved(record) ? "true" : "false", false);
    put_field(text_of(record, "target", "platform"), false);
    put_field(text_of(record, "target", "host"), false);
    put_field(text_of(record, "target", "database"), false);
    put_field(text_of(record, "environment", "actor"), false);
    put_field(text_of(record, "environment", "commit"), false);
    put_field(text_of(record, "statement", "file"), false);
    put_field(text_of(record, NULL, "hash"), true);
}

/* --- the ledger that is meant --- */

typedef struct place {
    char *path; /* owned */
    char *dir;  /* owned: it is a copy of the database's, in here; NULL: it is a file */
} place;

static void leave(place *p) {
    err ignored;
    if (p->dir != NULL) {
        (void)fs_remove_tree(p->dir, &ignored);
    }
    free(p->dir);
    free(p->path);
}

static int configured_place(const cli_words *words, place *p, err *e) {
    config *c = NULL;
    if (config_load(cli_text(words, "config"), false, &c, e) != 0) {
        return EXIT_USAGE;
    }
    const char *own = json_string_value(json_object_get(json_object_get(c->doc, "evidence"), "ledger"));
    int code = EXIT_PASS;
    if (own == NULL) {
        err_set(e, "usage_flag", "the configuration names no ledger: nothing is on record");
        err_fix(e, "add evidence = { ledger = \"evidence/ledger.jsonl\" }, or name one with --ledger FILE");
        code = EXIT_USAGE;
    } else if (evidence_in_database(c->doc)) {
        code = engine_ledger_copy(c, &p->dir, &p->path, e) == 0 ? EXIT_PASS : EXIT_BROKEN;
    } else {
        p->path = strdup(own);
    }
    config_free(c);
    return code;
}

/* Returns an exit code; leave it in every case. */
static int find_place(const cli_words *words, place *p, err *e) {
    const char *named = cli_text(words, "ledger");
    *p = (place){.path = named != NULL ? strdup(named) : NULL};
    int code = named == NULL ? configured_place(words, p, e) : EXIT_PASS;
    if (code != EXIT_PASS) {
        return code;
    }
    if (p->path == NULL) {
        err_set(e, "out_of_memory", "out of memory");
        return EXIT_BROKEN;
    }
    if (!fs_exists(p->path)) {
        err_set(e, "usage_flag", "there is no ledger %s: nothing was put on record there yet",
                p->dir != NULL ? "in the database" : p->path);
        err_fix(e, "run a gate first, or correct the path");
        return EXIT_USAGE;
    }
    return EXIT_PASS;
}

static int check_since(const char *since, err *e) {
    char day[11] = "";
    if (since != NULL) {
        snprintf(day, sizeof day, "%s", since);
    }
    if (since == NULL || (calendar_is_date(day) && strspn(since, "0123456789-:.TZ") == strlen(since))) {
        return 0;
    }
    err_set(e, "usage_flag", "--since: expected a date such as 2027-01-31, in UTC");
    return err_fix(e, "a time may follow it: 2027-01-31T12:00:00Z");
}

static int exit_for(const err *e) {
    static const char *const INVALID[] = {"ledger_broken", "ledger_truncated", "ledger_rewritten", NULL};
    for (size_t i = 0; INVALID[i] != NULL; i++) {
        if (strcmp(e->code, INVALID[i]) == 0) {
            return EXIT_FAIL;
        }
    }
    return strncmp(e->code, "ledger_", 7) == 0 || strcmp(e->code, "file_locked") == 0 ||
                   strcmp(e->code, "out_of_memory") == 0
               ? EXIT_BROKEN
               : EXIT_USAGE;
}

static int read_place(const place *p, wanted *w, const char *missing, err *e) {
    ledger_state at;
    if (ledger_read(p->path, each, w, &at, e) != 0) {
        return exit_for(e);
    }
    if (w->n == 0 && missing != NULL) {
        err_set(e, "usage_operand", "%s", missing);
        err_fix(e, "gate-engine evidence list shows what there is");
        return EXIT_USAGE;
    }
    return EXIT_PASS;
}

static int read_out(const cli_words *words, wanted *w, const char *missing, err *e) {
    place p = {.path = NULL};
    w->tenant = cli_text(words, "tenant");
    w->since = cli_text(words, "since");
    if (check_since(w->since, e) != 0) {
        return EXIT_USAGE;
    }
    int code = find_place(words, &p, e);
    code = code == EXIT_PASS ? read_place(&p, w, missing, e) : code;
    leave(&p);
    return code;
}

static int list(const cli_words *words, err *e) {
    wanted w = {.put = put_row};
    return read_out(words, &w, NULL, e);
}

static int show(const cli_words *words, err *e) {
    const char *seq = json_string_value(json_array_get(words->operands, 1));
    wanted w = {.put = put_whole};
    w.seq = seq != NULL && strspn(seq, "0123456789") == strlen(seq) ? strtoll(seq, NULL, 10) : 0;
    if (w.seq < 1) {
        err_set(e, "usage_operand", "evidence show: expected the number of a record");
        err_fix(e, "gate-engine evidence list shows what there is");
        return EXIT_USAGE;
    }
    return read_out(words, &w, "there is no such record", e);
}

/* The ledger of a database as files, which `verify` reads anywhere. Whole: a part of a chain is none. */
static int export_files(const cli_words *words, const char *to, err *e) {
    place p = {.path = NULL};
    if (cli_given(words, "csv") || cli_given(words, "tenant") || cli_given(words, "since")) {
        err_set(e, "usage_flag", "evidence export: --output takes the whole ledger, and no other flag beside it");
        return EXIT_USAGE;
    }
    int code = find_place(words, &p, e);
    if (code == EXIT_PASS && p.dir == NULL) {
        err_set(e, "usage_flag", "the ledger %s is a file already", p.path);
        err_fix(e, "copy it, with its .head and statements/ beside it");
        code = EXIT_USAGE;
    } else if (code == EXIT_PASS && fs_exists(to)) {
        err_set(e, "usage_flag", "%s is there already", to);
        err_fix(e, "name a directory that is to be made with --output");
        code = EXIT_USAGE;
    } else if (code == EXIT_PASS) {
        wanted none = {.seq = -1, .put = put_line};
        code = read_place(&p, &none, NULL, e);
        code = code == EXIT_PASS && fs_copy_tree(p.dir, to, e) != 0 ? EXIT_BROKEN : code;
    }
    leave(&p);
    return code;
}

static int export(const cli_words *words, err *e) {
    const char *to = cli_text(words, "output");
    if (to != NULL) {
        return export_files(words, to, e);
    }
    wanted w = {.put = cli_given(words, "csv") ? put_csv : put_line};
    if (cli_given(words, "csv")) {
        fputs("seq,at,tenant,kind,script,status,approved,platform,host,database,actor,commit,statement,hash\r\n",
              stdout);
    }
    return read_out(words, &w, NULL, e);
}

/* --- keys --- */

/* Never over a file that is there: it may be the only copy of a key. */
static int write_new(const char *path, const buf *text, mode_t mode, err *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        err_errno(e, "file_write", "%s cannot be made", path);
        return err_fix(e, errno == EEXIST ? "keys are never overwritten: name another file with --output"
                                          : "name a file that can be made with --output");
    }
    int rc = fs_write_all(fd, buf_str(text), text->len) == 0 && fsync(fd) == 0
                 ? 0
                 : err_errno(e, "file_write", "%s cannot be written", path);
    close(fd);
    return rc;
}

static int write_pair(const char *file, const dsse_key *key, err *e) {
    buf private_ = BUF_INIT, public = BUF_INIT;
    char *beside = NULL;
    int rc = asprintf(&beside, "%s.pub", file) >= 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
    rc = rc == 0 ? dsse_key_private_pem(key, &private_, e) : rc;
    rc = rc == 0 ? dsse_key_public_pem(key, &public, e) : rc;
    rc = rc == 0 ? write_new(file, &private_, 0600, e) : rc;
    rc = rc == 0 ? write_new(beside, &public, 0644, e) : rc;
    if (private_.data != NULL) {
        explicit_bzero(private_.data, private_.cap);
    }
    buf_free(&private_);
    buf_free(&public);
    free(beside);
    return rc;
}

static int keygen(const cli_words *words, err *e) {
    const char *file = cli_text(words, "output");
    file = file != NULL ? file : KEY_FILE;
    dsse_key key;
    if (dsse_key_make(&key, e) != 0) {
        return EXIT_BROKEN;
    }
    int rc = write_pair(file, &key, e);
    if (rc == 0) {
        printf("private key: %s\npublic key:  %s.pub\nkey id:      %s\n", file, file, key.id);
        printf("In the configuration: evidence = { ledger = \"evidence/ledger.jsonl\", key = file \"%s\" }\n", file);
    }
    dsse_key_wipe(&key);
    return rc == 0 ? EXIT_PASS : EXIT_USAGE;
}

static int evidence(const cli_words *words, err *e) {
    static const char *const NAMES[] = {"list", "show", "export", "keygen", NULL};
    static int (*const ACTS[])(const cli_words *, err *) = {list, show, export, keygen};
    static const size_t OPERANDS[] = {1, 2, 1, 1};
    const char *name = json_string_value(json_array_get(words->operands, 0));
    for (size_t i = 0; name != NULL && NAMES[i] != NULL; i++) {
        if (strcmp(NAMES[i], name) != 0) {
            continue;
        }
        if (json_array_size(words->operands) > OPERANDS[i]) {
            err_set(e, "usage_operand", "evidence %s: there is a word too many", name);
            return EXIT_USAGE;
        }
        return ACTS[i](words, e);
    }
    cli_no_such(e, "evidence: expected list, show, export or keygen, found", name != NULL ? name : "nothing", NAMES,
                "gate-engine help evidence");
    return EXIT_USAGE;
}

int cli_evidence_main(const cli_verb *verb, int argc, char **argv) {
    return cli_act(verb, argc, argv, evidence);
}
