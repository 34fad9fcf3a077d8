/* pg_env.c: where the embedded platform lives, whose programs it runs and as whom. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "prim/pg_internal.h"

#define INSTALL_ROOT "/usr/lib/postgresql"
#define LOCK_POLL_MS 20
#define MIGRATION_MAX (4u << 20)

int pg_path(char out[PATH_MAX], err *e, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, PATH_MAX, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= PATH_MAX) {
        err_set(e, "pg_state", "a path under the state directory would be longer than %d bytes", PATH_MAX - 1);
        return err_fix(e, "set GATE_ENGINE_STATE to a shorter path");
    }
    return 0;
}

static bool out_of_time(const pg_env *env) {
    return env->o && env->o->deadline != 0 && clock_ms() >= env->o->deadline;
}

static bool signalled(const pg_env *env) {
    return env->o && env->o->interrupted && *env->o->interrupted;
}

int pg_interrupted_error(const pg_env *env, err *e) {
    if (signalled(env) || !out_of_time(env))
        return err_set(e, "pg_interrupted", "interrupted while the embedded platform was being started");
    return err_set(e, "pg_timeout", "the embedded platform did not come up in time");
}

bool pg_env_interrupted(const pg_env *env) {
    return signalled(env) || out_of_time(env);
}

int pg_state_error(const pg_env *env, err *e) {
    static const struct {
        int number;
        const char *code, *fix;
    } known[] = {
        {ENOSPC, "pg_state_full", "free space on that file system, or set GATE_ENGINE_STATE to a directory on another"},
        {EDQUOT, "pg_state_full", "free space within your quota, or set GATE_ENGINE_STATE to another directory"},
        {EROFS, "pg_state", "the file system is read-only: set GATE_ENGINE_STATE to a directory you can write to"},
        {EACCES, "pg_state", "set GATE_ENGINE_STATE to a directory you can write to"},
        {EPERM, "pg_state", "set GATE_ENGINE_STATE to a directory you can write to"},
        {ENOENT, "pg_state", "set GATE_ENGINE_STATE to a directory which exists and you can write to"},
        {ENOTDIR, "pg_state", "set GATE_ENGINE_STATE to a directory you can write to"},
    };
    err was = *e;
    const char *code = "pg_state", *fix = "set GATE_ENGINE_STATE to a directory you can write to";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *text = strerror(known[i].number);
        if (strstr(was.message, text) || strstr(was.detail, text)) {
            code = known[i].code;
            fix = known[i].fix;
            break;
        }
    }
    err_set(e, code, "the state directory %s cannot be used: %s", env->root, was.message);
    if (was.detail[0])
        err_detail(e, "%s", was.detail);
    return err_fix(e, "%s", fix);
}

/* --- state directory -------------------------------------------------------------------------------------------- */

char *pg_state_dir(err *e) {
    const char *set = getenv("GATE_ENGINE_STATE");
    char path[PATH_MAX];
    if (set && *set) {
        if (set[0] != '/') {
            err_set(e, "pg_state", "GATE_ENGINE_STATE is not an absolute path: \"%s\"", set);
            err_fix(e, "set it to an absolute path");
            return NULL;
        }
        if (pg_path(path, e, "%s", set) != 0)
            return NULL;
    } else if (geteuid() == 0) {
        if (pg_path(path, e, "/var/lib/gate-engine") != 0)
            return NULL;
    } else {
        const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        if (!home || home[0] != '/') {
            const struct passwd *pw = getpwuid(geteuid());
            home = pw ? pw->pw_dir : NULL;
        }
        /* A relative XDG_STATE_HOME is to be ignored: XDG Base Directory Specification 0.8. */
        if (xdg && xdg[0] == '/') {
            if (pg_path(path, e, "%s/gate-engine", xdg) != 0)
                return NULL;
        } else if (home && home[0] == '/') {
            if (pg_path(path, e, "%s/.local/state/gate-engine", home) != 0)
                return NULL;
        } else {
            err_set(e, "pg_state", "there is no home directory to keep the embedded platform in");
            err_fix(e, "set GATE_ENGINE_STATE to a directory you can write to");
            return NULL;
        }
    }
    char *copy = strdup(path);
    if (!copy)
        err_set(e, "out_of_memory", "out of memory");
    return copy;
}

