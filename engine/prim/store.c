#include "prim/store.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "prim/store_path.h"

#define READ_STEP 65536u
#define TEMP_TRIES 8

/* Opens the directory at path (links on the way to it are its owner's business) and proves that openat2 works. */
static int open_root(const char *path, err *e) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        err_errno(e, errno == ENOENT || errno == ENOTDIR ? "store_missing" : "store_denied",
                  "store: cannot open the directory %s", path);
        return -1;
    }
    int probe = store_open_beneath(fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (probe >= 0) {
        close(probe);
        return fd;
    }
    if (errno == ENOSYS) {
        err_set(e, "store_unsupported", "store: this kernel has no openat2, which keeps a store beneath its directory");
        err_fix(e, "use Linux 5.6 or newer");
    } else {
        err_errno(e, "store_denied", "store: cannot read the directory %s", path);
    }
    close(fd);
    return -1;
}

/* The single-file form: the root is the directory of the file itself, links resolved, its name the only key. */
static int open_single(store *s, const char *path, err *e) {
    char *real = realpath(path, NULL);
    if (real == NULL) {
        return err_errno(e, errno == ENOENT || errno == ENOTDIR ? "store_missing" : "store_denied",
                         "store: cannot open the file %s", path);
    }
    struct stat st;
    char *slash = strrchr(real, '/');
    store_part part;
    if (stat(real, &st) != 0 || !S_ISREG(st.st_mode)) {
        err_set(e, "store_key", "store: %s is not a regular file", path);
    } else if (store_split(slash + 1, strlen(slash + 1), &part, e) == 1) {
        s->only_key = strdup(slash + 1);
        *(slash == real ? slash + 1 : slash) = '\0';
        s->root = s->only_key != NULL ? open_root(real, e)
                                      : err_set(e, "out_of_memory", "store: out of memory while opening %s", path);
    }
    free(real);
    return s->root >= 0 ? 0 : -1;
}

store *store_open(const store_options *o, err *e) {
    store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        err_set(e, "out_of_memory", "store: out of memory while opening %s", o->path);
        return NULL;
    }
    s->root = -1;
    s->readonly = o->readonly;
    if (o->file) {
        open_single(s, o->path, e);
    } else if (!o->create || o->readonly || fs_mkdirs(o->path, 0777, e) == 0) {
        s->root = open_root(o->path, e);
    }
    if (s->root < 0) {
        store_close(s);
        return NULL;
    }
    return s;
}

void store_close(store *s) {
    if (s != NULL) {
        if (s->root >= 0) {
            close(s->root);
        }
        free(s->only_key);
        free(s);
    }
}

const char *store_only_key(const store *s) {
    return s->only_key;
}

static int sha256_hex(const void *bytes, size_t n, char out[STORE_SHA256_HEX + 1], err *e) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    if (EVP_Digest(bytes, n, sum, &len, EVP_sha256(), NULL) != 1 || len * 2 != STORE_SHA256_HEX) {
        return err_set(e, "store_io", "store: SHA-256 is not available");
    }
    for (unsigned int i = 0; i < len; i++) {
        snprintf(out + i * 2, 3, "%02x", sum[i]);
    }
    return 0;
}

int store_make_temp(int dir, char temp[64]) {
    for (int i = 0; i < TEMP_TRIES; i++) {
        uint64_t r = 0;
        if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r) {
            return -1;
        }
        snprintf(temp, 64, STORE_TEMP_PREFIX "%016llx", (unsigned long long)r);
        int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    return -1;
}

int store_check_target(int dir, const char *name) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : -1;
    }
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    return 0;
}

static int write_and_rename(int dir, const char *name, const void *bytes, size_t n) {
    char temp[64];
    if (store_check_target(dir, name) != 0) {
        return -1;
    }
    int fd = store_make_temp(dir, temp);
    if (fd < 0) {
        return -1;
    }
    bool ok = fs_write_all(fd, bytes, n) == 0 && fsync(fd) == 0;
    int saved = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        saved = errno;
    }
    if (ok && renameat(dir, temp, dir, name) == 0) {
        return fsync(dir);
    }
    saved = ok ? errno : saved;
    unlinkat(dir, temp, 0);
    errno = saved;
    return -1;
}

int store_put(store *s, const char *key, size_t len, const void *bytes, size_t n, store_info *info, err *e) {
    char text[STORE_SHOWN_MAX];
    if (s->readonly) {
        store_part parts[STORE_DEPTH_MAX];
        if (store_split(key, len, parts, e) < 0) {
            return -1;
        }
        return err_set(e, "store_readonly", "store: cannot put \"%s\": the store is open for reading only",
                       store_shown(key, len, text));
    }
    *info = (store_info){.size = n};
    if (sha256_hex(bytes, n, info->sha256, e) != 0) {
        return -1;
    }
    char name[STORE_KEY_MAX + 1];
    int dir = store_parent(s, key, len, true, name, e);
    if (dir < 0) {
        return -1;
    }
    int rc = write_and_rename(dir, name, bytes, n);
    if (rc != 0) {
        store_errno(e, "put", key, len);
    }
    close(dir);
    return rc;
}

