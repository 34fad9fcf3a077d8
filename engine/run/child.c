#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/signals.h"

/* glibc of Debian 12 has these; named here by number so that older headers build too. */
static int pidfd_open_(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int set_limit(int resource, uint64_t value) {
    if (value == 0) {
        return 0;
    }
    struct rlimit r;
    if (getrlimit(resource, &r) != 0) {
        return -1;
    }
    if (r.rlim_max == RLIM_INFINITY || value < r.rlim_max) {
        r.rlim_max = value;
    }
    r.rlim_cur = r.rlim_max;
    return setrlimit(resource, &r);
}

/* The soft limit ends a process by SIGXCPU, which says why; the hard one, a second later, cannot be caught. */
static int set_cpu_limit(uint64_t seconds) {
    struct rlimit r;
    if (seconds == 0) {
        return 0;
    }
    if (set_limit(RLIMIT_CPU, seconds + 1) != 0 || getrlimit(RLIMIT_CPU, &r) != 0) {
        return -1;
    }
    r.rlim_cur = seconds < r.rlim_max ? seconds : r.rlim_max;
    return setrlimit(RLIMIT_CPU, &r);
}

#define FILES_MOST 65536

static rlim_t files_before; /* the soft limit this process came with; 0 = as it is */

void child_raise_files(void) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= FILES_MOST) {
        return;
    }
    rlim_t before = r.rlim_cur;
    r.rlim_cur = r.rlim_max < FILES_MOST ? r.rlim_max : FILES_MOST;
    if (setrlimit(RLIMIT_NOFILE, &r) == 0) {
        files_before = before;
    }
}

/* A program may take a high limit for a promise (select(2) has 1,024). */
static int restore_files(void) {
    struct rlimit r;
    if (files_before == 0) {
        return 0;
    }
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) {
        return -1;
    }
    r.rlim_cur = files_before < r.rlim_max ? files_before : r.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &r);
}

static int apply_limits(const child_limits *l) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        return -1;
    }
#if defined(__SANITIZE_ADDRESS__)
    /* The sanitizer maps terabytes of shadow: an address space limit would end it at once. */
    uint64_t address_space = 0;
#else
    uint64_t address_space = l->address_space;
#endif
    return restore_files() != 0 || set_limit(RLIMIT_AS, address_space) != 0 || set_cpu_limit(l->cpu_s) != 0 ||
                   set_limit(RLIMIT_FSIZE, l->file_size) != 0 || set_limit(RLIMIT_NOFILE, l->files) != 0
               ? -1
               : 0;
}

/* Moves *fd out of the way of 0..9, so that placing one does not overwrite another; -1 (none) stays. */
static int lift(int *fd) {
    if (*fd >= 0) {
        *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 10);
        return *fd < 0 ? -1 : 0;
    }
    return 0;
}

static int place(int fd, int at, int null_fd) {
    return dup2(fd >= 0 ? fd : null_fd, at) < 0 ? -1 : 0;
}

/* Gives the child 0, 1, 2 and, where asked, 3; all else is closed, `far` (above 9, copied to 4) excepted. What cannot
 * be placed is a failure: a program whose output went to /dev/null would seem to have said nothing. */
static int arrange_descriptors(const child_spec *spec, int far) {
    int null_far = open("/dev/null", O_RDWR | O_CLOEXEC);
    int in = spec->stdin_fd;
    int out = spec->stdout_fd;
    int er = spec->stderr_fd;
    int keep = spec->keep_fd;
    if (null_far < 0 || lift(&null_far) != 0 || lift(&in) != 0 || lift(&out) != 0 || lift(&er) != 0 ||
        lift(&keep) != 0 || place(in, 0, null_far) != 0 || place(out, 1, null_far) != 0 ||
        place(er, 2, null_far) != 0) {
        return -1;
    }
    unsigned first_closed = 3;
    if (keep >= 0) {
        if (dup2(keep, 3) < 0) {
            return -1;
        }
        first_closed = 4;
    }
    if (far >= 0) {
        if (dup3(far, 4, O_CLOEXEC) < 0) {
            return -1;
        }
        if (first_closed == 3) {
            close(3);
        }
        first_closed = 5;
    }
    return syscall(SYS_close_range, first_closed, ~0U, 0) == 0 ? 0 : -1;
}

