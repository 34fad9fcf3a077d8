/* Frames: what is put is taken, however the bytes arrive; what cannot be a frame is refused before memory is spent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

static json_t *message(void) {
    json_t *m = json_pack("{s:s, s:i, s:[f,n,b]}", "t", "finding", "id", 7, "list", 0.5, 1);
    assert_non_null(m);
    return m;
}

static void put_and_take(void **state) {
    (void)state;
    json_t *m = message();
    buf wire = BUF_INIT;
    err e;
    assert_int_equal(frame_put(&wire, m, "pay\0load", 8, &e), 0);
    assert_int_equal(frame_put(&wire, m, NULL, 0, &e), 0);
    assert_memory_equal(wire.data, "\0\0\0\x2d\0\0\0\x08", 8);
    /* Byte by byte: nothing before the last one. */
    buf in = BUF_INIT;
    int frames = 0;
    for (size_t i = 0; i < wire.len; i++) {
        json_t *got = NULL;
        buf payload = BUF_INIT;
        buf_append(&in, wire.data + i, 1);
        int rc = frame_take(&in, &got, &payload, &e);
        assert_true(rc >= 0);
        if (rc == 1) {
            assert_true(json_equal(got, m));
            assert_int_equal(payload.len, frames == 0 ? 8 : 0);
            assert_int_equal(in.len, 0);
            if (frames == 0) {
                assert_memory_equal(payload.data, "pay\0load", 8);
            }
            json_decref(got);
            frames++;
        }
        buf_free(&payload);
    }
    assert_int_equal(frames, 2);
    buf_free(&in);
    buf_free(&wire);
    json_decref(m);
}

static void texts_with_nul(void **state) {
    (void)state;
    json_t *m = json_object();
    json_object_set_new(m, "text", json_stringn("a\0b", 3));
    buf wire = BUF_INIT;
    json_t *got = NULL;
    err e;
    assert_int_equal(frame_put(&wire, m, NULL, 0, &e), 0);
    assert_int_equal(frame_take(&wire, &got, NULL, &e), 1);
    assert_int_equal(json_string_length(json_object_get(got, "text")), 3);
    json_decref(got);
    json_decref(m);
    buf_free(&wire);
}

static void assert_broken(const char *wire, size_t n, const char *message_text) {
    buf in = BUF_INIT;
    buf payload = BUF_INIT;
    json_t *got = NULL;
    err e;
    buf_append(&in, wire, n);
    assert_int_equal(frame_take(&in, &got, &payload, &e), -1);
    assert_string_equal(e.code, "frame_broken");
    assert_string_equal(e.message, message_text);
    assert_null(got);
    assert_int_equal(payload.len, 0);
    buf_free(&in);
    buf_free(&payload);
}

static void broken_frames(void **state) {
    (void)state;
    assert_broken("\0\0\0\0\0\0\0\0", 8,
                  "a message announces 0 bytes of JSON and 0 of payload; at most 16777216 and 67108864");
    assert_broken("\xff\xff\xff\xff\0\0\0\0", 8,
                  "a message announces 4294967295 bytes of JSON and 0 of payload; at most 16777216 and 67108864");
    assert_broken("\0\0\0\1\4\0\0\1", 8,
                  "a message announces 1 bytes of JSON and 67108865 of payload; at most 16777216 and 67108864");
    assert_broken("\0\0\0\2\0\0\0\0[]", 10, "a message is not a JSON object");
    assert_broken("\0\0\0\2\0\0\0\0{1", 10, "a message is not JSON: string or '}' expected near '1'");
    assert_broken("\0\0\0\x0d\0\0\0\0{\"a\":1,\"a\":1}", 21,
                  "a message is not JSON: duplicate object key near '\"a\"'");
    assert_broken("\0\0\0\3\0\0\0\0{}x", 11, "a message is not JSON: end of file expected near 'x'");
}

static void unwelcome_payload(void **state) {
    (void)state;
    json_t *m = message();
    buf wire = BUF_INIT;
    json_t *got = NULL;
    err e;
    assert_int_equal(frame_put(&wire, m, "x", 1, &e), 0);
    assert_int_equal(frame_take(&wire, &got, NULL, &e), -1);
    assert_string_equal(e.message, "a message has a payload of 1 bytes where none is expected");
    buf_free(&wire);
    json_decref(m);
}

