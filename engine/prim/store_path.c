#include "prim/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

#define RACE_RETRIES 16

const char *store_shown(const char *key, size_t len, char out[STORE_SHOWN_MAX]) {
    buf b = BUF_INIT;
    out[0] = '\0';
    if (text_sanitise(&b, key, len, 120, false) == 0 && b.len < STORE_SHOWN_MAX) {
        memcpy(out, buf_str(&b), b.len + 1);
    }
    buf_free(&b);
    return out;
}

static int bad_key(const char *key, size_t len, const char *why, err *e) {
    char text[STORE_SHOWN_MAX];
    err_set(e, "store_key", "store: key \"%s\" %s", store_shown(key, len, text), why);
    return err_fix(e, "use a relative name in UTF-8 such as \"run1/plan.json\"");
}

bool store_has_control(const char *key, size_t len) {
    const unsigned char *s = (const unsigned char *)key;
    for (size_t i = 0; i < len; i++) {
        /* C0, DEL, and C1 (U+0080 to U+009F) as UTF-8 */
        if (s[i] < 0x20 || s[i] == 0x7F || (s[i] == 0xC2 && i + 1 < len && s[i + 1] < 0xA0)) {
            return true;
        }
    }
    return false;
}

static const char *bad_part(const store_part *p) {
    if (p->len == 0) {
        return "has an empty component";
    }
    if (p->len > 255) {
        return "has a component of over 255 bytes";
    }
    if (p->start[0] == '.' && (p->len == 1 || (p->len == 2 && p->start[1] == '.'))) {
        return "has a component \".\" or \"..\"";
    }
    if (p->len >= sizeof STORE_TEMP_PREFIX - 1 &&
        memcmp(p->start, STORE_TEMP_PREFIX, sizeof STORE_TEMP_PREFIX - 1) == 0) {
        return "uses a name that is reserved for unfinished writes (\"" STORE_TEMP_PREFIX "\")";
    }
    return NULL;
}

int store_split(const char *key, size_t len, store_part *parts, err *e) {
    if (len == 0 || len > STORE_KEY_MAX) {
        return bad_key(key, len, len == 0 ? "is empty" : "is longer than 1024 bytes", e);
    }
    if (memchr(key, '\0', len) != NULL) {
        return bad_key(key, len, "holds a NUL byte", e);
    }
    if (!text_utf8_valid(key, len)) {
        return bad_key(key, len, "is not UTF-8", e);
    }
    if (store_has_control(key, len)) {
        return bad_key(key, len, "holds a control character", e);
    }
    int count = 0;
    for (size_t at = 0; at <= len;) {
        const char *slash = memchr(key + at, '/', len - at);
        size_t end = slash != NULL ? (size_t)(slash - key) : len;
        if (count == STORE_DEPTH_MAX) {
            return bad_key(key, len, "has over 64 components", e);
        }
        parts[count] = (store_part){key + at, end - at};
        const char *why = bad_part(&parts[count++]);
        if (why != NULL) {
            return bad_key(key, len, why, e);
        }
        at = end + 1;
    }
    return count;
}

int store_open_beneath(int dir, const char *path, int flags, unsigned mode) {
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                           .mode = mode,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    for (int i = 0;; i++) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0) {
            return (int)fd;
        }
        /* EAGAIN: the kernel could not rule out that a rename raced with the lookup (openat2(2)). */
        if ((errno != EINTR && errno != EAGAIN) || i == RACE_RETRIES) {
            return -1;
        }
    }
}

int store_errno(err *e, const char *verb, const char *key, size_t len) {
    char text[STORE_SHOWN_MAX];
    const char *name = store_shown(key, len, text);
    switch (errno) {
    case ENOENT:
        return err_set(e, "store_missing", "store: cannot %s \"%s\": there is no such key", verb, name);
    case ELOOP:
    case EXDEV:
        err_set(e, "store_denied", "store: cannot %s \"%s\": a symbolic link is in its way", verb, name);
        return err_fix(e, "put a real file or directory there: a store does not follow links");
    case EACCES:
    case EPERM:
        return err_errno(e, "store_denied", "store: cannot %s \"%s\"", verb, name);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        err_errno(e, "store_full", "store: cannot %s \"%s\"", verb, name);
        return err_fix(e, "free space where the store lies, or raise the limit on file size");
    case EROFS:
        return err_errno(e, "store_readonly", "store: cannot %s \"%s\"", verb, name);
    case ENOTDIR:
        return err_set(e, "store_key", "store: cannot %s \"%s\": a file stands where it needs a directory", verb, name);
    case EISDIR:
        return err_set(e, "store_key", "store: cannot %s \"%s\": that is a directory", verb, name);
    case ENAMETOOLONG:
        return err_set(e, "store_key", "store: cannot %s \"%s\": a name is too long for the file system", verb, name);
    default:
        return err_errno(e, "store_io", "store: cannot %s \"%s\"", verb, name);
    }
}

/* One step down; -1 with errno. */
static int step(int dir, const char *name, bool make) {
    int fd = store_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0 || errno != ENOENT || !make) {
        return fd;
    }
    if (mkdirat(dir, name, 0777) != 0 && errno != EEXIST) {
        return -1;
    }
    fd = store_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        /* The new entry must outlast a crash as the file in it does. dir may be an O_PATH descriptor. */
        int sync = store_open_beneath(dir, ".", O_RDONLY | O_DIRECTORY, 0);
        if (sync >= 0) {
            (void)fsync(sync);
            close(sync);
        }
    }
    return fd;
}

int store_parent(store *s, const char *key, size_t len, bool make, char name[STORE_KEY_MAX + 1], err *e) {
    store_part parts[STORE_DEPTH_MAX];
    int count = store_split(key, len, parts, e);
    if (count < 0) {
        return -1;
    }
    if (s->only_key != NULL && (strlen(s->only_key) != len || memcmp(s->only_key, key, len) != 0)) {
        errno = ENOENT;
        return store_errno(e, make ? "put" : "find", key, len);
    }
    int dir = store_open_beneath(s->root, ".", O_RDONLY | O_DIRECTORY, 0);
    for (int i = 0; dir >= 0 && i < count - 1; i++) {
        memcpy(name, parts[i].start, parts[i].len);
        name[parts[i].len] = '\0';
        int next = step(dir, name, make);
        int saved = errno;
        close(dir);
        errno = saved;
        dir = next;
    }
    if (dir < 0) {
        return store_errno(e, make ? "put" : "find", key, len);
    }
    memcpy(name, parts[count - 1].start, parts[count - 1].len);
    name[parts[count - 1].len] = '\0';
    return dir;
}
