#include "run/broker_jobs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/fs.h"

#define OUTPUT_MAX (64u << 20)
#define ERRORS_MAX (256u << 10)
#define COMMAND_WALL_S 60
#define COMMAND_MEMORY_MB 2048
#define RESOLVE_WALL_S 10

typedef struct pipes {
    int in[2], out[2], er[2];
} pipes;

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void pipes_close(pipes *p) {
    int *all[] = {&p->in[0], &p->in[1], &p->out[0], &p->out[1], &p->er[0], &p->er[1]};
    for (size_t i = 0; i < 6; i++) {
        close_fd(all[i]);
    }
}

static int pipes_open(pipes *p, err *e) {
    *p = (pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(p->in, O_CLOEXEC) != 0 || pipe2(p->out, O_CLOEXEC) != 0 || pipe2(p->er, O_CLOEXEC) != 0 ||
        fcntl(p->in[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(p->out[0], F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(p->er[0], F_SETFL, O_NONBLOCK) != 0) {
        err_errno(e, "system", "cannot make pipes");
        pipes_close(p);
        return -1;
    }
    return 0;
}

void job_free(job *j) {
    if (j == NULL) {
        return;
    }
    if (j->c.pid > 0) {
        child_kill(&j->c);
        child_reap(&j->c, NULL);
    }
    close_fd(&j->in);
    close_fd(&j->out);
    close_fd(&j->er);
    buf_free(&j->input);
    buf_free(&j->output);
    buf_free(&j->errors);
    json_decref(j->applied);
    free(j->name);
    free(j);
}

static job *job_new(job_kind kind, const char *name, double wall_s, err *e) {
    job *j = calloc(1, sizeof *j);
    char *copy = strdup(name);
    if (j == NULL || copy == NULL) {
        free(j);
        free(copy);
        err_set(e, "out_of_memory", "out of memory");
        return NULL;
    }
    *j = (job){.kind = kind, .c = {.pidfd = -1}, .in = -1, .out = -1, .er = -1, .name = copy, .wall_s = wall_s};
    j->output.limit = OUTPUT_MAX;
    j->errors.limit = ERRORS_MAX;
    j->started = clock_ms();
    j->deadline = j->started + (int64_t)(wall_s * 1000);
    return j;
}

/* Hands our ends of the pipes to the job and closes the child's. */
static void adopt(job *j, pipes *p) {
    j->in = p->in[1];
    j->out = p->out[0];
    j->er = p->er[0];
    p->in[1] = p->out[0] = p->er[0] = -1;
    pipes_close(p);
}

/* --- perturbations --- */

static void note(json_t *applied, const char *key, json_t *value) {
    json_object_set_new(applied, key, value);
}

static bool find_faketime(char *out, size_t cap) {
    glob_t g;
    bool found = glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &g) == 0 && g.gl_pathc > 0;
    if (found) {
        snprintf(out, cap, "%s", g.gl_pathv[0]);
    }
    globfree(&g);
    return found;
}

typedef struct env_list {
    char **v;
    size_t n;
    bool failed;
} env_list;

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

static void env_free(env_list *env) {
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

/* A clean environment: nothing of the engine's own, where credentials live, reaches a command. */
static void base_env(env_list *env, const json_t *command) {
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

/* Fills env and p from the request's perturb table and notes in j->applied what is done and what cannot be. */
static void perturb(job *j, const json_t *wish, env_list *env, child_perturb *p, char *faketime, size_t cap) {
    *p = (child_perturb){.cpu = -1};
    j->applied = json_pack("{s:{}, s:{}}", "applied", "not_applied");
    json_t *done = json_object_get(j->applied, "applied");
    json_t *not_done = json_object_get(j->applied, "not_applied");
    if (!json_is_object(wish) || done == NULL) {
        return;
    }
    const json_t *vars = json_object_get(wish, "env");
    if (json_is_object(vars)) {
        env_put_all(env, vars);
        note(done, "env", json_incref((json_t *)vars));
    }
    perturb_process(wish, done, not_done, p);
    const char *shift = json_string_value(json_object_get(wish, "faketime"));
    if (shift != NULL && find_faketime(faketime, cap)) {
        env_put(env, "LD_PRELOAD", faketime);
        env_put(env, "FAKETIME", shift);
        env_put(env, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
        note(done, "faketime", json_string(shift));
    } else if (shift != NULL) {
        note(not_done, "faketime", json_string("libfaketime is not installed (Debian: libfaketime)"));
    }
}

/* --- commands --- */

static char **argv_of(const json_t *command, const json_t *request) {
    const json_t *argv = json_object_get(command, "argv");
    const json_t *more = json_object_get(request, "args");
    size_t n = json_array_size(argv);
    size_t m = json_is_array(more) ? json_array_size(more) : 0;
    char **out = calloc(n + m + 1, sizeof *out);
    for (size_t i = 0; out != NULL && i < n + m; i++) {
        const char *arg = json_string_value(i < n ? json_array_get(argv, i) : json_array_get(more, i - n));
        /* The strings live as long as the configuration and the request, longer than the call that uses them. */
        out[i] = (char *)(arg != NULL ? arg : "");
    }
    return out;
}

static double number_or(const json_t *object, const char *key, double fallback) {
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) && json_number_value(v) > 0 ? json_number_value(v) : fallback;
}

static double wall_of(const json_t *command, const json_t *request) {
    double configured = number_or(command, "wall_s", COMMAND_WALL_S);
    double asked = number_or(request, "timeout", configured);
    return asked < configured ? asked : configured;
}

job *job_command(const char *name, const json_t *command, const json_t *request, const buf *input, err *e) {
    job *j = job_new(JOB_COMMAND, name, wall_of(command, request), e);
    pipes p;
    if (j == NULL || pipes_open(&p, e) != 0) {
        job_free(j);
        return NULL;
    }
    char faketime[PATH_MAX];
    env_list env = {0};
    child_perturb how;
    base_env(&env, command);
    perturb(j, json_object_get(request, "perturb"), &env, &how, faketime, sizeof faketime);
    if (how.cwd == NULL) {
        how.cwd = json_string_value(json_object_get(command, "cwd"));
    }
    char **argv = argv_of(command, request);
    child_spec spec = {.stdin_fd = p.in[0],
                       .stdout_fd = p.out[1],
                       .stderr_fd = p.er[1],
                       .keep_fd = -1,
                       .limits = {.address_space = (uint64_t)number_or(command, "memory_mb", COMMAND_MEMORY_MB) << 20,
                                  .cpu_s = (uint64_t)j->wall_s * 8 + 8}};
    int rc = argv == NULL || argv[0] == NULL || env.failed
                 ? err_set(e, "out_of_memory", "out of memory or an empty argv")
                 : child_spawn(&spec, argv, env.v, &how, &j->c, e);
    free(argv);
    env_free(&env);
    adopt(j, &p);
    if (rc != 0 || (input != NULL && buf_append(&j->input, buf_str(input), input->len) != 0)) {
        job_free(j);
        return NULL;
    }
    return j;
}

/* --- names --- */

/* In the child: prints one address a line, each once. */
static void resolve_and_print(const char *host) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc != 0) {
        dprintf(2, "%s", gai_strerror(rc));
        _exit(1);
    }
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0) {
            dprintf(1, "%s\n", text);
        }
    }
    _exit(0);
}

