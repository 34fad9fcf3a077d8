#include "run/lint.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "run/lint_parts.h"
#include "run/script.h"

#define SOURCE_MAX (4u << 20)
#define ROUNDS_MAX 6

void lint_say(lint *l, int line, const char *code, bool note, const char *fix, const char *fmt, ...) {
    buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    int rc = buf_vprintf(&b, fmt, ap);
    va_end(ap);
    json_t *finding = rc == 0 ? json_pack("{s:i, s:s, s:s?, s:s, s:b, s:s?}", "line", line, "message", buf_str(&b),
                                          "fix", fix, "code", code, "note", note, "file", l->file)
                              : NULL;
    if (finding == NULL || json_array_append_new(l->out, finding) != 0) {
        l->failed = true;
    }
    buf_free(&b);
}

const char *lint_text(const lualex_token *t, char out[LINT_NAME_MAX]) {
    size_t n = t->n < LINT_NAME_MAX ? t->n : 0;
    memcpy(out, t->s, n);
    out[n] = '\0';
    return out;
}

size_t lint_close(const lint *l, size_t open) {
    int depth = 0;
    for (size_t i = open; l->lx.list[i].kind != T_END; i++) {
        depth += lualex_bracket(&l->lx.list[i]);
        if (depth == 0) {
            return i;
        }
    }
    return l->lx.n - 1;
}

/* --- reading files --- */

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
static void mark_declarations(lint *l) {
    const lualex_token *list = l->lx.list;
    for (size_t i = 0; list[i].kind != T_END; i++) {
        bool head = lualex_is(&list[i], "needs") || lualex_is(&list[i], "options") || lualex_is(&list[i], "failures");
        bool named = list[i + 1].kind == '=' && list[i + 2].kind == '{';
        if (!head || !named || !(lint_is_key(&l->lx, i) || (i > 0 && lualex_is(&list[i - 1], "local")))) {
            continue;
        }
        size_t end = lint_close(l, i + 2);
        for (i += 2; i < end; i++) {
            l->skip[i] = true;
        }
    }
}

static void lint_free(lint *l) {
    if (l != NULL) {
        lualex_free(&l->lx);
        buf_free(&l->text);
        free(l->inside);
        free(l->skip);
        free(l->binding);
        free(l->function);
        free(l->meaning);
        free((char *)l->file);
        free(l);
    }
}

/* The tokens of a text and room for what is found out of each. NULL out of memory. */
static lint *lint_new(const char *source, const json_t *head, json_t *out) {
    lint *l = calloc(1, sizeof *l);
    if (l == NULL || buf_puts(&l->text, source) != 0 || lualex_read(&l->lx, buf_str(&l->text)) != 0) {
        lint_free(l);
        return NULL;
    }
    size_t n = l->lx.n + LUALEX_AHEAD;
    l->head = head;
    l->out = out;
    const char *kind = json_string_value(json_object_get(head, "kind"));
    l->audit = kind != NULL && strcmp(kind, "audit") == 0;
    l->operation = kind != NULL && strcmp(kind, "operation") == 0;
    l->skip = calloc(n, sizeof *l->skip);
    l->binding = malloc(n * sizeof *l->binding);
    l->function = malloc(n * sizeof *l->function);
    l->meaning = calloc(n, sizeof *l->meaning);
    if (l->skip == NULL || l->binding == NULL || l->function == NULL || l->meaning == NULL || find_brackets(l) != 0) {
        lint_free(l);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        l->binding[i] = l->function[i] = -1;
    }
    return l;
}

/* Adds a file to a list. 0 / -1 out of memory. */
static int add_file(lint **files, size_t *n, const char *text, const json_t *module, const json_t *head, json_t *out) {
    lint *l = lint_new(text, head, out);
    if (l == NULL) {
        return -1;
    }
    l->file = script_label(json_string_value(json_object_get(module, "path")));
    l->module = json_string_value(json_object_get(module, "name"));
    files[(*n)++] = l;
    return 0;
}

