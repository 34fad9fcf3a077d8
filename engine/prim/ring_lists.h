/* ring_lists.h: the system calls a contained process may make; all others fail with EPERM. Used by filters/filters.c
 * alone. A server's list is the other way round.
 *
 * Not among them, on purpose: execve, fork, clone, ptrace, process_vm_*, kill, setuid and its like, mount, unshare,
 * setns, bpf, perf_event_open, keyctl, userfaultfd, io_uring, open_by_handle_at, memfd_create, prctl, chmod, chown,
 * mknod, symlink, personality. */
#ifndef GE_PRIM_RING_LISTS_H
#define GE_PRIM_RING_LISTS_H

#include <stddef.h>

/* Memory, time, its open descriptors, its end. */
static const char *const RING_BASE_CALLS[] = {"read",
                                              "write",
                                              "readv",
                                              "writev",
                                              "close",
                                              "fstat",
                                              "lseek",
                                              "munmap",
                                              "mremap",
                                              "madvise",
                                              "brk",
                                              "futex",
                                              "clock_gettime",
                                              "clock_getres",
                                              "gettimeofday",
                                              "time",
                                              "getrandom",
                                              "exit",
                                              "exit_group",
                                              "rt_sigreturn",
                                              "rt_sigprocmask",
                                              "rt_sigaction",
                                              "sigaltstack",
                                              "restart_syscall",
                                              "getpid",
                                              "gettid",
                                              "sched_yield",
                                              "rseq",
                                              "set_robust_list",
                                              "poll",
                                              "ppoll",
                                              "recvfrom",
                                              "recvmsg",
                                              "sendto",
                                              "sendmsg",
                                              "getrusage",
                                              NULL};

/* Executable memory comes with these, for the modules; an audit loads none and gets them without PROT_EXEC. */
static const char *const RING_CODE_CALLS[] = {"mmap", "mprotect", NULL};

/* Looking up files beneath what Landlock allows, loading modules. */
static const char *const RING_READ_CALLS[] = {
    "open",      "openat",     "openat2",           "newfstatat", "stat",     "lstat",
    "statx",     "access",     "faccessat",         "faccessat2", "readlink", "readlinkat",
    "getcwd",    "getdents64", "pread64",           "preadv",     "dup",      "dup2",
    "dup3",      "getuid",     "geteuid",           "getgid",     "getegid",  "getppid",
    "uname",     "sysinfo",    "sched_getaffinity", "getrlimit",  "statfs",   "fstatfs",
    "fadvise64", NULL};

/* Writing files beneath what Landlock allows. */
static const char *const RING_WRITE_CALLS[] = {"pwrite64",  "pwritev",   "mkdir",    "mkdirat", "rename",    "renameat",
                                               "renameat2", "unlink",    "unlinkat", "rmdir",   "ftruncate", "fsync",
                                               "fdatasync", "fallocate", "flock",    "umask",   "link",      "linkat",
                                               "utimensat", "pipe2",     "pipe",     NULL};

/* Sockets; socket itself only for the families that are rules of their own. */
static const char *const RING_SOCKET_CALLS[] = {
    "connect",     "getsockopt",   "setsockopt", "getsockname",    "getpeername",     "sendmmsg",  "recvmmsg",
    "shutdown",    "socketpair",   "select",     "pselect6",       "epoll_create1",   "epoll_ctl", "epoll_wait",
    "epoll_pwait", "epoll_pwait2", "eventfd2",   "timerfd_create", "timerfd_settime", "nanosleep", "clock_nanosleep",
    NULL};

/* Beside the sockets: clients that come in, and a file that is open already. */
static const char *const RING_RELAY_CALLS[] = {"accept4", "fsync", NULL};

/* What a server for foreign SQL may not do; it may do the rest. Its clients come to it: it never connects, not even to
 * a socket in the file system, which Landlock does not look at (another server there may take the user's word for who
 * it is). */
static const char *const RING_SERVER_REFUSED[] = {"connect",
                                                  "io_uring_setup",
                                                  "io_uring_enter",
                                                  "io_uring_register",
                                                  "ptrace",
                                                  "process_vm_readv",
                                                  "process_vm_writev",
                                                  "pidfd_getfd",
                                                  "bpf",
                                                  "perf_event_open",
                                                  "keyctl",
                                                  "add_key",
                                                  "request_key",
                                                  "userfaultfd",
                                                  "unshare",
                                                  "setns",
                                                  "mount",
                                                  "umount2",
                                                  "pivot_root",
                                                  "chroot",
                                                  "open_by_handle_at",
                                                  "kexec_load",
                                                  "init_module",
                                                  "finit_module",
                                                  "delete_module",
                                                  NULL};

#endif
