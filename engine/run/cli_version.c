/* cli_version.c: `version`: what this program is made of, and what this kernel offers a sandbox, asked now. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fs.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/script.h"
#include "vm/release.h"

/* Opens a module of the engine, which brings its library along, until the process ends: libraries do not unload
 * cleanly. NULL when it is not installed. */
static void *open_module(const char *noun) {
    err e;
    const paths *tree = script_tree(&e);
    buf path = BUF_INIT;
    void *module = NULL;
    if (tree != NULL && buf_printf(&path, "%s/engine/%s.so", tree->modules, noun) == 0) {
        module = dlopen(buf_str(&path), RTLD_LAZY | RTLD_LOCAL);
    }
    buf_free(&path);
    return module;
}

/* The address of a library's function, as data first: ISO C has no cast between the two kinds of pointers. */
static bool find_function(void *module, const char *name, void *out, size_t n) {
    void *at = module != NULL ? dlsym(module, name) : NULL;
    memcpy(out, &at, n < sizeof at ? n : sizeof at);
    return at != NULL;
}

static void print_libraries(void) {
    printf("  %-12s%s\n", "Lua", vm_lua_release());
    printf("  %-12s%s\n", "jansson", jansson_version_str());
    int (*libpq)(void);
    void *db = open_module("db");
    if (find_function(db, "PQlibVersion", &libpq, sizeof libpq)) {
        int v = libpq();
        printf("  %-12s%d.%d\n", "libpq", v / 10000, v % 10000);
    } else {
        printf("  %-12s%s\n", "libpq", "not available: the module engine.db is not installed");
    }
    char *(*curl)(void);
    void *http = open_module("http");
    if (find_function(http, "curl_version", &curl, sizeof curl)) {
        printf("  %-12s%s\n", "libcurl", curl());
    } else {
        printf("  %-12s%s\n", "libcurl", "not available: the module engine.http is not installed");
    }
    const char *(*openssl)(int);
    void *hash = open_module("hash");
    if (find_function(hash, "OpenSSL_version", &openssl, sizeof openssl)) {
        printf("  %-12s%s\n", "libcrypto", openssl(0));
    } else {
        printf("  %-12s%s\n", "libcrypto", "not available: the module engine.hash is not installed");
    }
    bool sql = open_module("sql") != NULL;
    printf("  %-12s%s\n", "libpg_query",
           sql ? "PostgreSQL 15's grammar" : "not available: the module engine.sql is not installed");
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
    print_libraries();
    printf("\n");
    print_kernel();
    return EXIT_PASS;
}
