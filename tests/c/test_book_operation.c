/* The book of an operation: a step begins when it is on record, and nothing that a worker sends turns an end into a
 * beginning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>

#include "run/book.h"

static json_t *head;
static json_t *config;

static book *new_book(bool operation, bool dry_run) {
    book_options o = {.head = head, .config = config, .operation = operation, .dry_run = dry_run};
    book *b = book_new(&o);
    assert_non_null(b);
    return b;
}

static int setup(void **state) {
    head = json_loads("{\"id\": \"op\", \"name\": \"Op\", \"pass\": \"Done\", \"failures\": {"
                      "\"rule\": {\"text\": \"%s is forbidden\", \"fix\": \"Ask\"},"
                      "\"hint\": {\"text\": \"a hint\", \"severity\": \"advisory\"}}}",
                      0, NULL);
    config = json_loads("{}", 0, NULL);
    if (head == NULL || config == NULL) {
        return -1;
    }
    *state = new_book(true, false);
    return 0;
}

static int teardown(void **state) {
    book_free(*state);
    json_decref(head);
    json_decref(config);
    return 0;
}

/* One event; "" or the code it was refused with. */
static const char *take(book *b, const char *event) {
    static err e;
    err_clear(&e);
    json_t *parsed = json_loads(event, 0, NULL);
    assert_non_null(parsed);
    int rc = book_event(b, parsed, &e);
    json_decref(parsed);
    return rc == 0 ? "" : e.code;
}

/* Asks for a step; "" where it may begin. */
static const char *ask(book *b, const char *title) {
    static err e;
    err_clear(&e);
    json_t *request = json_pack("{s:s?}", "name", title);
    int rc = book_step(b, request, &e);
    json_decref(request);
    return rc == 0 ? "" : e.code;
}

#define END(name) "{\"t\":\"check_end\",\"check\":\"" name "\"}"
#define DONE "{\"t\":\"done\"}"
#define REFUSE "{\"t\":\"refusal\",\"class\":\"rule\",\"object\":\"this\"}"

static void take_all(book *b, const char *const *events) {
    for (; *events != NULL; events++) {
        assert_string_equal(take(b, *events), "");
    }
}
#define TAKE(b, ...) take_all(b, (const char *const[]){__VA_ARGS__, NULL})

static const char *text(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "(none)";
}

/* Closes the book: its status, how many entries it has, and of the last one class and step. */
static void expect(book *b, const char *status, size_t entries, const char *class, const char *step) {
    json_t *closed = book_close(b, 1.0, NULL);
    assert_non_null(closed);
    const json_t *checks = json_object_get(closed, "checks");
    const json_t *last = json_array_get(checks, json_array_size(checks) - 1);
    assert_string_equal(text(closed, "status"), status);
    assert_int_equal(json_array_size(checks), entries);
    assert_string_equal(text(last, "class"), class);
    assert_string_equal(text(last, "step"), step);
    json_decref(closed);
}

static void steps_one_after_another_are_done(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, END("one"));
    assert_string_equal(ask(b, "two"), "");
    TAKE(b, END("two"), DONE);
    expect(b, "PASS", 2, "(none)", "done");
}

static void a_step_that_did_not_end_may_be_done_in_part(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, DONE);
    expect(b, "ERROR", 1, "step_unfinished", "failed");
}

static void a_step_begins_by_no_event(void **state) {
    book *b = *state;
    assert_string_equal(take(b, "{\"t\":\"step\",\"name\":\"one\"}"), "event_type");
    TAKE(b, "{\"t\":\"check\",\"name\":\"one\",\"step\":true}", END("one"), DONE);
    expect(b, "ERROR", 2, "nothing_done", "(none)");
}

static void a_step_has_a_title_of_its_own_and_no_other_runs_meanwhile(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, NULL), "check_name");
    assert_string_equal(ask(b, ""), "check_name");
    assert_string_equal(ask(b, "one"), "");
    assert_string_equal(ask(b, "two"), "event_order");
    TAKE(b, END("one"));
    assert_string_equal(ask(b, "one"), "check_name");
    TAKE(b, DONE);
    assert_string_equal(ask(b, "late"), "event_order");
    expect(b, "PASS", 1, "(none)", "done");
}

static void after_a_refusal_no_step_begins(void **state) {
    book *b = *state;
    TAKE(b, REFUSE);
    assert_string_equal(ask(b, "one"), "step_stopped");
    assert_string_equal(take(b, REFUSE), "event_order");
    assert_string_equal(take(b, "{\"t\":\"unchanged\",\"reason\":\"x\"}"), "event_order");
    TAKE(b, "{\"t\":\"ended\"}", DONE);
    expect(b, "FAIL", 1, "rule", "(none)");
}

static void a_refusal_inside_of_a_step_is_that_steps(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, "{\"t\":\"refusal\",\"class\":\"rule\",\"check\":\"one\"}", END("one"), DONE);
    expect(b, "FAIL", 1, "rule", "failed");
}

static void a_refusal_that_names_what_is_not_open_counts_all_the_same(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, END("one"), "{\"t\":\"refusal\",\"class\":\"rule\",\"check\":\"one\"}", DONE);
    expect(b, "FAIL", 2, "rule", "(none)");
}

