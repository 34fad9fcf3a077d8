#include "prim/db_decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int decimal_read(const char *text, decimal *out) {
    out->negative = *text == '-';
    text += *text == '-' || *text == '+';
    size_t n = strspn(text, "0123456789");
    const char *point = text + n;
    size_t f = *point == '.' ? strspn(point + 1, "0123456789") : 0;
    if (n + f == 0 || point[*point == '.' ? 1 + f : 0] != '\0') {
        return -1;
    }
    while (n > 0 && *text == '0') {
        text++;
        n--;
    }
    out->whole = text;
    out->n_whole = n;
    out->fraction = point + 1;
    while (f > 0 && out->fraction[f - 1] == '0') {
        f--;
    }
    out->n_fraction = f;
    if (n == 0 && f == 0) {
        out->negative = false;
    }
    return 0;
}

static int compare_size(const decimal *a, const decimal *b) {
    if (a->n_whole != b->n_whole) {
        return a->n_whole < b->n_whole ? -1 : 1;
    }
    int c = memcmp(a->whole, b->whole, a->n_whole);
    if (c == 0) {
        size_t shorter = a->n_fraction < b->n_fraction ? a->n_fraction : b->n_fraction;
        c = shorter > 0 ? memcmp(a->fraction, b->fraction, shorter) : 0;
        if (c == 0) { /* no trailing zeros: the longer fraction is the greater one */
            return a->n_fraction == b->n_fraction ? 0 : a->n_fraction < b->n_fraction ? -1 : 1;
        }
    }
    return c < 0 ? -1 : 1;
}

int decimal_compare(const decimal *a, const decimal *b) {
    if (a->negative != b->negative) {
        return a->negative ? -1 : 1;
    }
    return a->negative ? compare_size(b, a) : compare_size(a, b);
}

bool decimal_int64(const decimal *d, int64_t *out) {
    if (d->n_fraction > 0 || d->n_whole > 19) {
        return false;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < d->n_whole; i++) { /* 19 digits fit 64 bits unsigned */
        v = v * 10 + (uint64_t)(d->whole[i] - '0');
    }
    uint64_t most = (uint64_t)INT64_MAX + (d->negative ? 1 : 0);
    if (v > most) {
        return false;
    }
    *out = d->negative ? (v == most ? INT64_MIN : -(int64_t)v) : (int64_t)v;
    return true;
}

void decimal_of_double(double v, char *out) {
    /* The least subnormal has 1074 digits behind the point, the greatest double 309 before it; glibc prints them all
     * exactly. */
    snprintf(out, DECIMAL_DOUBLE_MAX, "%.1074f", v);
}

bool decimal_double(const decimal *d, const char *text, double *out) {
    *out = strtod(text, NULL);
    if (!isfinite(*out)) {
        return false;
    }
    /* A binary fraction's last decimal digit is always a 5, so most decimals are seen not to be one at once. */
    if (d->n_fraction > 0 && d->fraction[d->n_fraction - 1] != '5') {
        return false;
    }
    char digits[DECIMAL_DOUBLE_MAX];
    decimal exact;
    decimal_of_double(*out, digits);
    return decimal_read(digits, &exact) == 0 && decimal_compare(d, &exact) == 0;
}
