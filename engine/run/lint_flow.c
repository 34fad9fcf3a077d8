/* lint_flow.c: who holds the context. It is a parameter of `run` and `recover`, of every function that calls it "ctx",
 * and of those it is handed to by name; locals that take it, or a field of it, are followed as long as nothing else is
 * assigned to them. What goes further is not followed: then nothing is said rather than something false. */
#include <stdlib.h>
#include <string.h>

#include "run/lint_parts.h"

#define PASSES_MAX 8

typedef struct flow {
    lint_usage *u;
    lint *l;
    const lualex_token *list;
    bool changed, shared;
} flow;

static bool is_variable_of(const flow *f, size_t i, lint_is is) {
    int d = f->l->binding[i];
    return f->list[i].kind == T_NAME && d >= 0 && f->l->meaning[d].is == is && lint_is_variable(f->l, i);
}

static void learn(flow *f, size_t declaration, lint_meaning meaning) {
    lint_meaning *m = &f->l->meaning[declaration];
    if (f->list[declaration].kind == T_NAME && m->is == LINT_UNKNOWN) {
        *m = meaning;
        f->changed = true;
    }
}

/* The k-th parameter (from 0) of the function at token i, or 0. */
static size_t parameter(const flow *f, size_t i, int k) {
    while (f->list[i].kind != '(' && f->list[i].kind != T_END) {
        i++;
    }
    for (i += f->list[i].kind == '('; f->list[i].kind == T_NAME; i += 2) {
        if (k-- == 0) {
            return i;
        }
        if (f->list[i + 1].kind != ',') {
            return 0;
        }
    }
    return 0;
}

/* `local function NAME` or `local NAME = function` by the token that declares NAME: its `function`, or -1. */
static int function_of(const flow *f, int d) {
    if (d >= 1 && lualex_is(&f->list[d - 1], "function")) {
        return d - 1;
    }
    return d >= 0 && f->list[d + 1].kind == '=' && lualex_is(&f->list[d + 2], "function") ? d + 2 : -1;
}

/* `function X.NAME(`, `X.NAME = function(` (X declared at d, any where d is -1), or as a key of a constructor (d -1).
 */
static int member_function(const flow *f, int d, const char *name) {
    for (size_t i = 0; f->list[i].kind != T_END; i++) {
        if (!lualex_is(&f->list[i], name)) {
            continue;
        }
        bool member = i >= 2 && (f->list[i - 1].kind == '.' || f->list[i - 1].kind == ':') &&
                      (d == -1 || f->l->binding[i - 2] == d);
        if (member && i >= 3 && lualex_is(&f->list[i - 3], "function")) {
            return (int)i - 3;
        }
        bool assigned = f->list[i + 1].kind == '=' && lualex_is(&f->list[i + 2], "function");
        if (assigned && (member || (d == -1 && lint_is_key(&f->l->lx, i)))) {
            return (int)i + 2;
        }
    }
    return -1;
}

static bool is_file(const lint_usage *u, const char *module) {
    for (size_t i = 0; i < u->nfiles; i++) {
        if (u->files[i]->module != NULL && strcmp(u->files[i]->module, module) == 0) {
            return true;
        }
    }
    return false;
}

/* Notes for another file that a parameter of MODULE.FUNCTION is a context. */
static bool share(flow *f, const lualex_token *module, const lualex_token *function, int k) {
    char m[LINT_NAME_MAX], fn[LINT_NAME_MAX], key[2 * LINT_NAME_MAX + 2];
    lint_text(module, m);
    if (!is_file(f->u, m)) {
        return false;
    }
    snprintf(key, sizeof key, "%s:%s", m, lint_text(function, fn));
    if (json_object_get(f->u->contexts, key) == NULL) {
        f->shared = true;
        if (json_object_set_new(f->u->contexts, key, json_integer(k)) != 0) {
            f->l->failed = true;
        }
    }
    return true;
}

/* The "(" of the call in which token i is an argument of its own, and its number; 0 where it is none. */
static size_t call_around(const flow *f, size_t i, int *number) {
    int depth = 0, blocks = 0;
    *number = 0;
    while (i > 0) {
        const lualex_token *t = &f->list[--i];
        blocks -= lualex_block(t);
        depth -= lualex_bracket(t);
        if (depth < 0) {
            return t->kind == '(' ? i : 0;
        }
        *number += depth == 0 && blocks == 0 && t->kind == ',';
    }
    return 0;
}

