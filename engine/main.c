/* main.c: gate-engine. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/cli.h"

/* The linker leads every allocation of this program's own here (ld, --wrap): one that fails is noted, whatever becomes
 * of its result, so that nothing which may lack something passes for whole (base/mem.h). */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n);

static void *noted(void *p) {
    if (p == NULL) {
        mem_note();
    }
    return p;
}

void *__wrap_malloc(size_t n) {
    return n > 0 ? noted(__real_malloc(n)) : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n) {
    return count > 0 && n > 0 ? noted(__real_calloc(count, n)) : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n) {
    return n > 0 ? noted(__real_realloc(p, n)) : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s) {
    return noted(__real_strdup(s));
}

char *__wrap_strndup(const char *s, size_t n) {
    return noted(__real_strndup(s, n));
}

int main(int argc, char **argv) {
    return cli_main(argc, argv);
}
