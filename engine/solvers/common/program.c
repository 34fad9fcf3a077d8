#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "solvers/common/program.h"

/* 200,000 tours of the roster take about 30 MB. */
#define INPUT_MAX ((size_t)256 << 20)
#define READ_STEP ((size_t)1 << 16)

static int complain(const solver_program *p, const char *what) {
    fprintf(stderr, "%s: %s\n", p->name, what);
    return 2;
}

static int read_all(int fd, buf *in) {
    for (;;) {
        char *at = buf_reserve(in, READ_STEP);
        if (at == NULL) {
            errno = EFBIG;
            return -1;
        }
        ssize_t n = read(fd, at, READ_STEP);
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        in->len += n > 0 ? (size_t)n : 0;
    }
}

static int write_all(int fd, const buf *out) {
    for (size_t done = 0; done < out->len;) {
        ssize_t n = write(fd, out->data + done, out->len - done);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int append(const char *bytes, size_t n, void *out) {
    return buf_append(out, bytes, n);
}

/* The error as the protocol's document; a text that was cut or is not UTF-8 is left out rather than the whole. */
static int error_text(const err *why, buf *out) {
    json_t *doc =
        json_pack("{s:{s:s, s:s*, s:s*, s:s*}}", "error", "code", why->code, "message", why->message, "detail",
                  why->detail[0] != '\0' ? why->detail : NULL, "fix", why->fix[0] != '\0' ? why->fix : NULL);
    int rc = doc == NULL ? -1 : json_dump_callback(doc, append, out, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(doc);
    return rc;
}

static int usage(const solver_program *p, int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", p->name, p->version);
        return fflush(stdout) == 0 ? 0 : complain(p, strerror(errno));
    }
    return complain(p, "reads a problem as JSON on standard input and writes a plan; the only option is --version");
}

int solver_main(const solver_program *p, int argc, char **argv) {
    mem_watch();
    if (argc > 1) {
        return usage(p, argc, argv);
    }
    buf in = {.limit = INPUT_MAX}, out = BUF_INIT;
    err why;
    err_clear(&why);
    int status = 2;
    if (read_all(STDIN_FILENO, &in) != 0) {
        status = complain(p, errno == EFBIG ? "standard input is larger than 256 MB" : strerror(errno));
    } else {
        status = 0;
        if (p->solve(buf_str(&in), in.len, &out, &why) != 0) {
            status = 1;
            buf_free(&out);
            status = error_text(&why, &out) == 0 ? 1 : complain(p, why.message);
        }
        if (status != 2 && write_all(STDOUT_FILENO, &out) != 0) {
            status = complain(p, strerror(errno));
        }
    }
    buf_free(&in);
    buf_free(&out);
    return status;
}
