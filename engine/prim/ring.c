#include "prim/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gen/ring_filters.h"

/* Of newer headers than Debian 12's (include/uapi/linux/landlock.h). */
#define FS_REFER (1ULL << 13)     /* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define NET_BIND_TCP (1ULL << 0)  /* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)
#define RULE_NET_PORT 2

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct net_port_attr {
    uint64_t allowed_access;
    uint64_t port;
};

#define FS_READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                                       \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                  \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG)
#define FS_ABI1                                                                                                        \
    (FS_READ | FS_WRITE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static int landlock_abi(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi < 0 ? 0 : (int)abi;
}

void ring_probe(ring_status *s) {
    int abi = landlock_abi();
    *s = (ring_status){.landlock_abi = abi,
                       .landlock = abi > 0,
                       .landlock_net = abi >= 4,
                       .seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0,
                       .sanitizer = SANITIZED};
}

const char *ring_missing(void) {
    ring_status has;
    ring_probe(&has);
    return has.sanitizer                   ? "this build lacks the kernel's rings: it is a sanitizer build"
           : !has.landlock && !has.seccomp ? "this kernel lacks Landlock and seccomp filters"
           : !has.landlock                 ? "this kernel lacks Landlock"
           : !has.seccomp                  ? "this kernel lacks seccomp filters"
                                           : NULL;
}

int ring_require(err *e) {
    const char *missing = ring_missing();
    if (missing == NULL) {
        return 0;
    }
    err_set(e, "sandbox_missing", "--require-sandbox: %s", missing);
    return err_fix(e, "run on a kernel with Landlock (Linux 5.13) and seccomp; gate-engine version says what there is");
}

static uint64_t handled_fs(int abi) {
    return FS_ABI1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static int allow_path(int ruleset, const ring_path *p, uint64_t more, uint64_t handled, err *e) {
    struct landlock_path_beneath_attr rule = {.parent_fd = open(p->path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES
                   ? 0
                   : err_errno(e, "ring_landlock", "cannot open %s to allow it", p->path);
    }
    struct stat st;
    uint64_t access = p->access == RING_LIST ? LANDLOCK_ACCESS_FS_READ_DIR : FS_READ;
    access |= p->access == RING_WRITE ? FS_WRITE | FS_REFER | FS_TRUNCATE | more : 0;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
        access &=
            LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
    }
    rule.allowed_access = access & handled;
    long rc = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    int saved = errno;
    close(rule.parent_fd);
    errno = saved;
    return rc == 0 ? 0 : err_errno(e, "ring_landlock", "cannot allow %s", p->path);
}

static int allow_ports(int ruleset, const ring_options *o, err *e) {
    for (size_t i = 0; i < o->nports; i++) {
        struct net_port_attr rule = {.allowed_access = NET_CONNECT_TCP, .port = o->tcp_ports[i]};
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) != 0) {
            return err_errno(e, "ring_landlock", "cannot allow port %u", o->tcp_ports[i]);
        }
    }
    return 0;
}

static int enter_landlock(const ring_options *o, ring_status *s, err *e) {
    int abi = s->landlock_abi;
    struct ruleset_attr attr = {.handled_access_fs = handled_fs(abi)};
    bool any_port = o->profile == RING_GATE && o->tcp_ports == NULL;
    if (abi >= 4) {
        attr.handled_access_net = NET_BIND_TCP | (any_port ? 0 : NET_CONNECT_TCP);
    }
    if (abi >= 6) {
        attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    }
    /* An older kernel takes a shorter struct: its size says which fields there are. */
    size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0) {
        return err_errno(e, "ring_landlock", "cannot make a Landlock rule set (ABI %d)", abi);
    }
    int rc = 0;
    uint64_t more = o->profile == RING_SERVER ? LANDLOCK_ACCESS_FS_MAKE_SOCK : 0;
    for (size_t i = 0; rc == 0 && i < o->npaths; i++) {
        rc = allow_path(ruleset, &o->paths[i], more, attr.handled_access_fs, e);
    }
    if (rc == 0 && (attr.handled_access_net & NET_CONNECT_TCP) != 0) {
        rc = allow_ports(ruleset, o, e);
    }
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        rc = err_errno(e, "ring_landlock", "cannot enter Landlock");
    }
    close(ruleset);
    s->landlock_net = rc == 0 && attr.handled_access_net != 0;
    return rc;
}

/* --- seccomp --- */

/* The filter of a profile, from the build (prim/filters/filters.c). */
static const struct sock_filter *filter_of(ring_profile profile, size_t *n) {
    switch (profile) {
    case RING_LOADER:
        *n = sizeof RING_FILTER_LOADER / sizeof RING_FILTER_LOADER[0];
        return RING_FILTER_LOADER;
    case RING_GATE:
        *n = sizeof RING_FILTER_GATE / sizeof RING_FILTER_GATE[0];
        return RING_FILTER_GATE;
    case RING_SERVER:
        *n = sizeof RING_FILTER_SERVER / sizeof RING_FILTER_SERVER[0];
        return RING_FILTER_SERVER;
    case RING_RELAY:
        *n = sizeof RING_FILTER_RELAY / sizeof RING_FILTER_RELAY[0];
        return RING_FILTER_RELAY;
    default:
        *n = sizeof RING_FILTER_AUDIT / sizeof RING_FILTER_AUDIT[0];
        return RING_FILTER_AUDIT;
    }
}

static int enter_seccomp(const ring_options *o, err *e) {
    struct sock_filter filter[RING_FILTER_MAX];
    size_t n = 0, own = 0;
    const struct sock_filter *built = filter_of(o->profile, &n);
    memcpy(filter, built, n * sizeof *filter);
    for (size_t i = 0; i < n; i++) {
        if (BPF_CLASS(filter[i].code) == BPF_JMP && filter[i].k == RING_FILTER_OWN_PID) {
            filter[i].k = (uint32_t)getpid();
            own++;
        }
    }
    if (own != (o->profile == RING_SERVER ? 0 : 1)) {
        return err_set(e, "ring_seccomp", "the seccomp filter is not as it was built");
    }
    struct sock_fprog program = {.len = (unsigned short)n, .filter = filter};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0
               ? 0
               : err_errno(e, "ring_seccomp", "cannot enter the seccomp filter");
}

int ring_enter(const ring_options *o, ring_status *s, err *e) {
    ring_probe(s);
    if (s->sanitizer) {
        s->landlock = s->landlock_net = s->seccomp = false;
        return 0;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_errno(e, "ring_privileges", "cannot give up gaining privileges");
    }
    if (s->landlock && enter_landlock(o, s, e) != 0) {
        return -1;
    }
    return s->seccomp ? enter_seccomp(o, e) : 0;
}
