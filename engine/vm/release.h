/* release.h: which Lua this is, for those who may not include lua.h. */
#ifndef GE_VM_RELEASE_H
#define GE_VM_RELEASE_H

/* "5.4.4" */
const char *vm_lua_release(void);

#endif
