#include "recorder/recording.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"

#define SHA256_SIZE 32
#define KEY_SIZE 16
#define VALUES_MAX (1u << 20)
#define SHAPES_MAX (1u << 18)
#define SETTINGS_MAX 64

/* A keyed hash of something, and its number. Open addressing, a power of two, at most half full. */
typedef struct seen {
    struct seen_entry {
        unsigned char key[KEY_SIZE];
        uint64_t number; /* 0 = free */
    } * entry;           /* owned */
    size_t cap, n;
} seen;

struct recording {
    int fd;
    json_t *header; /* owned */
    const char *settings[SETTINGS_MAX];
    size_t nsettings;
    EVP_MD_CTX *running; /* over all lines; owned */
    EVP_MD *sha256;      /* owned */
    unsigned char secret[SHA256_SIZE];
    seen shapes, values;
    uint64_t lines, sessions, statements;
    bool failed;
    err why;
};

/* ---- numbers for hashes ---- */

static int seen_grow(seen *s) {
    size_t cap = s->cap == 0 ? 1024 : 2 * s->cap;
    struct seen_entry *entry = calloc(cap, sizeof *entry);
    if (entry == NULL) {
        return -1;
    }
    for (size_t i = 0; i < s->cap; i++) {
        if (s->entry[i].number != 0) {
            uint64_t at;
            memcpy(&at, s->entry[i].key, sizeof at);
            while (entry[at & (cap - 1)].number != 0) {
                at++;
            }
            entry[at & (cap - 1)] = s->entry[i];
        }
    }
    free(s->entry);
    s->entry = entry;
    s->cap = cap;
    return 0;
}

/* The number of the key; a new one gets the next, with *fresh. 0 when there is no room. */
static uint64_t seen_number(seen *s, const unsigned char key[KEY_SIZE], size_t max, bool *fresh) {
    *fresh = false;
    if (2 * (s->n + 1) > s->cap && (s->n >= max || seen_grow(s) != 0)) {
        if (s->cap == 0) {
            return 0;
        }
    }
    uint64_t at;
    memcpy(&at, key, sizeof at);
    while (s->entry[at & (s->cap - 1)].number != 0) {
        struct seen_entry *e = &s->entry[at & (s->cap - 1)];
        if (memcmp(e->key, key, KEY_SIZE) == 0) {
            return e->number;
        }
        at++;
    }
    if (s->n >= max || 2 * (s->n + 1) > s->cap) {
        return 0;
    }
    struct seen_entry *e = &s->entry[at & (s->cap - 1)];
    memcpy(e->key, key, KEY_SIZE);
    e->number = ++s->n;
    *fresh = true;
    return e->number;
}

/* SHA-256 of secret, mark and bytes, cut to KEY_SIZE. */
static int keyed(recording *r, char mark, const void *bytes, size_t n, unsigned char key[KEY_SIZE]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int ok = c != NULL && EVP_DigestInit_ex(c, r->sha256, NULL) == 1 &&
             EVP_DigestUpdate(c, r->secret, sizeof r->secret) == 1 && EVP_DigestUpdate(c, &mark, 1) == 1 &&
             EVP_DigestUpdate(c, bytes, n) == 1 && EVP_DigestFinal_ex(c, digest, NULL) == 1;
    EVP_MD_CTX_free(c);
    if (ok) {
        memcpy(key, digest, KEY_SIZE);
    }
    return ok ? 0 : -1;
}

/* ---- lines ---- */

static int fail(recording *r, err *e) {
    if (!r->failed) {
        r->failed = true;
        r->why = *e;
    }
    *e = r->why;
    return -1;
}

static int write_text(recording *r, const char *text, size_t n, err *e) {
    if (EVP_DigestUpdate(r->running, text, n) != 1 || EVP_DigestUpdate(r->running, "\n", 1) != 1) {
        err_set(e, "out_of_memory", "the recording cannot be hashed");
        return fail(r, e);
    }
    if (fs_write_all(r->fd, text, n) != 0 || fs_write_all(r->fd, "\n", 1) != 0) {
        err_errno(e, "recording_write", "the recording cannot be written");
        err_fix(e, "make room for it, or record into a file elsewhere");
        return fail(r, e);
    }
    r->lines++;
    return 0;
}

int recording_line(recording *r, json_t *line, err *e) {
    if (r->failed) {
        json_decref(line);
        return fail(r, e);
    }
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    if (text == NULL) {
        err_set(e, "out_of_memory", "out of memory for a line of the recording");
        return fail(r, e);
    }
    int rc = write_text(r, text, strlen(text), e);
    free(text);
    return rc;
}

