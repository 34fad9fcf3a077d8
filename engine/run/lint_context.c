/* lint_context.c: what the context is asked for, against what the head declares; and what it is told. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "run/lint_parts.h"

static const lualex_token *at(const lint_usage *u, size_t i) {
    return &u->l->lx.list[i];
}

static bool has(const json_t *list, const char *name) {
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) {
        if (strcmp(json_string_value(item), name) == 0) {
            return true;
        }
    }
    return false;
}

static const json_t *need(const lint_usage *u, const char *key) {
    return json_object_get(json_object_get(u->l->head, "needs"), key);
}

static const json_t *table(const lint_usage *u, const char *key) {
    return json_object_get(u->l->head, key);
}

/* The nearest key of a table, as a fix; NULL without one. */
static const char *nearest(const json_t *object, const char *word) {
    const char *names[257];
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        if (n < 256) {
            names[n++] = key;
        }
    }
    names[n] = NULL;
    return text_suggest(word, names);
}

/* "did you mean …?" where something is near, else how to declare it. */
static void say_unknown(lint_usage *u, int line, const char *code, const char *near, const char *otherwise,
                        const char *what, const char *name) {
    char fix[LINT_NAME_MAX + 32];
    snprintf(fix, sizeof fix, "did you mean \"%.100s\"?", near != NULL ? near : "");
    lint_say(u->l, line, code, false, near != NULL ? fix : otherwise, "%s \"%s\" is not declared", what, name);
}

static void undeclared(lint_usage *u, int line, const char *what, const char *fix) {
    lint_say(u->l, line, "lint_not_declared", false, fix, "%s is used, and needs does not declare it", what);
}

/* "did you mean …?" where one of the declared names is near, else which list of needs to add it to. */
static const char *list_fix(const lint_usage *u, const char *key, const char *name, char fix[LINT_NAME_MAX + 64]) {
    const char *names[65];
    size_t n = 0, i;
    const json_t *item;
    json_array_foreach(need(u, key), i, item) {
        if (n < 64) {
            names[n++] = json_string_value(item);
        }
    }
    names[n] = NULL;
    const char *near = text_suggest(name, names);
    if (near != NULL) {
        snprintf(fix, LINT_NAME_MAX + 64, "did you mean \"%.100s\"?", near);
    } else {
        snprintf(fix, LINT_NAME_MAX + 64, "add \"%s\" to needs.%s", name, key);
    }
    return fix;
}

/* --- what ctx is asked for --- */

static void check_method(lint_usage *u, const char *object, bool colon, size_t i, const char *shown);

static void check_role(lint_usage *u, const lualex_token *t) {
    char role[LINT_NAME_MAX], what[LINT_NAME_MAX + 16], fix[LINT_NAME_MAX + 64];
    static const char *const ROLES[] = {"admin", "app", "operator", NULL};
    lint_text(t, role);
    if (has(need(u, "db"), role)) {
        return;
    }
    const char *near = text_suggest(role, ROLES);
    snprintf(what, sizeof what, "ctx.db.%s", role);
    bool exists = strcmp(role, "admin") == 0 || strcmp(role, "app") == 0 || strcmp(role, "operator") == 0;
    if (exists) {
        snprintf(fix, sizeof fix, "add \"%s\" to needs.db", role);
    } else if (near != NULL) {
        snprintf(fix, sizeof fix, "did you mean \"%s\"?", near);
    } else {
        snprintf(fix, sizeof fix, "the roles are admin, app and operator");
    }
    undeclared(u, t->line, what, fix);
}

static void use_db(lint_usage *u, size_t i) {
    char role[LINT_NAME_MAX], what[LINT_NAME_MAX + 16];
    if (at(u, i)->kind == '.' && at(u, i + 1)->kind == T_NAME) {
        check_role(u, at(u, i + 1));
        snprintf(what, sizeof what, "ctx.db.%s", lint_text(at(u, i + 1), role));
        check_method(u, "connection", true, i + 2, what);
    } else if (at(u, i)->kind == ':' && lualex_is(at(u, i + 1), "open") && at(u, i + 2)->kind == '(' &&
               at(u, i + 3)->kind == T_STRING) {
        check_role(u, at(u, i + 3));
    } else if (json_array_size(need(u, "db")) == 0) {
        undeclared(u, at(u, i)->line, "ctx.db", "add needs = { db = { \"admin\" } } with the roles it connects as");
    }
}

