#include "prim/statement_normal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- normalised text ---- */

static bool is_word_token(const token *t, const char *word) {
    return t->kind == TOKEN_WORD && !t->quoted && strcmp(t->text, word) == 0;
}

static bool is_char(const token *t, char c) {
    return t->kind == TOKEN_OTHER && t->text[0] == c && t->text[1] == '\0';
}

void normal_reset(normal *n, size_t keep, size_t at) {
    buf_reset(&n->out);
    n->out.limit = keep;
    n->cut = n->after_in = n->after_array = false;
    n->depth = n->beyond = 0;
    n->previous_end = at;
}

static void put(normal *n, const char *bytes, size_t len) {
    if (n->cut || n->out.len + len > n->out.limit || buf_append(&n->out, bytes, len) != 0) {
        n->cut = true;
    }
}

/* Equal but for the numbers of parameters? */
static bool same_item(const char *a, size_t an, const char *b, size_t bn) {
    size_t i = 0, j = 0;
    while (i < an && j < bn && a[i] == b[j]) {
        if (a[i] == '$' && i + 1 < an && j + 1 < bn && isdigit((unsigned char)a[i + 1]) &&
            isdigit((unsigned char)b[j + 1])) {
            for (i++; i < an && isdigit((unsigned char)a[i]); i++) {
            }
            for (j++; j < bn && isdigit((unsigned char)b[j]); j++) {
            }
        } else {
            i++;
            j++;
        }
    }
    return i == an && j == bn;
}

static frame *top(normal *n) {
    return n->depth > 0 && n->beyond == 0 ? &n->frames[n->depth - 1] : NULL;
}

/* The item that was written is dropped where it repeats the one before it. */
static void end_item(normal *n, frame *f) {
    if (!f->list || n->cut || n->out.len < f->item) {
        return;
    }
    size_t start = f->item;
    while (start < n->out.len && n->out.data[start] == ' ') {
        start++;
    }
    if (f->last_end > 0 && start < n->out.len &&
        same_item(n->out.data + f->last, f->last_end - f->last, n->out.data + start, n->out.len - start)) {
        n->out.len = f->last_end;
        n->out.data[n->out.len] = '\0';
    } else {
        f->last = start;
        f->last_end = n->out.len;
    }
}

static void open_frame(normal *n, bool list, bool values) {
    if (n->depth == FRAMES_MAX) {
        n->beyond++;
        return;
    }
    n->frames[n->depth++] = (frame){.list = list, .values = values, .item = n->out.len};
}

static void close_frame(normal *n) {
    frame *f = top(n);
    if (n->beyond > 0) {
        n->beyond--;
    } else if (f != NULL) {
        end_item(n, f);
        n->depth--;
    }
}

/* Rows end where something else than a row or a comma comes. */
static void leave_values(normal *n, const token *t) {
    frame *f = top(n);
    if (f != NULL && f->values && !is_char(t, '(') && !is_char(t, ',')) {
        close_frame(n);
    }
}

void normal_token(normal *n, const char *sql, const token *t, const char *as) {
    leave_values(n, t);
    bool opens = is_char(t, '(') || is_char(t, '['), closes = is_char(t, ')') || is_char(t, ']');
    frame *f = top(n);
    if (closes) {
        close_frame(n);
    } else if (is_char(t, ',') && f != NULL) {
        end_item(n, f);
    }
    /* What stands directly before a literal could be read as a part of it: another's quote, a prefix such as U&, a
     * digit. */
    char before = n->out.len > 0 ? n->out.data[n->out.len - 1] : ' ';
    bool joins = as != NULL && (strchr("'&_$\".", before) != NULL || isalnum((unsigned char)before) || (before & 0x80));
    if ((t->start > n->previous_end || joins) && n->out.len > 0) {
        put(n, " ", 1);
    }
    put(n, as != NULL ? as : sql + t->start, as != NULL ? strlen(as) : t->end - t->start);
    n->previous_end = t->end;
    if (opens) {
        open_frame(n, (is_char(t, '(') && n->after_in) || (is_char(t, '[') && n->after_array), false);
    } else if (is_word_token(t, "values")) {
        open_frame(n, true, true);
    } else if (is_char(t, ',') && f != NULL) {
        f->item = n->out.len;
    }
    n->after_in = is_word_token(t, "in");
    n->after_array = is_word_token(t, "array");
}

void normal_finish(normal *n) {
    while (n->depth > 0) {
        close_frame(n);
        if (n->beyond > 0) {
            n->beyond = 0;
        }
    }
    n->cut = n->cut || n->out.failed;
}

/* ---- set_config ---- */

