#include "base/mem.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A module that is loaded into the engine has a copy of this file, and the copy calls the engine's functions. */
#define SHARED __attribute__((visibility("default")))

static atomic_size_t lost;

static void *watched_malloc(size_t n) {
    void *p = malloc(n);
    if (p == NULL) {
        mem_note();
    }
    return p;
}

void mem_watch(void) {
    json_set_alloc_funcs(watched_malloc, free);
}

SHARED void mem_note(void) {
    atomic_fetch_add(&lost, 1);
}

SHARED size_t mem_lost(void) {
    return lost;
}

void mem_explain(err *e) {
    if (mem_lost() > 0 && strcmp(e->code, "out_of_memory") != 0) {
        err before = *e;
        err_set(e, "out_of_memory", "out of memory");
        if (before.message[0] != '\0') {
            err_detail(e, "%s", before.message);
        }
    }
}