/* The modules of the script. What cannot be read is passed over: it was read once, when the head was loaded. */
static int read_modules(lint_usage *u, const json_t *raw, const json_t *head, json_t *findings) {
    const char *whole = json_string_value(json_object_get(raw, "path"));
    char *dir = whole != NULL ? fs_dirname(whole) : NULL;
    size_t n = dir != NULL ? strlen(dir) : 0, i;
    const json_t *module;
    int rc = 0;
    json_array_foreach(json_object_get(raw, "modules"), i, module) {
        const char *path = json_string_value(json_object_get(module, "path"));
        bool own = path != NULL && n > 0 && strncmp(path, dir, n) == 0 && path[n] == '/';
        size_t *count = own ? &u->nfiles : &u->nothers;
        buf text = BUF_INIT;
        err ignored;
        if (rc == 0 && path != NULL && *count < LINT_FILES_MAX && fs_read(path, SOURCE_MAX, &text, &ignored) == 0) {
            rc = add_file(own ? u->files : u->others, count, buf_str(&text), module, head, findings);
        }
        buf_free(&text);
    }
    free(dir);
    return rc;
}

static bool was_read(const lint_usage *u, const char *label) {
    bool read = false;
    for (size_t i = 0; label != NULL && i < u->nothers; i++) {
        read = read || (u->others[i]->file != NULL && strcmp(u->others[i]->file, label) == 0);
    }
    return read;
}

/* Adds the module of the library that `name` stands for, if it is one and was not read yet. */
static int read_late(lint_usage *u, const paths *tree, const char *name, const json_t *head, json_t *findings) {
    char inside[LINT_NAME_MAX], file[512];
    snprintf(inside, sizeof inside, "%s", name);
    for (char *p = inside; *p != '\0'; p++) {
        *p = *p == '.' ? '/' : *p;
    }
    int n = snprintf(file, sizeof file, "%s/stdlib/%s.lua", tree->share, inside);
    if (n < 0 || (size_t)n >= sizeof file || u->nothers == LINT_FILES_MAX) {
        return 0;
    }
    char *label = script_label(file);
    bool known = label == NULL || was_read(u, label);
    free(label);
    buf text = BUF_INIT;
    err ignored;
    int rc = 0;
    if (!known && fs_read(file, SOURCE_MAX, &text, &ignored) == 0) {
        json_t *module = json_pack("{s:s}", "path", file);
        rc = add_file(u->others, &u->nothers, buf_str(&text), module, head, findings);
        json_decref(module);
    }
    buf_free(&text);
    return rc;
}

/* What is required inside of functions, by the script and by what it requires, is not loaded with the head. */
static int read_late_modules(lint_usage *u, const json_t *head, json_t *findings) {
    err ignored;
    const paths *tree = script_tree(&ignored);
    int rc = 0;
    for (size_t k = 0; tree != NULL && k < u->nfiles + u->nothers && rc == 0; k++) {
        const lint *l = k < u->nfiles ? u->files[k] : u->others[k - u->nfiles];
        for (size_t i = 0; i + 2 < l->lx.n && rc == 0; i++) {
            const lualex_token *t = &l->lx.list[i];
            const lualex_token *name = t[1].kind == '(' ? &t[2] : &t[1];
            char text[LINT_NAME_MAX];
            if (lualex_is(t, "require") && name->kind == T_STRING) {
                rc = read_late(u, tree, lint_text(name, text), head, findings);
            }
        }
    }
    return rc;
}