static void use_store(lint_usage *u, size_t i) {
    char name[LINT_NAME_MAX], what[LINT_NAME_MAX + 16], fix[LINT_NAME_MAX + 64];
    if (at(u, i)->kind == '.' && at(u, i + 1)->kind == T_NAME &&
        !has(need(u, "stores"), lint_text(at(u, i + 1), name))) {
        snprintf(what, sizeof what, "ctx.store.%s", name);
        undeclared(u, at(u, i)->line, what, list_fix(u, "stores", name, fix));
    } else if (at(u, i)->kind == '.') {
        snprintf(what, sizeof what, "ctx.store.%s", lint_text(at(u, i + 1), name));
        check_method(u, "handle", true, i + 2, what);
    }
}

/* The string value of `key` in the constructor that opens at i, at its first level: a token, or NULL. */
static const lualex_token *literal_in(const lint_usage *u, size_t i, const char *key) {
    int depth = 0;
    for (; at(u, i)->kind != T_END; i++) {
        depth += lualex_bracket(at(u, i));
        if (depth == 0) {
            return NULL;
        }
        if (depth == 1 && lualex_is(at(u, i), key) && lint_is_key(&u->l->lx, i)) {
            return at(u, i + 2);
        }
    }
    return NULL;
}

static void use_http(lint_usage *u, size_t i) {
    const json_t *declared = need(u, "endpoints");
    char name[LINT_NAME_MAX], what[LINT_NAME_MAX + 32], fix[LINT_NAME_MAX + 64];
    if (json_is_true(declared)) {
        return;
    }
    if (json_array_size(declared) == 0) {
        undeclared(u, at(u, i)->line, "ctx.http",
                   "add needs = { endpoints = { \"NAME\" } } with the endpoints it calls");
        return;
    }
    check_method(u, "http", true, i, "ctx.http");
    size_t open = i + 2;
    open += at(u, open)->kind == '(';
    const lualex_token *t = at(u, open)->kind == '{' ? literal_in(u, open, "endpoint") : NULL;
    if (t != NULL && t->kind == T_STRING && !has(declared, lint_text(t, name))) {
        snprintf(what, sizeof what, "the endpoint \"%s\"", name);
        undeclared(u, t->line, what, list_fix(u, "endpoints", name, fix));
    }
}

static void check_command(lint_usage *u, const lualex_token *t) {
    char name[LINT_NAME_MAX], what[LINT_NAME_MAX + 32], fix[LINT_NAME_MAX + 64];
    if (t->kind == T_STRING && !has(need(u, "commands"), lint_text(t, name))) {
        snprintf(what, sizeof what, "the command \"%s\"", name);
        undeclared(u, t->line, what, list_fix(u, "commands", name, fix));
    }
}

static void use_exec(lint_usage *u, size_t i) {
    if (json_array_size(need(u, "commands")) == 0) {
        undeclared(u, at(u, i)->line, "ctx.exec",
                   "add needs = { commands = { \"NAME\" } } with the commands it starts");
    } else if (at(u, i + 2)->kind == '(') {
        check_method(u, "exec", true, i, "ctx.exec");
        check_command(u, at(u, i + 3));
    }
}

/* An option by the token with its name; of a file where one of type path is needed. */
static void check_option(lint_usage *u, size_t i, bool file, const char *what) {
    char name[LINT_NAME_MAX];
    lint_text(at(u, i), name);
    const json_t *option = json_object_get(table(u, "options"), name);
    if (option == NULL) {
        say_unknown(u, at(u, i)->line, "lint_option", nearest(table(u, "options"), name), "declare it in options",
                    "the option", name);
    } else if (file && strcmp(json_string_value(json_object_get(option, "type")), "path") != 0) {
        lint_say(u->l, at(u, i)->line, "lint_option", false, "ctx.options has its value",
                 "%s%s: expected an option of type path, found one of type %s", what, name,
                 json_string_value(json_object_get(option, "type")));
    }
}

static void use_option(lint_usage *u, size_t i, bool file) {
    if (at(u, i)->kind == '.' && at(u, i + 1)->kind == T_NAME) {
        check_option(u, i + 1, file, "ctx.files.");
    }
}

static void use_flag(lint_usage *u, size_t i, const char *key, const char *what, const char *fix) {
    const json_t *declared = need(u, key);
    if (!json_is_true(declared) && json_array_size(declared) == 0) {
        undeclared(u, at(u, i)->line, what, fix);
    }
}

