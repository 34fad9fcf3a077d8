/* pg_template.c: the template every server starts from, and what is swept away before one does. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "prim/pg_internal.h"

#define STOP_MS 30000
#define PSQL_LOG "psql.log"
#define STILL "still"
#define OLD_TEMPLATE_S (24 * 3600)

static const char *superuser(const pg_env *env) {
    return env->o->scratch ? PG_SCRATCH_SUPERUSER : PG_SUPERUSER;
}

static const char *database(const pg_env *env) {
    return env->o->scratch ? PG_SCRATCH_DATABASE : PG_DATABASE;
}

static int template_path(const pg_env *env, char out[PATH_MAX], err *e) {
    return pg_path(out, e, "%s/template-%s", env->root, env->key);
}

bool pg_template_exists(const pg_env *env) {
    char path[PATH_MAX];
    err ignored;
    return template_path(env, path, &ignored) == 0 && fs_is_dir(path);
}

/* --- copying it ------------------------------------------------------------------------------------------------- */

/* Is this a database that nobody can connect to and all of whose rows are frozen? Then no page of it is ever written.
 */
static bool is_still(const buf *still, const char *name) {
    size_t n = strlen(name);
    for (const char *p = buf_str(still); (p = strstr(p, name)); p++)
        if ((p == still->data || p[-1] == '\n') && p[n] == '\n')
            return true;
    return false;
}

/* A directory of plain files, linked instead of copied. */
static int link_dir(const pg_env *env, const char *from, const char *to, err *e) {
    DIR *d = opendir(from);
    if (!d)
        return err_errno(e, "pg_state", "cannot read %s", from);
    int r = pg_mkdir_owned(env, to, e);
    for (struct dirent *entry; r == 0 && (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char a[PATH_MAX], b[PATH_MAX];
            r = pg_path(a, e, "%s/%s", from, entry->d_name) != 0 || pg_path(b, e, "%s/%s", to, entry->d_name) != 0 ? -1
                                                                                                                   : 0;
            if (r == 0 && linkat(AT_FDCWD, a, AT_FDCWD, b, 0) != 0)
                r = err_errno(e, "pg_state", "cannot link %s", b);
        }
    closedir(d);
    return r;
}

/* Copies what is in a directory, which was made already, one entry at a time; `base` with its databases goes one level
 * further down. still == NULL: nothing is linked. */
static int copy_entries(const pg_env *env, const char *from, const char *to, const buf *still, bool databases, err *e) {
    DIR *d = opendir(from);
    if (!d)
        return err_errno(e, "pg_state", "cannot read %s", from);
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(d));) {
        char a[PATH_MAX], b[PATH_MAX];
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (pg_path(a, e, "%s/%s", from, name) != 0 || pg_path(b, e, "%s/%s", to, name) != 0)
            r = -1;
        else if (databases && is_still(still, name))
            r = link_dir(env, a, b, e);
        else if (!databases && strcmp(name, "base") == 0)
            r = pg_mkdir_owned(env, b, e) != 0 ? -1 : copy_entries(env, a, b, still, true, e);
        else
            r = fs_copy_tree(a, b, e);
    }
    closedir(d);
    return r;
}

int pg_template_copy(const pg_env *env, const char *to, bool linked, err *e) {
    char from[PATH_MAX], data[PATH_MAX], list[PATH_MAX];
    buf still = BUF_INIT;
    if (template_path(env, from, e) != 0 || pg_path(data, e, "%s/data", from) != 0 ||
        pg_path(list, e, "%s/" STILL, from) != 0)
        return -1;
    int r = linked ? fs_read(list, 4096, &still, e) : 0;
    if (r == 0)
        r = pg_mkdir_owned(env, to, e);
    if (r == 0)
        r = copy_entries(env, data, to, &still, false, e);
    buf_free(&still);
    return r == 0 || strcmp(e->code, "pg_state_full") == 0 ? r : pg_state_error(env, e);
}

