#include "run/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/fs.h"
#include "base/log.h"
#include "run/filelock.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define RESTORE "restore the ledger and its .head from a copy, or begin a new ledger: this one proves nothing any more"

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "out of memory at the ledger");
}

static const ledger_state EMPTY = {.hash = ZEROS};

/* The canonical form of an object, of which `without` (may be NULL) is left out. */
static int canonical(const json_t *object, const char *without, buf *out, err *e) {
    json_t *copy = json_copy((json_t *)object);
    if (copy == NULL) {
        return no_memory(e);
    }
    if (without != NULL) {
        json_object_del(copy, without);
    }
    int rc = canon_value(out, copy, e);
    json_decref(copy);
    return rc;
}

static int hash_of(const json_t *record, char hex[SHA256_HEX_SIZE], err *e) {
    buf text = BUF_INIT;
    int rc = canonical(record, "hash", &text, e);
    if (rc == 0) {
        sha256_hex(buf_str(&text), text.len, hex);
    }
    buf_free(&text);
    return rc;
}

static int broken(const char *path, json_int_t seq, const char *how, err *e) {
    err_set(e, "ledger_broken", "%s: record %lld %s", path, (long long)seq, how);
    return err_fix(e, RESTORE);
}

/* One line, without its end: is it the record that has to follow *at? Then *at becomes it, and *record (a new
 * reference, may be NULL) is it. `after` false: whatever came before is not known, so only its own hash is looked at.
 */
static int take(const char *path, const char *line, size_t n, bool after, ledger_state *at, json_t **record, err *e) {
    json_int_t expected = at->seq + 1;
    err why;
    buf text = BUF_INIT;
    char hash[SHA256_HEX_SIZE];
    json_t *r = canon_parse(line, n, &why);
    if (r == NULL && strcmp(why.code, "out_of_memory") == 0) {
        return no_memory(e);
    }
    json_int_t seq = json_integer_value(json_object_get(r, "seq"));
    const char *prev = json_string_value(json_object_get(r, "prev"));
    const char *own = json_string_value(json_object_get(r, "hash"));
    const char *schema = json_string_value(json_object_get(r, "schema"));
    expected = after ? expected : seq;
    int rc = -1;
    if (!json_is_object(r) || schema == NULL || own == NULL || prev == NULL) {
        broken(path, expected, "is not a record of a ledger", e);
    } else if (strcmp(schema, LEDGER_SCHEMA) != 0) {
        broken(path, expected, "is of another schema than " LEDGER_SCHEMA, e);
    } else if (canon_value(&text, r, e) != 0 || hash_of(r, hash, e) != 0) {
        rc = -1;
    } else if (text.len != n || memcmp(buf_str(&text), line, n) != 0) {
        broken(path, expected, "is not in canonical form: it was edited", e);
    } else if (strcmp(hash, own) != 0) {
        broken(path, expected, "was edited: its content does not have its hash", e);
    } else if (after && seq != expected) {
        err_set(e, "ledger_broken", "%s: record %lld was expected, record %lld found: records were removed or moved",
                path, (long long)expected, (long long)seq);
        err_fix(e, RESTORE);
    } else if (after && strcmp(prev, at->hash) != 0) {
        broken(path, expected, "does not follow the one before: that was replaced, or this is of another ledger", e);
    } else if (seq < 1 || (seq == 1 && strcmp(prev, ZEROS) != 0)) {
        broken(path, expected, "claims to be the first, and follows another", e);
    } else {
        rc = 0;
        at->seq = seq;
        memcpy(at->hash, hash, sizeof hash);
    }
    buf_free(&text);
    if (rc == 0 && record != NULL) {
        *record = json_incref(r);
    }
    json_decref(r);
    return rc;
}

/* --- the head --- */

static char *head_path(const char *path) {
    char *out = NULL;
    return asprintf(&out, "%s.head", path) >= 0 ? out : NULL;
}