/* --- what ctx is told --- */

static void call_fail(lint_usage *u, size_t i) {
    char class[LINT_NAME_MAX];
    const lualex_token *t = at(u, i + 1);
    if (at(u, i)->kind != '(') {
        return;
    }
    if (t->kind != T_STRING) {
        return;
    }
    if (t[1].kind == '.') {
        u->dynamic = true;
        return;
    }
    if (json_object_get(table(u, "failures"), lint_text(t, class)) == NULL) {
        say_unknown(u, t->line, "lint_failure", nearest(table(u, "failures"), class),
                    "declare it in failures = { … }, with its text", "the failure", class);
    }
}

static size_t table_argument(const lint_usage *u, size_t i);

/* ctx:apply(title, { run = … } or { sql = …, role = … }) */
static void call_apply(lint_usage *u, size_t i) {
    i = at(u, i)->kind == '(' ? table_argument(u, i) : 0;
    if (i == 0) {
        return;
    }
    const lualex_token *run = literal_in(u, i, "run"), *role = literal_in(u, i, "role");
    const lualex_token *sql = literal_in(u, i, "sql");
    if (run != NULL) {
        check_command(u, run);
    }
    if (role != NULL && role->kind == T_STRING) {
        check_role(u, role);
    } else if (sql != NULL && role == NULL && !has(need(u, "db"), "operator")) {
        undeclared(u, sql->line, "ctx.db.operator",
                   "add \"operator\" to needs.db: statements of ctx:apply run as operator");
    }
}

typedef enum {
    F_PLAIN,
    F_DB,
    F_HTTP,
    F_STORE,
    F_FILES,
    F_EXEC,
    F_FLAG, /* all that a need of the same name gives */
    F_OPTIONS
} field_kind;

static const struct {
    const char *name;
    field_kind kind;
    const char *fix; /* of F_FLAG */
} FIELDS[] = {{"tenant", F_PLAIN, NULL},
              {"config", F_PLAIN, NULL},
              {"platform", F_PLAIN, NULL},
              {"mode", F_PLAIN, NULL},
              {"verbose", F_PLAIN, NULL},
              {"jobs", F_PLAIN, NULL},
              {"db", F_DB, NULL},
              {"http", F_HTTP, NULL},
              {"store", F_STORE, NULL},
              {"files", F_FILES, NULL},
              {"exec", F_EXEC, NULL},
              {"options", F_OPTIONS, NULL},
              {"solver", F_FLAG, "add solver = true to needs"},
              {"audits", F_FLAG, "add audits = true to needs"},
              {"evidence", F_FLAG, "add evidence = true to needs"},
              {"mail", F_FLAG, "add mail = true to needs"},
              {"webhooks", F_FLAG, "add webhooks = true to needs"},
              {"auth", F_FLAG, "add auth = { \"api_key\" } to needs"}};

static void use_field(lint_usage *u, size_t name, size_t next) {
    const char *names[sizeof FIELDS / sizeof FIELDS[0] + 1] = {NULL};
    size_t n = sizeof FIELDS / sizeof FIELDS[0], k;
    for (k = 0; k < n && !lualex_is(at(u, name), FIELDS[k].name); k++) {
    }
    int after = at(u, next)->kind;
    bool used = after == '.' || after == ':' || after == '[';
    if (k == n) {
        char field[LINT_NAME_MAX], fix[LINT_NAME_MAX + 32];
        for (k = 0; k < n; k++) {
            names[k] = FIELDS[k].name;
        }
        const char *near;
        if (lint_has_method(u, "ctx", lint_text(at(u, name), field), &near)) {
            snprintf(fix, sizeof fix, "write ctx:%.60s(…) where it is called", field);
            lint_say(u->l, at(u, name)->line, "lint_context", true, fix,
                     "ctx.%s is read and not called: what it is given is not checked here", field);
            u->dynamic = true;
            return;
        }
        near = text_suggest(field, names);
        snprintf(fix, sizeof fix, "did you mean \"%.60s\"?", near != NULL ? near : "");
        if (after != '=') {
            lint_say(u->l, at(u, name)->line, "lint_context", false,
                     near != NULL ? fix : "gate-engine doc ctx lists them", "ctx has no field \"%s\"", field);
        }
        return;
    }
    if (!used) {
        return;
    }
    char shown[LINT_NAME_MAX + 8];
    switch (FIELDS[k].kind) {
    case F_DB:
        use_db(u, next);
        break;
    case F_HTTP:
        use_http(u, next);
        break;
    case F_STORE:
        use_store(u, next);
        break;
    case F_FILES:
        use_option(u, next, true);
        break;
    case F_EXEC:
        use_exec(u, next);
        break;
    case F_FLAG:
        snprintf(shown, sizeof shown, "ctx.%s", FIELDS[k].name);
        use_flag(u, next, FIELDS[k].name, shown, FIELDS[k].fix);
        break;
    case F_OPTIONS:
        use_option(u, next, false);
        break;
    case F_PLAIN:
        break;
    }
}

