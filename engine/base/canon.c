#include "base/canon.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon_quick.h"
#include "base/canon_write.h"
#include "base/mem.h"
#include "base/text.h"

#define EXACT_MAX 9007199254740992.0 /* 2^53: every integer up to here is a double of its own */
#define SURE_INTEGER INT64_C(9007199254740992)
#define DIGITS_MAX 17 /* as many always tell one double from the next */

/* A positive double in decimal: 0.DDDD × 10^point, no zero at the end of the digits. */
typedef struct decimal {
    char digits[DIGITS_MAX + 2];
    int count;
    int point;
} decimal;

/* The double which these digits mean. Without a decimal point in the text no locale can change how it is read. */
static double decimal_value(const decimal *d) {
    char text[48];
    snprintf(text, sizeof text, "%.*se%d", d->count, d->digits, d->point - d->count);
    return strtod(text, NULL);
}

/* value rounded to `count` digits, exactly and to even as glibc does. */
static void round_to(double value, int count, decimal *d) {
    char text[48];
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    d->count = 0;
    const char *p = text;
    for (; *p != 'e'; p++) { /* skips the decimal point, whichever the locale writes */
        if (*p >= '0' && *p <= '9') {
            d->digits[d->count++] = *p;
        }
    }
    d->point = (int)strtol(p + 1, NULL, 10) + 1;
}

/* The next larger decimal of the same length. */
static void step_up(decimal *d) {
    int i = d->count - 1;
    while (i >= 0 && d->digits[i] == '9') {
        d->digits[i--] = '0';
    }
    if (i >= 0) {
        d->digits[i]++;
    } else {
        d->digits[0] = '1';
        d->point++;
    }
}

/* The shortest digits that mean this very double and no other, of those the nearest (ECMA-262, Number::toString step
 * 5).
 *
 * Any decimal of up to 15 digits survives the way through a normal double (DBL_DIG), so the shortest one, if it has at
 * most 15, is what rounding to 15 gives without its zeros; subnormals hold fewer and are tried from one digit on. At a
 * power of two the gap below is half the gap above: the nearest decimal of 16 digits may then mean the neighbour below
 * while the next one up still means this double (2^-44 is 5.684341886080802e-14). */
static void shortest(double value, decimal *d) {
    int first = value < 0x1p-1022 ? 1 : 15;
    for (int count = first; count <= DIGITS_MAX; count++) {
        round_to(value, count, d);
        if (decimal_value(d) == value) {
            break;
        }
        step_up(d);
        if (decimal_value(d) == value) {
            break;
        }
    }
    while (d->count > 1 && d->digits[d->count - 1] == '0') {
        d->count--;
    }
}

/* Writes a decimal as ECMA-262 Number::toString steps 6 to 10 do. */
static int lay_out(const decimal *d, bool negative, char out[CANON_NUMBER_MAX]) {
    const char *sign = negative ? "-" : "";
    int n = d->point;
    int k = d->count;
    if (k <= n && n <= 21) {
        return snprintf(out, CANON_NUMBER_MAX, "%s%.*s%.*s", sign, k, d->digits, n - k, "00000000000000000000");
    }
    if (0 < n && n <= 21) {
        return snprintf(out, CANON_NUMBER_MAX, "%s%.*s.%.*s", sign, n, d->digits, k - n, d->digits + n);
    }
    if (-6 < n && n <= 0) {
        return snprintf(out, CANON_NUMBER_MAX, "%s0.%.*s%.*s", sign, -n, "00000", k, d->digits);
    }
    if (k == 1) {
        return snprintf(out, CANON_NUMBER_MAX, "%s%ce%+d", sign, d->digits[0], n - 1);
    }
    return snprintf(out, CANON_NUMBER_MAX, "%s%c.%.*se%+d", sign, d->digits[0], k - 1, d->digits + 1, n - 1);
}

