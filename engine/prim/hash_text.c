/* hash_text.c: hexadecimal and base64 (RFC 4648). Reading is strict: one byte string has one spelling, since what is
 * compared or signed must not have two. */
#include <stdint.h>
#include <string.h>

#include "prim/hash.h"

int hash_hex(buf *out, const void *bytes, size_t n) {
    static const char digit[] = "0123456789abcdef";
    const unsigned char *b = bytes;
    char *at = n <= SIZE_MAX / 2 ? buf_reserve(out, 2 * n) : NULL;
    if (at == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        at[2 * i] = digit[b[i] >> 4];
        at[2 * i + 1] = digit[b[i] & 15];
    }
    at[2 * n] = '\0';
    out->len += 2 * n;
    return 0;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hash_unhex(buf *out, const char *text, size_t n, err *e) {
    if (n % 2 != 0) {
        return err_set(e, "hash_text", "hexadecimal text has an odd number of digits, %zu", n);
    }
    char *at = buf_reserve(out, n / 2);
    if (at == NULL) {
        return err_set(e, "out_of_memory", "out of memory while reading hexadecimal text");
    }
    for (size_t i = 0; i < n; i++) {
        int v = hex_value(text[i]);
        if (v < 0) {
            return err_set(e, "hash_text", "hexadecimal text: byte %zu is no digit from 0 to f", i + 1);
        }
        at[i / 2] = (char)(i % 2 == 0 ? v << 4 : (unsigned char)at[i / 2] | v);
    }
    at[n / 2] = '\0';
    out->len += n / 2;
    return 0;
}

static const char *alphabet(bool url) {
    return url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
               : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

int hash_base64(buf *out, const void *bytes, size_t n, bool url) {
    const unsigned char *b = bytes;
    const char *letter = alphabet(url);
    char *at = n <= SIZE_MAX / 2 ? buf_reserve(out, (n + 2) / 3 * 4) : NULL;
    if (at == NULL) {
        return -1;
    }
    char *start = at;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v =
            (uint32_t)b[i] << 16 | (have > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (have > 2 ? (uint32_t)b[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) {
            if (k <= have) {
                *at++ = letter[v >> (18 - 6 * k) & 63];
            } else if (!url) {
                *at++ = '=';
            }
        }
    }
    *at = '\0';
    out->len += (size_t)(at - start);
    return 0;
}

int hash_unbase64(buf *out, const char *text, size_t n, bool url, err *e) {
    const char *letter = alphabet(url);
    if (!url) {
        if (n % 4 != 0) {
            return err_set(e, "hash_text", "base64 text has %zu characters, not a multiple of 4", n);
        }
        n -= n > 0 && text[n - 1] == '=';
        n -= n > 0 && n % 4 == 3 && text[n - 1] == '=';
    }
    if (n % 4 == 1) {
        return err_set(e, "hash_text", "base64 text ends in the middle of a byte");
    }
    size_t size = n / 4 * 3 + (n % 4 > 0 ? n % 4 - 1 : 0);
    char *at = buf_reserve(out, size);
    if (at == NULL) {
        return err_set(e, "out_of_memory", "out of memory while reading base64 text");
    }
    uint32_t bits = 0;
    size_t wrote = 0;
    for (size_t i = 0; i < n; i++) {
        const char *p = text[i] != '\0' ? strchr(letter, text[i]) : NULL;
        if (p == NULL) {
            return err_set(e, "hash_text", "base64 text: byte %zu is not of its alphabet", i + 1);
        }
        bits = bits << 6 | (uint32_t)(p - letter);
        if (i % 4 != 0) {
            at[wrote++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xFF);
        }
    }
    /* The bits which no byte uses must be zero (RFC 4648 section 3.5). */
    uint32_t spare = n % 4 == 2 ? bits & 15 : n % 4 == 3 ? bits & 3 : 0;
    if (spare != 0) {
        return err_set(e, "hash_text", "base64 text ends in bits that belong to no byte");
    }
    at[size] = '\0';
    out->len += size;
    return 0;
}
