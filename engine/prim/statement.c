#include "prim/statement.h"

#include <stdlib.h>
#include <string.h>

#include "prim/statement_normal.h"

#define KEEP_DEFAULT 16384
#define HEAD_MAX 12

/* What a statement begins with, by which it is told from others. */
typedef struct head {
    token_kind kind;
    bool quoted;
    char text[STATEMENT_NAME_MAX];
} head;

typedef enum { SET_NONE, SET_NAME, SET_VALUE, SET_REST, SET_OTHER } set_state;

/* All of a scan; too large for a stack that several share. */
typedef struct scan {
    const statement_options *o;
    tokens in;
    token t;
    normal text;
    call call;
    statement s;
    head head[HEAD_MAX];
    size_t heads;
    size_t brackets;
    int blocks;        /* BEGIN ATOMIC and CASE that are open in a routine's body */
    bool after_config; /* the token before was set_config */
    bool after_unicode, after_uescape;
    set_state set; /* of SET name TO value */
    bool set_local;
    bool name_complete; /* of the setting: a word, not a dot, came last */
    char name[STATEMENT_VALUE_MAX];
    size_t name_len;
    char values[STATEMENT_CONTEXTS_MAX][STATEMENT_VALUE_MAX];
} scan;

static const char *const KINDS[] = {
    "other",   "begin",   "commit",     "rollback",    "prepare_transaction", "savepoint", "release",     "rollback_to",
    "prepare", "execute", "deallocate", "discard_all", "reset_all",           "set_role",  "set_session", "do"};

const char *statement_kind_name(statement_kind kind) {
    return KINDS[kind];
}

const char *statement_value_name(statement_value from) {
    static const char *const NAMES[] = {"literal", "parameter", "expression", "default"};
    return NAMES[from];
}

/* ---- kinds ---- */

static bool at(const scan *c, size_t i, const char *word) {
    return i < c->heads && c->head[i].kind == TOKEN_WORD && !c->head[i].quoted && strcmp(c->head[i].text, word) == 0;
}

static bool at_any(const scan *c, size_t i, const char *a, const char *b) {
    return at(c, i, a) || at(c, i, b);
}

/* The name in token i, "" where it is no word. */
static void name_from(scan *c, size_t i) {
    bool word = i < c->heads && c->head[i].kind == TOKEN_WORD;
    memcpy(c->s.name, word ? c->head[i].text : "", word ? strlen(c->head[i].text) + 1 : 1);
}

static statement_kind end_kind(scan *c) {
    size_t i = 1;
    bool rollback = at_any(c, 0, "rollback", "abort");
    if (at(c, i, "prepared")) {
        return STATEMENT_OTHER;
    }
    i += at_any(c, i, "work", "transaction");
    if (rollback && at(c, i, "to")) {
        i += 1 + at(c, i + 1, "savepoint");
        name_from(c, i);
        return STATEMENT_ROLLBACK_TO;
    }
    c->s.chain = at(c, i, "and") && at(c, i + 1, "chain");
    return rollback ? STATEMENT_ROLLBACK : STATEMENT_COMMIT;
}

static statement_kind set_kind(scan *c) {
    size_t i = 1 + (at_any(c, 1, "session", "local") && !at(c, 2, "authorization"));
    c->s.local = at(c, 1, "local");
    if (at(c, i, "role")) {
        name_from(c, i + 1);
        if (at(c, i + 1, "none")) {
            c->s.name[0] = '\0';
        }
        return STATEMENT_SET_ROLE;
    }
    if (at(c, i, "session") && at(c, i + 1, "authorization")) {
        name_from(c, i + 2);
        if (at(c, i + 2, "default")) {
            c->s.name[0] = '\0';
        }
        return STATEMENT_SET_SESSION;
    }
    return STATEMENT_OTHER;
}

static statement_kind reset_kind(const scan *c) {
    return at(c, 1, "all")                                    ? STATEMENT_RESET_ALL
           : at(c, 1, "role")                                 ? STATEMENT_SET_ROLE
           : at(c, 1, "session") && at(c, 2, "authorization") ? STATEMENT_SET_SESSION
                                                              : STATEMENT_OTHER;
}

