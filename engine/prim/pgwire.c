#include "prim/pgwire.h"

#include <string.h>

#define PROTOCOL_MAJOR 3
#define CODE_CANCEL 80877102u
#define CODE_SSL 80877103u
#define CODE_GSS 80877104u
#define AUTH_SASL 10
/* The server refuses longer ones itself (pqcomm.h, PQ_LARGE_MESSAGE_LIMIT is MaxAllocSize - 1). */
#define MESSAGE_MAX 0x3fffffffu

static uint32_t be32(const void *p) {
    const unsigned char *b = p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3];
}

static void put_be32(unsigned char *b, uint32_t v) {
    b[0] = (unsigned char)(v >> 24);
    b[1] = (unsigned char)(v >> 16);
    b[2] = (unsigned char)(v >> 8);
    b[3] = (unsigned char)v;
}

/* ---- the stream ---- */

void pgwire_init(pgwire *w, pgwire_wants wants, pgwire_takes takes, void *ctx) {
    *w = (pgwire){.wants = wants, .takes = takes, .ctx = ctx};
}

void pgwire_free(pgwire *w) {
    buf_free(&w->body);
}

bool pgwire_idle(const pgwire *w) {
    return w->head_len == 0;
}

size_t pgwire_need(const pgwire *w) {
    return w->head_len < sizeof w->head ? sizeof w->head - w->head_len : w->left;
}

static int finish(pgwire *w, err *e) {
    pgwire_message m = {.type = (char)w->head[0], .body = buf_str(&w->body), .kept = w->body.len, .length = w->length};
    w->head_len = 0;
    int rc = w->takes(w->ctx, &m, e);
    if (w->body.cap > 65536) {
        buf_free(&w->body); /* one long statement must not cost memory for as long as the session lasts */
    } else {
        buf_reset(&w->body);
    }
    return rc;
}

static int begin(pgwire *w, err *e) {
    uint32_t length = be32(w->head + 1);
    if (length < 4 || length > MESSAGE_MAX) {
        return err_set(e, "pgwire_message", "a message of type 0x%02x says that it is %u bytes long", w->head[0],
                       length);
    }
    w->length = w->left = length - 4;
    w->keep = w->wants(w->ctx, (char)w->head[0], w->length);
    return w->left == 0 ? finish(w, e) : 0;
}

