/* perturb.so: preloaded into a solver by the determinism gate (engine/run/broker_perturb.c), never into the engine.
 *
 * What GATE_ENGINE_SHIM asks for, as "order=SEED,clock=S,pid=N,random=SEED,threads=1", and nothing without it:
 *   order    directories are read in an order of their own, which follows from the seed and the names
 *   clock    the time of day stands still, at so many seconds since 1970 (libfaketime, which shifts it for whole runs,
 *            allocates memory itself, not always the same, and so moves addresses that are to be held still)
 *   pid      the program has this process id, and its parent the one before
 *   random   random bytes follow from the seed: getrandom, getentropy, arc4random, /dev/random and /dev/urandom
 *   threads  a thread runs to its end before the one that made it goes on; where it does nothing for a second, since it
 *            waits for that one, threads run as they always do from then on
 * It stands before libfaketime too, where that breaks what it does not shift (clock_nanosleep).
 * The first makes another run; the others hold still what two runs differ in, so that its cause can be named. Calls of
 * the C library into itself (scandir, nftw) and the kernel asked directly are out of reach. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))
#define DEVICE_BYTES (1 << 20) /* how much a read of /dev/urandom may ask for in all */
/* A thread that uses no processor time for so long is taken to wait for its maker; one that uses it may go on longer.
 */
#define THREAD_IDLE_NS 1000000000L
#define THREAD_BUSY_NS 20000000000L
#define THREAD_LOOK_NS 50000000L

/* A function of the next library of that name, or of the C library. */
#define NEXT(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

static uint64_t order_seed, random_state;
static pid_t own_pid;
static time_t moment; /* 0 = the clock goes on */
static bool shuffles, fixes_random;
static _Atomic bool serial;

static uint64_t mix(uint64_t x) { /* SplitMix64's output function (Steele, Lea and Flood 2014) */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

__attribute__((constructor)) static void configure(void) {
    const char *text = getenv("GATE_ENGINE_SHIM");
    for (const char *at = text; at != NULL && *at != '\0';) {
        const char *value = strchr(at, '=');
        uint64_t number = value != NULL ? strtoull(value + 1, NULL, 10) : 0;
        if (strncmp(at, "order=", 6) == 0) {
            shuffles = true;
            order_seed = number;
        } else if (strncmp(at, "clock=", 6) == 0) {
            moment = (time_t)number;
        } else if (strncmp(at, "pid=", 4) == 0) {
            own_pid = (pid_t)number;
        } else if (strncmp(at, "random=", 7) == 0) {
            fixes_random = true;
            random_state = number;
        } else if (strncmp(at, "threads=", 8) == 0) {
            serial = number != 0;
        }
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
}

/* --- directories --- */

typedef struct entry {
    uint64_t rank;
    struct dirent *copy;
} entry;

/* One open directory: all that was in it when it was read first. */
typedef struct listing {
    DIR *dir;
    entry *list;
    size_t n, next;
    struct listing *after;
} listing;

static pthread_mutex_t listings_lock = PTHREAD_MUTEX_INITIALIZER;
static listing *listings;

static int by_rank(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : strcmp(x->copy->d_name, y->copy->d_name);
}

static void listing_free(listing *l) {
    for (size_t i = 0; i < l->n; i++) {
        free(l->list[i].copy);
    }
    free(l->list);
    free(l);
}

static uint64_t rank_of(const char *name) {
    uint64_t h = order_seed + UINT64_C(0x9e3779b97f4a7c15);
    for (; *name != '\0'; name++) {
        h = mix(h + (unsigned char)*name);
    }
    return h;
}

static listing *listing_read(DIR *dir) {
    listing *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->dir = dir;
    struct dirent *(*next)(DIR *) = NEXT(readdir);
    for (struct dirent *d; (d = next(dir)) != NULL;) {
        entry *grown = realloc(l->list, (l->n + 1) * sizeof *grown);
        struct dirent *copy = malloc(d->d_reclen);
        if (grown != NULL) {
            l->list = grown;
        }
        if (grown == NULL || copy == NULL) {
            free(copy);
            listing_free(l);
            errno = ENOMEM;
            return NULL;
        }
        memcpy(copy, d, d->d_reclen);
        l->list[l->n++] = (entry){.rank = rank_of(copy->d_name), .copy = copy};
    }
    if (l->n > 1) {
        qsort(l->list, l->n, sizeof *l->list, by_rank);
    }
    return l;
}

static listing **listing_of(DIR *dir) {
    listing **at = &listings;
    while (*at != NULL && (*at)->dir != dir) {
        at = &(*at)->after;
    }
    return at;
}

SHOWN struct dirent *readdir(DIR *dir) {
    if (!shuffles) {
        return NEXT(readdir)(dir);
    }
    int before = errno; /* at the end of a directory it must stand as it was */
    pthread_mutex_lock(&listings_lock);
    listing **at = listing_of(dir);
    if (*at == NULL) {
        *at = listing_read(dir);
    }
    bool failed = *at == NULL;
    struct dirent *d = !failed && (*at)->next < (*at)->n ? (*at)->list[(*at)->next++].copy : NULL;
    pthread_mutex_unlock(&listings_lock);
    errno = failed ? ENOMEM : before;
    return d;
}

/* The same structure under 64-bit Linux. */
_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "readdir and readdir64 give the same structure");
SHOWN struct dirent64 *readdir64(DIR *dir) {
    return (struct dirent64 *)readdir(dir);
}

static void forget(DIR *dir) {
    pthread_mutex_lock(&listings_lock);
    listing **at = listing_of(dir), *l = *at;
    if (l != NULL) {
        *at = l->after;
        listing_free(l);
    }
    pthread_mutex_unlock(&listings_lock);
}

SHOWN int closedir(DIR *dir) {
    forget(dir);
    return NEXT(closedir)(dir);
}

SHOWN void rewinddir(DIR *dir) {
    forget(dir);
    NEXT(rewinddir)(dir);
}

/* --- who it is --- */

SHOWN pid_t getpid(void) {
    return own_pid > 0 ? own_pid : (pid_t)syscall(SYS_getpid);
}

SHOWN pid_t getppid(void) {
    return own_pid > 0 ? own_pid - 1 : (pid_t)syscall(SYS_getppid);
}

/* --- what time it is --- */

SHOWN int clock_gettime(clockid_t clock, struct timespec *out) {
    if (moment == 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE && clock != CLOCK_TAI)) {
        return NEXT(clock_gettime)(clock, out);
    }
    *out = (struct timespec){.tv_sec = moment};
    return 0;
}

