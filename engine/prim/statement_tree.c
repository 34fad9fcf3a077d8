#include "prim/statement_tree.h"

#include <pg_query.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

#define DEPTH_MAX 1500 /* jansson's own bound is 2048 */
#define SCOPE_MAX 256

/* Names of common table expressions that are visible, and what was found. */
typedef struct walk {
    const char *scope[SCOPE_MAX];
    size_t nscope;
    json_t *tables, *functions; /* borrowed */
    int depth;
    bool failed;
} walk;

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool in_scope(const walk *w, const char *name) {
    for (size_t i = 0; i < w->nscope; i++) {
        if (strcmp(w->scope[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void add(walk *w, json_t *list, const char *schema, const char *name) {
    size_t i;
    const json_t *had;
    json_array_foreach(list, i, had) {
        const char *s = str(had, "schema");
        if (strcmp(str(had, "name"), name) == 0 &&
            (s == NULL ? schema == NULL : schema != NULL && strcmp(s, schema) == 0)) {
            return;
        }
    }
    json_t *one = json_pack("{s:s, s:s*}", "name", name, "schema", schema);
    w->failed = w->failed || one == NULL || json_array_append_new(list, one) != 0;
}

static void add_table(walk *w, const json_t *range, bool target) {
    const char *schema = str(range, "schemaname"), *name = str(range, "relname");
    if (schema != NULL || target || !in_scope(w, name)) {
        add(w, w->tables, schema, name);
    }
}

/* The words of a name: [{"String": {"sval": …}}]. */
static const char *word(const json_t *names, size_t i) {
    const json_t *s = json_object_get(json_array_get(names, i), "String");
    const char *text = str(s, "sval");
    return text != NULL ? text : str(s, "str");
}

static void add_function(walk *w, const json_t *call) {
    const json_t *names = json_object_get(call, "funcname");
    size_t n = json_array_size(names);
    const char *name = n > 0 ? word(names, n - 1) : NULL;
    if (name != NULL) {
        add(w, w->functions, n > 1 ? word(names, n - 2) : NULL, name);
    }
}

static void visit(walk *w, const json_t *v);

static void visit_object(walk *w, const json_t *v) {
    if (json_is_string(json_object_get(v, "relname")) && json_object_get(v, "relpersistence") != NULL) {
        add_table(w, v, false);
        return;
    }
    if (json_object_get(v, "funcname") != NULL) {
        add_function(w, v);
    }
    size_t outer = w->nscope;
    const json_t *with = json_object_get(v, "withClause");
    const json_t *ctes = json_object_get(with, "ctes"), *cte;
    bool recursive = json_is_true(json_object_get(with, "recursive"));
    size_t i;
    for (int pass = recursive ? 0 : 1; pass < 2; pass++) {
        json_array_foreach(ctes, i, cte) {
            const json_t *e = json_object_get(cte, "CommonTableExpr");
            if (pass ==
                1) { /* one that is not recursive sees only those before it: in its own query its name is a table's */
                visit(w, json_object_get(e, "ctequery"));
            }
            if ((pass == 0) == recursive && str(e, "ctename") != NULL && w->nscope < SCOPE_MAX) {
                w->scope[w->nscope++] = str(e, "ctename");
            }
        }
    }
    const char *key;
    json_t *child;
    json_object_foreach((json_t *)v, key, child) {
        if (strcmp(key, "withClause") == 0) {
            continue;
        }
        if (json_object_get(child, "relname") != NULL && strcmp(key, "relation") == 0) {
            add_table(w, child, true); /* what a statement writes to is never one of its own expressions */
        } else {
            visit(w, child);
        }
    }
    w->nscope = outer;
}

static void visit(walk *w, const json_t *v) {
    if (++w->depth > DEPTH_MAX) {
        w->failed = true;
    } else if (json_is_object(v)) {
        visit_object(w, v);
    } else {
        size_t i;
        const json_t *child;
        json_array_foreach(v, i, child) {
            visit(w, child);
        }
    }
    w->depth--;
}

static bool one_of(const char *node, const char *const *list) {
    for (; *list != NULL; list++) {
        if (strcmp(*list, node) == 0) {
            return true;
        }
    }
    return false;
}

static bool analyzes(const json_t *explain) {
    size_t i;
    const json_t *option;
    json_array_foreach(json_object_get(explain, "options"), i, option) {
        const char *name = str(json_object_get(option, "DefElem"), "defname");
        if (name != NULL && strcmp(name, "analyze") == 0) {
            return true;
        }
    }
    return false;
}

/* What of a statement is walked, and does it touch rows? */
static const json_t *walked(const char *node, const json_t *s, bool *touches) {
    static const char *const WHOLE[] = {
        "SelectStmt",   "InsertStmt",        "UpdateStmt",         "DeleteStmt", "MergeStmt", "CopyStmt",
        "TruncateStmt", "DeclareCursorStmt", "RefreshMatViewStmt", "CallStmt",   NULL};
    *touches = true;
    if (one_of(node, WHOLE)) {
        return s;
    }
    if (strcmp(node, "CreateTableAsStmt") == 0 || (strcmp(node, "ExplainStmt") == 0 && analyzes(s))) {
        return json_object_get(s, "query");
    }
    *touches = strcmp(node, "ExecuteStmt") == 0 || strcmp(node, "DoStmt") == 0;
    return strcmp(node, "PrepareStmt") == 0 ? json_object_get(s, "query") : strcmp(node, "ExecuteStmt") == 0 ? s : NULL;
}

static json_t *one_statement(const json_t *stmt, err *e) {
    void *first = json_object_iter((json_t *)stmt);
    const char *node = first != NULL ? json_object_iter_key(first) : "none";
    const json_t *s = first != NULL ? json_object_iter_value(first) : NULL;
    bool touches = false;
    const json_t *what = walked(node, s, &touches);
    walk w = {.tables = json_array(), .functions = json_array()};
    /* EXPLAIN and CREATE TABLE AS may hold an EXECUTE. */
    const json_t *inner = json_object_get(what, "ExecuteStmt");
    const json_t *execute = inner != NULL ? inner : s;
    bool named = inner != NULL || strcmp(node, "ExecuteStmt") == 0 || strcmp(node, "PrepareStmt") == 0;
    if (w.tables != NULL && w.functions != NULL) {
        visit(&w, what);
    }
    json_t *out =
        json_pack("{s:s, s:b, s:o, s:o, s:s*}", "node", inner != NULL ? "ExecuteStmt" : node, "touches", touches,
                  "tables", w.tables, "functions", w.functions, "name", named ? str(execute, "name") : NULL);
    if (out == NULL || w.failed) {
        json_decref(out);
        err_set(e, "statement_unread", "a statement is nested too deeply to be read");
        return NULL;
    }
    return out;
}

static json_t *all_statements(const json_t *tree, err *e) {
    json_t *list = json_array();
    size_t i;
    const json_t *raw;
    json_array_foreach(json_object_get(tree, "stmts"), i, raw) {
        json_t *one = one_statement(json_object_get(raw, "stmt"), e);
        if (one == NULL || json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *statement_tree(const char *sql, err *e) {
    PgQueryParseResult r = pg_query_parse(sql);
    json_t *list = NULL;
    if (r.error != NULL) {
        /* The message quotes the text at the place of the error, which is not for reports. */
        err_set(e, "statement_unread", "a statement cannot be read by the parser of PostgreSQL 15");
        err_detail(e, "at character %d", r.error->cursorpos);
    } else {
        json_error_t why;
        json_t *tree = mem_json(r.parse_tree, strlen(r.parse_tree), 0, &why);
        list = tree != NULL ? all_statements(tree, e) : NULL;
        if (tree == NULL) {
            err_set(e, "statement_unread", "a statement's tree cannot be read: %s", why.text);
        }
        json_decref(tree);
    }
    pg_query_free_parse_result(r);
    return list;
}
