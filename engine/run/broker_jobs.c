#include "run/broker_jobs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/fs.h"
#include "base/mem.h"
#include "run/broker.h"
#include "run/script.h"

#define ERRORS_MAX (256u << 10)
#define OUTPUT_MAX (FRAME_PAYLOAD_MAX - ERRORS_MAX) /* both go into one answer */
#define DROPS_AT_ONCE 64
#define COMMAND_WALL_S 60
#define COMMAND_MEMORY_MB 2048
#define RESOLVE_WALL_S 10
#define ADDRESSES_MAX 32 /* as many as the http module pins */

typedef struct pipes {
    int in[2], out[2], er[2];
} pipes;

static void pipes_close(pipes *p) {
    int *all[] = {&p->in[0], &p->in[1], &p->out[0], &p->out[1], &p->er[0], &p->er[1]};
    for (size_t i = 0; i < 6; i++) {
        fs_close(all[i]);
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
    neighbours_stop(j->beside);
    fs_close(&j->in);
    fs_close(&j->out);
    fs_close(&j->er);
    buf_free(&j->input);
    buf_free(&j->output);
    buf_free(&j->errors);
    json_decref(j->applied);
    json_decref(j->identity);
    json_decref(j->earlier);
    buf_free(&j->earlier_payload);
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
    env_list env = {0};
    child_perturb how;
    env_base(&env, command);
    j->applied = perturb_command(json_object_get(request, "perturb"), command, &env, &how);
    if (how.cwd == NULL) {
        how.cwd = json_string_value(json_object_get(command, "cwd"));
    }
    neighbours_start(j->applied, &how, j->wall_s, j->beside);
    char **argv = argv_of(command, request);
    child_spec spec = {.stdin_fd = p.in[0],
                       .stdout_fd = p.out[1],
                       .stderr_fd = p.er[1],
                       .keep_fd = -1,
                       .limits = {.address_space = (uint64_t)number_or(command, "memory_mb", COMMAND_MEMORY_MB) << 20,
                                  .cpu_s = (uint64_t)j->wall_s * 8 + 8}};
    int rc = argv == NULL || argv[0] == NULL || env.failed || j->applied == NULL
                 ? err_set(e, "out_of_memory", "out of memory or an empty argv")
                 : child_spawn(&spec, argv, env.v, &how, &j->c, e);
    free(argv);
    env_free(&env);
    adopt(j, &p);
    if (rc == 0 && input != NULL && buf_append(&j->input, buf_str(input), input->len) != 0) {
        rc = err_set(e, "out_of_memory", "out of memory for the input of %s", name);
    }
    if (rc != 0) {
        job_free(j);
        return NULL;
    }
    return j;
}

/* --- names --- */

/* In the child: prints one address a line. */
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
    fs_close(&j->in);
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
    j->memory = o->memory;
    j->cpu_s = (uint64_t)o->wall_s + 2;
    char *argv[] = {(char *)o->program, NULL};
    char *env[] = {"LANG=C.UTF-8", NULL};
    /* Twice the Lua cap: the plan is there as text and as tables, and the program itself needs some. */
    child_spec spec = {
        .stdin_fd = p.in[0],
        .stdout_fd = p.out[1],
        .stderr_fd = p.er[1],
        .keep_fd = -1,
        .limits = {.address_space = 2 * o->memory + (128u << 20), .cpu_s = j->cpu_s, .file_size = 0, .files = 16}};
    /* Without address randomisation (where the kernel lets us) the same audit has the same addresses, by which tables
     * lay out keys that are tables. What an audit can do with a known address is to forge its own verdict. */
    const child_perturb same_addresses = {.no_aslr = true, .cpu = -1};
    int rc = child_spawn(&spec, argv, env, &same_addresses, &j->c, e);
    adopt(j, &p);
    char *label = script_label(j->name);
    json_t *job_text =
        json_pack("{s:O, s:O?, s:s, s:I, s:O*, s:O*, s:b, s:O*}", "source", json_object_get(audit, "source"), "helpers",
                  o->helpers, "path", label != NULL ? label : j->name, "memory", (json_int_t)o->memory, "pack",
                  json_object_get(audit, "pack"), "history", json_object_get(audit, "history"), "saved", (int)o->saved,
                  "earlier", o->earlier);
    free(label);
    if (rc == 0) {
        rc = job_text == NULL ? err_set(e, "audit_unreadable", "%s: its source was not read", j->name)
                              : frame_put(&j->input, job_text, buf_str(plan), plan->len, e);
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
    fs_close(&j->in);
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
            fs_close(fd);
        }
    }
    return true;
}

static void read_output(job *j) {
    size_t lost = mem_lost();
    bool whole = read_some(&j->out, &j->output);
    j->no_memory = mem_lost() != lost || j->no_memory;
    j->too_large = (!whole && !j->no_memory) || j->too_large;
}

