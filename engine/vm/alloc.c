#include "vm/alloc.h"

#include <stdlib.h>

#include "base/mem.h"

static void *refuse(alloc_cap *cap) {
    cap->hit = true;
    return NULL;
}

/* A new height. LUA_GCRESTART sets the collector's two counters and does nothing else, so that the allocator may ask
 * for it: what collects is Lua, at its next allocation. */
static void rise(alloc_cap *cap) {
    cap->peak = cap->used;
    if (cap->resting != NULL && cap->used > cap->floor) {
        lua_State *L = cap->resting;
        cap->resting = NULL;
        lua_gc(L, LUA_GCRESTART);
    }
}

/* Where a cycle begins, in per cent of what lived after the one before, and how much it walks for what is allocated:
 * Lua's own are 200 and 100 (manual, section 2.5.1). Above the floor memory is what counts. */
#define PAUSE 120
#define STEP 400

void alloc_rest(alloc_cap *cap, lua_State *L, size_t floor) {
    cap->resting = L;
    cap->floor = floor;
    lua_gc(L, LUA_GCINC, PAUSE, STEP, 0);
    lua_gc(L, LUA_GCSTOP);
}

/* A new object. Counted first, so that little is left to do after malloc: this is called for every string. */
static void *take(alloc_cap *cap, size_t size) {
    if (size > cap->limit - cap->used) {
        return refuse(cap);
    }
    cap->used += size;
    if (cap->used > cap->peak) {
        rise(cap);
    }
    void *p = malloc(size);
    if (__builtin_expect(p == NULL, 0)) {
        cap->used -= size;
        mem_note(); /* not the script's limit: the system has none left */
        return refuse(cap);
    }
    return p;
}

void *alloc_capped(void *ud, void *ptr, size_t osize, size_t nsize) {
    alloc_cap *cap = ud;
    if (ptr == NULL) { /* Lua passes the kind of object as osize */
        return nsize > 0 ? take(cap, nsize) : NULL;
    }
    if (nsize == 0) {
        cap->used -= osize;
        free(ptr);
        return NULL;
    }
    if (nsize > osize && nsize - osize > cap->limit - cap->used) {
        return refuse(cap);
    }
    void *p = realloc(ptr, nsize);
    if (p == NULL) {
        cap->hit = true;
        mem_note(); /* not the script's limit: the system has none left */
        return nsize <= osize ? ptr : NULL;
    }
    cap->used = cap->used - osize + nsize;
    if (cap->used > cap->peak) {
        rise(cap);
    }
    return p;
}
