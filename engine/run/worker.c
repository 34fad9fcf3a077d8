#include "run/worker.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err_json.h"
#include "base/frame.h"
#include "base/fs.h"
#include "base/mem.h"
#include "vm/data.h"
#include "vm/vm.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#define CHANNEL_FD 3
#define PRINT_MAX 8192
/* What part of its memory a gate's script may fill before anything is collected: most end before. */
#define REST_PART 4

static const char RUNNER[] = "return require('internal.runner')(...)";

static void print_line(void *ctx, const char *text, size_t n) {
    (void)ctx;
    /* What cannot be written is lost: a print must not end a gate. */
    (void)fs_write_all(1, text, n < PRINT_MAX ? n : PRINT_MAX);
    (void)fs_write_all(1, "\n", 1);
}

static void send(json_t *event) {
    err ignored;
    if (event == NULL || frame_write(CHANNEL_FD, event, NULL, 0, &ignored) < 0) {
        _exit(mem_lost() > 0 ? MEM_EXIT : 1);
    }
    json_decref(event);
}

static int run(vm *v, const worker_setup *s, err *e) {
    /* The runner's arguments: the job, the script's chunk or nil, the message handler. */
    if (vm_load(v, "=runner", RUNNER, sizeof RUNNER - 1, true, e) != 0 || vm_push_json(v, s->job, e) != 0 ||
        vm_push_script(v, s->script, json_string_value(s->source), json_string_length(s->source), e) != 0) {
        return -1;
    }
    return vm_call(v, 3, 0, e);
}

/* From here on nothing of the script runs outside of the kernel's rings. */
static int enter_rings(const worker_setup *s, err *e) {
    ring_status active;
    ring_options o = {.profile = RING_GATE, .paths = s->paths, .npaths = s->npaths};
    return ring_enter(&o, &active, e);
}

_Noreturn void worker_main(const worker_setup *s) {
    err e;
    char here[PATH_MAX];
    char *script_dir = s->script != NULL ? fs_dirname(s->script) : NULL;
    vm_options o = {.profile = VM_SCRIPT,
                    .memory_bytes = s->memory_bytes,
                    .rest_bytes = s->memory_bytes / REST_PART,
                    .stdlib_dir = s->stdlib_dir,
                    .script_dir = script_dir,
                    .modules_dir = s->modules_dir,
                    .here = getcwd(here, sizeof here),
                    .print = print_line};
    vm *v = enter_rings(s, &e) == 0 ? vm_new(&o, &e) : NULL;
    int rc = v != NULL ? run(v, s, &e) : -1;
    if (rc == 0 && vm_memory_hit(v)) {
        rc = err_set(&e, "script_memory", "the script hit its memory limit of %zu MB and went on",
                     s->memory_bytes >> 20);
        err_fix(&e, "raise limits.memory_mb, or make the script use less; a swallowed limit is never a pass");
    }
    if (rc == 0) {
        rc = vm_stack_check(v, &e) != 0 ? -1 : vm_capability_check(v, &e);
    }
    if (rc == 0 && mem_lost() > 0) {
        rc = err_set(&e, "out_of_memory", "out of memory while the gate ran: what it found may not be complete");
    }
    if (rc != 0) {
        mem_explain(&e);
        send(json_pack("{s:s, s:o}", "t", "crash", "error", err_to_json(&e)));
    }
    send(json_pack("{s:s, s:I, s:I, s:I}", "t", "done", "memory_peak", (json_int_t)(v != NULL ? vm_memory_peak(v) : 0),
                   "memory_used", (json_int_t)(v != NULL ? vm_memory_used(v) : 0), "memory_limit",
                   (json_int_t)s->memory_bytes));
#if defined(__SANITIZE_ADDRESS__)
    vm_free(v); /* so that the leak check, which _exit would skip, sees what the bindings forgot */
    free(script_dir);
    __lsan_do_leak_check();
#endif
    _exit(0);
}
