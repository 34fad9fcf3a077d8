/* lint_scope.c: which name is declared where, and globals: names that no `local`, parameter or loop around them
 * declares (Lua 5.4 manual, section 3.5).
 *
 * A local counts from its name on, though Lua lets it begin after its statement, and what `repeat` declares counts
 * until the block around it ends: so something may be missed, but nothing that is declared is ever called a global. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/lint_parts.h"
#include "vm/allowed.h"

#define LOCALS_MAX 4096
#define BLOCKS_MAX 400

typedef struct walker {
    lint *l;
    int locals[LOCALS_MAX]; /* the tokens that declare them; -1: self */
    size_t nlocals;
    struct {
        size_t nlocals; /* how many locals there were when the block began */
        int function;   /* the function around it */
    } blocks[BLOCKS_MAX];
    size_t nblocks;
    int function; /* the function that is being read, or -1 */
    struct {
        size_t at, from, to; /* the `do` at which the names between begin to count */
    } loops[BLOCKS_MAX];
    size_t nloops;
} walker;

static bool is_keyword(const lualex_token *t) {
    static const char *const WORDS[] = {"and",      "break",  "do",   "else", "elseif", "end",   "false", "for",
                                        "function", "goto",   "if",   "in",   "local",  "nil",   "not",   "or",
                                        "repeat",   "return", "then", "true", "until",  "while", NULL};
    for (size_t i = 0; WORDS[i] != NULL; i++) {
        if (lualex_is(t, WORDS[i])) {
            return true;
        }
    }
    return false;
}

/* "..": two tokens that touch. */
static bool is_concat(const lualex *lx, size_t i) {
    return i >= 2 && lx->list[i - 1].kind == '.' && lx->list[i - 2].kind == '.' &&
           lx->list[i - 2].s + 1 == lx->list[i - 1].s;
}

bool lint_is_key(const lualex *lx, size_t i) {
    int before = i > 0 ? lx->list[i - 1].kind : 0;
    return lx->list[i + 1].kind == '=' && (before == '{' || before == ',' || before == ';');
}

bool lint_is_variable(const lint *l, size_t i) {
    const lualex *lx = &l->lx;
    if (lx->list[i].kind != T_NAME || is_keyword(&lx->list[i])) {
        return false;
    }
    int before = i > 0 ? lx->list[i - 1].kind : 0;
    if (before == ':' || (before == '.' && !is_concat(lx, i)) || (i > 0 && lualex_is(&lx->list[i - 1], "goto"))) {
        return false;
    }
    /* A key of a constructor, and not the second name of `a, b = 1, 2`. */
    return !(lint_is_key(lx, i) && l->inside[i] == '{');
}

static void declare(walker *w, int token) {
    if (w->nlocals < LOCALS_MAX) {
        w->locals[w->nlocals++] = token;
    }
    if (token >= 0) {
        w->l->binding[token] = token;
    }
}

static void declare_range(walker *w, size_t from, size_t to) {
    for (; from < to; from++) {
        if (w->l->lx.list[from].kind == T_NAME) {
            declare(w, (int)from);
        }
    }
}

static void open_block(walker *w) {
    if (w->nblocks < BLOCKS_MAX) {
        w->blocks[w->nblocks].nlocals = w->nlocals;
        w->blocks[w->nblocks].function = w->function;
    }
    w->nblocks++;
}

static void close_block(walker *w, bool forget) {
    if (w->nblocks == 0) {
        return;
    }
    w->nblocks--;
    if (w->nblocks < BLOCKS_MAX) {
        w->nlocals = forget ? w->blocks[w->nblocks].nlocals : w->nlocals;
        w->function = w->blocks[w->nblocks].function;
    }
}

/* The innermost declaration of the name is noted with the token; false where there is none. */
static bool is_declared(walker *w, size_t token) {
    static const lualex_token SELF = {T_NAME, 0, "self", 4};
    const lualex_token *t = &w->l->lx.list[token];
    for (size_t i = w->nlocals; i > 0; i--) {
        int at = w->locals[i - 1];
        const lualex_token *local = at >= 0 ? &w->l->lx.list[at] : &SELF;
        if (local->n == t->n && memcmp(local->s, t->s, t->n) == 0) {
            w->l->binding[token] = at;
            return true;
        }
    }
    return t->n == 4 && memcmp(t->s, "_ENV", 4) == 0;
}

/* `local a <const>, b`: returns the last token of the names. */
static size_t read_local(walker *w, size_t i) {
    const lualex_token *list = w->l->lx.list;
    if (lualex_is(&list[i + 1], "function")) {
        declare(w, (int)i + 2);
        return i; /* the function is read as any other: its name is declared by now */
    }
    for (i++; list[i].kind == T_NAME; i++) {
        declare(w, (int)i);
        if (list[i + 1].kind == '<' && list[i + 2].kind == T_NAME && list[i + 3].kind == '>') {
            i += 3;
        }
        if (list[i + 1].kind != ',') {
            return i;
        }
        i++;
    }
    return i - 1;
}

static void check_global(walker *w, size_t i);