/* {0, zeros} where there is none. */
static int read_head(const char *path, ledger_state *head, err *e) {
    *head = EMPTY;
    char *file = head_path(path);
    buf text = BUF_INIT;
    if (file == NULL) {
        return no_memory(e);
    }
    if (!fs_exists(file)) {
        free(file);
        return 0;
    }
    int rc = fs_read(file, 4096, &text, e);
    err why;
    json_t *r = rc == 0 ? canon_parse(buf_str(&text), text.len, &why) : NULL;
    const char *schema = json_string_value(json_object_get(r, "schema"));
    const char *hash = json_string_value(json_object_get(r, "hash"));
    json_int_t seq = json_integer_value(json_object_get(r, "seq"));
    if (rc == 0 && (schema == NULL || strcmp(schema, LEDGER_HEAD_SCHEMA) != 0 || hash == NULL ||
                    strlen(hash) != SHA256_HEX_SIZE - 1 || seq < 1)) {
        err_set(e, "ledger_rewritten", "%s: expected the head of a ledger, found something else", file);
        rc = err_fix(e, RESTORE);
    } else if (rc == 0) {
        head->seq = seq;
        memcpy(head->hash, hash, SHA256_HEX_SIZE);
    }
    json_decref(r);
    buf_free(&text);
    free(file);
    return rc;
}

int ledger_write_head(const char *path, const ledger_state *at, err *e) {
    char *file = head_path(path);
    json_t *head = json_pack("{s:s, s:I, s:s}", "schema", LEDGER_HEAD_SCHEMA, "seq", at->seq, "hash", at->hash);
    buf text = BUF_INIT;
    int rc = file != NULL && head != NULL ? canon_value(&text, head, e) : no_memory(e);
    if (rc == 0 && buf_putc(&text, '\n') != 0) {
        rc = no_memory(e);
    }
    rc = rc == 0 ? fs_write_atomic(file, buf_str(&text), text.len, 0600, e) : rc;
    buf_free(&text);
    json_decref(head);
    free(file);
    return rc;
}

/* A writer syncs its record before it writes the head: the chain may be one record further, and no more. `prev` is the
 * last record's; *behind, where it is asked for, whether it is that one further. */
static int compare_head(const char *path, const ledger_state *at, const char *prev, bool *behind, err *e) {
    ledger_state head;
    if (read_head(path, &head, e) != 0) {
        return -1;
    }
    if (head.seq > at->seq) {
        err_set(e, "ledger_truncated", "%s ends with record %lld, and its head says that there were %lld: it was cut",
                path, (long long)at->seq, (long long)head.seq);
        return err_fix(e, RESTORE);
    }
    bool same = head.seq == at->seq && strcmp(head.hash, at->hash) == 0;
    bool one_on = head.seq + 1 == at->seq && prev != NULL && strcmp(head.hash, prev) == 0;
    if (!same && !one_on) {
        err_set(e, "ledger_rewritten",
                "%s.head is of record %lld, and not the head of this ledger, which ends with %lld", path,
                (long long)head.seq, (long long)at->seq);
        return err_fix(e, RESTORE);
    }
    if (behind != NULL) {
        *behind = one_on;
    }
    return 0;
}

/* --- writing and reading --- */

static int open_file(const char *path, err *e) {
    char *dir = fs_dirname(path);
    int rc = dir != NULL ? fs_mkdirs(dir, 0700, e) : no_memory(e);
    free(dir);
    if (rc != 0) {
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        err_errno(e, "ledger_open", "the ledger %s cannot be opened", path);
        err_fix(e, "name a file that can be written to in evidence.ledger");
        fs_close(&fd);
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        fs_close(&fd);
        return err_set(e, "ledger_open", "the ledger %s is not a regular file", path);
    }
    return fd;
}

/* The last whole line of the file, in *line, and what comes after it. */
static int read_tail(ledger *l, buf *line, err *e) {
    struct stat st;
    if (fstat(l->fd, &st) != 0) {
        return err_errno(e, "ledger_open", "%s cannot be looked at", l->path);
    }
    size_t want = 65536;
    for (;;) {
        size_t n = (uintmax_t)st.st_size < want ? (size_t)st.st_size : want;
        char *bytes = buf_reserve(line, n);
        if (bytes == NULL) {
            return no_memory(e);
        }
        ssize_t got = pread(l->fd, bytes, n, st.st_size - (off_t)n);
        if (got < 0 || (size_t)got != n) {
            return err_errno(e, "ledger_open", "%s cannot be read", l->path);
        }
        bytes[n] = '\0';
        char *last = n > 0 ? memrchr(bytes, '\n', n) : NULL;
        char *before = last != NULL ? memrchr(bytes, '\n', (size_t)(last - bytes)) : NULL;
        if (last != NULL && (before != NULL || n == (size_t)st.st_size)) {
            char *from = before != NULL ? before + 1 : bytes;
            l->at.torn = (size_t)(bytes + n - last - 1);
            l->at.end = st.st_size - (off_t)l->at.torn;
            size_t len = (size_t)(last - from);
            memmove(bytes, from, len);
            bytes[len] = '\0';
            line->len = len;
            return 1;
        }
        if (last == NULL && n == (size_t)st.st_size) {
            l->at.torn = n;
            return 0;
        }
        if (want > LEDGER_LINE_MAX * 2) {
            return broken(l->path, 0, "at the end is longer than any that this program writes", e);
        }
        want *= 2;
    }
}