/* Of what it says on standard error the first is kept and the rest dropped: a closed pipe would end it by SIGPIPE. */
static void read_errors(job *j) {
    char chunk[16384];
    for (int i = 0; i < DROPS_AT_ONCE && j->er >= 0; i++) {
        ssize_t n = read(j->er, chunk, sizeof chunk);
        if (n > 0 && j->errors.len < ERRORS_MAX) {
            size_t room = ERRORS_MAX - j->errors.len;
            (void)buf_append(&j->errors, chunk, (size_t)n < room ? (size_t)n : room);
        } else if (n < 0 && errno == EAGAIN) {
            return;
        } else if (n == 0 || (n < 0 && errno != EINTR)) {
            fs_close(&j->er);
        }
    }
}

size_t job_bytes(const job *j) {
    return j->input.len + j->output.len + j->errors.len + j->earlier_payload.len;
}

bool job_step(job *j, size_t room) {
    if (j->ended) {
        return true;
    }
    j->output.limit = room < OUTPUT_MAX - j->output.len ? j->output.len + room : OUTPUT_MAX;
    write_some(j);
    read_output(j);
    read_errors(j);
    if (j->too_large || j->no_memory || (j->timed_out = clock_ms() >= j->deadline)) {
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
    j->status = child_reap(&j->c, &j->usage);
    neighbours_stop(j->beside);
    read_output(j);
    read_errors(j);
    fs_close(&j->in);
    fs_close(&j->out);
    fs_close(&j->er);
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
        err_set(e, "exec_limit",
                "%s wrote more than %u MB, or all commands of the gate that run at once more than %u MB", j->name,
                OUTPUT_MAX >> 20, BROKER_BYTES_MAX >> 20);
        return NULL;
    }
    if (buf_append(payload, buf_str(&j->output), j->output.len) != 0 ||
        buf_append(payload, buf_str(&j->errors), j->errors.len) != 0) {
        err_set(e, "out_of_memory", "out of memory");
        return NULL;
    }
    json_t *signal = WIFSIGNALED(j->status) ? json_integer(WTERMSIG(j->status)) : json_null();
    json_t *exit_code = WIFEXITED(j->status) ? json_integer(WEXITSTATUS(j->status)) : json_null();
    json_t *answer = json_pack("{s:o, s:o, s:I, s:I, s:f, s:O}", "exit", exit_code, "signal", signal, "stdout_len",
                               (json_int_t)j->output.len, "stderr_len", (json_int_t)j->errors.len, "duration_ms",
                               (double)(clock_ms() - j->started), "perturb", j->applied);
    if (answer == NULL) {
        err_set(e, "out_of_memory", "out of memory for the answer of %s", j->name);
    }
    return answer;
}

static bool is_in(const json_t *list, const char *text) {
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) {
        if (strcmp(json_string_value(one), text) == 0) {
            return true;
        }
    }
    return false;
}

/* A name may have thousands of addresses; the first of them, in the resolver's order (RFC 6724), are enough. */
static json_t *answer_resolve(job *j, err *e) {
    if (j->timed_out || !WIFEXITED(j->status) || WEXITSTATUS(j->status) != 0) {
        err_set(e, "resolve_failed", "the name %s cannot be resolved: %s", j->name,
                j->timed_out ? "no answer in time" : buf_str(&j->errors));
        err_fix(e, "check the name and the machine's name servers");
        return NULL;
    }
    err_set(e, "resolve_failed", "the name %s has no address", j->name);
    json_t *list = json_array();
    char *rest = j->output.data;
    for (char *line = rest != NULL ? strsep(&rest, "\n") : NULL; line != NULL && json_array_size(list) < ADDRESSES_MAX;
         line = strsep(&rest, "\n")) {
        if (line[0] != '\0' && !is_in(list, line) && json_array_append_new(list, json_string(line)) != 0) {
            err_set(e, "out_of_memory", "out of memory");
            json_decref(list);
            return NULL;
        }
    }
    if (json_array_size(list) == 0) {
        json_decref(list);
        return NULL;
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
    if (j->too_large) {
        err_set(e, "audit_crash", "the audit's process wrote more than %u MB", OUTPUT_MAX >> 20);
        return NULL;
    }
    json_t *verdict = NULL;
    int got = frame_take(&j->output, &verdict, NULL, e);
    if (got == 1 && is_verdict(verdict) && WIFEXITED(j->status) && WEXITSTATUS(j->status) == 0) {
        return verdict;
    }
    json_decref(verdict);
    if (WIFSIGNALED(j->status) && WTERMSIG(j->status) == SIGXCPU) {
        err_set(e, "audit_timeout", "the audit used more than its processor time");
    } else if (WIFSIGNALED(j->status)) {
        err_set(e, "audit_crash", "the audit's process ended by signal %d", WTERMSIG(j->status));
    } else if (WEXITSTATUS(j->status) == MEM_EXIT) {
        err_set(e, "audit_memory", "the audit's process ran out of memory");
    } else {
        err_set(e, "audit_crash", "the audit's process gave no verdict (exit %d)", WEXITSTATUS(j->status));
    }
    return NULL;
}

json_t *job_answer(job *j, buf *payload, err *e) {
    err_clear(e);
    if (j->no_memory) {
        err_set(e, "out_of_memory", "out of memory for the output of %s", j->name);
        return NULL;
    }
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
