#include "run/keyline.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define DEPTH_MAX 100

/* Kinds of tokens; a punctuation character is its own kind. */
enum { T_NAME = 'n', T_STRING = 's', T_LONG = 'l', T_NUMBER = '0', T_COMPARE = 'c', T_END = 'e' };

typedef struct token {
    int kind;
    int line;
    const char *s; /* for strings: without the quotes */
    size_t n;
} token;

typedef struct reader {
    const char *at;
    int line;
    token *list; /* owned; ends with T_END */
    size_t n, cap;
} reader;

static int add(reader *r, int kind, int line, const char *s, size_t n) {
    if (r->n == r->cap) {
        size_t cap = r->cap == 0 ? 256 : r->cap * 2;
        token *grown = realloc(r->list, cap * sizeof *grown);
        if (grown == NULL) {
            return -1;
        }
        r->list = grown;
        r->cap = cap;
    }
    r->list[r->n++] = (token){kind, line, s, n};
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

static int read_all(reader *r, const char *source) {
    *r = (reader){.at = source, .line = 1};
    while (*r->at != '\0') {
        if (read_token(r) != 0) {
            return -1;
        }
    }
    return add(r, T_END, r->line, r->at, 0);
}

static bool is_word(const token *t, const char *word) {
    return t->kind == T_NAME && strlen(word) == t->n && memcmp(t->s, word, t->n) == 0;
}

/* How a token changes the depth of blocks: a `do` belongs to its `for` or `while`, so these do not count. */
static int block_step(const token *t) {
    if (is_word(t, "function") || is_word(t, "do") || is_word(t, "if") || is_word(t, "repeat")) {
        return 1;
    }
    return is_word(t, "end") || is_word(t, "until") ? -1 : 0;
}

static int bracket_step(const token *t) {
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

/* From i to the ",", ";" or "}" that ends a table's entry. */
static size_t skip_value(const reader *r, size_t i) {
    int depth = 0, blocks = 0;
    for (;; i++) {
        const token *t = &r->list[i];
        if (t->kind == T_END) {
            return i;
        }
        if (depth == 0 && blocks == 0 && (t->kind == ',' || t->kind == ';' || t->kind == '}')) {
            return i;
        }
        depth += bracket_step(t);
        blocks += block_step(t);
    }
}

/* A string token's text as Lua means it, for keys: simple escapes only; others stay as written and are then found by no
 * path. */
static char *token_text(const token *t) {
    buf b = BUF_INIT;
    for (size_t i = 0; i < t->n; i++) {
        if (t->kind == T_STRING && t->s[i] == '\\' && i + 1 < t->n && strchr("\"'\\", t->s[i + 1]) != NULL) {
            i++;
        }
        if (buf_putc(&b, t->s[i]) != 0) {
            break;
        }
    }
    return buf_steal(&b);
}

static json_t *node_new(int line) {
    return json_pack("{s:i, s:{}}", "line", line, "keys");
}

/* The entry's key: *key is owned by the caller (NULL: one that only running the code would tell). Returns where the
 * value starts. */
static size_t read_key(const reader *r, size_t i, int *position, char **key) {
    const token *t = &r->list[i];
    *key = NULL;
    if (t->kind == T_NAME && t[1].kind == '=') {
        *key = token_text(t);
        return i + 2;
    }
    if (t->kind == '[') {
        bool plain = t[1].kind == T_STRING || t[1].kind == T_LONG || t[1].kind == T_NUMBER;
        if (plain && t[2].kind == ']' && t[3].kind == '=') {
            *key = token_text(&t[1]);
            return i + 4;
        }
        int depth = 0;
        do {
            depth += bracket_step(&r->list[i]);
            i++;
        } while (depth > 0 && r->list[i].kind != T_END);
        return r->list[i].kind == '=' ? i + 1 : i;
    }
    buf b = BUF_INIT;
    buf_printf(&b, "%d", ++*position);
    *key = buf_steal(&b);
    return i;
}

/* Reads the constructor that opens at *i and moves *i past it. New reference, NULL out of memory. */
static json_t *read_table(const reader *r, size_t *i, int line, int depth) {
    json_t *node = node_new(line);
    json_t *keys = json_object_get(node, "keys");
    int position = 0;
    size_t at = *i + 1;
    while (node != NULL && r->list[at].kind != '}' && r->list[at].kind != T_END) {
        if (r->list[at].kind == ',' || r->list[at].kind == ';') {
            at++;
            continue;
        }
        int key_line = r->list[at].line;
        char *key = NULL;
        at = read_key(r, at, &position, &key);
        json_t *child =
            r->list[at].kind == '{' && depth < DEPTH_MAX ? read_table(r, &at, key_line, depth + 1) : node_new(key_line);
        if (child == NULL) {
            json_decref(node);
            node = NULL;
        } else if (key != NULL) {
            /* Fails for a key that is not UTF-8: it is no key of JSON either, so nothing will ask for it. */
            json_object_set(keys, key, child);
        }
        json_decref(child);
        free(key);
        at = skip_value(r, at);
    }
    *i = r->list[at].kind == T_END ? at : at + 1;
    return node;
}

/* The last `local NAME = …{` of that name before `until`: where its constructor opens, or 0. */
static size_t local_table(const reader *r, const token *name, size_t until) {
    size_t found = 0;
    for (size_t i = 0; i + 3 < until; i++) {
        const token *t = &r->list[i];
        bool same = t[1].kind == T_NAME && t[1].n == name->n && memcmp(t[1].s, name->s, name->n) == 0;
        if (!is_word(t, "local") || !same || t[2].kind != '=') {
            continue;
        }
        for (size_t k = i + 3; k < until && !is_word(&r->list[k], "local"); k++) {
            if (r->list[k].kind == '{') {
                found = k;
                break;
            }
        }
    }
    return found;
}

/* Where the constructor of the returned table opens, or 0: the first one after the chunk's own `return`, else that of
 * the local it names. */
static size_t find_root(const reader *r, int *line) {
    int blocks = 0;
    for (size_t i = 0; i + 1 < r->n; i++) {
        const token *t = &r->list[i];
        blocks += block_step(t);
        if (blocks != 0 || !is_word(t, "return")) {
            continue;
        }
        *line = t->line;
        const token *name = NULL;
        for (size_t k = i + 1; k < r->n; k++) {
            if (r->list[k].kind == '{') {
                return k;
            }
            if (r->list[k].kind == T_NAME) {
                name = &r->list[k];
            }
        }
        return name != NULL ? local_table(r, name, i) : 0;
    }
    return 0;
}

json_t *keyline_index(const char *source) {
    reader r;
    json_t *node = NULL;
    if (read_all(&r, source) == 0) {
        int line = 0;
        size_t i = find_root(&r, &line);
        node = i > 0 ? read_table(&r, &i, r.list[i].line, 0) : node_new(line);
    }
    free(r.list);
    return node;
}

/* The next step of a path into b ("a", "2", "x.y" for ["x.y"]). Returns what follows it, or NULL at the end. */
static const char *next_step(const char *path, buf *b) {
    buf_reset(b);
    if (*path == '\0') {
        return NULL;
    }
    if (*path != '[') {
        path += *path == '.';
        size_t n = strcspn(path, ".[");
        buf_append(b, path, n);
        return path + n;
    }
    path++;
    char end = *path == '"' ? '"' : ']';
    for (path += *path == '"'; *path != '\0' && *path != end; path++) {
        if (*path == '\\' && end == '"' && path[1] != '\0') {
            path++;
        }
        buf_putc(b, *path);
    }
    size_t n = strcspn(path, "]");
    return path + n + (path[n] == ']');
}

int keyline_find(const json_t *index, const char *path) {
    int line = (int)json_integer_value(json_object_get(index, "line"));
    buf step = BUF_INIT;
    while ((path = next_step(path, &step)) != NULL && !step.failed) {
        index = json_object_get(json_object_get(index, "keys"), buf_str(&step));
        if (index == NULL) {
            break;
        }
        line = (int)json_integer_value(json_object_get(index, "line"));
    }
    buf_free(&step);
    return line;
}