/* The digits of a whole number, with a point before the last `fraction` of them (0 = none). */
static int lay_out_whole(uint64_t m, int fraction, bool negative, char out[CANON_NUMBER_MAX]) {
    char digits[CANON_NUMBER_MAX];
    char *const end = digits + sizeof digits;
    char *at = end;
    for (int i = 0; i < fraction; i++, m /= 10) {
        *--at = (char)('0' + m % 10);
    }
    if (fraction > 0) {
        *--at = '.';
    }
    do {
        *--at = (char)('0' + m % 10);
        m /= 10;
    } while (m > 0);
    if (negative) {
        *--at = '-';
    }
    size_t n = (size_t)(end - at);
    memcpy(out, at, n);
    out[n] = '\0';
    return (int)n;
}

/* Most fractions that anybody writes have few digits: where m / 10^k with m of at most 15 digits is this very double,
 * the one with the smallest k is its shortest form, since no two decimals of up to 15 digits are one double (DBL_DIG).
 * Both are exact doubles, and so their quotient is rounded as the decimal itself would be (Clinger, "How to read
 * floating point numbers accurately", 1990). Returns the length, or 0 where it has more digits or is written otherwise.
 */
static int lay_out_few(double size, bool negative, char out[CANON_NUMBER_MAX]) {
    static const double TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10,
                                 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21};
    if (size < 1e-6) {
        return 0;
    }
    for (int k = 1; k < (int)(sizeof TEN / sizeof TEN[0]); k++) {
        double scaled = size * TEN[k];
        if (scaled >= 1e15 - 1) {
            break;
        }
        uint64_t m = (uint64_t)(scaled + 0.5);
        if ((double)m / TEN[k] == size) {
            return lay_out_whole(m, k, negative, out);
        }
    }
    return 0;
}

int canon_number(double value, char out[CANON_NUMBER_MAX]) {
    if (!isfinite(value)) {
        out[0] = '\0';
        return -1;
    }
    double size = fabs(value);
    if (size <= EXACT_MAX && size == (double)(uint64_t)size) { /* and -0 is written 0 */
        return lay_out_whole((uint64_t)size, 0, value < 0, out);
    }
    int n = lay_out_few(size, value < 0, out);
    if (n > 0) {
        return n;
    }
    decimal d;
    shortest(size, &d);
    return lay_out(&d, value < 0, out);
}

/* May an integer be written as this double? When the double holds it exactly, or when the double's own canonical form
 * is these very digits: canonical text read again must give itself. `text` is an optional "-" and digits. */
static bool integer_fits(const char *text, size_t n) {
    size_t digits = n - (text[0] == '-');
    if (digits <= 15) {
        return true;
    }
    char plain[512];
    if (n >= sizeof plain) {
        return false; /* a double has at most 309 */
    }
    memcpy(plain, text, n);
    plain[n] = '\0';
    double value = strtod(plain, NULL);
    char form[CANON_NUMBER_MAX];
    if (canon_number(value, form) < 0) {
        return false;
    }
    char exact[512];
    snprintf(exact, sizeof exact, "%.0f", value);
    return strcmp(exact, plain) == 0 || strcmp(form, plain) == 0;
}

static int refuse_integer(const char *text, size_t n, err *e) {
    err_set(e, "json_number", "the integer %.*s%s is not one that every JSON reader keeps: a double cannot hold it",
            n > 40 ? 40 : (int)n, text, n > 40 ? "…" : "");
    return err_fix(e, "write it as a string, or keep it within ±9007199254740992");
}

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "out of memory while writing canonical JSON");
}

static int put_escaped(buf *out, const char *s, size_t n) {
    static const char short_form[] = "\b\t\n\f\r\"\\";
    static const char letter[] = "btnfr\"\\";
    int rc = buf_putc(out, '"');
    size_t plain = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        rc = buf_append(out, s + plain, i - plain);
        plain = i + 1;
        const char *at = c != 0 ? strchr(short_form, c) : NULL;
        if (rc == 0) {
            rc = at != NULL ? buf_printf(out, "\\%c", letter[at - short_form]) : buf_printf(out, "\\u%04x", c);
        }
    }
    return rc == 0 && buf_append(out, s + plain, n - plain) == 0 ? buf_putc(out, '"') : -1;
}