/* The script first, then its modules, each by its lines. */
static int by_line(const void *a, const void *b) {
    const char *f = json_string_value(json_object_get(*(json_t *const *)a, "file"));
    const char *g = json_string_value(json_object_get(*(json_t *const *)b, "file"));
    int order = strcmp(f != NULL ? f : "", g != NULL ? g : "");
    if (order != 0) {
        return order;
    }
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

/* --- putting it together --- */

/* Until no file learns from another any more: then all is known that is followed. */
static void follow(lint_usage *u) {
    bool shared = true, escapes = false;
    for (int round = 0; round < ROUNDS_MAX && shared; round++) {
        shared = escapes = false;
        for (size_t i = 0; i < u->nfiles; i++) {
            u->l = u->files[i];
            shared = lint_flow(u) || shared;
            escapes = escapes || u->escapes;
        }
    }
    u->escapes = escapes;
}

/* A gate that cannot pass, a recovery that proposes nothing. */
static void judge(lint_usage *u) {
    const char *kind = json_string_value(json_object_get(u->l->head, "kind"));
    if (strcmp(kind, "gate") != 0 || u->escapes) {
        return;
    }
    int line = (int)json_integer_value(json_object_get(json_object_get(u->l->head, "run"), "$function"));
    if (!u->checks) {
        lint_say(u->l, line > 0 ? line : 1, "lint_no_check", false, "ctx:check(\"what is proven\", function() … end)",
                 "run makes no check: a gate without one is an ERROR, never a pass");
    }
    line = (int)json_integer_value(json_object_get(json_object_get(u->l->head, "recover"), "$function"));
    if (line > 0 && !u->applies) {
        lint_say(u->l, line, "lint_no_step", true, "ctx:apply(\"…\", { sql = …, run = … or note = … })",
                 "recover proposes nothing: it never calls ctx:apply");
    }
}

static void look(lint_usage *u, const json_t *raw, bool gate) {
    for (size_t i = 0; i < u->nfiles; i++) {
        u->l = u->files[i];
        lint_scope(u->l);
        lint_requires(u, raw);
    }
    u->l = u->files[0];
    if (gate) {
        mark_declarations(u->l);
    }
    follow(u);
    for (size_t i = 0; i < u->nfiles; i++) {
        u->l = u->files[i];
        lint_context(u);
    }
    u->l = u->files[0];
    if (gate) {
        judge(u);
        lint_unused(u);
    } else if (u->l->audit) {
        lint_audit(u->l);
    }
}

int lint_script(const json_t *raw, const json_t *head, json_t *findings, err *e) {
    const char *kind = json_string_value(json_object_get(head, "kind"));
    const char *source = json_string_value(json_object_get(raw, "source"));
    lint_usage u = {.methods = json_object(), .contexts = json_object()};
    bool gate = strcmp(kind, "gate") == 0 || strcmp(kind, "operation") == 0, failed = false;
    u.files[0] = u.l = lint_new(source != NULL ? source : "", head, findings);
    u.nfiles = u.l != NULL ? 1 : 0;
    failed = u.l == NULL || u.methods == NULL || u.contexts == NULL;
    if (!failed) {
        failed = gate && (read_modules(&u, raw, head, findings) != 0 || read_late_modules(&u, head, findings) != 0);
        look(&u, raw, gate);
    }
    for (size_t i = 0; i < u.nfiles; i++) {
        failed = failed || u.files[i]->failed;
        lint_free(u.files[i]);
    }
    for (size_t i = 0; i < u.nothers; i++) {
        lint_free(u.others[i]);
    }
    json_decref(u.methods);
    json_decref(u.contexts);
    sort(findings);
    return failed ? err_set(e, "out_of_memory", "out of memory while looking at the script") : 0;
}

int lint_source(const json_t *raw, json_t *findings, err *e) {
    const char *source = json_string_value(json_object_get(raw, "source"));
    const char *kind = json_object_get(json_object_get(raw, "head"), "audit") != NULL ? "audit" : "gate";
    json_t *head = json_pack("{s:s}", "kind", kind);
    lint_usage u = {.l = lint_new(source != NULL ? source : "", head, findings)};
    bool failed = u.l == NULL;
    if (u.l != NULL) {
        lint_scope(u.l);
        lint_requires(&u, raw);
        failed = u.l->failed;
    }
    lint_free(u.l);
    json_decref(head);
    sort(findings);
    return failed ? err_set(e, "out_of_memory", "out of memory while looking at the script") : 0;
}
