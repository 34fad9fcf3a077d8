#include "vm/alloc.h"

#include <stdlib.h>

#include "base/mem.h"

void *alloc_capped(void *ud, void *ptr, size_t osize, size_t nsize) {
    alloc_cap *cap = ud;
    if (ptr == NULL) {
        osize = 0; /* Lua passes the kind of object there */
    }
    if (nsize == 0) {
        free(ptr);
        cap->used -= osize;
        return NULL;
    }
    if (nsize > osize && nsize - osize > cap->limit - cap->used) {
        cap->hit = true;
        return NULL;
    }
    void *p = realloc(ptr, nsize);
    if (p == NULL) {
        cap->hit = true;
        mem_note(); /* not the script's limit: the system has none left */
        return nsize <= osize ? ptr : NULL;
    }
    cap->used = cap->used - osize + nsize;
    if (cap->used > cap->peak) {
        cap->peak = cap->used;
    }
    return p;
}