void pg_template_version(const pg_env *env, char *out, size_t cap) {
    char dir[PATH_MAX], path[PATH_MAX];
    err ignored;
    buf text = BUF_INIT;
    snprintf(out, cap, "unknown");
    if (template_path(env, dir, &ignored) == 0 && pg_path(path, &ignored, "%s/version", dir) == 0 &&
        fs_read(path, 4096, &text, &ignored) == 0) {
        /* "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)" */
        const char *p = strstr(buf_str(&text), ") ");
        if (p)
            snprintf(out, cap, "%.*s", (int)strcspn(p + 2, "\n"), p + 2);
    }
    buf_free(&text);
}

/* --- making it -------------------------------------------------------------------------------------------------- */

/* A failed program's error: what its log says, and its cause where we know it. */
static int program_error(const pg_env *env, const char *code, const char *log, const char *what, err *e) {
    static const int causes[] = {ENOSPC, EDQUOT, EROFS};
    err_set(e, code, "%s", what);
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (pg_log_says(log, strerror(causes[i]))) {
            err_set(e, code, "%s: %s", what, strerror(causes[i]));
            pg_state_error(env, e);
            break;
        }
    pg_log_tail(log, e);
    return -1;
}

static int open_log(const pg_env *env, const char *path, err *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_errno(e, "pg_state", "cannot create %s", path);
        pg_state_error(env, e);
    }
    return fd;
}

static int write_version(const pg_env *env, const char *dir, err *e) {
    char path[PATH_MAX];
    const char *argv[] = {"postgres", "--version", NULL};
    if (pg_path(path, e, "%s/version", dir) != 0)
        return -1;
    int fd = open_log(env, path, e);
    if (fd < 0)
        return -1;
    int r = pg_run(env, argv, "/", -1, fd, e);
    close(fd);
    return r == 1 ? program_error(env, "pg_template", path, "`postgres --version` failed", e) : r;
}

static int run_initdb(const pg_env *env, const char *dir, err *e) {
    char data[PATH_MAX], log[PATH_MAX];
    if (pg_path(data, e, "%s/data", dir) != 0 || pg_path(log, e, "%s/log", dir) != 0 ||
        pg_mkdir_owned(env, data, e) != 0)
        return -1;
    const char *argv[] = {"initdb",
                          "-D",
                          data,
                          "-U",
                          superuser(env),
                          "-A",
                          "trust",
                          "-E",
                          "UTF8",
                          "--locale=C.UTF-8",
                          "--no-sync",
                          "--no-instructions",
                          "--wal-segsize=1",
                          NULL};
    int fd = open_log(env, log, e);
    if (fd < 0)
        return -1;
    int r = pg_run(env, argv, data, -1, fd, e);
    close(fd);
    return r == 1 ? program_error(env, "pg_template", log, "initdb failed", e) : r;
}

/* One psql: a file on its standard input (opened here: the user postgres may not be able to read the source tree), or a
 * command. What it prints goes to server->dir/<out>. */
static int run_psql(const pg_env *env, const pg_serve_args *server, const char *where, const char *file,
                    const char *command, const char *out, err *e) {
    char log[PATH_MAX], what[PATH_MAX];
    const char *argv[] = {"psql",
                          "-X",
                          "-q",
                          "-A",
                          "-t",
                          "-v",
                          "ON_ERROR_STOP=1",
                          "-h",
                          server->socket_dir,
                          "-p",
                          "5432",
                          "-U",
                          superuser(env),
                          "-d",
                          where,
                          command ? "-c" : "-1",
                          command ? command : "-f-",
                          NULL};
    if (pg_path(log, e, "%s/%s", server->dir, out) != 0)
        return -1;
    int in = -1, fd = open_log(env, log, e), r = -1;
    if (fd >= 0 && file && (in = open(file, O_RDONLY | O_CLOEXEC)) < 0)
        err_errno(e, "pg_migration", "cannot open %s", file);
    else if (fd >= 0)
        r = pg_run(env, argv, server->socket_dir, in, fd, e);
    if (in >= 0)
        close(in);
    if (fd >= 0)
        close(fd);
    if (r != 1)
        return r;
    snprintf(what, sizeof what, "the platform's migration %s failed", file ? file : command);
    return program_error(env, "pg_migration", log, what, e);
}

