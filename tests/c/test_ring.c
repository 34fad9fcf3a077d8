/* The kernel's rings: what each profile refuses and what it needs, tried by raw system calls in a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <seccomp.h>

#include "prim/ring.h"

static char place[64];   /* a directory which the gate may write */
static char outside[64]; /* one which it may not see */

typedef struct attempt {
    const char *name;
    bool (*gained)(void); /* true: the call did what it must not do */
} attempt;

static bool done(long rc) {
    return rc >= 0;
}

static bool try_execve(void) {
    char *argv[] = {"/bin/true", NULL};
    return done(execve("/bin/true", argv, NULL));
}
static bool try_fork(void) {
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    return done(pid);
}
static bool try_clone3(void) {
    char args[64] = {0};
    long pid = syscall(SYS_clone3, args, sizeof args);
    if (pid == 0) {
        _exit(0);
    }
    return done(pid);
}
static bool try_vfork_by_number(void) {
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        _exit(0);
    }
    return done(pid);
}
static bool try_kill_parent(void) {
    return done(kill(getppid(), 0));
}
static bool try_tgkill_other(void) {
    return done(syscall(SYS_tgkill, 1, 1, 0));
}
static bool try_signal_by_file(void) {
    int fd = open(place, O_RDONLY | O_DIRECTORY);
    bool gained =
        done(fcntl(fd >= 0 ? fd : 0, F_SETOWN, getppid())) || done(fcntl(fd >= 0 ? fd : 0, F_SETSIG, SIGKILL));
    if (fd >= 0) {
        close(fd);
    }
    return gained;
}
static bool try_ptrace(void) {
    return done(syscall(SYS_ptrace, 0x4206 /* PTRACE_SEIZE */, getppid(), 0, 0));
}
static bool try_read_memory(void) {
    char byte;
    long local[2] = {(long)&byte, 1};
    return done(syscall(SYS_process_vm_readv, getppid(), local, 1, local, 1, 0));
}
static bool try_open_outside(void) {
    return done(open("/etc/passwd", O_RDONLY));
}
static bool try_open_other(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/secret", outside);
    return done(open(path, O_RDONLY));
}
static bool try_create_outside(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/new", outside);
    return done(open(path, O_CREAT | O_WRONLY, 0600));
}
static bool try_own_environment(void) {
    return done(open("/proc/self/environ", O_RDONLY));
}
static bool try_netlink(void) {
    return done(socket(AF_NETLINK, SOCK_RAW, 0));
}
static bool try_packet(void) {
    return done(socket(AF_PACKET, SOCK_RAW, 0));
}
static bool try_vsock(void) {
    return done(socket(AF_VSOCK, SOCK_STREAM, 0));
}
static bool try_inet(void) {
    return done(socket(AF_INET, SOCK_STREAM, 0));
}
static bool try_unix(void) {
    return done(socket(AF_UNIX, SOCK_STREAM, 0));
}
static bool try_listen(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET};
    return fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 1) == 0;
}
static bool try_mount(void) {
    return done(syscall(SYS_mount, "none", place, "tmpfs", 0, NULL));
}
static bool try_unshare(void) {
    return done(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}
static bool try_setns(void) {
    return done(syscall(SYS_setns, 0, 0));
}
static bool try_chroot(void) {
    return done(chroot("/"));
}
static bool try_io_uring(void) {
    char params[256] = {0};
    return done(syscall(SYS_io_uring_setup, 1, params));
}
static bool try_bpf(void) {
    char attr[128] = {0};
    return done(syscall(SYS_bpf, 0, attr, sizeof attr));
}
static bool try_perf(void) {
    char attr[128] = {0};
    return done(syscall(SYS_perf_event_open, attr, 0, -1, -1, 0));
}
static bool try_userfaultfd(void) {
    return done(syscall(SYS_userfaultfd, 0));
}
static bool try_memfd(void) {
    return done(syscall(SYS_memfd_create, "x", 0));
}
static bool try_keyctl(void) {
    return done(syscall(SYS_keyctl, 0, -3, 1));
}
static bool try_chmod(void) {
    return done(chmod(place, 0777));
}
static bool try_chown(void) {
    return done(chown(place, 1, 1));
}
static bool try_symlink(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/link", place);
    return done(symlink("/etc/passwd", path));
}
static bool try_mknod(void) {
    char path[96];
    snprintf(path, sizeof path, "%s/node", place);
    return done(mknod(path, S_IFIFO | 0600, 0));
}
static bool try_setuid(void) {
    return done(syscall(SYS_setuid, 0));
}
static bool try_limits_of_other(void) {
    char room[16];
    return done(syscall(SYS_prlimit64, getppid(), 7, NULL, room));
}
static bool try_tty_input(void) {
    char c = 'x';
    return done(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &c));
}
static bool try_personality(void) {
    return done(syscall(SYS_personality, 0x0040000));
}
static bool try_seccomp_again(void) {
    return done(syscall(SYS_prctl, 22, 0, 0, 0, 0));
}
static bool try_executable_memory(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}
static bool try_make_executable(void) {
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_EXEC) == 0;
}
static bool try_open_anything(void) {
    return done(open("/", O_RDONLY | O_DIRECTORY));
}

