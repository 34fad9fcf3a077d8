/* perturb.so in a program of its own: this one, started again with the library preloaded. What it is asked for it does,
 * the same each time, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAID_MAX 4096
#define NAMES 12

/* --- what the program does under the library --- */

static void print_names(DIR *dir) {
    for (const struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (d->d_name[0] != '.') {
            printf("%s ", d->d_name);
        }
    }
}

static int list(const char *path) {
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 1;
    }
    print_names(dir);
    printf("| ");
    rewinddir(dir);
    print_names(dir);
    return closedir(dir);
}

static int say_time(void) {
    struct timespec a, b, steady, later;
    struct timeval v;
    if (clock_gettime(CLOCK_REALTIME, &a) != 0 || timespec_get(&b, TIME_UTC) != TIME_UTC ||
        gettimeofday(&v, NULL) != 0 || clock_gettime(CLOCK_MONOTONIC, &steady) != 0) {
        return 1;
    }
    do { /* this clock goes on, or the loop does */
        clock_gettime(CLOCK_MONOTONIC, &later);
    } while (later.tv_sec == steady.tv_sec && later.tv_nsec == steady.tv_nsec);
    printf("%lld %lld.%09ld %lld %lld.%06ld", (long long)time(NULL), (long long)a.tv_sec, a.tv_nsec,
           (long long)b.tv_sec, (long long)v.tv_sec, (long)v.tv_usec);
    return 0;
}

static void print_bytes(const unsigned char bytes[8]) {
    for (int i = 0; i < 8; i++) {
        printf("%02x", bytes[i]);
    }
    printf(" ");
}

static int say_random(void) {
    unsigned char b[8];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) {
        return 1;
    }
    print_bytes(b);
    if (getentropy(b, sizeof b) != 0) {
        return 1;
    }
    print_bytes(b);
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, b, sizeof b) != (ssize_t)sizeof b) {
        return 1;
    }
    close(fd);
    print_bytes(b);
    FILE *f = fopen("/dev/random", "r");
    if (f == NULL || fread(b, sizeof b, 1, f) != 1) {
        return 1;
    }
    fclose(f);
    print_bytes(b);
    return 0;
}

static pthread_barrier_t both;

static void *late(void *arg) {
    for (int i = 0; i < 5; i++) {
        sched_yield();
    }
    return printf("%s", (const char *)arg) > 0 ? NULL : arg;
}

static void *early(void *arg) {
    return printf("%s", (const char *)arg) > 0 ? NULL : arg;
}

static void *meet(void *arg) {
    pthread_barrier_wait(&both);
    return arg;
}

/* Takes 0.6 s of processor time, however long that is. */
static void *slow(void *arg) {
    struct timespec used = {0};
    while (used.tv_sec == 0 && used.tv_nsec < 600000000L) {
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    }
    return late(arg);
}

static int run_threads(void *(*first)(void *)) {
    pthread_t a, b;
    if (pthread_create(&a, NULL, first, "a") != 0 || pthread_create(&b, NULL, early, "b") != 0 ||
        pthread_join(a, NULL) != 0 || pthread_join(b, NULL) != 0) {
        return 1;
    }
    return 0;
}

/* A thread that waits for its maker. */
static int run_meeting(void) {
    pthread_t a;
    pthread_barrier_init(&both, NULL, 2);
    if (pthread_create(&a, NULL, meet, NULL) != 0) {
        return 1;
    }
    pthread_barrier_wait(&both);
    printf("met");
    return pthread_join(a, NULL);
}

static int act(const char *what, const char *arg) {
    if (strcmp(what, "list") == 0) {
        return list(arg);
    }
    if (strcmp(what, "pid") == 0) {
        return printf("%d %d", (int)getpid(), (int)getppid()) < 0;
    }
    return strcmp(what, "time") == 0      ? say_time()
           : strcmp(what, "random") == 0  ? say_random()
           : strcmp(what, "threads") == 0 ? run_threads(late)
           : strcmp(what, "slow") == 0    ? run_threads(slow)
           : strcmp(what, "meet") == 0    ? run_meeting()
                                          : 2;
}

/* --- the tests --- */

static const char *program;

