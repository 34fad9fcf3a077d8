#include "run/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/child.h"
#include "run/signals.h"

#define PRINTED_MAX (1u << 20)
#define EVENTS_MAX 1000000
#define EVENT_BYTES_MAX (64u << 20)
#define REPLIES_MAX (256u << 20)
#define READS_AT_ONCE 16 /* then the other gates, deadlines and signals have their turn */
#define READS_AT_LAST 4096
#define IN_MAX (FRAME_JSON_MAX + FRAME_PAYLOAD_MAX + 16u)

/* One running worker. */
typedef struct slot {
    pool_task *task; /* NULL = free */
    size_t index;
    child c;
    int channel, printed;
    buf in, out;
    buf said; /* printed, and not shown yet: the start of a line */
    size_t printed_bytes, events, event_bytes;
    broker *broker;
    double started;
    int64_t deadline;
    json_int_t memory_peak, memory_used, memory_limit;
    bool dead; /* killed here for a reason that is in the book */
} slot;

typedef struct pool {
    pool_task *tasks;
    size_t n;
    slot *slots;
    size_t nslots;
    const pool_hooks *hooks;
} pool;

static void crash(slot *s, const err *why) {
    book_crash(s->task->book, why);
    s->dead = true;
    child_kill(&s->c);
}