static int is_sql(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 4, ".sql") == 0;
}

static int run_migrations(const pg_env *env, const pg_serve_args *server, err *e) {
    struct dirent **names = NULL;
    if (env->o->scratch)
        return 0;
    int n = scandir(env->o->migrations_dir, &names, is_sql, alphasort), result = 0;
    if (n < 0)
        return err_errno(e, "pg_migration", "cannot read %s", env->o->migrations_dir);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        if (result == 0 && (pg_path(path, e, "%s/%s", env->o->migrations_dir, names[i]->d_name) != 0 ||
                            run_psql(env, server, PG_DATABASE, path, NULL, PSQL_LOG, e) != 0))
            result = -1;
        free(names[i]);
    }
    free(names);
    return result;
}

static int stop_cleanly(const pg_env *env, pg_child *c, err *e) {
    int status = 0;
    pg_child_signal(c, SIGINT); /* fast shutdown: with a checkpoint */
    int r = pg_child_wait(c, env, STOP_MS, &status);
    if (r == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    pg_child_end(c, SIGQUIT, 1000);
    return r < 0 ? pg_interrupted_error(env, e)
                 : err_set(e, "pg_template", "the template's server did not stop cleanly");
}

/* The database initdb made takes the platform's name: one database less to copy each time. Those nobody can connect to
 * stay as initdb froze them; their list is what pg_template_copy links. */
static int build(const pg_env *env, const pg_serve_args *server, err *e) {
    const char *rename = env->o->scratch ? "alter database postgres rename to " PG_SCRATCH_DATABASE
                                         : "alter database postgres rename to " PG_DATABASE;
    const char *own = database(env);
    if (run_psql(env, server, "template1", NULL, rename, PSQL_LOG, e) != 0 || run_migrations(env, server, e) != 0 ||
        run_psql(env, server, own, NULL, "alter database template1 allow_connections false", PSQL_LOG, e) != 0 ||
        run_psql(env, server, own, NULL, "vacuum analyze", PSQL_LOG, e) != 0)
        return -1;
    return run_psql(env, server, own, NULL, "select oid from pg_database where not datallowconn", STILL, e);
}

static int is_segment(const struct dirent *entry) {
    return strlen(entry->d_name) == 24 && strspn(entry->d_name, "0123456789ABCDEF") == 24;
}

/* Removes the log segments made ahead for later use, which every copy would carry. After a clean shutdown the oldest
 * segment holds the last checkpoint, whose record may reach into the next one; all after these two are empty. */
static int trim_log(const char *dir, err *e) {
    char wal[PATH_MAX], path[PATH_MAX];
    struct dirent **names = NULL;
    if (pg_path(wal, e, "%s/data/pg_wal", dir) != 0)
        return -1;
    int n = scandir(wal, &names, is_segment, alphasort), r = 0;
    if (n < 0)
        return err_errno(e, "pg_template", "cannot read %s", wal);
    for (int i = 0; i < n; i++) {
        if (r == 0 && i >= 2) {
            r = pg_path(path, e, "%s/%s", wal, names[i]->d_name);
            if (r == 0 && unlink(path) != 0)
                r = err_errno(e, "pg_template", "cannot remove %s", path);
        }
        free(names[i]);
    }
    free(names);
    return r;
}

static int fill(const pg_env *env, const char *dir, err *e) {
    char socket_dir[PG_SOCKET_DIR_MAX + 1];
    pg_child c;
    if (write_version(env, dir, e) != 0 || run_initdb(env, dir, e) != 0 || pg_socket_make(env, dir, socket_dir, e) != 0)
        return -1;
    pg_serve_args server = {.dir = dir, .socket_dir = socket_dir};
    int r = pg_serve_spawn(env, &server, &c, e);
    if (r == 0)
        r = pg_serve_ready(env, &server, &c, e);
    if (r == 0) {
        if (build(env, &server, e) != 0) {
            pg_child_end(&c, SIGQUIT, 5000);
            r = -1;
        } else {
            r = stop_cleanly(env, &c, e);
        }
    }
    pg_socket_remove(env, socket_dir);
    return r == 0 ? trim_log(dir, e) : r;
}

/* Moves the finished directory to its name, its content on the disk first: a template may not be complete in name only.
 */
static int publish(const pg_env *env, const char *tmp, const char *path, err *e) {
    int fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0 || rename(tmp, path) != 0) {
        err_errno(e, "pg_state", "cannot store the template %s", path);
        if (fd >= 0)
            close(fd);
        return pg_state_error(env, e);
    }
    close(fd);
    return 0;
}

