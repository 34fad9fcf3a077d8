/* The pool: each way a worker can end, and that none of them but a full run is a pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "run/pool.h"
#include "run/signals.h"

#define HEAD "{\"id\": \"g\", \"name\": \"G\", \"pass\": \"Fine\", \"failures\": {\"odd\": {\"text\": \"%s is odd\"}}}"
#define JOB                                                                                                            \
    "{\"mode\": \"run\", \"tenant\": {\"code\": \"demo\"}, \"options\": {}, \"config\": {}, \"db\": {}, "              \
    "\"endpoints\": {}, \"stores\": {}, \"files\": {}, \"commands\": [], \"failures\": {}, \"platform\": {\"kind\": "  \
    "\"embedded\"}}"

/* Where the scripts are; the workers may read it and the tree alone. */
static char dir[64];
static char *stdlib, *modules;
static ring_path readable[3];
static json_t *job, *head;

static json_t *sources; /* of every gate of these tests */

static int setup(void **state) {
    (void)state;
    const char *build = getenv("BUILD");
    char here[4096];
    snprintf(dir, sizeof dir, "/tmp/test-pool-XXXXXX");
    char *build_dir = getcwd(here, sizeof here) != NULL ? fs_join(here, build != NULL ? build : "build") : NULL;
    stdlib = fs_join(here, "stdlib");
    modules = build_dir != NULL ? fs_join(build_dir, "modules") : NULL;
    free(build_dir);
    job = json_loads(JOB, 0, NULL);
    head = json_loads(HEAD, 0, NULL);
    sources = json_array();
    err e;
    if (stdlib == NULL || modules == NULL || job == NULL || head == NULL || mkdtemp(dir) == NULL) {
        return -1;
    }
    readable[0] = (ring_path){.path = stdlib};
    readable[1] = (ring_path){.path = modules};
    readable[2] = (ring_path){.path = dir};
    return signals_install(&e);
}

static int teardown(void **state) {
    (void)state;
    err e;
    free(stdlib);
    free(modules);
    json_decref(job);
    json_decref(head);
    json_decref(sources);
    return fs_remove_tree(dir, &e);
}

static int forget_signal(void **state) {
    (void)state;
    signals_flag = 0;
    return 0;
}

typedef struct gate {
    char path[128];
    book *book;
} gate;

/* A task whose script's run function has this body. */
static pool_task task(gate *g, int number, const char *body) {
    char text[1024];
    err e;
    snprintf(g->path, sizeof g->path, "%s/g%d.lua", dir, number);
    snprintf(text, sizeof text,
             "return require('gate').define { api = 1, id = 'g', name = 'G', purpose = 'p', pass = 'Fine', "
             "failures = {}, run = function(ctx) %s end }\n",
             body);
    /* What is run is the text; another one in the file does not matter. */
    assert_int_equal(fs_write_atomic(g->path, "error('the file was read')", 26, 0644, &e), 0);
    json_t *source = json_string(text);
    assert_int_equal(json_array_append_new(sources, source), 0);
    book_options o = {.head = head};
    g->book = book_new(&o);
    assert_non_null(g->book);
    return (pool_task){.id = "g",
                       .worker = {.job = job,
                                  .script = g->path,
                                  .source = source,
                                  .stdlib_dir = stdlib,
                                  .modules_dir = modules,
                                  .memory_bytes = 32u << 20,
                                  .paths = readable,
                                  .npaths = 3},
                       .book = g->book,
                       .wall_s = 60,
                       .cpu_s = 30};
}

/* Closes the book of a task that ran: its status, and the class of its last check. */
static void expect(pool_task *t, const char *status, const char *class) {
    json_t *closed = book_close(t->book, t->duration_ms, t->limits);
    t->limits = NULL;
    assert_non_null(closed);
    assert_string_equal(json_string_value(json_object_get(closed, "status")), status);
    const json_t *checks = json_object_get(closed, "checks");
    const json_t *last = json_array_get(checks, json_array_size(checks) - 1);
    const char *found = json_string_value(json_object_get(last, "class"));
    assert_string_equal(found != NULL ? found : "(none)", class);
    json_decref(closed);
    book_free(t->book);
    t->book = NULL;
}

static void run_one(const char *body, double wall_s, uint64_t cpu_s, const char *status, const char *class) {
    gate g;
    err e;
    pool_task t = task(&g, 0, body);
    t.wall_s = wall_s;
    t.cpu_s = cpu_s;
    assert_int_equal(pool_run(&t, 1, 1, NULL, &e), 0);
    assert_true(t.started && t.finished && !t.interrupted);
    assert_true(json_is_object(t.limits));
    expect(&t, status, class);
}

static void a_gate_that_runs_to_its_end_passes(void **state) {
    (void)state;
    run_one("ctx:check('a', function() end)", 60, 30, "PASS", "(none)");
}

static void a_gate_without_a_check_does_not_pass(void **state) {
    (void)state;
    run_one("", 60, 30, "ERROR", "nothing_checked");
}

static void a_gate_over_its_time_is_an_error(void **state) {
    (void)state;
    run_one("ctx:check('a', function() end) while true do end", 0.5, 30, "ERROR", "gate_timeout");
}

static void a_gate_over_its_processor_time_is_an_error(void **state) {
    (void)state;
    run_one("ctx:check('a', function() end) while true do end", 60, 1, "ERROR", "gate_cpu");
}

