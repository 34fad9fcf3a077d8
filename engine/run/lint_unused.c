/* lint_unused.c: what is declared and not used. A name counts as used where it stands anywhere outside of the
 * declarations, in the script or in a module it requires: so a note is never given for what is reached in a roundabout
 * way. */
#include <string.h>

#include "run/lint_parts.h"

static const lualex_token *at(const lint_usage *u, size_t i) {
    return &u->l->lx.list[i];
}

static const json_t *need(const lint_usage *u, const char *key) {
    return json_object_get(json_object_get(u->l->head, "needs"), key);
}

static const json_t *table(const lint_usage *u, const char *key) {
    return json_object_get(u->l->head, key);
}

static bool occurs_in(const lualex *lx, const bool *skip, const char *name) {
    for (size_t i = 0; i < lx->n; i++) {
        const lualex_token *t = &lx->list[i];
        bool word = t->kind == T_STRING || t->kind == T_LONG || (t->kind == T_NAME && !lint_is_key(lx, i));
        if (word && (skip == NULL || !skip[i]) && t->n == strlen(name) && memcmp(t->s, name, t->n) == 0) {
            return true;
        }
    }
    return false;
}

static bool occurs(const lint_usage *u, const char *name) {
    bool found = false;
    for (size_t i = 0; i < u->nfiles && !found; i++) {
        found = occurs_in(&u->files[i]->lx, u->files[i]->skip, name);
    }
    for (size_t i = 0; i < u->nothers && !found; i++) {
        found = occurs_in(&u->others[i]->lx, NULL, name);
    }
    return found;
}

static int line_of(const lint_usage *u, const char *name, const char *in) {
    int line = 0;
    for (size_t i = 0; at(u, i)->kind != T_END; i++) {
        if (lualex_is(at(u, i), in) && at(u, i + 1)->kind == '=') {
            line = at(u, i)->line;
        } else if (line > 0 && u->l->skip[i] && at(u, i)->n == strlen(name) &&
                   memcmp(at(u, i)->s, name, strlen(name)) == 0) {
            return at(u, i)->line;
        }
    }
    return line;
}

static void say_unused(lint_usage *u, const char *in, const char *name, const char *what) {
    if (u->nfiles == LINT_FILES_MAX || u->nothers == LINT_FILES_MAX) {
        return; /* not every module was read: it may be used there */
    }
    lint_say(u->l, line_of(u, name, in), "lint_unused", true, NULL, "%s \"%s\" is declared and %s", what, name,
             strcmp(in, "failures") == 0 ? "never raised" : "not used");
}

/* Is a whole table of ctx handed on ("for name in pairs(ctx.options)"), so that any of it may be used? */
static bool handed_on(const lint_usage *u, const char *field) {
    for (size_t i = 1; at(u, i)->kind != T_END; i++) {
        int after = at(u, i + 1)->kind;
        if (lualex_is(at(u, i), field) && at(u, i - 1)->kind == '.' && after != '.' && after != ':') {
            return true;
        }
    }
    return false;
}

static void note_needs(lint_usage *u) {
    static const struct {
        const char *key, *what, *field;
    } LISTS[] = {{"db", "the role", "db"},
                 {"endpoints", "the endpoint", "http"},
                 {"stores", "the store", "store"},
                 {"commands", "the command", "exec"},
                 {"auth", "the credential", "auth"}};
    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++) {
        size_t k;
        const json_t *name;
        json_array_foreach(need(u, LISTS[i].key), k, name) {
            const char *s = json_string_value(name);
            bool applied = strcmp(s, "operator") == 0 && i == 0 && occurs(u, "apply");
            if (!occurs(u, s) && !applied && !handed_on(u, LISTS[i].field)) {
                say_unused(u, "needs", s, LISTS[i].what);
            }
        }
    }
    static const char *const FLAGS[] = {"solver", "audits", "evidence"};
    for (size_t i = 0; i < sizeof FLAGS / sizeof FLAGS[0]; i++) {
        if (json_is_true(need(u, FLAGS[i])) && !occurs(u, FLAGS[i])) {
            say_unused(u, "needs", FLAGS[i], "the need");
        }
    }
}

/* Does it hold the word "recover" (as in "run gate-engine recover")? */
static bool speaks_of_recovery(const char *fix) {
    return fix != NULL && strstr(fix, "recover") != NULL;
}

/* Without recover nobody is told how to go on, which is worth a note; a fix that sends people to a recovery which is
 * not there is wrong. */