/* Starts this program under the library with `shim` (NULL = not asked for anything); what it says goes to said. */
static pid_t start(const char *shim, const char *what, const char *arg, char said[SAID_MAX]) {
    const char *build = getenv("BUILD");
    char library[1024];
    int out[2];
    snprintf(library, sizeof library, "%s/perturb.so", build != NULL ? build : "build");
    assert_int_equal(access(library, R_OK), 0);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(out[1], 1) < 0 || close(out[0]) != 0 || setenv("LD_PRELOAD", library, 1) != 0 ||
            (shim != NULL ? setenv("GATE_ENGINE_SHIM", shim, 1) : unsetenv("GATE_ENGINE_SHIM")) != 0) {
            _exit(126);
        }
        execl(program, program, what, arg, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], said + n, SAID_MAX - 1 - n)) > 0;) {
        n += (size_t)got;
    }
    said[n] = '\0';
    close(out[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return pid;
}

/* A directory with NAMES files, made from the first on or from the last. */
static void make_directory(char path[32], bool backwards) {
    strcpy(path, "/tmp/test-shim-XXXXXX");
    assert_non_null(mkdtemp(path));
    for (int i = 0; i < NAMES; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/f%02d", path, backwards ? NAMES - 1 - i : i);
        FILE *f = fopen(name, "w");
        assert_non_null(f);
        fclose(f);
    }
}

static void remove_directory(const char *path) {
    for (int i = 0; i < NAMES; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/f%02d", path, i);
        assert_int_equal(unlink(name), 0);
    }
    assert_int_equal(rmdir(path), 0);
}

static void directories_have_an_order_of_the_seed(void **state) {
    (void)state;
    static char first[SAID_MAX], again[SAID_MAX], other[SAID_MAX];
    char a[32], b[32];
    make_directory(a, false);
    make_directory(b, true);
    start("order=1", "list", a, first);
    for (int i = 0; i < NAMES; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%02d ", i);
        assert_non_null(strstr(first, name));
    }
    const char *second = strstr(first, "| ");
    assert_non_null(second);
    assert_int_equal(second - first, 4 * NAMES);
    assert_int_equal(strncmp(first, second + 2, 4 * NAMES), 0); /* rewound, it is the same */
    start("order=1", "list", a, again);
    assert_string_equal(first, again);
    start("order=1", "list", b, again); /* by the names, not by how the system keeps them */
    assert_string_equal(first, again);
    start("order=2", "list", a, other);
    assert_string_not_equal(first, other);
    remove_directory(a);
    remove_directory(b);
}

static void the_clock_stands_still(void **state) {
    (void)state;
    char said[SAID_MAX];
    start("clock=1767592800", "time", NULL, said);
    assert_string_equal("1767592800 1767592800.000000000 1767592800 1767592800.000000", said);
}

static void the_process_has_the_id_that_was_asked_for(void **state) {
    (void)state;
    char said[SAID_MAX];
    start("pid=1000", "pid", NULL, said);
    assert_string_equal("1000 999", said);
}

static void random_bytes_follow_from_the_seed(void **state) {
    (void)state;
    char first[SAID_MAX], again[SAID_MAX], other[SAID_MAX];
    start("random=1", "random", NULL, first);
    start("random=1", "random", NULL, again);
    start("random=2", "random", NULL, other);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    assert_int_equal(strlen(first), 4 * 17);
    for (int i = 0; i < 4; i++) { /* and no source repeats another */
        for (int k = 0; k < i; k++) {
            assert_int_not_equal(strncmp(first + 17 * i, first + 17 * k, 16), 0);
        }
    }
}

static void a_thread_runs_to_its_end_before_the_next_begins(void **state) {
    (void)state;
    char said[SAID_MAX];
    for (int i = 0; i < 20; i++) {
        start("threads=1", "threads", NULL, said);
        assert_string_equal("ab", said);
    }
    start("threads=1", "slow", NULL, said);
    assert_string_equal("ab", said);
}

static void a_thread_that_waits_for_its_maker_does_not_hang(void **state) {
    (void)state;
    char said[SAID_MAX];
    start("threads=1", "meet", NULL, said);
    assert_string_equal("met", said);
}

static void several_are_done_together(void **state) {
    (void)state;
    char said[SAID_MAX], pid[SAID_MAX];
    start("clock=5,pid=77", "time", NULL, said);
    start("clock=5,pid=77", "pid", NULL, pid);
    assert_string_equal("5 5.000000000 5 5.000000", said);
    assert_string_equal("77 76", pid);
}

static void nothing_is_changed_that_was_not_asked_for(void **state) {
    (void)state;
    char said[SAID_MAX], expected[SAID_MAX], first[SAID_MAX];
    static const char *const asked[] = {NULL, "", "clock=5", "nonsense"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        pid_t pid = start(asked[i], "pid", NULL, said);
        snprintf(expected, sizeof expected, "%d %d", (int)pid, (int)getpid());
        assert_string_equal(expected, said);
        start(asked[i], "random", NULL, first);
        start(asked[i], "random", NULL, said);
        assert_string_not_equal(first, said);
    }
    time_t before = time(NULL);
    start("pid=7", "time", NULL, said);
    long long told = strtoll(said, NULL, 10);
    assert_true(told >= (long long)before && told <= (long long)time(NULL));
}

int main(int argc, char **argv) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(directories_have_an_order_of_the_seed),
        cmocka_unit_test(the_clock_stands_still),
        cmocka_unit_test(the_process_has_the_id_that_was_asked_for),
        cmocka_unit_test(random_bytes_follow_from_the_seed),
        cmocka_unit_test(a_thread_runs_to_its_end_before_the_next_begins),
        cmocka_unit_test(a_thread_that_waits_for_its_maker_does_not_hang),
        cmocka_unit_test(several_are_done_together),
        cmocka_unit_test(nothing_is_changed_that_was_not_asked_for),
    };
    if (argc > 1) {
        return act(argv[1], argc > 2 ? argv[2] : NULL);
    }
    program = argv[0];
    return cmocka_run_group_tests_name("perturb.so", tests, NULL, NULL);
}