static void too_large(void **state) {
    (void)state;
    char *text = malloc(FRAME_JSON_MAX + 1);
    assert_non_null(text);
    memset(text, 'x', FRAME_JSON_MAX + 1);
    json_t *m = json_object();
    json_object_set_new(m, "a", json_stringn_nocheck(text, FRAME_JSON_MAX - 8)); /* {"a":"…"} is one byte over */
    buf wire = BUF_INIT;
    err e;
    buf_puts(&wire, "before");
    assert_int_equal(frame_put(&wire, m, NULL, 0, &e), 0);
    wire.len = 6;
    json_object_set_new(m, "a", json_stringn_nocheck(text, FRAME_JSON_MAX - 7));
    assert_int_equal(frame_put(&wire, m, NULL, 0, &e), -1);
    assert_string_equal(e.code, "frame_too_large");
    assert_string_equal(e.message, "a message has more than 16777216 bytes of JSON");
    assert_int_equal(wire.len, 6);
    json_object_clear(m);
    assert_int_equal(frame_put(&wire, m, text, FRAME_PAYLOAD_MAX + 1u, &e), -1);
    assert_string_equal(e.code, "frame_too_large");
    assert_string_equal(e.message, "a message's payload has 67108865 bytes; at most 67108864 are sent");
    json_decref(m);
    buf_free(&wire);
    free(text);
}

static void full_buffer(void **state) {
    (void)state;
    json_t *m = message();
    buf wire = {.limit = 20};
    err e;
    assert_int_equal(frame_put(&wire, m, NULL, 0, &e), -1);
    assert_string_equal(e.code, "out_of_memory");
    assert_int_equal(wire.len, 0);
    buf_free(&wire);
    json_decref(m);
}

/* Writes frames in a child, so that neither side can wait for the other for ever. */
static pid_t writer(int fd, int keep, size_t payload) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(keep);
        char *bytes = calloc(1, payload + 1);
        json_t *m = json_pack("{s:i}", "id", 1);
        err e;
        int ok = frame_write(fd, m, bytes, payload, &e) == 1 && frame_write(fd, m, NULL, 0, &e) == 1;
        _exit(ok ? 0 : 1);
    }
    close(fd);
    return pid;
}