static void a_gate_that_talks_without_end_is_ended(void **state) {
    (void)state;
    run_one("ctx:check('a', function() end) while true do ctx:log(('x'):rep(1000)) end", 60, 30, "ERROR",
            "event_flood");
    run_one("ctx:check('a', function() end) while true do print(('x'):rep(1000)) end", 60, 30, "ERROR", "print_flood");
}

static void a_gate_over_its_memory_is_an_error_even_when_it_goes_on(void **state) {
    (void)state;
    run_one("ctx:check('a', function() local t = {} "
            "pcall(function() while true do t[#t + 1] = ('x'):rep(100000) .. #t end end) end)",
            60, 30, "ERROR", "script_memory");
}

static void a_script_whose_text_was_not_read_is_an_error(void **state) {
    (void)state;
    gate g;
    err e;
    pool_task t = task(&g, 0, "");
    t.worker.source = NULL;
    assert_int_equal(pool_run(&t, 1, 1, NULL, &e), 0);
    expect(&t, "ERROR", "script_missing");
}

/* In the worker the hook kills it as the kernel would: from outside, after its last word or before. */
static void kill_group(void *ctx, size_t index, const char *check) {
    (void)index;
    if (check != NULL) {
        char pattern[64];
        snprintf(pattern, sizeof pattern, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
        FILE *children = fopen(pattern, "r");
        int pid = 0;
        assert_non_null(children);
        while (fscanf(children, "%d", &pid) == 1) {
            assert_int_equal(kill(pid, *(const int *)ctx), 0);
        }
        fclose(children);
        assert_true(pid > 0);
    }
}

static void a_worker_that_is_killed_is_an_error(void **state) {
    (void)state;
    gate g;
    err e;
    int number = SIGKILL;
    pool_hooks hooks = {.changed = kill_group, .ctx = &number};
    pool_task t = task(&g, 0, "ctx:check('a', function() while true do end end)");
    assert_int_equal(pool_run(&t, 1, 1, &hooks, &e), 0);
    expect(&t, "ERROR", "worker_crash");
}

static void interrupt_now(void *ctx, size_t index, const char *check) {
    (void)ctx;
    (void)index;
    if (check != NULL) {
        raise(SIGTERM);
    }
}

static void a_signal_ends_what_runs_and_starts_nothing_more(void **state) {
    (void)state;
    gate g[2];
    err e;
    pool_hooks hooks = {.changed = interrupt_now};
    pool_task t[2] = {task(&g[0], 0, "ctx:check('a', function() while true do end end)"),
                      task(&g[1], 1, "ctx:check('a', function() end)")};
    assert_int_equal(pool_run(t, 2, 1, &hooks, &e), 0);
    assert_true(t[0].interrupted && t[1].interrupted && t[0].started && !t[1].started);
    expect(&t[0], "ERROR", "interrupted");
    expect(&t[1], "ERROR", "interrupted");
}

typedef struct witness {
    int open[3];
    bool met_alone; /* the task that is to run alone met another */
} witness;

static void count_open(void *ctx, size_t index, const char *check) {
    witness *w = ctx;
    w->open[index] = check != NULL;
    int n = w->open[0] + w->open[1] + w->open[2];
    w->met_alone = w->met_alone || (w->open[1] && n > 1);
}

static void a_task_that_wants_to_be_alone_is(void **state) {
    (void)state;
    gate g[3];
    err e;
    witness w = {0};
    pool_hooks hooks = {.changed = count_open, .ctx = &w};
    static const char *const BODY = "ctx:check('a', function() require('task').sleep(0.05) end)";
    pool_task t[3] = {task(&g[0], 0, BODY), task(&g[1], 1, BODY), task(&g[2], 2, BODY)};
    t[1].alone = true;
    assert_int_equal(pool_run(t, 3, 3, &hooks, &e), 0);
    assert_false(w.met_alone);
    for (int i = 0; i < 3; i++) {
        expect(&t[i], "PASS", "(none)");
    }
}

static size_t open_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    size_t n = 0;
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

static void nothing_stays_open(void **state) {
    (void)state;
    size_t before = open_descriptors();
    run_one("ctx:check('a', function() end)", 60, 30, "PASS", "(none)");
    run_one("while true do end", 0.2, 30, "ERROR", "gate_timeout");
    assert_int_equal(open_descriptors(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gate_that_runs_to_its_end_passes),
        cmocka_unit_test(a_gate_without_a_check_does_not_pass),
        cmocka_unit_test(a_gate_over_its_time_is_an_error),
        cmocka_unit_test(a_gate_over_its_processor_time_is_an_error),
        cmocka_unit_test(a_gate_that_talks_without_end_is_ended),
        cmocka_unit_test(a_gate_over_its_memory_is_an_error_even_when_it_goes_on),
        cmocka_unit_test(a_script_whose_text_was_not_read_is_an_error),
        cmocka_unit_test(a_worker_that_is_killed_is_an_error),
        cmocka_unit_test_teardown(a_signal_ends_what_runs_and_starts_nothing_more, forget_signal),
        cmocka_unit_test(a_task_that_wants_to_be_alone_is),
        cmocka_unit_test(nothing_stays_open),
    };
    return cmocka_run_group_tests_name("pool", tests, setup, teardown);
}
