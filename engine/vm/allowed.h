/* allowed.h: what the sandbox lets a script reach, for those who read scripts without running them. No lua.h. */
#ifndef GE_VM_ALLOWED_H
#define GE_VM_ALLOWED_H

#include <stdbool.h>

/* Has a script (an audit: fewer) the global `name` (lib NULL), or `name` in the library `lib` (which it has)? */
bool vm_allows(bool audit, const char *lib, const char *name);

/* What there is instead of a global ("io") or a member of one ("io.open") that scripts do not have: a fix, static, or
 * NULL. */
const char *vm_instead_of(bool audit, const char *name);
/* The same for a module that is not there ("socket.http"). */
const char *vm_instead_of_module(bool audit, const char *name);

#endif
