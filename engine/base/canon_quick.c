/* canon_quick.c: one pass over the text. A member's value is written where it stands; an object whose keys are not in
 * order is put in order when it ends, in the bytes that were written. */
#include "base/canon_quick.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "base/canon_write.h"
#include "base/text.h"

enum { SURE_DIGITS = 15, DIGITS_MAX = 40, EXPONENT_DIGITS = 5, INSERTION_MAX = 24, SHORT = 32 };

/* A member of an object that is being read: its key in the text, and all of it in what was written. */
typedef struct member {
    const char *key;
    size_t len;
    size_t from, to;
} member;

typedef struct quick {
    const char *p, *end;
    buf *out;
    buf sorted;
    member *members; /* of all objects that are open, the innermost last */
    size_t count, cap;
} quick;

static bool read_value(quick *q, int depth);

/* Appends are many and short: where there is room, as there nearly always is, they are made in place. */
static inline bool put(quick *q, const char *bytes, size_t n) {
    buf *out = q->out;
    if (out->cap - out->len <= n) {
        return buf_append(out, bytes, n) == 0;
    }
    memcpy(out->data + out->len, bytes, n);
    out->len += n;
    return true;
}

/* The same for a piece of the text: a short one is copied with what stands behind it, in one move of a known size. */
static inline bool put_text(quick *q, const char *piece, size_t n) {
    buf *out = q->out;
    if (n > SHORT || out->cap - out->len <= SHORT || q->end - piece < SHORT) {
        return put(q, piece, n);
    }
    memcpy(out->data + out->len, piece, SHORT);
    out->len += n;
    return true;
}

static inline bool put_char(quick *q, char c) {
    buf *out = q->out;
    if (out->cap - out->len <= 1) {
        return buf_append(out, &c, 1) == 0;
    }
    out->data[out->len++] = c;
    return true;
}

static void skip_blanks(quick *q) {
    while (q->p < q->end && (*q->p == ' ' || *q->p == '\n' || *q->p == '\t' || *q->p == '\r')) {
        q->p++;
    }
}

static bool take(quick *q, char c) {
    bool there = q->p < q->end && *q->p == c;
    q->p += there;
    return there;
}

