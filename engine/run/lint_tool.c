/* lint_tool.c: luacheck, where it is installed. It is a program like any other: spawned with limits and a clock. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "run/child.h"
#include "run/lint.h"

#define WALL_MS 10000
#define OUTPUT_MAX (1u << 20)

/* Is there such a program in PATH? */
static bool installed(const char *name) {
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ":");
        buf b = BUF_INIT;
        buf_append(&b, path, n);
        buf_printf(&b, "/%s", name);
        bool found = n > 0 && access(buf_str(&b), X_OK) == 0;
        buf_free(&b);
        if (found) {
            return true;
        }
        path += n + (path[n] == ':');
    }
    return false;
}

/* All of what comes, until the end or the clock. */
static void read_output(int fd, buf *out) {
    int64_t until = clock_ms() + WALL_MS;
    for (;;) {
        int64_t left = until - clock_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int rc = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (rc < 0 && errno == EINTR) {
            continue;
        }
        char *room = rc > 0 ? buf_reserve(out, 4096) : NULL;
        ssize_t n = room != NULL ? read(fd, room, 4096) : 0;
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        out->len += (size_t)n;
    }
}

/* "FILE:LINE:COLUMN-END: message" of --formatter plain --ranges. Other lines say nothing of the file. */
static void take_line(const char *line, size_t n, const char *path, json_t *findings) {
    size_t len = strlen(path);
    if (n <= len + 1 || memcmp(line, path, len) != 0 || line[len] != ':') {
        return;
    }
    const char *end = line + n;
    const char *at = line + len + 1;
    char *rest;
    long number = strtol(at, &rest, 10);
    const char *colon = memchr(rest + (*rest == ':'), ':', (size_t)(end - rest - (*rest == ':')));
    if (number < 1 || *rest != ':' || colon == NULL || colon + 2 >= end) {
        return;
    }
    buf b = BUF_INIT;
    buf_puts(&b, "luacheck, column ");
    buf_append(&b, rest + 1, (size_t)(colon - rest - 1));
    buf_append(&b, colon, (size_t)(end - colon));
    json_array_append_new(findings, json_pack("{s:i, s:s, s:n, s:s, s:b}", "line", (int)number, "message", buf_str(&b),
                                              "fix", "code", "lint_luacheck", "note", 1));
    buf_free(&b);
}

int lint_luacheck(const char *path, json_t *findings, err *e) {
    if (!installed("luacheck")) {
        return 0;
    }
    /* Without configuration files: what lies in the working directory must not change what check says, and such a file
     * is a program. Globals (1..) are seen to by lint_scope.c, which knows the sandbox. */
    char *argv[] = {"luacheck", "--no-color", "--ranges",   "--no-config", "--no-cache",           "--std",
                    "lua54",    "--ignore",   "1..",        "--no-self",   "--no-max-line-length", "--formatter",
                    "plain",    "--",         (char *)path, NULL};
    buf where = BUF_INIT;
    buf_printf(&where, "PATH=%s", getenv("PATH"));
    char *env[] = {(char *)buf_str(&where), "LC_ALL=C.UTF-8", NULL};
    int pair[2];
    child c = {.pidfd = -1};
    if (pipe2(pair, O_CLOEXEC) != 0) {
        buf_free(&where);
        return err_errno(e, "system", "cannot make a pipe");
    }
    child_spec spec = {.stdin_fd = -1,
                       .stdout_fd = pair[1],
                       .stderr_fd = -1,
                       .keep_fd = -1,
                       .limits = {.address_space = 1u << 30, .cpu_s = WALL_MS / 1000, .file_size = 1, .files = 64}};
    int rc = child_spawn(&spec, argv, env, NULL, &c, e);
    close(pair[1]);
    buf out = BUF_INIT;
    out.limit = OUTPUT_MAX;
    if (rc == 0) {
        read_output(pair[0], &out);
        child_kill(&c); /* it has closed its output, or is over its time */
        child_reap(&c, NULL);
    }
    close(pair[0]);
    for (const char *line = buf_str(&out); rc == 0 && *line != '\0';) {
        size_t n = strcspn(line, "\n");
        take_line(line, n, path, findings);
        line += n + (line[n] == '\n');
    }
    buf_free(&out);
    buf_free(&where);
    return rc;
}