job *job_resolve(const char *host, err *e) {
    job *j = job_new(JOB_RESOLVE, host, RESOLVE_WALL_S, e);
    pipes p;
    if (j == NULL || pipes_open(&p, e) != 0) {
        job_free(j);
        return NULL;
    }
    child_spec spec = {.stdin_fd = -1, .stdout_fd = p.out[1], .stderr_fd = p.er[1], .keep_fd = -1};
    int side = child_fork(&spec, &j->c, e);
    if (side == 1) {
        resolve_and_print(host);
    }
    adopt(j, &p);
    close_fd(&j->in);
    if (side != 0) {
        job_free(j);
        return NULL;
    }
    return j;
}

/* --- audits --- */

job *job_audit(const json_t *audit, const job_audit_options *o, const buf *plan, err *e) {
    const char *name = json_string_value(json_object_get(audit, "path"));
    job *j = job_new(JOB_AUDIT, name != NULL ? name : "audit", o->wall_s, e);
    pipes p;
    if (j == NULL || pipes_open(&p, e) != 0) {
        job_free(j);
        return NULL;
    }
    char *argv[] = {(char *)o->program, NULL};
    char *env[] = {"LANG=C.UTF-8", NULL};
    /* Twice the Lua cap: the plan is there as text and as tables, and the program itself needs some. */
    child_spec spec = {.stdin_fd = p.in[0],
                       .stdout_fd = p.out[1],
                       .stderr_fd = p.er[1],
                       .keep_fd = -1,
                       .limits = {.address_space = 2 * o->memory + (128u << 20),
                                  .cpu_s = (uint64_t)o->wall_s + 2,
                                  .file_size = 0,
                                  .files = 16}};
    /* Without address randomisation (where the kernel lets us) the same audit has the same addresses, by which tables
     * lay out keys that are tables. What an audit can do with a known address is to forge its own verdict. */
    const child_perturb same_addresses = {.no_aslr = true, .cpu = -1};
    int rc = child_spawn(&spec, argv, env, &same_addresses, &j->c, e);
    adopt(j, &p);
    json_t *job_text = json_pack("{s:O, s:O?, s:s, s:I}", "source", json_object_get(audit, "source"), "helpers",
                                 o->helpers, "path", j->name, "memory", (json_int_t)o->memory);
    if (rc == 0 && (job_text == NULL || frame_put(&j->input, job_text, buf_str(plan), plan->len, e) != 0)) {
        rc = -1;
    }
    json_decref(job_text);
    if (rc != 0) {
        job_free(j);
        return NULL;
    }
    return j;
}