static void assert_stream(int out, int in) {
    pid_t pid = writer(out, in, 3000000);
    buf pending = BUF_INIT;
    buf payload = BUF_INIT;
    json_t *got = NULL;
    err e;
    assert_int_equal(frame_read(in, &pending, &got, &payload, &e), 1);
    assert_int_equal(payload.len, 3000000);
    json_decref(got);
    assert_int_equal(frame_read(in, &pending, &got, NULL, &e), 1);
    json_decref(got);
    assert_int_equal(frame_read(in, &pending, &got, NULL, &e), 0);
    buf_free(&pending);
    buf_free(&payload);
    close(in);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void over_descriptors(void **state) {
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_stream(fd[1], fd[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_stream(fd[1], fd[0]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    assert_stream(fd[1], fd[0]);
}

static void cut_short(void **state) {
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], "\0\0\0\2\0\0\0\0{", 9), 9);
    close(fd[1]);
    buf pending = BUF_INIT;
    json_t *got = NULL;
    err e;
    assert_int_equal(frame_read(fd[0], &pending, &got, NULL, &e), -1);
    assert_string_equal(e.code, "frame_broken");
    assert_string_equal(e.message, "a message ends early, after 9 bytes");
    buf_free(&pending);
    close(fd[0]);
}

static void no_reader(void **state) {
    (void)state;
    int fd[2];
    json_t *m = message();
    err e;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    close(fd[0]);
    assert_int_equal(frame_write(fd[1], m, NULL, 0, &e), -1); /* and no SIGPIPE, which would end this program */
    assert_string_equal(e.code, "frame_io");
    assert_string_equal(e.message, "a message cannot be sent: Broken pipe");
    close(fd[1]);
    buf pending = BUF_INIT;
    json_t *got = NULL;
    assert_int_equal(frame_read(fd[1], &pending, &got, NULL, &e), -1);
    assert_string_equal(e.message, "a message cannot be read: Bad file descriptor");
    buf_free(&pending);
    json_decref(m);
}

static void damaged_streams(void **state) {
    (void)state;
    json_t *m = message();
    uint64_t seed = 2463534242u;
    for (int i = 0; i < 20000; i++) {
        buf in = BUF_INIT;
        err e;
        frame_put(&in, m, "payload", 7, &e);
        frame_put(&in, m, NULL, 0, &e);
        for (int k = 0; k < 3; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            in.data[(seed >> 33) % in.len] ^= (char)(1 << (seed >> 60 & 7));
        }
        buf payload = BUF_INIT;
        json_t *got = NULL;
        int rc;
        while ((rc = frame_take(&in, &got, &payload, &e)) == 1) {
            json_decref(got);
        }
        assert_true(rc == 0 || strcmp(e.code, "frame_broken") == 0);
        buf_free(&payload);
        buf_free(&in);
    }
    json_decref(m);
}

/* A message of n empty lists, as bytes on the wire. */
static void put_lists(buf *wire, size_t n, const char *between) {
    buf text = BUF_INIT;
    buf_puts(&text, "{\"a\":[");
    for (size_t i = 0; i < n; i++) {
        buf_puts(&text, i > 0 ? between : "");
        buf_puts(&text, "[]");
    }
    buf_puts(&text, "]}");
    unsigned char head[8] = {(unsigned char)(text.len >> 24), (unsigned char)(text.len >> 16),
                             (unsigned char)(text.len >> 8), (unsigned char)text.len};
    assert_int_equal(buf_append(wire, (char *)head, sizeof head), 0);
    assert_int_equal(buf_append(wire, text.data, text.len), 0);
    buf_free(&text);
}

static void too_many_values(void **state) {
    (void)state;
    buf wire = BUF_INIT;
    json_t *got = NULL;
    err e;
    put_lists(&wire, FRAME_VALUES_MAX, ",");
    assert_int_equal(frame_take(&wire, &got, NULL, &e), -1);
    assert_string_equal(e.code, "frame_too_large");
    buf_free(&wire);
    put_lists(&wire, FRAME_VALUES_MAX / 2 - 2, ",");
    assert_int_equal(frame_take(&wire, &got, NULL, &e), 1);
    json_decref(got);
    buf_free(&wire);
}

static void commas_in_texts_are_no_values(void **state) {
    (void)state;
    buf wire = BUF_INIT;
    buf text = BUF_INIT;
    json_t *got = NULL;
    err e;
    for (size_t i = 0; i < 2 * FRAME_VALUES_MAX; i++) {
        assert_int_equal(buf_puts(&text, ",\"\\["), 0);
    }
    json_t *m = json_pack("{s:s}", "text", buf_str(&text));
    assert_non_null(m);
    assert_int_equal(frame_put(&wire, m, NULL, 0, &e), 0);
    assert_int_equal(frame_take(&wire, &got, NULL, &e), 1);
    assert_int_equal(json_equal(m, got), 1);
    json_decref(m);
    json_decref(got);
    buf_free(&text);
    buf_free(&wire);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST("a frame is taken when its last byte is there, with its payload", put_and_take),
        TEST("texts keep their NUL bytes", texts_with_nul),
        TEST("a frame with impossible lengths or without a strict JSON object is refused", broken_frames),
        TEST("a payload where none is expected is refused", unwelcome_payload),
        TEST("a message or payload over its bound is not put", too_large),
        TEST("a buffer without room is left as it was", full_buffer),
        TEST("frames cross pipes and sockets, also ones that do not block", over_descriptors),
        TEST("an end of file inside a frame is an error", cut_short),
        TEST("a peer that went away is an error and no signal", no_reader),
        TEST("flipped bits give frames, an error or a wait for more", damaged_streams),
        TEST("a message of too many values is refused before they are read", too_many_values),
        TEST("commas and brackets inside of texts are no values", commas_in_texts_are_no_values),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