int canon_string(buf *out, const char *s, size_t n, err *e) {
    size_t start = out->len;
    size_t plain = canon_plain_length(s, n);
    if (plain < n && !text_utf8_valid(s + plain, n - plain)) {
        return err_set(e, "json_utf8", "a text is not UTF-8");
    }
    if (plain < n && canon_bare_length(s, n) < n) {
        if (put_escaped(out, s, n) == 0) {
            return 0;
        }
        out->len = start;
        return no_memory(e);
    }
    char *at = canon_room(out, n + 2);
    if (at == NULL) {
        return no_memory(e);
    }
    at[0] = '"';
    canon_copy(at + 1, s, n);
    at[n + 1] = '"';
    at[n + 2] = '\0';
    out->len += n + 2;
    return 0;
}

typedef struct member {
    const char *key;
    size_t len;
    const json_t *value;
} member;

static int by_utf16(const void *left, const void *right) {
    const member *a = left;
    const member *b = right;
    return canon_keys(a->key, a->len, b->key, b->len);
}

/* How a value is written: canonically, or plainly. */
typedef struct writer {
    buf *out;
    err *e;
    bool plain;
    int indent; /* spaces a level; 0 = one line */
} writer;

static int put(const writer *w, const char *s, size_t n) {
    return buf_append(w->out, s, n) == 0 ? 0 : no_memory(w->e);
}

static int new_line(const writer *w, int depth) {
    static const char blank[] = "                                ";
    if (w->indent == 0) {
        return 0;
    }
    int rc = put(w, "\n", 1);
    for (size_t left = (size_t)w->indent * (size_t)depth; left > 0 && rc == 0;) {
        size_t n = left < sizeof blank - 1 ? left : sizeof blank - 1;
        rc = put(w, blank, n);
        left -= n;
    }
    return rc;
}

/* What stands before the item `i` of an array or object whose content is at `depth`. */
static int before_item(const writer *w, size_t i, int depth) {
    int rc = i > 0 ? put(w, ",", 1) : 0;
    return rc == 0 ? new_line(w, depth) : rc;
}

static int close_with(const writer *w, const char *bracket, size_t count, int depth) {
    int rc = count > 0 ? new_line(w, depth) : 0;
    return rc == 0 ? put(w, bracket, 1) : rc;
}

static int write_value(const writer *w, const json_t *v, int depth);

static int write_members(const writer *w, const member *members, size_t n, int depth) {
    int rc = put(w, "{", 1);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = before_item(w, i, depth);
        if (rc == 0) {
            rc = canon_string(w->out, members[i].key, members[i].len, w->e);
        }
        if (rc == 0) {
            rc = w->indent > 0 ? put(w, ": ", 2) : put(w, ":", 1);
        }
        if (rc == 0) {
            rc = write_value(w, members[i].value, depth + 1);
        }
    }
    return rc == 0 ? close_with(w, "}", n, depth - 1) : rc;
}

static int write_object(const writer *w, const json_t *v, int depth) {
    size_t count = json_object_size(v);
    member *members = count > 0 ? calloc(count, sizeof *members) : NULL;
    if (count > 0 && members == NULL) {
        return no_memory(w->e);
    }
    json_t *object = (json_t *)v; /* jansson's iterator takes it non-const and does not change it */
    size_t n = 0;
    for (void *it = json_object_iter(object); it != NULL && n < count; it = json_object_iter_next(object, it)) {
        members[n++] = (member){json_object_iter_key(it), json_object_iter_key_len(it), json_object_iter_value(it)};
    }
    if (n > 1) {
        qsort(members, n, sizeof *members, by_utf16);
    }
    int rc = write_members(w, members, n, depth);
    free(members);
    return rc;
}

