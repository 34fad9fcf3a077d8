/* sandbox_native.c: the engine's modules in C. Apart, so that gate-audit is linked without it and without dlopen. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vm/luax.h"
#include "vm/vm_internal.h"

int sandbox_native(lua_State *L, vm *v, const char *name) {
    char path[4200];
    char symbol[160];
    snprintf(path, sizeof path, "%s/engine/%s.so", v->o.modules_dir, name + strlen("engine."));
    snprintf(symbol, sizeof symbol, "luaopen_engine_%s", name + strlen("engine."));
    errno = 0;
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* stays open as long as the process: its functions are in Lua */
    void *found = so != NULL ? dlsym(so, symbol) : NULL;
    if (found == NULL && errno == ENOMEM) { /* the dynamic linker's own texts do not say so */
        return luax_fail(L, "out_of_memory", "out of memory while the module %s was loaded", name);
    }
    if (found == NULL) {
        return luax_fail_fix(L, "install_broken", "build or install gate-engine again",
                             "the module %s cannot be loaded: %s", name, dlerror());
    }
    lua_CFunction open;
    memcpy(&open, &found,
           sizeof open); /* ISO C has no cast from void* to a function; POSIX dlsym's rationale does this */
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    return 1;
}