static int harden(const child_spec *spec, pid_t parent, int far) {
    signals_reset_in_child();
    if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return -1;
    }
    if (getppid() != parent) {
        _exit(1); /* the supervisor died before the line above took effect */
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || arrange_descriptors(spec, far) != 0) {
        return -1;
    }
    return apply_limits(&spec->limits);
}

/* Shared by both ways: forks; in the parent puts the child into its group too, since either may come first. */
static pid_t fork_group(child *c, err *e) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        err_errno(e, "system", "cannot start a process");
        return -1;
    }
    if (pid > 0) {
        (void)setpgid(pid, pid); /* fails harmlessly when the child was first */
        c->pid = pid;
        c->pidfd = pidfd_open_(pid);
        if (c->pidfd < 0) {
            err_errno(e, "system", "cannot watch a process (pidfd_open, Linux 5.3)");
            kill(-pid, SIGKILL);
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
            }
            c->pid = 0;
            return -1;
        }
        (void)fcntl(c->pidfd, F_SETFD, FD_CLOEXEC);
    }
    return pid;
}

int child_fork(const child_spec *spec, child *c, err *e) {
    pid_t parent = getpid();
    pid_t pid = fork_group(c, e);
    if (pid < 0) {
        return -1;
    }
    if (pid > 0) {
        return 0;
    }
    if (harden(spec, parent, -1) != 0) {
        _exit(126);
    }
    return 1;
}

static void apply_perturb(const child_perturb *p) {
    if (p == NULL) {
        return;
    }
    if (p->no_aslr) {
        (void)personality(ADDR_NO_RANDOMIZE);
    }
    if (p->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)p->cpu, &set);
        (void)sched_setaffinity(0, sizeof set, &set);
    }
}

/* In the child: never returns. Tells errno through the pipe, which is at 4 or still at `tell`, when the program does
 * not start. */
static _Noreturn void exec_or_tell(const child_spec *spec, pid_t parent, int tell, char *const argv[],
                                   char *const env[], const child_perturb *perturb) {
    if (lift(&tell) == 0 && harden(spec, parent, tell) == 0) {
        apply_perturb(perturb);
        if (perturb == NULL || perturb->cwd == NULL || chdir(perturb->cwd) == 0) {
            environ = (char **)env; /* execvp looks in the PATH of the calling process (exec(3)) */
            execvp(argv[0], argv);
        }
    }
    int why = errno;
    if (write(tell, &why, sizeof why) < 0 && write(4, &why, sizeof why) < 0) {
        _exit(126);
    }
    _exit(127);
}

int child_spawn(const child_spec *spec, char *const argv[], char *const env[], const child_perturb *perturb, child *c,
                err *e) {
    int tell[2];
    if (pipe2(tell, O_CLOEXEC) != 0) {
        return err_errno(e, "system", "cannot make a pipe");
    }
    pid_t parent = getpid();
    pid_t pid = fork_group(c, e);
    if (pid == 0) {
        exec_or_tell(spec, parent, tell[1], argv, env, perturb);
    }
    close(tell[1]);
    if (pid < 0) {
        close(tell[0]);
        return -1;
    }
    int why = 0;
    ssize_t n;
    do {
        n = read(tell[0], &why, sizeof why);
    } while (n < 0 && errno == EINTR);
    close(tell[0]);
    if (n == (ssize_t)sizeof why) {
        child_reap(c, NULL);
        errno = why;
        err_errno(e, "exec_failed_to_start", "the program %s cannot be started", argv[0]);
        return err_fix(e, "check that it exists, is executable and is in the PATH");
    }
    return 0;
}

void child_kill(const child *c) {
    if (c->pid <= 0) {
        return;
    }
    /* Not yet reaped, so its number, and so that of its group, cannot belong to another. */
    kill(-c->pid, SIGKILL);
    (void)syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
}

int child_reap(child *c, struct rusage *usage) {
    int status = 0;
    pid_t pid = c->pid;
    if (pid <= 0) {
        return 0;
    }
    /* What the leader left behind in its group goes before its number is free again. */
    siginfo_t info;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    kill(-pid, SIGKILL);
    pid_t got;
    while ((got = wait4(pid, &status, 0, usage)) < 0 && errno == EINTR) {
    }
    if (got < 0) {
        status = SIGKILL; /* nobody knows how it ended: never an exit of 0 */
    }
    close(c->pidfd);
    *c = (child){.pidfd = -1};
    return status;
}