/* --- strings --- */

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits of an escape at p; -1 where they are not there. */
static long hex4(const quick *q, const char *p) {
    long value = 0;
    if (q->end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* Past the \u that p stands behind, a pair of surrogates as one; -1 for a lone one. */
static long read_point(quick *q) {
    long point = hex4(q, q->p);
    if (point < 0) {
        return -1;
    }
    q->p += 4;
    if (point < 0xD800 || point > 0xDFFF) {
        return point;
    }
    if (point > 0xDBFF || q->end - q->p < 6 || q->p[0] != '\\' || q->p[1] != 'u') {
        return -1;
    }
    long low = hex4(q, q->p + 2);
    q->p += 6;
    return low >= 0xDC00 && low <= 0xDFFF ? 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00) : -1;
}

static bool put_point(quick *q, long point) {
    static const char short_form[] = "\b\t\n\f\r\"\\";
    static const char letter[] = "btnfr\"\\";
    const char *at = point > 0 && point < 0x80 ? strchr(short_form, (int)point) : NULL;
    if (at != NULL) {
        return buf_printf(q->out, "\\%c", letter[at - short_form]) == 0;
    }
    if (point < 0x20) {
        return buf_printf(q->out, "\\u%04lx", point) == 0;
    }
    char bytes[4];
    size_t n = 0;
    if (point < 0x80) {
        bytes[n++] = (char)point;
    } else if (point < 0x800) {
        bytes[n++] = (char)(0xC0 | point >> 6);
        bytes[n++] = (char)(0x80 | (point & 0x3F));
    } else {
        if (point < 0x10000) {
            bytes[n++] = (char)(0xE0 | point >> 12);
        } else {
            bytes[n++] = (char)(0xF0 | point >> 18);
            bytes[n++] = (char)(0x80 | (point >> 12 & 0x3F));
        }
        bytes[n++] = (char)(0x80 | (point >> 6 & 0x3F));
        bytes[n++] = (char)(0x80 | (point & 0x3F));
    }
    return put(q, bytes, n);
}

/* What stands behind a backslash. */
static bool read_escape(quick *q) {
    if (q->p == q->end) {
        return false;
    }
    char c = *q->p++;
    char same[2] = {'\\', c};
    switch (c) {
    case '"':
    case '\\':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return put(q, same, 2);
    case '/':
        return put_char(q, '/');
    case 'u': {
        long point = read_point(q);
        return point >= 0 && put_point(q, point);
    }
    default:
        return false;
    }
}

/* Past what needs no escape; *high: some of it is not ASCII. */
static void skip_plain(quick *q, bool *high) {
    unsigned char seen = 0;
    const char *p = q->p;
#ifdef CANON_FIRST
    while ((size_t)(q->end - p) >= sizeof(uint64_t)) {
        uint64_t odd = canon_odd(p);
        if (odd != 0) {
            p += CANON_FIRST(odd);
            break;
        }
        p += sizeof(uint64_t);
    }
#endif
    while (p < q->end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\') {
        seen |= (unsigned char)*p++;
    }
    q->p = p;
    *high = *high || (seen & 0x80) != 0;
}

/* A string whose quote was taken. */
static bool read_string(quick *q) {
    const char *start = q->p, *plain = start;
    bool high = false;
    skip_plain(q, &high);
    if (take(q, '"')) { /* nothing in it is written otherwise */
        size_t n = (size_t)(q->p - start);
        return (!high || text_utf8_valid(start, n - 1)) && put_text(q, start - 1, n + 1);
    }
    if (!put_char(q, '"')) {
        return false;
    }
    for (;;) {
        if (!put(q, plain, (size_t)(q->p - plain))) {
            return false;
        }
        if (take(q, '"')) {
            break;
        }
        if (!take(q, '\\') || !read_escape(q)) {
            return false;
        }
        plain = q->p;
        skip_plain(q, &high);
    }
    return (!high || text_utf8_valid(start, (size_t)(q->p - 1 - start))) && put_char(q, '"');
}

/* --- numbers --- */

static size_t skip_digits(quick *q) {
    const char *start = q->p;
    while (q->p < q->end && *q->p >= '0' && *q->p <= '9') {
        q->p++;
    }
    return (size_t)(q->p - start);
}

/* A number as it stands in the text. */
typedef struct number {
    const char *start; /* with its sign */
    const char *whole; /* its digits before the point */
    size_t nwhole;
    const char *fraction; /* and behind it, without zeros at their end */
    size_t nfraction;
    int exponent;
    bool negative, has_point, has_exponent;
} number;

static bool scan_number(quick *q, number *x) {
    *x = (number){.start = q->p};
    x->negative = take(q, '-');
    x->whole = q->p;
    x->nwhole = skip_digits(q);
    if (x->nwhole == 0 || (x->nwhole > 1 && *x->whole == '0')) {
        return false;
    }
    if (take(q, '.')) {
        x->has_point = true;
        x->fraction = q->p;
        x->nfraction = skip_digits(q);
        if (x->nfraction == 0) {
            return false;
        }
        while (x->nfraction > 0 && x->fraction[x->nfraction - 1] == '0') {
            x->nfraction--;
        }
    }
    if (take(q, 'e') || take(q, 'E')) {
        x->has_exponent = true;
        bool minus = take(q, '-');
        if (!minus) {
            take(q, '+');
        }
        const char *digits = q->p;
        size_t n = skip_digits(q);
        if (n == 0 || n > EXPONENT_DIGITS) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            x->exponent = 10 * x->exponent + (digits[i] - '0');
        }
        x->exponent = minus ? -x->exponent : x->exponent;
    }
    return true;
}

