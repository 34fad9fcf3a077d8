/* engine_ledger.c: where a run is put on record: the file that the configuration names, or, with evidence.ledger =
 * "database", core.ledger in the platform's database (stdlib/platform/migrations/012_ledger.sql).
 *
 * Of that one the run has a copy, with statements and a head beside it, so that all that reads and writes a ledger
 * knows files alone. What was added to the copy goes to the database in one transaction, and only while the last record
 * there is the one that it follows: else another writer was first, and the record is made anew behind his.
 *
 *   core.ledger ──fetch──► copy ──write──► copy + 1 ──push──► core.ledger ──► the anchor, where there is one */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/fs.h"
#include "base/log.h"
#include "run/engine_parts.h"
#include "run/evidence.h"
#include "run/signals.h"

#define LEDGER_S 120
#define RACES_MAX 20
#define PUSH_MAX (12u << 20) /* bytes of one run's records: a worker is handed them whole */

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* --- the database, by a worker --- */

/* An embedded platform that ends with the run would take the record with it. */
static int reach(engine_run_state *s, err *e) {
    if (s->target.embedded && s->target.server == NULL && target_open(&s->target, &s->tree, s->prepare_by, e) != 0) {
        return -1;
    }
    if (s->target.embedded && !pg_is_kept(s->target.server)) {
        err_set(e, "ledger_unkept", "the ledger is to be in the platform's database, and this one ends with the run");
        return err_fix(e, "keep one: gate-engine platform start; or name a file in evidence.ledger");
    }
    return 0;
}

static int ask(engine_run_state *s, json_t *input, json_t **result, err *e) {
    engine_task t;
    *result = NULL;
    json_t *gate = json_pack("{s:{s:s, s:s, s:{s:[s], s:b, s:b}, s:{}}, s:{}}", "head", "id", "ledger", "name",
                             "ledger", "needs", "db", "operator", "solver", 0, "audits", 0, "failures", "options");
    int rc = gate != NULL && input != NULL ? engine_task_init(s, &t, gate, "ledger", NULL, e)
                                           : err_set(e, "out_of_memory", "out of memory at the ledger");
    json_decref(gate);
    if (rc != 0) {
        return -1;
    }
    json_object_set(t.job, "ledger", input);
    t.pool.wall_s = LEDGER_S;
    rc = engine_pool_apart(s, &t.pool, e);
    const json_t *told = book_result(t.pool.book);
    if (rc == 0 && told != NULL) {
        *result = json_incref((json_t *)told);
    } else if (rc == 0 && signals_flag != 0) {
        rc = err_set(e, "interrupted", "interrupted while the ledger in the database was asked for");
    } else if (rc == 0) {
        err why;
        engine_worker_error(t.pool.book, &why);
        err_set(e, "ledger_unreachable", "%s in the platform's database: %s",
                json_object_get(input, "known") != NULL ? "the tenants' events" : "the ledger", why.message);
        err_detail(e, "%s", why.detail);
        rc = err_fix(e, "%s", why.fix[0] != '\0' ? why.fix : "see database.operator in the configuration");
    }
    engine_task_free(&t);
    return rc;
}

int engine_ledger_known(engine_run_state *s, json_t **known, err *e) {
    *known = NULL;
    if (reach(s, e) != 0) { /* a platform that ends with the run has seen no other one */
        return strcmp(e->code, "ledger_unkept") == 0 && !evidence_in_database(s->r->cfg->doc) ? 0 : -1;
    }
    json_t *input = json_pack("{s:b}", "known", 1);
    int rc = ask(s, input, known, e);
    json_decref(input);
    return rc;
}

/* --- fetch --- */

static int make_place(engine_ledger *l, err *e) {
    const char *tmp = getenv("TMPDIR");
    if (asprintf(&l->dir, "%s/gate-engine-ledger-XXXXXX", tmp != NULL && *tmp == '/' ? tmp : "/tmp") < 0) {
        l->dir = NULL;
        return err_set(e, "out_of_memory", "out of memory at the ledger");
    }
    if (mkdtemp(l->dir) == NULL) {
        err_errno(e, "ledger_open", "no copy of the ledger can be made: %s", l->dir);
        free(l->dir);
        l->dir = NULL;
        return err_fix(e, "make room there, or name another directory in TMPDIR");
    }
    memset(l->at.hash, '0', SHA256_HEX_SIZE - 1);
    l->path = fs_join(l->dir, "ledger.jsonl");
    return l->path != NULL ? 0 : err_set(e, "out_of_memory", "out of memory at the ledger");
}

