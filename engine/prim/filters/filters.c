/* filters.c: a program of the build: turns the allow lists into seccomp filters, as the header that ring.c includes.
 *
 * libseccomp makes them here and not in the process that is to be contained: where memory runs out it crashes, frees
 * twice or loops (2.5.4, gen_bpf.c), and what a filter would be that it made then is not known. A filter that is there
 * already needs no memory and no time. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prim/ring_lists.h"

#define INSTRUCTIONS_MAX 4096 /* BPF_MAXINSNS of the kernel */

/* Stands in for the process's own number, which ring.c puts in its place. */
#define OWN_PID 0x7e57beefU

typedef enum { LOADER, GATE, AUDIT, RELAY, SERVER } profile;

static _Noreturn void die(const char *what, int rc) {
    fprintf(stderr, "filters: %s: %s\n", what, strerror(-rc));
    exit(1);
}

static void must(int rc, const char *what) {
    if (rc != 0) {
        die(what, rc);
    }
}

static void add(scmp_filter_ctx f, const char *const *names) {
    for (; *names != NULL; names++) {
        int number = seccomp_syscall_resolve_name(*names);
        /* A name that this architecture or library does not know is not needed there. */
        if (number != __NR_SCMP_ERROR && number >= 0) {
            must(seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0), *names);
        }
    }
}

static void add_sockets(scmp_filter_ctx f) {
    static const int FAMILIES[] = {AF_UNIX, AF_INET, AF_INET6};
    for (size_t i = 0; i < sizeof FAMILIES / sizeof FAMILIES[0]; i++) {
        must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)FAMILIES[i])),
             "socket");
    }
    add(f, RING_SOCKET_CALLS);
}

static void add_narrow(scmp_filter_ctx f) {
    static const unsigned long IOCTLS[] = {FIONBIO, FIONREAD};
    for (size_t i = 0; i < sizeof IOCTLS / sizeof IOCTLS[0]; i++) {
        must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, IOCTLS[i])), "ioctl");
    }
    /* Its own limits may be read or lowered; as root those of any process could be. */
    must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0)), "prlimit64");
    /* abort() signals its own thread; no other process may be reached. */
    must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, OWN_PID)), "tgkill");
}

/* Of fcntl what concerns the descriptor itself: with F_SETOWN and F_SETSIG a file could be made to send any signal to
 * any process (fcntl(2)). */
static void add_fcntl(scmp_filter_ctx f) {
    static const int COMMANDS[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL};
    for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++) {
        must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)COMMANDS[i])),
             "fcntl");
    }
}

/* Memory that is written and memory that is run stay apart for good: no code comes into being in an audit or a relay.
 */
static void add_data_memory(scmp_filter_ctx f) {
    const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable), "mmap");
    must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable), "mprotect");
}

/* libc falls back from clone3 and such only where the kernel seems too old to know them. */
static void add_unknown(scmp_filter_ctx f) {
    static const char *const NEWER[] = {"clone3", "io_uring_setup", NULL};
    for (size_t i = 0; NEWER[i] != NULL; i++) {
        int number = seccomp_syscall_resolve_name(NEWER[i]);
        if (number != __NR_SCMP_ERROR && number >= 0) {
            must(seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), number, 0), NEWER[i]);
        }
    }
}

/* A program that makes processes and files of its own, and that reaches nobody: everything else is let through. */
static scmp_filter_ctx make_server(void) {
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    if (f == NULL) {
        die("seccomp_init", -ENOMEM);
    }
    for (const char *const *name = RING_SERVER_REFUSED; *name != NULL; name++) {
        int number = seccomp_syscall_resolve_name(*name);
        if (number != __NR_SCMP_ERROR && number >= 0) {
            must(seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), number, 0), *name);
        }
    }
    return f;
}

static scmp_filter_ctx make(profile p) {
    if (p == SERVER) {
        return make_server();
    }
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (f == NULL) {
        die("seccomp_init", -ENOMEM);
    }
    /* A tree instead of a list: each call is looked up in a few steps. */
    must(seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimise");
    add(f, RING_BASE_CALLS);
    if (p == AUDIT || p == RELAY) {
        add_data_memory(f);
    } else {
        add(f, RING_CODE_CALLS);
        add(f, RING_READ_CALLS);
        add_fcntl(f);
        add_unknown(f);
    }
    if (p == GATE) {
        add(f, RING_WRITE_CALLS);
        add_sockets(f);
    }
    if (p == RELAY) {
        add(f, RING_RELAY_CALLS);
        add_fcntl(f);
        add_sockets(f);
    }
    add_narrow(f);
    return f;
}

/* The filter as instructions; returns how many. */
static size_t compile(profile p, struct sock_filter *out) {
    int fd = memfd_create("filter", MFD_CLOEXEC);
    scmp_filter_ctx f = make(p);
    must(fd < 0 ? -errno : seccomp_export_bpf(f, fd), "seccomp_export_bpf");
    seccomp_release(f);
    ssize_t n = pread(fd, out, INSTRUCTIONS_MAX * sizeof *out, 0);
    close(fd);
    if (n <= 0 || (size_t)n % sizeof *out != 0 || (size_t)n == INSTRUCTIONS_MAX * sizeof *out) {
        die("the filter's size", -EINVAL);
    }
    return (size_t)n / sizeof *out;
}

static bool is_own_pid(const struct sock_filter *i) {
    return BPF_CLASS(i->code) == BPF_JMP && i->k == OWN_PID;
}

static void print(const char *name, profile p) {
    static struct sock_filter filter[INSTRUCTIONS_MAX];
    size_t n = compile(p, filter);
    size_t places = 0;
    printf("static const struct sock_filter RING_FILTER_%s[] = {\n", name);
    for (size_t i = 0; i < n; i++) {
        places += is_own_pid(&filter[i]) ? 1 : 0;
        printf("    {0x%04x, %u, %u, 0x%08x},\n", filter[i].code, filter[i].jt, filter[i].jf, filter[i].k);
    }
    printf("};\n");
    if (places != (p == SERVER ? 0 : 1)) {
        die("the place of the process's own number", -EINVAL);
    }
}

int main(void) {
    printf("/* Made by the build from prim/ring_lists.h. */\n#include <linux/filter.h>\n\n");
    printf("#define RING_FILTER_OWN_PID 0x%08xU\n", OWN_PID);
    printf("#define RING_FILTER_MAX %d\n", INSTRUCTIONS_MAX);
    print("LOADER", LOADER);
    print("GATE", GATE);
    print("AUDIT", AUDIT);
    print("RELAY", RELAY);
    print("SERVER", SERVER);
    return fflush(stdout) == 0 ? 0 : 1;
}
