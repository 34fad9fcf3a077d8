/* canon_write.h: what everything that writes canonical JSON does for each value, inline: canon.c and canon_quick.c, and
 * what writes a Lua value (vm/conv_canon.c). */
#ifndef GE_BASE_CANON_WRITE_H
#define GE_BASE_CANON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

/* Where a byte of UTF-8 stands in the order of UTF-16 code units: characters above U+FFFF (first byte F0 and up) are
 * surrogates there, D800 to DFFF, and so come before U+E000 to U+FFFF (first byte EE and EF). */
static inline int canon_key_weight(unsigned char b) {
    return b == 0xEE || b == 0xEF ? b + 0x10 : b;
}

/* The order of keys (RFC 8785 section 3.2.3): below 0, 0 or above 0, as a comes before b, is b, or comes after it. */
static inline int canon_keys(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t n = a_len < b_len ? a_len : b_len;
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            return canon_key_weight((unsigned char)a[i]) - canon_key_weight((unsigned char)b[i]);
        }
    }
    return (a_len > b_len) - (a_len < b_len);
}

/* As buf_reserve, which is asked only where there is no room yet: appends are many and short. */
static inline char *canon_room(buf *out, size_t n) {
    return out->cap - out->len > n && out->limit == 0 && !out->failed ? out->data + out->len : buf_reserve(out, n);
}

/* Copies n bytes. Short ones, as most are, by at most two moves of a fixed size, which may overlap. */
static inline void canon_copy(char *to, const char *from, size_t n) {
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n < 4) {
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i];
        }
    } else if (n >= 16) {
        memcpy(to, from, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    }
}

/* In the high bit of each byte of x: is it escaped in a JSON string? It may be set, too, above one where it is
 * (Mycroft's test for zero bytes, three times). */
static inline uint64_t canon_escapes(uint64_t x) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = x ^ ones * '"', backslash = x ^ ones * '\\';
    return ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash);
}

static inline uint64_t canon_eight(const char *s) {
    uint64_t x;
    memcpy(&x, s, sizeof x);
    return x;
}

#define CANON_HIGH UINT64_C(0x8080808080808080)

/* Is one of the eight bytes at s escaped in a JSON string? */
static inline bool canon_any_escaped(const char *s) {
    return (canon_escapes(canon_eight(s)) & CANON_HIGH) != 0;
}

/* In the high bit of each of the eight bytes at s: is it escaped, or not ASCII? As in canon_escapes. */
static inline uint64_t canon_odd(const char *s) {
    uint64_t x = canon_eight(s);
    return (x | canon_escapes(x)) & CANON_HIGH;
}

static inline bool canon_any_odd(const char *s) {
    return canon_odd(s) != 0;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CANON_FIRST(odd)                                                                                               \
    ((size_t)__builtin_ctzll(odd) / 8) /* which byte is the first: none below it is set wrongly                        \
                                        */
#endif

/* How many bytes at s stand in a JSON string as they are, where they are UTF-8. */
static inline size_t canon_bare_length(const char *s, size_t n) {
    size_t i = 0;
    while (n - i >= sizeof(uint64_t) && !canon_any_escaped(s + i)) {
        i += sizeof(uint64_t);
    }
    while (i < n && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\') {
        i++;
    }
    return i;
}

/* How many of them, and are ASCII. */
static inline size_t canon_plain_length(const char *s, size_t n) {
    size_t i = 0;
    while (n - i >= sizeof(uint64_t) && !canon_any_odd(s + i)) {
        i += sizeof(uint64_t);
    }
    if (n >= sizeof(uint64_t) && n - i < sizeof(uint64_t) && !canon_any_odd(s + n - sizeof(uint64_t))) {
        return n; /* the last eight, some of them once more */
    }
    while (i < n && (unsigned char)s[i] >= 0x20 && (unsigned char)s[i] < 0x80 && s[i] != '"' && s[i] != '\\') {
        i++;
    }
    return i;
}

#endif