/* Refused by Landlock before anybody is asked whether somebody listens there. */
static bool try_another_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool refused = connect(fd, (struct sockaddr *)&at, sizeof at) != 0 && errno == EACCES;
    close(fd);
    ring_status s;
    ring_probe(&s);
    return s.landlock_net && !refused;
}

/* No profile allows these. */
static const attempt NOBODY[] = {{"execve", try_execve},
                                 {"fork", try_fork},
                                 {"clone3", try_clone3},
                                 {"clone", try_vfork_by_number},
                                 {"kill of the parent", try_kill_parent},
                                 {"tgkill of another", try_tgkill_other},
                                 {"signal by a file", try_signal_by_file},
                                 {"ptrace", try_ptrace},
                                 {"process_vm_readv", try_read_memory},
                                 {"socket(AF_NETLINK)", try_netlink},
                                 {"socket(AF_PACKET)", try_packet},
                                 {"socket(AF_VSOCK)", try_vsock},
                                 {"bind and listen", try_listen},
                                 {"mount", try_mount},
                                 {"unshare", try_unshare},
                                 {"setns", try_setns},
                                 {"chroot", try_chroot},
                                 {"io_uring_setup", try_io_uring},
                                 {"bpf", try_bpf},
                                 {"perf_event_open", try_perf},
                                 {"userfaultfd", try_userfaultfd},
                                 {"memfd_create", try_memfd},
                                 {"keyctl", try_keyctl},
                                 {"chmod", try_chmod},
                                 {"chown", try_chown},
                                 {"symlink", try_symlink},
                                 {"mknod", try_mknod},
                                 {"setuid", try_setuid},
                                 {"prlimit of another", try_limits_of_other},
                                 {"ioctl(TIOCSTI)", try_tty_input},
                                 {"personality", try_personality},
                                 {"prctl", try_seccomp_again},
                                 {"a new file outside", try_create_outside},
                                 {NULL, NULL}};
/* Nor do the two that see only what they were given. */
static const attempt NOT_A_GATE[] = {{"open of /etc/passwd", try_open_outside},
                                     {"open of another directory's file", try_open_other},
                                     {"open of its own environment", try_own_environment},
                                     {NULL, NULL}};
static const attempt NOT_AN_AUDIT[] = {{"open of anything", try_open_anything},
                                       {"socket(AF_INET)", try_inet},
                                       {"socket(AF_UNIX)", try_unix},
                                       {"executable memory", try_executable_memory},
                                       {"memory made executable", try_make_executable},
                                       {NULL, NULL}};
static const attempt NOT_A_RELAY[] = {{"open of anything", try_open_anything},
                                      {"executable memory", try_executable_memory},
                                      {"memory made executable", try_make_executable},
                                      {"another port", try_another_port},
                                      {NULL, NULL}};
static const attempt NOT_A_LOADER[] = {{"socket(AF_INET)", try_inet}, {"socket(AF_UNIX)", try_unix}, {NULL, NULL}};

/* Enters the profile in a child, runs the attempts there; returns the name of the first that gained something, a copy.
 */
