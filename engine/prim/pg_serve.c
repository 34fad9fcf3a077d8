/* pg_serve.c: one PostgreSQL server on one data directory, and its socket's directory. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "prim/pg_internal.h"

#define READY_TIMEOUT_MS 60000
#define READY_SLICE_MS 50 /* also the pace where inotify is not to be had */
#define END_MS 5000
#define SERVER_PATHS_MAX 24
#define SOCKET_PREFIX "gate-engine-"
#define SOCKET_RANDOM 10

/* --- postmaster.pid --------------------------------------------------------------------------------------------- */

pid_t pg_postmaster(const char *dir, bool *ready, int *shmid) {
    /* Lines (src/include/utils/pidfile.h): pid, data directory, start time, port, socket directory, listen address,
     * shared memory key and id, status. */
    char path[PATH_MAX], text[2 * PATH_MAX];
    err ignored;
    if (ready)
        *ready = false;
    if (shmid)
        *shmid = -1;
    if (pg_path(path, &ignored, "%s/data/postmaster.pid", dir) != 0)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    long pid = strtol(text, NULL, 10);
    char *line = text;
    for (int i = 1; line && i <= 8; i++) {
        char *next = strchr(line, '\n');
        unsigned long key;
        int id;
        if (i == 7 && shmid && sscanf(line, "%lu %d", &key, &id) == 2)
            *shmid = id;
        if (i == 8 && ready)
            *ready = strncmp(line, "ready", 5) == 0;
        line = next ? next + 1 : NULL;
    }
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

void pg_serve_clear(const char *dir) {
    char data[PATH_MAX];
    err ignored;
    int shmid;
    pid_t pid = pg_postmaster(dir, NULL, &shmid);
    if (pid <= 0 || pg_path(data, &ignored, "%s/data", dir) != 0)
        return;
    pg_child c;
    if (pg_child_adopt(&c, pid) == 0) {
        if (pg_runs_in(pid, data))
            pg_child_end(&c, SIGQUIT, END_MS);
        else if (c.pidfd >= 0)
            close(c.pidfd);
    }
    /* Killed outright it leaves its segment of 56 bytes; where a process of it is still attached, the last one's end
     * removes it. */
    struct shmid_ds ds;
    if (shmid >= 0 && shmctl(shmid, IPC_STAT, &ds) == 0 && ds.shm_cpid == pid)
        shmctl(shmid, IPC_RMID, NULL);
}

/* --- starting --------------------------------------------------------------------------------------------------- */

/* What a contained server is given beside its own directories: itself and its libraries, to read and to run. There is
 * no shell among them, which is what COPY … PROGRAM and archive commands start. */
static size_t server_paths(const pg_env *env, const pg_serve_args *a, ring_path *out) {
    static const char *const READ[] = {"/lib",
                                       "/lib64",
                                       "/usr/lib",
                                       "/usr/lib64",
                                       "/usr/share/postgresql",
                                       "/usr/share/zoneinfo",
                                       "/etc/ld.so.cache",
                                       "/etc/localtime",
                                       "/etc/passwd",
                                       "/etc/group",
                                       "/etc/nsswitch.conf",
                                       "/dev/urandom"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof READ / sizeof *READ; i++)
        out[n++] = (ring_path){READ[i], RING_READ};
    out[n++] = (ring_path){env->bin, RING_READ};
    out[n++] = (ring_path){"/dev/null", RING_WRITE};
    out[n++] = (ring_path){a->dir, RING_WRITE};
    out[n++] = (ring_path){a->socket_dir, RING_WRITE};
    return n;
}

int pg_serve_spawn(const pg_env *env, const pg_serve_args *a, pg_child *out, err *e) {
    char data[PATH_MAX], log[PATH_MAX];
    if (pg_path(data, e, "%s/data", a->dir) != 0 || pg_path(log, e, "%s/log", a->dir) != 0)
        return -1;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_errno(e, "pg_state", "cannot create %s", log);
        return pg_state_error(env, e);
    }
    const char *argv[] = {"postgres", "-D", data, "-k", a->socket_dir, "-p", "5432", "-c", "listen_addresses=", "-c",
                          "unix_socket_permissions=0700", "-c", "cluster_name=gate-engine", "-c", "max_connections=100",
                          "-c", "shared_buffers=32MB", "-c", "huge_pages=off", "-c", "jit=off", "-c", "ssl=off",
                          /* In the data directory, removed with it: a killed server leaves nothing in /dev/shm, which
                             may not be there. */
                          "-c", "dynamic_shared_memory_type=mmap", "-c", "logging_collector=off", "-c",
                          "log_destination=stderr",
                          /* A worker that was killed leaves its session behind: without this its statement would run
                             on, and hold its locks, until it has something to say. */
                          "-c", "client_connection_check_interval=1s",
                          /* A failing statement may hold a key: statements are not logged. */
                          "-c", "log_statement=none", "-c", "log_min_error_statement=panic", "-c", "log_timezone=UTC",
                          "-c", "synchronous_commit=off", "-c", "wal_level=minimal", "-c", "min_wal_size=2MB", "-c",
                          a->durable ? "wal_init_zero=on" : "wal_init_zero=off", "-c", "max_wal_senders=0", "-c",
                          "max_logical_replication_workers=0", "-c", a->durable ? "fsync=on" : "fsync=off", "-c",
                          a->durable ? "full_page_writes=on" : "full_page_writes=off", "-c",
                          a->durable ? "autovacuum=on" : "autovacuum=off", NULL};
    /* SIGQUIT is PostgreSQL's immediate shutdown: it takes its own children along. */
    pg_spawn_args s = {.argv = argv,
                       .cwd = data,
                       .stdin_fd = -1,
                       .out_fd = fd,
                       .death_signal = a->daemon ? 0 : SIGQUIT,
                       .daemon = a->daemon};
    ring_path paths[SERVER_PATHS_MAX];
    if (a->contained) {
        s.npaths = server_paths(env, a, paths);
        s.paths = paths;
    }
    int r = pg_spawn(env, &s, out, e);
    close(fd);
    return r;
}