SHOWN time_t time(time_t *out) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return (time_t)-1;
    }
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

SHOWN int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    if (moment == 0) {
        return NEXT(gettimeofday)(out, zone);
    }
    *out = (struct timeval){.tv_sec = moment};
    return 0;
}

SHOWN int timespec_get(struct timespec *out, int base) {
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, out) == 0 ? base : 0;
}

/* libfaketime (0.9.10) takes its shift off every moment that is slept until, also off those of clocks that it was told
 * not to shift: a program that sleeps by the steady clock, as Python's time.sleep does, would sleep for days or not at
 * all. The kernel is asked directly; time.h's function gives the error itself. */
SHOWN int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    if (clock == CLOCK_REALTIME || (flags & TIMER_ABSTIME) == 0) {
        return NEXT(clock_nanosleep)(clock, flags, until, left);
    }
    int before = errno;
    int rc = syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno;
    errno = before;
    return rc;
}

/* --- random bytes --- */

static void fill(void *out, size_t n) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < n; i++) {
        ((unsigned char *)out)[i] = (unsigned char)mix(random_state += UINT64_C(0x9e3779b97f4a7c15));
    }
    pthread_mutex_unlock(&lock);
}

SHOWN ssize_t getrandom(void *out, size_t n, unsigned flags) {
    if (!fixes_random) {
        return syscall(SYS_getrandom, out, n, flags);
    }
    fill(out, n);
    return (ssize_t)n;
}

SHOWN int getentropy(void *out, size_t n) {
    if (!fixes_random) {
        return NEXT(getentropy)(out, n);
    }
    fill(out, n);
    return 0;
}

SHOWN void arc4random_buf(void *out, size_t n) {
    if (fixes_random) {
        fill(out, n);
    } else {
        NEXT(arc4random_buf)(out, n);
    }
}

SHOWN uint32_t arc4random(void) {
    uint32_t x;
    arc4random_buf(&x, sizeof x);
    return x;
}

