#include "run/broker_perturb.h"

#include <glob.h>
#include <limits.h>
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
    env_put(env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
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

json_t *perturb_command(const json_t *wish, env_list *env, child_perturb *p) {
    *p = (child_perturb){.cpu = -1};
    json_t *all = json_pack("{s:{}, s:{}}", "applied", "not_applied");
    json_t *done = json_object_get(all, "applied");
    json_t *not_done = json_object_get(all, "not_applied");
    if (!json_is_object(wish) || done == NULL) {
        return all;
    }
    perturb_env(json_object_get(wish, "env"), env, done, not_done);
    perturb_process(wish, done, not_done, p);
    char faketime[PATH_MAX];
    const char *shift = json_string_value(json_object_get(wish, "faketime"));
    if (shift != NULL && strspn(shift, "0123456789abcdefghijklmnopqrstuvwxyz@+-:., ") != strlen(shift)) {
        note(not_done, "faketime", json_string("this is not a time or a shift"));
    } else if (shift != NULL && find_faketime(faketime, sizeof faketime)) {
        env_put(env, "LD_PRELOAD", faketime);
        env_put(env, "FAKETIME", shift);
        env_put(env, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
        note(done, "faketime", json_string(shift));
    } else if (shift != NULL) {
        note(not_done, "faketime", json_string("libfaketime is not installed (Debian: libfaketime)"));
    }
    return all;
}