static statement_kind prepare_kind(scan *c) {
    if (at(c, 1, "transaction")) {
        return STATEMENT_PREPARE_TRANSACTION;
    }
    name_from(c, 1);
    return STATEMENT_PREPARE;
}

static statement_kind kind_of(scan *c) {
    if (at(c, 0, "begin") || (at(c, 0, "start") && at(c, 1, "transaction"))) {
        return STATEMENT_BEGIN;
    }
    if (at_any(c, 0, "commit", "end") || at_any(c, 0, "rollback", "abort")) {
        return end_kind(c);
    }
    if (at(c, 0, "savepoint")) {
        name_from(c, 1);
        return STATEMENT_SAVEPOINT;
    }
    if (at(c, 0, "release")) {
        name_from(c, 1 + at(c, 1, "savepoint"));
        return STATEMENT_RELEASE;
    }
    if (at(c, 0, "prepare")) {
        return prepare_kind(c);
    }
    if (at(c, 0, "execute")) {
        name_from(c, 1);
        return STATEMENT_EXECUTE;
    }
    if (at(c, 0, "deallocate")) {
        size_t i = 1 + at(c, 1, "prepare");
        name_from(c, i);
        if (at(c, i, "all")) {
            c->s.name[0] = '\0';
        }
        return STATEMENT_DEALLOCATE;
    }
    if (at(c, 0, "discard") && at(c, 1, "all")) {
        return STATEMENT_DISCARD_ALL;
    }
    return at(c, 0, "set")     ? set_kind(c)
           : at(c, 0, "reset") ? reset_kind(c)
           : at(c, 0, "do")    ? STATEMENT_DO
                               : STATEMENT_OTHER;
}

/* ---- settings ---- */

static void add_context(scan *c, const statement_context *from) {
    if ((from->setting < 0 && from->setting_parameter == 0) || c->s.contexts == STATEMENT_CONTEXTS_MAX) {
        return;
    }
    size_t i = c->s.contexts++;
    c->s.context[i] = *from;
    if (from->value != NULL) { /* its token will be gone when the statement is told */
        memcpy(c->values[i], from->value, from->len);
        c->s.context[i].value = c->values[i];
    }
}

static void append_name(scan *c, const token *t) {
    if (c->name_len + t->len < sizeof c->name) {
        memcpy(c->name + c->name_len, t->text, t->len);
        c->name_len += t->len;
    }
}

/* SET [SESSION|LOCAL] name {TO|=} value, token by token. Returns what stands for the token in the normalised text: ""
 * for nothing, NULL for itself. */
static const char *set_token(scan *c, const token *t) {
    bool assigns = t->kind == TOKEN_OTHER ? strcmp(t->text, "=") == 0
                                          : t->kind == TOKEN_WORD && !t->quoted && strcmp(t->text, "to") == 0;
    switch (c->set) {
    case SET_NONE:
        if (c->heads == 1 && at(c, 0, "set")) {
            c->set = SET_NAME;
        }
        return NULL;
    case SET_NAME:
        if (c->heads == 2 && (at(c, 1, "session") || at(c, 1, "local"))) {
            c->set_local = at(c, 1, "local");
        } else if (assigns && c->name_complete) {
            c->set = SET_VALUE;
        } else if (t->kind == TOKEN_WORD && !c->name_complete) {
            append_name(c, t);
            c->name_complete = true;
        } else if (t->kind == TOKEN_OTHER && strcmp(t->text, ".") == 0 && c->name_complete) {
            append_name(c, t);
            c->name_complete = false;
        } else {
            c->set = SET_OTHER; /* SET ROLE, SET TRANSACTION … */
        }
        return NULL;
    case SET_VALUE: {
        bool unset = t->kind == TOKEN_WORD && !t->quoted && strcmp(t->text, "default") == 0;
        statement_context x = {.setting = setting_index(c->o, c->name, c->name_len),
                               .local = c->set_local,
                               .from = unset ? VALUE_DEFAULT : VALUE_LITERAL,
                               .value = unset ? NULL : t->text,
                               .len = unset ? 0 : t->len,
                               .cut = t->cut || t->open};
        add_context(c, &x);
        c->set = SET_REST;
        return unset ? NULL : "'?'";
    }
    case SET_REST:
        return "";
    case SET_OTHER:
        return NULL;
    }
    return NULL;
}

