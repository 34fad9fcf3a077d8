#include "run/broker_perturb.h"

#include <elf.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <locale.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

static void note(json_t *applied, const char *key, json_t *value) {
    json_object_set_new(applied, key, value);
}

static bool find_faketime(char *out, size_t cap) {
    glob_t g;
    bool found = glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &g) == 0 && g.gl_pathc > 0;
    if (found) {
        int n = snprintf(out, cap, "%s", g.gl_pathv[0]);
        found = n > 0 && (size_t)n < cap;
    }
    globfree(&g);
    return found;
}

static void env_put(env_list *env, const char *name, const char *value) {
    size_t len = strlen(name);
    char *entry = NULL;
    if (asprintf(&entry, "%s=%s", name, value) < 0) {
        env->failed = true;
        return;
    }
    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->v[i], entry, len + 1) == 0) {
            free(env->v[i]);
            env->v[i] = entry;
            return;
        }
    }
    char **grown = realloc(env->v, (env->n + 2) * sizeof *grown);
    if (grown == NULL) {
        free(entry);
        env->failed = true;
        return;
    }
    env->v = grown;
    env->v[env->n++] = entry;
    env->v[env->n] = NULL;
}

void env_free(env_list *env) {
    for (size_t i = 0; i < env->n; i++) {
        free(env->v[i]);
    }
    free(env->v);
}

static void env_put_all(env_list *env, const json_t *from) {
    json_t *object = (json_t *)from;
    for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it)) {
        const char *value = json_string_value(json_object_iter_value(it));
        const char *key = json_object_iter_key(it);
        if (value != NULL && key[0] != '\0' && strchr(key, '=') == NULL) {
            env_put(env, key, value);
        }
    }
}

void env_base(env_list *env, const json_t *command) {
    const char *home = getenv("HOME");
    env_put(env, "PATH", COMMAND_PATH);
    env_put(env, "HOME", home != NULL ? home : "/");
    env_put(env, "LANG", "C.UTF-8");
    const char *asan = getenv("ASAN_OPTIONS");
    if (asan != NULL) {
        env_put(env, "ASAN_OPTIONS", asan);
    }
    env_put_all(env, json_object_get(command, "env"));
}

/* Whether children may have their addresses fixed: containers forbid it. Tried on this very thread and taken back. */
static bool may_fix_addresses(void) {
    int now = personality(0xffffffff);
    if (now < 0 || personality((unsigned long)now | ADDR_NO_RANDOMIZE) < 0) {
        return false;
    }
    return personality((unsigned long)now) >= 0;
}

/* The wanted one, counted round, of the processors this process may use; -1 where there is only one. */
static int pick_processor(json_int_t wanted) {
    cpu_set_t may;
    if (sched_getaffinity(0, sizeof may, &may) != 0 || CPU_COUNT(&may) < 2) {
        return -1;
    }
    int left = (int)((wanted % CPU_COUNT(&may) + CPU_COUNT(&may)) % CPU_COUNT(&may));
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &may) && left-- == 0) {
            return i;
        }
    }
    return -1;
}

static _Noreturn void be_busy(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
    for (volatile unsigned long n = 0;; n++) {
    }
}

void neighbours_start(json_t *applied, const child_perturb *p, double most_s, child list[NEIGHBOURS_MAX]) {
    json_t *done = json_object_get(applied, "applied");
    if (!json_is_true(json_object_get(done, "load"))) {
        return;
    }
    cpu_set_t may;
    if (sched_getaffinity(0, sizeof may, &may) != 0) {
        CPU_ZERO(&may);
    }
    err e = {.message = "no processor may be used"};
    size_t n = 0;
    for (int i = 0; i < CPU_SETSIZE && n < NEIGHBOURS_MAX; i++) {
        if (!CPU_ISSET(i, &may) || (p->cpu >= 0 && p->cpu != i)) {
            continue;
        }
        const child_spec spec = {
            .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .keep_fd = -1, .limits = {.cpu_s = (uint64_t)most_s + 1}};
        int side = child_fork(&spec, &list[n], &e);
        if (side == 1) {
            be_busy(i);
        }
        if (side < 0) {
            neighbours_stop(list);
            n = 0;
            break;
        }
        n++;
    }
    if (n == 0) {
        json_object_del(done, "load");
        note(json_object_get(applied, "not_applied"), "load", json_string(e.message));
    }
}

void neighbours_stop(child list[NEIGHBOURS_MAX]) {
    for (size_t i = 0; i < NEIGHBOURS_MAX; i++) {
        if (list[i].pid > 0) {
            child_kill(&list[i]);
            child_reap(&list[i], NULL);
        }
    }
}

/* What a gate may vary: what a correct program's result does not depend on. Anything else (PATH, LD_PRELOAD,
 * PYTHONPATH …) could make another program of the command that the configuration names. */