static int write_array(const writer *w, const json_t *v, int depth) {
    size_t n = json_array_size(v);
    int rc = put(w, "[", 1);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = before_item(w, i, depth);
        if (rc == 0) {
            rc = write_value(w, json_array_get(v, i), depth + 1);
        }
    }
    return rc == 0 ? close_with(w, "]", n, depth - 1) : rc;
}

int canon_integer(buf *out, int64_t value, err *e) {
    char text[CANON_NUMBER_MAX];
    bool sure = value > -SURE_INTEGER && value < SURE_INTEGER;
    if (!sure) {
        int n = snprintf(text, sizeof text, "%lld", (long long)value);
        if (!integer_fits(text, (size_t)n)) {
            return refuse_integer(text, (size_t)n, e);
        }
    }
    char *at = canon_room(out, CANON_NUMBER_MAX);
    if (at == NULL) {
        return no_memory(e);
    }
    /* Both end what they write with a zero. */
    out->len += (size_t)(sure ? lay_out_whole((uint64_t)(value < 0 ? -value : value), 0, value < 0, at)
                              : canon_number((double)value, at));
    return 0;
}

static int write_integer(const writer *w, json_int_t value) {
    char text[CANON_NUMBER_MAX];
    if (!w->plain) {
        return canon_integer(w->out, value, w->e);
    }
    return put(w, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

static int write_real(const writer *w, double value) {
    char text[CANON_NUMBER_MAX];
    int n = canon_number(value, text);
    if (n < 0) {
        return err_set(w->e, "json_number", "a number is %s, which JSON does not have",
                       isnan(value) ? "NaN" : "infinite");
    }
    int rc = w->plain && value == 0 && signbit(value) ? put(w, "-", 1) : 0;
    if (rc == 0) {
        rc = put(w, text, (size_t)n);
    }
    return rc == 0 && w->plain && strpbrk(text, ".e") == NULL ? put(w, ".0", 2) : rc;
}

/* `depth` counts from 1: the level of what is inside v. */
static int write_value(const writer *w, const json_t *v, int depth) {
    if (depth > CANON_DEPTH_MAX && (json_is_array(v) || json_is_object(v))) {
        return err_set(w->e, "json_depth", "the JSON is nested deeper than %d levels", CANON_DEPTH_MAX);
    }
    switch (json_typeof(v)) {
    case JSON_NULL:
        return put(w, "null", 4);
    case JSON_TRUE:
        return put(w, "true", 4);
    case JSON_FALSE:
        return put(w, "false", 5);
    case JSON_INTEGER:
        return write_integer(w, json_integer_value(v));
    case JSON_REAL:
        return write_real(w, json_real_value(v));
    case JSON_STRING:
        return canon_string(w->out, json_string_value(v), json_string_length(v), w->e);
    case JSON_ARRAY:
        return write_array(w, v, depth);
    case JSON_OBJECT:
        return write_object(w, v, depth);
    }
    return err_set(w->e, "json_syntax", "a value of no JSON type");
}

static int write_whole(const writer *w, const json_t *value) {
    size_t start = w->out->len;
    if (value == NULL) {
        return err_set(w->e, "json_syntax", "there is no value");
    }
    int rc = write_value(w, value, 1);
    if (rc != 0 && w->out->data != NULL) { /* nobody may hash half a value */
        w->out->len = start;
        w->out->data[start] = '\0';
    }
    return rc;
}

int canon_value(buf *out, const json_t *value, err *e) {
    writer w = {.out = out, .e = e};
    return write_whole(&w, value);
}

int canon_plain(buf *out, const json_t *value, int indent, err *e) {
    writer w = {.out = out, .e = e, .plain = true, .indent = indent};
    return write_whole(&w, value);
}

/* Past the string that opens at i. */
static size_t skip_string(const char *text, size_t n, size_t i) {
    for (i++; i < n && text[i] != '"'; i++) {
        i += text[i] == '\\';
    }
    return i + 1;
}

/* Looks at every integer of a text that is known to be JSON, since jansson rounds the large ones. */
static int check_integers(const char *text, size_t n, err *e) {
    for (size_t i = 0; i < n;) {
        if (text[i] == '"') {
            i = skip_string(text, n, i);
            continue;
        }
        if (text[i] != '-' && !(text[i] >= '0' && text[i] <= '9')) {
            i++;
            continue;
        }
        size_t start = i;
        bool whole = true;
        for (; i < n && text[i] != '\0' && strchr("-+.eE0123456789", text[i]) != NULL; i++) {
            whole = whole && text[i] != '.' && text[i] != 'e' && text[i] != 'E';
        }
        if (whole && !integer_fits(text + start, i - start)) {
            return refuse_integer(text + start, i - start, e);
        }
    }
    return 0;
}

static int refuse_text(const json_error_t *why, err *e) {
    const char *code = "json_syntax";
    /* jansson says something about every text it refuses, but not when memory runs out. */
    if (why->text[0] == '\0' || json_error_code(why) == json_error_out_of_memory) {
        return no_memory(e);
    }
    switch (json_error_code(why)) {
    case json_error_duplicate_key:
        code = "json_duplicate_key";
        break;
    case json_error_numeric_overflow:
        code = "json_number";
        break;
    case json_error_stack_overflow:
        code = "json_depth";
        break;
    case json_error_invalid_utf8:
        code = "json_utf8";
        break;
    case json_error_out_of_memory:
        return no_memory(e);
    default:
        break;
    }
    return err_set(e, code, "line %d, column %d: %s", why->line, why->column, why->text);
}

/* Levels of nesting, counted no further than one past the bound. */
static int depth_of(const json_t *v, int left) {
    int deepest = 0;
    size_t i;
    json_t *item;
    if (left == 0) {
        return 1;
    }
    if (json_is_array(v)) {
        json_array_foreach(v, i, item) {
            int d = depth_of(item, left - 1);
            deepest = d > deepest ? d : deepest;
        }
        return deepest + 1;
    }
    if (json_is_object(v)) {
        json_t *object = (json_t *)v;
        for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it)) {
            int d = depth_of(json_object_iter_value(it), left - 1);
            deepest = d > deepest ? d : deepest;
        }
        return deepest + 1;
    }
    return 0;
}