static void a_refusal_refuses_whatever_its_severity_and_only_by_a_declared_rule(void **state) {
    book *b = *state;
    assert_string_equal(take(b, "{\"t\":\"refusal\",\"class\":\"other\"}"), "failure_unknown");
    assert_string_equal(take(b, "{\"t\":\"refusal\"}"), "failure_unknown");
    TAKE(b, "{\"t\":\"refusal\",\"class\":\"hint\",\"severity\":\"note\"}", DONE);
    expect(b, "FAIL", 1, "hint", "(none)");
}

static void what_fails_before_it_keeps_a_step_from_beginning(void **state) {
    (void)state;
    static const char *const WAYS[] = {"{\"t\":\"finding\",\"check\":\"a\",\"class\":\"rule\"}",
                                       "{\"t\":\"check_error\",\"check\":\"a\",\"error\":{\"code\":\"x\"}}",
                                       "{\"t\":\"skip\",\"check\":\"a\",\"reason\":\"x\",\"absent\":\"no.key\"}"};
    for (size_t i = 0; i < 3; i++) {
        book *b = new_book(true, false);
        TAKE(b, "{\"t\":\"check\",\"name\":\"a\"}", WAYS[i], END("a"));
        assert_string_equal(ask(b, "one"), "step_stopped");
        book_free(b);
    }
    book *b = new_book(true, false);
    err why;
    err_set(&why, "script_usage", "misuse");
    book_crash(b, &why);
    assert_string_equal(ask(b, "one"), "step_stopped");
    book_free(b);
}

static void an_advisory_keeps_no_step_from_beginning(void **state) {
    book *b = *state;
    TAKE(b, "{\"t\":\"check\",\"name\":\"a\"}", "{\"t\":\"finding\",\"check\":\"a\",\"class\":\"hint\"}", END("a"));
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, END("one"), DONE);
    expect(b, "PASS", 2, "(none)", "done");
}

static void a_step_that_found_something_is_not_done_in_any_of_its_entries(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, "{\"t\":\"finding\",\"check\":\"one\",\"class\":\"rule\"}",
         "{\"t\":\"finding\",\"check\":\"one\",\"class\":\"hint\"}", END("one"), DONE);
    expect(b, "FAIL", 2, "hint", "failed");
}

static void nothing_to_do_is_said_once_for_all(void **state) {
    book *b = *state;
    assert_string_equal(take(b, "{\"t\":\"unchanged\"}"), "event_order");
    TAKE(b, "{\"t\":\"unchanged\",\"reason\":\"so already\"}");
    assert_string_equal(ask(b, "one"), "event_order");
    TAKE(b, DONE);
    expect(b, "PASS", 1, "(none)", "(none)");
}

static void nothing_to_do_is_not_said_after_a_step(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, END("one"));
    assert_string_equal(take(b, "{\"t\":\"unchanged\",\"reason\":\"x\"}"), "event_order");
}

static void silence_is_an_error_and_a_passing_check_is_no_word(void **state) {
    book *b = *state;
    TAKE(b, "{\"t\":\"check\",\"name\":\"a\"}", END("a"), DONE);
    expect(b, "ERROR", 2, "nothing_done", "(none)");
}

static void an_early_end_needs_its_reason_on_record(void **state) {
    book *b = *state;
    assert_string_equal(ask(b, "one"), "");
    TAKE(b, END("one"));
    assert_string_equal(take(b, "{\"t\":\"ended\"}"), "event_order");
}

static void in_a_dry_run_steps_are_told_and_over(void **state) {
    (void)state;
    book *b = new_book(true, true);
    assert_string_equal(ask(b, "one"), "");
    assert_null(book_open_check(b));
    assert_string_equal(take(b, END("one")), "event_order");
    assert_string_equal(ask(b, "two"), "");
    TAKE(b, DONE);
    expect(b, "PASS", 2, "(none)", "would");
    book_free(b);
}

static void a_gate_has_none_of_this(void **state) {
    (void)state;
    book *b = new_book(false, false);
    assert_string_equal(ask(b, "one"), "event_order");
    assert_string_equal(take(b, REFUSE), "event_type");
    assert_string_equal(take(b, "{\"t\":\"unchanged\",\"reason\":\"x\"}"), "event_type");
    assert_string_equal(take(b, "{\"t\":\"ended\"}"), "event_type");
    TAKE(b, DONE);
    expect(b, "ERROR", 1, "nothing_checked", "(none)");
    book_free(b);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(steps_one_after_another_are_done),
        T(a_step_that_did_not_end_may_be_done_in_part),
        T(a_step_begins_by_no_event),
        T(a_step_has_a_title_of_its_own_and_no_other_runs_meanwhile),
        T(after_a_refusal_no_step_begins),
        T(a_refusal_inside_of_a_step_is_that_steps),
        T(a_refusal_that_names_what_is_not_open_counts_all_the_same),
        T(a_refusal_refuses_whatever_its_severity_and_only_by_a_declared_rule),
        T(what_fails_before_it_keeps_a_step_from_beginning),
        T(an_advisory_keeps_no_step_from_beginning),
        T(a_step_that_found_something_is_not_done_in_any_of_its_entries),
        T(nothing_to_do_is_said_once_for_all),
        T(nothing_to_do_is_not_said_after_a_step),
        T(silence_is_an_error_and_a_passing_check_is_no_word),
        T(an_early_end_needs_its_reason_on_record),
        T(in_a_dry_run_steps_are_told_and_over),
        T(a_gate_has_none_of_this),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
