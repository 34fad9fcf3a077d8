#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

void fs_close(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

bool fs_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool fs_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool fs_is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool fs_is_beneath(const char *dir, const char *path) {
    char base[PATH_MAX], real[PATH_MAX];
    if (realpath(dir, base) == NULL || realpath(path, real) == NULL) {
        return false;
    }
    size_t n = strlen(base);
    return strncmp(real, base, n) == 0 && (base[n - 1] == '/' || real[n] == '/');
}

bool fs_leads_out(const char *path) {
    char *dir = fs_dirname(path);
    bool out = dir == NULL || !fs_is_beneath(dir, path);
    if (dir == NULL) {
        mem_note();
    }
    free(dir);
    return out;
}

char *fs_join(const char *dir, const char *name) {
    size_t n = strlen(dir);
    char *out = NULL;
    if (name[0] == '/' || n == 0) {
        out = strdup(name);
    } else if (asprintf(&out, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name) < 0) {
        out = NULL;
    }
    if (out == NULL) {
        mem_note();
    }
    return out;
}

volatile sig_atomic_t fs_stops = 0;

enum { STOP_PATIENCE_MS = 500 };

/* Waits until a write of PIPE_BUF bytes cannot block (pipe(7)); false where that takes too long for one who was asked
 * to end. */
static bool can_write(int fd, bool asked_to_end) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n = poll(&p, 1, asked_to_end ? STOP_PATIENCE_MS : -1);
    return n > 0 || (n < 0 && errno == EINTR);
}