static int make_root(pg_env *env, err *e) {
    if (env->o->state_dir) {
        if (pg_path(env->root, e, "%s/pg", env->o->state_dir) != 0)
            return -1;
    } else {
        char *state = pg_state_dir(e);
        if (!state)
            return -1;
        int r = pg_path(env->root, e, "%s/pg", state);
        free(state);
        if (r != 0)
            return -1;
    }
    /* As root PostgreSQL's user has to pass through on the way to its data, and may list nothing. */
    mode_t mode = env->switch_user ? 0711 : 0700;
    if (fs_mkdirs(env->root, mode, e) != 0)
        return pg_state_error(env, e);
    if (access(env->root, W_OK) != 0) {
        err_errno(e, "pg_state", "%s is not writable", env->root);
        return pg_state_error(env, e);
    }
    return 0;
}

int pg_mkdir_owned(const pg_env *env, const char *path, err *e) {
    if (mkdir(path, 0700) != 0) {
        err_errno(e, "pg_state", "cannot create %s", path);
        return pg_state_error(env, e);
    }
    if (env->switch_user && chown(path, env->uid, env->gid) != 0) {
        err_errno(e, "pg_state", "cannot give %s to the user %s", path, env->user);
        return pg_state_error(env, e);
    }
    return 0;
}

int pg_mkdir_fresh(const pg_env *env, const char *prefix, char out[PATH_MAX], err *e) {
    if (pg_path(out, e, "%s/%s-XXXXXX", env->root, prefix) != 0)
        return -1;
    if (!mkdtemp(out) || (env->switch_user && chmod(out, 0711) != 0)) {
        err_errno(e, "pg_state", "cannot create %s", out);
        return pg_state_error(env, e);
    }
    return 0;
}

/* --- programs and user ------------------------------------------------------------------------------------------ */

static bool has_programs(const char *dir) {
    static const char *const names[] = {"postgres", "initdb", "psql"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (n < 0 || n >= (int)sizeof path || access(path, X_OK) != 0)
            return false;
    }
    return true;
}

static int missing_error(err *e) {
    err_set(e, "pg_missing", "PostgreSQL is not installed: no %s/*/bin with postgres, initdb and psql", INSTALL_ROOT);
    return err_fix(e, "run `make deps`, or as root: apt-get install postgresql-15; elsewhere set GATE_ENGINE_PG_BIN "
                      "to the directory of its programs");
}

int pg_find_bin(char *out, size_t cap, err *e) {
    const char *set = getenv("GATE_ENGINE_PG_BIN");
    if (set && *set) {
        if (set[0] != '/' || strlen(set) >= cap || !has_programs(set)) {
            err_set(e, "pg_missing", "GATE_ENGINE_PG_BIN is \"%s\", which does not hold postgres, initdb and psql",
                    set);
            return err_fix(e, "set it to the absolute path of PostgreSQL's bin directory, or unset it");
        }
        memcpy(out, set, strlen(set) + 1);
        return 0;
    }
    DIR *d = opendir(INSTALL_ROOT);
    if (!d)
        return missing_error(e);
    long best = 0;
    for (struct dirent *entry; (entry = readdir(d));) {
        char *end, dir[PATH_MAX];
        long version = isdigit((unsigned char)entry->d_name[0]) ? strtol(entry->d_name, &end, 10) : 0;
        if (version <= best || *end != '\0')
            continue;
        int n = snprintf(dir, sizeof dir, "%s/%ld/bin", INSTALL_ROOT, version);
        if (n < 0 || n >= (int)sizeof dir || (size_t)n >= cap || !has_programs(dir))
            continue;
        memcpy(out, dir, (size_t)n + 1);
        best = version;
    }
    closedir(d);
    return best > 0 ? 0 : missing_error(e);
}