/* Under the lock nobody else is writing: what is unfinished stays so. */
static int cut_torn(ledger *l, err *e) {
    if (l->at.torn == 0) {
        return 0;
    }
    log_line(LOG_WARN,
             "the ledger %s ended in an unfinished record of %zu bytes, which is cut off: its run was ended "
             "while it was written, and is on no record",
             l->path, l->at.torn);
    if (ftruncate(l->fd, l->at.end) != 0 || fsync(l->fd) != 0) {
        return err_errno(e, "ledger_write", "the unfinished end of %s cannot be cut off", l->path);
    }
    l->at.torn = 0;
    return 0;
}

/* A head that a writer left behind when it died is brought in line before anything is added: two such deaths in a row
 * would leave it two behind, which is what a ledger that was made anew looks like. */
static int look(ledger *l, err *e) {
    buf line = BUF_INIT;
    bool behind = false;
    json_t *record = NULL;
    int found = read_tail(l, &line, e);
    int rc = found < 0 ? -1 : found == 0 ? 0 : take(l->path, buf_str(&line), line.len, false, &l->at, &record, e);
    rc = rc == 0 ? compare_head(l->path, &l->at, json_string_value(json_object_get(record, "prev")), &behind, e) : rc;
    json_decref(record);
    buf_free(&line);
    rc = rc == 0 ? cut_torn(l, e) : rc;
    return rc == 0 && behind ? ledger_write_head(l->path, &l->at, e) : rc;
}

int ledger_open(ledger *l, const char *path, err *e) {
    *l = (ledger){.fd = -1, .path = strdup(path), .at = EMPTY};
    if (l->path == NULL) {
        return no_memory(e);
    }
    for (int attempt = 0; attempt < 3; attempt++) {
        l->fd = open_file(path, e);
        if (l->fd < 0 || filelock(l->fd, LOCK_EX, path, e) != 0) {
            return -1;
        }
        struct stat mine, there; /* it may have been replaced while this waited */
        if (fstat(l->fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
            mine.st_dev == there.st_dev) {
            return look(l, e);
        }
        fs_close(&l->fd);
    }
    return err_set(e, "ledger_open", "the ledger %s is replaced again and again", path);
}

void ledger_close(ledger *l) {
    fs_close(&l->fd);
    free(l->path);
    l->path = NULL;
}

int ledger_place(const ledger *l, json_t *record, err *e) {
    int rc = json_object_set_new(record, "schema", json_string(LEDGER_SCHEMA));
    rc |= json_object_set_new(record, "seq", json_integer(l->at.seq + 1));
    rc |= json_object_set_new(record, "prev", json_string(l->at.hash));
    return rc == 0 ? 0 : no_memory(e);
}

static int sync_directory(const char *path, err *e) {
    char *dir = fs_dirname(path);
    int fd = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL) ? 0 : -1;
    if (rc != 0) {
        err_errno(e, "ledger_write", "the directory of %s cannot be synced", path);
    }
    fs_close(&fd);
    free(dir);
    return rc;
}

