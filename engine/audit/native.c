/* native.c: gate-audit has no modules in C, and nothing that could load one. */
#include "vm/luax.h"
#include "vm/vm_internal.h"

int sandbox_native(lua_State *L, vm *v, const char *name) {
    (void)v;
    return luax_fail(L, "script_module", "module %s does not exist for an audit", name);
}
