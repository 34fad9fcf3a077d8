/* Both ends of the channel between a worker and the supervisor: replies as a worker reads them, requests as the broker
 * does. The input: a byte that says which, then JSON texts, one a line, each followed by a payload of some bytes; and
 * the bytes as they are. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/frame.h"
#include "prim/exec_channel.h"
#include "promise.h"
#include "run/broker.h"

/* Every line that is an object becomes a frame; what is none goes on the wire as it stands. */
static void to_wire(const char *text, size_t n, buf *wire) {
    while (n > 0) {
        err e;
        const char *end = memchr(text, '\n', n);
        size_t len = end != NULL ? (size_t)(end - text) : n;
        json_t *message = canon_parse(text, len, &e);
        if (json_is_object(message)) {
            PROMISE(frame_put(wire, message, text, len % 5, &e) == 0);
        } else {
            PROMISE(buf_append(wire, text, len) == 0);
        }
        json_decref(message);
        n -= end != NULL ? len + 1 : len;
        text += end != NULL ? len + 1 : len;
    }
}

static void replies(const buf *wire) {
    int pair[2];
    err e;
    exec_call calls[3] = {0};
    PROMISE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    exec_channel *c = exec_channel_open(pair[0], &e);
    PROMISE(c != NULL);
    for (size_t i = 0; i < 3; i++) {
        json_t *request = json_pack("{s:s}", "op", "exec");
        PROMISE(exec_channel_call(c, &calls[i], request, NULL, 0, &e) == 0);
        json_decref(request);
    }
    ssize_t sent = send(pair[1], buf_str(wire), wire->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    PROMISE(sent == (ssize_t)wire->len);
    close(pair[1]);
    PROMISE(exec_channel_pump(c, &e) == -1); /* it ends with the end of the stream, if not before */
    PROMISE(strcmp(e.code, "channel_lost") == 0 || strcmp(e.code, "channel_protocol") == 0);
    for (size_t i = 0; i < 3; i++) {
        PROMISE(calls[i].done && (calls[i].reply != NULL) == (calls[i].error.code[0] == '\0'));
        exec_call_end(&calls[i]);
        exec_call_end(&calls[i]);
    }
    exec_channel_close(c);
    close(pair[0]);
}

/* Nothing is declared, so whatever is asked for is refused, and each request has one reply. */
static void requests(buf *wire) {
    err e;
    json_t *none = json_array();
    json_t *commands = json_object();
    broker_options o = {.commands = commands, .audits = none, .hosts = none, .audit_program = "/nonexistent"};
    broker *b = broker_new(&o);
    buf out = BUF_INIT;
    buf payload = BUF_INIT;
    json_t *message = NULL;
    PROMISE(b != NULL);
    while (frame_take(wire, &message, &payload, &e) == 1) {
        size_t before = out.len;
        int rc = broker_request(b, message, &payload, &out, &e);
        json_decref(message);
        PROMISE((rc == 0) == (out.len > before));
        buf_free(&payload);
    }
    broker_step(b, &out);
    while (frame_take(&out, &message, NULL, &e) == 1) {
        PROMISE(json_is_false(json_object_get(message, "ok")) && json_is_object(json_object_get(message, "error")));
        json_decref(message);
    }
    PROMISE(out.len == 0);
    buf_free(&payload);
    buf_free(&out);
    broker_free(b);
    json_decref(commands);
    json_decref(none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 1) {
        return 0;
    }
    buf wire = BUF_INIT;
    to_wire((const char *)data + 1, n - 1, &wire);
    if (data[0] % 2 == 0) {
        replies(&wire);
    } else {
        requests(&wire);
    }
    buf_free(&wire);
    return 0;
}
