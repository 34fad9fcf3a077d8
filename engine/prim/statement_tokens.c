/* statement_tokens.c: the lexer. */
#include <ctype.h>
#include <string.h>

#include "prim/statement.h"

static char peek(const tokens *s, size_t ahead) {
    return s->at + ahead < s->n ? s->sql[s->at + ahead] : '\0';
}

static bool is_word_start(char c) {
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word(char c) {
    return is_word_start(c) || isdigit((unsigned char)c) || c == '$';
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static void add(token *t, char c) {
    if (t->len + 1 < sizeof t->text) {
        t->text[t->len++] = c;
        t->text[t->len] = '\0';
    } else {
        t->cut = true;
    }
}

/* A comment in the C style, nested as SQL has it; the text may end within it. */
static void skip_block(tokens *s) {
    int depth = 0;
    while (s->at < s->n) {
        if (peek(s, 0) == '/' && peek(s, 1) == '*') {
            depth++;
            s->at += 2;
        } else if (peek(s, 0) == '*' && peek(s, 1) == '/') {
            depth--;
            s->at += 2;
        } else {
            s->at++;
        }
        if (depth == 0) {
            return;
        }
    }
}

static void skip_line(tokens *s) {
    while (s->at < s->n && s->sql[s->at] != '\n' && s->sql[s->at] != '\r') {
        s->at++;
    }
}

static void skip_blank(tokens *s) {
    while (s->at < s->n) {
        if (is_space(peek(s, 0)) || peek(s, 0) == '\0') {
            s->at++;
        } else if (peek(s, 0) == '-' && peek(s, 1) == '-') {
            skip_line(s);
        } else if (peek(s, 0) == '/' && peek(s, 1) == '*') {
            skip_block(s);
        } else {
            return;
        }
    }
}

/* Strings that only a line break stands between are one (scan.l, quotecontinue). Moves behind the second quote. */
static bool continues(tokens *s) {
    size_t saved = s->at;
    bool broken = false;
    while (s->at < s->n && (is_space(peek(s, 0)) || (peek(s, 0) == '-' && peek(s, 1) == '-'))) {
        broken = broken || peek(s, 0) == '\n' || peek(s, 0) == '\r';
        if (peek(s, 0) == '-') {
            skip_line(s);
        } else {
            s->at++;
        }
    }
    if (broken && peek(s, 0) == '\'') {
        s->at++;
        return true;
    }
    s->at = saved;
    return false;
}

/* Behind the opening quote. */
static void read_string(tokens *s, token *t, bool escapes) {
    t->kind = TOKEN_STRING;
    t->open = true;
    while (s->at < s->n) {
        char c = s->sql[s->at++];
        if (escapes && c == '\\' && s->at < s->n) {
            /* What it stands for does not matter here: the same text gives the same value. */
            add(t, '\\');
            add(t, s->sql[s->at++]);
        } else if (c != '\'') {
            add(t, c);
        } else if (peek(s, 0) == '\'') {
            add(t, '\'');
            s->at++;
        } else if (!continues(s)) {
            t->open = false;
            return;
        }
    }
}

static void read_quoted_word(tokens *s, token *t) {
    t->kind = TOKEN_WORD;
    t->quoted = t->open = true;
    while (s->at < s->n) {
        char c = s->sql[s->at++];
        if (c != '"') {
            add(t, c);
        } else if (peek(s, 0) == '"') {
            add(t, '"');
            s->at++;
        } else {
            t->open = false;
            return;
        }
    }
}

static const char *find(const char *where, size_t n, const char *what, size_t len) {
    return memmem(where, n, what, len);
}

/* $tag$ … $tag$ at s->at; false where it is none. */
static bool read_dollar(tokens *s, token *t) {
    size_t tag = 1;
    if (is_word_start(peek(s, tag))) {
        while (is_word(peek(s, tag)) && peek(s, tag) != '$') {
            tag++;
        }
    }
    if (peek(s, tag) != '$') {
        return false;
    }
    tag++;
    const char *from = s->sql + s->at + tag;
    size_t left = s->n - s->at - tag;
    const char *stop = find(from, left, s->sql + s->at, tag);
    size_t len = stop != NULL ? (size_t)(stop - from) : left;
    t->kind = TOKEN_STRING;
    t->dollar = true;
    t->open = stop == NULL;
    t->body = s->at + tag;
    t->body_end = t->body + len;
    for (size_t i = 0; i < len && !t->cut; i++) {
        add(t, from[i]);
    }
    s->at = t->body_end + (stop != NULL ? tag : 0);
    return true;
}

static void read_word(tokens *s, token *t) {
    t->kind = TOKEN_WORD;
    while (s->at < s->n && is_word(s->sql[s->at])) {
        char c = s->sql[s->at++];
        add(t, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

/* Digits with whatever letters and points follow: 1, 1.5, .5, 1e-9, 0x1F, 1_000. */
static void read_number(tokens *s, token *t) {
    t->kind = TOKEN_NUMBER;
    while (s->at < s->n) {
        char c = s->sql[s->at];
        bool sign = (c == '+' || c == '-') && (s->sql[s->at - 1] == 'e' || s->sql[s->at - 1] == 'E') && t->len > 1 &&
                    isdigit((unsigned char)peek(s, 1)) && memchr(t->text, 'x', t->len) == NULL;
        /* "1..10" in PL/pgSQL is two numbers. */
        bool point = c == '.' && peek(s, 1) != '.';
        if (!point && !sign && !isalnum((unsigned char)c) && c != '_') {
            return;
        }
        add(t, c);
        s->at++;
    }
}

/* A prefix letter (or u&) directly before a quote. Returns its length, or 0. */
static size_t string_prefix(const tokens *s) {
    char c = peek(s, 0);
    if (peek(s, 1) == '\'' && c != '\0' && strchr("eEbBxXnN", c) != NULL) {
        return 1;
    }
    return (c == 'u' || c == 'U') && peek(s, 1) == '&' && (peek(s, 2) == '\'' || peek(s, 2) == '"') ? 2 : 0;
}

static void read_prefixed(tokens *s, token *t, size_t prefix) {
    bool escapes = peek(s, 0) == 'e' || peek(s, 0) == 'E' ||
                   (prefix == 1 && strchr("nN", peek(s, 0)) != NULL && !s->standard_strings);
    s->at += prefix + 1;
    if (s->sql[s->at - 1] == '"') {
        read_quoted_word(s, t);
    } else {
        read_string(s, t, escapes);
    }
}

static void read_parameter(tokens *s, token *t) {
    t->kind = TOKEN_PARAMETER;
    add(t, '$');
    s->at++;
    while (isdigit((unsigned char)peek(s, 0))) {
        int digit = peek(s, 0) - '0';
        t->number = t->number < 100000 ? 10 * t->number + digit : 0;
        add(t, peek(s, 0));
        s->at++;
    }
}

void tokens_next(tokens *s, token *t) {
    skip_blank(s);
    t->kind = TOKEN_END;
    t->quoted = t->open = t->dollar = t->cut = false;
    t->start = s->at;
    t->number = 0;
    t->len = 0;
    t->text[0] = '\0';
    char c = peek(s, 0);
    size_t prefix = string_prefix(s);
    if (s->at >= s->n) {
        s->at = s->n;
    } else if (prefix > 0) {
        read_prefixed(s, t, prefix);
    } else if (c == '\'') {
        s->at++;
        read_string(s, t, !s->standard_strings);
    } else if (c == '"') {
        s->at++;
        read_quoted_word(s, t);
    } else if (c == '$' && isdigit((unsigned char)peek(s, 1))) {
        read_parameter(s, t);
    } else if (c == '$' && read_dollar(s, t)) {
        /* done */
    } else if (is_word_start(c)) {
        read_word(s, t);
    } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)peek(s, 1)))) {
        read_number(s, t);
    } else {
        t->kind = TOKEN_OTHER;
        add(t, c);
        s->at++;
        if ((c == ':' && (peek(s, 0) == ':' || peek(s, 0) == '=')) || (c == '.' && peek(s, 0) == '.')) {
            add(t, peek(s, 0));
            s->at++;
        }
    }
    t->end = s->at;
}