/* A context is an argument: the parameter that takes it is one too. False where it is not known who takes it. */
static bool handed_to(flow *f, size_t i) {
    int k, function = -1;
    size_t open = call_around(f, i, &k);
    if (open < 1 || f->list[open - 1].kind != T_NAME) {
        return false;
    }
    const lualex_token *callee = &f->list[open - 1];
    bool member = open >= 3 && (callee[-1].kind == '.' || callee[-1].kind == ':');
    if (!member) {
        function = function_of(f, f->l->binding[open - 1]);
    } else if (is_variable_of(f, open - 3, LINT_MODULE)) {
        return share(f, &f->list[f->l->meaning[f->l->binding[open - 3]].at], callee, k);
    } else if (f->l->binding[open - 3] >= 0) {
        char name[LINT_NAME_MAX];
        function = member_function(f, f->l->binding[open - 3], lint_text(callee, name));
    }
    size_t p = function >= 0 ? parameter(f, (size_t)function, k) : 0;
    if (p > 0) {
        learn(f, p, (lint_meaning){.is = LINT_CONTEXT});
    }
    return p > 0;
}

/* Does a statement or another expression begin at token i, so that what stands before it is whole? */
static bool ends_before(const flow *f, size_t i) {
    const lualex_token *t = &f->list[i];
    return t->kind == T_END || t->kind == ';' || (t->kind == T_NAME && !lualex_is(t, "and") && !lualex_is(t, "or"));
}

/* What `ctx.FIELD…` from token i (the field's name) on is. */
static lint_meaning field_meaning(const flow *f, size_t i) {
    lint_meaning m = {.is = LINT_UNKNOWN};
    bool db = lualex_is(&f->list[i], "db"), store = lualex_is(&f->list[i], "store") || lualex_is(&f->list[i], "files");
    if (ends_before(f, i + 1)) {
        m = (lint_meaning){.is = LINT_FIELD, .at = i};
    } else if ((db || store) && f->list[i + 1].kind == '.' && ends_before(f, i + 3)) {
        m = (lint_meaning){.is = LINT_OBJECT, .object = db ? "connection" : "handle"};
    } else if (db && f->list[i + 1].kind == ':' && lualex_is(&f->list[i + 2], "open") && f->list[i + 3].kind == '(' &&
               ends_before(f, lint_close(f->l, i + 3) + 1)) {
        m = (lint_meaning){.is = LINT_OBJECT, .object = "connection"};
    }
    return m;
}

/* `local NAME = …` */
static void read_local(flow *f, size_t i) {
    size_t name = i + 1, at = i + 2;
    if (f->list[at].kind == '<') {
        at += 3;
    }
    if (f->list[name].kind != T_NAME || f->list[at].kind != '=') {
        return;
    }
    at++;
    lint_meaning m = {.is = LINT_UNKNOWN};
    if (lualex_is(&f->list[at], "require")) {
        size_t word = at + 1 + (f->list[at + 1].kind == '(');
        if (f->list[word].kind == T_STRING && ends_before(f, word + 1 + (word > at + 1))) {
            m = (lint_meaning){.is = LINT_MODULE, .at = word};
        }
    } else if (is_variable_of(f, at, LINT_CONTEXT)) {
        if (ends_before(f, at + 1)) {
            m = (lint_meaning){.is = LINT_CONTEXT};
        } else if (f->list[at + 1].kind == '.' && f->list[at + 2].kind == T_NAME) {
            m = field_meaning(f, at + 2);
        }
    } else if (is_variable_of(f, at, LINT_FIELD) && !ends_before(f, at + 1)) {
        size_t field = f->l->meaning[f->l->binding[at]].at;
        bool db = lualex_is(&f->list[field], "db"), store = lualex_is(&f->list[field], "store");
        bool opens = db && f->list[at + 1].kind == ':' && lualex_is(&f->list[at + 2], "open") &&
                     f->list[at + 3].kind == '(' && ends_before(f, lint_close(f->l, at + 3) + 1);
        if (opens || ((db || store) && f->list[at + 1].kind == '.' && ends_before(f, at + 3))) {
            m = (lint_meaning){.is = LINT_OBJECT, .object = db ? "connection" : "handle"};
        }
    }
    if (m.is != LINT_UNKNOWN) {
        learn(f, name, m);
    }
}

