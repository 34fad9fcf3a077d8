#include "prim/exec_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/pollset.h"

#define READ_STEP 65536u

struct exec_channel {
    int fd;
    pollset set;
    buf in;
    buf out;
    uint64_t written;
    uint64_t last_id;
    size_t uncollected; /* calls done and not ended */
    bool wants_write;   /* POLLOUT is watched */
    exec_call *calls;
    err lost; /* lost.code is empty while the channel works */
};

exec_channel *exec_channel_open(int fd, err *e) {
    int type = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) {
        err_errno(e, "channel_lost", "exec.attach: descriptor %d is no socket", fd);
        return NULL;
    }
    if (type != SOCK_STREAM) {
        err_set(e, "channel_lost", "exec.attach: descriptor %d is no stream socket", fd);
        return NULL;
    }
    exec_channel *c = calloc(1, sizeof *c);
    if (c == NULL) {
        err_set(e, "out_of_memory", "exec.attach: out of memory");
        return NULL;
    }
    c->in.limit = (size_t)FRAME_JSON_MAX + FRAME_PAYLOAD_MAX + 8 + READ_STEP;
    c->set = (pollset)POLLSET_INIT;
    c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (c->fd < 0) {
        err_errno(e, "channel_lost", "exec.attach: cannot duplicate descriptor %d", fd);
    } else if (pollset_open(&c->set, e) == 0) {
        if (pollset_watch(&c->set, c->fd, POLLIN) == 0) {
            return c;
        }
        err_errno(e, "poll_setup", "exec.attach: cannot watch descriptor %d", fd);
    }
    exec_channel_close(c);
    return NULL;
}

static void finish(exec_channel *c, exec_call *call) {
    call->done = true;
    call->counted = true;
    c->uncollected++;
    pollset_wake(&c->set, true);
}

static void unlink_call(exec_channel *c, exec_call *call) {
    for (exec_call **at = &c->calls; *at != NULL; at = &(*at)->next) {
        if (*at == call) {
            *at = call->next;
            break;
        }
    }
    call->next = NULL;
}

void exec_channel_lose(exec_channel *c, const err *why) {
    if (c->lost.code[0] == '\0') {
        c->lost = *why;
    }
    for (exec_call *call = c->calls; call != NULL; call = call->next) {
        if (!call->done) {
            call->error = c->lost;
            finish(c, call);
        }
    }
    pollset_watch(&c->set, c->fd, 0);
    buf_free(&c->out);
    buf_free(&c->in);
}

void exec_channel_close(exec_channel *c) {
    if (c == NULL) {
        return;
    }
    err why;
    err_set(&why, "channel_lost", "the channel to the broker was closed");
    exec_channel_lose(c, &why);
    while (c->calls != NULL) {
        exec_call *call = c->calls;
        unlink_call(c, call);
        call->channel = NULL;
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
    pollset_close(&c->set);
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}

int exec_channel_fd(const exec_channel *c) {
    return c->set.epoll;
}

bool exec_channel_flushed(const exec_channel *c) {
    return c->out.len == 0;
}

uint64_t exec_channel_written(const exec_channel *c) {
    return c->written;
}

static int lose_errno(exec_channel *c, err *e, const char *doing) {
    err_errno(e, "channel_lost", "the broker is gone (%s)", doing);
    exec_channel_lose(c, e);
    return -1;
}

/* The lost channel's error, for a call made after it. */
static int refuse_lost(const exec_channel *c, err *e) {
    *e = c->lost;
    return -1;
}

static int write_some(exec_channel *c, err *e) {
    size_t done = 0;
    while (done < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + done, c->out.len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n < 0) {
            return lose_errno(c, e, "while writing");
        }
        done += (size_t)n;
    }
    c->written += done;
    buf_consume(&c->out, done);
    bool wants = c->out.len > 0;
    if (wants != c->wants_write) {
        if (pollset_watch(&c->set, c->fd, wants ? POLLIN | POLLOUT : POLLIN) != 0) {
            return lose_errno(c, e, "while watching the socket");
        }
        c->wants_write = wants;
    }
    return 0;
}

int exec_channel_send(exec_channel *c, const json_t *message, const void *payload, size_t n, err *e) {
    if (c->lost.code[0] != '\0') {
        return refuse_lost(c, e);
    }
    /* Encoded aside, so that a refused frame leaves no half of it in the queue. */
    buf frame = BUF_INIT;
    if (frame_put(&frame, message, payload, n, e) != 0) {
        buf_free(&frame);
        return -1;
    }
    if (c->out.len > 0 && c->out.len + frame.len > EXEC_CHANNEL_QUEUE_MAX) {
        buf_free(&frame);
        return err_set(e, "channel_full", "%zu bytes wait to be written to the broker; it does not read", c->out.len);
    }
    int rc = 0;
    if (c->out.len == 0) {
        buf_free(&c->out);
        c->out = frame;
    } else {
        rc = buf_append(&c->out, frame.data, frame.len);
        buf_free(&frame);
    }
    if (rc != 0) {
        err_set(e, "channel_lost", "out of memory while writing to the broker");
        exec_channel_lose(c, e);
        return -1;
    }
    return write_some(c, e);
}

