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
#define OTHER UINT32_MAX /* a process whose allocations do not matter */

/* The next ones: the sanitizer's in a sanitizer build, else glibc's. */
static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    pid_t (*fork)(void);
} next;

static fault_page *page;
static bool looked;
static uint32_t self = OTHER;
static _Thread_local bool busy; /* here already: what a backtrace allocates does not count */

static void *must_find(const char *name) {
    void *f = dlsym(RTLD_NEXT, name);
    if (f == NULL) {
        static const char text[] = "fault.c: a function to wrap is missing\n";
        (void)!write(2, text, sizeof text - 1);
        _exit(125);
    }
    return f;
}

static void find_next(void) {
    if (next.fork == NULL) {
        next.malloc = (void *(*)(size_t))must_find("malloc");
        next.calloc = (void *(*)(size_t, size_t))must_find("calloc");
        next.realloc = (void *(*)(void *, size_t))must_find("realloc");
        next.memalign = (void *(*)(size_t, size_t))must_find("memalign");
        next.fork = (pid_t(*)(void))must_find("fork");
    }
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

/* Once the environment is there: the first allocations are the dynamic linker's, before anything has begun. */
static void look(void) {
    find_next();
    if (looked || environ == NULL) {
        return;
    }
    looked = true;
    map_page();
    if (page != NULL && page->trace) {
        void *warm[4];
        backtrace(warm, 4); /* loads what it needs, with memory */
    }
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

static bool fails(void) {
    if (busy) {
        return false;
    }
    busy = true;
    look();
    bool fail = false;
    if (page != NULL && self == page->process) {
        uint64_t number = atomic_fetch_add(&page->calls, 1) + 1;
        fail = page->at != 0 && (number == page->at || (page->onwards && number > page->at));
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

/* What the library itself causes while it looks around must not come back here without an end. */
static void ready(void) {
    bool was = busy;
    busy = true;
    find_next();
    busy = was;
}

PUBLIC void *malloc(size_t n) {
    ready();
    return fails() ? NULL : next.malloc(n);
}

PUBLIC void *calloc(size_t n, size_t size) {
    ready();
    return fails() ? NULL : next.calloc(n, size);
}

PUBLIC void *realloc(void *p, size_t n) {
    ready();
    return (n > 0 || p == NULL) && fails() ? NULL : next.realloc(p, n);
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
    ready();
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
    ready();
    busy = true;
    look();
    busy = false;
    uint32_t number = page != NULL && self == 0 ? atomic_fetch_add(&page->forks, 1) + 1 : OTHER;
    pid_t pid = next.fork();
    if (pid == 0) {
        self = number;
    }
    return pid;
}

__attribute__((constructor)) static void begin(void) {
    ready();
    busy = true;
    look();
    busy = false;
}