/* Is the shortest form of the double that this means the number itself, without zeros at its end? So it is with up to
 * 15 digits, since no two such numbers are one double (DBL_DIG), as long as ECMAScript writes it without an exponent:
 * from 0.000001 on. */
static bool is_own_form(const number *x) {
    if (x->has_exponent) {
        return false;
    }
    bool zero = *x->whole == '0';
    size_t leading = 0;
    while (zero && leading < x->nfraction && x->fraction[leading] == '0') {
        leading++;
    }
    return leading <= 5 && (zero ? 0 : x->nwhole) + x->nfraction - leading <= SURE_DIGITS;
}

/* By its double. No point stands in what is read, so that no locale can change it. */
static bool put_double(quick *q, const number *x) {
    char text[DIGITS_MAX + 16];
    size_t n = x->nwhole + x->nfraction;
    if (n > DIGITS_MAX) {
        return false;
    }
    memcpy(text, x->whole, x->nwhole);
    if (x->nfraction > 0) {
        memcpy(text + x->nwhole, x->fraction, x->nfraction);
    }
    snprintf(text + n, sizeof text - n, "e%d", x->exponent - (int)x->nfraction);
    double value = strtod(text, NULL);
    char form[CANON_NUMBER_MAX];
    int len = isfinite(value) ? canon_number(x->negative ? -value : value, form) : -1;
    return len > 0 && put(q, form, (size_t)len);
}

static bool read_number(quick *q) {
    number x;
    if (!scan_number(q, &x)) {
        return false;
    }
    if (!x.has_point && !x.has_exponent && x.nwhole > SURE_DIGITS) {
        return false; /* whether a double holds it is for others to say */
    }
    if (!is_own_form(&x)) {
        return put_double(q, &x);
    }
    if (x.nfraction == 0 && x.nwhole == 1 && *x.whole == '0') {
        return put_char(q, '0'); /* and so is -0 written */
    }
    size_t n = (size_t)(x.whole + x.nwhole - x.start) + (x.nfraction > 0 ? 1 + x.nfraction : 0);
    return put_text(q, x.start, n);
}

/* --- objects --- */

static int compare_keys(const void *left, const void *right) {
    const member *a = left;
    const member *b = right;
    return canon_keys(a->key, a->len, b->key, b->len);
}

typedef enum { IN_ORDER, MOVED, TWICE } order;

/* Sorts members by their keys, and says whether any had to be moved or is there twice. */
static order sort_members(member *m, size_t n) {
    order done = IN_ORDER;
    if (n > INSERTION_MAX) {
        qsort(m, n, sizeof *m, compare_keys);
        done = MOVED;
        for (size_t i = 1; i < n; i++) {
            done = compare_keys(&m[i - 1], &m[i]) == 0 ? TWICE : done;
        }
        return done;
    }
    for (size_t i = 1; i < n; i++) {
        int c = compare_keys(&m[i - 1], &m[i]);
        if (c < 0) {
            continue;
        }
        member one = m[i];
        size_t k = i;
        while (k > 0 && (c = compare_keys(&m[k - 1], &one)) > 0) {
            m[k] = m[k - 1];
            k--;
        }
        if (k > 0 && c == 0) {
            return TWICE;
        }
        m[k] = one;
        done = MOVED;
    }
    return done;
}

/* Puts the object's members in order, in place. False for a key that is there twice. */
static bool order_members(quick *q, size_t base) {
    member *m = q->members + base;
    size_t n = q->count - base;
    size_t first = m[0].from;
    order done = sort_members(m, n);
    if (done != MOVED) {
        return done == IN_ORDER;
    }
    size_t all = q->out->len - first;
    buf_reset(&q->sorted);
    char *at = canon_room(&q->sorted, all);
    if (at == NULL) {
        return false;
    }
    size_t used = n - 1; /* the commas between */
    for (size_t i = 0; i < n; i++) {
        used += m[i].to - m[i].from;
    }
    if (used != all) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        canon_copy(at, q->out->data + m[i].from, m[i].to - m[i].from);
        at += m[i].to - m[i].from;
    }
    memcpy(q->out->data + first, q->sorted.data, all);
    return true;
}

