/* lint_modules.c: what the installed library offers, read from its annotated sources (stdlib/meta/, the same that `doc`
 * shows and editors complete from), and `require` of what is not there. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "run/lint_parts.h"
#include "run/script.h"
#include "vm/allowed.h"

#define SOURCE_MAX (1u << 20)
#define NEAR_MAX 512

/* Which file says what an object can do, and what it is called there ("function connection:query(…)"). */
static const struct {
    const char *object, *file;
} OBJECTS[] = {
    {"ctx", "stdlib/meta/ctx.lua"},      {"http", "stdlib/meta/ctx.lua"},      {"exec", "stdlib/meta/ctx.lua"},
    {"solver", "stdlib/meta/ctx.lua"},   {"audits", "stdlib/meta/ctx.lua"},    {"connection", "stdlib/meta/db.lua"},
    {"handle", "stdlib/meta/store.lua"}, {"report", "stdlib/meta/audit.lua"},  {"hash", "stdlib/meta/hash.lua"},
    {"jose", "stdlib/meta/jose.lua"},    {"json", "stdlib/meta/json.lua"},     {"task", "stdlib/meta/task.lua"},
    {"errors", "stdlib/errors.lua"},     {"roster", "stdlib/audit/roster.lua"}};

/* The names in `function OBJECT.name(` and `function OBJECT:name(`. New reference. */
static json_t *functions_in(const char *file, const char *object) {
    err ignored;
    const paths *tree = script_tree(&ignored);
    char *path = tree != NULL ? fs_join(tree->share, file) : NULL;
    buf text = BUF_INIT;
    lualex lx = {0};
    json_t *out = json_array();
    if (path != NULL && fs_read(path, SOURCE_MAX, &text, &ignored) == 0 && lualex_read(&lx, buf_str(&text)) == 0) {
        for (size_t i = 0; lx.list[i].kind != T_END; i++) {
            const lualex_token *t = &lx.list[i];
            if (lualex_is(t, "function") && lualex_is(&t[1], object) && (t[2].kind == '.' || t[2].kind == ':')) {
                json_array_append_new(out, json_stringn(t[3].s, t[3].n));
            }
        }
    }
    lualex_free(&lx);
    buf_free(&text);
    free(path);
    return out;
}

static const json_t *functions_of(lint_usage *u, const char *object) {
    for (size_t i = 0; u->methods != NULL && i < sizeof OBJECTS / sizeof OBJECTS[0]; i++) {
        if (strcmp(OBJECTS[i].object, object) != 0) {
            continue;
        }
        if (json_object_get(u->methods, object) == NULL) {
            json_t *functions = functions_in(OBJECTS[i].file, object);
            if (u->l->operation && strcmp(object, "ctx") == 0) {
                json_t *more = functions_in("stdlib/meta/operation.lua", object);
                json_array_extend(functions, more);
                json_decref(more);
            }
            json_object_set_new(u->methods, object, functions);
        }
        return json_object_get(u->methods, object);
    }
    return NULL;
}

bool lint_has_method(lint_usage *u, const char *object, const char *name, const char **near) {
    const json_t *functions = functions_of(u, object);
    const char *names[128];
    size_t n = 0, i;
    const json_t *item;
    *near = NULL;
    json_array_foreach(functions, i, item) {
        if (strcmp(json_string_value(item), name) == 0) {
            return true;
        }
        if (n < 127) {
            names[n++] = json_string_value(item);
        }
    }
    names[n] = NULL;
    *near = text_suggest(name, names);
    return n == 0;
}

/* --- require --- */

/* "a.b" → dir/a/b.lua: is it there? */
static bool is_module(const char *dir, const char *name) {
    buf path = BUF_INIT;
    buf_printf(&path, "%s/", dir);
    for (const char *p = name; *p != '\0'; p++) {
        buf_putc(&path, *p == '.' ? '/' : *p);
    }
    buf_puts(&path, ".lua");
    bool found = !path.failed && fs_exists(buf_str(&path));
    buf_free(&path);
    return found;
}

static void list_names(const char *dir, char **names, size_t *n) {
    DIR *d = opendir(dir);
    const struct dirent *entry;
    while (d != NULL && *n < NEAR_MAX && (entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".lua") == 0 && (names[*n] = strdup(entry->d_name)) != NULL) {
            names[(*n)++][len - 4] = '\0';
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

static void say_missing(lint *l, int line, const char *name, const char *stdlib, const char *own) {
    char *names[NEAR_MAX + 1];
    size_t n = 0;
    list_names(stdlib, names, &n);
    if (own != NULL) {
        list_names(own, names, &n);
    }
    names[n] = NULL;
    const char *near = text_suggest(name, (const char *const *)names);
    char fix[LINT_NAME_MAX + 64];
    const char *instead = vm_instead_of_module(own == NULL, name);
    snprintf(fix, sizeof fix, near != NULL ? "did you mean \"%.100s\"?" : "%s",
             near != NULL  ? near
             : own == NULL ? "audits have the helpers of their pack: require \"roster\""
                           : "modules are the engine's library and the files beside the script");
    lint_say(l, line, "lint_module", false, instead != NULL ? instead : fix, "there is no module \"%s\"", name);
    while (n > 0) {
        free(names[--n]);
    }
}

/* require "NAME" at token i (of NAME). */
static void check_require(lint *l, size_t i, const char *stdlib, const char *own) {
    static const char *const PURE[] = {"engine.hash", "engine.jose", "engine.json", "engine.task"};
    const lualex_token *t = &l->lx.list[i];
    char name[LINT_NAME_MAX];
    lint_text(t, name);
    for (size_t k = 0; k < sizeof PURE / sizeof PURE[0]; k++) {
        if (!l->audit && strcmp(name, PURE[k]) == 0) {
            return;
        }
    }
    if (*name == '\0' || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") != strlen(name)) {
        lint_say(l, t->line, "lint_module", false, "name it as require does: \"rls.catalogue\", without .lua",
                 "\"%s\" is no name of a module: expected [a-z0-9_] and dots", name);
    } else if (strncmp(name, "engine.", 7) == 0) {
        lint_say(l, t->line, "lint_module", false, "declare it in needs and use the field of ctx",
                 "%s is a capability, not a module", name);
    } else if (!is_module(stdlib, name) && (own == NULL || !is_module(own, name))) {
        say_missing(l, t->line, name, stdlib, own);
    }
}

void lint_requires(lint_usage *u, const json_t *raw) {
    err ignored;
    const paths *tree = script_tree(&ignored);
    const char *path = json_string_value(json_object_get(raw, "path"));
    char *stdlib = tree != NULL ? fs_join(tree->share, u->l->audit ? "stdlib/audit" : "stdlib") : NULL;
    char *own = path != NULL && !u->l->audit ? fs_dirname(path) : NULL;
    const lualex_token *list = u->l->lx.list;
    for (size_t i = 0; stdlib != NULL && list[i].kind != T_END; i++) {
        if (!lualex_is(&list[i], "require") || u->l->binding[i] >= 0 || !lint_is_variable(u->l, i)) {
            continue;
        }
        size_t word = i + 1 + (list[i + 1].kind == '(');
        bool whole = list[word].kind == T_STRING && (word == i + 1 || list[word + 1].kind == ')');
        if (whole) {
            check_require(u->l, word, stdlib, own);
        }
    }
    free(stdlib);
    free(own);
}