static bool may_vary(const char *name) {
    static const char *const NAMES[] = {"TZ",
                                        "LANG",
                                        "LANGUAGE",
                                        "MALLOC_PERTURB_",
                                        "GLIBC_TUNABLES",
                                        "PYTHONHASHSEED",
                                        "PERL_HASH_SEED",
                                        "PERL_PERTURB_KEYS",
                                        "OMP_NUM_THREADS",
                                        "GOMAXPROCS",
                                        "GATE_ENGINE_PERTURBATION",
                                        NULL};
    for (size_t i = 0; NAMES[i] != NULL; i++) {
        if (strcmp(name, NAMES[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "LC_", 3) == 0;
}

/* A value that is a name and leads to no file: libc and gettext read time zones, locales and translations from a path
 * if they are given one, and translations hold formats. */
static bool may_be(const char *name, const char *value) {
    bool zone = strcmp(name, "TZ") == 0;
    static const char NAME[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-:=,<>";
    size_t n = strspn(value, NAME);
    if (!zone) {
        return value[n] == '\0';
    }
    for (const char *p = value + n; *p != '\0'; p += 1 + strspn(p + 1, NAME)) {
        if (*p != '/') {
            return false;
        }
    }
    return value[0] != '/' && value[0] != ':' && strstr(value, "..") == NULL;
}

static void perturb_env(const json_t *vars, env_list *env, json_t *done, json_t *not_done) {
    json_t *put = json_object();
    for (void *it = json_object_iter((json_t *)vars); it != NULL; it = json_object_iter_next((json_t *)vars, it)) {
        const char *name = json_object_iter_key(it);
        const char *value = json_string_value(json_object_iter_value(it));
        if (value == NULL || !may_vary(name)) {
            note(not_done, name, json_string("this variable is not one that a run may vary"));
        } else if (!may_be(name, value)) {
            note(not_done, name, json_string("this value is not a plain name"));
        } else if (json_object_set(put, name, json_object_iter_value(it)) != 0) {
            env->failed = true;
        }
    }
    if (json_object_size(put) > 0) {
        env_put_all(env, put);
        note(done, "env", json_incref(put));
    }
    json_decref(put);
}

static void perturb_process(const json_t *wish, json_t *done, json_t *not_done, child_perturb *p) {
    char here[PATH_MAX];
    if (json_is_string(json_object_get(wish, "cwd"))) {
        p->cwd = getcwd(here, sizeof here) != NULL && strcmp(here, "/tmp") == 0 ? "/" : "/tmp";
        note(done, "cwd", json_string(p->cwd));
    }
    if (json_is_false(json_object_get(wish, "aslr"))) {
        p->no_aslr = may_fix_addresses();
        note(p->no_aslr ? done : not_done, "aslr",
             p->no_aslr ? json_false() : json_string("this system does not let a program's addresses be fixed"));
    }
    const json_t *cpu = json_object_get(wish, "cpu");
    if (json_is_integer(cpu)) {
        p->cpu = pick_processor(json_integer_value(cpu));
        note(p->cpu >= 0 ? done : not_done, "cpu",
             p->cpu >= 0 ? json_integer(p->cpu) : json_string("there is only one processor to choose from"));
    }
}

/* Whether no dynamic linker will see this program, so that nothing can be put before its library calls. Only what is
 * surely so: a script, and what cannot be read, is taken to be linked dynamically. */
static bool is_static(const char *program) {
    Elf64_Ehdr head;
    int fd = program != NULL && program[0] == '/' ? open(program, O_RDONLY | O_CLOEXEC) : -1;
    bool elf = fd >= 0 && pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head &&
               memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_ident[EI_CLASS] == ELFCLASS64 &&
               head.e_phentsize == sizeof(Elf64_Phdr);
    bool linker = !elf;
    for (unsigned i = 0; elf && !linker && i < head.e_phnum; i++) {
        Elf64_Phdr part;
        off_t at = (off_t)(head.e_phoff + i * sizeof part);
        linker = pread(fd, &part, sizeof part, at) != (ssize_t)sizeof part || part.p_type == PT_INTERP;
    }
    if (fd >= 0) {
        close(fd);
    }
    return !linker;
}

static const char *env_value(const env_list *env, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=') {
            return env->v[i] + len + 1;
        }
    }
    return NULL;
}

/* Whether the C library finds this locale: where the program's LOCPATH says, else where the system has them. A program
 * told to use one that is missing goes on with plain C. */
static bool has_locale(const env_list *env, const char *name) {
    const char *dirs = env_value(env, "LOCPATH");
    char path[PATH_MAX];
    if (dirs != NULL && dirs[0] == '/' && strchr(dirs, ':') == NULL &&
        (size_t)snprintf(path, sizeof path, "%s/%s", dirs, name) < sizeof path && access(path, X_OK) == 0) {
        return true;
    }
    locale_t found = newlocale(LC_ALL_MASK, name, (locale_t)0);
    if (found == (locale_t)0) {
        return false;
    }
    freelocale(found);
    return true;
}

static void check_locale(const json_t *wish, const env_list *env, json_t *not_done) {
    const char *name = json_string_value(json_object_get(json_object_get(wish, "env"), "LC_ALL"));
    if (name != NULL && !has_locale(env, name)) {
        note(not_done, "locale", json_sprintf("%s is not installed (Debian: locales, locale-gen)", name));
    }
}

/* Libraries to put before a program's own; `why` is said of what cannot be, `no_shim` where that is perturb.so alone.
 */
typedef struct preload {
    char path[2 * PATH_MAX];
    const char *why, *no_shim;
    bool shim; /* perturb.so is among them */
} preload;

static void preload_add(preload *p, const char *library, env_list *env) {
    size_t len = strlen(p->path);
    int n = snprintf(p->path + len, sizeof p->path - len, "%s%s", len > 0 ? ":" : "", library);
    env->failed |= n < 0 || (size_t)n >= sizeof p->path - len;
}

static void preload_shim(preload *p, const char *library, env_list *env) {
    if (!p->shim) {
        preload_add(p, library, env);
    }
    p->shim = true;
}

/* perturb.so stands before libfaketime, and keeps the steady clock's sleeps from what that makes of them. */
static void perturb_clock(const char *shift, const char *library, env_list *env, json_t *done, json_t *not_done,
                          preload *p) {
    char faketime[PATH_MAX];
    if (strspn(shift, "0123456789abcdefghijklmnopqrstuvwxyz@+-:., ") != strlen(shift)) {
        note(not_done, "faketime", json_string("this is not a time or a shift"));
    } else if (p->why != NULL || p->no_shim != NULL) {
        note(not_done, "faketime", json_string(p->why != NULL ? p->why : p->no_shim));
    } else if (find_faketime(faketime, sizeof faketime)) {
        preload_shim(p, library, env);
        preload_add(p, faketime, env);
        env_put(env, "FAKETIME", shift);
        env_put(env, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
        note(done, "faketime", json_string(shift));
    } else {
        note(not_done, "faketime", json_string("libfaketime is not installed (Debian: libfaketime)"));
    }
}

/* What engine/shim/shim.c does. Numbers alone reach it. */
static void perturb_calls(const json_t *wish, const char *library, env_list *env, json_t *done, json_t *not_done,
                          preload *p) {
    static const char *const NAMES[] = {"order", "clock", "pid", "random", "threads"};
    const char *why = p->why != NULL ? p->why : p->no_shim;
    char text[160] = "";
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const json_t *value = json_object_get(wish, NAMES[i]);
        if (value == NULL) {
            continue;
        }
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT_MAX) {
            note(not_done, NAMES[i], json_string("this is not a number from 0"));
        } else if (why != NULL) {
            note(not_done, NAMES[i], json_string(why));
        } else {
            size_t len = strlen(text);
            snprintf(text + len, sizeof text - len, "%s%s=%d", len > 0 ? "," : "", NAMES[i],
                     (int)json_integer_value(value));
            note(done, NAMES[i], json_integer(json_integer_value(value)));
        }
    }
    if (text[0] != '\0') {
        preload_shim(p, library, env);
        env_put(env, "GATE_ENGINE_SHIM", text);
    }
}

json_t *perturb_command(const json_t *wish, const json_t *command, env_list *env, child_perturb *p) {
    *p = (child_perturb){.cpu = -1};
    json_t *all = json_pack("{s:{}, s:{}}", "applied", "not_applied");
    json_t *done = json_object_get(all, "applied");
    json_t *not_done = json_object_get(all, "not_applied");
    if (!json_is_object(wish) || done == NULL) {
        return all;
    }
    perturb_env(json_object_get(wish, "env"), env, done, not_done);
    check_locale(wish, env, not_done);
    perturb_process(wish, done, not_done, p);
    if (json_is_true(json_object_get(wish, "load"))) {
        note(done, "load", json_true());
    }
    preload before = {.path = ""};
    if (is_static(json_string_value(json_array_get(json_object_get(command, "argv"), 0)))) {
        before.why = "the program is linked statically: nothing can be put before its library calls";
    }
    const char *library = json_string_value(json_object_get(command, "shim"));
    if (library == NULL || access(library, R_OK) != 0 || strpbrk(library, ": ") != NULL) {
        before.no_shim = "perturb.so is not where it can be preloaded from";
    }
    perturb_calls(wish, library, env, done, not_done, &before);
    const char *shift = json_string_value(json_object_get(wish, "faketime"));
    if (shift != NULL) {
        perturb_clock(shift, library, env, done, not_done, &before);
    }
    if (before.path[0] != '\0') {
        env_put(env, "LD_PRELOAD", before.path);
    }
    return all;
}
