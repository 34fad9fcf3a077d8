/* One descriptor for many: what other coroutines brought must not be forgotten. Looked at below the scheduler, where
 * the order of things is ours to choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"
#include "prim/exec_channel.h"
#include "prim/http.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

static bool readable(int fd, int timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void serve(int listener) {
    static const char ANSWER[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        char bytes[4096];
        if (fd >= 0 && read(fd, bytes, sizeof bytes) > 0) {
            (void)!write(fd, ANSWER, sizeof ANSWER - 1);
        }
        close(fd);
    }
}

static pid_t start_server(unsigned *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener);
    }
    close(listener);
    return pid;
}

static http_request *ask(http_client *c) {
    http_request_spec spec = {.endpoint = "e",
                              .method = "GET",
                              .path = "/",
                              .path_len = 1,
                              .timeout_ms = 20000,
                              .connect_timeout_ms = 20000,
                              .redirects = 1,
                              .credentials = true};
    err e;
    http_request *r = http_request_new(c, &spec, &e);
    assert_non_null(r);
    return r;
}

static void http_collects(void **state) {
    (void)state;
    unsigned port = 0;
    pid_t pid = start_server(&port);
    err e;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    assert_int_equal(http_global_init(&e), 0);
    http_client *c = http_client_new(&e);
    assert_non_null(c);
    http_endpoint_spec endpoint = {.name = "e", .url = url};
    assert_int_equal(http_client_add(c, &endpoint, &e), 0);
    http_request *a = ask(c);
    http_request *b = ask(c);
    while (!http_request_done(a) || !http_request_done(b)) {
        assert_true(readable(http_client_fd(c), 20000));
        http_client_drive(c);
    }
    /* Whatever else is driven, it stays readable for the one that nobody has looked at. */
    http_request_free(a);
    http_client_drive(c);
    assert_true(readable(http_client_fd(c), 0));
    http_request_free(b);
    while (readable(http_client_fd(c), 0)) { /* the server's close of the kept connections */
        http_client_drive(c);
    }
    http_request *left = ask(c);
    http_client_free(c); /* a request under way outlives its client, as an error */
    const char *reason = NULL;
    assert_true(http_request_done(left));
    assert_null(http_request_result(left, &e, &reason));
    assert_string_equal(e.code, "http_closed");
    http_request_free(left);
    http_global_cleanup();
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void put_reply(int fd, int id) {
    err e;
    json_t *reply = json_pack("{s:i, s:b}", "id", id, "ok", 1);
    assert_int_equal(frame_write(fd, reply, NULL, 0, &e), 1);
    json_decref(reply);
}

static void channel_collects(void **state) {
    (void)state;
    int pair[2];
    err e;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    exec_channel *c = exec_channel_open(pair[0], &e);
    assert_non_null(c);
    exec_call calls[3];
    memset(calls, 0, sizeof calls);
    for (int i = 0; i < 3; i++) {
        json_t *message = json_pack("{s:s}", "op", "x");
        assert_int_equal(exec_channel_call(c, &calls[i], message, NULL, 0, &e), 0);
        json_decref(message);
    }
    exec_call_end(&calls[2]); /* given up: its reply is dropped */
    put_reply(pair[1], 3);
    put_reply(pair[1], 2);
    put_reply(pair[1], 1);
    assert_int_equal(exec_channel_pump(c, &e), 0);
    assert_true(calls[0].done && calls[1].done);
    exec_call_end(&calls[1]);
    assert_true(readable(exec_channel_fd(c), 0));
    exec_call_end(&calls[0]);
    assert_false(readable(exec_channel_fd(c), 0));
    put_reply(pair[1], 4); /* an id that was never given */
    assert_int_equal(exec_channel_pump(c, &e), -1);
    assert_string_equal(e.code, "channel_protocol");
    exec_channel_close(c);
    close(pair[0]);
    close(pair[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST("a client's descriptor stays readable until every finished request was collected", http_collects),
        TEST("a channel's descriptor stays readable until every answered call was ended", channel_collects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