int setting_index(const statement_options *o, const char *name, size_t len) {
    for (size_t i = 0; i < o->nsettings; i++) {
        if (strlen(o->settings[i]) == len && strncasecmp(o->settings[i], name, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

void call_begin(call *c) {
    c->active = true;
    c->depth = 1;
    c->n = 0;
    for (size_t i = 0; i < 3; i++) {
        c->arg[i].state = ARG_START;
        c->arg[i].base = TOKEN_END;
        c->arg[i].converted = c->arg[i].cut = false;
        c->arg[i].len = 0;
    }
}

static bool is_text_type(const char *type) {
    static const char *const TYPES[] = {"text",   "varchar", "character",  "varying", "char",
                                        "bpchar", "name",    "pg_catalog", "bool",    "boolean"};
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
        if (strcmp(TYPES[i], type) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_cast_sign(const token *t) {
    return t->kind == TOKEN_OTHER && strcmp(t->text, "::") == 0;
}

/* The value itself: a string, a parameter, or true and false. */
static bool take_base(argument *a, const token *t) {
    bool is_true = is_word_token(t, "true");
    if (t->kind == TOKEN_STRING || t->kind == TOKEN_PARAMETER || is_true || is_word_token(t, "false")) {
        a->base = t->kind;
        a->number = t->kind == TOKEN_PARAMETER ? t->number : is_true;
        a->len = t->len;
        a->cut = t->cut || t->open;
        memcpy(a->text, t->text, t->len + 1);
        return true;
    }
    return false;
}

static void take_type(argument *a, const token *t, arg_state same) {
    if (t->kind == TOKEN_WORD) {
        a->converted = a->converted || !is_text_type(t->text);
        a->state = same;
    } else if (is_char(t, '.') || is_cast_sign(t)) {
        a->state = same;
    } else {
        a->state = ARG_OTHER;
    }
}

static void step(argument *a, const token *t) {
    switch (a->state) {
    case ARG_START:
        a->state = take_base(a, t) ? ARG_BASE : is_word_token(t, "cast") ? ARG_CAST : ARG_OTHER;
        break;
    case ARG_CAST:
        a->state = is_char(t, '(') ? ARG_CAST_IN : ARG_OTHER;
        break;
    case ARG_CAST_IN:
        a->state = take_base(a, t) ? ARG_CAST_BASE : ARG_OTHER;
        break;
    case ARG_CAST_BASE:
        a->state = is_word_token(t, "as") ? ARG_CAST_TYPE : ARG_OTHER;
        break;
    case ARG_CAST_TYPE:
        if (is_char(t, ')')) {
            a->state = ARG_BASE;
        } else {
            take_type(a, t, ARG_CAST_TYPE);
        }
        break;
    case ARG_BASE:
        a->state = is_cast_sign(t) ? ARG_TYPE : ARG_OTHER;
        break;
    case ARG_TYPE:
        take_type(a, t, ARG_TYPE);
        break;
    case ARG_OTHER:
        break;
    }
}

bool call_token(call *c, const token *t) {
    if (is_char(t, '(') || is_char(t, '[')) {
        c->depth++;
    } else if (is_char(t, ')') || is_char(t, ']')) {
        c->depth--;
    }
    if (c->depth == 0) {
        c->active = false;
        return true;
    }
    if (is_char(t, ',') && c->depth == 1) {
        c->n++;
    } else if (c->n < 3) {
        step(&c->arg[c->n], t);
    }
    return false;
}

static bool is_known(const argument *a) {
    return a->state == ARG_BASE || a->state == ARG_TYPE;
}

/* A boolean as PostgreSQL reads it (manual, "Boolean Type"): prefixes of true, yes, on and their opposites, 1, 0. */
static int boolean_of(const argument *a) {
    if (a->base == TOKEN_WORD) {
        return a->number;
    }
    if (a->base != TOKEN_STRING || a->len == 0) {
        return -1;
    }
    char c = (char)tolower((unsigned char)a->text[0]);
    bool on = c == 'o' && a->len > 1 && tolower((unsigned char)a->text[1]) == 'n';
    return c == 't' || c == 'y' || c == '1' || on ? 1 : 0;
}

void call_context(const call *c, const statement_options *o, statement_context *out) {
    const argument *name = &c->arg[0], *value = &c->arg[1], *local = &c->arg[2];
    *out = (statement_context){.setting = -1, .local = -1, .from = VALUE_EXPRESSION};
    if (is_known(name) && name->base == TOKEN_STRING) {
        out->setting = name->cut ? -1 : setting_index(o, name->text, name->len);
    } else if (is_known(name) && name->base == TOKEN_PARAMETER) {
        out->setting_parameter = name->number;
    }
    if (is_known(value) && value->base == TOKEN_STRING) {
        out->from = VALUE_LITERAL;
        out->value = value->text;
        out->len = value->len;
        out->cut = value->cut;
    } else if (is_known(value) && value->base == TOKEN_PARAMETER) {
        out->from = VALUE_PARAMETER;
        out->parameter = value->number;
    }
    out->converted = value->converted;
    if (is_known(local) && local->base == TOKEN_PARAMETER) {
        out->local_parameter = local->number;
    } else if (is_known(local)) {
        out->local = boolean_of(local);
    }
}
