/* planted: roster solvers which are wrong on purpose, for the determinism gate to find. `planted MODE [FILE]`.
 *
 * Each gives every tour a driver of its own, which is always legal, and numbers the drivers in an order that depends on
 * what its mode says (or spoils the answer in the way its mode says). Built without sanitizers: they would keep some of
 * these from happening. */
#include <jansson.h>
#include <locale.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

typedef struct item {
    const char *id;
    int day;
    uint64_t rank;
} item;

static uint64_t mix(uint64_t h, const char *s) {
    for (; *s != '\0'; s++) {
        h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211); /* FNV-1a */
    }
    return h ^ h >> 29;
}

static int by_rank(const void *a, const void *b) {
    const item *x = a, *y = b;
    return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : strcmp(x->id, y->id);
}

/* --- what the order may depend on --- */

static uint64_t from_clock(void) {
    return (uint64_t)time(NULL) / 86400;
}

static uint64_t from_zone(void) {
    time_t moment = 1767600000;
    struct tm local;
    return localtime_r(&moment, &local) != NULL ? (uint64_t)local.tm_hour * 60 + (uint64_t)local.tm_min : 0;
}

static uint64_t from_locale(void) {
    const char *name = setlocale(LC_ALL, "");
    return mix(7, name != NULL ? name : "none");
}

static uint64_t from_environment(void) {
    uint64_t bytes = 0;
    for (char **e = environ; *e != NULL; e++) {
        bytes += strlen(*e);
    }
    return bytes;
}

static uint64_t from_cwd(void) {
    char dir[4096];
    return getcwd(dir, sizeof dir) != NULL ? mix(7, dir) : 0;
}

static uint64_t from_pid(void) {
    return (uint64_t)getpid();
}

/* A set whose hash is seeded anew in every process, as in Python, Perl or Go. */
static uint64_t from_hash_seed(void) {
    uint64_t seed = 0;
    return getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed ? seed : 1;
}

/* Memory that was used, freed, and is read again before it is written. */
static uint64_t from_stale_memory(void) {
    uint64_t sum = 0;
    unsigned char *old = malloc(512);
    if (old != NULL) {
        memset(old, 1, 512);
    }
    free(old);
    volatile unsigned char *again = malloc(512);
    for (int i = 64; again != NULL && i < 512; i++) {
        sum += again[i];
    }
    free((void *)again);
    return sum;
}

static const struct {
    const char *mode;
    uint64_t (*key)(void);
} KEYS[] = {
    {"clock", from_clock}, {"zone", from_zone}, {"locale", from_locale},      {"environment", from_environment},
    {"cwd", from_cwd},     {"pid", from_pid},   {"unsorted", from_hash_seed}, {"uninitialised", from_stale_memory}};

/* --- orders that are not a key's --- */

/* By a hash of the address at which each tour happens to lie. */
static void rank_by_address(item *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        void *node = malloc(48); /* kept to the end: the program is short */
        list[i].rank = (uint64_t)(uintptr_t)node * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    }
}

typedef struct race {
    item *one;
    uint64_t *counter;
} race;

