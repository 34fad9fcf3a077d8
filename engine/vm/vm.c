#include "vm/vm.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "vm/luax.h"
#include "vm/vm_internal.h"

#define SCRIPT_MAX (4u << 20)

vm *vm_new(const vm_options *o, err *e) {
    vm *v = calloc(1, sizeof *v);
    if (v == NULL) {
        err_set(e, "out_of_memory", "out of memory for a Lua state");
        return NULL;
    }
    v->o = *o;
    v->cap.limit = o->memory_bytes;
    v->L = lua_newstate(alloc_capped, &v->cap);
    if (v->L == NULL) {
        err_set(e, "script_memory", "a Lua state needs more than the memory limit of %zu bytes", o->memory_bytes);
        err_fix(e, "raise limits.memory_mb");
        free(v);
        return NULL;
    }
    if (o->rest_bytes > 0) {
        alloc_rest(&v->cap, v->L, o->rest_bytes);
    }
    lua_pushcfunction(v->L, sandbox_open);
    lua_pushlightuserdata(v->L, v);
    if (vm_call(v, 1, 0, e) != 0) {
        vm_free(v);
        return NULL;
    }
    return v;
}

void vm_free(vm *v) {
    if (v != NULL) {
        lua_close(v->L);
        json_decref(v->loaded);
        blame_free(v);
        free(v);
    }
}

lua_State *vm_lua(vm *v) {
    return v->L;
}

bool vm_memory_hit(const vm *v) {
    return v->cap.hit;
}

int vm_stack_check(const vm *v, err *e) {
    if (!v->stack_hit) {
        return 0;
    }
    err_set(e, "script_stack", "the script filled the stack of its calls and went on");
    return err_fix(e, "end the recursion before the stack is full; a swallowed limit is never a pass");
}

int vm_capability_check(const vm *v, err *e) {
    if (*v->refused == '\0') {
        return 0;
    }
    err_set(e, "script_capability", "require: %s is a capability, not a module, and the script went on without it",
            v->refused);
    return err_fix(e, "declare it in needs and use the field of ctx");
}

size_t vm_memory_peak(const vm *v) {
    return v->cap.peak;
}

size_t vm_memory_used(const vm *v) {
    return v->cap.used;
}

size_t vm_memory_limit(const vm *v) {
    return v->cap.limit;
}

int vm_load(vm *v, const char *chunk, const char *text, size_t n, bool trusted, err *e) {
    return vm_load_in(v, v->L, chunk, text, n, trusted, e);
}

int vm_load_in(vm *v, lua_State *L, const char *chunk, const char *text, size_t n, bool trusted, err *e) {
    if (n > SCRIPT_MAX) {
        return err_set(e, "script_syntax", "%s: a script of at most %u bytes was expected, this has %zu", chunk + 1,
                       SCRIPT_MAX, n);
    }
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark, which lua passes over too */
        text += 3;
        n -= 3;
    }
    if (blame_text(chunk, text, n, e) != 0) {
        return -1;
    }
    if (blame_keep(v, chunk, text, n) != 0) {
        return err_set(e, "out_of_memory", "out of memory for the source of %s", chunk + 1);
    }
    /* Like lua itself: a first line that starts with # is not Lua (Lua manual, section 7); its newline stays for the
     * count. */
    if (n > 0 && text[0] == '#') {
        const char *eol = memchr(text, '\n', n);
        n -= eol != NULL ? (size_t)(eol - text) : n;
        text = eol != NULL ? eol : "";
    }
    if (luaL_loadbufferx(L, text, n, chunk, "t") != LUA_OK) {
        vm_read_error(L, -1, e);
        bool memory = v->cap.hit;
        lua_pop(L, 1);
        snprintf(e->code, sizeof e->code, "%s", memory ? "script_memory" : "script_syntax");
        if (!memory) {
            blame_syntax(v, chunk, e);
        }
        return -1;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, trusted ? SANDBOX_TRUSTED_ENV : SANDBOX_ENV);
    lua_setupvalue(L, -2, 1);
    return 0;
}

int vm_load_file(vm *v, lua_State *L, const char *path, bool trusted, err *e) {
    buf text = BUF_INIT;
    char chunk[4200];
    vm_chunk_name(v, path, chunk, sizeof chunk);
    if (fs_read(path, SCRIPT_MAX, &text, e) != 0) {
        snprintf(e->code, sizeof e->code, "script_missing");
        buf_free(&text);
        return -1;
    }
    int rc = vm_load_in(v, L, chunk, buf_str(&text), text.len, trusted, e);
    buf_free(&text);
    return rc;
}