static int start(pool *p, slot *s, size_t index, err *e) {
    pool_task *t = &p->tasks[index];
    int pair[2];
    int printed[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return err_errno(e, "system", "cannot make a socket pair");
    }
    if (pipe2(printed, O_CLOEXEC) != 0) {
        err_errno(e, "system", "cannot make a pipe");
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    *s = (slot){.task = t, .index = index, .c = {.pidfd = -1}, .channel = pair[0], .printed = printed[0]};
    s->in.limit = IN_MAX;
    s->broker = broker_new(&t->broker);
    s->started = clock_ms_exact();
    s->deadline = clock_ms() + (int64_t)(t->wall_s * 1000);
    t->started = true;
    child_spec spec = {.stdin_fd = -1,
                       .stdout_fd = printed[1],
                       .stderr_fd = printed[1],
                       .keep_fd = pair[1],
                       /* Beyond Lua's own cap: results of queries and bodies of replies are held outside of it. */
                       .limits = {.address_space = 4 * (uint64_t)t->worker.memory_bytes + (512u << 20),
                                  .cpu_s = t->cpu_s,
                                  .file_size = 1u << 30,
                                  .files = 256}};
    int side = s->broker == NULL ? err_set(e, "out_of_memory", "out of memory") : child_fork(&spec, &s->c, e);
    if (side == 1) {
        worker_main(&t->worker);
    }
    close(pair[1]);
    close(printed[1]);
    if (side != 0 || fcntl(s->channel, F_SETFL, O_NONBLOCK) != 0 || fcntl(s->printed, F_SETFL, O_NONBLOCK) != 0) {
        fs_close(&s->channel);
        fs_close(&s->printed);
        broker_free(s->broker);
        child_kill(&s->c);
        child_reap(&s->c, NULL);
        s->task = NULL;
        return -1;
    }
    return 0;
}

/* --- what a worker sends --- */

static void show_open(pool *p, slot *s) {
    const char *open = book_open_check(s->task->book);
    if (p->hooks->changed != NULL && open != NULL) {
        p->hooks->changed(p->hooks->ctx, s->index, open);
    }
}

static bool asks_for_step(const json_t *event) {
    const char *op = json_string_value(json_object_get(event, "op"));
    return op != NULL && strcmp(op, "step") == 0 && json_is_integer(json_object_get(event, "id"));
}

/* A step begins when it is on record and its worker was told so, not before. */
static void answer_step(pool *p, slot *s, const json_t *request) {
    err why;
    err_clear(&why);
    bool granted = book_step(s->task->book, request, &why) == 0;
    broker_answer(&s->out, json_integer_value(json_object_get(request, "id")), granted ? NULL : &why);
    if (granted) {
        show_open(p, s);
    }
}

static void take_event(pool *p, slot *s, const json_t *event, const buf *payload) {
    const char *t = json_string_value(json_object_get(event, "t"));
    err e;
    err_clear(&e);
    int rc = 0;
    if (t != NULL && strcmp(t, "req") == 0 && asks_for_step(event)) {
        answer_step(p, s, event);
    } else if (t != NULL && strcmp(t, "req") == 0) {
        rc = broker_request(s->broker, event, payload, &s->out, &e);
    } else if (t != NULL && strcmp(t, "crash") == 0) {
        book_raised(s->task->book, json_object_get(event, "error"));
    } else if (t != NULL && strcmp(t, "say") == 0) {
        const char *text = json_string_value(json_object_get(event, "text"));
        if (p->hooks->said != NULL && text != NULL) {
            p->hooks->said(p->hooks->ctx, s->index, text);
        }
    } else if (t != NULL && strcmp(t, "progress") == 0) {
        const char *text = json_string_value(json_object_get(event, "text"));
        if (p->hooks->moved != NULL && text != NULL) {
            p->hooks->moved(p->hooks->ctx, s->index, text);
        }
    } else {
        rc = book_event(s->task->book, event, &e);
        if (t != NULL && strcmp(t, "done") == 0) {
            s->memory_peak = json_integer_value(json_object_get(event, "memory_peak"));
            s->memory_used = json_integer_value(json_object_get(event, "memory_used"));
            s->memory_limit = json_integer_value(json_object_get(event, "memory_limit"));
        } else if (t != NULL && strcmp(t, "check") == 0 && rc == 0) {
            show_open(p, s);
        }
    }
    if (rc != 0) {
        crash(s, &e);
    }
}

/* Everything a gate says is kept until its report: so much and no more. */
static int count_event(slot *s, const json_t *event, size_t bytes, err *e) {
    const char *t = json_string_value(json_object_get(event, "t"));
    if (t != NULL && strcmp(t, "req") == 0) {
        return s->out.len <= REPLIES_MAX ? 0 : err_set(e, "event_flood", "the gate asks and does not read the answers");
    }
    s->events++;
    s->event_bytes += bytes;
    if (s->events <= EVENTS_MAX && s->event_bytes <= EVENT_BYTES_MAX) {
        return 0;
    }
    err_set(e, "event_flood", "the gate sent more than %d events or %u MB of them", EVENTS_MAX, EVENT_BYTES_MAX >> 20);
    return err_fix(e, "report fewer findings, facts and log lines");
}

/* Takes what is there, in at most `reads` pieces: a worker that writes without end must not keep the others waiting. */
static void read_channel(pool *p, slot *s, int reads) {
    for (; reads > 0 && s->channel >= 0 && !s->dead; reads--) {
        char chunk[65536];
        ssize_t n = read(s->channel, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            fs_close(&s->channel);
            return;
        }
        err e;
        size_t lost = mem_lost();
        int rc = buf_append(&s->in, chunk, (size_t)n) == 0 ? 1
                 : mem_lost() != lost                      ? err_set(&e, "out_of_memory", "out of memory for a message")
                                                           : err_set(&e, "event_flood", "a message is too large");
        while (rc == 1 && !s->dead) {
            json_t *event = NULL;
            buf payload = BUF_INIT;
            size_t before = s->in.len;
            rc = frame_take(&s->in, &event, &payload, &e);
            if (rc == 1 && count_event(s, event, before - s->in.len, &e) != 0) {
                rc = -1;
            } else if (rc == 1) {
                take_event(p, s, event, &payload);
            }
            json_decref(event);
            buf_free(&payload);
        }
        if (rc < 0 && !s->dead) {
            crash(s, &e);
        }
    }
}

/* A line of the log for each printed line; masked before it is cut, since a secret may have several. */
static void show_printed(slot *s, size_t n) {
    buf masked = BUF_INIT;
    if (n > 0 && log_mask(&masked, buf_str(&s->said), n) == 0) {
        for (size_t i = 0; i < masked.len; i++) {
            masked.data[i] = masked.data[i] == '\t' || masked.data[i] == '\0' ? ' ' : masked.data[i];
        }
        char *rest = masked.data;
        for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
            if (*line != '\0') {
                log_line(LOG_DEBUG, "%s: %s", s->task->id, line);
            }
        }
    }
    buf_free(&masked);
    buf_consume(&s->said, n);
}

static void take_printed(slot *s, const char *text, size_t n) {
    if (log_get_level() < LOG_DEBUG || buf_append(&s->said, text, n) != 0) {
        return;
    }
    const char *end = memrchr(s->said.data, '\n', s->said.len);
    show_printed(s, end != NULL ? (size_t)(end + 1 - s->said.data) : 0);
}

/* What a script prints, or a library writes to standard error: bounded, shown only when verbose. */
static void read_printed(slot *s) {
    while (s->printed >= 0) {
        char chunk[4096];
        ssize_t n = read(s->printed, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            fs_close(&s->printed);
            return;
        }
        s->printed_bytes += (size_t)n;
        if (s->printed_bytes > PRINTED_MAX) {
            err e;
            err_set(&e, "print_flood", "the script printed more than %u KB", PRINTED_MAX >> 10);
            crash(s, &e);
            fs_close(&s->printed);
            return;
        }
        take_printed(s, chunk, (size_t)n);
    }
}

