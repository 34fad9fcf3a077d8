#include "run/lualex.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    lualex *out;
    const char *at;
    int line;
} reader;

static int add(reader *r, int kind, int line, const char *s, size_t n) {
    lualex *lx = r->out;
    if (lx->n == lx->cap) {
        size_t cap = lx->cap == 0 ? 256 : lx->cap * 2;
        lualex_token *grown = realloc(lx->list, cap * sizeof *grown);
        if (grown == NULL) {
            return -1;
        }
        lx->list = grown;
        lx->cap = cap;
    }
    lx->list[lx->n++] = (lualex_token){kind, line, s, n};
    return 0;
}

/* At "[": the level of a long bracket (number of "="), or -1 when it is none. */
static int long_level(const char *s) {
    int level = 0;
    for (s++; *s == '='; s++) {
        level++;
    }
    return *s == '[' ? level : -1;
}

/* Moves past a long bracket which opens at r->at; *from and *n become its content. */
static void read_long(reader *r, int level, const char **from, size_t *n) {
    r->at += level + 2;
    *from = r->at;
    while (*r->at != '\0') {
        if (*r->at == '\n') {
            r->line++;
        } else if (*r->at == ']') {
            int k = 0;
            while (r->at[1 + k] == '=') {
                k++;
            }
            if (k == level && r->at[1 + k] == ']') {
                *n = (size_t)(r->at - *from);
                r->at += level + 2;
                return;
            }
        }
        r->at++;
    }
    *n = (size_t)(r->at - *from);
}

static void skip_comment(reader *r) {
    r->at += 2;
    int level = *r->at == '[' ? long_level(r->at) : -1;
    if (level >= 0) {
        const char *from;
        size_t n;
        read_long(r, level, &from, &n);
        return;
    }
    r->at += strcspn(r->at, "\n");
}

static int read_short(reader *r) {
    char quote = *r->at++;
    const char *from = r->at;
    int line = r->line;
    while (*r->at != '\0' && *r->at != quote) {
        if (*r->at == '\\' && r->at[1] != '\0') {
            r->at++;
        }
        if (*r->at == '\n') {
            r->line++;
        }
        r->at++;
    }
    size_t n = (size_t)(r->at - from);
    if (*r->at == quote) {
        r->at++;
    }
    return add(r, T_STRING, line, from, n);
}

static int read_word(reader *r) {
    const char *from = r->at;
    int kind = isdigit((unsigned char)*from) ? T_NUMBER : T_NAME;
    while (isalnum((unsigned char)*r->at) || *r->at == '_' || (kind == T_NUMBER && *r->at == '.')) {
        r->at++;
    }
    return add(r, kind, r->line, from, (size_t)(r->at - from));
}

static int read_token(reader *r) {
    char c = *r->at;
    if (c == '\n') {
        r->line++;
        r->at++;
        return 0;
    }
    if (isspace((unsigned char)c)) {
        r->at++;
        return 0;
    }
    if (c == '-' && r->at[1] == '-') {
        skip_comment(r);
        return 0;
    }
    if (c == '"' || c == '\'') {
        return read_short(r);
    }
    if (c == '[' && long_level(r->at) >= 0) {
        int line = r->line;
        const char *from;
        size_t n;
        read_long(r, long_level(r->at), &from, &n);
        return add(r, T_LONG, line, from, n);
    }
    if (isalnum((unsigned char)c) || c == '_') {
        return read_word(r);
    }
    if (strchr("=~<>", c) != NULL && r->at[1] == '=') {
        r->at += 2;
        return add(r, T_COMPARE, r->line, r->at - 2, 2);
    }
    r->at++;
    return add(r, (unsigned char)c, r->line, r->at - 1, 1);
}

int lualex_read(lualex *lx, const char *source) {
    reader all = {.out = lx, .at = source, .line = 1};
    reader *r = &all;
    *lx = (lualex){0};
    if (*source == '#') { /* a script that is a program of its own: lua.c, luaL_loadfilex */
        r->at += strcspn(source, "\n");
    }
    while (*r->at != '\0') {
        if (read_token(r) != 0) {
            return -1;
        }
    }
    /* Several, so that who looks a few tokens ahead need not look for the end at each. */
    for (int i = 0; i < LUALEX_AHEAD; i++) {
        if (add(r, T_END, r->line, r->at, 0) != 0) {
            return -1;
        }
    }
    lx->n -= LUALEX_AHEAD - 1;
    return 0;
}

void lualex_free(lualex *lx) {
    free(lx->list);
    *lx = (lualex){0};
}

bool lualex_is(const lualex_token *t, const char *word) {
    return t->kind == T_NAME && strlen(word) == t->n && memcmp(t->s, word, t->n) == 0;
}

int lualex_block(const lualex_token *t) {
    if (lualex_is(t, "function") || lualex_is(t, "do") || lualex_is(t, "if") || lualex_is(t, "repeat")) {
        return 1;
    }
    return lualex_is(t, "end") || lualex_is(t, "until") ? -1 : 0;
}

int lualex_bracket(const lualex_token *t) {
    switch (t->kind) {
    case '(':
    case '{':
    case '[':
        return 1;
    case ')':
    case '}':
    case ']':
        return -1;
    default:
        return 0;
    }
}
