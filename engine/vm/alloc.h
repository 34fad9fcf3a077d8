/* alloc.h: Lua's allocator with a cap. */
#ifndef GE_VM_ALLOC_H
#define GE_VM_ALLOC_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct alloc_cap {
    size_t limit; /* bytes */
    size_t used;
    size_t peak;
    bool hit;           /* sticky: an allocation was refused once */
    lua_State *resting; /* its collector is stopped until more than `floor` bytes are used; NULL: it runs */
    size_t floor;
} alloc_cap;

/* lua_Alloc (Lua 5.4 manual, section 4.6); ud is an alloc_cap. Shrinking and freeing never fail. */
void *alloc_capped(void *ud, void *ptr, size_t osize, size_t nsize);

/* Stops the collector of a state that uses this cap until more than `floor` bytes are in use: what little there is to
 * collect before is not worth walking all that lives. From there on it keeps close to what lives. */
void alloc_rest(alloc_cap *cap, lua_State *L, size_t floor);

#endif
