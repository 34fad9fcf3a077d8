/* The broker: what a gate may ask for, each way it can end, and that nothing but an end that is known is a success. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/fs.h"
#include "run/broker.h"
#include "run/signals.h"

static json_t *commands, *audits, *hosts;
static char *audit_program;

static const char COMMANDS[] = "{\"cat\": {\"argv\": [\"cat\"]},"
                               " \"args\": {\"argv\": [\"sh\", \"-c\", \"printf '[%s]' \\\"$@\\\"\", \"sh\"]},"
                               " \"seven\": {\"argv\": [\"sh\", \"-c\", \"echo out; echo err >&2; exit 7\"]},"
                               " \"killed\": {\"argv\": [\"sh\", \"-c\", \"kill -TERM $$\"]},"
                               " \"slow\": {\"argv\": [\"sleep\", \"300\"], \"wall_s\": 0.2},"
                               " \"flood\": {\"argv\": [\"cat\", \"/dev/zero\"]},"
                               " \"noisy\": {\"argv\": [\"sh\", \"-c\", \"head -c 3000000 /dev/zero >&2; echo end\"]},"
                               " \"behind\": {\"argv\": [\"sh\", \"-c\", \"sleep 300 & echo done\"]},"
                               " \"env\": {\"argv\": [\"env\"], \"env\": {\"MINE\": \"1\"}},"
                               " \"neighbours\": {\"argv\": [\"sh\", \"-c\", \"n=0; "
                               "for p in $(cat /proc/$PPID/task/$PPID/children); do "
                               "[ $p = $$ ] && continue; n=$((n + 1)); "
                               "until read -r _ _ _ _ _ _ _ _ _ _ _ _ _ used _ </proc/$p/stat && [ $used -gt 1 ]; "
                               "do :; done; done; echo $n\"]},"
                               " \"missing\": {\"argv\": [\"/nonexistent/solver\"]}}";

/* The bodies of audits 0 to 4; 5 is no audit, 6 could not be read, 7 asks for two earlier weeks of a roster. */
static const char *const BODIES[] = {
    "",
    "report:violation { object = plan.who, detail = 'seen' }",
    "error('broken')",
    "while true do end",
    "local t = {} pcall(function() while true do t[#t + 1] = ('x'):rep(100000) .. #t end end)",
};

static json_t *make_audits(void) {
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++) {
        json_t *source = json_sprintf("return { name = 'a', audit = function(plan, report) %s end }", BODIES[i]);
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", "a", "path", "a.lua", "source", source));
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", "b", "path", "b.lua", "source", "return 7"));
    json_array_append_new(list, json_pack("{s:s, s:s, s:{s:s, s:s}}", "name", "c", "path", "c.lua", "error", "code",
                                          "script_syntax", "message", "no"));
    static const char WEEKS[] =
        "return { name = 'd', audit = function(plan, report) report:violation { object = #plan.history } end }";
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", "d", "path", "d.lua", "source", WEEKS,
                                          "pack", "roster", "history", 2));
    return list;
}

static int setup(void **state) {
    commands = json_loads(COMMANDS, 0, NULL);
    audits = make_audits();
    hosts = json_pack("[s, s]", "localhost", "name.invalid");
    const char *build = getenv("BUILD");
    audit_program = fs_join(build != NULL ? build : "build", "gate-audit");
    broker_options o = {.commands = commands,
                        .audits = audits,
                        .hosts = hosts,
                        .audit_program = audit_program,
                        .audit_memory = 32u << 20,
                        .audit_wall_s = 5};
    *state = broker_new(&o);
    err e;
    return commands != NULL && audits != NULL && hosts != NULL && *state != NULL ? signals_install(&e) : -1;
}

static int teardown(void **state) {
    broker_free(*state);
    json_decref(commands);
    json_decref(audits);
    json_decref(hosts);
    free(audit_program);
    return 0;
}

/* Asks and waits for the one reply; its payload goes to `payload` (may be NULL). */
static json_t *ask(broker *b, json_t *request, const char *input, buf *payload) {
    buf in = BUF_INIT;
    buf out = BUF_INIT;
    buf unwanted = BUF_INIT;
    err e;
    assert_non_null(request);
    assert_int_equal(buf_puts(&in, input), 0);
    assert_int_equal(json_object_set_new(request, "id", json_integer(42)), 0);
    assert_int_equal(broker_request(b, request, &in, &out, &e), 0);
    json_decref(request);
    buf_free(&in);
    json_t *reply = NULL;
    int rc;
    while ((rc = frame_take(&out, &reply, payload != NULL ? payload : &unwanted, &e)) == 0) {
        struct pollfd p[BROKER_POLL_MAX];
        size_t n = broker_poll(b, p, BROKER_POLL_MAX);
        int64_t deadline = broker_deadline(b);
        assert_true(n > 0 && deadline != INT64_MAX);
        int64_t left = deadline - clock_ms();
        (void)poll(p, n, left > 0 ? (int)left + 1 : 0);
        broker_step(b, &out);
    }
    assert_int_equal(rc, 1);
    assert_int_equal(out.len, 0);
    assert_int_equal(json_integer_value(json_object_get(reply, "id")), 42);
    buf_free(&out);
    buf_free(&unwanted);
    return reply;
}

