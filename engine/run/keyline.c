#include "run/keyline.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "run/lualex.h"

#define DEPTH_MAX 100

/* From i to the ",", ";" or "}" that ends a table's entry. */
static size_t skip_value(const lualex *r, size_t i) {
    int depth = 0, blocks = 0;
    for (;; i++) {
        const lualex_token *t = &r->list[i];
        if (t->kind == T_END) {
            return i;
        }
        if (depth == 0 && blocks == 0 && (t->kind == ',' || t->kind == ';' || t->kind == '}')) {
            return i;
        }
        depth += lualex_bracket(t);
        blocks += lualex_block(t);
    }
}

/* A string token's text as Lua means it, for keys: simple escapes only; others stay as written and are then found by no
 * path. */
static char *token_text(const lualex_token *t) {
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
static size_t read_key(const lualex *r, size_t i, int *position, char **key) {
    const lualex_token *t = &r->list[i];
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
            depth += lualex_bracket(&r->list[i]);
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
static json_t *read_table(const lualex *r, size_t *i, int line, int depth) {
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
static size_t local_table(const lualex *r, const lualex_token *name, size_t until) {
    size_t found = 0;
    for (size_t i = 0; i + 3 < until; i++) {
        const lualex_token *t = &r->list[i];
        bool same = t[1].kind == T_NAME && t[1].n == name->n && memcmp(t[1].s, name->s, name->n) == 0;
        if (!lualex_is(t, "local") || !same || t[2].kind != '=') {
            continue;
        }
        for (size_t k = i + 3; k < until && !lualex_is(&r->list[k], "local"); k++) {
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
static size_t find_root(const lualex *r, int *line) {
    int blocks = 0;
    for (size_t i = 0; i + 1 < r->n; i++) {
        const lualex_token *t = &r->list[i];
        blocks += lualex_block(t);
        if (blocks != 0 || !lualex_is(t, "return")) {
            continue;
        }
        *line = t->line;
        const lualex_token *name = NULL;
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
    lualex r = {0};
    json_t *node = NULL;
    if (lualex_read(&r, source) == 0) {
        int line = 0;
        size_t i = find_root(&r, &line);
        node = i > 0 ? read_table(&r, &i, r.list[i].line, 0) : node_new(line);
    }
    lualex_free(&r);
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
