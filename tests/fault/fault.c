/* fault.c: a library for LD_PRELOAD that makes one allocation of one process fail, or all from that one on.
 *
 * Everything that allocates through the C library ends in one of the functions below, strdup, getline, opendir and the
 * like included: glibc calls its own malloc in a way that can be interposed ("Replacing malloc" in its manual). What is
 * mapped with mmap is not seen. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

#define PUBLIC __attribute__((visibility("default")))
#define FRAMES_MAX 32
#define OTHER UINT32_MAX /* a process whose allocations do not matter */

/* The next ones: the sanitizer's in a sanitizer build, else glibc's. Known once this library is initialised. */
static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    void (*free)(void *);
    pid_t (*fork)(void);
} next;

static fault_page *page;
static bool initialised;
static uint32_t self = OTHER;
static _Thread_local bool busy; /* here already: what a backtrace allocates does not count */

/* What is asked for before: by the dynamic linker, and by a sanitizer's runtime that looks for its functions and must
 * not be called yet. It is not given back. */
static struct {
    _Alignas(16) char bytes[1 << 20];
    size_t used;
} early;

static _Noreturn void give_up(const char *text) {
    (void)!write(2, text, strlen(text));
    _exit(125);
}

static void *early_malloc(size_t n) {
    size_t whole = 16 + ((n + 15) & ~(size_t)15);
    if (n > sizeof early.bytes || whole > sizeof early.bytes - early.used) {
        give_up("fault.c: too much is allocated before it is initialised\n");
    }
    char *at = early.bytes + early.used;
    early.used += whole;
    memcpy(at, &n, sizeof n);
    return at + 16;
}

static bool is_early(const void *p) {
    return (const char *)p >= early.bytes && (const char *)p < early.bytes + sizeof early.bytes;
}

static void *must_find(const char *name) {
    void *f = dlsym(RTLD_NEXT, name);
    if (f == NULL) {
        give_up("fault.c: a function to wrap is missing\n");
    }
    return f;
}

static void map_page(void) {
    char path[PATH_MAX + sizeof FAULT_PAGE_SUFFIX];
    const char *named = getenv(FAULT_PAGE_ENV);
    ssize_t n = named != NULL ? snprintf(path, PATH_MAX, "%s", named) : readlink("/proc/self/exe", path, PATH_MAX);
    if (n <= 0 || n >= PATH_MAX) {
        return;
    }
    strcpy(path + n, named != NULL ? "" : FAULT_PAGE_SUFFIX);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED) {
        return;
    }
    page = at;
    uint32_t none = 0;
    self = atomic_compare_exchange_strong(&page->claimed, &none, 1) ? 0 : OTHER;
}

static void say_where(void) {
    void *frame[48];
    int n = backtrace(frame, 48);
    size_t used = 0;
    for (int i = 2; i < n && used < sizeof page->where - 512; i++) {
        Dl_info info;
        if (dladdr(frame[i], &info) != 0 && info.dli_fname != NULL) {
            used += (size_t)snprintf(page->where + used, sizeof page->where - used, "%.300s+0x%tx %.60s\n",
                                     info.dli_fname, (char *)frame[i] - (char *)info.dli_fbase,
                                     info.dli_sname != NULL ? info.dli_sname : "?");
        }
    }
}

/* Keeps the number of the first allocation of each call path: FNV-1a over the return addresses, nearest first, in an
 * open hash table. Two threads that allocate at once may lose a path between them. */
static void note_path(uint64_t number) {
    void *frame[FRAMES_MAX];
    int n = backtrace(frame, FRAMES_MAX);
    uint64_t hash = 14695981039346656037u;
    for (int i = 2; i < n; i++) {
        hash = (hash ^ (uint64_t)(uintptr_t)frame[i]) * 1099511628211u;
    }
    for (size_t i = 0, at = hash; i < FAULT_PATHS_MAX; i++, at++) {
        size_t slot = at % FAULT_PATHS_MAX;
        if (page->path[slot].number == 0) {
            page->path[slot].hash = hash;
            page->path[slot].number = number;
            page->paths_found++;
            return;
        }
        if (page->path[slot].hash == hash) {
            return;
        }
    }
    give_up("fault.c: more call paths than FAULT_PATHS_MAX\n");
}

static bool fails(void) {
    if (busy || !initialised) {
        return false;
    }
    busy = true;
    bool fail = false;
    if (page != NULL && self == page->process) {
        uint64_t number = atomic_fetch_add(&page->calls, 1) + 1;
        fail = page->at != 0 && (number == page->at || (page->onwards && number > page->at));
        if (page->paths) {
            note_path(number);
        }
        if (fail && atomic_fetch_add(&page->failed, 1) == 0 && page->trace) {
            say_where();
        }
    }
    busy = false;
    if (fail) {
        errno = ENOMEM;
    }
    return fail;
}

PUBLIC void *malloc(size_t n) {
    return !initialised ? early_malloc(n) : fails() ? NULL : next.malloc(n);
}

PUBLIC void *calloc(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    /* The early memory was never used before: it is zero. */
    return !initialised ? early_malloc(bytes) : fails() ? NULL : next.calloc(n, size);
}

PUBLIC void *realloc(void *p, size_t n) {
    if (initialised && (n > 0 || p == NULL) && fails()) {
        return NULL;
    }
    if (initialised && !is_early(p)) {
        return next.realloc(p, n);
    }
    void *fresh = initialised ? next.malloc(n) : early_malloc(n);
    size_t had = 0;
    if (p != NULL && fresh != NULL) {
        memcpy(&had, (char *)p - 16, sizeof had);
        memcpy(fresh, p, had < n ? had : n);
    }
    return fresh;
}

PUBLIC void free(void *p) {
    if (initialised && p != NULL && !is_early(p)) {
        next.free(p);
    }
}

PUBLIC void *reallocarray(void *p, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}

PUBLIC void *memalign(size_t alignment, size_t n) {
    if (!initialised) {
        give_up("fault.c: aligned memory is asked for before it is initialised\n");
    }
    return fails() ? NULL : next.memalign(alignment, n);
}

PUBLIC void *aligned_alloc(size_t alignment, size_t n) {
    return memalign(alignment, n);
}

PUBLIC int posix_memalign(void **out, size_t alignment, size_t n) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *p = memalign(alignment, n);
    errno = saved;
    if (p == NULL) {
        return ENOMEM;
    }
    *out = p;
    return 0;
}

PUBLIC pid_t fork(void) {
    uint32_t number = page != NULL && self == 0 ? atomic_fetch_add(&page->forks, 1) + 1 : OTHER;
    pid_t pid = next.fork();
    if (pid == 0) {
        self = number;
    }
    return pid;
}

__attribute__((constructor)) static void begin(void) {
    next.malloc = (void *(*)(size_t))must_find("malloc");
    next.calloc = (void *(*)(size_t, size_t))must_find("calloc");
    next.realloc = (void *(*)(void *, size_t))must_find("realloc");
    next.memalign = (void *(*)(size_t, size_t))must_find("memalign");
    next.free = (void (*)(void *))must_find("free");
    next.fork = (pid_t(*)(void))must_find("fork");
    busy = true;
    initialised = true;
    map_page();
    if (page != NULL && (page->trace || page->paths)) {
        void *warm[4];
        backtrace(warm, 4); /* loads what it needs, with memory */
    }
    busy = false;
}
