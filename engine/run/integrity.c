#include "run/integrity.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 32

static int stamp_one(const char *path, const struct stat *st, buf *out) {
    return buf_printf(out, "%s %llx %llx %o %llx %lld.%09ld %lld.%09ld\n", path, (unsigned long long)st->st_dev,
                      (unsigned long long)st->st_ino, (unsigned)st->st_mode, (unsigned long long)st->st_size,
                      (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
                      st->st_ctim.tv_nsec);
}

/* A directory's own times say that names came, went or were exchanged. Links are stamped and not followed: what they
 * lead to is no file of the installed tree. */
static int stamp_tree(const char *path, int depth, buf *out, err *e) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        return err_errno(e, "install_broken", "cannot look at %s", path);
    }
    if (stamp_one(path, &st, out) != 0) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (!S_ISDIR(st.st_mode)) {
        return 0;
    }
    struct dirent **names = NULL;
    int n = depth < DEPTH_MAX ? scandir(path, &names, NULL, alphasort) : -1;
    int rc = n < 0 ? err_errno(e, "install_broken", "cannot read %s", path) : 0;
    for (int i = 0; i < n; i++) {
        char below[PATH_MAX];
        int len = snprintf(below, sizeof below, "%s/%s", path, names[i]->d_name);
        bool dots = strcmp(names[i]->d_name, ".") == 0 || strcmp(names[i]->d_name, "..") == 0;
        if (rc == 0 && !dots && (size_t)len >= sizeof below) {
            rc = err_set(e, "install_broken", "a path below %.200s is too long", path);
        } else if (rc == 0 && !dots) {
            rc = stamp_tree(below, depth + 1, out, e);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

int integrity_stamp(const paths *tree, buf *out, err *e) {
    const struct {
        const char *root, *below;
    } places[] = {{tree->share, "stdlib"},           {tree->share, "gates"},        {tree->share, "scripts"},
                  {tree->modules, "engine"},         {tree->libexec, "gate-audit"}, {tree->libexec, "roster-solver"},
                  {tree->libexec, "routing-solver"}, {tree->libexec, "perturb.so"}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[PATH_MAX];
        if ((size_t)snprintf(path, sizeof path, "%s/%s", places[i].root, places[i].below) >= sizeof path) {
            return err_set(e, "install_broken", "a path below %.200s is too long", places[i].root);
        }
        if (stamp_tree(path, 0, out, e) != 0) {
            return -1;
        }
    }
    return out->failed ? err_set(e, "out_of_memory", "out of memory") : 0;
}

const char *integrity_preload(void) {
    static const char *const NAMES[] = {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_PROFILE", NULL};
    for (size_t i = 0; NAMES[i] != NULL; i++) {
        const char *value = getenv(NAMES[i]);
        if (value != NULL && *value != '\0') {
            return NAMES[i];
        }
    }
    return NULL;
}
