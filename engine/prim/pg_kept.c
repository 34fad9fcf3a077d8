/* pg_kept.c: the server `platform start` keeps between runs. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "prim/pg_internal.h"

#define RECORD_MAX 65536
#define END_MS 5000

static int kept_dir(const pg_env *env, char out[PATH_MAX], err *e) {
    return pg_path(out, e, "%s/kept", env->root);
}

/* This boot of the machine: process ids and start times mean nothing in another. Empty when unknown. */
static void boot_id(char out[40]) {
    out[0] = '\0';
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, out, 36);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
}

/* --- the record ------------------------------------------------------------------------------------------------- */

static int write_record(const pg_env *env, const pg_kept *k, err *e) {
    char path[PATH_MAX];
    if (pg_path(path, e, "%s/kept.json", env->root) != 0)
        return -1;
    json_t *o =
        json_pack("{s:i, s:I, s:s, s:s, s:s, s:s}", "pid", (int)k->pid, "start_time", (json_int_t)k->start_time,
                  "boot_id", k->boot_id, "socket_dir", k->socket_dir, "version", k->version, "template", k->key);
    char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    if (!text)
        return err_set(e, "out_of_memory", "out of memory");
    int r = fs_write_atomic(path, text, strlen(text), 0600, e);
    free(text);
    return r == 0 ? 0 : pg_state_error(env, e);
}

static bool take_text(const json_t *o, const char *key, char *out, size_t cap) {
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || strlen(s) >= cap)
        return false;
    memcpy(out, s, strlen(s) + 1);
    return true;
}

