/* pg_spawn.c: starting PostgreSQL's programs as the right user, waiting for them, ending them. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "prim/pg_internal.h"

#define WAIT_SLICE_MS 100     /* how late an interruption is seen when its signal came just before poll */
#define BLIND_SLICE_MS 20     /* without a pidfd there is nothing to wait on */
#define LOG_TAIL 700          /* bytes of a log that an error shows */
#define LOG_READ (256 * 1024) /* bytes that are looked through for them */
#define ARGV_MAX 64

/* What the child says through the pipe when it does not get as far as exec; the pipe closes by itself when it does. */
typedef struct spawn_report {
    enum { STAGE_USER, STAGE_CWD, STAGE_FDS, STAGE_EXEC, STAGE_PARENT, STAGE_FORK, STAGE_RING } stage;
    int number; /* errno */
} spawn_report;

static int pidfd_open_(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void close_others(int keep) {
    /* close_range(2) with CLOSE_RANGE_CLOEXEC (4), or one by one on kernels before 5.11. */
    if (syscall(SYS_close_range, 3u, ~0u, 4u) == 0)
        return;
    long max = sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < (max > 0 && max < 65536 ? max : 65536); fd++)
        if (fd != keep)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void __attribute__((noreturn)) child_fails(int pipe_fd, int stage) {
    spawn_report r = {.number = errno};
    r.stage = stage;
    fs_write_all(pipe_fd, &r, sizeof r);
    _exit(127);
}

static void child_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_fds(const pg_spawn_args *a) {
    int in = a->stdin_fd >= 0 ? a->stdin_fd : open("/dev/null", O_RDONLY);
    return in < 0 || dup2(in, 0) < 0 || dup2(a->out_fd, 1) < 0 || dup2(a->out_fd, 2) < 0 ? -1 : 0;
}

/* argv[0] becomes the program's full path: PostgreSQL's programs find each other by it. */
static void __attribute__((noreturn))
child_runs(const pg_env *env, const pg_spawn_args *a, const char *program, pid_t parent, int pipe_fd) {
    const char *argv[ARGV_MAX + 1] = {program};
    static char *const environment[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC", NULL};
    child_signals();
    umask(077);
    if (child_fds(a) != 0)
        child_fails(pipe_fd, STAGE_FDS);
    close_others(pipe_fd);
    if (env->switch_user && (initgroups(env->user, env->gid) != 0 || setgid(env->gid) != 0 || setuid(env->uid) != 0))
        child_fails(pipe_fd, STAGE_USER);
    /* Only now: a change of credentials clears it (prctl(2)). And the parent may be gone already. */
    if (a->death_signal && (prctl(PR_SET_PDEATHSIG, a->death_signal) != 0 || getppid() != parent)) {
        errno = errno ? errno : ESRCH;
        child_fails(pipe_fd, STAGE_PARENT);
    }
    if (chdir(a->cwd) != 0)
        child_fails(pipe_fd, STAGE_CWD);
    size_t n = 1;
    while (a->argv[n] && n < ARGV_MAX) {
        argv[n] = a->argv[n];
        n++;
    }
    if (a->argv[n]) {
        errno = E2BIG;
        child_fails(pipe_fd, STAGE_EXEC);
    }
    ring_status active;
    err ignored;
    ring_options ring = {.profile = RING_SERVER, .paths = a->paths, .npaths = a->npaths};
    if (a->paths && ring_enter(&ring, &active, &ignored) != 0)
        child_fails(pipe_fd, STAGE_RING);
    execve(program, (char *const *)argv, environment);
    child_fails(pipe_fd, STAGE_EXEC);
}

static int spawn_error(const pg_env *env, const pg_spawn_args *a, const spawn_report *r, err *e) {
    switch (r->stage) {
    case STAGE_CWD:
        err_set(e, "pg_state", "the user %s cannot enter %s: %s", env->switch_user ? env->user : "running this", a->cwd,
                strerror(r->number));
        return err_fix(e, "set GATE_ENGINE_STATE to a directory which every user may pass through, like "
                          "/var/lib/gate-engine");
    case STAGE_USER:
        return err_set(e, "pg_user", "cannot become the user %s: %s", env->user, strerror(r->number));
    case STAGE_PARENT:
        return pg_interrupted_error(env, e);
    case STAGE_RING:
        return err_set(e, "pg_start", "the server for foreign SQL cannot be contained: %s", strerror(r->number));
    default:
        return err_set(e, "pg_start", "cannot start %s/%s: %s", env->bin, a->argv[0], strerror(r->number));
    }
}

/* Between the two forks of a daemon: says the daemon's id, then goes. */
static pid_t fork_daemon(int pipe_fd) {
    if (setsid() < 0)
        child_fails(pipe_fd, STAGE_FORK);
    pid_t pid = fork();
    if (pid < 0)
        child_fails(pipe_fd, STAGE_FORK);
    if (pid > 0)
        _exit(fs_write_all(pipe_fd, &pid, sizeof pid) == 0 ? 0 : 127);
    return 0;
}

static ssize_t read_full(int fd, void *into, size_t n) {
    size_t have = 0;
    while (have < n) {
        ssize_t r = read(fd, (char *)into + have, n - have);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        have += (size_t)r;
    }
    return (ssize_t)have;
}

/* Two pipes: the daemon's id, and the report. */
static int spawn_pipes(int ids[2], int reports[2], err *e) {
    if (pipe2(ids, O_CLOEXEC) != 0)
        return err_errno(e, "pg_start", "cannot create a pipe");
    if (pipe2(reports, O_CLOEXEC) != 0) {
        err_errno(e, "pg_start", "cannot create a pipe");
        close(ids[0]);
        close(ids[1]);
        return -1;
    }
    return 0;
}

int pg_spawn(const pg_env *env, const pg_spawn_args *a, pg_child *out, err *e) {
    char program[PATH_MAX];
    int ids[2], reports[2];
    *out = (pg_child){.pidfd = -1};
    if (pg_path(program, e, "%s/%s", env->bin, a->argv[0]) != 0 || spawn_pipes(ids, reports, e) != 0)
        return -1;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        if (a->daemon) {
            fork_daemon(ids[1]);
        } else {
            setsid();
        }
        child_runs(env, a, program, parent, reports[1]);
    }
    int fork_errno = errno;
    close(ids[1]);
    close(reports[1]);
    pid_t server = pid;
    spawn_report report;
    if (pid > 0 && a->daemon) {
        pid_t told;
        server = read_full(ids[0], &told, sizeof told) == (ssize_t)sizeof told ? told : -1;
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    bool failed = pid > 0 && read_full(reports[0], &report, sizeof report) == (ssize_t)sizeof report;
    close(ids[0]);
    close(reports[0]);
    if (pid < 0 || server < 0)
        return err_set(e, "pg_start", "cannot start a process: %s", strerror(pid < 0 ? fork_errno : EAGAIN));
    if (failed) {
        if (!a->daemon)
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
            }
        return spawn_error(env, a, &report, e);
    }
    out->pid = server;
    out->ours = !a->daemon;
    out->pidfd = pidfd_open_(server);
    return 0;
}

/* --- waiting and ending ----------------------------------------------------------------------------------------- */

int pg_child_adopt(pg_child *c, pid_t pid) {
    *c = (pg_child){.pid = pid, .pidfd = pidfd_open_(pid)};
    if (c->pidfd < 0 && kill(pid, 0) != 0 && errno == ESRCH) {
        c->pid = 0;
        return -1;
    }
    return 0;
}

static void forget(pg_child *c) {
    if (c->pidfd >= 0)
        close(c->pidfd);
    *c = (pg_child){.pidfd = -1};
}

/* 1 = ended and, where it is ours, reaped. */
static int has_ended(const pg_child *c, int *status) {
    if (c->ours) {
        pid_t r = waitpid(c->pid, status, WNOHANG);
        if (r < 0 && errno == ECHILD) { /* somebody else reaped it: how it ended is lost, so not well */
            *status = 127 << 8;
            return 1;
        }
        return r == c->pid;
    }
    return pg_start_time(c->pid) == 0;
}

int pg_child_poll(const pg_child *c, int extra_fd, int timeout_ms) {
    struct pollfd fds[2] = {{.fd = c->pidfd, .events = POLLIN}, {.fd = extra_fd, .events = POLLIN}};
    if (c->pidfd < 0 && timeout_ms > BLIND_SLICE_MS)
        timeout_ms = BLIND_SLICE_MS;
    int n = poll(fds, 2, timeout_ms);
    return n > 0 && (fds[1].revents & POLLIN);
}

static int wait_end(pg_child *c, const pg_env *env, int timeout_ms, int *status) {
    int64_t deadline = clock_ms() + timeout_ms;
    int st = 0;
    while (!has_ended(c, &st)) {
        int64_t left = deadline - clock_ms();
        if (env && pg_env_interrupted(env))
            return -1;
        if (left <= 0)
            return 0;
        pg_child_poll(c, -1, left < WAIT_SLICE_MS ? (int)left : WAIT_SLICE_MS);
    }
    if (status)
        *status = st;
    forget(c);
    return 1;
}

int pg_child_wait(pg_child *c, const pg_env *env, int timeout_ms, int *status) {
    return wait_end(c, env, timeout_ms, status);
}

void pg_child_signal(const pg_child *c, int sig) {
    if (c->pid <= 0)
        return;
    if (c->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
    else
        kill(c->pid, sig);
}

void pg_child_end(pg_child *c, int first, int grace_ms) {
    if (c->pid <= 0)
        return;
    pg_child_signal(c, first);
    if (wait_end(c, NULL, grace_ms, NULL) == 1)
        return;
    pg_child_signal(c, SIGKILL);
    if (wait_end(c, NULL, grace_ms, NULL) != 1) {
        log_line(LOG_WARN, "process %d of the embedded platform does not end", (int)c->pid);
        forget(c);
    }
}

int pg_run(const pg_env *env, const char *const *argv, const char *cwd, int stdin_fd, int out_fd, err *e) {
    pg_spawn_args a = {.argv = argv, .cwd = cwd, .stdin_fd = stdin_fd, .out_fd = out_fd, .death_signal = SIGKILL};
    pg_child c;
    int status = 0;
    if (pg_spawn(env, &a, &c, e) != 0)
        return -1;
    int r = pg_child_wait(&c, env, 120 * 1000, &status);
    if (r == 1)
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
    pg_child_end(&c, SIGTERM, 1000);
    if (r < 0)
        return pg_interrupted_error(env, e);
    return err_set(e, "pg_start", "%s/%s did not end within 120 s", env->bin, argv[0]);
}

/* --- what /proc and the log say --------------------------------------------------------------------------------- */

unsigned long long pg_start_time(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read_full(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    /* The name, field 2, may hold spaces and parentheses: count from the last ")". Field 3 is the state. */
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    p += 2;
    for (int field = 3; field < 22; field++) {
        p = strchr(p, ' ');
        if (!p)
            return 0;
        p++;
    }
    return strtoull(p, NULL, 10);
}

bool pg_runs_in(pid_t pid, const char *dir) {
    char link[64];
    struct stat a, b;
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    return stat(link, &a) == 0 && stat(dir, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The text of a log's last LOG_READ bytes, or an empty one. */
static void read_log(const char *path, buf *text) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END), from = size > LOG_READ ? size - LOG_READ : 0;
    char *room = size > 0 && lseek(fd, from, SEEK_SET) == from ? buf_reserve(text, (size_t)(size - from)) : NULL;
    if (room) {
        ssize_t n = read_full(fd, room, (size_t)(size - from));
        text->len += n > 0 ? (size_t)n : 0;
        text->data[text->len] = '\0';
    }
    close(fd);
}

bool pg_log_says(const char *path, const char *words) {
    buf text = BUF_INIT;
    read_log(path, &text);
    bool found = strstr(buf_str(&text), words) != NULL;
    buf_free(&text);
    return found;
}

/* The line of the last serious message, else as much of the end as fits. */
static const char *telling_part(const char *text, size_t n) {
    static const char *const marks[] = {"PANIC:", "FATAL:", "ERROR:", "error:"};
    const char *best = NULL;
    for (size_t i = 0; i < sizeof marks / sizeof *marks && !best; i++)
        for (const char *p = text; (p = strstr(p, marks[i])); p++)
            best = p;
    if (best) {
        while (best > text && best[-1] != '\n')
            best--;
        return best;
    }
    if (n <= LOG_TAIL)
        return text;
    const char *newline = strchr(text + n - LOG_TAIL, '\n');
    return newline ? newline + 1 : text + n - LOG_TAIL;
}

void pg_log_tail(const char *path, err *e) {
    buf text = BUF_INIT, clean = BUF_INIT;
    read_log(path, &text);
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0';
    const char *part = telling_part(buf_str(&text), text.len);
    /* The statement that failed is PostgreSQL's own or the migration's, and long. */
    const char *statement = strstr(part, "STATEMENT:");
    size_t n = statement ? (size_t)(statement - part) : strlen(part);
    if (statement)
        while (n > 0 && part[n - 1] != '\n')
            n--;
    while (n > 0 && part[n - 1] == '\n')
        n--;
    if (n > 0 && text_sanitise(&clean, part, n, LOG_TAIL, true) == 0)
        err_detail(e, "%s", buf_str(&clean));
    buf_free(&clean);
    buf_free(&text);
}