static json_t *parse(const char *text, size_t n, size_t flags, err *e) {
    json_error_t why;
    json_t *value = mem_json(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL | flags, &why);
    if (value == NULL) {
        refuse_text(&why, e);
        return NULL;
    }
    if (depth_of(value, CANON_DEPTH_MAX + 1) > CANON_DEPTH_MAX) {
        json_decref(value);
        err_set(e, "json_depth", "the JSON is nested deeper than %d levels", CANON_DEPTH_MAX);
        return NULL;
    }
    return value;
}

json_t *canon_parse(const char *text, size_t n, err *e) {
    return parse(text, n, 0, e);
}

int canon_text(buf *out, const char *text, size_t n, err *e) {
    buf quick = BUF_INIT;
    if (canon_quick(&quick, text, n)) {
        if (out->data == NULL && out->limit == 0 && out->drain == NULL) {
            *out = quick; /* what is large need not be copied */
            return 0;
        }
        int rc = buf_append(out, quick.data, quick.len) == 0 ? 0 : no_memory(e);
        buf_free(&quick);
        return rc;
    }
    buf_free(&quick);
    json_t *value = parse(text, n, JSON_DECODE_INT_AS_REAL, e);
    if (value == NULL) {
        return -1;
    }
    int rc = check_integers(text, n, e);
    if (rc == 0) {
        rc = canon_value(out, value, e);
    }
    json_decref(value);
    return rc;
}
