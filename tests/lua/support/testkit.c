/* testkit.c: require "testkit", what Lua specs need of POSIX to stand real peers beside the code under test.
 *
 * Only tests load it. Failures of the system raise plain strings, since a spec has no use for more. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGV_MAX 64
#define FD_FIRST 3 /* descriptors for a child start here */
#define FD_HIGH 64 /* and are parked above this one before */

static int fail(lua_State *L, const char *what) {
    return luaL_error(L, "testkit.%s: %s", what, strerror(errno));
}

/* socketpair() -> fd, fd: connected stream sockets, closed on exec. */
static int kit_socketpair(lua_State *L) {
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0) {
        return fail(L, "socketpair");
    }
    lua_pushinteger(L, fd[0]);
    lua_pushinteger(L, fd[1]);
    return 2;
}

/* pipe() -> read end, write end; closed on exec. */
static int kit_pipe(lua_State *L) {
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) != 0) {
        return fail(L, "pipe");
    }
    lua_pushinteger(L, fd[0]);
    lua_pushinteger(L, fd[1]);
    return 2;
}

static int kit_close(lua_State *L) {
    return close((int)luaL_checkinteger(L, 1)) != 0 ? fail(L, "close") : 0;
}

/* read_line(fd, milliseconds) -> text up to a newline, nil at end of file or when time is up. */
static int kit_read_line(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    int timeout = (int)luaL_optinteger(L, 2, 20000);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char c;
        if (poll(&p, 1, timeout) != 1 || read(fd, &c, 1) != 1) {
            return 0;
        }
        if (c == '\n') {
            luaL_pushresult(&b);
            return 1;
        }
        luaL_addchar(&b, c);
    }
}

static void child(char *const argv[], const int *fds, int count) {
    int parked[16];
    for (int i = 0; i < count; i++) {
        parked[i] = fcntl(fds[i], F_DUPFD, FD_HIGH);
    }
    for (int i = 0; i < count; i++) {
        if (dup2(parked[i], FD_FIRST + i) < 0) {
            _exit(126);
        }
        close(parked[i]);
    }
    execvp(argv[0], argv);
    _exit(127);
}

/* spawn({program, arg, …}, fd, …) -> pid: the descriptors are 3, 4, … in the child. LD_PRELOAD is not passed on: it is
 * for the sanitizers of this process. */
static int kit_spawn(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    char *argv[ARGV_MAX + 1];
    lua_Unsigned n = lua_rawlen(L, 1);
    int count = lua_gettop(L) - 1;
    luaL_argcheck(L, n > 0 && n <= ARGV_MAX && count <= 16, 1, "too few or too many");
    luaL_checkstack(L, (int)n + 4, NULL);
    int fds[16];
    for (int i = 0; i < count; i++) {
        fds[i] = (int)luaL_checkinteger(L, 2 + i);
    }
    for (lua_Unsigned i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i);
        argv[i - 1] = (char *)(uintptr_t)luaL_checkstring(L, -1);
    }
    argv[n] = NULL;
    pid_t pid = fork();
    if (pid < 0) {
        return fail(L, "spawn");
    }
    if (pid == 0) {
        unsetenv("LD_PRELOAD");
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a spec that dies leaves no peer behind */
        child(argv, fds, count);
    }
    lua_pushinteger(L, pid);
    return 1;
}

/* kill(pid, signal) */
static int kit_kill(lua_State *L) {
    return kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_optinteger(L, 2, SIGKILL)) != 0 ? fail(L, "kill") : 0;
}

/* wait(pid) -> "exit", status | "signal", number */
static int kit_wait(lua_State *L) {
    int status = 0;
    if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0) {
        return fail(L, "wait");
    }
    lua_pushstring(L, WIFEXITED(status) ? "exit" : "signal");
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return 2;
}

/* limit_file_size(bytes): the soft limit on files this process writes; a write beyond it is an error, no signal.
 * -1 lifts it. */
static int kit_limit_file_size(lua_State *L) {
    lua_Integer n = luaL_checkinteger(L, 1);
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return fail(L, "limit_file_size");
    }
    limit.rlim_cur = n < 0 ? limit.rlim_max : (rlim_t)n;
    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit) != 0 ? fail(L, "limit_file_size") : 0;
}

/* setenv(name, value): in this process; nil removes it. */
static int kit_setenv(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    const char *value = luaL_optstring(L, 2, NULL);
    int rc = value != NULL ? setenv(name, value, 1) : unsetenv(name);
    return rc != 0 ? fail(L, "setenv") : 0;
}

__attribute__((visibility("default"))) int luaopen_testkit(lua_State *L);

int luaopen_testkit(lua_State *L) {
    static const luaL_Reg FUNCTIONS[] = {{"socketpair", kit_socketpair},
                                         {"pipe", kit_pipe},
                                         {"close", kit_close},
                                         {"read_line", kit_read_line},
                                         {"spawn", kit_spawn},
                                         {"kill", kit_kill},
                                         {"wait", kit_wait},
                                         {"limit_file_size", kit_limit_file_size},
                                         {"setenv", kit_setenv},
                                         {NULL, NULL}};
    luaL_newlib(L, FUNCTIONS);
    lua_pushinteger(L, getpid());
    lua_setfield(L, -2, "pid");
    lua_pushinteger(L, geteuid());
    lua_setfield(L, -2, "uid");
    return 1;
}