static json_t *ask_exec(broker *b, const char *name, const char *input, buf *payload) {
    return ask(b, json_pack("{s:s, s:s}", "op", "exec", "command", name), input, payload);
}

static json_t *ask_audit(broker *b, int index, const char *plan) {
    return ask(b, json_pack("{s:s, s:i}", "op", "audit", "audit", index), plan, NULL);
}

static const char *text(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "";
}

static void refused(json_t *reply, const char *code) {
    assert_true(json_is_false(json_object_get(reply, "ok")));
    assert_string_equal(text(json_object_get(reply, "error"), "code"), code);
    json_decref(reply);
}

static void a_command_gets_its_input_and_gives_its_output(void **state) {
    buf got = BUF_INIT;
    json_t *r = ask_exec(*state, "cat", "line 1\nline 2", &got);
    assert_true(json_is_true(json_object_get(r, "ok")));
    assert_int_equal(json_integer_value(json_object_get(r, "exit")), 0);
    assert_true(json_is_null(json_object_get(r, "signal")));
    assert_string_equal(buf_str(&got), "line 1\nline 2");
    json_decref(r);
    buf_free(&got);
}

static void more_input_than_a_pipe_holds_comes_back_whole(void **state) {
    size_t n = 3u << 20;
    char *big = malloc(n + 1);
    assert_non_null(big);
    memset(big, 'x', n);
    big[n] = '\0';
    buf got = BUF_INIT;
    json_t *r = ask_exec(*state, "cat", big, &got);
    assert_int_equal(got.len, n);
    assert_memory_equal(buf_str(&got), big, n);
    json_decref(r);
    buf_free(&got);
    free(big);
}

static void arguments_are_appended_unchanged(void **state) {
    buf got = BUF_INIT;
    json_t *r = ask(*state, json_pack("{s:s, s:s, s:[s, s]}", "op", "exec", "command", "args", "args", "a b", "$(id)"),
                    "", &got);
    assert_string_equal(buf_str(&got), "[a b][$(id)]");
    json_decref(r);
    buf_free(&got);
}

static void an_exit_is_told_with_both_outputs(void **state) {
    buf got = BUF_INIT;
    json_t *r = ask_exec(*state, "seven", "", &got);
    assert_int_equal(json_integer_value(json_object_get(r, "exit")), 7);
    assert_int_equal(json_integer_value(json_object_get(r, "stdout_len")), 4);
    assert_int_equal(json_integer_value(json_object_get(r, "stderr_len")), 4);
    assert_string_equal(buf_str(&got), "out\nerr\n");
    json_decref(r);
    buf_free(&got);
}

static void a_signal_is_no_exit(void **state) {
    json_t *r = ask_exec(*state, "killed", "", NULL);
    assert_true(json_is_null(json_object_get(r, "exit")));
    assert_int_equal(json_integer_value(json_object_get(r, "signal")), SIGTERM);
    json_decref(r);
}

static void a_command_over_its_time_is_ended(void **state) {
    refused(ask_exec(*state, "slow", "", NULL), "exec_timeout");
}

static void a_command_that_writes_without_end_is_ended(void **state) {
    refused(ask_exec(*state, "flood", "", NULL), "exec_limit");
}

static void much_on_standard_error_does_not_end_a_command(void **state) {
    buf got = BUF_INIT;
    json_t *r = ask_exec(*state, "noisy", "", &got);
    assert_int_equal(json_integer_value(json_object_get(r, "exit")), 0);
    assert_int_equal(json_integer_value(json_object_get(r, "stdout_len")), 4);
    assert_int_equal(json_integer_value(json_object_get(r, "stderr_len")), 256 << 10);
    json_decref(r);
    buf_free(&got);
}

static void what_a_command_leaves_behind_does_not_hold_up_its_answer(void **state) {
    buf got = BUF_INIT;
    json_t *r = ask_exec(*state, "behind", "", &got);
    assert_string_equal(buf_str(&got), "done\n");
    json_decref(r);
    buf_free(&got);
}

