/* buf.h: a growing byte buffer. Always NUL-terminated once anything was added, so text can be read in place. */
#ifndef GE_BASE_BUF_H
#define GE_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A zeroed buf is empty and ready. `failed` is sticky: once memory ran out or `limit` was passed every later append is
 * refused, so a caller may append many times and look once at the end. */
typedef struct buf {
    char *data;   /* owned; NULL while empty */
    size_t len;   /* bytes, without the terminator */
    size_t cap;   /* bytes allocated */
    size_t limit; /* most bytes it may hold; 0 = no bound */
    bool failed;
    /* Where given: takes what is there once it is much, so that it need not be held as a whole. -1 fails the buf. Who
     * set it hands it what is left at the end. */
    int (*drain)(void *ctx, const char *bytes, size_t n);
    void *drain_ctx;
} buf;

#define BUF_INIT                                                                                                       \
    { 0 }

/* All return 0, or -1 once failed. */
int buf_append(buf *b, const void *bytes, size_t n);
int buf_puts(buf *b, const char *s);
int buf_putc(buf *b, char c);
int buf_printf(buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Makes room for n more bytes and returns where they go (then add to len), or NULL. */
char *buf_reserve(buf *b, size_t n);
/* Drops the first n bytes. */
void buf_consume(buf *b, size_t n);
/* The content as a C string, never NULL. Owned by b. */
const char *buf_str(const buf *b);
/* Hands the memory to the caller (free it); b is empty afterwards. NULL when failed or out of memory. */
char *buf_steal(buf *b);
void buf_reset(buf *b); /* empties, keeps the memory */
void buf_free(buf *b);

#endif