int exec_channel_call(exec_channel *c, exec_call *call, json_t *message, const void *payload, size_t n, err *e) {
    if (c->lost.code[0] != '\0') {
        return refuse_lost(c, e);
    }
    call->id = ++c->last_id;
    if (json_object_set_new(message, "t", json_string("req")) != 0 ||
        json_object_set_new(message, "id", json_integer((json_int_t)call->id)) != 0) {
        return err_set(e, "out_of_memory", "out of memory while making a request");
    }
    if (exec_channel_send(c, message, payload, n, e) != 0) {
        return -1;
    }
    call->channel = c;
    call->next = c->calls;
    c->calls = call;
    return 0;
}

static int protocol_error(exec_channel *c, err *e, const char *what) {
    err_set(e, "channel_protocol", "the broker sent %s", what);
    err_fix(e, "this is a defect of the engine: report it with the versions that `gate-engine version` prints");
    exec_channel_lose(c, e);
    return -1;
}

static void copy_text(const json_t *from, const char *key, char *to, size_t cap) {
    const char *s = json_string_value(json_object_get(from, key));
    if (s != NULL && s[0] != '\0') { /* an empty code would say that nothing failed */
        size_t n = strlen(s);
        n = n < cap - 1 ? n : cap - 1;
        while (n > 0 && s[n] != '\0' && ((unsigned char)s[n] & 0xC0) == 0x80) {
            n--;
        }
        memcpy(to, s, n);
        to[n] = '\0';
    }
}

/* Gives the reply to its call. message and payload are this function's to keep or to free. */
static int dispatch(exec_channel *c, json_t *message, buf *payload, err *e) {
    const json_t *id = json_object_get(message, "id");
    const json_t *ok = json_object_get(message, "ok");
    if (!json_is_integer(id) || !json_is_boolean(ok) || json_integer_value(id) < 1 ||
        (uint64_t)json_integer_value(id) > c->last_id) {
        json_decref(message);
        buf_free(payload);
        return protocol_error(c, e, "a message that answers no request");
    }
    exec_call *call = c->calls;
    while (call != NULL && (call->done || call->id != (uint64_t)json_integer_value(id))) {
        call = call->next;
    }
    if (call == NULL) { /* given up meanwhile */
        json_decref(message);
        buf_free(payload);
        return 0;
    }
    if (json_is_true(ok)) {
        call->reply = message;
        call->payload = *payload;
        *payload = (buf)BUF_INIT;
    } else {
        const json_t *error = json_object_get(message, "error");
        err_set(&call->error, "exec_failed", "the broker refused the request without a reason");
        copy_text(error, "code", call->error.code, sizeof call->error.code);
        copy_text(error, "message", call->error.message, sizeof call->error.message);
        copy_text(error, "detail", call->error.detail, sizeof call->error.detail);
        copy_text(error, "fix", call->error.fix, sizeof call->error.fix);
        json_decref(message);
        buf_free(payload);
    }
    finish(c, call);
    return 0;
}

static int take_frames(exec_channel *c, err *e) {
    for (;;) {
        json_t *message = NULL;
        buf payload = BUF_INIT;
        int rc = frame_take(&c->in, &message, &payload, e);
        if (rc <= 0) {
            buf_free(&payload);
            if (rc < 0) {
                return protocol_error(c, e, "a broken frame");
            }
            return 0;
        }
        if (dispatch(c, message, &payload, e) != 0) {
            return -1;
        }
    }
}

int exec_channel_pump(exec_channel *c, err *e) {
    if (c->lost.code[0] != '\0') {
        return refuse_lost(c, e);
    }
    if (write_some(c, e) != 0) {
        return -1;
    }
    for (;;) {
        char *at = buf_reserve(&c->in, READ_STEP);
        if (at == NULL) {
            return protocol_error(c, e, "a frame that does not fit in memory");
        }
        ssize_t n = recv(c->fd, at, READ_STEP, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return 0;
        }
        if (n < 0) {
            return lose_errno(c, e, "while reading");
        }
        if (n == 0) {
            err_set(e, "channel_lost", "the broker closed the channel%s", c->in.len > 0 ? " amid a message" : "");
            exec_channel_lose(c, e);
            return -1;
        }
        c->in.len += (size_t)n;
        c->in.data[c->in.len] = '\0';
        if (take_frames(c, e) != 0) {
            return -1;
        }
    }
}

void exec_call_end(exec_call *call) {
    exec_channel *c = call->channel;
    if (c != NULL) {
        unlink_call(c, call);
        if (call->counted && --c->uncollected == 0) {
            pollset_wake(&c->set, false);
        }
    }
    call->channel = NULL;
    call->counted = false;
    json_decref(call->reply);
    call->reply = NULL;
    buf_free(&call->payload);
}