int pgwire_feed(pgwire *w, const void *bytes, size_t n, err *e) {
    const char *p = bytes;
    while (n > 0) {
        if (w->head_len < sizeof w->head) {
            w->head[w->head_len++] = (unsigned char)*p++;
            n--;
            if (w->head_len == sizeof w->head && begin(w, e) != 0) {
                return -1;
            }
            continue;
        }
        size_t some = n < w->left ? n : w->left;
        size_t room = w->keep > w->body.len ? w->keep - w->body.len : 0;
        if (room > 0 && buf_append(&w->body, p, some < room ? some : room) != 0) {
            return err_set(e, "out_of_memory", "out of memory for a message");
        }
        p += some;
        n -= some;
        w->left -= some;
        if (w->left == 0 && finish(w, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* ---- startup ---- */

pgwire_start pgwire_start_of(const void *bytes, size_t n, size_t *length) {
    const unsigned char *b = bytes;
    if (n > 0 && b[0] == 0x16) { /* a TLS handshake record (RFC 8446, 5.1); no length is that large */
        return PGWIRE_TLS;
    }
    if (n < 4) {
        return n > 0 && b[0] != 0 ? PGWIRE_BAD : PGWIRE_MORE;
    }
    uint32_t size = be32(b);
    if (size < 8 || size > PGWIRE_STARTUP_MAX) {
        return PGWIRE_BAD;
    }
    if (n < size) {
        return PGWIRE_MORE;
    }
    *length = size;
    switch (be32(b + 4)) {
    case CODE_CANCEL:
        return PGWIRE_CANCEL;
    case CODE_SSL:
        return PGWIRE_SSL;
    case CODE_GSS:
        return PGWIRE_GSS;
    default:
        return be32(b + 4) >> 16 == PROTOCOL_MAJOR ? PGWIRE_STARTUP : PGWIRE_PROTOCOL;
    }
}

const char *pgwire_parameter(const void *packet, size_t length, const char *name) {
    const char *p = (const char *)packet + 8, *end = (const char *)packet + length;
    while (p < end && *p != '\0') {
        const char *stop = memchr(p, '\0', (size_t)(end - p));
        const char *value = stop != NULL ? stop + 1 : end;
        const char *next = value < end ? memchr(value, '\0', (size_t)(end - value)) : NULL;
        if (next == NULL) {
            return NULL;
        }
        if (strcmp(p, name) == 0) {
            return value;
        }
        p = next + 1;
    }
    return NULL;
}

/* ---- fields ---- */

pgwire_reader pgwire_read(const pgwire_message *m) {
    return (pgwire_reader){.at = m->body, .end = m->body + m->kept};
}

const char *pgwire_bytes(pgwire_reader *r, size_t n) {
    if (r->failed || (size_t)(r->end - r->at) < n) {
        r->failed = true;
        return NULL;
    }
    const char *p = r->at;
    r->at += n;
    return p;
}

const char *pgwire_text(pgwire_reader *r) {
    const char *stop = r->failed ? NULL : memchr(r->at, '\0', (size_t)(r->end - r->at));
    if (stop == NULL) {
        r->failed = true;
        return "";
    }
    const char *text = r->at;
    r->at = stop + 1;
    return text;
}

int16_t pgwire_int16(pgwire_reader *r) {
    const unsigned char *p = (const unsigned char *)pgwire_bytes(r, 2);
    return p != NULL ? (int16_t)((uint16_t)p[0] << 8 | p[1]) : 0;
}

int32_t pgwire_int32(pgwire_reader *r) {
    const char *p = pgwire_bytes(r, 4);
    return p != NULL ? (int32_t)be32(p) : 0;
}

/* ---- writing ---- */

int pgwire_put(buf *out, char type, const void *body, size_t n) {
    unsigned char head[5] = {(unsigned char)type};
    put_be32(head + 1, (uint32_t)(n + 4));
    return buf_append(out, head, sizeof head) != 0 || buf_append(out, body, n) != 0 ? -1 : 0;
}

static void put_field(buf *body, char code, const char *text) {
    if (text != NULL) {
        (void)buf_putc(body, code);
        (void)buf_append(body, text, strlen(text) + 1);
    }
}

int pgwire_put_fatal(buf *out, const char *sqlstate, const char *message, const char *hint) {
    buf body = BUF_INIT;
    put_field(&body, 'S', "FATAL");
    put_field(&body, 'V', "FATAL");
    put_field(&body, 'C', sqlstate);
    put_field(&body, 'M', message);
    put_field(&body, 'H', hint);
    (void)buf_putc(&body, '\0');
    int rc = body.failed ? -1 : pgwire_put(out, 'E', body.data, body.len);
    buf_free(&body);
    return rc;
}

static bool binds_channel(const char *mechanism) {
    size_t n = strlen(mechanism);
    return n > 5 && strcmp(mechanism + n - 5, "-PLUS") == 0;
}

int pgwire_put_unbound_sasl(buf *out, const pgwire_message *authentication) {
    pgwire_reader r = pgwire_read(authentication);
    if (pgwire_int32(&r) != AUTH_SASL || authentication->kept != authentication->length) {
        return pgwire_put(out, 'R', authentication->body, authentication->kept);
    }
    buf body = BUF_INIT;
    int left = 0, dropped = 0;
    (void)buf_append(&body, authentication->body, 4);
    for (const char *name = pgwire_text(&r); !r.failed && *name != '\0'; name = pgwire_text(&r)) {
        if (binds_channel(name)) {
            dropped++;
        } else {
            left++;
            (void)buf_append(&body, name, strlen(name) + 1);
        }
    }
    (void)buf_putc(&body, '\0');
    int rc = left == 0 || r.failed || body.failed || pgwire_put(out, 'R', body.data, body.len) != 0 ? -1 : dropped > 0;
    buf_free(&body);
    return rc;
}