static bool add_member(quick *q, const member *m) {
    if (q->count == q->cap) {
        size_t cap = q->cap > 0 ? 2 * q->cap : 64;
        member *more = reallocarray(q->members, cap, sizeof *more);
        if (more == NULL) {
            return false;
        }
        q->members = more;
        q->cap = cap;
    }
    q->members[q->count++] = *m;
    return true;
}

static bool read_member(quick *q, int depth) {
    member m = {.from = q->out->len};
    bool high = false;
    skip_blanks(q);
    if (!take(q, '"')) {
        return false;
    }
    m.key = q->p;
    skip_plain(q, &high);
    m.len = (size_t)(q->p - m.key);
    /* A key with an escape is rare, and its order is not that of its bytes here. */
    if (!take(q, '"') || (high && !text_utf8_valid(m.key, m.len))) {
        return false;
    }
    if (!put_text(q, m.key - 1, m.len + 2)) {
        return false;
    }
    skip_blanks(q);
    if (!take(q, ':') || !put_char(q, ':') || !read_value(q, depth)) {
        return false;
    }
    m.to = q->out->len;
    return add_member(q, &m);
}

/* An object whose brace was taken, `depth` being the level of what is inside. */
static bool read_object(quick *q, int depth) {
    size_t base = q->count;
    if (!put_char(q, '{')) {
        return false;
    }
    skip_blanks(q);
    if (!take(q, '}')) {
        do {
            if ((q->count > base && !put_char(q, ',')) || !read_member(q, depth)) {
                return false;
            }
            skip_blanks(q);
        } while (take(q, ','));
        if (!take(q, '}') || !order_members(q, base)) {
            return false;
        }
        q->count = base;
    }
    return put_char(q, '}');
}

static bool read_array(quick *q, int depth) {
    if (!put_char(q, '[')) {
        return false;
    }
    skip_blanks(q);
    if (!take(q, ']')) {
        bool more = false;
        do {
            if ((more && !put_char(q, ',')) || !read_value(q, depth)) {
                return false;
            }
            more = true;
            skip_blanks(q);
        } while (take(q, ','));
        if (!take(q, ']')) {
            return false;
        }
    }
    return put_char(q, ']');
}

static bool read_word(quick *q, const char *word, size_t n) {
    if ((size_t)(q->end - q->p) < n || memcmp(q->p, word, n) != 0) {
        return false;
    }
    q->p += n;
    return put(q, word, n);
}

/* `depth` is the level the value stands at, from 0. */
static bool read_value(quick *q, int depth) {
    skip_blanks(q);
    if (q->p == q->end) {
        return false;
    }
    switch (*q->p) {
    case '{':
        q->p++;
        return depth < CANON_DEPTH_MAX && read_object(q, depth + 1);
    case '[':
        q->p++;
        return depth < CANON_DEPTH_MAX && read_array(q, depth + 1);
    case '"':
        q->p++;
        return read_string(q);
    case 't':
        return read_word(q, "true", 4);
    case 'f':
        return read_word(q, "false", 5);
    case 'n':
        return read_word(q, "null", 4);
    default:
        return read_number(q);
    }
}

bool canon_quick(buf *out, const char *text, size_t n) {
    quick q = {.p = text, .end = text + n, .out = out};
    bool sure = buf_reserve(out, n) != NULL && read_value(&q, 0);
    if (sure) {
        skip_blanks(&q);
        sure = q.p == q.end;
        out->data[out->len] = '\0';
    }
    free(q.members);
    buf_free(&q.sorted);
    return sure;
}
