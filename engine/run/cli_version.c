/* cli_version.c: `version`: what this program is made of, and what this kernel offers a sandbox, asked now. */
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "run/child.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/script.h"
#include "vm/release.h"

/* The address of a function in the library that a module of the engine brings along; it stays until the process ends,
 * for libraries do not unload cleanly. false when the module is not installed or not to be loaded: says so.
 * As data: ISO C has no cast between the two kinds of pointers. */
static bool find_function(const paths *tree, const char *library, const char *noun, const char *name, void *out,
                          size_t n) {
    char path[PATH_MAX];
    void *at = NULL;
    if (snprintf(path, sizeof path, "%s/engine/%s.so", tree->modules, noun) < (int)sizeof path) {
        void *module = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        at = module != NULL ? dlsym(module, name) : NULL;
    }
    memcpy(out, &at, n < sizeof at ? n : sizeof at);
    if (at == NULL) {
        const char *why = dlerror();
        printf("  %-12snot available: %s\n", library, why != NULL ? why : "no reason was given");
    }
    return at != NULL;
}

/* In a process of its own: returns its exit code. */
static int print_libraries(const paths *tree) {
    int missing = 0;
    printf("  %-12s%s\n", "Lua", vm_lua_release());
    printf("  %-12s%s\n", "jansson", jansson_version_str());
    int (*libpq)(void);
    if (find_function(tree, "libpq", "db", "PQlibVersion", &libpq, sizeof libpq)) {
        int v = libpq();
        printf("  %-12s%d.%d\n", "libpq", v / 10000, v % 10000);
    } else {
        missing = 1;
    }
    /* curl_version() asks libldap, which leaves things out of its answer where memory runs out. */
    curl_version_info_data *(*curl)(CURLversion);
    if (find_function(tree, "libcurl", "http", "curl_version_info", &curl, sizeof curl)) {
        const curl_version_info_data *info = curl(CURLVERSION_FIRST);
        printf("  %-12s%s, %s\n", "libcurl", info->version, info->ssl_version != NULL ? info->ssl_version : "no TLS");
    } else {
        missing = 1;
    }
    const char *(*openssl)(int);
    if (find_function(tree, "libcrypto", "hash", "OpenSSL_version", &openssl, sizeof openssl)) {
        printf("  %-12s%s\n", "libcrypto", openssl(0));
    } else {
        missing = 1;
    }
    return fflush(stdout) == 0 ? missing : 1;
}

/* Client libraries do a lot when they are loaded, and not all of them bear that it fails: not in this process. */
static int ask_libraries(err *e) {
    const paths *tree = script_tree(e);
    int pipes[2];
    if (tree == NULL) {
        return -1;
    }
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        return err_errno(e, "system", "cannot make a pipe");
    }
    child_spec spec = {.stdin_fd = -1, .stdout_fd = pipes[1], .stderr_fd = -1, .keep_fd = -1};
    child c = {.pidfd = -1};
    int side = child_fork(&spec, &c, e);
    if (side == 1) {
        _exit(print_libraries(tree));
    }
    close(pipes[1]);
    char text[4096];
    ssize_t n = 0;
    while (side == 0 && ((n = read(pipes[0], text, sizeof text)) > 0 || (n < 0 && errno == EINTR))) {
        if (n > 0) {
            fwrite(text, 1, (size_t)n, stdout);
        }
    }
    close(pipes[0]);
    int status = child_reap(&c, NULL);
    if (side != 0) {
        return -1;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        err_set(e, "install_broken", "not all libraries of the engine can be loaded");
        return err_fix(e, "run make install again, or give the machine more memory");
    }
    return 0;
}

static void print_feature(const char *name, bool there, const char *extra) {
    printf("  %-12s%s%s\n", name, there ? "yes" : "no", there ? extra : "");
}

/* Each question is the system call itself, with arguments that change nothing. */
static void print_kernel(void) {
    struct utsname u;
    printf("Kernel %s:\n", uname(&u) == 0 ? u.release : "unknown");
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    char extra[32];
    snprintf(extra, sizeof extra, ", ABI %ld", abi);
    print_feature("landlock", abi > 0, extra);
    unsigned action = SECCOMP_RET_KILL_PROCESS;
    print_feature("seccomp", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0, ", filters");
    long pidfd = syscall(SYS_pidfd_open, getpid(), 0);
    print_feature("pidfd", pidfd >= 0, "");
    if (pidfd >= 0) {
        close((int)pidfd);
    }
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    long fd = syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how);
    print_feature("openat2", fd >= 0 || errno != ENOSYS, "");
    if (fd >= 0) {
        close((int)fd);
    }
}

int cli_version_main(const cli_verb *verb, int argc, char **argv) {
    cli_words words;
    err e;
    if (cli_parse(verb, argc, argv, NULL, &words, &e) != 0) {
        cli_say_error(&e);
        return EXIT_USAGE;
    }
    bool help = cli_given(&words, "help");
    size_t extra = json_array_size(words.operands);
    cli_words_free(&words);
    if (help) {
        cli_help_verb(verb);
        return EXIT_PASS;
    }
    if (extra > 0) {
        err_set(&e, "usage_operand", "version takes no argument");
        cli_say_error(&e);
        return EXIT_USAGE;
    }
    printf("gate-engine %s\n\nLibraries:\n", GE_VERSION);
    int rc = ask_libraries(&e);
    printf("\n");
    print_kernel();
    if (rc != 0) {
        cli_say_error(&e);
    }
    return rc == 0 ? EXIT_PASS : EXIT_BROKEN;
}