/* `:name(` and `.name(` after an object at token i - 1: is there such a function, and is it called as it should be? */
static void check_method(lint_usage *u, const char *object, bool colon, size_t i, const char *shown) {
    char name[LINT_NAME_MAX], fix[LINT_NAME_MAX + 32];
    const char *near;
    const lualex_token *t = at(u, i + 1);
    int after = at(u, i + 2)->kind;
    bool call = after == '(' || after == '{' || after == T_STRING || after == T_LONG;
    if ((at(u, i)->kind != ':' && at(u, i)->kind != '.') || t->kind != T_NAME || !call) {
        return;
    }
    if (!lint_has_method(u, object, lint_text(t, name), &near)) {
        snprintf(fix, sizeof fix, "did you mean \"%.100s\"?", near != NULL ? near : "");
        lint_say(u->l, t->line, "lint_context", false, near != NULL ? fix : "gate-engine doc lists them",
                 "%s has no method \"%s\"", shown, name);
    } else if (at(u, i)->kind == '.' && colon) {
        snprintf(fix, sizeof fix, "write :%.100s(…)", name);
        lint_say(u->l, t->line, "lint_context", false, fix,
                 "%s.%s is a method: expected a call with a colon, found one "
                 "with a dot",
                 shown, name);
    }
}

/* Keys of the constructor that opens at token i, at its first level, against those that are read. */
static void check_keys(lint_usage *u, size_t i, const char *const *known, const char *what) {
    char name[LINT_NAME_MAX], fix[LINT_NAME_MAX + 32];
    int depth = 0;
    for (; at(u, i)->kind != T_END; i++) {
        depth += lualex_bracket(at(u, i));
        if (depth == 0) {
            return;
        }
        if (depth != 1 || at(u, i)->kind != T_NAME || !lint_is_key(&u->l->lx, i)) {
            continue;
        }
        bool found = false;
        lint_text(at(u, i), name);
        for (size_t k = 0; known[k] != NULL && !found; k++) {
            found = strcmp(known[k], name) == 0;
        }
        if (!found) {
            const char *near = text_suggest(name, known);
            snprintf(fix, sizeof fix, near != NULL ? "did you mean \"%s\"?" : "gate-engine doc ctx lists them%s",
                     near != NULL ? near : "");
            lint_say(u->l, at(u, i)->line, "lint_context", false, fix, "%s has no field \"%s\"", what, name);
        }
    }
}

/* The first constructor among the arguments of the call whose "(" is at token i, or 0. */
static size_t table_argument(const lint_usage *u, size_t i) {
    int depth = 0;
    for (; at(u, i)->kind != T_END; i++) {
        if (at(u, i)->kind == '{' && depth == 1) {
            return i;
        }
        depth += lualex_bracket(at(u, i));
        if (depth <= 0) {
            return 0;
        }
    }
    return 0;
}

/* A finding belongs to a check: not to `run` itself. */
static void check_place(lint_usage *u, size_t name) {
    int f = u->l->function[name];
    bool run = f >= 2 && u->l->file == NULL && at(u, (size_t)f - 1)->kind == '=' &&
               (lualex_is(at(u, (size_t)f - 2), "run") || lualex_is(at(u, (size_t)f - 2), "recover"));
    if (run) {
        lint_say(u->l, at(u, name)->line, "lint_context", false,
                 "call it inside the function given to ctx:check: ctx:check(\"…\", function() … end)",
                 "ctx:%.*s is called outside of a check", (int)at(u, name)->n, at(u, name)->s);
    }
}