/* False when there is none, or none that makes sense: both mean that nothing is known. */
static bool read_record(const pg_env *env, pg_kept *k) {
    char path[PATH_MAX];
    err ignored;
    buf text = BUF_INIT;
    memset(k, 0, sizeof *k);
    json_t *o = NULL;
    if (pg_path(path, &ignored, "%s/kept.json", env->root) == 0 && fs_read(path, RECORD_MAX, &text, &ignored) == 0)
        o = mem_json(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    json_int_t pid = json_integer_value(json_object_get(o, "pid"));
    bool ok = pid > 0 && pid <= INT_MAX && take_text(o, "boot_id", k->boot_id, sizeof k->boot_id) &&
              take_text(o, "socket_dir", k->socket_dir, sizeof k->socket_dir) &&
              take_text(o, "version", k->version, sizeof k->version) && take_text(o, "template", k->key, sizeof k->key);
    if (ok) {
        k->pid = (pid_t)pid;
        k->start_time = (unsigned long long)json_integer_value(json_object_get(o, "start_time"));
    }
    json_decref(o);
    buf_free(&text);
    return ok;
}

static bool same_process(const pg_kept *k, const char *data) {
    char boot[40];
    boot_id(boot);
    unsigned long long start = pg_start_time(k->pid);
    return start != 0 && start == k->start_time && strcmp(boot, k->boot_id) == 0 && pg_runs_in(k->pid, data);
}

/* --- finding, removing ------------------------------------------------------------------------------------------ */

static int remove_kept(const pg_env *env, const pg_kept *k, err *e) {
    char dir[PATH_MAX], record[PATH_MAX];
    if (kept_dir(env, dir, e) != 0 || pg_path(record, e, "%s/kept.json", env->root) != 0)
        return -1;
    pg_remove_dir(env, dir);
    if (k && k->socket_dir[0])
        pg_socket_remove(env, k->socket_dir);
    if (fs_remove_tree(dir, e) != 0)
        return pg_state_error(env, e);
    if (unlink(record) != 0 && errno != ENOENT) {
        err_errno(e, "pg_state", "cannot remove %s", record);
        return pg_state_error(env, e);
    }
    return 0;
}

int pg_kept_find(pg_env *env, pg_kept *k, err *e) {
    char dir[PATH_MAX], data[PATH_MAX];
    if (kept_dir(env, dir, e) != 0 || pg_path(data, e, "%s/data", dir) != 0)
        return -1;
    bool known = read_record(env, k);
    if (known && same_process(k, data)) {
        if (pg_socket_answers(k->socket_dir))
            return 1;
        err_set(e, "pg_start", "the kept server (process %d) does not answer on %s", (int)k->pid, k->socket_dir);
        return err_fix(e, "gate-engine platform stop");
    }
    if (!known && !fs_exists(dir))
        return 0;
    pid_t other = pg_postmaster(dir, NULL, NULL);
    if (other > 0 && pg_start_time(other) != 0 && pg_runs_in(other, data)) {
        err_set(e, "pg_foreign", "a PostgreSQL (process %d) which gate-engine does not know runs on %s", (int)other,
                data);
        return err_fix(
            e, "stop it (`gate-engine platform stop` does), or set GATE_ENGINE_STATE to a directory of its own");
    }
    if (known)
        log_line(LOG_WARN,
                 "the kept server (process %d) is gone; what it left is removed. Start one again with: "
                 "gate-engine platform start",
                 (int)k->pid);
    return remove_kept(env, known ? k : NULL, e);
}

/* --- starting --------------------------------------------------------------------------------------------------- */

static int copy_into_place(const pg_env *env, const char *dir, err *e) {
    char tmp[PATH_MAX], data[PATH_MAX];
    if (pg_mkdir_fresh(env, "tmp", tmp, e) != 0)
        return -1;
    int r = pg_path(data, e, "%s/data", tmp) != 0 ? -1 : pg_template_copy(env, data, false, e);
    if (r == 0 && rename(tmp, dir) != 0) {
        err_errno(e, "pg_state", "cannot create %s", dir);
        r = pg_state_error(env, e);
    }
    err ignored;
    if (r != 0)
        fs_remove_tree(tmp, &ignored);
    return r;
}

static int serve_kept(const pg_env *env, const char *dir, pg_kept *k, err *e) {
    pg_serve_args server = {.dir = dir, .socket_dir = k->socket_dir, .durable = true, .daemon = true};
    pg_child c;
    if (pg_serve_spawn(env, &server, &c, e) != 0)
        return -1;
    k->pid = c.pid;
    k->start_time = pg_start_time(c.pid);
    boot_id(k->boot_id);
    /* Before it is ready: whoever comes next must know of it even if we are killed now. */
    if (write_record(env, k, e) != 0) {
        pg_child_end(&c, SIGQUIT, END_MS);
        return -1;
    }
    if (pg_serve_ready(env, &server, &c, e) != 0)
        return -1;
    if (c.pidfd >= 0)
        close(c.pidfd);
    return 0;
}

int pg_kept_start(pg_env *env, pg_kept *k, const char *socket_dir, err *e) {
    char dir[PATH_MAX];
    memset(k, 0, sizeof *k);
    pg_template_version(env, k->version, sizeof k->version);
    memcpy(k->key, env->key, sizeof k->key);
    if (kept_dir(env, dir, e) != 0 || copy_into_place(env, dir, e) != 0)
        return -1;
    int r = socket_dir ? pg_socket_again(env, dir, socket_dir, e) : pg_socket_make(env, dir, k->socket_dir, e);
    if (socket_dir)
        snprintf(k->socket_dir, sizeof k->socket_dir, "%s", socket_dir);
    if (r == 0)
        r = serve_kept(env, dir, k, e);
    err ignored;
    if (r != 0)
        remove_kept(env, k, &ignored);
    return r;
}

/* --- what the platform verbs ask -------------------------------------------------------------------------------- */

static int open_locked(pg_env *env, const pg_options *o, err *e) {
    if (pg_env_open(env, o, e) != 0 || pg_env_lock(env, LOCK_EX, e) != 0) {
        pg_env_close(env);
        return -1;
    }
    return 0;
}

int pg_kept_look(const pg_options *o, pg_kept_status *st, err *e) {
    pg_env env;
    pg_kept k;
    memset(st, 0, sizeof *st);
    if (open_locked(&env, o, e) != 0)
        return -1;
    int r = pg_kept_find(&env, &k, e);
    if (r == 1) {
        st->running = true;
        st->pid = k.pid;
        snprintf(st->socket_dir, sizeof st->socket_dir, "%s", k.socket_dir);
        snprintf(st->version, sizeof st->version, "%s", k.version);
        st->other_template = strcmp(k.key, env.key) != 0;
    }
    pg_env_close(&env);
    return r < 0 ? -1 : 0;
}

/* Ends it, whatever state it is in. Returns 1 when there was one. Its directory is removed. */
static int end_kept(pg_env *env, pg_kept *k, err *e) {
    err found;
    int r = pg_kept_find(env, k, &found);
    if (r == 0)
        return 0;
    /* Not known or not answering: on our directory it runs, so it is stopped all the same. */
    return remove_kept(env, k, e) == 0 ? 1 : -1;
}

int pg_kept_stop(const pg_options *o, err *e) {
    pg_env env;
    pg_kept k;
    if (open_locked(&env, o, e) != 0)
        return -1;
    int r = end_kept(&env, &k, e);
    pg_env_close(&env);
    return r;
}

int pg_kept_reset(const pg_options *o, err *e) {
    pg_env env;
    pg_kept k, fresh;
    if (open_locked(&env, o, e) != 0)
        return -1;
    /* The template first: if it cannot be made the old server stays. */
    int r = pg_template_make(&env, e);
    if (r == 0)
        r = end_kept(&env, &k, e);
    if (r == 1 && pg_kept_start(&env, &fresh, k.socket_dir[0] ? k.socket_dir : NULL, e) != 0)
        r = -1;
    pg_env_close(&env);
    return r;
}
