#include "base/xml.h"

#include <string.h>

/* XML 1.0 section 2.2: the bytes of s that make one character which no document may hold, or 0. */
static size_t forbidden(const unsigned char *s) {
    if (s[0] < 0x20 && s[0] != '\n' && s[0] != '\t' && s[0] != '\r') {
        return 1;
    }
    return s[0] == 0xEF && s[1] == 0xBF && (s[2] == 0xBE || s[2] == 0xBF) ? 3 : 0;
}

/* May it need a second look? Everything else is copied as it is. */
static bool marked(unsigned char c) {
    return c < 0x20 || c == '&' || c == '<' || c == '>' || c == '"' || c == 0xEF;
}

static void put_escaped(buf *out, const char *text, bool attribute) {
    for (const char *s = text;; s++) {
        const char *from = s;
        while (!marked((unsigned char)*s)) {
            s++;
        }
        buf_append(out, from, (size_t)(s - from));
        if (*s == '\0') {
            return;
        }
        size_t bad = forbidden((const unsigned char *)s);
        if (bad > 0) {
            buf_putc(out, '?');
            s += bad - 1;
        } else if (*s == '&') {
            buf_puts(out, "&amp;");
        } else if (*s == '<') {
            buf_puts(out, "&lt;");
        } else if (*s == '>') {
            buf_puts(out, "&gt;");
        } else if (*s == '"' && attribute) {
            buf_puts(out, "&quot;");
        } else if (*s == '\r' || (attribute && (*s == '\n' || *s == '\t'))) {
            buf_printf(out, "&#%d;", *s);
        } else {
            buf_putc(out, *s);
        }
    }
}

static void end_tag(xml *x) {
    if (x->in_tag) {
        buf_putc(x->out, '>');
        x->in_tag = false;
    }
}

void xml_begin(xml *x, buf *out) {
    *x = (xml){.out = out};
    buf_puts(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>");
}

void xml_open(xml *x, const char *name) {
    end_tag(x);
    if (x->depth >= XML_DEPTH_MAX) {
        x->out->failed = true; /* a mistake of the caller: no document rather than a wrong one */
        return;
    }
    x->open[x->depth++] = name;
    x->in_tag = true;
    x->text = false;
    buf_printf(x->out, "\n<%s", name);
}

void xml_attribute(xml *x, const char *name, const char *value) {
    buf_printf(x->out, " %s=\"", name);
    put_escaped(x->out, value, true);
    buf_putc(x->out, '"');
}

void xml_text(xml *x, const char *text) {
    end_tag(x);
    x->text = true;
    put_escaped(x->out, text, false);
}

void xml_close(xml *x) {
    if (x->depth == 0) {
        x->out->failed = true;
        return;
    }
    const char *name = x->open[--x->depth];
    if (x->in_tag) {
        buf_puts(x->out, " />");
        x->in_tag = false;
    } else {
        buf_printf(x->out, "%s</%s>", x->text ? "" : "\n", name);
    }
    x->text = false;
    if (x->depth == 0) {
        buf_putc(x->out, '\n');
    }
}
