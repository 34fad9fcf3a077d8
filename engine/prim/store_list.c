#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "prim/store_path.h"

/* What a walk carries along. */
typedef struct walk {
    store *s;
    const char *prefix;
    size_t prefix_len;
    store_list *out;
    char key[STORE_KEY_MAX + 1]; /* of the directory it is in, with a trailing slash, or empty */
    size_t len;
    int depth;
    err *e;
} walk;

void store_list_free(store_list *l) {
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].key);
    }
    free(l->items);
    *l = (store_list){0};
}

static int add(walk *w, size_t len, const struct stat *st) {
    store_list *l = w->out;
    if (l->count == STORE_LIST_MAX) {
        err_set(w->e, "store_too_large", "store: over %d keys begin with the prefix", STORE_LIST_MAX);
        return err_fix(w->e, "list a longer prefix");
    }
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        store_entry *grown = realloc(l->items, cap * sizeof *grown);
        if (grown == NULL) {
            return err_set(w->e, "out_of_memory", "store: out of memory while listing");
        }
        l->items = grown;
        l->cap = cap;
    }
    char *key = strndup(w->key, len);
    if (key == NULL) {
        return err_set(w->e, "out_of_memory", "store: out of memory while listing");
    }
    l->items[l->count++] =
        (store_entry){.key = key, .info = {.size = (uint64_t)st->st_size, .modified = st->st_mtim.tv_sec}};
    return 0;
}

/* May something in or at the path key[0, len) begin with the prefix? */
static bool may_match(const walk *w, size_t len) {
    size_t n = len < w->prefix_len ? len : w->prefix_len;
    return memcmp(w->key, w->prefix, n) == 0;
}

static int visit_dir(walk *w, int fd);

static int visit_entry(walk *w, int dir, const char *name) {
    size_t n = strlen(name);
    size_t before = w->len;
    if (n == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || before + n > STORE_KEY_MAX ||
        strncmp(name, STORE_TEMP_PREFIX, sizeof STORE_TEMP_PREFIX - 1) == 0 || !text_utf8_valid(name, n) ||
        store_has_control(name, n)) {
        return 0;
    }
    memcpy(w->key + before, name, n + 1);
    size_t len = before + n;
    struct stat st;
    if (!may_match(w, len) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0; /* gone meanwhile, or of no interest */
    }
    if (S_ISREG(st.st_mode)) {
        return len >= w->prefix_len ? add(w, len, &st) : 0;
    }
    if (!S_ISDIR(st.st_mode) || len + 1 >= STORE_KEY_MAX || w->depth + 1 >= STORE_DEPTH_MAX) {
        return 0;
    }
    int child = store_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
    if (child < 0) {
        /* Removed or turned into something else meanwhile is fine; not allowed to read is not. */
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : store_errno(w->e, "list", w->key, len);
    }
    w->key[len] = '/';
    w->len = len + 1;
    w->depth++;
    int rc = may_match(w, w->len) ? visit_dir(w, child) : (close(child), 0);
    w->depth--;
    w->len = before;
    return rc;
}

/* Takes fd over. */
static int visit_dir(walk *w, int fd) {
    DIR *d = fdopendir(fd);
    if (d == NULL) {
        store_errno(w->e, "list", w->key, w->len);
        close(fd);
        return -1;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (entry == NULL) {
            rc = errno != 0 ? store_errno(w->e, "list", w->key, w->len) : 0;
            break;
        }
        rc = visit_entry(w, dirfd(d), entry->d_name);
    }
    closedir(d);
    return rc;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const store_entry *)a)->key, ((const store_entry *)b)->key);
}

static int check_prefix(const char *prefix, size_t len, err *e) {
    if (len > STORE_KEY_MAX || memchr(prefix, '\0', len) != NULL || (len > 0 && prefix[0] == '/')) {
        err_set(e, "store_key", "store: cannot list: the prefix is absolute, over 1024 bytes or holds a NUL byte");
        return err_fix(e, "use the beginning of a key, such as \"run1/\"");
    }
    return 0;
}

static int find_only(store *s, const char *prefix, size_t len, store_list *out, err *e) {
    walk w = {.s = s, .out = out, .e = e};
    size_t n = strlen(s->only_key);
    store_info info;
    int there = store_head(s, s->only_key, n, &info, e);
    if (there <= 0 || len > n || memcmp(s->only_key, prefix, len) != 0) {
        return there < 0 ? -1 : 0;
    }
    memcpy(w.key, s->only_key, n + 1);
    struct stat st = {.st_size = (off_t)info.size, .st_mtim.tv_sec = info.modified};
    return add(&w, n, &st);
}

int store_find(store *s, const char *prefix, size_t len, store_list *out, err *e) {
    *out = (store_list){0};
    if (check_prefix(prefix, len, e) != 0) {
        return -1;
    }
    if (s->only_key != NULL) {
        return find_only(s, prefix, len, out, e);
    }
    walk w = {.s = s, .prefix = prefix, .prefix_len = len, .out = out, .e = e};
    int fd = store_open_beneath(s->root, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return store_errno(e, "list", prefix, len);
    }
    if (visit_dir(&w, fd) != 0) {
        return -1;
    }
    if (out->count > 1) {
        qsort(out->items, out->count, sizeof *out->items, by_key);
    }
    return 0;
}