uint64_t recording_shape(recording *r, const char *text, size_t n, bool cut, err *e) {
    unsigned char key[KEY_SIZE];
    bool fresh = false;
    uint64_t number =
        keyed(r, cut ? 'c' : 's', text, n, key) == 0 ? seen_number(&r->shapes, key, SHAPES_MAX, &fresh) : 0;
    if (number == 0) {
        err_set(e, "recording_shapes", "the application runs more than %u different statements", SHAPES_MAX);
        fail(r, e);
        return 0;
    }
    if (!fresh) {
        return number;
    }
    buf clean = BUF_INIT;
    int rc = text_sanitise(&clean, text, n, 0, false);
    json_t *line =
        rc == 0 ? json_pack("{s:s, s:I, s:s}", "t", "shape", "q", (json_int_t)number, "text", buf_str(&clean)) : NULL;
    if (line != NULL && cut) {
        json_object_set_new(line, "cut", json_true());
    }
    buf_free(&clean);
    return recording_line(r, line, e) == 0 ? number : 0;
}

int64_t recording_value(recording *r, const void *value, size_t n) {
    unsigned char key[KEY_SIZE];
    bool fresh;
    if (n == 0) {
        return 0;
    }
    uint64_t number = keyed(r, 'v', value, n, key) == 0 ? seen_number(&r->values, key, VALUES_MAX, &fresh) : 0;
    return number > 0 ? (int64_t)number : -1;
}

uint64_t recording_session(recording *r) {
    return ++r->sessions;
}

void recording_count(recording *r, size_t statements) {
    r->statements += statements;
}

const char *const *recording_settings(const recording *r, size_t *n) {
    *n = r->nsettings;
    return r->settings;
}

bool recording_whole(const recording *r) {
    return !r->failed;
}

/* ---- begin and end ---- */

static int read_settings(recording *r, err *e) {
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(r->header, "settings"), i, name) {
        if (!json_is_string(name) || r->nsettings == SETTINGS_MAX) {
            return err_set(e, "recorder_config", "expected at most %d names of settings", SETTINGS_MAX);
        }
        r->settings[r->nsettings++] = json_string_value(name);
    }
    return r->nsettings > 0 ? 0 : err_set(e, "recorder_config", "no tenant setting is named");
}

recording *recording_new(int fd, const json_t *header, err *e) {
    recording *r = calloc(1, sizeof *r);
    if (r == NULL) {
        err_set(e, "out_of_memory", "out of memory");
        return NULL;
    }
    r->fd = fd;
    r->header = json_deep_copy(header);
    r->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    r->running = EVP_MD_CTX_new();
    if (r->header == NULL || r->sha256 == NULL || r->running == NULL || RAND_bytes(r->secret, sizeof r->secret) != 1 ||
        EVP_DigestInit_ex(r->running, r->sha256, NULL) != 1) {
        err_set(e, "out_of_memory", "the recording cannot be hashed");
        recording_free(r);
        return NULL;
    }
    if (read_settings(r, e) != 0 || recording_line(r, json_incref(r->header), e) != 0) {
        recording_free(r);
        return NULL;
    }
    return r;
}

void recording_free(recording *r) {
    if (r != NULL) {
        EVP_MD_CTX_free(r->running);
        EVP_MD_free(r->sha256);
        free(r->shapes.entry);
        free(r->values.entry);
        json_decref(r->header);
        free(r);
    }
}

int recording_end(recording *r, const char *reason, json_t *ended, json_t **totals, err *e) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * SHA256_SIZE + 1], now[CLOCK_RFC3339_MAX];
    if (r->failed) {
        return fail(r, e);
    }
    if (EVP_DigestFinal_ex(r->running, digest, NULL) != 1 || EVP_DigestInit_ex(r->running, r->sha256, NULL) != 1) {
        err_set(e, "out_of_memory", "the recording cannot be hashed");
        return fail(r, e);
    }
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[sizeof hex - 1] = '\0';
    clock_rfc3339(now, sizeof now);
    *totals = json_pack("{s:s, s:I, s:s, s:I, s:I, s:s, s:s, s:O*}", "t", "end", "lines", (json_int_t)r->lines,
                        "sha256", hex, "sessions", (json_int_t)r->sessions, "statements", (json_int_t)r->statements,
                        "ended", now, "reason", reason, "exit", ended);
    if (recording_line(r, json_incref(*totals), e) != 0) {
        return -1;
    }
    if (fsync(r->fd) != 0) {
        err_errno(e, "recording_write", "the recording cannot be written");
        return fail(r, e);
    }
    return 0;
}
