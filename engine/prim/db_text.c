#include "prim/db_text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ARRAY_DEPTH_MAX 6 /* MAXDIM of the server */

void db_array_start(db_array *a, const char *text) {
    if (text[0] == '[') {
        const char *eq = strchr(text, '=');
        text = eq != NULL ? eq + 1 : text;
    }
    a->s = text;
    a->depth = 0;
    a->want_item = true;
}

static db_array_piece quoted_item(db_array *a, buf *item) {
    const char *s = a->s + 1;
    while (*s != '"') {
        if (*s == '\\') {
            s++;
        }
        if (*s == '\0') {
            return DB_ARRAY_BAD;
        }
        buf_putc(item, *s++);
    }
    a->s = s + 1;
    return item->failed ? DB_ARRAY_BAD : DB_ARRAY_ITEM;
}

static db_array_piece bare_item(db_array *a, buf *item) {
    bool escaped = false;
    while (*a->s != ',' && *a->s != '}') {
        if (*a->s == '\\') {
            a->s++;
            escaped = true;
        }
        if (*a->s == '\0' || *a->s == '{' || *a->s == '"') {
            return DB_ARRAY_BAD;
        }
        buf_putc(item, *a->s++);
    }
    if (item->failed || item->len == 0) {
        return DB_ARRAY_BAD;
    }
    return !escaped && strcasecmp(buf_str(item), "NULL") == 0 ? DB_ARRAY_NULL : DB_ARRAY_ITEM;
}

db_array_piece db_array_next(db_array *a, buf *item) {
    buf_reset(item);
    if (a->depth > 0 && !a->want_item && *a->s == ',') {
        a->s++;
        a->want_item = true;
    }
    char c = *a->s;
    if (a->depth == 0 && !a->want_item) {
        return c == '\0' ? DB_ARRAY_END : DB_ARRAY_BAD;
    }
    if (c == '{') {
        if (!a->want_item || a->depth == ARRAY_DEPTH_MAX) {
            return DB_ARRAY_BAD;
        }
        a->s++;
        a->depth++;
        a->want_item = *a->s != '}';
        return DB_ARRAY_OPEN;
    }
    if (a->depth == 0) {
        return DB_ARRAY_BAD;
    }
    if (c == '}') {
        if (a->want_item) {
            return DB_ARRAY_BAD;
        }
        a->s++;
        a->depth--;
        return DB_ARRAY_CLOSE;
    }
    if (!a->want_item) {
        return DB_ARRAY_BAD;
    }
    a->want_item = false;
    return c == '"' ? quoted_item(a, item) : bare_item(a, item);
}

int db_array_quote(buf *out, const char *s, size_t n) {
    buf_putc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\') {
            buf_putc(out, '\\');
        }
        buf_putc(out, s[i]);
    }
    return buf_putc(out, '"');
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back. H. Hinnant, "chrono-compatible
 * low-level date algorithms", days_from_civil and civil_from_days; for years 0 and later. */
static int64_t days_from_civil(int64_t y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void civil_from_days(int64_t z, int64_t *y, int *m, int *d) {
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *d = (int)(doy - (153 * mp + 2) / 5 + 1);
    *m = (int)(mp < 10 ? mp + 3 : mp - 9);
    *y = yoe + era * 400 + (*m <= 2);
}

/* Reads `digits` digits or more (up to `most`, at most 9) into *out; NULL when there are fewer. */
static const char *digits_of(const char *s, int digits, int most, int *out) {
    int n = 0;
    int v = 0;
    while (s[n] >= '0' && s[n] <= '9' && n < most) {
        v = v * 10 + (s[n++] - '0');
    }
    *out = v;
    return n >= digits ? s + n : NULL;
}

/* Two digits, as all parts of a time but the year have. */
static const char *number(const char *s, int *out) {
    return digits_of(s, 2, 2, out);
}

static const char *expect(const char *s, char c) {
    return s != NULL && *s == c ? s + 1 : NULL;
}

/* "+05:30:15" in seconds east of UTC. */
static const char *zone(const char *s, int *seconds) {
    int sign = *s == '+' ? 1 : *s == '-' ? -1 : 0;
    int part[3] = {0, 0, 0};
    if (sign == 0 || (s = number(s + 1, &part[0])) == NULL) {
        return NULL;
    }
    for (int i = 1; i < 3 && *s == ':'; i++) {
        if ((s = number(s + 1, &part[i])) == NULL) {
            return NULL;
        }
    }
    *seconds = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return s;
}

int db_rfc3339(const char *pg, char out[DB_RFC3339_MAX]) {
    if (strcmp(pg, "infinity") == 0 || strcmp(pg, "-infinity") == 0) {
        return 1;
    }
    int year, month, day, hour, minute, second, offset;
    const char *s = digits_of(pg, 4, 9, &year);
    s = expect(s, '-') != NULL ? number(s + 1, &month) : NULL;
    s = expect(s, '-') != NULL ? number(s + 1, &day) : NULL;
    s = expect(s, ' ') != NULL ? number(s + 1, &hour) : NULL;
    s = expect(s, ':') != NULL ? number(s + 1, &minute) : NULL;
    s = expect(s, ':') != NULL ? number(s + 1, &second) : NULL;
    if (s == NULL) {
        return -1;
    }
    const char *fraction = s;
    if (*s == '.') {
        s += 1 + strspn(s + 1, "0123456789");
    }
    int fraction_len = (int)(s - fraction);
    if (fraction_len > 7 || (s = zone(s, &offset)) == NULL) {
        return -1;
    }
    if (strcmp(s, " BC") == 0) {
        return 1;
    }
    if (*s != '\0') {
        return -1;
    }
    int64_t t = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    int64_t days = t >= 0 ? t / 86400 : (t - 86399) / 86400;
    int left = (int)(t - days * 86400);
    int64_t y;
    civil_from_days(days, &y, &month, &day);
    if (y < 0 || y > 9999) {
        return 1;
    }
    snprintf(out, DB_RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d%.*sZ", (int)y, month, day, left / 3600, left / 60 % 60,
             left % 60, fraction_len, fraction);
    return 0;
}