static void reset_context(scan *c) {
    if (!at(c, 0, "reset")) {
        return;
    }
    char name[STATEMENT_VALUE_MAX];
    size_t len = 0;
    for (size_t i = 1; i < c->heads; i++) {
        size_t n = strlen(c->head[i].text);
        if (len + n < sizeof name) {
            memcpy(name + len, c->head[i].text, n);
            len += n;
        }
    }
    statement_context x = {.setting = setting_index(c->o, name, len), .local = 0, .from = VALUE_DEFAULT};
    add_context(c, &x);
}

/* ---- a DO block's body is code too ---- */

typedef struct body {
    buf text;
    bool cut;
} body;

static int add_body(void *ctx, const statement *s, err *e) {
    body *b = ctx;
    (void)e;
    bool added = (b->text.len == 0 || buf_puts(&b->text, "; ") == 0) && buf_append(&b->text, s->text, s->len) == 0;
    b->cut = b->cut || s->cut || !added;
    return 0;
}

static const char BODY_QUOTE[] = "$_$";

/* The body of DO, normalised, in quotes that are the same for all; '?' where it is no dollar-quoted string. */
static const char *do_body(scan *c, const token *t, buf *out) {
    body b = {.text = {.limit = c->text.out.limit}};
    statement_options o = *c->o;
    o.more = false;
    err ignored;
    (void)buf_puts(out, BODY_QUOTE);
    int rc = statement_scan(c->in.sql + t->body, t->body_end - t->body, &o, add_body, &b, &ignored);
    bool fits = rc == 0 && !b.cut && !t->open && strstr(buf_str(&b.text), BODY_QUOTE) == NULL;
    if (fits) {
        (void)buf_append(out, buf_str(&b.text), b.text.len);
        (void)buf_puts(out, BODY_QUOTE);
    }
    buf_free(&b.text);
    return fits && !out->failed ? buf_str(out) : "'?'";
}

/* ---- statements ---- */

static void begin(scan *c) {
    normal_reset(&c->text, c->o->keep > 0 ? c->o->keep : KEEP_DEFAULT, c->in.at);
    c->s.kind = STATEMENT_OTHER;
    c->s.name[0] = '\0';
    c->s.local = c->s.chain = c->s.cut = false;
    c->s.contexts = 0;
    c->call.active = false;
    c->heads = c->brackets = 0;
    c->blocks = 0;
    c->after_config = c->after_unicode = c->after_uescape = c->set_local = c->name_complete = false;
    c->set = SET_NONE;
    c->name_len = 0;
}

static int finish(scan *c, bool last, int (*each)(void *ctx, const statement *s, err *e), void *ctx, err *e) {
    if (c->heads == 0) {
        return 0;
    }
    normal_finish(&c->text);
    c->s.kind = kind_of(c);
    reset_context(c);
    c->s.cut = c->s.cut || c->text.cut || (last && c->o->more);
    c->s.text = buf_str(&c->text.out);
    c->s.len = c->text.out.len;
    return each(ctx, &c->s, e);
}

static bool is_routine(const scan *c) {
    size_t i = 1;
    if (!at(c, 0, "create")) {
        return false;
    }
    i += at(c, 1, "or") && at(c, 2, "replace") ? 2 : 0;
    return at_any(c, i, "function", "procedure");
}