/* `function a.b:c(x, y)`: returns the token that closes the parameters. */
static size_t read_function(walker *w, size_t i) {
    const lualex_token *list = w->l->lx.list;
    bool method = false;
    int function = (int)i;
    i++;
    if (list[i].kind == T_NAME) {
        check_global(w, i);
        for (; list[i].kind != '(' && list[i].kind != T_END; i++) {
            method = method || list[i].kind == ':';
        }
    }
    open_block(w);
    w->function = function;
    if (method) {
        declare(w, -1);
    }
    size_t from = i;
    while (list[i].kind != ')' && list[i].kind != T_END) {
        i++;
    }
    declare_range(w, from, i);
    return i;
}

/* `for a, b in …`: the names count from the loop's own `do` on. Returns the last token before the expressions. */
static size_t read_for(walker *w, size_t i) {
    const lualex_token *list = w->l->lx.list;
    size_t from = i + 1, to = from;
    while (list[to].kind == T_NAME && !lualex_is(&list[to], "in")) {
        to += list[to + 1].kind == ',' ? 2 : 1;
    }
    int depth = 0;
    size_t at = to;
    for (; list[at].kind != T_END; at++) {
        if (depth == 0 && lualex_is(&list[at], "do")) {
            break;
        }
        depth += lualex_block(&list[at]);
    }
    if (w->nloops < BLOCKS_MAX) {
        w->loops[w->nloops].at = at;
        w->loops[w->nloops].from = from;
        w->loops[w->nloops++].to = to;
    }
    return to;
}

static void read_do(walker *w, size_t i) {
    open_block(w);
    if (w->nloops > 0 && w->loops[w->nloops - 1].at == i) {
        w->nloops--;
        declare_range(w, w->loops[w->nloops].from, w->loops[w->nloops].to);
    }
}

static void check_global(walker *w, size_t i) {
    const lualex_token *t = &w->l->lx.list[i];
    char name[128], member[128];
    if (is_declared(w, i) || t->n >= sizeof name) {
        return;
    }
    memcpy(name, t->s, t->n);
    name[t->n] = '\0';
    if (t[1].kind == '=') {
        lint_say(w->l, t->line, "lint_global", false, "declare it with local", "assignment to the global \"%s\"", name);
        return;
    }
    if (!vm_allows(w->l->audit, NULL, name)) {
        const char *fix = vm_instead_of(w->l->audit, name);
        if (t[1].kind == '.' && t[2].kind == T_NAME && t[2].n + t->n + 2 < sizeof member) { /* io.popen */
            snprintf(member, sizeof member, "%s.%.*s", name, (int)t[2].n, t[2].s);
            fix = vm_instead_of(w->l->audit, member);
        }
        lint_say(w->l, t->line, "lint_global", false,
                 fix != NULL ? fix : "declare it with local, or require the module it belongs to",
                 "%s have no global \"%s\"", w->l->audit ? "audits" : "scripts", name);
        return;
    }
    bool library = t[1].kind == '.' && t[2].kind == T_NAME && t[2].n + t->n + 2 < sizeof member &&
                   strcmp(name, "_G") != 0 && strcmp(name, "_VERSION") != 0;
    if (!library) {
        return;
    }
    memcpy(member, t[2].s, t[2].n);
    member[t[2].n] = '\0';
    if (!vm_allows(w->l->audit, name, member)) {
        char full[260];
        size_t at = strlen(name);
        memcpy(full, name, at);
        full[at] = '.';
        memcpy(full + at + 1, member, strlen(member) + 1);
        lint_say(w->l, t->line, "lint_global", false, vm_instead_of(w->l->audit, full), "%s have no %s",
                 w->l->audit ? "audits" : "scripts", full);
    }
}

void lint_scope(lint *l) {
    walker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        l->failed = true;
        return;
    }
    w->l = l;
    w->function = -1;
    for (size_t i = 0; l->lx.list[i].kind != T_END; i++) {
        const lualex_token *t = &l->lx.list[i];
        bool field = i > 0 && l->lx.list[i - 1].kind == '.' && !is_concat(&l->lx, i);
        l->function[i] = w->function;
        if (t->kind != T_NAME || field) {
            continue;
        }
        size_t from = i;
        if (lualex_is(t, "local")) {
            i = read_local(w, i);
        } else if (lualex_is(t, "function")) {
            i = read_function(w, i);
        } else if (lualex_is(t, "for")) {
            i = read_for(w, i) - 1;
        } else if (lualex_is(t, "do")) {
            read_do(w, i);
        } else if (lualex_is(t, "then") || lualex_is(t, "repeat")) {
            open_block(w);
        } else if (lualex_is(t, "elseif") || lualex_is(t, "end") || lualex_is(t, "until")) {
            close_block(w, !lualex_is(t, "until"));
        } else if (lualex_is(t, "else")) {
            close_block(w, true);
            open_block(w);
        } else if (lint_is_variable(l, i)) {
            check_global(w, i);
        }
        for (; from < i; from++) { /* what was read at once */
            l->function[from + 1] = w->function;
        }
    }
    free(w);
}
