/* fs_tree.c: removing and copying whole trees. Every step is taken relative to an open directory and never through a
 * symbolic link, so that a name swapped meanwhile cannot lead out of the tree. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define DEPTH_MAX 256 /* one open descriptor and one stack frame a level */

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

typedef struct removal {
    const char *root; /* for messages */
    dev_t device;
    err *e;
} removal;

static int remove_name(const removal *r, int at, const char *name, int depth);

/* Removes what is in the directory fd, which is taken over and closed. Without readdir, which allocates: a run that
 * ended for lack of memory must still be able to tidy up. */
static int remove_content(const removal *r, int fd, int depth) {
    _Alignas(struct dirent64) char entries[2048];
    int rc = 0;
    ssize_t n = 0;
    while (rc == 0 && (n = getdents64(fd, entries, sizeof entries)) > 0) {
        for (ssize_t at = 0; rc == 0 && at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            rc = is_dots(entry->d_name) ? 0 : remove_name(r, fd, entry->d_name, depth + 1);
            at += entry->d_reclen;
        }
    }
    if (rc == 0 && n < 0) {
        rc = err_errno(r->e, "file_remove", "%s cannot be read", r->root);
    }
    close(fd);
    return rc;
}

static int remove_name(const removal *r, int at, const char *name, int depth) {
    struct stat st;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? 0 : err_errno(r->e, "file_remove", "%s: \"%s\" cannot be removed", r->root, name);
    }
    if (S_ISDIR(st.st_mode)) {
        if (st.st_dev != r->device) {
            return err_set(r->e, "file_remove", "%s: \"%s\" is another file system", r->root, name);
        }
        if (depth >= DEPTH_MAX) {
            return err_set(r->e, "file_remove", "%s is nested deeper than %d directories", r->root, DEPTH_MAX);
        }
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            return err_errno(r->e, "file_remove", "%s: the directory \"%s\" cannot be opened", r->root, name);
        }
        struct stat opened; /* between looking and opening it may have been mounted over or swapped */
        if (fstat(fd, &opened) != 0 || opened.st_dev != r->device) {
            close(fd);
            return err_set(r->e, "file_remove", "%s: \"%s\" changed while it was removed", r->root, name);
        }
        if (remove_content(r, fd, depth) != 0) {
            return -1;
        }
    }
    if (unlinkat(at, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT) {
        return err_errno(r->e, "file_remove", "%s: \"%s\" cannot be removed", r->root, name);
    }
    return 0;
}

int fs_remove_tree(const char *path, err *e) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? 0 : err_errno(e, "file_remove", "%s cannot be removed", path);
    }
    removal r = {.root = path, .device = st.st_dev, .e = e};
    return remove_name(&r, AT_FDCWD, path, 0);
}

typedef struct copying {
    const char *root;
    err *e;
} copying;

static int copy_failed(const copying *c, const char *name) {
    return err_errno(c->e, "file_copy", "%s: \"%s\" cannot be copied", c->root, name);
}

/* By the kernel where it can (a reflink where the file system has them), else through a buffer. */
static int copy_bytes(int from, int to) {
    ssize_t k;
    do {
        k = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
    } while (k > 0 || (k < 0 && errno == EINTR));
    /* 0 is the end of the file, or a special file of /proc and the like that pretends to be empty. */
    if (k < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM) {
        return -1;
    }
    char chunk[65536];
    while ((k = read(from, chunk, sizeof chunk)) != 0) {
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0 || fs_write_all(to, chunk, (size_t)k) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Owner first: a change of owner takes the set-id bits away. */
static int keep_owner_and_mode(int fd, const struct stat *st) {
    if (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) != 0) {
        return -1;
    }
    return fchmod(fd, st->st_mode & 07777);
}

static int copy_file(const copying *c, int from_dir, int to_dir, const char *from_name, const char *to_name) {
    int from = openat(from_dir, from_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0) {
        return copy_failed(c, from_name);
    }
    struct stat st;
    int rc = -1;
    int to = openat(to_dir, to_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0 || fstat(from, &st) != 0 || copy_bytes(from, to) != 0 || keep_owner_and_mode(to, &st) != 0) {
        copy_failed(c, to_name);
    } else {
        rc = 0;
    }
    close(from);
    if (to >= 0 && close(to) != 0 && rc == 0) {
        rc = copy_failed(c, to_name);
    }
    return rc;
}

static int copy_link(const copying *c, int from_dir, int to_dir, const char *from_name, const char *to_name,
                     const struct stat *st) {
    char target[PATH_MAX];
    ssize_t n = readlinkat(from_dir, from_name, target, sizeof target - 1);
    if (n < 0) {
        return copy_failed(c, from_name);
    }
    target[n] = '\0';
    if (symlinkat(target, to_dir, to_name) != 0 ||
        (geteuid() == 0 && fchownat(to_dir, to_name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) != 0)) {
        return copy_failed(c, to_name);
    }
    return 0;
}

static int copy_name(const copying *c, int from_dir, int to_dir, const char *from_name, const char *to_name, int depth);

/* Copies the entries of from (taken over and closed) into to (the caller's). */
static int copy_content(const copying *c, int from, int to, int depth) {
    DIR *d = fdopendir(from);
    if (d == NULL) {
        int rc = copy_failed(c, ".");
        close(from);
        return rc;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        struct dirent *entry = readdir(d);
        if (entry == NULL) {
            rc = errno != 0 ? copy_failed(c, ".") : 0;
            break;
        }
        rc = is_dots(entry->d_name) ? 0 : copy_name(c, dirfd(d), to, entry->d_name, entry->d_name, depth + 1);
    }
    closedir(d);
    return rc;
}

static int copy_dir(const copying *c, int from_dir, int to_dir, const char *from_name, const char *to_name, int depth,
                    const struct stat *st) {
    if (depth >= DEPTH_MAX) {
        return err_set(c->e, "file_copy", "%s is nested deeper than %d directories", c->root, DEPTH_MAX);
    }
    /* Only the top may be there already. */
    if (mkdirat(to_dir, to_name, 0700) != 0 && !(depth == 0 && errno == EEXIST)) {
        return copy_failed(c, to_name);
    }
    int from = openat(from_dir, from_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0) {
        return copy_failed(c, from_name);
    }
    int to = openat(to_dir, to_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0) {
        int rc = copy_failed(c, to_name);
        close(from);
        return rc;
    }
    int rc = copy_content(c, from, to, depth);
    /* Last, since a directory may be one that nobody writes to. */
    if (rc == 0 && keep_owner_and_mode(to, st) != 0) {
        rc = copy_failed(c, to_name);
    }
    close(to);
    return rc;
}

static int copy_name(const copying *c, int from_dir, int to_dir, const char *from_name, const char *to_name,
                     int depth) {
    struct stat st;
    if (fstatat(from_dir, from_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return copy_failed(c, from_name);
    }
    switch (st.st_mode & S_IFMT) {
    case S_IFDIR:
        return copy_dir(c, from_dir, to_dir, from_name, to_name, depth, &st);
    case S_IFREG:
        return copy_file(c, from_dir, to_dir, from_name, to_name);
    case S_IFLNK:
        return copy_link(c, from_dir, to_dir, from_name, to_name, &st);
    default:
        return err_set(c->e, "file_copy", "%s: \"%s\" is neither file, directory nor symbolic link", c->root,
                       from_name);
    }
}

int fs_copy_tree(const char *from, const char *to, err *e) {
    copying c = {.root = from, .e = e};
    return copy_name(&c, AT_FDCWD, AT_FDCWD, from, to, 0);
}
