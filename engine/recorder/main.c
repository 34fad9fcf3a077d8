/* gate-recorder: stands between an application and its database, passes everything on, and records what is executed.
 *
 * In (standard input): one frame, {"listen": {"host", "port"} or {"path"}, "upstream": {"host", "port", "sslmode"?,
 * "sslrootcert"?}, "header": {…}}; later perhaps a second, {"exit": n}, how the recorded command ended. The end of the
 * input, or SIGTERM, ends the recording. Descriptor 3 is the file.
 * Out (standard output): a frame {"t": "ready", "port"} once clients may come, and {"t": "end", …} with what the
 * recording's last line says. What is wrong is {"t": "error", "error"}. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err_json.h"
#include "base/frame.h"
#include "base/fs.h"
#include "base/log.h"
#include "prim/ring.h"
#include "recorder/relay.h"

#define FILE_FD 3
#define CLIENTS_MAX 2000
#define OWN_FILES 32 /* descriptors that are no client's, amply */
#define BACKLOG 128
#define TAKE_MAX 64

typedef struct recorder {
    upstream up;
    recording *out;
    pollset set;
    int listener, signals;
    relay **by_fd;              /* owned; of both descriptors of each relay */
    size_t nfds, clients, most; /* most: clients for which there are descriptors, two each */
    buf in;                     /* of standard input */
} recorder;

static void say(json_t *message) {
    err ignored;
    if (message != NULL) {
        (void)frame_write(1, message, NULL, 0, &ignored);
        json_decref(message);
    }
}

/* ---- where clients come in ---- */

static int listen_unix(const char *path, err *e) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (snprintf(at.sun_path, sizeof at.sun_path, "%s", path) >= (int)sizeof at.sun_path) {
        return err_set(e, "recorder_listen", "the socket's path is longer than %zu bytes: %s", sizeof at.sun_path - 1,
                       path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* A socket that nobody listens on any more is left over from a recorder that was killed. */
    struct stat st;
    if (fd >= 0 && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
        connect(fd, (const struct sockaddr *)&at, sizeof at) != 0 && errno == ECONNREFUSED) {
        (void)unlink(path);
    }
    mode_t old = umask(077);
    int rc = fd >= 0 ? bind(fd, (const struct sockaddr *)&at, sizeof at) : -1;
    umask(old);
    if (rc != 0 || listen(fd, BACKLOG) != 0) {
        err_errno(e, "recorder_listen", "cannot listen on %s", path);
        fs_close(&fd);
        return -1;
    }
    return fd;
}

static int listen_tcp(const char *host, int port, err *e) {
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) {
        return err_set(e, "recorder_listen", "cannot listen on %s: %s", host, gai_strerror(rc));
    }
    int on = 1;
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, list->ai_addr, list->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        err_errno(e, "recorder_listen", "cannot listen on %s port %d", host, port);
        fs_close(&fd);
    }
    freeaddrinfo(list);
    return fd;
}

static int bound_port(int fd) {
    struct sockaddr_storage at;
    socklen_t n = sizeof at;
    char port[8];
    if (getsockname(fd, (struct sockaddr *)&at, &n) != 0 || at.ss_family == AF_UNIX ||
        getnameinfo((struct sockaddr *)&at, n, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0) {
        return 0;
    }
    return atoi(port);
}

static int open_listener(recorder *r, const json_t *job, err *e) {
    const json_t *listen_on = json_object_get(job, "listen");
    const char *path = json_string_value(json_object_get(listen_on, "path"));
    const char *host = json_string_value(json_object_get(listen_on, "host"));
    r->listener = path != NULL   ? listen_unix(path, e)
                  : host != NULL ? listen_tcp(host, (int)json_integer_value(json_object_get(listen_on, "port")), e)
                                 : err_set(e, "recorder_config", "no address to listen on");
    return r->listener >= 0 ? 0 : -1;
}

/* ---- opening ---- */

static int open_signals(recorder *r, err *e) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || (r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        return err_errno(e, "recorder_config", "cannot wait for signals");
    }
    return 0;
}

static int open_upstream(recorder *r, const json_t *job, err *e) {
    const json_t *up = json_object_get(job, "upstream");
    const char *host = json_string_value(json_object_get(up, "host"));
    return host == NULL ? err_set(e, "recorder_config", "no database to pass on to")
                        : upstream_open(&r->up, host, (int)json_integer_value(json_object_get(up, "port")),
                                        json_string_value(json_object_get(up, "sslmode")),
                                        json_string_value(json_object_get(up, "sslrootcert")), e);
}

static int open_table(recorder *r, err *e) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return err_errno(e, "recorder_config", "cannot ask for the limit of descriptors");
    }
    files.rlim_cur = files.rlim_max < 2 * CLIENTS_MAX + OWN_FILES ? files.rlim_max : 2 * CLIENTS_MAX + OWN_FILES;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    r->nfds = (size_t)files.rlim_cur;
    r->most = r->nfds > OWN_FILES + 2 ? (r->nfds - OWN_FILES) / 2 : 1;
    r->by_fd = calloc(r->nfds, sizeof *r->by_fd);
    return r->by_fd != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
}

/* From here on nothing is opened any more but connections to the database. */
static int enter_ring(const recorder *r, err *e) {
    bool tcp = r->up.name[0] != '/';
    uint16_t port = r->up.port;
    ring_status active;
    ring_options o = {.profile = RING_RELAY, .tcp_ports = &port, .nports = tcp ? 1 : 0};
    return ring_enter(&o, &active, e);
}

