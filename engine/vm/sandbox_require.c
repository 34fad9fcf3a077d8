/* sandbox_require.c: `require` limited to the standard library and the script's own directory. */
#include <dirent.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "vm/allowed.h"
#include "vm/luax.h"
#include "vm/vm_internal.h"

#define NEAR_MAX 400
#define LOADING "gate.loading" /* metatable of what stands in the table of modules while one is loaded */

/* C modules that are pure: no capability comes with them. All others reach a script only through ctx. */
static const char *const PURE[] = {"engine.hash",      "engine.jose", "engine.json", "engine.sql",
                                   "engine.statement", "engine.task", NULL};

/* [a-z0-9_]+ parts joined by dots: a name cannot say "..", "/" or an absolute path. */
static bool name_ok(const char *name, size_t n) {
    if (n == 0 || n > 100 || strlen(name) != n) {
        return false;
    }
    bool start = true;
    for (const char *p = name; *p != '\0'; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_';
        if (!word && (start || *p != '.')) {
            return false;
        }
        start = *p == '.';
    }
    return !start;
}

static bool c_module_allowed(const char *name, bool trusted) {
    for (size_t i = 0; PURE[i] != NULL; i++) {
        if (strcmp(name, PURE[i]) == 0) {
            return true;
        }
    }
    return trusted;
}

/* dir/a/b.lua for "a.b", in fresh memory, if there is such a file. */
static char *find_in(const char *dir, const char *name) {
    if (dir == NULL) {
        return NULL;
    }
    char relative[128];
    snprintf(relative, sizeof relative, "%s.lua", name);
    for (char *p = relative; p < relative + strlen(name); p++) {
        if (*p == '.') {
            *p = '/';
        }
    }
    char *path = fs_join(dir, relative);
    if (path != NULL && !fs_exists(path)) {
        free(path);
        return NULL;
    }
    return path;
}

/* Pushes what the file's chunk returned. The path is freed before anything can raise. */
static int run_file(lua_State *L, vm *v, const char *name, char *path, bool trusted) {
    err e;
    int rc = vm_load_file(v, L, path, trusted, &e);
    if (rc == 0) {
        if (v->loaded == NULL) {
            v->loaded = json_array();
        }
        json_t *entry = json_pack("{s:s, s:s}", "name", name, "path", path);
        if (entry == NULL || json_array_append_new(v->loaded, entry) != 0) {
            rc = err_set(&e, "out_of_memory", "out of memory");
        }
    }
    free(path);
    if (rc != 0) {
        return luax_raise(L, &e);
    }
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
        return luax_fail(L, "script_module", "module %s returned nothing; a module returns its table", name);
    }
    return 1;
}

static int run_helper(lua_State *L, vm *v, const char *name) {
    const char *text = v->o.helpers != NULL ? json_string_value(json_object_get(v->o.helpers, name)) : NULL;
    if (text == NULL) {
        const char *instead = vm_instead_of_module(true, name);
        return luax_fail_fix(L, "script_module",
                             instead != NULL ? instead
                                             : "an audit sees the language, plan, and the helpers of its pack",
                             "module %s does not exist for an audit", name);
    }
    char chunk[128];
    snprintf(chunk, sizeof chunk, "@/stdlib/audit/%s.lua", name);
    err e;
    if (vm_load_in(v, L, chunk, text, strlen(text), true, &e) != 0) {
        return luax_raise(L, &e);
    }
    lua_call(L, 0, 1);
    return 1;
}

