/* lint_audit.c: does an audit ask for the earlier weeks that it looks at, and look at those that it asks for? */
#include <string.h>

#include "run/lint_parts.h"

#define ALIASES_MAX 4

/* The token that declares the plan, the first parameter of the audit's function; -1 where that is not written there. */
static int find_plan(const lualex *lx) {
    for (size_t i = 0; i + 4 < lx->n; i++) {
        const lualex_token *t = &lx->list[i];
        if (lualex_is(t, "audit") && t[1].kind == '=' && lualex_is(&t[2], "function") && t[3].kind == '(' &&
            t[4].kind == T_NAME) {
            return (int)i + 4;
        }
    }
    return -1;
}

/* Does token i stand for the plan: by its declaration, by `local p = plan`, or by its name in a function of the
 * script's own? */
static bool is_plan(const lint *l, size_t i, int plan, int aliases) {
    const lualex_token *list = l->lx.list;
    if (!lint_is_variable(l, i)) {
        return false;
    }
    int declared = l->binding[i];
    if (lualex_is(&list[i], "plan") || (declared >= 0 && declared == plan)) {
        return true;
    }
    const lualex_token *d = declared > 0 ? &list[declared] : NULL;
    return aliases > 0 && d != NULL && lualex_is(d - 1, "local") && d[1].kind == '=' && d[2].kind == T_NAME &&
           d[3].kind != '.' && d[3].kind != '[' && d[3].kind != '(' && d[3].kind != ':' &&
           is_plan(l, (size_t)declared + 2, plan, aliases - 1);
}

/* x.history and x["history"]. */
static bool takes(const lualex_token *t, const char *member) {
    return (t[1].kind == '.' && lualex_is(&t[2], member)) ||
           (t[1].kind == '[' && t[2].kind == T_STRING && t[2].n == strlen(member) &&
            memcmp(t[2].s, member, t[2].n) == 0);
}

/* Is the plan, at i, given to something that may look at all of it? The helpers say what they look at. */
static bool gives_away(const lint *l, size_t i) {
    const lualex_token *t = &l->lx.list[i];
    bool whole = t[1].kind != '.' && t[1].kind != '[' && t[1].kind != '=' && l->binding[i] != (int)i;
    bool helper = i >= 4 && t[-1].kind == '(' && t[-3].kind == '.' &&
                  (lualex_is(&t[-4], "roster") || lualex_is(&t[-4], "routing"));
    return whole && !helper;
}

static int line_of(const lint *l, const char *key) {
    for (size_t i = 0; i < l->lx.n; i++) {
        if (lualex_is(&l->lx.list[i], key) && lint_is_key(&l->lx, i)) {
            return l->lx.list[i].line;
        }
    }
    return 1;
}

void lint_audit(lint *l) {
    const lualex_token *list = l->lx.list;
    bool asked = json_object_get(json_object_get(l->head, "needs"), "history") != NULL;
    bool looked = false, given = false;
    int plan = find_plan(&l->lx);
    for (size_t i = 0; i + 2 < l->lx.n; i++) {
        bool history = takes(&list[i], "history"), helper = takes(&list[i], "weeks_before");
        bool of_plan = is_plan(l, i, plan, ALIASES_MAX);
        if (!asked && ((history && of_plan) || (helper && lualex_is(&list[i], "roster")))) {
            lint_say(l, list[i + 2].line, "lint_undeclared", false,
                     "add needs = { history = 2 }: how many earlier weeks it looks at",
                     "%s is used, and needs.history is not declared", helper ? "roster.weeks_before" : "plan.history");
            return;
        }
        looked = looked || history || helper;
        given = given || (of_plan && gives_away(l, i));
    }
    if (asked && !looked && !given) {
        lint_say(l, line_of(l, "history"), "lint_unused", true, NULL, "the need \"history\" is declared and not used");
    }
}