static void a_command_that_does_not_start_says_so(void **state) {
    refused(ask_exec(*state, "missing", "", NULL), "exec_failed_to_start");
}

static void what_is_not_declared_is_refused(void **state) {
    refused(ask_exec(*state, "rm", "", NULL), "exec_not_declared");
    refused(ask(*state, json_pack("{s:s, s:s}", "op", "resolve", "host", "example.org"), "", NULL),
            "resolve_not_declared");
    refused(ask(*state, json_pack("{s:s}", "op", "reboot"), "", NULL), "broker_op");
    refused(ask_audit(*state, 99, "{}"), "audit_unknown");
    refused(ask_audit(*state, -1, "{}"), "audit_unknown");
}

/* 79 bytes and then a letter of two: cut after 80 bytes it would be no UTF-8, and a reply that cannot be written would
 * keep the worker waiting. */
static void a_name_that_is_cut_within_a_letter_is_answered(void **state) {
    char name[128];
    memset(name, 'x', 79);
    strcpy(name + 79, "\xc3\xa9\xc3\xa9");
    refused(ask_exec(*state, name, "", NULL), "exec_not_declared");
}

static void a_request_without_a_number_is_malformed(void **state) {
    json_t *request = json_pack("{s:s}", "op", "exec");
    buf none = BUF_INIT;
    err e;
    assert_int_equal(broker_request(*state, request, &none, &none, &e), -1);
    json_decref(request);
}

static void a_gate_cannot_choose_what_a_command_loads(void **state) {
    buf got = BUF_INIT;
    setenv("BROKER_TEST_SECRET", "hunter2", 1);
    json_t *r = ask(*state,
                    json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s}}}", "op", "exec", "command", "env", "perturb",
                              "env", "TZ", "GEA-14", "LD_PRELOAD", "/tmp/mine.so", "PATH", "/tmp", "MINE", "2"),
                    "", &got);
    unsetenv("BROKER_TEST_SECRET");
    assert_non_null(strstr(buf_str(&got), "TZ=GEA-14\n"));
    assert_non_null(strstr(buf_str(&got), "MINE=1\n"));
    assert_null(strstr(buf_str(&got), "LD_PRELOAD"));
    assert_null(strstr(buf_str(&got), "PATH=/tmp"));
    assert_null(strstr(buf_str(&got), "BROKER_TEST_SECRET"));
    const json_t *perturb = json_object_get(r, "perturb");
    assert_int_equal(json_object_size(json_object_get(json_object_get(perturb, "applied"), "env")), 1);
    assert_int_equal(json_object_size(json_object_get(perturb, "not_applied")), 3);
    json_decref(r);
    buf_free(&got);
}

/* The command counts the processes beside it that use processor time, and waits for each to have used some. */
static void a_command_runs_beside_busy_neighbours_where_it_is_asked_for(void **state) {
    buf out = BUF_INIT;
    cpu_set_t may;
    assert_int_equal(sched_getaffinity(0, sizeof may, &may), 0);
    int processors = CPU_COUNT(&may);
    json_decref(ask(*state, json_pack("{s:s, s:s}", "op", "exec", "command", "neighbours"), "", &out));
    assert_string_equal(buf_str(&out), "0\n");
    buf_reset(&out);
    json_t *r = ask(
        *state,
        json_pack("{s:s, s:s, s:{s:b, s:i}}", "op", "exec", "command", "neighbours", "perturb", "load", 1, "cpu", 1),
        "", &out);
    assert_string_equal(buf_str(&out), "1\n"); /* on the command's own processor */
    assert_true(json_is_true(json_object_get(json_object_get(json_object_get(r, "perturb"), "applied"), "load")));
    json_decref(r);
    buf_reset(&out);
    json_decref(ask(*state,
                    json_pack("{s:s, s:s, s:{s:b}}", "op", "exec", "command", "neighbours", "perturb", "load", 1), "",
                    &out));
    assert_int_equal(strtol(buf_str(&out), NULL, 10), processors < 8 ? processors : 8); /* on every processor */
    buf_free(&out);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* they are gone with it */
    assert_int_equal(errno, ECHILD);
}

static void localhost_resolves_and_an_invalid_name_does_not(void **state) {
    json_t *r = ask(*state, json_pack("{s:s, s:s}", "op", "resolve", "host", "localhost"), "", NULL);
    const json_t *list = json_object_get(r, "addresses");
    assert_true(json_array_size(list) > 0);
    bool loopback = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *address = json_string_value(json_array_get(list, i));
        loopback = loopback || strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::1") == 0;
    }
    assert_true(loopback);
    json_decref(r);
    refused(ask(*state, json_pack("{s:s, s:s}", "op", "resolve", "host", "name.invalid"), "", NULL), "resolve_failed");
}