static void call_method(lint_usage *u, size_t name, size_t next) {
    static const char *const FINDING[] = {"object", "args", "detail", "fix", "reproduce", "severity", "basis", NULL};
    static const char *const STEP[] = {"sql", "params", "role", "run", "note", NULL};
    bool fail = lualex_is(at(u, name), "fail") || lualex_is(at(u, name), "advise");
    bool operation =
        lualex_is(at(u, name), "step") || lualex_is(at(u, name), "refuse") || lualex_is(at(u, name), "unchanged");
    size_t fields = at(u, next)->kind == '(' ? table_argument(u, next) : 0;
    if (operation && !u->l->operation) {
        lint_say(u->l, at(u, name)->line, "lint_context", false, "gates have checks: ctx:check and ctx:fail",
                 "ctx:%.*s belongs to operations", (int)at(u, name)->n, at(u, name)->s);
    } else if (u->l->operation && lualex_is(at(u, name), "apply")) {
        lint_say(u->l, at(u, name)->line, "lint_context", false, "do it inside ctx:step",
                 "ctx:apply belongs to recover: an operation changes things itself");
    } else if (fail || lualex_is(at(u, name), "refuse")) {
        call_fail(u, next);
        if (fields > 0) {
            check_keys(u, fields, FINDING, "a finding");
        }
    } else if (lualex_is(at(u, name), "apply")) {
        call_apply(u, next);
        lint_apply(u, name, next, fields);
        u->applies = true;
        if (fields > 0) {
            check_keys(u, fields, STEP, "a step of recovery");
        }
    }
    if (fail || lualex_is(at(u, name), "skip")) {
        check_place(u, name);
    }
    if (lualex_is(at(u, name), "artifact") && at(u, next)->kind == '(' && at(u, next + 1)->kind == T_STRING) {
        check_option(u, next + 1, true, "ctx:artifact: ");
    }
    u->checks = u->checks || lualex_is(at(u, name), "check");
    if (!operation) {
        check_method(u, "ctx", true, name - 1, "ctx");
    }
}

/* ctx.NAME: a field, or a method that is called with a dot. */
static void dot_after_context(lint_usage *u, size_t name) {
    char text[LINT_NAME_MAX], fix[LINT_NAME_MAX + 32];
    const char *near;
    lint_text(at(u, name), text);
    if (at(u, name + 1)->kind != '(' || !lint_has_method(u, "ctx", text, &near)) {
        use_field(u, name, name + 1);
        return;
    }
    u->checks = u->checks || strcmp(text, "check") == 0;
    u->applies = u->applies || strcmp(text, "apply") == 0;
    snprintf(fix, sizeof fix, "write ctx:%.100s(…)", text);
    lint_say(u->l, at(u, name)->line, "lint_context", false, fix,
             "ctx.%s is a method: expected a call with a colon, found one with a dot", text);
}

/* What is called on the module that a local holds. */
static void use_module(lint_usage *u, size_t i, const lualex_token *module) {
    static const char *const KNOWN[] = {"hash", "json", "task", "errors", "roster"};
    for (size_t k = 0; k < sizeof KNOWN / sizeof KNOWN[0]; k++) {
        if (lualex_is(&(lualex_token){T_NAME, 0, module->s, module->n}, KNOWN[k])) {
            check_method(u, KNOWN[k], false, i, KNOWN[k]);
        }
    }
}

void lint_context(lint_usage *u) {
    char name[LINT_NAME_MAX];
    for (size_t i = 0; at(u, i)->kind != T_END; i++) {
        int d = u->l->binding[i], after = at(u, i + 1)->kind;
        if (u->l->skip[i] || d < 0 || d == (int)i || !lint_is_variable(u->l, i) ||
            (after != '.' && after != ':' && after != '[')) {
            continue;
        }
        const lint_meaning *m = &u->l->meaning[d];
        if (m->is == LINT_CONTEXT && after == ':' && at(u, i + 2)->kind == T_NAME) {
            call_method(u, i + 2, i + 3);
        } else if (m->is == LINT_CONTEXT && after == '.' && at(u, i + 2)->kind == T_NAME) {
            dot_after_context(u, i + 2);
        } else if (m->is == LINT_FIELD) {
            use_field(u, m->at, i + 1);
        } else if (m->is == LINT_OBJECT) {
            check_method(u, m->object, true, i + 1, lint_text(at(u, i), name));
        } else if (m->is == LINT_MODULE) {
            use_module(u, i + 1, at(u, m->at));
        }
    }
}