static int start_error(const pg_env *env, const pg_serve_args *a, err *e) {
    char log[PATH_MAX];
    if (pg_path(log, e, "%s/log", a->dir) != 0)
        return -1;
    err_set(e, "pg_start", "the embedded PostgreSQL did not start (%s)", env->bin);
    if (pg_log_says(log, "lock file \"postmaster.pid\" already exists")) {
        pid_t other = pg_postmaster(a->dir, NULL, NULL);
        err_set(e, "pg_foreign", "another PostgreSQL (process %d) runs on %s/data", (int)other, a->dir);
        err_fix(e, "stop that server, or set GATE_ENGINE_STATE to a directory of its own");
    } else if (pg_log_says(log, strerror(ENOSPC))) {
        err_set(e, "pg_start", "the embedded PostgreSQL did not start: %s", strerror(ENOSPC));
        pg_state_error(env, e);
    } else {
        err_fix(e, "see the server's own words; GATE_ENGINE_STATE sets another directory for it");
    }
    pg_log_tail(log, e);
    return -1;
}

static int watch_data(const char *dir) {
    char data[PATH_MAX];
    err ignored;
    if (pg_path(data, &ignored, "%s/data", dir) != 0)
        return -1;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0 && inotify_add_watch(fd, data, IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int pg_serve_ready(const pg_env *env, const pg_serve_args *a, pg_child *c, err *e) {
    int watch = watch_data(a->dir), result = -1, status;
    int64_t deadline = clock_ms() + READY_TIMEOUT_MS;
    for (;;) {
        bool ready;
        if (pg_postmaster(a->dir, &ready, NULL) == c->pid && ready) {
            result = 0;
            break;
        }
        int ended = pg_child_wait(c, env, 0, &status);
        if (ended == 1) {
            start_error(env, a, e);
            break;
        }
        if (ended < 0 || clock_ms() > deadline) {
            if (ended < 0)
                pg_interrupted_error(env, e);
            else
                start_error(env, a, e);
            pg_child_end(c, SIGQUIT, END_MS);
            break;
        }
        if (pg_child_poll(c, watch, READY_SLICE_MS)) {
            char events[4096];
            while (read(watch, events, sizeof events) > 0) {
            }
        }
    }
    if (watch >= 0)
        close(watch);
    return result;
}

/* --- the socket's directory ------------------------------------------------------------------------------------- */

static int record_socket(const pg_env *env, const char *dir, const char *socket_dir, err *e) {
    char path[PATH_MAX];
    if (pg_path(path, e, "%s/socket", dir) != 0)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fs_write_all(fd, socket_dir, strlen(socket_dir)) != 0) {
        err_errno(e, "pg_state", "cannot write %s", path);
        if (fd >= 0)
            close(fd);
        return pg_state_error(env, e);
    }
    close(fd);
    return 0;
}

/* A name nobody has guessed beforehand, or an empty one where it would be too long. */
static void socket_name(const char *base, char out[PG_SOCKET_DIR_MAX + 1]) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char random[SOCKET_RANDOM];
    char name[SOCKET_RANDOM + 1] = "";
    out[0] = '\0';
    if (!base || base[0] != '/' || getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return;
    for (size_t i = 0; i < SOCKET_RANDOM; i++)
        name[i] = letters[random[i] % (sizeof letters - 1)];
    int n = snprintf(out, PG_SOCKET_DIR_MAX + 1, "%s/" SOCKET_PREFIX "%s", base, name);
    if (n < 0 || n > PG_SOCKET_DIR_MAX)
        out[0] = '\0';
}

int pg_socket_make(const pg_env *env, const char *dir, char out[PG_SOCKET_DIR_MAX + 1], err *e) {
    const char *places[] = {env->switch_user ? NULL : getenv("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/run",
                            "/dev/shm"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        socket_name(places[i], out);
        if (!out[0] || access(places[i], W_OK) != 0)
            continue;
        if (record_socket(env, dir, out, e) != 0)
            return -1;
        if (mkdir(out, 0700) != 0)
            continue;
        if (!env->switch_user || lchown(out, env->uid, env->gid) == 0)
            return 0;
        rmdir(out);
    }
    err_set(e, "pg_socket",
            "no directory for the embedded server's socket: none could be made in $XDG_RUNTIME_DIR, /tmp, /var/tmp, "
            "/run or /dev/shm");
    return err_fix(e, "make /tmp writable (chmod 1777 /tmp) or free space there");
}

int pg_socket_again(const pg_env *env, const char *dir, const char *socket_dir, err *e) {
    if (record_socket(env, dir, socket_dir, e) != 0)
        return -1;
    if (mkdir(socket_dir, 0700) != 0 || (env->switch_user && lchown(socket_dir, env->uid, env->gid) != 0)) {
        err_errno(e, "pg_socket", "cannot create %s", socket_dir);
        return err_fix(e, "gate-engine platform stop, then start");
    }
    return 0;
}

void pg_socket_remove(const pg_env *env, const char *socket_dir) {
    struct stat st;
    err e;
    const char *name = strrchr(socket_dir, '/');
    /* The name was read from a file: remove nothing but what looks like one of ours. */
    if (!name || strncmp(name + 1, SOCKET_PREFIX, strlen(SOCKET_PREFIX)) != 0 ||
        strlen(name + 1) != strlen(SOCKET_PREFIX) + SOCKET_RANDOM || lstat(socket_dir, &st) != 0 ||
        !S_ISDIR(st.st_mode) || st.st_uid != env->uid)
        return;
    fs_remove_tree(socket_dir, &e);
}

bool pg_socket_answers(const char *socket_dir) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/.s.PGSQL.%d", socket_dir, PG_PORT);
    if (n < 0 || n >= (int)sizeof to.sun_path)
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    /* A full backlog is EAGAIN: somebody listens. */
    bool ok = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EAGAIN || errno == EINPROGRESS;
    close(fd);
    return ok;
}