static void *take_number(void *arg) {
    race *r = arg;
    struct timespec nap = {.tv_nsec = (long)(mix(1, r->one->id) % 200000)};
    nanosleep(&nap, NULL);
    r->one->rank = __atomic_fetch_add(r->counter, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* By which thread came first. */
static void rank_by_race(item *list, size_t n) {
    uint64_t counter = 0;
    pthread_t threads[64];
    race args[64];
    size_t some = n < 64 ? n : 64;
    for (size_t i = 0; i < some; i++) {
        args[i] = (race){.one = &list[i], .counter = &counter};
        if (pthread_create(&threads[i], NULL, take_number, &args[i]) != 0) {
            exit(1);
        }
    }
    for (size_t i = 0; i < some; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* --- answers --- */

/* A sum whose last digit depends on the order, and the order on a variable. */
static double cost_of(const item *list, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = getenv("TZ") != NULL ? n - 1 - i : i;
        sum += 0.1 * (double)(at + 1) + (double)(mix(3, list[at].id) % 1000) / 7.0;
    }
    return sum;
}

static json_t *assignment(const item *one, size_t number, const char *suffix) {
    char driver[32], block[96];
    snprintf(driver, sizeof driver, "D%04zu", number);
    snprintf(block, sizeof block, "%s-%d%s", driver, one->day, suffix);
    return json_pack("{s:s, s:s, s:i, s:s, s:s}", "driver_id", driver, "tour_instance_id", one->id, "day", one->day,
                     "block_id", block, "block_type", "1er");
}

static int write_plan(const char *mode, item *list, size_t n, json_int_t seed) {
    char suffix[40] = "";
    double cost = cost_of(list, n);
    if (strcmp(mode, "float-id") == 0) {
        snprintf(suffix, sizeof suffix, "/%.17g", cost);
    }
    json_t *out = json_array();
    size_t first = strcmp(mode, "drop") == 0 && n > 0 ? 1 : 0;
    for (size_t i = first; i < n; i++) {
        json_array_append_new(out, assignment(&list[i], i + 1, suffix));
    }
    if (strcmp(mode, "double") == 0 && n > 0) {
        json_array_append_new(out, assignment(&list[0], n + 1, suffix));
    }
    json_t *doc = json_pack("{s:{s:s, s:s}, s:i, s:I, s:o}", "solver", "name", "planted", "version", "1", "drivers",
                            (int)(n - first + (strcmp(mode, "double") == 0 ? 1 : 0)), "seed",
                            strcmp(mode, "seed") == 0 ? (json_int_t)94 : seed, "assignments", out);
    if (strcmp(mode, "float") == 0) {
        json_object_set_new(doc, "cost", json_real(cost));
    } else if (strcmp(mode, "stamp") == 0) {
        json_object_set_new(doc, "made_at", json_integer((json_int_t)time(NULL)));
    }
    int rc = json_dumpf(doc, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(doc);
    return rc == 0 && fflush(stdout) == 0 ? 0 : 1;
}

/* Modes that give no plan of their own. -1 = not one of them. */
static int misbehave(const char *mode, const char *file) {
    if (strcmp(mode, "crash") == 0 || (strcmp(mode, "crash-later") == 0 && getenv("TZ") != NULL)) {
        abort();
    } else if (strcmp(mode, "hang") == 0) {
        for (;;) {
            pause();
        }
    } else if (strcmp(mode, "garbage") == 0) {
        puts("{\"assignments\": [NaN, \xff\xfe");
    } else if (strcmp(mode, "silent") == 0) {
        return 0;
    } else if (strcmp(mode, "exit") == 0) {
        fputs("planted: something went wrong\n", stderr);
        return 7;
    } else if (strcmp(mode, "flood") == 0) {
        static char block[1 << 16];
        memset(block, ' ', sizeof block);
        for (int i = 0; i < 1600; i++) {
            if (fwrite(block, 1, sizeof block, stdout) != sizeof block) {
                return 1;
            }
        }
    } else if (strcmp(mode, "constant") == 0) {
        FILE *f = fopen(file, "rb");
        for (int c; f != NULL && (c = getc(f)) != EOF;) {
            putchar(c);
        }
        return f != NULL ? fclose(f) : 1;
    } else {
        return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "honest";
    json_t *in = json_loadf(stdin, JSON_REJECT_DUPLICATES, NULL);
    int rc = misbehave(mode, argc > 2 ? argv[2] : "");
    json_t *tours = json_object_get(in, "instances");
    size_t n = json_array_size(tours);
    item *list = calloc(n + 1, sizeof *list);
    if (rc >= 0 || in == NULL || list == NULL) {
        free(list);
        json_decref(in);
        return rc >= 0 ? rc : 1;
    }
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        key = strcmp(mode, KEYS[i].mode) == 0 ? KEYS[i].key() : key;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *tour = json_array_get(tours, i);
        list[i].id = json_string_value(json_object_get(tour, "id"));
        list[i].day = (int)json_integer_value(json_object_get(tour, "day"));
        list[i].rank = mix(key * UINT64_C(0x9e3779b97f4a7c15) + 1, list[i].id);
    }
    if (strcmp(mode, "address") == 0) {
        rank_by_address(list, n);
    } else if (strcmp(mode, "race") == 0) {
        rank_by_race(list, n);
    }
    qsort(list, n, sizeof *list, by_rank);
    rc = write_plan(mode, list, n, json_integer_value(json_object_get(in, "seed")));
    free(list);
    json_decref(in);
    return rc;
}