static int find_user(pg_env *env, err *e) {
    env->uid = geteuid();
    env->gid = getegid();
    env->switch_user = env->uid == 0;
    if (!env->switch_user)
        return 0;
    errno = 0;
    const struct passwd *pw = getpwnam("postgres");
    if (!pw || pw->pw_uid == 0) {
        err_set(e, "pg_user", "there is no user \"postgres\", and PostgreSQL refuses to run as root");
        return err_fix(e, "install Debian's postgresql-common, which creates it, or run as a plain user");
    }
    env->uid = pw->pw_uid;
    env->gid = pw->pw_gid;
    snprintf(env->user, sizeof env->user, "%s", pw->pw_name);
    return 0;
}

/* --- the template's key ----------------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits (draft-eastlake-fnv): tells sets of migrations apart, guards nothing. */
static uint64_t fnv1a(uint64_t h, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static int is_sql(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 4, ".sql") == 0;
}

static int hash_migrations(const char *dir, uint64_t *h, err *e) {
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_sql, alphasort), result = n > 0 ? 0 : -1;
    if (n < 0)
        err_errno(e, "pg_migration", "cannot read the platform's migrations in %s", dir);
    else if (n == 0)
        err_set(e, "pg_migration", "no migrations (*.sql) in %s", dir);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        buf text = BUF_INIT;
        if (result == 0 &&
            (pg_path(path, e, "%s/%s", dir, names[i]->d_name) != 0 || fs_read(path, MIGRATION_MAX, &text, e) != 0))
            result = -1;
        if (result == 0) {
            *h = fnv1a(*h, names[i]->d_name, strlen(names[i]->d_name) + 1);
            *h = fnv1a(*h, &text.len, sizeof text.len);
            *h = fnv1a(*h, text.data, text.len);
        }
        buf_free(&text);
        free(names[i]);
    }
    free(names);
    if (result != 0)
        err_fix(e, "install gate-engine again: its stdlib is incomplete");
    return result;
}

static int make_key(pg_env *env, err *e) {
    char path[PATH_MAX];
    struct stat st;
    if (pg_path(path, e, "%s/postgres", env->bin) != 0)
        return -1;
    if (stat(path, &st) != 0)
        return missing_error(e);
    uint64_t h = 0xcbf29ce484222325u;
    /* The server's build stands for its version: asking it would cost a process each time. */
    int64_t build[3] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    h = fnv1a(h, env->bin, strlen(env->bin) + 1);
    h = fnv1a(h, build, sizeof build);
    h = fnv1a(h, "layout 3", 8);
    if (env->o->scratch)
        h = fnv1a(h, PG_SCRATCH_SUPERUSER, sizeof PG_SCRATCH_SUPERUSER);
    else if (hash_migrations(env->o->migrations_dir, &h, e) != 0)
        return -1;
    snprintf(env->key, sizeof env->key, "%016llx", (unsigned long long)h);
    return 0;
}

/* --- open, lock, close ------------------------------------------------------------------------------------------ */

int pg_env_open(pg_env *env, const pg_options *o, err *e) {
    memset(env, 0, sizeof *env);
    env->o = o;
    env->lock_fd = -1;
    if (find_user(env, e) != 0 || pg_find_bin(env->bin, sizeof env->bin, e) != 0 || make_key(env, e) != 0 ||
        make_root(env, e) != 0)
        return -1;
    char path[PATH_MAX];
    if (pg_path(path, e, "%s/lock", env->root) != 0)
        return -1;
    env->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (env->lock_fd < 0) {
        err_errno(e, "pg_state", "cannot open %s", path);
        return pg_state_error(env, e);
    }
    return 0;
}

void pg_env_close(pg_env *env) {
    if (env->lock_fd >= 0)
        close(env->lock_fd);
    env->lock_fd = -1;
}

int pg_env_lock(pg_env *env, int operation, err *e) {
    while (flock(env->lock_fd, operation | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            if (operation & LOCK_NB)
                return 1;
            if (pg_env_interrupted(env))
                return pg_interrupted_error(env, e);
            poll(NULL, 0, LOCK_POLL_MS);
        } else if (errno != EINTR) {
            err_errno(e, "pg_state", "cannot lock %s/lock", env->root);
            return pg_state_error(env, e);
        }
    }
    return 0;
}