int ledger_append(ledger *l, json_t *record, err *e) {
    char hash[SHA256_HEX_SIZE];
    buf line = BUF_INIT;
    if (hash_of(record, hash, e) != 0) {
        return -1;
    }
    int rc = json_object_set_new(record, "hash", json_string(hash)) == 0 ? canon_value(&line, record, e) : no_memory(e);
    if (rc == 0 && buf_putc(&line, '\n') != 0) {
        rc = no_memory(e);
    }
    if (rc == 0 && line.len > LEDGER_LINE_MAX) {
        rc = err_set(e, "ledger_too_long", "a record of %zu bytes is longer than any that is read", line.len);
    }
    if (rc == 0 && (lseek(l->fd, l->at.end, SEEK_SET) < 0 || fs_write_all(l->fd, buf_str(&line), line.len) != 0 ||
                    fsync(l->fd) != 0)) {
        rc = err_errno(e, "ledger_write", "the ledger %s cannot be written", l->path);
        err_fix(e, "make room, or name another place in evidence.ledger: what is on no record does not count");
        if (ftruncate(l->fd, l->at.end) != 0) {
            log_line(LOG_WARN, "the ledger %s keeps an unfinished line", l->path);
        }
    }
    if (rc == 0) {
        l->at.seq++;
        memcpy(l->at.hash, hash, sizeof hash);
        l->at.end += (off_t)line.len;
        rc = sync_directory(l->path, e) == 0 ? ledger_write_head(l->path, &l->at, e) : -1;
    }
    buf_free(&line);
    return rc;
}

/* --- reading --- */

static int read_lines(FILE *in, const char *path, ledger_each each, void *ctx, ledger_state *at, char *prev, err *e) {
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = getline(&line, &cap, in)) > 0) {
        json_t *record = NULL;
        if (line[n - 1] != '\n') {
            at->torn = (size_t)n;
            break;
        }
        memcpy(prev, at->hash, SHA256_HEX_SIZE);
        rc = take(path, line, (size_t)n - 1, true, at, &record, e);
        at->end += rc == 0 ? n : 0;
        rc = rc == 0 && each != NULL ? each(ctx, record, e) : rc;
        json_decref(record);
    }
    if (rc == 0 && ferror(in)) {
        rc = err_errno(e, "ledger_open", "%s cannot be read", path);
    }
    free(line);
    return rc;
}

int ledger_scan(ledger *l, ledger_each each, void *ctx, err *e) {
    char prev[SHA256_HEX_SIZE];
    ledger_state at = EMPTY;
    int fd = dup(l->fd); /* shares the lock and the place in the file, which a writer sets anew */
    FILE *in = fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? fdopen(fd, "r") : NULL;
    if (in == NULL) {
        err_errno(e, "ledger_open", "the ledger %s cannot be read", l->path);
        fs_close(&fd);
        return -1;
    }
    int rc = read_lines(in, l->path, each, ctx, &at, prev, e);
    fclose(in);
    return rc;
}

int ledger_read(const char *path, ledger_each each, void *ctx, ledger_state *at, err *e) {
    char prev[SHA256_HEX_SIZE] = ZEROS;
    *at = EMPTY;
    FILE *in = fopen(path, "re");
    if (in == NULL && errno != ENOENT) {
        return err_errno(e, "ledger_open", "the ledger %s cannot be read", path);
    }
    /* File and head are of one moment only while nobody writes. */
    int rc = in != NULL ? filelock(fileno(in), LOCK_SH, path, e) : 0;
    rc = rc == 0 && in != NULL ? read_lines(in, path, each, ctx, at, prev, e) : rc;
    rc = rc == 0 ? compare_head(path, at, at->seq > 0 ? prev : NULL, NULL, e) : rc;
    if (in != NULL) {
        fclose(in);
    }
    return rc;
}

static int id_of(const char *path, const char *line, size_t n, char id[SHA256_HEX_SIZE], err *e) {
    err why;
    buf text = BUF_INIT;
    json_t *first = canon_parse(line, n, &why);
    if (!json_is_object(first)) {
        json_decref(first);
        return broken(path, 1, "is not a record of a ledger", e);
    }
    json_object_del(first, "hash");
    int rc = canonical(first, "statement", &text, e);
    if (rc == 0) {
        sha256_hex(buf_str(&text), text.len, id);
    }
    buf_free(&text);
    json_decref(first);
    return rc;
}

int ledger_id(const char *path, char id[SHA256_HEX_SIZE], err *e) {
    char *line = NULL;
    size_t cap = 0;
    id[0] = '\0';
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        return errno == ENOENT ? 0 : err_errno(e, "ledger_open", "the ledger %s cannot be read", path);
    }
    ssize_t n = getline(&line, &cap, in);
    bool unread = ferror(in) != 0;
    fclose(in);
    int rc = unread                         ? err_errno(e, "ledger_open", "the ledger %s cannot be read", path)
             : n > 1 && line[n - 1] == '\n' ? id_of(path, line, (size_t)n - 1, id, e)
                                            : 0;
    free(line);
    return rc;
}
