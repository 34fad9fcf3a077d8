#include "run/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

enum { NAME_BYTES = 48 };

typedef struct lane {
    char name[NAME_BYTES + 4];
    char check[NAME_BYTES + 4];
    bool running;
} lane;

struct progress {
    int fd;
    bool terminal, verbose, drawn;
    size_t n, done;
    lane lanes[];
};

static void put(const progress *p, const buf *line) {
    if (!line->failed && line->len > 0 && fs_write_all(p->fd, line->data, line->len) != 0) {
        return; /* nobody is looking; the run goes on */
    }
}

static void shown(char *to, const char *s) {
    buf clean = BUF_INIT;
    buf masked = BUF_INIT;
    if (s != NULL && log_mask(&masked, s, strlen(s)) == 0 &&
        text_sanitise(&clean, buf_str(&masked), masked.len, NAME_BYTES, false) == 0) {
        snprintf(to, NAME_BYTES + 4, "%s", buf_str(&clean));
    } else {
        to[0] = '\0';
    }
    buf_free(&clean);
    buf_free(&masked);
}

progress *progress_new(int fd, bool verbose, size_t n) {
    progress *p = calloc(1, sizeof *p + n * sizeof p->lanes[0]);
    if (p != NULL) {
        const char *term = getenv("TERM");
        p->fd = fd;
        p->n = n;
        p->verbose = verbose;
        p->terminal = isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
    }
    return p;
}

static size_t width(const progress *p) {
    struct winsize w;
    return ioctl(p->fd, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no column of their own. */
static void cut(buf *line, size_t columns) {
    size_t seen = 0;
    for (size_t i = 0; i < line->len; i++) {
        if (((unsigned char)line->data[i] & 0xC0) != 0x80 && ++seen > columns) {
            line->len = i;
            line->data[i] = '\0';
            return;
        }
    }
}

static void draw(progress *p) {
    if (!p->terminal) {
        return;
    }
    buf text = BUF_INIT;
    buf_printf(&text, "%zu/%zu gates", p->done, p->n);
    for (size_t i = 0; i < p->n; i++) {
        if (p->lanes[i].running) {
            buf_printf(&text, " | %s%s%s", p->lanes[i].name, p->lanes[i].check[0] != '\0' ? ": " : "",
                       p->lanes[i].check);
        }
    }
    cut(&text, width(p) - 1);
    buf line = BUF_INIT;
    buf_printf(&line, "\r\033[K%s", buf_str(&text)); /* ECMA-48: CR, then EL erases the line */
    put(p, &line);
    p->drawn = true;
    buf_free(&line);
    buf_free(&text);
}

void progress_hide(progress *p) {
    if (p != NULL && p->drawn) {
        buf line = BUF_INIT;
        buf_puts(&line, "\r\033[K");
        put(p, &line);
        buf_free(&line);
        p->drawn = false;
    }
}

static void plain(progress *p, const char *format, const char *a, const char *b, const char *c) {
    if (p->verbose) {
        progress_hide(p);
        log_line(LOG_INFO, format, a, b, c);
    }
}

void progress_gate(progress *p, size_t i, const char *name) {
    if (p != NULL && i < p->n) {
        shown(p->lanes[i].name, name);
        p->lanes[i].check[0] = '\0';
        p->lanes[i].running = true;
        plain(p, "%s%s%s: started", p->lanes[i].name, "", "");
        draw(p);
    }
}

void progress_check(progress *p, size_t i, const char *check) {
    if (p != NULL && i < p->n) {
        shown(p->lanes[i].check, check);
        draw(p);
    }
}

void progress_check_done(progress *p, size_t i, const char *check, const char *status) {
    if (p != NULL && i < p->n) {
        char name[NAME_BYTES + 4];
        shown(name, check);
        plain(p, "%s: %s: %s", p->lanes[i].name, name, status);
        draw(p);
    }
}

void progress_step(progress *p, size_t i, const char *text) {
    if (p != NULL && i < p->n) {
        bool running = p->lanes[i].running;
        shown(p->lanes[i].check, text);
        p->lanes[i].running = true;
        plain(p, "%s: %s%s", p->lanes[i].name, p->lanes[i].check, "");
        draw(p);
        p->lanes[i].running = running;
    }
}

void progress_gate_done(progress *p, size_t i, const char *status, double duration_ms) {
    if (p != NULL && i < p->n) {
        char took[32];
        snprintf(took, sizeof took, "%.0f ms", duration_ms);
        p->lanes[i].running = false;
        p->done++;
        plain(p, "%s: %s after %s", p->lanes[i].name, status, took);
        draw(p);
    }
}

void progress_free(progress *p) {
    progress_hide(p);
    free(p);
}