/* 1 = fit for use, 0 = none or none any more, -1 = a foreign server runs on it. */
static int check_template(const pg_env *env, const char *path, err *e) {
    char data[PATH_MAX];
    if (!fs_is_dir(path))
        return 0;
    pid_t pid = pg_postmaster(path, NULL, NULL);
    if (pid == 0)
        return 1;
    /* Somebody started a server on it: while that one runs it cannot be copied, afterwards it is no longer a template.
     */
    if (pg_path(data, e, "%s/data", path) != 0)
        return -1;
    if (pg_start_time(pid) != 0 && pg_runs_in(pid, data)) {
        err_set(e, "pg_foreign", "another PostgreSQL (process %d) runs on %s", (int)pid, data);
        return err_fix(e, "stop that server, or set GATE_ENGINE_STATE to a directory of its own");
    }
    return fs_remove_tree(path, e) == 0 ? 0 : pg_state_error(env, e);
}

int pg_template_make(pg_env *env, err *e) {
    char path[PATH_MAX], tmp[PATH_MAX];
    if (template_path(env, path, e) != 0)
        return -1;
    int there = check_template(env, path, e);
    if (there != 0)
        return there == 1 ? 0 : -1;
    if (pg_mkdir_fresh(env, "tmp", tmp, e) != 0)
        return -1;
    if (fill(env, tmp, e) == 0 && publish(env, tmp, path, e) == 0)
        return 0;
    err ignored;
    pg_serve_clear(tmp);
    fs_remove_tree(tmp, &ignored);
    return -1;
}

/* --- sweeping --------------------------------------------------------------------------------------------------- */

/* Allocates nothing: after a run for which there was no memory its server's things go too. */
void pg_remove_dir(const pg_env *env, const char *dir) {
    char path[PATH_MAX], text[PG_SOCKET_DIR_MAX + 1];
    err ignored;
    pg_serve_clear(dir);
    int fd = pg_path(path, &ignored, "%s/socket", dir) == 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
                                                            : -1;
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n > 0) {
        text[n] = '\0';
        pg_socket_remove(env, text);
    }
    fs_close(&fd);
    fs_remove_tree(dir, &ignored);
}

static bool owner_lives(const char *dir) {
    char path[PATH_MAX];
    err ignored;
    if (pg_path(path, &ignored, "%s/owner.lock", dir) != 0)
        return true;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno != ENOENT;
    bool lives = flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    return lives;
}

static void sweep_one(const pg_env *env, const char *name) {
    char path[PATH_MAX];
    err ignored;
    struct stat st;
    if (pg_path(path, &ignored, "%s/%s", env->root, name) != 0)
        return;
    if (strncmp(name, "tmp-", 4) == 0 || (strncmp(name, "run-", 4) == 0 && !owner_lives(path)))
        pg_remove_dir(env, path);
    else if (strncmp(name, "template-", 9) == 0 && strcmp(name + 9, env->key) != 0 && stat(path, &st) == 0 &&
             time(NULL) - st.st_mtime > OLD_TEMPLATE_S && pg_postmaster(path, NULL, NULL) == 0)
        fs_remove_tree(path, &ignored);
}

void pg_sweep(pg_env *env) {
    DIR *d = opendir(env->root);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));)
        sweep_one(env, entry->d_name);
    closedir(d);
}
