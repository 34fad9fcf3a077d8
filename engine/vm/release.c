#include "vm/release.h"

#include <lua.h>

const char *vm_lua_release(void) {
    return LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE;
}
