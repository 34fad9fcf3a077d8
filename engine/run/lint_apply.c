/* lint_apply.c: ctx:apply(title, { sql = …, params = … } or { run = … } or { note = … }): what
 * stdlib/internal/apply.lua would refuse when the recovery runs, as far as the source shows it. */
#include <string.h>

#include "run/lint_parts.h"

static const lualex_token *at(const lint_usage *u, size_t i) {
    return &u->l->lx.list[i];
}

/* Does token i stand in a function of the head's `key`, at whatever depth: run = function … end? */
static bool stands_in(const lint_usage *u, size_t i, const char *key) {
    for (int f = u->l->function[i]; f >= 2; f = u->l->function[f - 1]) {
        if (u->l->file == NULL && at(u, (size_t)f - 1)->kind == '=' && lualex_is(at(u, (size_t)f - 2), key)) {
            return true;
        }
    }
    return false;
}

typedef struct step_keys {
    bool sql, params, run, note, unknown;
} step_keys;

static void take_key(const lint_usage *u, size_t i, step_keys *keys) {
    bool named = at(u, i)->kind == T_NAME && lint_is_key(&u->l->lx, i);
    if (named && lualex_is(at(u, i), "sql")) {
        keys->sql = true;
    } else if (named && lualex_is(at(u, i), "params")) {
        keys->params = true;
    } else if (named && lualex_is(at(u, i), "run")) {
        keys->run = true;
    } else if (named && lualex_is(at(u, i), "note")) {
        keys->note = true;
    } else if (!named || !lualex_is(at(u, i), "role")) {
        keys->unknown = true;
    }
}

/* The keys of the constructor at token i; where one is computed, a value without a key, or misspelt (which is told
 * elsewhere), nothing is known of the step. */
static step_keys read_keys(const lint_usage *u, size_t i) {
    step_keys keys = {0};
    size_t close = lint_close(u->l, i);
    bool expected = true;
    for (i++; i < close; i++) {
        if (expected) {
            take_key(u, i, &keys);
        }
        bool opens = lualex_bracket(at(u, i)) > 0;
        if (lualex_is(at(u, i), "function")) {
            keys.unknown = true; /* its commas are not followed */
        }
        i = opens ? lint_close(u->l, i) : i;
        expected = at(u, i)->kind == ',' || at(u, i)->kind == ';';
    }
    return keys;
}

static void judge(lint_usage *u, int line, const step_keys *keys) {
    if (!keys->sql && !keys->run && !keys->note) {
        lint_say(u->l, line, "lint_context", false, "say what it does: sql, a command of needs.commands, or a note",
                 "ctx:apply: expected a step with sql, run or note, found none of them");
    } else if (keys->sql && keys->run) {
        lint_say(u->l, line, "lint_context", false, "make two steps of them, each a ctx:apply of its own",
                 "ctx:apply: one step has sql and run: only the first would be carried out");
    } else if (!keys->sql && keys->params) {
        lint_say(u->l, line, "lint_context", false, "add sql, or write the values into the note",
                 "ctx:apply: params belong to sql, and the step has none");
    }
}

void lint_apply(lint_usage *u, size_t name, size_t open, size_t step) {
    int line = at(u, name)->line;
    if (stands_in(u, name, "run")) {
        lint_say(u->l, line, "lint_context", false,
                 "call it in recover = function(ctx, findings) … end; run makes findings: ctx:fail",
                 "ctx:apply is called by run: what is proposed there, nobody is shown");
        return;
    }
    step_keys keys = {0};
    bool title_only = at(u, open + 1)->kind == T_STRING && at(u, open + 2)->kind == ')';
    bool constructor = step > 0 && at(u, step - 1)->kind == ',' && at(u, lint_close(u->l, step) + 1)->kind == ')';
    if (constructor) {
        keys = read_keys(u, step);
    }
    if ((constructor && !keys.unknown) || (at(u, open)->kind == '(' && title_only)) {
        judge(u, line, &keys);
    }
}
