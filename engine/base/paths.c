#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

void paths_free(paths *p) {
    free(p->share);
    free(p->modules);
    free(p->libexec);
    *p = (paths){0};
}

/* Cuts the last component off an absolute path; "/" stays. */
static void cut_name(char *path) {
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        slash[slash == path ? 1 : 0] = '\0';
    }
}

/* Sets the three places and says whether both stdlib/ and the modules are there: 1, 0, or -1 out of memory. */
static int try_places(paths *p, const char *root, const char *share, const char *modules, const char *libexec) {
    p->share = fs_join(root, share);
    p->modules = fs_join(root, modules);
    p->libexec = fs_join(root, libexec);
    char *stdlib = p->share != NULL ? fs_join(p->share, "stdlib") : NULL;
    int rc = -1;
    if (stdlib != NULL && p->modules != NULL && p->libexec != NULL) {
        rc = fs_is_dir(stdlib) && fs_is_dir(p->modules);
    }
    free(stdlib);
    if (rc != 1) {
        paths_free(p);
    }
    return rc;
}

/* Paths are of less than PATH_MAX bytes: paths_find_from looked. */
static void copy(char to[PATH_MAX], const char *from) {
    snprintf(to, PATH_MAX, "%s", from);
}

/* `dir` as the build directory of a source tree: <root>/<dir>/modules beside <root>/stdlib. */
static int try_source(paths *p, const char *dir) {
    char root[PATH_MAX];
    copy(root, dir);
    cut_name(root);
    char *modules = fs_join(dir, "modules");
    int rc = modules != NULL ? try_places(p, root, root, modules, dir) : -1;
    free(modules);
    return rc;
}

static int try_installed(paths *p, const char *bin) {
    char prefix[PATH_MAX];
    copy(prefix, bin);
    cut_name(prefix);
    return try_places(p, prefix, "share/gate-engine", "lib/gate-engine/modules", "lib/gate-engine");
}

int paths_find_from(paths *p, const char *program, err *e) {
    char dir[PATH_MAX];
    char above[PATH_MAX];
    *p = (paths){0};
    if (program[0] != '/' || strlen(program) >= sizeof dir) {
        return err_set(e, "install_broken", "the program's own path is not usable: \"%s\"", program);
    }
    copy(dir, program);
    cut_name(dir);
    copy(above, dir);
    cut_name(above);
    int rc = try_source(p, dir);
    if (rc == 0) {
        rc = try_source(p, above); /* a test program, in <build>/tests */
    }
    if (rc == 0) {
        rc = try_installed(p, dir);
    }
    if (rc == 1) {
        return 0;
    }
    if (rc < 0) {
        return err_set(e, "out_of_memory", "out of memory while looking for the installed files");
    }
    err_set(e, "install_broken", "the engine's files are not where they belong, as seen from %s", program);
    err_detail(e,
               "looked for %s/stdlib with %s/modules, and for %s/share/gate-engine/stdlib with "
               "%s/lib/gate-engine/modules",
               above, dir, above, above);
    return err_fix(e, "run make in the source tree, or make install");
}

int paths_find(paths *p, err *e) {
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0) {
        *p = (paths){0};
        return err_errno(e, "install_broken", "/proc/self/exe cannot be read");
    }
    program[n] = '\0';
    return paths_find_from(p, program, e);
}