int fs_write_all(int fd, const void *bytes, size_t n) {
    const char *at = bytes;
    while (n > 0) {
        bool ends = fs_stops != 0;
        if (ends && !can_write(fd, true)) {
            errno = EINTR;
            return -1;
        }
        ssize_t k = write(fd, at, ends && n > PIPE_BUF ? PIPE_BUF : n);
        if (k >= 0) {
            at += k;
            n -= (size_t)k;
        } else if (errno == EAGAIN) {
            if (!can_write(fd, fs_stops != 0)) {
                return -1;
            }
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* Reads to the end of the file; it may have grown since it was looked at, so the bound is kept here too. */
static int read_rest(int fd, const char *path, size_t max, buf *out, err *e) {
    size_t total = 0;
    for (;;) {
        char *at = buf_reserve(out, 65536);
        if (at == NULL) {
            return err_set(e, "out_of_memory", "%s: out of memory while reading", path);
        }
        ssize_t k = read(fd, at, 65536);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0) {
            return err_errno(e, "file_read", "%s cannot be read", path);
        }
        if (k == 0) {
            at[0] = '\0';
            return 0;
        }
        if ((size_t)k > max - total) {
            return err_set(e, "file_too_large", "%s has more than %zu bytes, the most that is read", path, max);
        }
        total += (size_t)k;
        out->len += (size_t)k;
        out->data[out->len] = '\0';
    }
}

int fs_read(const char *path, size_t max, buf *out, err *e) {
    /* Without O_NONBLOCK opening a pipe would wait for its writer before it can be refused. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return err_errno(e, errno == ENOENT || errno == ENOTDIR ? "file_not_found" : "file_read", "%s cannot be opened",
                         path);
    }
    struct stat st;
    size_t before = out->len;
    int rc = -1;
    if (fstat(fd, &st) != 0) {
        err_errno(e, "file_read", "%s cannot be read", path);
    } else if (!S_ISREG(st.st_mode)) {
        err_set(e, "file_type", "%s is %s, not a regular file", path, S_ISDIR(st.st_mode) ? "a directory" : "special");
    } else if ((uintmax_t)st.st_size > max) {
        err_set(e, "file_too_large", "%s has %jd bytes; at most %zu are read", path, (intmax_t)st.st_size, max);
    } else {
        rc = read_rest(fd, path, max, out, e);
    }
    close(fd);
    if (rc != 0 && out->data != NULL) {
        out->len = before;
        out->data[before] = '\0';
    }
    return rc;
}

/* The directory part of a path into dir: "." when it has none. */
static int dir_part(const char *path, char dir[PATH_MAX], err *e) {
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (strlen(path) >= PATH_MAX - 32) {
        return err_set(e, "file_write", "%.200s…: the path is too long", path);
    }
    memcpy(dir, n == 0 ? "." : path, n == 0 ? 1 : n);
    dir[n == 0 ? 1 : n] = '\0';
    return 0;
}

/* Opens a fresh file beside `path`. The open mode goes through the umask, as open's does. */
static int open_temporary(const char *shown, const char *dir, mode_t mode, char name[PATH_MAX], err *e) {
    for (int attempt = 0; attempt < 100; attempt++) {
        uint64_t random = 0;
        if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
            return err_errno(e, "file_write", "%s: no random name for a temporary file", shown);
        }
        if (snprintf(name, PATH_MAX, "%s/.tmp-%016jx", dir, (uintmax_t)random) >= PATH_MAX) {
            return err_set(e, "file_write", "%.200s…: the path is too long", shown);
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST) {
            return fd >= 0 ? fd : err_errno(e, "file_write", "%s: no file can be made in its directory", shown);
        }
    }
    return err_set(e, "file_write", "%s: no unused name for a temporary file", shown);
}

static int sync_dir(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    /* Some file systems cannot sync a directory and say EINVAL; the rename stands all the same. */
    int rc = fsync(fd) == 0 || errno == EINVAL ? 0 : -1;
    close(fd);
    return rc;
}

/* Begins to replace the file at path; messages call it `shown`, as the caller does. */
static int begin(fs_replacement *r, const char *path, const char *shown, mode_t mode, err *e) {
    snprintf(r->path, sizeof r->path, "%s", path);
    snprintf(r->shown, sizeof r->shown, "%s", shown);
    if (dir_part(path, r->dir, e) != 0) {
        return -1;
    }
    r->fd = open_temporary(shown, r->dir, mode, r->name, e);
    return r->fd >= 0 ? 0 : -1;
}

int fs_replace_begin(fs_replacement *r, const char *path, mode_t mode, err *e) {
    struct stat st;
    *r = (fs_replacement){.fd = -1};
    if (stat(path, &st) != 0) {
        return begin(r, path, path, mode, e);
    }
    if (S_ISDIR(st.st_mode)) {
        return err_set(e, "file_type", "%s is a directory, not a file", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return 1;
    }
    char real[PATH_MAX]; /* behind a symbolic link, what it points to is replaced and not the link */
    if (realpath(path, real) == NULL) {
        return err_errno(e, "file_write", "%s cannot be resolved", path);
    }
    return begin(r, real, path, mode, e);
}

int fs_replace_write(fs_replacement *r, const void *bytes, size_t n, err *e) {
    return fs_write_all(r->fd, bytes, n) == 0 ? 0 : err_errno(e, "file_write", "%s cannot be written", r->shown);
}

void fs_replace_abort(fs_replacement *r) {
    if (r->fd >= 0) {
        fs_close(&r->fd);
        unlink(r->name);
    }
}

int fs_replace_commit(fs_replacement *r, err *e) {
    int rc = fsync(r->fd);
    int why = errno;
    int fd = r->fd;
    r->fd = -1;
    if (close(fd) != 0 && rc == 0) {
        rc = -1;
        why = errno;
    }
    if (rc == 0 && rename(r->name, r->path) != 0) {
        rc = -1;
        why = errno;
    }
    if (rc != 0) {
        unlink(r->name);
        errno = why;
        return err_errno(e, "file_write", "%s cannot be written", r->shown);
    }
    return sync_dir(r->dir) == 0 ? 0 : err_errno(e, "file_write", "%s: its directory cannot be synced", r->shown);
}

/* A pipe, a terminal or /dev/null is written to; replacing it by a file would be a surprise, as root a bad one. */
static int write_special(const char *path, const void *bytes, size_t n, err *e) {
    /* Without O_NONBLOCK opening a pipe that nobody reads would wait for its reader. */
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fcntl(fd, F_SETFL, O_WRONLY) != 0) {
        err_errno(e, "file_write", "%s cannot be opened", path);
        fs_close(&fd);
        return -1;
    }
    int rc = fs_write_all(fd, bytes, n);
    if (rc != 0) {
        err_errno(e, "file_write", "%s cannot be written", path);
    }
    if (close(fd) != 0 && rc == 0) {
        rc = err_errno(e, "file_write", "%s cannot be written", path);
    }
    return rc;
}

int fs_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, err *e) {
    fs_replacement r;
    int rc = fs_replace_begin(&r, path, mode, e);
    if (rc > 0) {
        return write_special(path, bytes, n, e);
    }
    if (rc == 0 && fs_replace_write(&r, bytes, n, e) != 0) {
        fs_replace_abort(&r);
        return -1;
    }
    return rc == 0 ? fs_replace_commit(&r, e) : -1;
}

int fs_mkdirs(const char *path, mode_t mode, err *e) {
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) {
        return err_set(e, "dir_create", "a directory's path is empty or too long: \"%.200s\"", path);
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char cut = part[i];
        part[i] = '\0';
        if (mkdir(part, mode) != 0 && !(errno == EEXIST && fs_is_dir(part))) {
            int why = errno;
            /* EEXIST alone would read as if all were well. */
            errno = why == EEXIST ? ENOTDIR : why;
            return err_errno(e, "dir_create", "%s: the directory %s cannot be made", path, part);
        }
        part[i] = cut;
    }
    return 0;
}

char *fs_dirname(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
}
