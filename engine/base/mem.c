#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A module that is loaded into the engine has a copy of this file, and the copy calls the engine's functions. */
#define SHARED __attribute__((visibility("default")))

static atomic_size_t lost;

/* What jansson's buffer for one token may still grow by when memory runs out: that growth is the one failure which its
 * reader does not look at. The buffer's sizes are powers of two (strbuffer.c), each asked for once while a text is
 * read, and each has a place here at the offset of its own size. */
typedef struct reserve {
    char *base;
    size_t size;
    uint64_t taken; /* bit k: 2^k bytes */
} reserve;

static _Thread_local reserve *reading;

static void *take_reserved(size_t n) {
    if (reading == NULL || n < 2 || (n & (n - 1)) != 0 || n > reading->size / 2 || (reading->taken & n) != 0) {
        return NULL;
    }
    reading->taken |= n;
    return reading->base + n;
}

static void *watched_malloc(size_t n) {
    void *p = malloc(n);
    if (p == NULL) {
        mem_note();
        p = take_reserved(n);
    }
    return p;
}

static void watched_free(void *p) {
    uintptr_t at = (uintptr_t)p, base = reading != NULL ? (uintptr_t)reading->base : 0;
    if (base == 0 || at < base || at - base >= reading->size) {
        free(p);
        return;
    }
    reading->taken &= ~(uint64_t)(at - base);
}

void mem_watch(void) {
    json_set_alloc_funcs(watched_malloc, watched_free);
}

/* The most bytes that a token of the text can have, with its quotes. */
static size_t longest_token(const char *text, size_t n) {
    size_t longest = 0, run = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        bool ends = !quoted && memchr(" \t\n\r{}[],:", text[i], 10) != NULL;
        run = ends ? 0 : run + 1;
        if (quoted && text[i] == '\\' && i + 1 < n) {
            run++;
            i++;
        } else if (text[i] == '"') {
            quoted = !quoted;
        }
        longest = run > longest ? run : longest;
    }
    return longest;
}

SHARED json_t *mem_json(const char *text, size_t n, size_t flags, json_error_t *why) {
    size_t size = 64, needed = longest_token(text, n) + 16;
    while (size < 4 * needed) {
        size *= 2;
    }
    reserve r = {.base = malloc(size), .size = size};
    size_t before = lost;
    json_t *value = NULL;
    if (r.base == NULL) {
        mem_note();
    } else {
        reading = &r;
        value = json_loadb(text, n, flags, why);
        if (lost != before) {
            json_decref(value); /* parts of it may be in the reserve */
            value = NULL;
        }
        reading = NULL;
    }
    free(r.base);
    if (lost != before && why != NULL) {
        *why = (json_error_t){.line = -1, .column = -1};
        snprintf(why->text, sizeof why->text - 1, "out of memory");
        why->text[sizeof why->text - 1] = (char)json_error_out_of_memory; /* where json_error_code looks */
    }
    return value;
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
