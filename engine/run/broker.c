#include "run/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err_json.h"
#include "base/frame.h"
#include "base/fs.h"
#include "base/log.h"
#include "run/broker_jobs.h"
#include "run/kept.h"
#include "run/signals.h"

struct broker {
    broker_options o;
    job *jobs; /* list */
    size_t n;
    json_t *budgets; /* owned */
    kept *kept;      /* owned; NULL: nothing was kept or asked for yet */
    bool no_kept;    /* it was said that nothing can be kept */
    size_t taken;
};

broker *broker_new(const broker_options *o) {
    broker *b = calloc(1, sizeof *b);
    if (b != NULL) {
        b->o = *o;
        b->budgets = json_object();
    }
    if (b != NULL && b->budgets == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

void broker_free(broker *b) {
    if (b == NULL) {
        return;
    }
    while (b->jobs != NULL) {
        job *j = b->jobs;
        b->jobs = j->next;
        job_free(j);
    }
    json_decref(b->budgets);
    kept_free(b->kept);
    free(b);
}

void broker_ended(broker *b) {
    if (b->kept != NULL) {
        kept_drop(b->kept);
    }
}

size_t broker_taken(const broker *b) {
    return b->taken;
}

json_t *broker_budgets(const broker *b) {
    return json_incref(b->budgets);
}

/* Of an audit that ran several times the most of each is kept. */
static void note_budget(broker *b, const char *name, const char *what, double current, double peak, double limit) {
    buf key = BUF_INIT;
    buf_printf(&key, "%s %s", name, what);
    const json_t *before = json_object_get(json_object_get(b->budgets, buf_str(&key)), "peak");
    if (before == NULL || json_number_value(before) < peak) {
        (void)json_object_set_new(b->budgets, buf_str(&key),
                                  json_pack("{s:f, s:f, s:f}", "current", current, "peak", peak, "limit", limit));
    }
    buf_free(&key);
}

static void note_audit(broker *b, const job *j, const json_t *verdict) {
    if (j->kind != JOB_AUDIT) {
        return;
    }
    double cpu = (double)(j->usage.ru_utime.tv_sec + j->usage.ru_stime.tv_sec) * 1e3 +
                 (double)(j->usage.ru_utime.tv_usec + j->usage.ru_stime.tv_usec) / 1e3;
    const char *slash = strrchr(j->name, '/');
    const char *name = slash != NULL ? slash + 1 : j->name;
    double wall = (double)(clock_ms() - j->started);
    note_budget(b, name, "memory_bytes", json_number_value(json_object_get(verdict, "memory_used")),
                json_number_value(json_object_get(verdict, "memory_peak")), (double)j->memory);
    note_budget(b, name, "wall_ms", wall, wall, j->wall_s * 1e3);
    note_budget(b, name, "cpu_ms", cpu, cpu, (double)j->cpu_s * 1e3);
}

void broker_answer(buf *out, json_int_t id, const err *why) {
    err ignored;
    json_t *m = why == NULL ? json_pack("{s:I, s:b}", "id", id, "ok", 1)
                            : json_pack("{s:I, s:b, s:o}", "id", id, "ok", 0, "error", err_to_json(why));
    if (m == NULL || frame_put(out, m, NULL, 0, &ignored) != 0) {
        out->failed = true;
    }
    json_decref(m);
}

static bool listed(const json_t *list, const char *name) {
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)list, i, v) {
        if (json_is_string(v) && strcmp(json_string_value(v), name) == 0) {
            return true;
        }
    }
    return false;
}

static void no_keeping(broker *b, const err *why) {
    if (!b->no_kept) {
        log_line(LOG_WARN, "answers cannot be kept, should this run be interrupted: %s", why->message);
    }
    b->no_kept = true;
}

/* What a kept answer of this request would have to be of, a new reference; NULL where nothing is kept. */
static json_t *keeping(broker *b, const json_t *command, const json_t *request, const buf *input) {
    err why;
    json_int_t number = json_integer_value(json_object_get(request, "keep"));
    if (b->o.keep == NULL || b->no_kept || number < 1 || number > KEPT_NUMBER_MAX) {
        return NULL;
    }
    if (b->kept == NULL) {
        b->kept = kept_open(json_string_value(json_object_get(b->o.keep, "state")),
                            json_string_value(json_object_get(b->o.keep, "series")), &why);
    }
    json_t *identity =
        b->kept == NULL ? NULL : kept_identity(json_object_get(b->o.keep, "run"), command, request, input, &why);
    if (identity == NULL) {
        no_keeping(b, &why);
    }
    return identity;
}

