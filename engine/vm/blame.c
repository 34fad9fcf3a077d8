/* blame.c: where an error came from: the file and line, the line itself, and the types of what stands in it.
 *
 * Only types are told, never values, which are data of tenants. Everything is read raw: no metamethod runs. */
#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "vm/luax.h"
#include "vm/vm_internal.h"

#define LEVELS_MAX 50
#define NAMES_MAX 8

/* What of path follows dir and a slash, or NULL. */
static const char *below(const char *path, const char *dir) {
    size_t n = dir != NULL ? strlen(dir) : 0;
    return n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

void vm_chunk_name(const vm *v, const char *path, char *out, size_t cap) {
    const char *rest = below(path, v->o.here);
    if (rest == NULL && v->o.stdlib_dir != NULL) {
        char *share = fs_dirname(v->o.stdlib_dir);
        rest = share != NULL ? below(path, share) : NULL;
        free(share);
    }
    snprintf(out, cap, "@%s", rest != NULL ? rest : path);
}

int blame_keep(vm *v, const char *chunk, const char *text, size_t n) {
    blame_source *grown = realloc(v->sources, (v->nsources + 1) * sizeof *grown);
    if (grown == NULL) {
        return -1;
    }
    v->sources = grown;
    blame_source s = {.name = strdup(chunk), .text = malloc(n + 1)};
    if (s.name == NULL || s.text == NULL) {
        free(s.name);
        free(s.text);
        return -1;
    }
    memcpy(s.text, text, n);
    s.text[n] = '\0';
    v->sources[v->nsources++] = s;
    return 0;
}

void blame_free(vm *v) {
    for (size_t i = 0; i < v->nsources; i++) {
        free(v->sources[i].name);
        free(v->sources[i].text);
    }
    free(v->sources);
}

/* A line of a chunk without the white space around it, cut to cap; "" where there is none. */
static void source_line(const vm *v, const char *chunk, int line, char *out, size_t cap) {
    const char *s = NULL;
    for (size_t i = v->nsources; i > 0 && s == NULL; i--) {
        s = strcmp(v->sources[i - 1].name, chunk) == 0 ? v->sources[i - 1].text : NULL;
    }
    for (int at = 1; s != NULL && at < line; at++) {
        s = strchr(s, '\n');
        s = s != NULL ? s + 1 : NULL;
    }
    out[0] = '\0';
    if (s == NULL || line < 1) {
        return;
    }
    size_t n = strcspn(s, "\r\n");
    while (n > 0 && isspace((unsigned char)*s)) {
        s++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)s[n - 1])) {
        n--;
    }
    buf b = BUF_INIT;
    text_sanitise(&b, s, n, cap - 1, false);
    snprintf(out, cap, "%s", buf_str(&b));
    buf_free(&b);
}

/* --- the types of what stands in the line --- */

static bool is_keyword(const char *s, size_t n) {
    static const char *const WORDS[] = {"and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
                                        "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
                                        "repeat",   "return", "then", "true", "until",  "while"};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strlen(WORDS[i]) == n && memcmp(WORDS[i], s, n) == 0) {
            return true;
        }
    }
    return false;
}

static size_t word_length(const char *s) {
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_') {
        n++;
    }
    return n;
}