/* Functions whose parameter is a context by its name, or by where the function stands. */
static void read_function(flow *f, size_t i) {
    bool key = i >= 2 && f->list[i - 1].kind == '=' && f->l->file == NULL;
    bool run = key && (lualex_is(&f->list[i - 2], "run") || lualex_is(&f->list[i - 2], "recover"));
    size_t p;
    for (int k = 0; (p = parameter(f, i, k)) > 0; k++) {
        if ((run && k == 0) || lualex_is(&f->list[p], "ctx")) {
            learn(f, p, (lint_meaning){.is = LINT_CONTEXT});
        } else if (key && k == 1 && f->l->audit && lualex_is(&f->list[i - 2], "audit")) {
            learn(f, p, (lint_meaning){.is = LINT_OBJECT, .object = "report"});
        }
    }
    if (i >= 3 && lualex_is(&f->list[i - 2], "transaction") && f->list[i - 3].kind == ':' &&
        (p = parameter(f, i, 0)) > 0) {
        learn(f, p, (lint_meaning){.is = LINT_OBJECT, .object = "connection"});
    }
}

/* run = NAME, of a function that stands elsewhere in the file. */
static void read_named_run(flow *f, size_t i) {
    int function = function_of(f, f->l->binding[i + 2]);
    size_t p = function >= 0 ? parameter(f, (size_t)function, 0) : 0;
    if (p > 0) {
        learn(f, p, (lint_meaning){.is = LINT_CONTEXT});
    }
}

static void read_token(flow *f, size_t i) {
    const lualex_token *t = &f->list[i];
    bool run = lualex_is(t, "run") || lualex_is(t, "recover");
    if (lualex_is(t, "local")) {
        read_local(f, i);
    } else if (lualex_is(t, "function")) {
        read_function(f, i);
    } else if (run && f->l->file == NULL && lint_is_key(&f->l->lx, i) && f->list[i + 2].kind == T_NAME) {
        read_named_run(f, i);
    } else if (f->l->binding[i] >= 0 && f->l->binding[i] != (int)i && t[1].kind == '=' && lint_is_variable(f->l, i) &&
               f->l->meaning[f->l->binding[i]].is != LINT_NOTHING) {
        f->l->meaning[f->l->binding[i]] = (lint_meaning){.is = LINT_NOTHING};
        f->changed = true;
    }
    if (is_variable_of(f, i, LINT_CONTEXT) && f->l->binding[i] != (int)i) {
        int before = i > 0 ? t[-1].kind : 0, after = t[1].kind;
        bool argument = (before == '(' || before == ',') && (after == ',' || after == ')');
        bool alias = before == '=' && ends_before(f, i + 1);
        bool used = after == '.' || after == ':';
        f->u->escapes = f->u->escapes || !(used || alias || (argument && handed_to(f, i)));
    }
}

/* What other files hand to functions of this one. */
static void read_contexts(flow *f) {
    const char *key;
    json_t *number;
    json_object_foreach(f->u->contexts, key, number) {
        const char *colon = strchr(key, ':');
        if (f->l->module == NULL || strlen(f->l->module) != (size_t)(colon - key) ||
            strncmp(key, f->l->module, (size_t)(colon - key)) != 0) {
            continue;
        }
        int function = member_function(f, -1, colon + 1);
        size_t p = function >= 0 ? parameter(f, (size_t)function, (int)json_integer_value(number)) : 0;
        if (p > 0) {
            learn(f, p, (lint_meaning){.is = LINT_CONTEXT});
        }
    }
}

bool lint_flow(lint_usage *u) {
    flow f = {.u = u, .l = u->l, .list = u->l->lx.list, .changed = true};
    for (int pass = 0; pass < PASSES_MAX && f.changed; pass++) {
        f.changed = false;
        u->escapes = false;
        read_contexts(&f);
        for (size_t i = 0; f.list[i].kind != T_END; i++) {
            read_token(&f, i);
        }
    }
    return f.shared;
}