int store_open_value(store *s, const char *key, size_t len, struct stat *st, err *e) {
    char text[STORE_SHOWN_MAX];
    char name[STORE_KEY_MAX + 1];
    int dir = store_parent(s, key, len, false, name, e);
    if (dir < 0) {
        return -1;
    }
    /* O_NONBLOCK: a FIFO planted under the name must not hold us. */
    int fd = store_open_beneath(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    int saved = errno;
    close(dir);
    errno = saved;
    if (fd < 0 || fstat(fd, st) != 0) {
        store_errno(e, "get", key, len);
    } else if (S_ISDIR(st->st_mode)) {
        errno = ENOENT; /* keys name values; what lies under a prefix is for list */
        store_errno(e, "get", key, len);
    } else if (!S_ISREG(st->st_mode)) {
        err_set(e, "store_denied", "store: cannot get \"%s\": it is no regular file", store_shown(key, len, text));
    } else {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static int read_value(int fd, const char *key, size_t len, size_t max, buf *out, err *e) {
    char text[STORE_SHOWN_MAX];
    size_t got = 0;
    for (;;) {
        char *at = buf_reserve(out, READ_STEP);
        if (at == NULL) {
            return err_set(e, "out_of_memory", "store: out of memory while reading");
        }
        ssize_t n = read(fd, at, READ_STEP);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return store_errno(e, "get", key, len);
        }
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        got += (size_t)n;
        if (got > max) {
            err_set(e, "store_too_large", "store: cannot get \"%s\": it is over %zu bytes", store_shown(key, len, text),
                    max);
            return err_fix(e, "ask with a higher max");
        }
        if (n == 0) {
            return 0;
        }
    }
}

int store_get(store *s, const char *key, size_t len, size_t max, const char *expect, buf *out, store_info *info,
              err *e) {
    char text[STORE_SHOWN_MAX];
    struct stat st;
    int fd = store_open_value(s, key, len, &st, e);
    if (fd < 0) {
        return -1;
    }
    size_t before = out->len;
    int rc = read_value(fd, key, len, max, out, e);
    close(fd);
    if (rc != 0) {
        return -1;
    }
    *info = (store_info){.size = out->len - before, .modified = st.st_mtim.tv_sec};
    if (sha256_hex(buf_str(out) + before, out->len - before, info->sha256, e) != 0) {
        return -1;
    }
    if (expect != NULL && strcmp(expect, info->sha256) != 0) {
        err_set(e, "store_corrupt", "store: \"%s\" is not what was put: expected SHA-256 %s, found %s",
                store_shown(key, len, text), expect, info->sha256);
        return err_fix(e, "find out who changed it; put it again from its source");
    }
    return 0;
}

int store_head(store *s, const char *key, size_t len, store_info *info, err *e) {
    struct stat st;
    int fd = store_open_value(s, key, len, &st, e);
    if (fd < 0) {
        return strcmp(e->code, "store_missing") == 0 ? 0 : -1;
    }
    close(fd);
    *info = (store_info){.size = (uint64_t)st.st_size, .modified = st.st_mtim.tv_sec};
    return 1;
}

/* Removes the directories above the key that are empty now, from the inside out; the first that is not ends it. */
static void prune(store *s, const char *key, size_t len) {
    err ignored;
    char name[STORE_KEY_MAX + 1];
    for (;;) {
        const char *slash = memrchr(key, '/', len);
        if (slash == NULL) {
            return;
        }
        len = (size_t)(slash - key);
        int dir = store_parent(s, key, len, false, name, &ignored);
        if (dir < 0) {
            return;
        }
        int rc = unlinkat(dir, name, AT_REMOVEDIR);
        close(dir);
        if (rc != 0) {
            return;
        }
    }
}

int store_delete(store *s, const char *key, size_t len, err *e) {
    char text[STORE_SHOWN_MAX];
    char name[STORE_KEY_MAX + 1];
    store_part parts[STORE_DEPTH_MAX];
    if (store_split(key, len, parts, e) < 0) {
        return -1;
    }
    if (s->readonly) {
        return err_set(e, "store_readonly", "store: cannot delete \"%s\": the store is open for reading only",
                       store_shown(key, len, text));
    }
    int dir = store_parent(s, key, len, false, name, e);
    if (dir < 0) {
        return strcmp(e->code, "store_missing") == 0 ? 0 : -1;
    }
    int rc = unlinkat(dir, name, 0) == 0 ? fsync(dir) : -1;
    int saved = errno;
    close(dir);
    errno = saved;
    if (rc == 0) {
        prune(s, key, len);
        return 1;
    }
    /* Linux says EISDIR for a directory: no value has this key. */
    return errno == ENOENT || errno == EISDIR ? 0 : store_errno(e, "delete", key, len);
}