/* Copies a string field of an error table, sanitised; what is not a string is left out. */
static void error_field(lua_State *L, int idx, const char *key, char *out, size_t cap) {
    lua_pushstring(L, key);
    lua_rawget(L, idx);
    size_t n = 0;
    const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;
    if (s != NULL) {
        buf b = BUF_INIT;
        text_sanitise(&b, s, n, cap - 1, true);
        snprintf(out, cap, "%s", buf_str(&b));
        buf_free(&b);
    }
    lua_pop(L, 1);
}

/* What the server said beside its message, as it stands in errors of engine.db: SQLSTATE and objects, then its hint. */
static void add_server_words(lua_State *L, int idx, err *e) {
    static const char *const KEYS[] = {"column", "constraint"};
    char state[8] = "", schema[128] = "", name[128] = "", hint[512] = "";
    error_field(L, idx, "sqlstate", state, sizeof state);
    if (*state == '\0') {
        return;
    }
    buf b = BUF_INIT;
    buf_printf(&b, "%s%s[SQLSTATE %s", e->detail, *e->detail != '\0' ? " " : "", state);
    error_field(L, idx, "schema", schema, sizeof schema);
    error_field(L, idx, "table", name, sizeof name);
    if (*name != '\0') {
        buf_printf(&b, ", table %s%s%s", schema, *schema != '\0' ? "." : "", name);
    }
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        name[0] = '\0';
        error_field(L, idx, KEYS[i], name, sizeof name);
        if (*name != '\0') {
            buf_printf(&b, ", %s %s", KEYS[i], name);
        }
    }
    error_field(L, idx, "hint", hint, sizeof hint);
    buf_printf(&b, "]%s%s", *hint != '\0' ? " hint: " : "", hint);
    err_detail(e, "%s", buf_str(&b));
    buf_free(&b);
}

void vm_read_error(lua_State *L, int idx, err *e) {
    err_clear(e);
    snprintf(e->code, sizeof e->code, "script_error");
    idx = lua_absindex(L, idx);
    if (!lua_checkstack(L, 3)) {
        snprintf(e->message, sizeof e->message, "an error that could not be read: the Lua stack is full");
        return;
    }
    size_t n = 0;
    switch (lua_type(L, idx)) {
    case LUA_TSTRING: {
        const char *s = lua_tolstring(L, idx, &n);
        buf b = BUF_INIT;
        text_sanitise(&b, s, n, sizeof e->message - 1, true);
        snprintf(e->message, sizeof e->message, "%s", buf_str(&b));
        buf_free(&b);
        if (n == 17 && memcmp(s, "not enough memory", 17) == 0) {
            snprintf(e->code, sizeof e->code, "script_memory");
        }
        return;
    }
    case LUA_TTABLE:
        error_field(L, idx, "code", e->code, sizeof e->code);
        error_field(L, idx, "message", e->message, sizeof e->message);
        error_field(L, idx, "detail", e->detail, sizeof e->detail);
        error_field(L, idx, "fix", e->fix, sizeof e->fix);
        add_server_words(L, idx, e);
        if (e->message[0] == '\0') {
            snprintf(e->message, sizeof e->message, "a table without a message was raised");
        }
        return;
    case LUA_TNUMBER:
        snprintf(e->message, sizeof e->message, "the number %.14g was raised", lua_tonumber(L, idx));
        return;
    default:
        snprintf(e->message, sizeof e->message, "a %s was raised", luaL_typename(L, idx));
    }
}

int vm_call(vm *v, int nargs, int nresults, err *e) {
    lua_State *L = v->L;
    int base = lua_gettop(L) - nargs;
    lua_pushcfunction(L, vm_message_handler);
    lua_insert(L, base);
    int rc = lua_pcall(L, nargs, nresults, base);
    if (rc != LUA_OK) {
        vm_read_error(L, -1, e);
        if (rc == LUA_ERRMEM || v->cap.hit) {
            err_set(e, "script_memory", "the script used more than its memory limit of %zu MB", v->cap.limit >> 20);
            err_fix(e, "make the script use less memory, or raise limits.memory_mb in the configuration");
        }
        lua_settop(L, base - 1);
        return -1;
    }
    lua_remove(L, base);
    return 0;
}

json_t *vm_loaded_files(vm *v) {
    return v->loaded != NULL ? json_incref(v->loaded) : json_array();
}