static void an_audit_passes_or_names_its_violations(void **state) {
    json_t *r = ask_audit(*state, 0, "{}");
    assert_string_equal(text(r, "status"), "PASS");
    assert_string_equal(text(r, "name"), "a");
    json_decref(r);
    r = ask_audit(*state, 1, "{\"who\": \"D001\"}");
    assert_string_equal(text(r, "status"), "FAIL");
    const json_t *first = json_array_get(json_object_get(r, "violations"), 0);
    assert_string_equal(text(first, "object"), "D001");
    assert_string_equal(text(first, "detail"), "seen");
    json_decref(r);
}

static void is_error(json_t *r, const char *code) {
    assert_string_equal(text(r, "status"), "ERROR");
    assert_string_equal(text(json_object_get(r, "error"), "code"), code);
    json_decref(r);
}

static void an_audit_that_fails_itself_is_an_error(void **state) {
    is_error(ask_audit(*state, 2, "{}"), "script_error");
    is_error(ask_audit(*state, 5, "{}"), "audit_shape");
    is_error(ask_audit(*state, 0, "{\"a\": "), "audit_plan");
    refused(ask_audit(*state, 6, "{}"), "script_syntax");
}

#define DAY(n, name, date) "{\"day\":" n ",\"weekday\":\"" name "\",\"date\":\"" date "\"}"
/* clang-format off */
#define WEEK(iso, mon, tue, wed, thu, fri, sat, sun, more)                                                             \
    "{\"schema\":\"gate-engine/audit-plan/1\",\"pack\":\"roster\",\"week\":{\"iso\":\"2026-" iso "\",\"days\":["         \
    DAY("1", "monday", "2026-" mon) "," DAY("2", "tuesday", "2026-" tue) "," DAY("3", "wednesday", "2026-" wed) ","    \
    DAY("4", "thursday", "2026-" thu) "," DAY("5", "friday", "2026-" fri) "," DAY("6", "saturday", "2026-" sat) ","    \
    DAY("7", "sunday", "2026-" sun) "]},\"drivers\":[],\"assignments\":[]" more "}"
/* clang-format on */
#define W09 WEEK("W09", "02-23", "02-24", "02-25", "02-26", "02-27", "02-28", "03-01", "")
#define W10 WEEK("W10", "03-02", "03-03", "03-04", "03-05", "03-06", "03-07", "03-08", "")
#define W11 WEEK("W11", "03-09", "03-10", "03-11", "03-12", "03-13", "03-14", "03-15", "")
#define W12(more) WEEK("W12", "03-16", "03-17", "03-18", "03-19", "03-20", "03-21", "03-22", more)

/* Whatever gate hands it over, and however. */
static void an_audit_gets_the_weeks_it_asks_for_or_is_an_error(void **state) {
    is_error(ask_audit(*state, 7, W12("")), "history_short");
    is_error(ask_audit(*state, 7, W12(",\"history\":[" W11 "]")), "history_short");
    is_error(ask_audit(*state, 7, W12(",\"history\":[" W10 "," W11 "]")), "plan_history");
    is_error(ask_audit(*state, 7, "{\"pack\":\"routing\"}"), "audit_pack");
    is_error(ask_audit(*state, 7, "{}"), "audit_pack");
    json_t *r = ask_audit(*state, 7, W12(",\"history\":[" W11 "," W10 "," W09 "]"));
    assert_string_equal(text(r, "status"), "FAIL");
    assert_string_equal(text(json_array_get(json_object_get(r, "violations"), 0), "object"), "2");
    json_decref(r);
}

static void an_audit_over_its_memory_is_an_error_even_when_it_goes_on(void **state) {
    is_error(ask_audit(*state, 4, "{}"), "script_memory");
}

static broker *with_program(const char *program, double wall_s) {
    broker_options o = {.commands = commands,
                        .audits = audits,
                        .hosts = hosts,
                        .audit_program = program,
                        .audit_memory = 32u << 20,
                        .audit_wall_s = wall_s};
    broker *b = broker_new(&o);
    assert_non_null(b);
    return b;
}

static void an_audit_over_its_time_is_an_error(void **state) {
    (void)state;
    broker *b = with_program(audit_program, 0.3);
    refused(ask_audit(b, 3, "{}"), "audit_timeout");
    broker_free(b);
}

