#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define DRAIN_AT 65536

char *buf_reserve(buf *b, size_t n) {
    if (b->failed) {
        return NULL;
    }
    if (n > SIZE_MAX - b->len - 1 || (b->limit != 0 && b->len + n > b->limit)) {
        b->failed = true;
        return NULL;
    }
    if (b->drain != NULL && b->len >= DRAIN_AT && b->len + n + 1 > b->cap) {
        if (b->drain(b->drain_ctx, b->data, b->len) != 0) {
            b->failed = true;
            return NULL;
        }
        b->len = 0;
    }
    size_t need = b->len + n + 1;
    if (need > b->cap) {
        size_t cap = b->cap < 64 ? 64 : b->cap;
        while (cap < need) {
            cap = cap > SIZE_MAX / 2 ? need : cap * 2;
        }
        char *grown = realloc(b->data, cap);
        if (grown == NULL) {
            mem_note();
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->cap = cap;
    }
    return b->data + b->len;
}

int buf_append(buf *b, const void *bytes, size_t n) {
    char *at = buf_reserve(b, n);
    if (at == NULL) {
        return -1;
    }
    if (n > 0) {
        memcpy(at, bytes, n);
    }
    b->len += n;
    b->data[b->len] = '\0';
    return 0;
}

int buf_puts(buf *b, const char *s) {
    return buf_append(b, s, strlen(s));
}

int buf_putc(buf *b, char c) {
    return buf_append(b, &c, 1);
}

int buf_vprintf(buf *b, const char *fmt, va_list ap) {
    if (b->failed) {
        return -1;
    }
    va_list again;
    va_copy(again, ap);
    size_t room = b->cap - b->len;
    int n = vsnprintf(room > 0 ? b->data + b->len : NULL, room, fmt, again);
    va_end(again);
    if (n >= 0 && (size_t)n < room && (b->limit == 0 || b->len + (size_t)n <= b->limit)) {
        b->len += (size_t)n;
        return 0;
    }
    if (room > 0) {
        b->data[b->len] = '\0';
    }
    if (n < 0) {
        b->failed = true;
        return -1;
    }
    char *at = buf_reserve(b, (size_t)n);
    if (at == NULL) {
        return -1;
    }
    vsnprintf(at, (size_t)n + 1, fmt, ap);
    b->len += (size_t)n;
    return 0;
}

int buf_printf(buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int rc = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return rc;
}

void buf_consume(buf *b, size_t n) {
    if (n >= b->len) {
        buf_reset(b);
        return;
    }
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

const char *buf_str(const buf *b) {
    return b->data != NULL ? b->data : "";
}

char *buf_steal(buf *b) {
    if (b->failed || (b->data == NULL && buf_append(b, "", 0) != 0)) {
        buf_free(b);
        return NULL;
    }
    char *out = b->data;
    size_t limit = b->limit;
    *b = (buf){.limit = limit};
    return out;
}

void buf_reset(buf *b) {
    b->len = 0;
    if (b->data != NULL) {
        b->data[0] = '\0';
    }
}

void buf_free(buf *b) {
    free(b->data);
    size_t limit = b->limit;
    *b = (buf){.limit = limit};
}