/* The file of the statement is called as the record says. */
static int put_statement(const char *path, const char *line, const json_t *statement, err *e) {
    err why;
    json_t *record = json_is_string(statement) ? canon_parse(line, strlen(line), &why) : NULL;
    const char *name = str(json_object_get(record, "statement"), "file");
    char *file = name != NULL && strchr(name, '/') == NULL ? evidence_statement_path(path, name) : NULL;
    char *dir = file != NULL ? fs_dirname(file) : NULL;
    int rc = dir != NULL ? fs_mkdirs(dir, 0700, e) : 0;
    if (rc == 0 && dir != NULL) {
        rc = fs_write_atomic(file, json_string_value(statement), json_string_length(statement), 0600, e);
    }
    free(dir);
    free(file);
    json_decref(record);
    return rc;
}

static int put_row(int fd, engine_ledger *l, const json_t *row, err *e) {
    const json_t *line = json_object_get(row, "line");
    const char *hash = str(row, "hash");
    if (!json_is_string(line) || hash == NULL || strlen(hash) != SHA256_HEX_SIZE - 1) {
        return err_set(e, "ledger_broken", "core.ledger: the row after record %lld is none of a ledger",
                       (long long)l->at.seq);
    }
    size_t n = json_string_length(line);
    if (fs_write_all(fd, json_string_value(line), n) != 0 || fs_write_all(fd, "\n", 1) != 0) {
        return err_errno(e, "ledger_write", "the copy of the ledger cannot be written: %s", l->path);
    }
    l->at.seq = json_integer_value(json_object_get(row, "seq"));
    memcpy(l->at.hash, hash, SHA256_HEX_SIZE);
    l->at.end += (off_t)n + 1;
    return put_statement(l->path, json_string_value(line), json_object_get(row, "statement"), e);
}

static int fetch_some(engine_run_state *s, int fd, bool *more, err *e) {
    json_t *result = NULL;
    json_t *input = json_pack("{s:I}", "after", s->ledger.at.seq);
    int rc = ask(s, input, &result, e);
    json_decref(input);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(result, "rows"), i, row) {
        rc = rc == 0 ? put_row(fd, &s->ledger, row, e) : rc;
    }
    *more = json_is_true(json_object_get(result, "more"));
    json_decref(result);
    return rc;
}

/* Brings the copy in line with the database: what was added to it alone goes, what is new there comes. */
static int fetch(engine_run_state *s, err *e) {
    engine_ledger *l = &s->ledger;
    if (l->dir == NULL && make_place(l, e) != 0) {
        return -1;
    }
    int fd = open(l->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, l->at.end) != 0 || lseek(fd, 0, SEEK_END) < 0) {
        err_errno(e, "ledger_open", "the copy of the ledger cannot be opened: %s", l->path);
        fs_close(&fd);
        return -1;
    }
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        rc = fetch_some(s, fd, &more, e);
    }
    fs_close(&fd);
    return rc == 0 && l->at.seq > 0 ? ledger_write_head(l->path, &l->at, e) : rc;
}

int engine_ledger_find(engine_run_state *s, err *e) {
    const json_t *doc = s->r->cfg->doc;
    const char *named = str(json_object_get(doc, "evidence"), "ledger");
    if (named == NULL || s->ledger.path != NULL) {
        return named != NULL && s->ledger.dir != NULL ? fetch(s, e) : 0;
    }
    if (evidence_in_database(doc)) {
        if (s->target.scratch) {
            log_line(LOG_INFO, "a scratch copy's run is on no record: the ledger is in the platform's database, which "
                               "such a run does not touch");
            return 0;
        }
        return reach(s, e) == 0 ? fetch(s, e) : -1;
    }
    s->ledger.path = strdup(named);
    return s->ledger.path != NULL ? 0 : err_set(e, "out_of_memory", "out of memory at the ledger");
}

void engine_ledger_free(engine_ledger *l) {
    err ignored;
    if (l->dir != NULL && fs_remove_tree(l->dir, &ignored) != 0) {
        log_line(LOG_WARN, "a copy of the ledger stays: %s", ignored.message);
    }
    free(l->dir);
    free(l->path);
    *l = (engine_ledger){.path = NULL};
}

/* --- push --- */

