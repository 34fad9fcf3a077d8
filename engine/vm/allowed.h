/* allowed.h: what the sandbox lets a script reach, for those who read scripts without running them. No lua.h. */
#ifndef GE_VM_ALLOWED_H
#define GE_VM_ALLOWED_H

#include <stdbool.h>

/* Has a script (an audit: fewer) the global `name` (lib NULL), or `name` in the library `lib` (which it has)? */
bool vm_allows(bool audit, const char *lib, const char *name);

#endif