/* --- stepping --- */

static void write_some(job *j) {
    while (j->in >= 0 && j->input.len > 0) {
        ssize_t n = write(j->in, buf_str(&j->input), j->input.len);
        if (n > 0) {
            buf_consume(&j->input, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            return;
        } else {
            break; /* it does not read on: what it says of that is its exit */
        }
    }
    close_fd(&j->in);
}

/* false once the output is over its limit */
static bool read_some(int *fd, buf *into) {
    while (*fd >= 0) {
        char chunk[65536];
        ssize_t n = read(*fd, chunk, sizeof chunk);
        if (n > 0) {
            if (buf_append(into, chunk, (size_t)n) != 0) {
                return false;
            }
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            return true;
        } else {
            close_fd(fd);
        }
    }
    return true;
}

bool job_step(job *j) {
    if (j->ended) {
        return true;
    }
    write_some(j);
    if (!read_some(&j->out, &j->output)) {
        j->too_large = true;
    }
    if (!read_some(&j->er, &j->errors)) {
        close_fd(&j->er); /* more than enough to explain a failure; the rest is dropped */
    }
    if (j->too_large || (j->timed_out = clock_ms() >= j->deadline)) {
        child_kill(&j->c);
    } else if (j->out >= 0 || j->er >= 0) {
        struct pollfd p = {.fd = j->c.pidfd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0 || (p.revents & POLLIN) == 0) {
            return false;
        }
        /* Ended, but a pipe is still open: a process it left behind holds it. That one goes with the group. */
    } else {
        struct pollfd p = {.fd = j->c.pidfd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0) {
            return false;
        }
    }
    j->status = child_reap(&j->c, NULL);
    (void)read_some(&j->out, &j->output);
    (void)read_some(&j->er, &j->errors);
    close_fd(&j->in);
    close_fd(&j->out);
    close_fd(&j->er);
    j->ended = true;
    return true;
}

/* --- answers --- */

static json_t *answer_command(job *j, buf *payload, err *e) {
    if (j->timed_out) {
        err_set(e, "exec_timeout", "%s did not end within %.0f s", j->name, j->wall_s);
        err_fix(e, "raise its wall_s, or give it less to do");
        return NULL;
    }
    if (j->too_large) {
        err_set(e, "exec_limit", "%s wrote more than %u MB", j->name, OUTPUT_MAX >> 20);
        return NULL;
    }
    if (buf_append(payload, buf_str(&j->output), j->output.len) != 0 ||
        buf_append(payload, buf_str(&j->errors), j->errors.len) != 0) {
        err_set(e, "out_of_memory", "out of memory");
        return NULL;
    }
    json_t *signal = WIFSIGNALED(j->status) ? json_integer(WTERMSIG(j->status)) : json_null();
    json_t *exit_code = WIFEXITED(j->status) ? json_integer(WEXITSTATUS(j->status)) : json_null();
    return json_pack("{s:o, s:o, s:I, s:I, s:f, s:O}", "exit", exit_code, "signal", signal, "stdout_len",
                     (json_int_t)j->output.len, "stderr_len", (json_int_t)j->errors.len, "duration_ms",
                     (double)(clock_ms() - j->started), "perturb", j->applied);
}

static json_t *answer_resolve(job *j, err *e) {
    if (j->timed_out || !WIFEXITED(j->status) || WEXITSTATUS(j->status) != 0) {
        err_set(e, "resolve_failed", "the name %s cannot be resolved: %s", j->name,
                j->timed_out ? "no answer in time" : buf_str(&j->errors));
        err_fix(e, "check the name and the machine's name servers");
        return NULL;
    }
    json_t *list = json_array();
    char *rest = j->output.data;
    for (char *line = rest != NULL ? strsep(&rest, "\n") : NULL; line != NULL; line = strsep(&rest, "\n")) {
        if (line[0] != '\0') {
            json_array_append_new(list, json_string(line));
        }
    }
    return json_pack("{s:o}", "addresses", list);
}

/* What comes out of a process that ran foreign code is believed only where it is whole and does not contradict itself.
 */
static bool is_verdict(const json_t *v) {
    const char *status = json_string_value(json_object_get(v, "status"));
    const json_t *violations = json_object_get(v, "violations");
    if (status == NULL || !json_is_array(violations)) {
        return false;
    }
    size_t found = json_array_size(violations);
    bool no_error = !json_is_object(json_object_get(v, "error"));
    if (strcmp(status, "PASS") == 0) {
        return found == 0 && no_error && json_integer_value(json_object_get(v, "more")) == 0;
    }
    return strcmp(status, "FAIL") == 0 ? found > 0 && no_error : strcmp(status, "ERROR") == 0 && !no_error;
}

static json_t *answer_audit(job *j, err *e) {
    if (j->timed_out) {
        err_set(e, "audit_timeout", "the audit did not end within %.0f s", j->wall_s);
        return NULL;
    }
    json_t *verdict = NULL;
    int got = j->too_large ? -1 : frame_take(&j->output, &verdict, NULL, e);
    if (got == 1 && is_verdict(verdict) && WIFEXITED(j->status) && WEXITSTATUS(j->status) == 0) {
        return verdict;
    }
    json_decref(verdict);
    if (WIFSIGNALED(j->status) && WTERMSIG(j->status) == SIGXCPU) {
        err_set(e, "audit_timeout", "the audit used more than its processor time");
    } else if (WIFSIGNALED(j->status)) {
        err_set(e, "audit_crash", "the audit's process ended by signal %d", WTERMSIG(j->status));
    } else {
        err_set(e, "audit_crash", "the audit's process gave no verdict (exit %d)", WEXITSTATUS(j->status));
    }
    return NULL;
}

json_t *job_answer(job *j, buf *payload, err *e) {
    err_clear(e);
    switch (j->kind) {
    case JOB_COMMAND:
        return answer_command(j, payload, e);
    case JOB_RESOLVE:
        return answer_resolve(j, e);
    case JOB_AUDIT:
        return answer_audit(j, e);
    }
    return NULL;
}
