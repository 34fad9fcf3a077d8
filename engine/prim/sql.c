#include "prim/sql.h"

#include <ctype.h>
#include <pg_query.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* Operators and words: the most levels a tree can have besides the parentheses, which the grammar's own stack bounds.
 * What stands in quotes and comments is counted too: telling them apart is the scanner's business, and whoever gets
 * that wrong counts too little. */
static size_t count_tokens(const char *text, size_t n) {
    size_t count = 0;
    bool in_word = false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool word = isalnum(c) || c == '_' || c == '$' || c >= 0x80;
        bool letter = word && !isdigit(c);
        count += (letter && !in_word) || (c != '\0' && strchr("+-*/<>=~!@#%^&|`?:[", c) != NULL);
        in_word = word && (in_word || letter);
    }
    return count;
}

static int check_text(const char *text, size_t n, int *position, err *e) {
    *position = 0;
    if (n > SQL_TEXT_MAX) {
        return err_set(e, "sql_size", "SQL text: expected at most %d bytes, got %zu", SQL_TEXT_MAX, n);
    }
    if (memchr(text, '\0', n) != NULL || !text_utf8_valid(text, n)) {
        return err_set(e, "sql_encoding", "SQL text: expected UTF-8 without NUL bytes");
    }
    size_t tokens = count_tokens(text, n);
    if (tokens > SQL_TOKENS_MAX) {
        return err_set(e, "sql_depth", "SQL text: expected at most %d operators and words, got %zu", SQL_TOKENS_MAX,
                       tokens);
    }
    return 0;
}

/* The library's error as ours: a position says that the text is at fault. */
static int report(const PgQueryError *error, int *position, err *e) {
    *position = error->cursorpos > 0 ? error->cursorpos : 0;
    buf shown = BUF_INIT;
    text_sanitise(&shown, error->message, strlen(error->message), 300, false);
    if (*position > 0) {
        err_set(e, "sql_syntax", "SQL text, character %d: %s", *position, buf_str(&shown));
    } else {
        err_set(e, "sql_failed", "SQL text: %s", buf_str(&shown));
    }
    buf_free(&shown);
    return -1;
}

json_t *sql_parse(const char *text, size_t n, int *position, err *e) {
    if (check_text(text, n, position, e) != 0) {
        return NULL;
    }
    PgQueryParseResult r = pg_query_parse(text);
    json_t *tree = NULL;
    if (r.error != NULL) {
        report(r.error, position, e);
    } else {
        json_error_t why;
        tree = mem_json(r.parse_tree, strlen(r.parse_tree), JSON_REJECT_DUPLICATES, &why);
        if (tree == NULL && json_error_code(&why) == json_error_stack_overflow) {
            err_set(e, "sql_depth", "SQL text: nested too deep");
        } else if (tree == NULL) {
            /* jansson does not always say when it lacks memory, and the tree is well-formed. */
            err_set(e, "sql_failed", "the parser's tree cannot be read, memory may be short: %s", why.text);
        }
    }
    pg_query_free_parse_result(r);
    return tree;
}

int sql_fingerprint(const char *text, size_t n, char out[SQL_FINGERPRINT_SIZE], int *position, err *e) {
    if (check_text(text, n, position, e) != 0) {
        return -1;
    }
    PgQueryFingerprintResult r = pg_query_fingerprint(text);
    int rc = r.error != NULL ? report(r.error, position, e) : 0;
    if (rc == 0) {
        snprintf(out, SQL_FINGERPRINT_SIZE, "%s", r.fingerprint_str);
    }
    pg_query_free_fingerprint_result(r);
    return rc;
}

int sql_normalize(const char *text, size_t n, buf *out, int *position, err *e) {
    if (check_text(text, n, position, e) != 0) {
        return -1;
    }
    PgQueryNormalizeResult r = pg_query_normalize(text);
    int rc = r.error != NULL ? report(r.error, position, e) : 0;
    if (rc == 0 && buf_puts(out, r.normalized_query) != 0) {
        rc = err_set(e, "out_of_memory", "out of memory");
    }
    pg_query_free_normalize_result(r);
    return rc;
}
