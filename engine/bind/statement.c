/* statement.c: `require "engine.statement"`: SQL text without its literals, what it says of settings, what it touches.
 * The functions are described in stdlib/meta/statement.lua. */
#include "prim/statement.h"

#include <jansson.h>
#include <string.h>

#include "prim/statement_tree.h"
#include "vm/conv.h"
#include "vm/luax.h"
#include "vm/luax_work.h"

#define SETTINGS_MAX 64

static const char *check_sql(lua_State *L, const char *fn, size_t *n) { /* [-0, +0, v] */
    if (lua_type(L, 1) != LUA_TSTRING) {
        luax_fail(L, "bad_argument", "%s: expected SQL as a string, got %s", fn, luaL_typename(L, 1));
    }
    return lua_tolstring(L, 1, n);
}

static json_t *context_json(const statement_context *c, const statement_options *o) {
    json_t *out = json_pack("{s:s}", "from", statement_value_name(c->from));
    if (c->setting >= 0) {
        json_object_set_new(out, "setting", json_string(o->settings[c->setting]));
    } else {
        json_object_set_new(out, "setting_parameter", json_integer(c->setting_parameter));
    }
    if (c->local >= 0) {
        json_object_set_new(out, "local", json_boolean(c->local));
    } else if (c->local_parameter > 0) {
        json_object_set_new(out, "local_parameter", json_integer(c->local_parameter));
    }
    if (c->from == VALUE_LITERAL && !c->cut) {
        json_object_set_new(out, "value", json_stringn(c->value, c->len));
    }
    if (c->from == VALUE_PARAMETER) {
        json_object_set_new(out, "parameter", json_integer(c->parameter));
    }
    if (c->from == VALUE_DEFAULT) {
        json_object_set_new(out, "value", json_string(""));
    }
    return out;
}

typedef struct scanned {
    json_t *list;
    const statement_options *o;
} scanned;

static int add_statement(void *ctx, const statement *s, err *e) {
    scanned *r = ctx;
    json_t *contexts = json_array();
    for (size_t i = 0; i < s->contexts; i++) {
        json_array_append_new(contexts, context_json(&s->context[i], r->o));
    }
    /* A text that is no UTF-8 has no place in JSON: it counts as one that is not there. */
    json_t *text = json_stringn(s->text, s->len), *name = json_string(s->name);
    bool cut = s->cut || text == NULL;
    json_t *one = json_pack("{s:s, s:o, s:o, s:b, s:b, s:b, s:o}", "kind", statement_kind_name(s->kind), "text",
                            text != NULL ? text : json_string(""), "name", name != NULL ? name : json_string(""),
                            "is_local", s->local, "chain", s->chain, "cut", cut, "contexts", contexts);
    return json_array_append_new(r->list, one) == 0 ? 0 : err_set(e, "out_of_memory", "out of memory for a statement");
}

/* Reads {settings = {…}} at index 2 into names; the strings stay with the table. */
static void read_settings(lua_State *L, const char **names, statement_options *o) { /* [-0, +0, v] */
    static const char FN[] = "statement.scan";
    if (luax_opt_value(L, 2, FN, "settings", LUA_TTABLE) == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    lua_Unsigned n = lua_rawlen(L, -1);
    if (n > SETTINGS_MAX) {
        luax_fail(L, "bad_argument", "%s: expected at most %d settings", FN, SETTINGS_MAX);
    }
    for (lua_Unsigned i = 1; i <= n; i++) {
        if (lua_rawgeti(L, -1, (lua_Integer)i) != LUA_TSTRING) {
            luax_fail(L, "bad_argument", "%s: option \"settings\": expected names, got a %s", FN, luaL_typename(L, -1));
        }
        names[i - 1] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    o->nsettings = (size_t)n;
    lua_pop(L, 1);
}

static int bind_scan(lua_State *L) { /* [-2, +1, v] */
    static const char FN[] = "statement.scan";
    static const char *const KEYS[] = {"settings", "standard_strings", "more", NULL};
    const char *names[SETTINGS_MAX];
    statement_options o = {.standard_strings = true, .settings = names};
    size_t n;
    const char *sql = check_sql(L, FN, &n);
    if (!lua_isnoneornil(L, 2)) {
        luax_check_table(L, 2, FN);
        luax_only_keys(L, 2, FN, KEYS);
        o.standard_strings = luax_opt_boolean(L, 2, FN, "standard_strings", true);
        o.more = luax_opt_boolean(L, 2, FN, "more", false);
        read_settings(L, names, &o);
    }
    work *w = work_new(L);
    w->value = json_array();
    scanned r = {.list = w->value, .o = &o};
    err e;
    if (statement_scan(sql, n, &o, add_statement, &r, &e) != 0) {
        return work_fail(L, w, &e);
    }
    conv_push_json(L, w->value);
    work_free(w);
    return 1;
}

static int bind_tree(lua_State *L) { /* [-1, +1, v] */
    size_t n;
    const char *sql = check_sql(L, "statement.tree", &n);
    if (strlen(sql) != n) {
        return luax_fail(L, "statement_unread", "a statement with a NUL byte cannot be read");
    }
    work *w = work_new(L);
    err e;
    w->value = statement_tree(sql, &e);
    if (w->value == NULL) {
        return work_fail(L, w, &e);
    }
    conv_push_json(L, w->value);
    work_free(w);
    return 1;
}

LUAX_EXPORT int luaopen_engine_statement(lua_State *L);

int luaopen_engine_statement(lua_State *L) { /* [-0, +1, m] */
    static const luaL_Reg FUNCTIONS[] = {{"scan", bind_scan}, {"tree", bind_tree}, {NULL, NULL}};
    work_class(L);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