/* Appends the names of the Lua files in a directory, at most `max`; free each. */
static size_t list_modules(const char *dir, char **names, size_t n, size_t max) {
    DIR *d = dir != NULL ? opendir(dir) : NULL;
    const struct dirent *entry;
    while (d != NULL && n < max && (entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".lua") == 0 && (names[n] = strdup(entry->d_name)) != NULL) {
            names[n++][len - 4] = '\0';
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    return n;
}

/* Names the nearest module, if one is near. [-0, +0, v] */
static int not_found(lua_State *L, const vm *v, const char *name) {
    char *names[NEAR_MAX + 1];
    size_t n = list_modules(v->o.script_dir, names, 0, NEAR_MAX / 2);
    n = list_modules(v->o.stdlib_dir, names, n, NEAR_MAX);
    names[n] = NULL;
    const char *near = text_suggest(name, (const char *const *)names);
    err e;
    err_set(&e, "script_module", "module %s was not found", name);
    const char *instead = vm_instead_of_module(false, name);
    if (instead != NULL) {
        err_fix(&e, "%s", instead);
    } else if (near != NULL) {
        err_fix(&e, "did you mean \"%s\"?", near);
    } else {
        err_fix(&e, "modules come from the engine's stdlib and from the script's own directory (%s)",
                v->o.script_dir != NULL ? v->o.script_dir : "it has none");
    }
    while (n > 0) {
        free(names[--n]);
    }
    return luax_raise(L, &e);
}

/* Loads what is not loaded yet and pushes it. */
static int load_module(lua_State *L, vm *v, const char *name, bool trusted) {
    if (v->o.profile == VM_AUDIT) {
        return run_helper(L, v, name);
    }
    if (strncmp(name, "engine.", 7) == 0 && strchr(name + 7, '.') == NULL && v->o.modules_dir != NULL) {
        if (!c_module_allowed(name, trusted)) {
            snprintf(v->refused, sizeof v->refused, "%.60s", name);
            return luax_fail_fix(L, "script_capability", "declare it in needs and use the field of ctx",
                                 "require: %s is a capability, not a module", name);
        }
        return sandbox_native(L, v, name);
    }
    if (strncmp(name, "internal.", 9) == 0 && !trusted) {
        return luax_fail(L, "script_module", "module %s is the engine's own", name);
    }
    const char *dir = v->o.stdlib_dir;
    size_t lost = mem_lost();
    char *path = find_in(dir, name);
    if (path == NULL && mem_lost() == lost) {
        dir = v->o.script_dir;
        path = find_in(dir, name);
    }
    if (path == NULL && mem_lost() != lost) { /* nobody knows whether it is there */
        return luax_fail(L, "out_of_memory", "out of memory while looking for module %s", name);
    }
    if (path == NULL) {
        return not_found(L, v, name);
    }
    if (!fs_is_beneath(dir, path)) { /* an error of its parser would show a line of what it leads to */
        free(path);
        return luax_fail_fix(L, "script_module", "put the module itself into the directory",
                             "module %s is a symbolic link that leads out of %s", name, dir);
    }
    return run_file(L, v, name, path, strncmp(name, "internal.", 9) == 0);
}

/* __close of the mark: a module that raised is not being loaded any more. */
static int end_loading(lua_State *L) {
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_LOADED);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 3);
    if (lua_rawget(L, 2) != LUA_TNIL && lua_rawequal(L, 1, 4)) {
        lua_pushvalue(L, 3);
        lua_pushnil(L);
        lua_rawset(L, 2);
    }
    return 0;
}

/* Marks the module as being loaded until the calling C function ends, by an error too. [-0, +1, v] */
static void begin_loading(lua_State *L, int modules, const char *name) {
    lua_newuserdatauv(L, 0, 1);
    lua_pushstring(L, name);
    lua_setiuservalue(L, -2, 1);
    if (luaL_newmetatable(L, LOADING)) {
        lua_pushcfunction(L, end_loading);
        lua_setfield(L, -2, "__close");
    }
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    lua_pushvalue(L, -1);
    lua_setfield(L, modules, name);
}

int sandbox_require(lua_State *L) {
    vm *v = sandbox_vm(L);
    bool trusted = lua_toboolean(L, lua_upvalueindex(1));
    size_t n = 0;
    const char *name = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &n) : "";
    if (!name_ok(name, n)) {
        return luax_fail(L, "script_module",
                         "require: expected a module name such as \"rls.catalogue\", in [a-z0-9_] and dots");
    }
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, SANDBOX_LOADED);
    if (lua_getfield(L, 2, name) != LUA_TNIL) {
        if (luaL_testudata(L, -1, LOADING) != NULL) {
            return luax_fail(L, "script_module", "module %s requires itself, directly or through another", name);
        }
        bool internal =
            strncmp(name, "internal.", 9) == 0 || (strncmp(name, "engine.", 7) == 0 && !c_module_allowed(name, false));
        if (internal && !trusted) {
            return luax_fail(L, "script_module", "module %s is the engine's own", name);
        }
        return 1;
    }
    lua_pop(L, 1);
    begin_loading(L, 2, name);
    load_module(L, v, name, trusted);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}