static void missing_recover(lint_usage *u) {
    const char *class;
    json_t *failure;
    json_object_foreach((json_t *)table(u, "failures"), class, failure) {
        if (speaks_of_recovery(json_string_value(json_object_get(failure, "fix")))) {
            lint_say(u->l, line_of(u, class, "failures"), "lint_recover", false,
                     "add recover = function(ctx, findings) … end, or say what else to do",
                     "the fix of \"%s\" speaks of recovery, and the gate has no recover", class);
            return;
        }
    }
    int line = 1;
    for (size_t i = 0; at(u, i)->kind != T_END; i++) {
        line = lualex_is(at(u, i), "run") && at(u, i + 1)->kind == '=' ? at(u, i)->line : line;
    }
    lint_say(u->l, line, "lint_no_recover", true, "recover = function(ctx, findings) … end proposes the way out",
             "the gate has no recover: where it fails, nobody is told how to go on");
}

/* ctx:check("same", …) twice: the second one is refused, unless only one of them runs. */
static void note_twice(lint_usage *u) {
    for (size_t i = 2; at(u, i)->kind != T_END; i++) {
        const lualex_token *name = at(u, i + 2);
        if (!lualex_is(at(u, i), "check") || at(u, i - 1)->kind != ':' || at(u, i + 1)->kind != '(' ||
            name->kind != T_STRING || name[1].kind != ',') {
            continue;
        }
        for (size_t k = 2; k < i; k++) {
            const lualex_token *other = at(u, k + 2);
            if (lualex_is(at(u, k), "check") && at(u, k - 1)->kind == ':' && other->kind == T_STRING &&
                u->l->function[k] == u->l->function[i] && other->n == name->n &&
                memcmp(other->s, name->s, name->n) == 0 && other[1].kind == ',') {
                lint_say(u->l, name->line, "lint_twice", true, "give each check a name of its own",
                         "the check \"%.*s\" is also made in line %d", (int)name->n, name->s, other->line);
                break;
            }
        }
    }
}

/* Declared by another file that the head takes it from: what raises it may stand there too. */
static bool declared_here(const lint_usage *u, const char *name) {
    for (size_t i = 0; at(u, i)->kind != T_END; i++) {
        if (at(u, i)->n == strlen(name) && memcmp(at(u, i)->s, name, at(u, i)->n) == 0) {
            return true;
        }
    }
    return false;
}

/* Is ctx.options read by any file that is looked at, or ctx itself handed on to where nobody looks? Where it is not, no
 * option is used, though its name may stand somewhere as a word. */
static bool reads_options(const lint_usage *u) {
    bool read = u->escapes;
    for (size_t k = 0; k < u->nfiles + u->nothers && !read; k++) {
        const lint *l = k < u->nfiles ? u->files[k] : u->others[k - u->nfiles];
        for (size_t i = 1; i < l->lx.n && !read; i++) {
            const lualex_token *t = &l->lx.list[i];
            bool field = t->kind == T_NAME && t[-1].kind == '.' && (lualex_is(t, "options") || lualex_is(t, "files"));
            bool word = (t->kind == T_STRING && t->n == 7 && memcmp(t->s, "options", 7) == 0) ||
                        (t->kind == T_NAME && t[-1].kind == ':' && lualex_is(t, "artifact"));
            read = field || word;
        }
    }
    return read;
}

void lint_unused(lint_usage *u) {
    note_needs(u);
    const char *name;
    json_t *value;
    bool read = reads_options(u);
    json_object_foreach((json_t *)table(u, "options"), name, value) {
        if (!read || (!occurs(u, name) && !handed_on(u, "options"))) {
            say_unused(u, "options", name, "the option");
        }
    }
    json_object_foreach((json_t *)table(u, "failures"), name, value) {
        if (!u->dynamic && declared_here(u, name) && !occurs(u, name)) {
            say_unused(u, "failures", name, "the failure");
        }
    }
    note_twice(u);
    if (u->l->operation && !occurs(u, "step")) {
        lint_say(u->l, 1, "lint_no_step", true,
                 "ctx:step(title, function() … end) is what --dry-run names and leaves out",
                 "the operation takes no step: it changes nothing, or does it where no dry run can stop it");
    }
    const char *kind = json_string_value(json_object_get(u->l->head, "kind"));
    if (strcmp(kind, "gate") == 0 && !json_is_true(json_object_get(u->l->head, "has_recover"))) {
        missing_recover(u);
    }
}