/* psql's rule (psqlscan.l): within CREATE FUNCTION, BEGIN … END holds semicolons. */
static void count_blocks(scan *c, const token *t) {
    if (t->kind != TOKEN_WORD || t->quoted || c->brackets > 0 || !is_routine(c)) {
        return;
    }
    if (strcmp(t->text, "begin") == 0 || (strcmp(t->text, "case") == 0 && c->blocks > 0)) {
        c->blocks++;
    } else if (strcmp(t->text, "end") == 0 && c->blocks > 0) {
        c->blocks--;
    }
}

static void remember(scan *c, const token *t) {
    if (c->heads < HEAD_MAX) {
        head *h = &c->head[c->heads++];
        h->kind = t->kind;
        h->quoted = t->quoted;
        size_t n = t->len < sizeof h->text ? t->len : sizeof h->text - 1;
        memcpy(h->text, t->text, n);
        h->text[n] = '\0';
    }
}

static void watch_config(scan *c, const token *t) {
    if (c->call.active) {
        if (call_token(&c->call, t)) {
            statement_context x;
            call_context(&c->call, c->o, &x);
            add_context(c, &x);
        }
    } else if (c->after_config && t->kind == TOKEN_OTHER && strcmp(t->text, "(") == 0) {
        call_begin(&c->call);
    }
    c->after_config = t->kind == TOKEN_WORD && strcmp(t->text, "set_config") == 0;
}

/* U&'…' UESCAPE '!' is one literal: the clause goes with it. */
static bool in_uescape(scan *c, const token *t) {
    bool clause = c->after_unicode && t->kind == TOKEN_WORD && !t->quoted && strcmp(t->text, "uescape") == 0;
    bool character = c->after_uescape && t->kind == TOKEN_STRING;
    c->after_uescape = clause;
    c->after_unicode = (t->kind == TOKEN_STRING || t->quoted) && t->end - t->start > 1 &&
                       (c->in.sql[t->start] == 'u' || c->in.sql[t->start] == 'U');
    return clause || character;
}

static void take(scan *c, const token *t) {
    buf block = BUF_INIT;
    remember(c, t);
    const char *as = set_token(c, t);
    if (as == NULL && in_uescape(c, t)) {
        as = "";
    } else if (as == NULL && t->kind == TOKEN_STRING && (t->open || setting_index(c->o, t->text, t->len) < 0)) {
        as = t->dollar && at(c, 0, "do") ? do_body(c, t, &block) : "'?'";
    } else if (as == NULL && t->kind == TOKEN_NUMBER) {
        as = "0";
    }
    if (as == NULL || *as != '\0') {
        normal_token(&c->text, c->in.sql, t, as);
    } else {
        c->text.previous_end = t->end;
    }
    buf_free(&block);
    c->s.cut = c->s.cut || t->open;
    watch_config(c, t);
    count_blocks(c, t);
    if (t->kind == TOKEN_OTHER && (t->text[0] == '(' || t->text[0] == '[')) {
        c->brackets++;
    } else if (t->kind == TOKEN_OTHER && (t->text[0] == ')' || t->text[0] == ']') && c->brackets > 0) {
        c->brackets--;
    }
}

int statement_scan(const char *sql, size_t n, const statement_options *o,
                   int (*each)(void *ctx, const statement *s, err *e), void *ctx, err *e) {
    scan *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return err_set(e, "out_of_memory", "out of memory for a statement");
    }
    c->o = o;
    c->in = (tokens){.sql = sql, .n = n, .standard_strings = o->standard_strings};
    int rc = 0;
    begin(c);
    do {
        tokens_next(&c->in, &c->t);
        bool separator = c->t.kind == TOKEN_OTHER && strcmp(c->t.text, ";") == 0 && c->brackets == 0 && c->blocks == 0;
        if (separator || c->t.kind == TOKEN_END) {
            rc = finish(c, c->t.kind == TOKEN_END, each, ctx, e);
            begin(c);
        } else {
            take(c, &c->t);
        }
    } while (rc == 0 && c->t.kind != TOKEN_END);
    buf_free(&c->text.out);
    free(c);
    return rc;
}