static int statement_of(const char *path, const json_t *record, json_t *row, err *e) {
    const char *name = str(json_object_get(record, "statement"), "file");
    if (name == NULL) {
        return 0;
    }
    buf text = BUF_INIT;
    char *file = evidence_statement_path(path, name);
    int rc = file != NULL ? fs_read(file, PUSH_MAX, &text, e) : err_set(e, "out_of_memory", "out of memory");
    if (rc == 0 && json_object_set_new(row, "statement", json_stringn(buf_str(&text), text.len)) != 0) {
        rc = err_set(e, "out_of_memory", "out of memory at the ledger");
    }
    buf_free(&text);
    free(file);
    return rc;
}

static int add_row(const char *path, const char *line, size_t n, json_t *rows, err *e) {
    json_t *record = canon_parse(line, n, e);
    if (record == NULL) {
        return -1;
    }
    json_t *row = json_pack("{s:O, s:O, s:s%}", "seq", json_object_get(record, "seq"), "hash",
                            json_object_get(record, "hash"), "line", line, n);
    int rc = row != NULL ? statement_of(path, record, row, e) : -1;
    if (row == NULL || json_array_append_new(rows, row) != 0) {
        rc = err_set(e, "out_of_memory", "out of memory at the ledger");
    }
    json_decref(record);
    return rc;
}

/* What stands in the copy after what the database has. */
static int added(const engine_ledger *l, const ledger_state *now, json_t *rows, err *e) {
    size_t n = (size_t)(now->end - l->at.end);
    buf text = BUF_INIT;
    char *bytes = n <= PUSH_MAX ? buf_reserve(&text, n) : NULL;
    int fd = open(l->path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 && bytes != NULL ? pread(fd, bytes, n, l->at.end) : -1;
    fs_close(&fd);
    int rc = 0;
    if (got < 0 || (size_t)got != n) {
        rc = err_set(e, "ledger_open", "the copy of the ledger cannot be read: %s", l->path);
    }
    for (size_t from = 0; rc == 0 && from < n;) {
        const char *end = memchr(bytes + from, '\n', n - from);
        size_t len = end != NULL ? (size_t)(end - bytes) - from : n - from;
        rc = add_row(l->path, bytes + from, len, rows, e);
        from += len + 1;
    }
    buf_free(&text);
    return rc;
}

/* *raced: another writer was first, and nothing was added. */
static int push(engine_run_state *s, const ledger_state *now, bool *raced, err *e) {
    json_t *result = NULL, *rows = json_array();
    json_t *input = json_pack("{s:I, s:s, s:O}", "after", s->ledger.at.seq, "hash", s->ledger.at.hash, "rows", rows);
    int rc = input != NULL ? added(&s->ledger, now, rows, e) : err_set(e, "out_of_memory", "out of memory");
    if (rc == 0 && json_array_size(rows) > 0) {
        rc = ask(s, input, &result, e);
        *raced = rc == 0 && !json_is_true(json_object_get(result, "added"));
    }
    if (rc == 0 && !*raced) {
        s->ledger.at = *now;
    }
    json_decref(result);
    json_decref(input);
    json_decref(rows);
    return rc;
}

/* --- on record --- */

static int write_once(engine_run_state *s, engine_writes writes, void *ctx, bool *raced, err *e) {
    ledger l;
    bool copied = s->ledger.dir != NULL;
    *raced = false;
    int rc = ledger_open(&l, s->ledger.path, e);
    rc = rc == 0 ? writes(s, &l, ctx, e) : rc;
    rc = rc == 0 && copied ? push(s, &l.at, raced, e) : rc;
    rc = rc == 0 && !*raced ? engine_anchor_put(s, &l, e) : rc;
    ledger_close(&l);
    return rc;
}

int engine_ledger_write(engine_run_state *s, engine_writes writes, void *ctx, err *e) {
    for (int i = 0; i < RACES_MAX; i++) {
        bool raced = false;
        if (engine_ledger_find(s, e) != 0) {
            return -1;
        }
        if (s->ledger.path == NULL) {
            return 0;
        }
        if (write_once(s, writes, ctx, &raced, e) != 0) {
            return -1;
        }
        if (!raced) {
            return 0;
        }
    }
    err_set(e, "ledger_raced", "other runs were put on record all the time: this one is not, after %d attempts",
            RACES_MAX);
    return err_fix(e, "run this again");
}
