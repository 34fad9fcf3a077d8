/* main.c: gate-engine. */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
void *__real_reallocarray(void *p, size_t count, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n);

/* What allocates within the C library fails for other reasons as well: only ENOMEM is noted. */
char *__real_realpath(const char *path, char *out);
char *__wrap_realpath(const char *path, char *out);
char *__real___realpath_chk(const char *path, char *out, size_t n);
char *__wrap___realpath_chk(const char *path, char *out, size_t n);
char *__real_getcwd(char *out, size_t n);
char *__wrap_getcwd(char *out, size_t n);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
int __wrap_asprintf(char **out, const char *fmt, ...);
int __wrap___asprintf_chk(char **out, int flag, const char *fmt, ...);
typedef int sieve(const struct dirent *);
typedef int order(const struct dirent **, const struct dirent **);
int __real_scandir(const char *path, struct dirent ***list, sieve *s, order *o);
int __wrap_scandir(const char *path, struct dirent ***list, sieve *s, order *o);
typedef int glob_error(const char *, int);
int __real_glob(const char *pattern, int flags, glob_error *failed, glob_t *g);
int __wrap_glob(const char *pattern, int flags, glob_error *failed, glob_t *g);

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

void *__wrap_reallocarray(void *p, size_t count, size_t n) {
    return count > 0 && n > 0 ? noted(__real_reallocarray(p, count, n)) : __real_reallocarray(p, count, n);
}

static void *noted_by_errno(void *p) {
    if (p == NULL && errno == ENOMEM) {
        mem_note();
    }
    return p;
}

char *__wrap_realpath(const char *path, char *out) {
    return noted_by_errno(__real_realpath(path, out));
}

char *__wrap___realpath_chk(const char *path, char *out, size_t n) {
    return noted_by_errno(__real___realpath_chk(path, out, n));
}

char *__wrap_getcwd(char *out, size_t n) {
    return noted_by_errno(__real_getcwd(out, n));
}

DIR *__wrap_opendir(const char *path) {
    return noted_by_errno(__real_opendir(path));
}

DIR *__wrap_fdopendir(int fd) {
    return noted_by_errno(__real_fdopendir(fd));
}

static int noted_text(int n) {
    if (n < 0) {
        mem_note();
    }
    return n;
}

int __wrap_asprintf(char **out, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(out, fmt, args);
    va_end(args);
    return noted_text(n);
}

int __wrap___asprintf_chk(char **out, int flag, const char *fmt, ...) {
    va_list args;
    (void)flag;
    va_start(args, fmt);
    int n = vasprintf(out, fmt, args);
    va_end(args);
    return noted_text(n);
}

int __wrap_scandir(const char *path, struct dirent ***list, sieve *s, order *o) {
    int n = __real_scandir(path, list, s, o);
    return n < 0 && errno == ENOMEM ? noted_text(n) : n;
}

int __wrap_glob(const char *pattern, int flags, glob_error *failed, glob_t *g) {
    int rc = __real_glob(pattern, flags, failed, g);
    if (rc == GLOB_NOSPACE) {
        mem_note();
    }
    return rc;
}

int main(int argc, char **argv) {
    return cli_main(argc, argv);
}
