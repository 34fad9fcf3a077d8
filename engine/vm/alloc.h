/* alloc.h: Lua's allocator with a cap. */
#ifndef GE_VM_ALLOC_H
#define GE_VM_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

typedef struct alloc_cap {
    size_t limit; /* bytes */
    size_t used;
    size_t peak;
    bool hit; /* sticky: an allocation was refused once */
} alloc_cap;

/* lua_Alloc (Lua 5.4 manual, section 4.6); ud is an alloc_cap. Shrinking and freeing never fail. */
void *alloc_capped(void *ud, void *ptr, size_t osize, size_t nsize);

#endif
