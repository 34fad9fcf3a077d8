#include "run/lint.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/text.h"
#include "run/lint_parts.h"
#include "run/script.h"

#define NAME_MAX_ 128

void lint_say(lint *l, int line, const char *code, bool note, const char *fix, const char *fmt, ...) {
    buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    int rc = buf_vprintf(&b, fmt, ap);
    va_end(ap);
    json_t *finding = rc == 0 ? json_pack("{s:i, s:s, s:s?, s:s, s:b}", "line", line, "message", buf_str(&b), "fix",
                                          fix, "code", code, "note", note)
                              : NULL;
    if (finding == NULL || json_array_append_new(l->out, finding) != 0) {
        l->failed = true;
    }
    buf_free(&b);
}

static const lualex_token *at(const lint_usage *u, size_t i) {
    return &u->l->lx.list[i];
}

/* A token's text; "" where it is too long to be a name. */
static const char *text_of(const lualex_token *t, char out[NAME_MAX_]) {
    size_t n = t->n < NAME_MAX_ ? t->n : 0;
    memcpy(out, t->s, n);
    out[n] = '\0';
    return out;
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
    char fix[NAME_MAX_ + 32];
    snprintf(fix, sizeof fix, "did you mean \"%.100s\"?", near != NULL ? near : "");
    lint_say(u->l, line, code, false, near != NULL ? fix : otherwise, "%s \"%s\" is not declared", what, name);
}

static void undeclared(lint_usage *u, int line, const char *what, const char *fix) {
    lint_say(u->l, line, "lint_not_declared", false, fix, "%s is used, and needs does not declare it", what);
}

/* "did you mean …?" where one of the declared names is near, else which list of needs to add it to. */
static const char *list_fix(const lint_usage *u, const char *key, const char *name, char fix[NAME_MAX_ + 64]) {
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
        snprintf(fix, NAME_MAX_ + 64, "did you mean \"%.100s\"?", near);
    } else {
        snprintf(fix, NAME_MAX_ + 64, "add \"%s\" to needs.%s", name, key);
    }
    return fix;
}

/* --- what ctx is asked for --- */

static void check_role(lint_usage *u, const lualex_token *t) {
    char role[NAME_MAX_], what[NAME_MAX_ + 16], fix[NAME_MAX_ + 64];
    static const char *const ROLES[] = {"admin", "app", "operator", NULL};
    text_of(t, role);
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
    if (at(u, i)->kind == '.' && at(u, i + 1)->kind == T_NAME) {
        check_role(u, at(u, i + 1));
    } else if (at(u, i)->kind == ':' && lualex_is(at(u, i + 1), "open") && at(u, i + 2)->kind == '(' &&
               at(u, i + 3)->kind == T_STRING) {
        check_role(u, at(u, i + 3));
    } else if (json_array_size(need(u, "db")) == 0) {
        undeclared(u, at(u, i)->line, "ctx.db", "add needs = { db = { \"admin\" } } with the roles it connects as");
    }
}

