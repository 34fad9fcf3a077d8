/* run.c: runs a program with one failing allocation, and says how it ended and what it left.
 *
 *   run [--at N] [--onwards] [--process K] [--bound SECONDS] [--trace] [--paths] [--inside PROGRAM]
 *       PAGE LIBRARY STDIN STDOUT STDERR PROGRAM [ARGUMENT...]
 *
 * PAGE is made here. With --inside the page is PROGRAM.fault, for a PROGRAM linked with the library that the program
 * under test starts itself. One line goes to standard output: "exit|signal|timeout NUMBER failed N calls N forks N
 * left N", left = processes that outlive the program; with --trace the failing place follows, with --paths the
 * numbers of the first allocation on each call path, a line each. Exit 0, or 2 when the
 * program was not run. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

#define LEFT_WAIT_S 5 /* the kernel ends what dies with its parent; that takes a moment */

typedef struct options {
    uint64_t at;
    unsigned process, onwards, trace, paths, bound_s;
    const char *inside;
    char **rest; /* page, library, stdin, stdout, stderr, program, ... */
} options;

static _Noreturn void die(const char *what) {
    fprintf(stderr, "fault run: %s: %s\n", what, strerror(errno));
    exit(2);
}

static options read_options(int argc, char **argv) {
    options o = {.bound_s = 60};
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--onwards") == 0) {
            o.onwards = 1;
        } else if (strcmp(name, "--trace") == 0) {
            o.trace = 1;
        } else if (strcmp(name, "--paths") == 0) {
            o.paths = 1;
        } else if (i + 1 < argc && strcmp(name, "--at") == 0) {
            o.at = strtoull(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(name, "--process") == 0) {
            o.process = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(name, "--bound") == 0) {
            o.bound_s = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(name, "--inside") == 0) {
            o.inside = argv[++i];
        } else {
            errno = EINVAL;
            die(name);
        }
    }
    if (argc - i < 6) {
        errno = EINVAL;
        die("PAGE LIBRARY STDIN STDOUT STDERR PROGRAM");
    }
    o.rest = argv + i;
    return o;
}

static fault_page *make_page(const options *o, const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || ftruncate(fd, sizeof(fault_page)) != 0) {
        die(path);
    }
    fault_page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED) {
        die(path);
    }
    page->at = o->at;
    page->process = o->process;
    page->onwards = o->onwards;
    page->trace = o->trace;
    page->paths = o->paths;
    return page;
}

static void place(const char *path, int flags, int at) {
    int fd = open(path, flags, 0666);
    if (fd < 0 || dup2(fd, at) < 0) {
        _exit(126);
    }
    if (fd != at) {
        close(fd);
    }
}

static pid_t start(const options *o) {
    pid_t pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid > 0) {
        return pid;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (o->inside == NULL && (setenv("LD_PRELOAD", o->rest[1], 1) != 0 || setenv(FAULT_PAGE_ENV, o->rest[0], 1) != 0)) {
        _exit(126);
    }
    place(o->rest[2], O_RDONLY, 0);
    place(o->rest[3], O_WRONLY | O_CREAT | O_TRUNC, 1);
    place(o->rest[4], O_WRONLY | O_CREAT | O_TRUNC, 2);
    execv(o->rest[5], o->rest + 5);
    _exit(127);
}

/* Waits for a SIGCHLD until the deadline. */
static bool child_changed(const struct timespec *deadline) {
    struct timespec now, left;
    clock_gettime(CLOCK_MONOTONIC, &now);
    left.tv_sec = deadline->tv_sec - now.tv_sec;
    left.tv_nsec = deadline->tv_nsec - now.tv_nsec;
    if (left.tv_nsec < 0) {
        left.tv_sec--;
        left.tv_nsec += 1000000000L;
    }
    if (left.tv_sec < 0) {
        return false;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return sigtimedwait(&set, NULL, &left) == SIGCHLD || errno == EINTR;
}

static struct timespec in_seconds(unsigned s) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += s;
    return t;
}

/* The program's wait status; *late when its time was up and it was killed. */
static int await(pid_t pid, unsigned bound_s, bool *late) {
    struct timespec deadline = in_seconds(bound_s);
    int status = 0;
    *late = false;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        if (!child_changed(&deadline)) {
            *late = true;
            kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
            }
            break;
        }
    }
    return status;
}

/* Kills what is ours by now, and counts it. */
static unsigned kill_left(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        die(path);
    }
    unsigned n = 0;
    int pid;
    while (fscanf(f, "%d", &pid) == 1) {
        kill(pid, SIGKILL);
        n++;
    }
    fclose(f);
    return n;
}

/* Orphans come to this process (PR_SET_CHILD_SUBREAPER). Those that do not end by themselves are killed and counted. */
static unsigned reap_left(void) {
    struct timespec deadline = in_seconds(LEFT_WAIT_S);
    unsigned left = 0;
    for (;;) {
        pid_t got = waitpid(-1, NULL, WNOHANG);
        if (got < 0 && errno == ECHILD) {
            return left;
        }
        if (got == 0 && !child_changed(&deadline)) {
            left += kill_left();
            deadline = in_seconds(LEFT_WAIT_S);
        }
    }
}

int main(int argc, char **argv) {
    options o = read_options(argc, argv);
    char inside[4096];
    snprintf(inside, sizeof inside, "%s%s", o.inside != NULL ? o.inside : "", FAULT_PAGE_SUFFIX);
    fault_page *page = make_page(&o, o.inside != NULL ? inside : o.rest[0]);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        die("prctl");
    }
    bool late = false;
    int status = await(start(&o), o.bound_s, &late);
    unsigned left = reap_left();
    printf("%s %d failed %llu calls %llu forks %u left %u\n",
           late                ? "timeout"
           : WIFEXITED(status) ? "exit"
                               : "signal",
           WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), (unsigned long long)page->failed,
           (unsigned long long)page->calls, page->forks, left);
    if (o.trace) {
        printf("%s", page->where);
    }
    for (size_t i = 0; o.paths && i < FAULT_PATHS_MAX; i++) {
        if (page->path[i].number != 0) {
            printf("%llu\n", (unsigned long long)page->path[i].number);
        }
    }
    return 0;
}
