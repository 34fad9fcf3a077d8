/* JSON as the reports hold it, written into a buffer. Own code instead of jansson's, which calls back for every mark
 * and looks at each character by itself: a report of a hundred thousand findings has forty million. */
#include <stdint.h>
#include <string.h>

#include "run/report_parts.h"

/* The character that begins at s, which is valid UTF-8 (jansson holds no other), and its length. */
static uint32_t character(const unsigned char *s, size_t *len) {
    *len = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    uint32_t c = s[0] & (0x7FU >> *len);
    for (size_t i = 1; i < *len; i++) {
        c = c << 6 | (s[i] & 0x3F);
    }
    return c;
}

static void put_escape(buf *out, unsigned char c) {
    static const char PLAIN[] = "\"\\\b\f\n\r\t", NAMED[] = "\"\\bfnrt";
    const char *at = strchr(PLAIN, c);
    if (at != NULL && c != '\0') {
        buf_append(out, (char[]){'\\', NAMED[at - PLAIN]}, 2);
    } else {
        buf_printf(out, "\\u%04X", c);
    }
}

void report_put_string(buf *out, const char *text, size_t n, bool ascii) {
    const unsigned char *s = (const unsigned char *)text;
    size_t from = 0;
    buf_putc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' && (!ascii || s[i] < 0x80)) {
            continue;
        }
        buf_append(out, text + from, i - from);
        if (s[i] < 0x80) {
            put_escape(out, s[i]);
        } else {
            size_t len;
            uint32_t c = character(s + i, &len);
            if (c >= 0x10000) { /* RFC 8259 section 7: as a surrogate pair */
                buf_printf(out, "\\u%04X", (unsigned)(0xD800 + ((c - 0x10000) >> 10)));
                c = 0xDC00 + ((c - 0x10000) & 0x3FF);
            }
            buf_printf(out, "\\u%04X", (unsigned)c);
            i += len - 1;
        }
        from = i + 1;
    }
    buf_append(out, text + from, n - from);
    buf_putc(out, '"');
}

static void new_line(buf *out, int depth) {
    static const char BLANKS[] = "\n                                ";
    size_t n = 2 * (size_t)depth;
    buf_append(out, BLANKS, 1 + (n < sizeof BLANKS - 2 ? n : sizeof BLANKS - 2));
}

void report_put_json(buf *out, const json_t *value, int depth) {
    size_t i, n = 0;
    const char *key;
    json_t *one;
    char number[64];
    if (value == NULL) { /* there was no memory for it */
        out->failed = true;
        return;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        buf_putc(out, '{');
        json_object_foreach((json_t *)value, key, one) {
            if (n++ > 0) {
                buf_putc(out, ',');
            }
            new_line(out, depth + 1);
            report_put_string(out, key, strlen(key), false);
            buf_append(out, ": ", 2);
            report_put_json(out, one, depth + 1);
        }
        if (n > 0) {
            new_line(out, depth);
        }
        buf_putc(out, '}');
        break;
    case JSON_ARRAY:
        buf_putc(out, '[');
        json_array_foreach((json_t *)value, i, one) {
            if (i > 0) {
                buf_putc(out, ',');
            }
            new_line(out, depth + 1);
            report_put_json(out, one, depth + 1);
        }
        if (json_array_size(value) > 0) {
            new_line(out, depth);
        }
        buf_putc(out, ']');
        break;
    case JSON_STRING:
        report_put_string(out, json_string_value(value), json_string_length(value), false);
        break;
    default:
        n = json_dumpb(value, number, sizeof number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        buf_append(out, number, n <= sizeof number ? n : 0);
        out->failed = out->failed || n == 0 || n > sizeof number;
    }
}