static int open_all(recorder *r, const json_t *job, err *e) {
    if (open_signals(r, e) != 0 || open_upstream(r, job, e) != 0 || open_table(r, e) != 0 ||
        open_listener(r, job, e) != 0 || pollset_open(&r->set, e) != 0) {
        return -1;
    }
    int flags = fcntl(0, F_GETFL);
    if (flags < 0 || fcntl(0, F_SETFL, flags | O_NONBLOCK) != 0 || pollset_watch(&r->set, 0, POLLIN) != 0 ||
        pollset_watch(&r->set, r->signals, POLLIN) != 0 || pollset_watch(&r->set, r->listener, POLLIN) != 0) {
        return err_errno(e, "recorder_config", "cannot wait for clients");
    }
    r->out = recording_new(FILE_FD, json_object_get(job, "header"), e);
    return r->out != NULL ? enter_ring(r, e) : -1;
}

/* ---- clients ---- */

static void note(recorder *r, int fd, relay *who) {
    if (fd >= 0 && (size_t)fd < r->nfds) {
        r->by_fd[fd] = who;
    }
}

static void end_client(recorder *r, relay *c) {
    note(r, c->client.fd, NULL);
    note(r, c->server.fd, NULL);
    relay_free(c, &r->set);
    r->clients--;
}

static void step_client(recorder *r, relay *c, void (*step)(relay *, pollset *)) {
    note(r, c->server.fd, NULL); /* it may be another afterwards */
    step(c, &r->set);
    note(r, c->server.fd, c);
    if (c->closing) {
        end_client(r, c);
    }
}

static void accept_clients(recorder *r) {
    for (;;) {
        int fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        relay *c = NULL;
        if (r->clients >= r->most || (size_t)fd >= r->nfds) {
            close(fd); /* taken all the same: one that stays in the queue would wake the loop for ever */
        } else {
            c = relay_new(fd, &r->up, r->out);
        }
        if (c == NULL) {
            log_line(LOG_WARN, "recorder: a client was turned away: %zu are connected", r->clients);
            continue;
        }
        r->clients++;
        note(r, fd, c);
        step_client(r, c, relay_step);
    }
}

/* Those that take too long to begin. Looked for once a second at most. */
static void expire(recorder *r, int64_t *last) {
    int64_t now = clock_ms();
    if (now - *last < 1000) {
        return;
    }
    *last = now;
    for (size_t fd = 0; fd < r->nfds; fd++) {
        relay *c = r->by_fd[fd];
        if (c != NULL && c->client.fd == (int)fd && c->deadline != 0 && c->deadline < now) {
            step_client(r, c, relay_expire);
        }
    }
}

/* ---- the loop ---- */

/* Why the recording is to end, or NULL. */
static const char *serve(recorder *r, const pollset_event *ready) {
    char bytes[512];
    if (ready->fd == 0) {
        ssize_t n = read(0, bytes, sizeof bytes);
        if (n > 0) {
            (void)buf_append(&r->in, bytes, (size_t)n);
        }
        return n == 0 ? "closed" : NULL;
    }
    if (ready->fd == r->signals) {
        return "signal";
    }
    if (ready->fd == r->listener) {
        accept_clients(r);
        return NULL;
    }
    relay *c = (size_t)ready->fd < r->nfds ? r->by_fd[ready->fd] : NULL;
    if (c != NULL) {
        step_client(r, c, relay_step);
    }
    return NULL;
}

static const char *run(recorder *r) {
    const char *reason = NULL;
    int64_t last = clock_ms();
    while (reason == NULL && recording_whole(r->out)) {
        struct pollfd p = {.fd = r->set.epoll, .events = POLLIN};
        (void)poll(&p, 1, r->clients > 0 ? 1000 : -1);
        pollset_event ready[TAKE_MAX];
        int n = pollset_take(&r->set, ready, TAKE_MAX);
        for (int i = 0; i < n && reason == NULL; i++) {
            reason = serve(r, &ready[i]);
        }
        expire(r, &last);
    }
    return reason;
}

static void close_all(recorder *r) {
    for (size_t fd = 0; r->by_fd != NULL && fd < r->nfds; fd++) {
        if (r->by_fd[fd] != NULL && r->by_fd[fd]->client.fd == (int)fd) {
            end_client(r, r->by_fd[fd]);
        }
    }
}

/* What was said of the command before the input ended; new reference, or NULL. */
static json_t *last_word(recorder *r) {
    json_t *word = NULL;
    err ignored;
    return frame_take(&r->in, &word, NULL, &ignored) == 1 ? word : NULL;
}

int main(void) {
    recorder r = {.listener = -1, .signals = -1, .set = POLLSET_INIT, .in = {.limit = 1u << 20}};
    json_t *job = NULL, *totals = NULL, *word = NULL;
    err e;
    int rc = frame_read(0, &r.in, &job, NULL, &e) == 1 ? open_all(&r, job, &e) : -1;
    if (rc == 0) {
        say(json_pack("{s:s, s:i}", "t", "ready", "port", bound_port(r.listener)));
        const char *reason = run(&r);
        close_all(&r);
        word = last_word(&r);
        rc = recording_end(r.out, reason != NULL ? reason : "failed", json_object_get(word, "exit"), &totals, &e);
    }
    say(rc == 0 ? totals : json_pack("{s:s, s:o}", "t", "error", "error", err_to_json(&e)));
    recording_free(r.out);
    upstream_close(&r.up);
    pollset_close(&r.set);
    fs_close(&r.listener);
    fs_close(&r.signals);
    free(r.by_fd);
    json_decref(job);
    json_decref(word);
    buf_free(&r.in);
    return rc == 0 ? 0 : 1;
}