/* Pushes the variable of this name in the frame, innermost first: a local, an upvalue. [-0, +(0|1), -] */
static bool push_variable(lua_State *L, lua_Debug *ar, const char *name, size_t n) {
    const char *found;
    int last = 0;
    for (int i = 1; (found = lua_getlocal(L, ar, i)) != NULL; i++) {
        last = strlen(found) == n && memcmp(found, name, n) == 0 ? i : last;
        lua_pop(L, 1);
    }
    if (last > 0) {
        return lua_getlocal(L, ar, last) != NULL;
    }
    if (!lua_getinfo(L, "f", ar)) {
        return false;
    }
    int function = lua_gettop(L);
    for (int i = 1; (found = lua_getupvalue(L, function, i)) != NULL; i++) {
        if (strlen(found) == n && memcmp(found, name, n) == 0) {
            lua_remove(L, function);
            return true;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return false;
}

/* ".name", "[12]" or "[name]" at s: its length, or 0. */
static size_t step_length(const char *s) {
    if (s[0] == '.' && (isalpha((unsigned char)s[1]) || s[1] == '_')) {
        return 1 + word_length(s + 1);
    }
    size_t n = s[0] == '[' ? 1 + word_length(s + 1) : 0;
    return n > 1 && n < 64 && s[n] == ']' ? n + 1 : 0;
}

/* Pushes the key of a step: a name, a number, or what the variable in brackets holds. [-0, +(0|1), -] */
static bool push_key(lua_State *L, lua_Debug *ar, const char *step, size_t n) {
    if (step[0] != '[') {
        lua_pushlstring(L, step + 1, n - 1);
        return true;
    }
    if (isdigit((unsigned char)step[1])) {
        lua_pushinteger(L, atoi(step + 1));
        return true;
    }
    return !is_keyword(step + 1, n - 2) && push_variable(L, ar, step + 1, n - 2);
}

/* Replaces the table on top by what the step leads to. false (and the table stays) where only a metamethod would know.
 */
static bool into_field(lua_State *L, lua_Debug *ar, const char *step, size_t n) {
    if (lua_type(L, -1) != LUA_TTABLE || !push_key(L, ar, step, n)) {
        return false;
    }
    if (lua_isnil(L, -1)) { /* no key */
        lua_pop(L, 1);
        return false;
    }
    if (lua_rawget(L, -2) == LUA_TNIL && lua_getmetatable(L, -2)) {
        lua_pop(L, 2);
        return false;
    }
    lua_remove(L, -2);
    return true;
}

/* As Lua itself calls it: the __name of a class, if it has one. */
static void type_name(lua_State *L, char *out, size_t cap) {
    snprintf(out, cap, "%s", luaL_typename(L, -1));
    if (lua_getmetatable(L, -1)) {
        lua_pushliteral(L, "__name");
        if (lua_rawget(L, -2) == LUA_TSTRING) {
            snprintf(out, cap, "%s", lua_tostring(L, -1));
        }
        lua_pop(L, 2);
    }
}

/* Adds "NAME: type" of the value on top, which is popped, unless it stands there already. */
static void add_type(lua_State *L, const char *from, const char *end, buf *out) {
    char type[64], entry[160];
    type_name(L, type, sizeof type);
    lua_pop(L, 1);
    snprintf(entry, sizeof entry, "%.*s: %s", (int)(end - from), from, type);
    if (strstr(buf_str(out), entry) == NULL) {
        buf_printf(out, "%s%s", out->len > 0 ? ", " : "", entry);
    }
}

/* A value of which no field can be asked: the very one that an "attempt to index" is about. */
static bool has_no_fields(lua_State *L) {
    int type = lua_type(L, -1);
    return type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TFUNCTION;
}

/* The variables in brackets of a path: "i: number". */
static void key_types(lua_State *L, lua_Debug *ar, const char *s, buf *out) {
    for (size_t n; (n = step_length(s)) > 0; s += n) {
        if (s[0] == '[' && !isdigit((unsigned char)s[1]) && push_key(L, ar, s, n)) {
            add_type(L, s + 1, s + n - 1, out);
        }
    }
}

/* "row.total: nil" for the path at s, unless it is called or only led through; of a path that ends too early what
 * stands where it ends. Returns where the path ends. */
static const char *name_type(lua_State *L, lua_Debug *ar, const char *s, buf *out) {
    const char *from = s;
    size_t n = word_length(s);
    bool known = !is_keyword(s, n) && push_variable(L, ar, s, n);
    s += n;
    const char *steps = s;
    while ((n = step_length(s)) > 0) {
        if (known && has_no_fields(L)) {
            add_type(L, from, s, out);
            known = false;
        } else if (known && !into_field(L, ar, s, n)) {
            known = false;
            lua_pop(L, 1);
        }
        s += n;
    }
    if (known) {
        bool nil = lua_isnil(L, -1);
        bool object = lua_type(L, -1) == LUA_TTABLE || lua_type(L, -1) == LUA_TUSERDATA;
        if (!lua_isfunction(L, -1) && (nil || !object || strchr(":([", *s) == NULL || *s == '\0')) {
            add_type(L, from, s, out);
        } else {
            lua_pop(L, 1);
        }
    }
    key_types(L, ar, steps, out);
    return s;
}

/* "hours: nil, ctx.options.max: number" for the names in the line. */
static void types_in_line(lua_State *L, lua_Debug *ar, const char *line, char *out, size_t cap) {
    buf b = BUF_INIT;
    int count = 0;
    for (const char *s = line; *s != '\0' && count < NAMES_MAX && b.len < cap;) {
        if (s[0] == '-' && s[1] == '-') {
            break;
        }
        if (*s == '"' || *s == '\'') {
            char quote = *s++;
            while (*s != '\0' && *s != quote) {
                s += *s == '\\' && s[1] != '\0' ? 2 : 1;
            }
            s += *s != '\0';
        } else if (isalpha((unsigned char)*s) || *s == '_') {
            bool field = s > line && (s[-1] == '.' || s[-1] == ':');
            size_t before = b.len;
            s = field ? s + word_length(s) : name_type(L, ar, s, &b);
            count += b.len > before;
        } else {
            s += isdigit((unsigned char)*s) ? word_length(s) : 1;
        }
    }
    snprintf(out, cap, "%s", buf_str(&b));
    buf_free(&b);
}

/* --- the place --- */

/* Is it one of the files through which errors pass on their way, or which raise them for who called? They say nothing
 * about where an error came from. */
static bool passes_errors_on(const char *source) {
    static const char *const FILES[] = {"/internal/runner.lua",
                                        "/internal/record.lua",
                                        "/internal/capabilities.lua",
                                        "/internal/webhooks.lua",
                                        "/internal/arguments.lua",
                                        "/internal/apply.lua",
                                        "/internal/steps.lua",
                                        "/internal/raise.lua",
                                        "/internal/trace.lua",
                                        "/internal/scratch.lua",
                                        "/internal/scratch_split.lua",
                                        "/errors.lua",
                                        "/gate.lua",
                                        "/suite.lua",
                                        "/operation.lua",
                                        "/stdlib/audit/roster.lua",
                                        "/stdlib/audit/routing.lua"};
    size_t n = strlen(source);
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        size_t len = strlen(FILES[i]);
        if (n >= len && strcmp(source + n - len, FILES[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Errors of Lua itself, which are about the values in a line; what a script says in error() it says in its own words.
 */
static bool about_values(const char *message) {
    static const char *const PARTS[] = {"attempt to ",           "bad 'for' ",
                                        "bad argument ",         "no integer representation",
                                        "table index is ",       "invalid value (at index",
                                        "invalid order function"};
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        if (strstr(message, PARTS[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Fills in v->place from the innermost Lua function. Level 0 is the handler itself. */
static void find_place(lua_State *L, vm *v, const err *e) {
    lua_Debug ar;
    blame_place *p = &v->place;
    memset(p, 0, sizeof *p);
    /* What the engine's own part says in words is about what it was given, and not about its source. */
    bool in_words = strcmp(e->code, "script_error") != 0;
    bool of_configuration = strcmp(e->code, "config_missing_key") == 0;
    bool again = false; /* does the innermost Lua function call error() itself? */
    for (int level = 0; level < LEVELS_MAX && lua_getstack(L, level, &ar); level++) {
        if (!lua_getinfo(L, "Sln", &ar) || ar.currentline <= 0) {
            again = ar.name != NULL && strcmp(ar.name, "error") == 0;
            continue;
        }
        if (in_words && strstr(ar.source, "stdlib/errors.lua") != NULL) {
            return; /* raised on purpose: what there is to say, its words say */
        }
        bool is_own = strstr(ar.source, "stdlib/internal/") != NULL;
        bool itself = again;
        again = false;
        if (passes_errors_on(ar.source) || (in_words && is_own)) {
            continue;
        }
        /* A module of the engine's that hands on what was raised is not where it was, and has no line that would lead
         * to a key of the configuration. */
        if (in_words && (itself || of_configuration) && strstr(ar.source, "stdlib/") != NULL) {
            return;
        }
        snprintf(p->where, sizeof p->where, "%.180s:%d", ar.source[0] == '@' ? ar.source + 1 : ar.short_src,
                 ar.currentline);
        source_line(v, ar.source, ar.currentline, p->line, sizeof p->line);
        if (about_values(e->message) && lua_checkstack(L, 8)) {
            types_in_line(L, &ar, p->line, p->types, sizeof p->types);
        }
        return;
    }
}

/* A message of Lua's that begins with a line of those files says nothing to whoever wrote the script: the place does.
 */
static void strip_own_line(err *e) {
    char file[256];
    const char *end = strstr(e->message, ".lua:");
    size_t n = end != NULL ? (size_t)(end - e->message) + 4 : 0;
    if (n == 0 || n >= sizeof file) {
        return;
    }
    snprintf(file, sizeof file, "%.*s", (int)n, e->message);
    size_t digits = strspn(e->message + n + 1, "0123456789");
    if (digits == 0 || strncmp(e->message + n + 1 + digits, ": ", 2) != 0 || strchr(file, ' ') != NULL ||
        !passes_errors_on(file)) {
        return;
    }
    const char *rest = e->message + n + 1 + digits + 2;
    memmove(e->message, rest, strlen(rest) + 1);
}

/* "a.lua:3: a.lua:3: …", as coroutine.wrap makes it of an error that has its place already. */
static void strip_repeated_place(err *e) {
    const char *end = strstr(e->message, ": ");
    size_t n = end != NULL ? (size_t)(end - e->message) + 2 : 0;
    while (n > 0 && strncmp(e->message, e->message + n, n) == 0) {
        memmove(e->message, e->message + n, strlen(e->message + n) + 1);
    }
}

/* What to do about errors of Lua whose words do not lead to it. */
static void usual_fix(err *e) {
    static const struct {
        const char *part, *fix;
    } FIXES[] = {{"attempt to yield",
                  "a script yields to nobody: task.map(list, n, fn) of require \"task\" runs functions side by side"},
                 {"attempt to call a nil value (method",
                  "gate-engine check SCRIPT names methods that do not exist, and the nearest one"},
                 {"attempt to call a table value", "call a function in it: NAME.function(…) or NAME:method(…)"}};
    for (size_t i = 0; i < sizeof FIXES / sizeof FIXES[0] && *e->fix == '\0'; i++) {
        if (strstr(e->message, FIXES[i].part) != NULL) {
            err_fix(e, "%s", FIXES[i].fix);
        }
    }
}

static void set_text(lua_State *L, const char *key, const char *text) {
    if (*text != '\0') {
        lua_pushstring(L, text);
        lua_setfield(L, -2, key);
    }
}

int vm_message_handler(lua_State *L) {
    err e;
    vm_read_error(L, 1, &e);
    vm *v = sandbox_vm(L);
    find_place(L, v, &e);
    strip_own_line(&e);
    strip_repeated_place(&e);
    usual_fix(&e);
    luax_push_error(L, &e);
    set_text(L, "where", v->place.where);
    set_text(L, "line", v->place.line);
    set_text(L, "types", v->place.types);
    return 1;
}

void vm_place_error(const vm *v, err *e) {
    const blame_place *p = &v->place;
    if (*p->where == '\0') {
        return;
    }
    if (strstr(e->message, p->where) == NULL) {
        err copy = *e;
        snprintf(e->message, sizeof e->message, "%s: %.800s", p->where, copy.message);
    }
    if (*e->detail == '\0' && *p->line != '\0') {
        err_detail(e, "`%s`%s%s%s", p->line, *p->types != '\0' ? " (" : "", p->types, *p->types != '\0' ? ")" : "");
    }
}

/* --- what does not compile --- */

/* What a message of Lua's parser most often comes from. */
static void syntax_fix(const char *message, err *e) {
    const char *near = strstr(message, " near ");
    if (strstr(message, "'}' expected") != NULL && near != NULL) {
        err_fix(e, "is a comma missing before %.60s, or the brace that closes the table?", near + 6);
    } else if (strstr(message, "too many local variables") != NULL) {
        err_fix(e, "put some of them into a table or a function");
    } else if (strstr(message, "'then' expected near '='") != NULL) {
        err_fix(e, "compare with ==");
    } else if (strstr(message, "near <eof>") != NULL) {
        err_fix(e, "each function, if, for, while and do needs its end, each bracket its other half");
    } else if (strstr(message, "unexpected symbol near '!'") != NULL || strstr(message, "near '!'") != NULL) {
        err_fix(e, "not equal is ~= in Lua, and the negation is not");
    } else if (strstr(message, "unfinished string") != NULL) {
        err_fix(e, "close the string on its line, or write [[ … ]]");
    }
}

void blame_syntax(const vm *v, const char *chunk, err *e) {
    char line[256];
    const char *at = strrchr(chunk, '/');
    at = strstr(e->message, at != NULL ? at + 1 : chunk + 1);
    const char *colon = at != NULL ? strchr(at, ':') : NULL;
    source_line(v, chunk, colon != NULL ? atoi(colon + 1) : 0, line, sizeof line);
    if (*line != '\0') {
        err_detail(e, "`%s`", line);
    }
    syntax_fix(e->message, e);
}

/* The line of the byte at `at`. */
static int line_of(const char *text, size_t at) {
    int line = 1;
    for (size_t i = 0; i < at; i++) {
        line += text[i] == '\n';
    }
    return line;
}

int blame_text(const char *chunk, const char *text, size_t n, err *e) {
    if (n > 0 && text[0] == '\x1b') {
        err_set(e, "script_syntax", "%s: expected Lua source, found precompiled bytecode", chunk + 1);
        return err_fix(e, "give the .lua source: bytecode is not accepted, since nothing can check it");
    }
    for (size_t i = 0; i < n;) {
        size_t step = text_utf8_seq(text + i, n - i);
        if (step == 0 || text[i] == '\0') {
            err_set(e, "script_syntax", "%s:%d: expected UTF-8 text, found the byte 0x%02X", chunk + 1,
                    line_of(text, i), (unsigned char)text[i]);
            return err_fix(e, text[i] == '\0' ? "a NUL byte has no place in a source: write it as \\0 in a string"
                                              : "save the file as UTF-8");
        }
        i += step;
    }
    return 0;
}