static char *first_gain(ring_profile profile, const attempt *const *lists, char *out, size_t cap) {
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        err e;
        ring_status active;
        ring_path writable = {.path = place, .access = RING_WRITE};
        ring_path all = {.path = "/", .access = RING_READ};
        const uint16_t port = 5432;
        ring_options o = {.profile = profile,
                          .paths = profile == RING_GATE ? &writable : &all,
                          .tcp_ports = profile == RING_RELAY ? &port : NULL,
                          .nports = profile == RING_RELAY,
                          .npaths = profile == RING_AUDIT || profile == RING_RELAY ? 0 : 1};
        const char *gain = ring_enter(&o, &active, &e) == 0 ? "" : "the ring could not be entered";
        for (; gain[0] == '\0' && *lists != NULL; lists++) {
            for (const attempt *a = *lists; a->name != NULL && gain[0] == '\0'; a++) {
                gain = a->gained() ? a->name : "";
            }
        }
        _exit(write(pipes[1], gain, strlen(gain) + 1) > 0 ? 0 : 1);
    }
    close(pipes[1]);
    ssize_t n = read(pipes[0], out, cap - 1);
    close(pipes[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (n <= 0) {
        snprintf(out, cap, "the process ended with status %d before it was through", status);
    } else {
        out[n] = '\0';
    }
    return out;
}

static bool rings_here(void) {
    ring_status s;
    ring_probe(&s);
    return s.seccomp && s.landlock && !s.sanitizer;
}

static void expect_nothing_gained(ring_profile profile, const attempt *const *lists) {
    char gain[128];
    if (!rings_here()) {
        skip();
    }
    assert_string_equal(first_gain(profile, lists, gain, sizeof gain), "");
}

static void a_gate_gains_nothing(void **state) {
    (void)state;
    const attempt *const lists[] = {NOBODY, NOT_A_GATE, NULL};
    expect_nothing_gained(RING_GATE, lists);
}

static void an_audit_gains_nothing(void **state) {
    (void)state;
    const attempt *const lists[] = {NOBODY, NOT_A_GATE, NOT_AN_AUDIT, NULL};
    expect_nothing_gained(RING_AUDIT, lists);
}

static void a_relay_gains_nothing(void **state) {
    (void)state;
    const attempt *const lists[] = {NOBODY, NOT_A_GATE, NOT_A_RELAY, NULL};
    expect_nothing_gained(RING_RELAY, lists);
}

static void a_loader_gains_nothing(void **state) {
    (void)state;
    const attempt *const lists[] = {NOBODY, NOT_A_LOADER, NULL};
    expect_nothing_gained(RING_LOADER, lists);
}

/* Without a ring these calls work here, so that a refusal above is the ring's doing. */
static void the_attempts_can_succeed(void **state) {
    (void)state;
    assert_true(try_fork());
    assert_true(try_open_outside());
    assert_true(try_open_other());
    assert_true(try_own_environment());
    assert_true(try_netlink());
    assert_true(try_inet());
    assert_true(try_listen());
    assert_true(try_memfd());
    assert_true(try_symlink());
    assert_true(try_mknod());
    assert_true(try_chmod());
    assert_true(try_executable_memory());
    assert_true(try_make_executable());
    assert_true(try_open_anything());
}

/* --- what is needed works --- */

static bool write_and_read(void) {
    char path[96];
    char byte = 0;
    snprintf(path, sizeof path, "%s/file", place);
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    bool ok = fd >= 0 && write(fd, "x", 1) == 1 && lseek(fd, 0, SEEK_SET) == 0 && read(fd, &byte, 1) == 1 &&
              byte == 'x' && fsync(fd) == 0 && close(fd) == 0;
    char other[96];
    snprintf(other, sizeof other, "%s/renamed", place);
    return ok && rename(path, other) == 0 && unlink(other) == 0;
}
static bool use_memory(void) {
    char *p = malloc(64u << 20);
    bool ok = p != NULL;
    if (ok) {
        memset(p, 1, 64u << 20);
    }
    free(p);
    return ok;
}
static bool connect_unix(void) {
    int pair[2];
    char byte;
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && send(pair[0], "x", 1, MSG_NOSIGNAL) == 1 &&
           recv(pair[1], &byte, 1, 0) == 1 && try_inet() && try_unix();
}

/* An attempt turned round: gained means that what is needed does not work. */
static bool lacks_files(void) {
    return !write_and_read();
}
static bool lacks_memory(void) {
    return !use_memory();
}
static bool lacks_sockets(void) {
    return !connect_unix();
}
static bool lacks_reading(void) {
    return !try_open_outside();
}

static void a_gate_has_what_it_needs(void **state) {
    (void)state;
    static const attempt NEEDS[] = {
        {"files in its place", lacks_files}, {"memory", lacks_memory}, {"sockets", lacks_sockets}, {NULL, NULL}};
    const attempt *const lists[] = {NEEDS, NULL};
    expect_nothing_gained(RING_GATE, lists);
}

static void an_audit_has_what_it_needs(void **state) {
    (void)state;
    static const attempt NEEDS[] = {{"memory", lacks_memory}, {NULL, NULL}};
    const attempt *const lists[] = {NEEDS, NULL};
    expect_nothing_gained(RING_AUDIT, lists);
}

static void a_relay_has_what_it_needs(void **state) {
    (void)state;
    static const attempt NEEDS[] = {{"memory", lacks_memory}, {"sockets", lacks_sockets}, {NULL, NULL}};
    const attempt *const lists[] = {NEEDS, NULL};
    expect_nothing_gained(RING_RELAY, lists);
}

static void a_loader_has_what_it_needs(void **state) {
    (void)state;
    static const attempt NEEDS[] = {{"memory", lacks_memory}, {"scripts", lacks_reading}, {NULL, NULL}};
    const attempt *const lists[] = {NEEDS, NULL};
    expect_nothing_gained(RING_LOADER, lists);
}

static void empty(const char *dir) {
    static const char *const NAMES[] = {"secret", "new", "link", "node", "file", "renamed"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", dir, NAMES[i]);
        unlink(path);
    }
    rmdir(dir);
}

static int make_places(void **state) {
    (void)state;
    snprintf(place, sizeof place, "/tmp/test_ring.XXXXXX");
    snprintf(outside, sizeof outside, "/tmp/test_ring.XXXXXX");
    char path[96];
    if (mkdtemp(place) == NULL || mkdtemp(outside) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/secret", outside);
    return close(open(path, O_CREAT | O_WRONLY, 0600));
}

static int remove_places(void **state) {
    (void)state;
    empty(place);
    empty(outside);
    return 0;
}

/* In a process whose kernel seems to lack the call. */
static int without(int number) {
    pid_t pid = fork();
    if (pid == 0) {
        err e;
        scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
        bool entered = f != NULL && seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), number, 0) == 0 && seccomp_load(f) == 0;
        int rc = ring_require(&e);
        _exit(!entered ? 3 : rc == 0 ? 0 : strcmp(e.code, "sandbox_missing") == 0 ? 1 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void rings_that_are_missing_are_refused_where_they_are_required(void **state) {
    (void)state;
    err e;
    ring_status has;
    ring_probe(&has);
    bool all = has.landlock && has.seccomp && !has.sanitizer;
    assert_int_equal(ring_require(&e), all ? 0 : -1);
    if (!has.sanitizer) {
        assert_int_equal(without(SCMP_SYS(landlock_create_ruleset)), 1);
        assert_int_equal(without(SCMP_SYS(getppid)), all ? 0 : 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_gate_gains_nothing, make_places, remove_places),
        cmocka_unit_test_setup_teardown(an_audit_gains_nothing, make_places, remove_places),
        cmocka_unit_test_setup_teardown(a_loader_gains_nothing, make_places, remove_places),
        cmocka_unit_test_setup_teardown(a_relay_gains_nothing, make_places, remove_places),
        cmocka_unit_test_setup_teardown(the_attempts_can_succeed, make_places, remove_places),
        cmocka_unit_test_setup_teardown(a_gate_has_what_it_needs, make_places, remove_places),
        cmocka_unit_test_setup_teardown(an_audit_has_what_it_needs, make_places, remove_places),
        cmocka_unit_test_setup_teardown(a_relay_has_what_it_needs, make_places, remove_places),
        cmocka_unit_test_setup_teardown(a_loader_has_what_it_needs, make_places, remove_places),
        cmocka_unit_test(rings_that_are_missing_are_refused_where_they_are_required)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
