#include "base/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define HEAD 8
#define READ_AT_ONCE 65536

static void put_u32(unsigned char *at, uint32_t v) {
    at[0] = (unsigned char)(v >> 24);
    at[1] = (unsigned char)(v >> 16);
    at[2] = (unsigned char)(v >> 8);
    at[3] = (unsigned char)v;
}

static uint32_t get_u32(const char *at) {
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int append_chunk(const char *bytes, size_t n, void *to) {
    return buf_append(to, bytes, n);
}

int frame_put(buf *out, const json_t *message, const void *payload, size_t n, err *e) {
    if (n > FRAME_PAYLOAD_MAX) {
        return err_set(e, "frame_too_large", "a message's payload has %zu bytes; at most %u are sent", n,
                       FRAME_PAYLOAD_MAX);
    }
    /* Aside first: the length stands before the text, and a failure must leave `out` as it was. */
    buf text = {.limit = FRAME_JSON_MAX};
    size_t lost = mem_lost();
    int rc = -1;
    if (json_dump_callback(message, append_chunk, &text, JSON_COMPACT) != 0) {
        if (mem_lost() != lost) {
            err_set(e, "out_of_memory", "out of memory while writing a message");
        } else if (text.failed) {
            err_set(e, "frame_too_large", "a message has more than %u bytes of JSON", FRAME_JSON_MAX);
        } else {
            err_set(e, "frame_broken", "a message cannot be written as JSON");
        }
    } else if (buf_reserve(out, HEAD + text.len + n) == NULL) {
        err_set(e, "out_of_memory", "out of memory while writing a message");
    } else {
        unsigned char head[HEAD];
        put_u32(head, (uint32_t)text.len);
        put_u32(head + 4, (uint32_t)n);
        buf_append(out, head, HEAD); /* these three cannot fail: the room is there */
        buf_append(out, text.data, text.len);
        rc = buf_append(out, payload, n);
    }
    buf_free(&text);
    return rc;
}

/* 1 when in holds a whole frame, 0 when not yet, -1 when its lengths cannot be right. */
static int frame_size(const buf *in, uint32_t *json_len, uint32_t *payload_len, err *e) {
    if (in->len < HEAD) {
        return 0;
    }
    *json_len = get_u32(in->data);
    *payload_len = get_u32(in->data + 4);
    if (*json_len == 0 || *json_len > FRAME_JSON_MAX || *payload_len > FRAME_PAYLOAD_MAX) {
        return err_set(e, "frame_broken", "a message announces %u bytes of JSON and %u of payload; at most %u and %u",
                       *json_len, *payload_len, FRAME_JSON_MAX, FRAME_PAYLOAD_MAX);
    }
    return in->len - HEAD >= (size_t)*json_len + *payload_len;
}

/* At most this many values stand in the text: every one but the first follows a bracket or a comma. A colon follows a
 * key, which is counted with its value. */
static size_t count_values(const char *s, size_t n) {
    size_t count = 1;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && s[i] == '\\') {
            i++;
        } else if (s[i] == '"') {
            quoted = !quoted;
        } else if (!quoted) {
            count += s[i] == ',' || s[i] == '[' || s[i] == '{' ? 1 : 0;
        }
    }
    return count;
}

int frame_take(buf *in, json_t **message, buf *payload, err *e) {
    uint32_t json_len = 0;
    uint32_t payload_len = 0;
    int whole = frame_size(in, &json_len, &payload_len, e);
    if (whole != 1) {
        return whole;
    }
    if (payload_len > 0 && payload == NULL) {
        return err_set(e, "frame_broken", "a message has a payload of %u bytes where none is expected", payload_len);
    }
    if (count_values(in->data + HEAD, json_len) > FRAME_VALUES_MAX) {
        return err_set(e, "frame_too_large", "a message has more than %d values", FRAME_VALUES_MAX);
    }
    json_error_t why;
    size_t lost = mem_lost();
    json_t *value = mem_json(in->data + HEAD, json_len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (value == NULL) {
        return mem_lost() != lost ? err_set(e, "out_of_memory", "out of memory while reading a message")
                                  : err_set(e, "frame_broken", "a message is not JSON: %s", why.text);
    }
    if (!json_is_object(value)) {
        json_decref(value);
        return err_set(e, "frame_broken", "a message is not a JSON object");
    }
    if (payload_len > 0 && buf_append(payload, in->data + HEAD + json_len, payload_len) != 0) {
        json_decref(value);
        return err_set(e, "out_of_memory", "out of memory while reading a message's payload");
    }
    buf_consume(in, (size_t)HEAD + json_len + payload_len);
    *message = value;
    return 1;
}

/* Waits until a descriptor that does not block is ready. */
static int wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    int rc;
    do {
        rc = poll(&p, 1, -1);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -1 : 0;
}

int frame_write(int fd, const json_t *message, const void *payload, size_t n, err *e) {
    buf out = BUF_INIT;
    int rc = frame_put(&out, message, payload, n, e);
    bool is_socket = true;
    for (size_t sent = 0; rc == 0 && sent < out.len;) {
        /* A peer that went away is an error to report, not a signal to die of. */
        ssize_t k = is_socket ? send(fd, out.data + sent, out.len - sent, MSG_NOSIGNAL)
                              : write(fd, out.data + sent, out.len - sent);
        if (k >= 0) {
            sent += (size_t)k;
        } else if (errno == ENOTSOCK && is_socket) {
            is_socket = false;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            rc = wait_for(fd, POLLOUT);
        } else if (errno != EINTR) {
            rc = -1;
        }
        if (rc != 0) {
            err_errno(e, "frame_io", "a message cannot be sent");
        }
    }
    buf_free(&out);
    return rc == 0 ? 1 : -1;
}

int frame_read(int fd, buf *pending, json_t **message, buf *payload, err *e) {
    for (;;) {
        int rc = frame_take(pending, message, payload, e);
        if (rc != 0) {
            return rc;
        }
        char *at = buf_reserve(pending, READ_AT_ONCE);
        if (at == NULL) {
            return err_set(e, "out_of_memory", "out of memory while reading a message");
        }
        ssize_t k = read(fd, at, READ_AT_ONCE);
        if (k > 0) {
            pending->len += (size_t)k;
            pending->data[pending->len] = '\0';
        } else if (k == 0) {
            return pending->len == 0
                       ? 0
                       : err_set(e, "frame_broken", "a message ends early, after %zu bytes", pending->len);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (wait_for(fd, POLLIN) != 0) {
                return err_errno(e, "frame_io", "a message cannot be read");
            }
        } else if (errno != EINTR) {
            return err_errno(e, "frame_io", "a message cannot be read");
        }
    }
}
