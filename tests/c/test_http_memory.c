/* The http, store and exec modules when Lua's memory runs out: every allocation fails once, amid live connections. An
 * error must come out, nothing may be lost (the leak check of the sanitized build sees to that), no descriptor may stay
 * open, and the state must still work. */
#include "lua_support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/fs.h"

#define TEST(title, fn)                                                                                                \
    { title, fn, NULL, NULL, NULL }

static int open_descriptors(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

/* Runs setup, then the chunk with the first allocation failing, then the second, until none is reached any more. */
static void assert_survives(lua_State *L, const char *setup, const char *chunk, int at_least) {
    int before = open_descriptors();
    int failures = 0;
    if (luaL_dostring(L, setup) != LUA_OK) {
        fail_msg("%s", luaL_tolstring(L, -1, NULL));
    }
    reached = true;
    for (long n = 0; reached; n++) {
        assert_int_equal(luaL_loadstring(L, chunk), LUA_OK);
        lua_gc(L, LUA_GCCOLLECT);
        reached = false;
        lua_left = n;
        int rc = lua_pcall(L, 0, 1, 0);
        lua_left = -1;
        if (rc == LUA_OK) {
            assert_true(lua_toboolean(L, -1));
        } else {
            const char *text = luaL_tolstring(L, -1, NULL);
            if (!reached || strstr(text, "not enough memory") == NULL) {
                fail_msg("allocation %ld: %s", n, text);
            }
            failures++;
        }
        lua_settop(L, 0);
    }
    assert_true(failures >= at_least);
    if (luaL_dostring(L, chunk) != LUA_OK) {
        fail_msg("afterwards: %s", luaL_tolstring(L, -1, NULL));
    }
    lua_close(L);
    assert_int_equal(open_descriptors(), before);
}

/* ---- peers, each in a child that ends with this process ---- */

static void serve_http(int listener) {
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: 1\r\nX-A: 2\r\n"
                                 "Content-Length: 24\r\n\r\n{\"a\":[1,2,3],\"b\":\"text\"}";
    _Static_assert(sizeof "{\"a\":[1,2,3],\"b\":\"text\"}" - 1 == 24, "see Content-Length");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        char bytes[4096];
        size_t len = 0;
        while (fd >= 0 && len < sizeof bytes - 1) {
            ssize_t n = read(fd, bytes + len, sizeof bytes - 1 - len);
            if (n <= 0) {
                break;
            }
            len += (size_t)n;
            bytes[len] = '\0';
            if (strstr(bytes, "\r\n\r\n") != NULL) {
                (void)!write(fd, ANSWER, sizeof ANSWER - 1);
                break;
            }
        }
        close(fd);
    }
}

static void serve_frames(int fd) {
    buf pending = BUF_INIT;
    for (;;) {
        json_t *message = NULL;
        buf payload = BUF_INIT;
        err e;
        if (frame_read(fd, &pending, &message, &payload, &e) != 1) {
            _exit(0);
        }
        json_t *reply = json_pack("{s:O, s:b, s:O}", "id", json_object_get(message, "id"), "ok", 1, "echo", message);
        if (json_object_get(message, "id") != NULL && frame_write(fd, reply, payload.data, payload.len, &e) != 1) {
            _exit(1);
        }
        json_decref(reply);
        json_decref(message);
        buf_free(&payload);
    }
}

static pid_t start(void (*serve)(int), int fd, int other) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(other);
        serve(fd);
        _exit(0);
    }
    return pid;
}

static void stop(pid_t pid) {
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- the modules ---- */

static void http_requests(void **state) {
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 64), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    pid_t pid = start(serve_http, listener, -1);
    close(listener);
    lua_State *L = open_state();
    lua_pushinteger(L, ntohs(at.sin_port));
    lua_setglobal(L, "port");
    assert_survives(L,
                    "http = require 'engine.http' url = 'http://127.0.0.1:' .. port "
                    "endpoints = {e = {url = url, headers = {a = 'b'}, auth = {bearer = 'tok'}}}",
                    "local c <close> = http.client{endpoints = endpoints} "
                    "local r = c:request{endpoint = 'e', method = 'POST', path = '/x', query = {a = {1, 2}, b = 'c'}, "
                    "headers = {x = 'y'}, json = {k = 'v'}} "
                    "return r.status == 200 and r.json().a[3] == 3 and r.headers['x-a'] == '1, 2'",
                    30);
    stop(pid);
}

static void channels(void **state) {
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t pid = start(serve_frames, pair[1], pair[0]);
    close(pair[1]);
    lua_State *L = open_state();
    lua_pushinteger(L, pair[0]);
    lua_setglobal(L, "fd");
    assert_survives(L, "exec = require 'engine.exec' c = exec.attach(fd)",
                    "c:send{t = 'log', text = 'x'} "
                    "local reply, payload = c:request({op = 'x', list = {1, 2}}, 'bytes') "
                    "return reply.echo.list[2] == 2 and payload == 'bytes'",
                    8);
    close(pair[0]);
    stop(pid);
}

static void stores(void **state) {
    (void)state;
    char dir[] = "/tmp/gate-engine-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    lua_State *L = open_state();
    lua_pushstring(L, dir);
    lua_setglobal(L, "dir");
    assert_survives(
        L, "store = require 'engine.store'",
        "local s <close> = store.open{path = dir} local info = s:put('a/b', 'bytes') "
        "local got, about = s:get('a/b', {expect_sha256 = info.sha256}) local list = s:list('a/') "
        "return got == 'bytes' and about.size == 5 and list[1].key == 'a/b' and s:head('a/b') and s:delete('a/b')",
        20);
    err e;
    assert_int_equal(fs_remove_tree(dir, &e), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST("http survives every failing allocation amid a request", http_requests),
        TEST("exec survives every failing allocation amid a request, and the channel stays in step", channels),
        TEST("store survives every failing allocation and leaves no descriptor open", stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
