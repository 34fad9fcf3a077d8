#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* A cut must not leave half a UTF-8 sequence: reports refuse what is not UTF-8. */
static void trim_partial_utf8(char *s, size_t cap, int wrote) {
    if (wrote < 0 || (size_t)wrote < cap) {
        return;
    }
    size_t n = strlen(s);
    size_t back = 0;
    while (back < 3 && back < n && ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80) {
        back++;
    }
    if (back < n && ((unsigned char)s[n - 1 - back] & 0xC0) == 0xC0) {
        s[n - 1 - back] = '\0';
    }
}

static void put(char *dst, size_t cap, const char *fmt, va_list ap) {
    int wrote = vsnprintf(dst, cap, fmt, ap);
    if (wrote < 0) {
        dst[0] = '\0';
    }
    trim_partial_utf8(dst, cap, wrote);
}

int err_vset(err *e, const char *code, const char *fmt, va_list ap) {
    if (strcmp(code, "out_of_memory") == 0) {
        mem_note(); /* also where nobody looks at the error */
    }
    if (e == NULL) {
        return -1;
    }
    /* The arguments may point into *e itself (wrapping an error), so format aside first. */
    char text[ERR_TEXT_MAX];
    put(text, sizeof text, fmt, ap);
    char name[ERR_CODE_MAX];
    snprintf(name, sizeof name, "%s", code);
    err_clear(e);
    memcpy(e->code, name, sizeof name);
    memcpy(e->message, text, sizeof text);
    return -1;
}

int err_set(err *e, const char *code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    err_vset(e, code, fmt, ap);
    va_end(ap);
    return -1;
}

int err_errno(err *e, const char *code, const char *fmt, ...) {
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    err_vset(e, code, fmt, ap);
    va_end(ap);
    if (e != NULL) {
        char why[128];
        const char *text = strerror_r(saved, why, sizeof why);
        size_t used = strlen(e->message);
        int wrote = snprintf(e->message + used, sizeof e->message - used, ": %s", text);
        trim_partial_utf8(e->message, sizeof e->message - used, wrote);
    }
    errno = saved;
    return -1;
}

int err_detail(err *e, const char *fmt, ...) {
    if (e != NULL) {
        va_list ap;
        va_start(ap, fmt);
        char text[ERR_TEXT_MAX];
        put(text, sizeof text, fmt, ap);
        va_end(ap);
        memcpy(e->detail, text, sizeof text);
    }
    return -1;
}

int err_fix(err *e, const char *fmt, ...) {
    if (e != NULL) {
        va_list ap;
        va_start(ap, fmt);
        char text[ERR_TEXT_MAX];
        put(text, sizeof text, fmt, ap);
        va_end(ap);
        memcpy(e->fix, text, sizeof text);
    }
    return -1;
}

void err_clear(err *e) {
    if (e != NULL) {
        e->code[0] = e->message[0] = e->detail[0] = e->fix[0] = '\0';
    }
}