static void an_audit_program_without_a_verdict_is_an_error(void **state) {
    (void)state;
    broker *b = with_program("/bin/true", 5);
    refused(ask_audit(b, 0, "{}"), "audit_crash");
    broker_free(b);
    b = with_program("/bin/false", 5);
    refused(ask_audit(b, 0, "{}"), "audit_crash");
    broker_free(b);
    b = with_program("/nonexistent/gate-audit", 5);
    refused(ask_audit(b, 0, "{}"), "exec_failed_to_start");
    broker_free(b);
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

static void nothing_stays_open_even_of_what_still_runs(void **state) {
    (void)state;
    size_t before = open_descriptors();
    broker *b = with_program(audit_program, 5);
    json_decref(ask_exec(b, "cat", "x", NULL));
    json_decref(ask_exec(b, "missing", "", NULL));
    json_decref(ask_audit(b, 0, "{}"));
    json_t *request = json_pack("{s:s, s:s, s:i}", "op", "exec", "command", "slow", "id", 1);
    buf none = BUF_INIT;
    err e;
    for (int i = 0; i < BROKER_JOBS_MAX; i++) {
        assert_int_equal(broker_request(b, request, &none, &none, &e), 0);
    }
    assert_int_equal(none.len, 0);
    struct pollfd p[BROKER_POLL_MAX];
    assert_int_equal(broker_poll(b, p, BROKER_POLL_MAX), BROKER_POLL_MAX);
    assert_int_equal(broker_request(b, request, &none, &none, &e), 0);
    json_t *reply = NULL;
    assert_int_equal(frame_take(&none, &reply, NULL, &e), 1);
    refused(reply, "broker_busy");
    json_decref(request);
    buf_free(&none);
    broker_free(b);
    assert_int_equal(open_descriptors(), before);
}

static void requests_hold_no_more_bytes_than_their_bound(void **state) {
    (void)state;
    broker *b = with_program(audit_program, 5);
    json_t *request = json_pack("{s:s, s:s, s:i}", "op", "exec", "command", "slow", "id", 1);
    buf payload = BUF_INIT;
    buf out = BUF_INIT;
    err e;
    enum { EACH = 60 << 20 };
    assert_non_null(buf_reserve(&payload, EACH));
    memset(payload.data, 'x', EACH);
    payload.len = EACH;
    for (size_t n = 0; n + EACH <= BROKER_BYTES_MAX; n += EACH) {
        assert_int_equal(broker_request(b, request, &payload, &out, &e), 0);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(broker_request(b, request, &payload, &out, &e), 0);
    json_t *reply = NULL;
    assert_int_equal(frame_take(&out, &reply, NULL, &e), 1);
    refused(reply, "broker_busy");
    json_decref(request);
    buf_free(&payload);
    buf_free(&out);
    broker_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_gets_its_input_and_gives_its_output),
        cmocka_unit_test(more_input_than_a_pipe_holds_comes_back_whole),
        cmocka_unit_test(arguments_are_appended_unchanged),
        cmocka_unit_test(an_exit_is_told_with_both_outputs),
        cmocka_unit_test(a_signal_is_no_exit),
        cmocka_unit_test(a_command_over_its_time_is_ended),
        cmocka_unit_test(a_command_that_writes_without_end_is_ended),
        cmocka_unit_test(much_on_standard_error_does_not_end_a_command),
        cmocka_unit_test(what_a_command_leaves_behind_does_not_hold_up_its_answer),
        cmocka_unit_test(a_command_that_does_not_start_says_so),
        cmocka_unit_test(what_is_not_declared_is_refused),
        cmocka_unit_test(a_name_that_is_cut_within_a_letter_is_answered),
        cmocka_unit_test(a_request_without_a_number_is_malformed),
        cmocka_unit_test(a_gate_cannot_choose_what_a_command_loads),
        cmocka_unit_test(a_command_runs_beside_busy_neighbours_where_it_is_asked_for),
        cmocka_unit_test(localhost_resolves_and_an_invalid_name_does_not),
        cmocka_unit_test(an_audit_passes_or_names_its_violations),
        cmocka_unit_test(an_audit_that_fails_itself_is_an_error),
        cmocka_unit_test(an_audit_gets_the_weeks_it_asks_for_or_is_an_error),
        cmocka_unit_test(an_audit_over_its_memory_is_an_error_even_when_it_goes_on),
        cmocka_unit_test(an_audit_over_its_time_is_an_error),
        cmocka_unit_test(an_audit_program_without_a_verdict_is_an_error),
        cmocka_unit_test(nothing_stays_open_even_of_what_still_runs),
        cmocka_unit_test(requests_hold_no_more_bytes_than_their_bound),
    };
    return cmocka_run_group_tests_name("broker", tests, setup, teardown);
}