SHOWN uint32_t arc4random_uniform(uint32_t bound) {
    return fixes_random ? (uint32_t)((uint64_t)arc4random() * bound >> 32) : NEXT(arc4random_uniform)(bound);
}

static bool is_device(const char *path) {
    return fixes_random && path != NULL && (strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0);
}

/* A file of fixed bytes in the device's place; -1 with errno set. */
static int device(void) {
    static unsigned char bytes[DEVICE_BYTES];
    int fd = (int)syscall(SYS_memfd_create, "random", MFD_CLOEXEC);
    if (fd >= 0) {
        fill(bytes, sizeof bytes);
        if (write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes || lseek(fd, 0, SEEK_SET) != 0) {
            close(fd);
            fd = -1;
        }
    }
    return fd;
}

#define OPEN_LIKE(name, ...)                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                                        \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode = va_arg(more, mode_t);                                                                                   \
        va_end(more);                                                                                                  \
    }                                                                                                                  \
    return is_device(path) ? device() : NEXT(name)(__VA_ARGS__, flags, mode)

SHOWN int open(const char *path, int flags, ...) {
    OPEN_LIKE(open, path);
}

SHOWN int open64(const char *path, int flags, ...) {
    OPEN_LIKE(open64, path);
}

SHOWN int openat(int dir, const char *path, int flags, ...) {
    OPEN_LIKE(openat, dir, path);
}

SHOWN int openat64(int dir, const char *path, int flags, ...) {
    OPEN_LIKE(openat64, dir, path);
}

SHOWN FILE *fopen(const char *path, const char *mode) {
    return is_device(path) ? fdopen(device(), "r") : NEXT(fopen)(path, mode);
}

SHOWN FILE *fopen64(const char *path, const char *mode) {
    return is_device(path) ? fdopen(device(), "r") : NEXT(fopen64)(path, mode);
}

/* --- threads --- */

/* Shared by the thread and its maker; the last one out frees it. */
typedef struct start {
    void *(*run)(void *);
    void *arg;
    int done; /* eventfd: readable once the thread is through */
    _Atomic int holders;
} start;

static void let_go(start *s) {
    if (atomic_fetch_sub(&s->holders, 1) == 1) {
        close(s->done);
        free(s);
    }
}

static void tell(void *arg) {
    start *s = arg;
    uint64_t one = 1;
    if (write(s->done, &one, sizeof one) < 0) {
        serial = false;
    }
    let_go(s);
}

static void *run_and_tell(void *arg) {
    start *s = arg;
    void *result = NULL;
    pthread_cleanup_push(tell, s); /* pthread_exit and cancellation end it too */
    result = s->run(s->arg);
    pthread_cleanup_pop(1);
    return result;
}

/* The kernel is asked directly: what shifts clocks also shifts the waiting of the C library. */
static long processor_ns(void) {
    struct timespec used = {0};
    (void)syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000000000L + used.tv_nsec;
}

/* Threads run one after another, so that what the process uses is what this one does. How long a machine lets it wait
 * for a processor is not its doing. */
static bool wait_for(int fd) {
    long used = processor_ns(), idle = 0;
    for (long all = 0; idle < THREAD_IDLE_NS && all < THREAD_BUSY_NS; all += THREAD_LOOK_NS) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        struct timespec most = {.tv_nsec = THREAD_LOOK_NS};
        if (syscall(SYS_ppoll, &p, 1UL, &most, NULL, 0UL) == 1) {
            return true;
        }
        long now = processor_ns();
        idle = now - used > THREAD_LOOK_NS / 100 ? 0 : idle + THREAD_LOOK_NS;
        used = now;
    }
    return false;
}

SHOWN int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg) {
    start *s = serial ? malloc(sizeof *s) : NULL;
    int done = s != NULL ? eventfd(0, EFD_CLOEXEC) : -1;
    if (done < 0) {
        free(s);
        return NEXT(pthread_create)(thread, attr, run, arg);
    }
    *s = (start){.run = run, .arg = arg, .done = done, .holders = 2};
    int rc = NEXT(pthread_create)(thread, attr, run_and_tell, s);
    if (rc != 0) {
        close(done);
        free(s);
        return rc;
    }
    if (!wait_for(done)) {
        serial = false;
    }
    let_go(s);
    return 0;
}
