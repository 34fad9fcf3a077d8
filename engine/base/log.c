#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"

#define SECRET_MIN 4
#define LINE_MAX_BYTES 8192

typedef struct secret {
    char *text; /* owned; wiped before it is freed */
    size_t len;
} secret;

static struct {
    secret *list;
    size_t count;
    size_t cap;
    log_level level;
} state = {.level = LOG_INFO};

void log_set_level(log_level level) {
    state.level = level;
}

log_level log_get_level(void) {
    return state.level;
}

int log_add_secret(const char *text, size_t len) {
    /* A secret read from a file ends in a newline; where it is shown, it does not. */
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        len--;
    }
    if (len < SECRET_MIN) {
        return 0;
    }
    for (size_t i = 0; i < state.count; i++) {
        if (state.list[i].len == len && memcmp(state.list[i].text, text, len) == 0) {
            return 0;
        }
    }
    if (state.count == state.cap) {
        size_t cap = state.cap == 0 ? 16 : state.cap * 2;
        secret *grown = reallocarray(state.list, cap, sizeof *grown);
        if (grown == NULL) {
            return -1;
        }
        state.list = grown;
        state.cap = cap;
    }
    char *copy = malloc(len);
    if (copy == NULL) {
        return -1;
    }
    memcpy(copy, text, len);
    state.list[state.count++] = (secret){.text = copy, .len = len};
    return 0;
}

void log_forget_secrets(void) {
    for (size_t i = 0; i < state.count; i++) {
        explicit_bzero(state.list[i].text, state.list[i].len);
        free(state.list[i].text);
    }
    free(state.list);
    state.list = NULL;
    state.count = state.cap = 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* How many bytes of text spell the one byte c: itself, percent-encoded (RFC 3986 section 2.1), "+" for a space in a
 * form, or escaped inside a JSON string. 0 = none of them. */
static size_t spells(const char *text, size_t n, char c) {
    if (n >= 3 && text[0] == '%') {
        int high = hex_digit(text[1]);
        int low = hex_digit(text[2]);
        if (high >= 0 && low >= 0 && (char)(high * 16 + low) == c) {
            return 3;
        }
    }
    if (n >= 2 && text[0] == '\\' && text[1] == c && (c == '"' || c == '\\' || c == '/')) {
        return 2;
    }
    if (n >= 1 && (text[0] == c || (c == ' ' && text[0] == '+'))) {
        return 1;
    }
    return 0;
}

/* Length of the longest form of any secret that starts at text, or 0. */
static size_t secret_at(const char *text, size_t n) {
    size_t longest = 0;
    for (size_t i = 0; i < state.count; i++) {
        const secret *s = &state.list[i];
        size_t used = 0;
        if (n >= s->len && memcmp(text, s->text, s->len) == 0) {
            used = s->len;
        } else {
            size_t k = 0;
            for (size_t step; k < s->len && (step = spells(text + used, n - used, s->text[k])) > 0; k++) {
                used += step;
            }
            used = k == s->len ? used : 0;
        }
        longest = used > longest ? used : longest;
    }
    return longest;
}

bool log_has_secret(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (secret_at(text + i, len - i) > 0) {
            return true;
        }
    }
    return false;
}

int log_mask_some(buf *out, const char *text, size_t len, size_t enough) {
    size_t before = out->len;
    size_t plain = 0;  /* start of what was not copied yet */
    size_t hidden = 0; /* end of the masked stretch; secrets that overlap make one stretch */
    for (size_t i = 0; i < len && state.count > 0; i++) {
        if (i > plain && out->len - before + (i - plain) >= enough) {
            return buf_append(out, text + plain, i - plain);
        }
        size_t n = secret_at(text + i, len - i);
        if (n == 0) {
            continue;
        }
        if (i >= hidden) {
            if (buf_append(out, text + plain, i - plain) != 0 || buf_puts(out, "***") != 0) {
                return -1;
            }
        }
        hidden = i + n > hidden ? i + n : hidden;
        plain = hidden;
    }
    size_t left = len - plain;
    size_t wrote = out->len - before;
    size_t wanted = enough > wrote ? enough - wrote : 0;
    return buf_append(out, text + plain, left < wanted ? left : wanted);
}

int log_mask(buf *out, const char *text, size_t len) {
    return log_mask_some(out, text, len, SIZE_MAX);
}

void log_line(log_level level, const char *fmt, ...) {
    if (level > state.level) {
        return;
    }
    static const char *const name[] = {"error: ", "warning: ", "", "debug: "};
    int saved = errno;
    buf text = BUF_INIT;
    buf masked = BUF_INIT;
    buf line = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    int rc = buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (rc == 0 && log_mask_some(&masked, buf_str(&text), text.len, LINE_MAX_BYTES + 1) == 0 &&
        buf_puts(&line, "gate-engine: ") == 0 && buf_puts(&line, name[level]) == 0 &&
        text_sanitise(&line, buf_str(&masked), masked.len, LINE_MAX_BYTES, false) == 0 && buf_putc(&line, '\n') == 0) {
        (void)fs_write_all(STDERR_FILENO, line.data, line.len);
    } else {
        static const char lost[] = "gate-engine: error: out of memory while writing a log line\n";
        (void)fs_write_all(STDERR_FILENO, lost, sizeof lost - 1);
    }
    buf_free(&text);
    buf_free(&masked);
    buf_free(&line);
    errno = saved;
}