static void write_channel(slot *s) {
    while (s->channel >= 0 && s->out.len > 0) {
        ssize_t n = send(s->channel, buf_str(&s->out), s->out.len, MSG_NOSIGNAL);
        if (n > 0) {
            buf_consume(&s->out, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else {
            return; /* full, or the worker is gone: its end says so */
        }
    }
}

/* --- the end of a worker --- */

/* A resource that only grows ends at its peak. */
static json_t *budget(double current, double peak, double limit) {
    return json_pack("{s:f, s:f, s:f}", "current", current, "peak", peak, "limit", limit);
}

static json_t *limits_of(const slot *s, const struct rusage *u, double duration_ms) {
    double cpu = (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e3 +
                 (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e3;
    return json_pack(
        "{s:{s:I, s:I, s:I}, s:o, s:o, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "memory_bytes",
        "current", s->memory_used, "peak", s->memory_peak, "limit", (json_int_t)s->task->worker.memory_bytes, "wall_ms",
        budget(duration_ms, duration_ms, s->task->wall_s * 1e3), "cpu_ms",
        budget(cpu, cpu, (double)s->task->cpu_s * 1e3), "printed_bytes", "current", (json_int_t)s->printed_bytes,
        "peak", (json_int_t)s->printed_bytes, "limit", (json_int_t)PRINTED_MAX, "events", "current",
        (json_int_t)s->events, "peak", (json_int_t)s->events, "limit", (json_int_t)EVENTS_MAX, "event_bytes", "current",
        (json_int_t)s->event_bytes, "peak", (json_int_t)s->event_bytes, "limit", (json_int_t)EVENT_BYTES_MAX);
}

static void explain_end(slot *s, int status) {
    book *b = s->task->book;
    const char *open = book_open_check(b);
    err e;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        err_set(&e, "gate_cpu", "the gate used more than its %llu s of processor time",
                (unsigned long long)s->task->cpu_s);
        err_fix(&e, "find out what it computes, or raise limits.cpu_s in the configuration");
    } else if (WIFSIGNALED(status)) {
        err_set(&e, "worker_crash", "the gate's process ended by signal %d (%s)", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) == MEM_EXIT) {
        err_set(&e, "gate_memory", "the gate's process ran out of memory");
    } else if (!book_done(b) || WEXITSTATUS(status) != 0) {
        err_set(&e, "worker_crash", "the gate's process ended early (exit %d)", WEXITSTATUS(status));
    } else {
        return;
    }
    if (open != NULL) {
        err_detail(&e, "the check \"%s\" was running", open);
    }
    book_crash(b, &e);
}

static void finish(pool *p, slot *s) {
    struct rusage usage = {0};
    int status = child_reap(&s->c, &usage);
    read_channel(p, s, READS_AT_LAST); /* its whole group is gone: what is left has an end */
    read_printed(s);
    show_printed(s, s->said.len);
    pool_task *t = s->task;
    t->duration_ms = clock_ms_exact() - s->started;
    t->finished = !t->interrupted;
    t->limits = limits_of(s, &usage, t->duration_ms);
    json_t *audits = broker_budgets(s->broker);
    (void)json_object_update(t->limits, audits);
    json_decref(audits);
    explain_end(s, status);
    t->taken = broker_taken(s->broker);
    if (!book_crashed(t->book)) {
        broker_ended(s->broker);
    }
    fs_close(&s->channel);
    fs_close(&s->printed);
    broker_free(s->broker);
    buf_free(&s->in);
    buf_free(&s->said);
    buf_free(&s->out);
    if (p->hooks->changed != NULL) {
        p->hooks->changed(p->hooks->ctx, s->index, NULL);
    }
    s->task = NULL;
}

static void check_deadline(slot *s, int64_t now) {
    if (s->dead || now < s->deadline) {
        return;
    }
    const char *open = book_open_check(s->task->book);
    err e;
    err_set(&e, "gate_timeout", "the gate did not end within %.3g s", s->task->wall_s);
    if (open != NULL) {
        err_detail(&e, "the check \"%s\" was running", open);
    }
    err_fix(&e, "find out what it waits for, or raise --timeout or limits.wall_s");
    crash(s, &e);
}

/* --- the loop --- */

static size_t running(const pool *p) {
    size_t n = 0;
    for (size_t i = 0; i < p->nslots; i++) {
        n += p->slots[i].task != NULL ? 1 : 0;
    }
    return n;
}

static bool one_alone(const pool *p) {
    for (size_t i = 0; i < p->nslots; i++) {
        if (p->slots[i].task != NULL && p->slots[i].task->alone) {
            return true;
        }
    }
    return false;
}

static void start_what_may(pool *p, size_t *next) {
    for (size_t i = 0; i < p->nslots && *next < p->n; i++) {
        if (p->slots[i].task != NULL) {
            continue;
        }
        if (one_alone(p) || (p->tasks[*next].alone && running(p) > 0)) {
            return;
        }
        err e;
        if (start(p, &p->slots[i], *next, &e) != 0) {
            book_crash(p->tasks[*next].book, &e);
        }
        (*next)++;
    }
}

static size_t gather(pool *p, struct pollfd *fds, int64_t *deadline) {
    size_t n = 0;
    fds[n++] = (struct pollfd){.fd = signals_fd(), .events = POLLIN};
    for (size_t i = 0; i < p->nslots; i++) {
        slot *s = &p->slots[i];
        if (s->task == NULL) {
            continue;
        }
        fds[n++] = (struct pollfd){.fd = s->c.pidfd, .events = POLLIN};
        if (s->channel >= 0 && !s->dead) {
            fds[n++] = (struct pollfd){.fd = s->channel, .events = (short)(POLLIN | (s->out.len > 0 ? POLLOUT : 0))};
        }
        if (s->printed >= 0) {
            fds[n++] = (struct pollfd){.fd = s->printed, .events = POLLIN};
        }
        n += broker_poll(s->broker, fds + n, BROKER_POLL_MAX);
        int64_t d = broker_deadline(s->broker);
        d = s->deadline < d ? s->deadline : d;
        *deadline = d < *deadline ? d : *deadline;
    }
    return n;
}

static void step(pool *p) {
    int64_t now = clock_ms();
    for (size_t i = 0; i < p->nslots; i++) {
        slot *s = &p->slots[i];
        if (s->task == NULL) {
            continue;
        }
        read_channel(p, s, READS_AT_ONCE);
        read_printed(s);
        broker_step(s->broker, &s->out);
        write_channel(s);
        if (s->out.failed && !s->dead) {
            err e;
            err_set(&e, "out_of_memory", "out of memory for an answer to the gate");
            crash(s, &e);
        }
        struct pollfd ended = {.fd = s->c.pidfd, .events = POLLIN};
        if (poll(&ended, 1, 0) > 0) {
            finish(p, s);
        } else {
            check_deadline(s, now);
        }
    }
}

static void interrupt(pool *p, size_t next) {
    err e;
    err_set(&e, "interrupted", "interrupted by signal %d before the gate came to its end", (int)signals_flag);
    for (size_t i = 0; i < p->nslots; i++) {
        slot *s = &p->slots[i];
        if (s->task != NULL) {
            s->task->interrupted = true;
            crash(s, &e);
            finish(p, s);
        }
    }
    for (size_t i = next; i < p->n; i++) {
        p->tasks[i].interrupted = true;
        book_crash(p->tasks[i].book, &e);
    }
}

int pool_run(pool_task *tasks, size_t n, int jobs, const pool_hooks *hooks, err *e) {
    static const pool_hooks NONE = {0};
    pool p = {.tasks = tasks, .n = n, .hooks = hooks != NULL ? hooks : &NONE};
    p.nslots = jobs < 1 ? 1 : jobs > 64 ? 64 : (size_t)jobs;
    p.slots = calloc(p.nslots, sizeof *p.slots);
    struct pollfd *fds = calloc(1 + p.nslots * (3 + BROKER_POLL_MAX), sizeof *fds);
    if (p.slots == NULL || fds == NULL) {
        free(p.slots);
        free(fds);
        return err_set(e, "out_of_memory", "out of memory");
    }
    size_t next = 0;
    while (next < n || running(&p) > 0) {
        if (signals_flag != 0) {
            interrupt(&p, next);
            break;
        }
        start_what_may(&p, &next);
        if (running(&p) == 0) {
            continue;
        }
        int64_t deadline = INT64_MAX;
        size_t count = gather(&p, fds, &deadline);
        int64_t left = deadline == INT64_MAX ? INT_MAX : deadline - clock_ms();
        (void)poll(fds, count, left < 0 ? 0 : left > INT_MAX - 1 ? -1 : (int)left + 1);
        step(&p);
    }
    free(p.slots);
    free(fds);
    return 0;
}