static void use_store(lint_usage *u, size_t i) {
    char name[NAME_MAX_], what[NAME_MAX_ + 16], fix[NAME_MAX_ + 64];
    if (at(u, i)->kind == '.' && at(u, i + 1)->kind == T_NAME && !has(need(u, "stores"), text_of(at(u, i + 1), name))) {
        snprintf(what, sizeof what, "ctx.store.%s", name);
        undeclared(u, at(u, i)->line, what, list_fix(u, "stores", name, fix));
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
    char name[NAME_MAX_], what[NAME_MAX_ + 32], fix[NAME_MAX_ + 64];
    if (json_is_true(declared)) {
        return;
    }
    if (json_array_size(declared) == 0) {
        undeclared(u, at(u, i)->line, "ctx.http",
                   "add needs = { endpoints = { \"NAME\" } } with the endpoints it calls");
        return;
    }
    size_t open = i + 2;
    open += at(u, open)->kind == '(';
    const lualex_token *t = at(u, open)->kind == '{' ? literal_in(u, open, "endpoint") : NULL;
    if (t != NULL && t->kind == T_STRING && !has(declared, text_of(t, name))) {
        snprintf(what, sizeof what, "the endpoint \"%s\"", name);
        undeclared(u, t->line, what, list_fix(u, "endpoints", name, fix));
    }
}

static void check_command(lint_usage *u, const lualex_token *t) {
    char name[NAME_MAX_], what[NAME_MAX_ + 32], fix[NAME_MAX_ + 64];
    if (t->kind == T_STRING && !has(need(u, "commands"), text_of(t, name))) {
        snprintf(what, sizeof what, "the command \"%s\"", name);
        undeclared(u, t->line, what, list_fix(u, "commands", name, fix));
    }
}

static void use_exec(lint_usage *u, size_t i) {
    if (json_array_size(need(u, "commands")) == 0) {
        undeclared(u, at(u, i)->line, "ctx.exec",
                   "add needs = { commands = { \"NAME\" } } with the commands it starts");
    } else if (at(u, i + 2)->kind == '(') {
        check_command(u, at(u, i + 3));
    }
}

static void use_option(lint_usage *u, size_t i, bool file) {
    char name[NAME_MAX_];
    if (at(u, i)->kind != '.' || at(u, i + 1)->kind != T_NAME) {
        return;
    }
    text_of(at(u, i + 1), name);
    const json_t *option = json_object_get(table(u, "options"), name);
    if (option == NULL) {
        say_unknown(u, at(u, i + 1)->line, "lint_option", nearest(table(u, "options"), name), "declare it in options",
                    "the option", name);
    } else if (file && strcmp(json_string_value(json_object_get(option, "type")), "path") != 0) {
        lint_say(u->l, at(u, i + 1)->line, "lint_option", false, "ctx.options has its value",
                 "ctx.files.%s: expected an option of type path, found one of type %s", name,
                 json_string_value(json_object_get(option, "type")));
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
    char class[NAME_MAX_];
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
    if (json_object_get(table(u, "failures"), text_of(t, class)) == NULL) {
        say_unknown(u, t->line, "lint_failure", nearest(table(u, "failures"), class),
                    "declare it in failures = { … }, with its text", "the failure", class);
    }
}

/* ctx:apply(title, { run = … } or { sql = …, role = … }): finds the constructor among its arguments. */
static void call_apply(lint_usage *u, size_t i) {
    int depth = 0;
    for (; at(u, i)->kind != T_END; i++) {
        if (at(u, i)->kind == '{' && depth == 1) {
            break;
        }
        depth += lualex_bracket(at(u, i));
        if (depth <= 0) {
            return;
        }
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

typedef enum { F_PLAIN, F_DB, F_HTTP, F_STORE, F_FILES, F_EXEC, F_SOLVER, F_AUDITS, F_AUTH, F_OPTIONS } field_kind;

static const struct {
    const char *name;
    field_kind kind;
} FIELDS[] = {{"tenant", F_PLAIN},  {"config", F_PLAIN},   {"platform", F_PLAIN}, {"mode", F_PLAIN},
              {"verbose", F_PLAIN}, {"db", F_DB},          {"http", F_HTTP},      {"store", F_STORE},
              {"files", F_FILES},   {"exec", F_EXEC},      {"solver", F_SOLVER},  {"audits", F_AUDITS},
              {"auth", F_AUTH},     {"options", F_OPTIONS}};
static const char *const METHODS[] = {"check", "fail",    "advise", "skip",     "fact", "log",
                                      "say",   "summary", "apply",  "artifact", NULL};
static const char *const OPERATION_METHODS[] = {"step", "refuse", "unchanged", "check",   "fail",     "advise", "skip",
                                                "fact", "log",    "say",       "summary", "artifact", NULL};

static void use_field(lint_usage *u, size_t name, size_t next) {
    const char *names[16] = {NULL};
    size_t n = sizeof FIELDS / sizeof FIELDS[0], k;
    for (k = 0; k < n && !lualex_is(at(u, name), FIELDS[k].name); k++) {
    }
    int after = at(u, next)->kind;
    bool used = after == '.' || after == ':' || after == '[';
    if (k == n) {
        char field[NAME_MAX_], fix[NAME_MAX_ + 32];
        for (k = 0; k < n; k++) {
            names[k] = FIELDS[k].name;
        }
        const char *near = text_suggest(text_of(at(u, name), field), names);
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
    case F_SOLVER:
        use_flag(u, next, "solver", "ctx.solver", "add solver = true to needs");
        break;
    case F_AUDITS:
        use_flag(u, next, "audits", "ctx.audits", "add audits = true to needs");
        break;
    case F_AUTH:
        use_flag(u, next, "auth", "ctx.auth", "add auth = { \"api_key\" } to needs");
        break;
    case F_OPTIONS:
        use_option(u, next, false);
        break;
    case F_PLAIN:
        break;
    }
}

static void call_method(lint_usage *u, size_t name, size_t next) {
    bool refuses = u->l->operation && lualex_is(at(u, name), "refuse");
    if (lualex_is(at(u, name), "fail") || lualex_is(at(u, name), "advise") || refuses) {
        call_fail(u, next);
    } else if (u->l->operation && lualex_is(at(u, name), "apply")) {
        lint_say(u->l, at(u, name)->line, "lint_context", false, "do it inside ctx:step",
                 "ctx:apply belongs to recover: an operation changes things itself");
    } else if (lualex_is(at(u, name), "apply")) {
        call_apply(u, next);
    } else {
        char method[NAME_MAX_], fix[NAME_MAX_ + 32];
        const char *const *methods = u->l->operation ? OPERATION_METHODS : METHODS;
        text_of(at(u, name), method);
        for (size_t i = 0; methods[i] != NULL; i++) {
            if (strcmp(methods[i], method) == 0) {
                return;
            }
        }
        bool other = false;
        for (size_t i = 0; OPERATION_METHODS[i] != NULL; i++) {
            other = other || strcmp(OPERATION_METHODS[i], method) == 0;
        }
        if (other) {
            lint_say(u->l, at(u, name)->line, "lint_context", false, "gates have checks: ctx:check and ctx:fail",
                     "ctx:%s belongs to operations", method);
            return;
        }
        const char *near = text_suggest(method, methods);
        snprintf(fix, sizeof fix, "did you mean \"%.60s\"?", near != NULL ? near : "");
        lint_say(u->l, at(u, name)->line, "lint_context", false, near != NULL ? fix : "gate-engine doc ctx lists them",
                 "ctx has no method \"%s\"", method);
    }
}

/* The names under which run and recover know the context: their first parameter. "ctx" is one everywhere. */
static void find_contexts(lint_usage *u) {
    for (size_t k = 0; at(u, k)->kind != T_END && u->ncontexts < CONTEXTS_MAX; k++) {
        if ((lualex_is(at(u, k), "run") || lualex_is(at(u, k), "recover")) && at(u, k + 1)->kind == '=' &&
            lualex_is(at(u, k + 2), "function") && at(u, k + 3)->kind == '(' && at(u, k + 4)->kind == T_NAME) {
            u->contexts[u->ncontexts++] = at(u, k + 4);
        }
    }
}

static bool is_context(const lint_usage *u, size_t i) {
    bool named = lualex_is(at(u, i), "ctx");
    for (size_t k = 0; k < u->ncontexts && !named; k++) {
        named = u->contexts[k]->n == at(u, i)->n && memcmp(u->contexts[k]->s, at(u, i)->s, at(u, i)->n) == 0;
    }
    return named && lint_is_variable(u->l, i);
}

static void check_context(lint_usage *u) {
    find_contexts(u);
    for (size_t i = 0; at(u, i)->kind != T_END; i++) {
        if (u->skip[i] || at(u, i)->kind != T_NAME || at(u, i + 1)->kind == T_END) {
            continue;
        }
        int after = at(u, i + 1)->kind;
        if ((after != '.' && after != ':') || at(u, i + 2)->kind != T_NAME || !is_context(u, i)) {
            continue;
        }
        if (after == ':') {
            call_method(u, i + 2, i + 3);
        } else {
            use_field(u, i + 2, i + 3);
        }
    }
}

/* --- putting it together --- */

/* The innermost bracket around each token. */
static int find_brackets(lint *l) {
    size_t n = l->lx.n, depth = 0;
    char *open = malloc(n + 1);
    l->inside = calloc(n + 1, 1);
    for (size_t i = 0; open != NULL && l->inside != NULL && i < n; i++) {
        int step = lualex_bracket(&l->lx.list[i]);
        depth -= step < 0 && depth > 0;
        l->inside[i] = depth > 0 ? open[depth - 1] : 0;
        if (step > 0) {
            open[depth++] = (char)l->lx.list[i].kind;
        }
    }
    free(open);
    return open != NULL && l->inside != NULL ? 0 : -1;
}

/* Marks the constructors in which the head declares names. */
static void mark_declarations(lint_usage *u) {
    for (size_t i = 0; at(u, i)->kind != T_END; i++) {
        bool head = lualex_is(at(u, i), "needs") || lualex_is(at(u, i), "options") || lualex_is(at(u, i), "failures");
        bool named = at(u, i + 1)->kind == '=' && at(u, i + 2)->kind == '{';
        if (!head || !named || !(lint_is_key(&u->l->lx, i) || (i > 0 && lualex_is(at(u, i - 1), "local")))) {
            continue;
        }
        int depth = 0;
        for (i += 2; at(u, i)->kind != T_END; i++) {
            u->skip[i] = true;
            depth += lualex_bracket(at(u, i));
            if (depth == 0) {
                break;
            }
        }
    }
}

/* What cannot be read is passed over: it was read once, when the head was loaded. */
static void read_modules(lint_usage *u, const json_t *raw) {
    size_t i;
    const json_t *module;
    json_array_foreach(json_object_get(raw, "modules"), i, module) {
        const char *path = json_string_value(json_object_get(module, "path"));
        err ignored;
        if (u->nmodules == MODULES_MAX || path == NULL ||
            fs_read(path, 4u << 20, &u->texts[u->nmodules], &ignored) != 0) {
            continue;
        }
        if (lualex_read(&u->modules[u->nmodules], buf_str(&u->texts[u->nmodules])) != 0) {
            u->l->failed = true;
        }
        u->nmodules++;
    }
}

static int by_line(const void *a, const void *b) {
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "line"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "line"));
    return x < y ? -1 : x > y;
}

static void sort(json_t *findings) {
    size_t n = json_array_size(findings);
    json_t **all = n > 0 ? malloc(n * sizeof(json_t *)) : NULL;
    if (all == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        all[i] = json_incref(json_array_get(findings, i));
    }
    qsort(all, n, sizeof *all, by_line);
    for (size_t i = 0; i < n; i++) {
        json_array_set_new(findings, i, all[i]);
    }
    free(all);
}

int lint_script(const json_t *raw, const json_t *head, json_t *findings, err *e) {
    const char *kind = json_string_value(json_object_get(head, "kind"));
    const char *source = json_string_value(json_object_get(raw, "source"));
    lint l = {.head = head,
              .out = findings,
              .audit = strcmp(kind, "audit") == 0,
              .operation = strcmp(kind, "operation") == 0};
    lint_usage *u = calloc(1, sizeof *u);
    if (u == NULL || lualex_read(&l.lx, source != NULL ? source : "") != 0 || find_brackets(&l) != 0) {
        l.failed = true;
    } else {
        u->l = &l;
        u->skip = calloc(l.lx.n + 8, sizeof *u->skip);
        lint_globals(&l);
        if (u->skip == NULL) {
            l.failed = true;
        } else if (strcmp(kind, "gate") == 0 || strcmp(kind, "operation") == 0) {
            mark_declarations(u);
            read_modules(u, raw);
            check_context(u);
            lint_unused(u);
        }
    }
    for (size_t i = 0; u != NULL && i < u->nmodules; i++) {
        lualex_free(&u->modules[i]);
        buf_free(&u->texts[i]);
    }
    if (u != NULL) {
        free(u->skip);
        free(u);
    }
    lualex_free(&l.lx);
    free(l.inside);
    sort(findings);
    return l.failed ? err_set(e, "out_of_memory", "out of memory while looking at the script") : 0;
}
