/* canon_quick.h: the canonical form of a JSON text without a tree of its values. Used by canon.c alone. */
#ifndef GE_BASE_CANON_QUICK_H
#define GE_BASE_CANON_QUICK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Sets out, which is empty, to the canonical form (RFC 8785) of a text that it is sure of. False for everything else:
 * what is no JSON, what is refused, what is rare, and where memory runs out. The caller then asks the reader that says
 * why; out is to be freed either way. */
bool canon_quick(buf *out, const char *text, size_t n);

#endif