/* Answers from what was kept, where that may be; else the request has to be carried out: 0. */
static int answer_kept(broker *b, const json_t *request, const json_t *identity, buf *out) {
    json_t *answer = NULL;
    buf payload = BUF_INIT;
    err e;
    int done = 0;
    if (!json_is_true(json_object_get(request, "again")) &&
        kept_find(b->kept, json_integer_value(json_object_get(request, "keep")), identity, &answer, &payload)) {
        json_object_set(answer, "id", json_object_get(request, "id"));
        json_object_set_new(answer, "ok", json_true());
        json_object_set_new(answer, "taken_over", json_true());
        done = frame_put(out, answer, buf_str(&payload), payload.len, &e) == 0 ? 1 : 0;
        b->taken += (size_t)done;
    }
    json_decref(answer);
    buf_free(&payload);
    return done;
}

/* A job that is kept; one whose request was made `again` brings what was kept before. */
static void keep_job(const broker *b, job *j, const json_t *request, json_t *identity) {
    j->keep = json_integer_value(json_object_get(request, "keep"));
    j->identity = json_incref(identity);
    if (json_is_true(json_object_get(request, "again"))) {
        (void)kept_find(b->kept, j->keep, identity, &j->earlier, &j->earlier_payload);
    }
}

/* NULL without an error: it is answered. */
static job *start_exec(broker *b, const json_t *request, const buf *payload, buf *out, err *e) {
    const char *name = json_string_value(json_object_get(request, "command"));
    const json_t *command = name != NULL ? json_object_get(b->o.commands, name) : NULL;
    if (command == NULL) {
        err_set(e, "exec_not_declared", "the command %.80s is not declared by this gate",
                name != NULL ? name : "(none)");
        err_fix(e, "add it to needs.commands of the gate and to commands in the configuration");
        return NULL;
    }
    json_t *identity = keeping(b, command, request, payload);
    job *j = NULL;
    if (identity == NULL || answer_kept(b, request, identity, out) == 0) {
        j = job_command(name, command, request, payload, e);
    }
    if (j != NULL && identity != NULL) {
        keep_job(b, j, request, identity);
    }
    json_decref(identity);
    return j;
}

/* The answer of an ended job is kept as it is; what was kept before goes behind it. */
static void note_kept(broker *b, const job *j, json_t *answer, buf *payload) {
    if (j->keep == 0 || answer == NULL) {
        return;
    }
    kept_put(b->kept, j->keep, j->identity, answer, payload);
    if (j->earlier != NULL && buf_append(payload, buf_str(&j->earlier_payload), j->earlier_payload.len) == 0) {
        json_object_set(answer, "earlier", j->earlier);
    }
}

static job *start_resolve(broker *b, const json_t *request, err *e) {
    const char *host = json_string_value(json_object_get(request, "host"));
    if (host == NULL || !listed(b->o.hosts, host)) {
        err_set(e, "resolve_not_declared", "the name %.200s is not of a declared endpoint or database",
                host != NULL ? host : "(none)");
        err_fix(e, "name the endpoint in needs.endpoints of the gate and in endpoints of the configuration");
        return NULL;
    }
    return job_resolve(host, e);
}

static job *start_audit(broker *b, size_t index, const buf *plan, bool saved, const json_t *earlier, err *e) {
    const json_t *audit = json_array_get(b->o.audits, index);
    if (audit == NULL) {
        err_set(e, "audit_unknown", "there is no audit number %zu", index);
        return NULL;
    }
    const json_t *broken = json_object_get(audit, "error");
    if (broken != NULL) {
        err_from_json(e, broken, "audit_unreadable", "the audit could not be read");
        return NULL;
    }
    const json_t *memory = json_object_get(audit, "memory_bytes");
    const json_t *wall = json_object_get(audit, "wall_s");
    job_audit_options o = {.program = b->o.audit_program,
                           .helpers = b->o.audit_helpers,
                           .memory = memory != NULL ? (uint64_t)json_integer_value(memory) : b->o.audit_memory,
                           .wall_s = wall != NULL ? json_number_value(wall) : b->o.audit_wall_s,
                           .saved = saved,
                           .earlier = earlier};
    return job_audit(audit, &o, plan, e);
}

static size_t held(const broker *b, const buf *out) {
    size_t n = out->len;
    for (const job *j = b->jobs; j != NULL; j = j->next) {
        n += job_bytes(j);
    }
    return n;
}

