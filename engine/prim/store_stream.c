#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "prim/store_path.h"

struct store_writer {
    int dir, fd; /* -1 once committed or given up */
    char name[STORE_KEY_MAX + 1];
    char temp[64];
    char *key; /* owned */
    size_t key_len;
    uint64_t size;
    EVP_MD_CTX *sum;
};

struct store_reader {
    int fd;
    char *key; /* owned */
    size_t key_len;
};

static char *copy_key(const char *key, size_t len, err *e) {
    char *copy = malloc(len + 1);
    if (copy == NULL) {
        err_set(e, "out_of_memory", "store: out of memory");
        return NULL;
    }
    memcpy(copy, key, len);
    copy[len] = '\0';
    return copy;
}

static int begin(store_writer *w, store *s, const char *key, size_t len, err *e) {
    w->key = copy_key(key, len, e);
    w->key_len = len;
    if (w->key == NULL) {
        return -1;
    }
    w->sum = EVP_MD_CTX_new();
    if (w->sum == NULL || EVP_DigestInit_ex(w->sum, EVP_sha256(), NULL) != 1) {
        return err_set(e, "store_io", "store: SHA-256 is not available");
    }
    w->dir = store_parent(s, key, len, true, w->name, e);
    if (w->dir < 0) {
        return -1;
    }
    w->fd = store_check_target(w->dir, w->name) == 0 ? store_make_temp(w->dir, w->temp) : -1;
    return w->fd >= 0 ? 0 : store_errno(e, "put", key, len);
}

store_writer *store_writer_open(store *s, const char *key, size_t len, err *e) {
    char text[STORE_SHOWN_MAX];
    store_part parts[STORE_DEPTH_MAX];
    if (store_split(key, len, parts, e) < 0) {
        return NULL;
    }
    if (s->readonly) {
        err_set(e, "store_readonly", "store: cannot put \"%s\": the store is open for reading only",
                store_shown(key, len, text));
        return NULL;
    }
    store_writer *w = calloc(1, sizeof *w);
    if (w == NULL) {
        err_set(e, "out_of_memory", "store: out of memory");
        return NULL;
    }
    w->dir = w->fd = -1;
    if (begin(w, s, key, len, e) != 0) {
        store_writer_close(w);
        return NULL;
    }
    return w;
}

static int is_over(const store_writer *w, err *e) {
    return w->fd >= 0 ? 0 : err_set(e, "store_closed", "store: the writer is closed");
}

int store_writer_add(store_writer *w, const void *bytes, size_t n, err *e) {
    if (is_over(w, e) != 0) {
        return -1;
    }
    if (fs_write_all(w->fd, bytes, n) != 0) {
        return store_errno(e, "put", w->key, w->key_len);
    }
    if (EVP_DigestUpdate(w->sum, bytes, n) != 1) {
        return err_set(e, "store_io", "store: SHA-256 is not available");
    }
    w->size += n;
    return 0;
}

static int finish_file(store_writer *w) {
    int rc = fsync(w->fd);
    int saved = errno;
    if (close(w->fd) != 0 && rc == 0) {
        rc = -1;
        saved = errno;
    }
    w->fd = -1;
    if (rc == 0 && renameat(w->dir, w->temp, w->dir, w->name) == 0) {
        w->temp[0] = '\0';
        return fsync(w->dir);
    }
    saved = rc == 0 ? errno : saved;
    unlinkat(w->dir, w->temp, 0);
    w->temp[0] = '\0';
    errno = saved;
    return -1;
}

int store_writer_commit(store_writer *w, store_info *info, err *e) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (is_over(w, e) != 0) {
        return -1;
    }
    if (EVP_DigestFinal_ex(w->sum, sum, &n) != 1 || 2 * n != STORE_SHA256_HEX) {
        return err_set(e, "store_io", "store: SHA-256 is not available");
    }
    *info = (store_info){.size = w->size};
    for (unsigned int i = 0; i < n; i++) {
        snprintf(info->sha256 + 2 * i, 3, "%02x", sum[i]);
    }
    return finish_file(w) == 0 ? 0 : store_errno(e, "put", w->key, w->key_len);
}

void store_writer_close(store_writer *w) {
    if (w == NULL) {
        return;
    }
    if (w->fd >= 0) {
        close(w->fd);
        unlinkat(w->dir, w->temp, 0);
    }
    if (w->dir >= 0) {
        close(w->dir);
    }
    EVP_MD_CTX_free(w->sum);
    free(w->key);
    free(w);
}

store_reader *store_reader_open(store *s, const char *key, size_t len, err *e) {
    struct stat st;
    int fd = store_open_value(s, key, len, &st, e);
    if (fd < 0) {
        return NULL;
    }
    store_reader *r = calloc(1, sizeof *r);
    char *copy = r != NULL ? copy_key(key, len, e) : NULL;
    if (copy == NULL) {
        free(r);
        close(fd);
        err_set(e, "out_of_memory", "store: out of memory");
        return NULL;
    }
    *r = (store_reader){.fd = fd, .key = copy, .key_len = len};
    return r;
}

int store_reader_next(store_reader *r, size_t max, buf *out, err *e) {
    char *at = buf_reserve(out, max);
    if (at == NULL) {
        return err_set(e, "out_of_memory", "store: out of memory while reading");
    }
    size_t got = 0;
    while (got < max) {
        ssize_t n = read(r->fd, at + got, max - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return store_errno(e, "get", r->key, r->key_len);
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    out->len += got;
    out->data[out->len] = '\0';
    return got > 0 ? 1 : 0;
}

void store_reader_close(store_reader *r) {
    if (r != NULL) {
        close(r->fd);
        free(r->key);
        free(r);
    }
}