int broker_request(broker *b, const json_t *request, const buf *payload, buf *out, err *e) {
    const json_t *id = json_object_get(request, "id");
    const char *op = json_string_value(json_object_get(request, "op"));
    if (!json_is_integer(id) || op == NULL) {
        return err_set(e, "event_type", "a request without id and op");
    }
    err why;
    err_clear(&why);
    job *j = NULL;
    if (b->n >= BROKER_JOBS_MAX) {
        err_set(&why, "broker_busy", "more than %d requests at once", BROKER_JOBS_MAX);
    } else if (payload != NULL && held(b, out) + payload->len > BROKER_BYTES_MAX) {
        err_set(&why, "broker_busy", "the gate's requests hold more than %u MB at once", BROKER_BYTES_MAX >> 20);
        err_fix(&why, "run fewer of them at once, or give them less to read");
    } else if (strcmp(op, "exec") == 0) {
        j = start_exec(b, request, payload, out, &why);
    } else if (strcmp(op, "resolve") == 0) {
        j = start_resolve(b, request, &why);
    } else if (strcmp(op, "audit") == 0) {
        j = start_audit(b, (size_t)json_integer_value(json_object_get(request, "audit")), payload, false, NULL, &why);
    } else {
        err_set(&why, "broker_op", "unknown request %.40s", op);
    }
    if (j == NULL) {
        if (why.code[0] != '\0') {
            broker_answer(out, json_integer_value(id), &why);
        }
        return 0;
    }
    j->id = json_integer_value(id);
    j->next = b->jobs;
    b->jobs = j;
    b->n++;
    return 0;
}

size_t broker_poll(broker *b, struct pollfd *p, size_t max) {
    size_t n = 0;
    for (job *j = b->jobs; j != NULL && n + 4 <= max; j = j->next) {
        if (j->in >= 0) {
            p[n++] = (struct pollfd){.fd = j->in, .events = POLLOUT};
        }
        if (j->out >= 0) {
            p[n++] = (struct pollfd){.fd = j->out, .events = POLLIN};
        }
        if (j->er >= 0) {
            p[n++] = (struct pollfd){.fd = j->er, .events = POLLIN};
        }
        p[n++] = (struct pollfd){.fd = j->c.pidfd, .events = POLLIN};
    }
    return n;
}

int64_t broker_deadline(const broker *b) {
    int64_t first = INT64_MAX;
    for (const job *j = b->jobs; j != NULL; j = j->next) {
        first = j->deadline < first ? j->deadline : first;
    }
    return first;
}

void broker_step(broker *b, buf *out) {
    job **at = &b->jobs;
    while (*at != NULL) {
        job *j = *at;
        size_t now = held(b, out);
        if (!job_step(j, now < BROKER_BYTES_MAX ? BROKER_BYTES_MAX - now : 0)) {
            at = &j->next;
            continue;
        }
        err why;
        buf payload = BUF_INIT;
        json_t *answer = job_answer(j, &payload, &why);
        note_audit(b, j, answer);
        note_kept(b, j, answer, &payload);
        if (answer == NULL) {
            broker_answer(out, j->id, &why);
        } else if (json_object_set_new(answer, "id", json_integer(j->id)) != 0 ||
                   json_object_set_new(answer, "ok", json_true()) != 0) {
            out->failed = true; /* without its number the answer reaches nobody */
        } else if (frame_put(out, answer, buf_str(&payload), payload.len, &why) != 0) {
            broker_answer(out, j->id, &why);
        }
        json_decref(answer);
        buf_free(&payload);
        *at = j->next;
        b->n--;
        job_free(j);
    }
}

json_t *broker_audit_now(broker *b, size_t index, const buf *plan, const json_t *earlier, err *e) {
    job *j = start_audit(b, index, plan, true, earlier, e);
    if (j == NULL) {
        return NULL;
    }
    j->next = b->jobs;
    b->jobs = j;
    b->n++;
    while (!job_step(j, BROKER_BYTES_MAX)) {
        struct pollfd p[8];
        size_t n = broker_poll(b, p, 7);
        p[n++] = (struct pollfd){.fd = signals_fd(), .events = POLLIN};
        int64_t left = j->deadline - clock_ms();
        (void)poll(p, n, left > 0 ? (int)left + 1 : 0);
        if (signals_flag != 0) {
            err_set(e, "interrupted", "interrupted");
            return NULL; /* broker_free ends the audit */
        }
    }
    buf payload = BUF_INIT;
    json_t *answer = job_answer(j, &payload, e);
    note_audit(b, j, answer);
    buf_free(&payload);
    return answer;
}
