/* The book: verdicts come from what was recorded, never from what a worker claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "run/book.h"

static json_t *head;
static json_t *config;

static int setup(void **state) {
    head = json_loads(
        "{\"id\": \"g\", \"name\": \"G\", \"number\": 2, \"pass\": \"Fine\", \"owner\": \"team\", \"failures\": {"
        "\"odd\": {\"text\": \"%s is odd\", \"fix\": \"Even it\", \"severity\": \"leak\"},"
        "\"pair\": {\"text\": \"%s and %s, 100%%\", \"severity\": \"leak\"},"
        "\"hint\": {\"text\": \"a hint\", \"severity\": \"advisory\"}}}",
        0, NULL);
    config = json_loads("{\"packs\": {\"roster\": {}}}", 0, NULL);
    book_options o = {.head = head, .config = config};
    *state = book_new(&o);
    return head != NULL && *state != NULL ? 0 : -1;
}

static int teardown(void **state) {
    book_free(*state);
    json_decref(head);
    json_decref(config);
    log_forget_secrets();
    return 0;
}

/* Feeds events; the last one's result. */
static int feed(book *b, const char *events, err *e) {
    json_t *list = json_loads(events, 0, NULL);
    assert_non_null(list);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        rc = book_event(b, json_array_get(list, i), e);
    }
    json_decref(list);
    return rc;
}

#define CHECK(name) "{\"t\":\"check\",\"name\":\"" name "\"},{\"t\":\"check_end\",\"check\":\"" name "\"}"

static json_t *closed(book *b, const char *events) {
    err e;
    assert_int_equal(feed(b, events, &e), 0);
    return book_close(b, 5.0, NULL);
}

static const char *text(const json_t *gate, const char *key) {
    return json_string_value(json_object_get(gate, key));
}

static const json_t *entry(const json_t *gate, size_t i) {
    return json_array_get(json_object_get(gate, "checks"), i);
}

static void a_gate_with_a_passing_check_passes(void **state) {
    json_t *g = closed(*state, "[" CHECK("a") ",{\"t\":\"done\"}]");
    assert_string_equal(text(g, "status"), "PASS");
    assert_string_equal(text(g, "summary"), "Fine");
    assert_string_equal(text(g, "owner"), "team");
    assert_string_equal(text(entry(g, 0), "status"), "PASS");
    json_decref(g);
}

static void a_gate_that_did_not_say_it_came_to_its_end_is_an_error(void **state) {
    json_t *g = closed(*state, "[" CHECK("a") "]");
    assert_string_equal(text(g, "status"), "ERROR");
    assert_string_equal(text(entry(g, 1), "class"), "gate_unfinished");
    json_decref(g);
}

static void a_crash_keeps_its_reason_when_that_is_not_utf8(void **state) {
    err why;
    err_set(&why, "worker_crash", "it said \xff and ended");
    book_crash(*state, &why);
    json_t *g = closed(*state, "[" CHECK("a") ",{\"t\":\"done\"}]");
    assert_string_equal(text(g, "status"), "ERROR");
    assert_string_equal(text(entry(g, 1), "class"), "worker_crash");
    assert_string_equal(text(entry(g, 1), "failure"), "it said \\xff and ended");
    assert_true(json_is_null(json_object_get(entry(g, 1), "detail")));
    json_decref(g);
}

static void a_gate_without_any_check_is_an_error(void **state) {
    json_t *g = closed(*state, "[{\"t\":\"done\"}]");
    assert_string_equal(text(g, "status"), "ERROR");
    assert_string_equal(text(entry(g, 0), "class"), "nothing_checked");
    json_decref(g);
}

static void a_skip_alone_is_no_pass(void **state) {
    json_t *g =
        closed(*state,
               "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"skip\",\"check\":\"a\",\"reason\":\"no routing\",\"absent\":"
               "\"packs.routing\"},{\"t\":\"check_end\",\"check\":\"a\"},{\"t\":\"done\"}]");
    assert_string_equal(text(entry(g, 0), "status"), "SKIP");
    assert_string_equal(text(g, "status"), "ERROR");
    json_decref(g);
}

static void the_supervisor_skips_an_open_check_for_a_reason_of_its_own(void **state) {
    err e;
    assert_int_equal(feed(*state, "[{\"t\":\"check\",\"name\":\"week 1\"}]", &e), 0);
    assert_int_equal(book_skip(*state, "week 1", "nothing\x1b before it", &e), 0);
    assert_int_equal(feed(*state, "[{\"t\":\"check_end\",\"check\":\"week 1\"}]", &e), 0);
    assert_int_equal(book_skip(*state, "week 1", "too late", &e), -1);
    assert_int_equal(book_skip(*state, "week 2", "there is none", &e), -1);
    assert_string_equal(e.code, "event_order");
    json_t *g = closed(*state, "[" CHECK("week 2") ",{\"t\":\"done\"}]");
    assert_string_equal(text(g, "status"), "PASS");
    assert_string_equal(text(entry(g, 0), "status"), "SKIP");
    assert_string_equal(text(entry(g, 0), "detail"), "nothing\\x1b before it");
    json_decref(g);
}

static void a_check_that_the_supervisor_skipped_is_no_pass(void **state) {
    err e;
    assert_int_equal(feed(*state, "[{\"t\":\"check\",\"name\":\"week 1\"}]", &e), 0);
    assert_int_equal(book_skip(*state, "week 1", "nothing before it", &e), 0);
    json_t *g = closed(*state, "[{\"t\":\"check_end\",\"check\":\"week 1\"},{\"t\":\"done\"}]");
    assert_string_equal(text(g, "status"), "ERROR");
    json_decref(g);
}

static void a_skip_that_the_configuration_does_not_prove_is_an_error(void **state) {
    json_t *g = closed(
        *state,
        "[" CHECK("b") ",{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"skip\",\"check\":\"a\",\"reason\":\"x\",\"absent\":"
                       "\"packs.roster\"},{\"t\":\"check_end\",\"check\":\"a\"}]");
    assert_string_equal(text(g, "status"), "ERROR");
    assert_string_equal(text(entry(g, 1), "class"), "skip_not_proven");
    json_decref(g);
}

static void a_finding_is_worded_by_the_head(void **state) {
    json_t *g = closed(
        *state,
        "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"finding\",\"check\":\"a\",\"class\":\"odd\",\"object\":\"seven\"},"
        "{\"t\":\"finding\",\"check\":\"a\",\"class\":\"pair\",\"args\":[\"x\",\"y\"]},{\"t\":\"check_end\",\"check\":"
        "\"a\"}]");
    assert_string_equal(text(g, "status"), "FAIL");
    assert_string_equal(text(g, "summary"), "seven is odd");
    assert_string_equal(text(entry(g, 0), "failure"), "seven is odd");
    assert_string_equal(text(entry(g, 0), "fix"), "Even it");
    assert_string_equal(text(entry(g, 1), "failure"), "x and y, 100%");
    json_decref(g);
}

static void what_a_worker_claims_of_texts_and_verdicts_is_ignored(void **state) {
    json_t *g = closed(
        *state,
        "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"finding\",\"check\":\"a\",\"class\":\"odd\",\"object\":\"o\","
        "\"status\":\"PASS\",\"failure\":\"all is well\",\"severity\":\"nothing\"},"
        "{\"t\":\"check_end\",\"check\":\"a\",\"status\":\"PASS\"},{\"t\":\"done\",\"status\":\"PASS\"}]");
    assert_string_equal(text(g, "status"), "FAIL");
    assert_string_equal(text(entry(g, 0), "failure"), "o is odd");
    assert_string_equal(text(entry(g, 0), "severity"), "leak");
    json_decref(g);
}

static void events_out_of_order_are_refused(void **state) {
    err e;
    assert_int_equal(feed(*state, "[{\"t\":\"finding\",\"check\":\"a\",\"class\":\"odd\"}]", &e), -1);
    assert_string_equal(e.code, "event_order");
    assert_int_equal(feed(*state, "[" CHECK("a") ",{\"t\":\"finding\",\"check\":\"a\",\"class\":\"odd\"}]", &e), -1);
    assert_int_equal(feed(*state, "[" CHECK("a") "]", &e), -1);
    assert_string_equal(e.code, "event_order");
    assert_int_equal(feed(*state, "[{\"t\":\"nonsense\"}]", &e), -1);
    assert_int_equal(feed(*state, "[{}]", &e), -1);
    assert_int_equal(feed(*state, "[{\"t\":\"done\"},{\"t\":\"fact\",\"name\":\"x\",\"value\":1}]", &e), -1);
}

static void a_check_name_is_used_once(void **state) {
    err e;
    assert_int_equal(feed(*state, "[" CHECK("a") ",{\"t\":\"check\",\"name\":\"a\"}]", &e), -1);
    assert_string_equal(e.code, "check_name");
}

static void an_unknown_class_is_refused(void **state) {
    err e;
    assert_int_equal(
        feed(*state, "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"finding\",\"check\":\"a\",\"class\":\"none\"}]", &e),
        -1);
    assert_string_equal(e.code, "failure_unknown");
}

static void a_check_that_was_running_at_the_end_is_an_error(void **state) {
    json_t *g = closed(*state, "[" CHECK("b") ",{\"t\":\"check\",\"name\":\"a\"}]");
    assert_string_equal(text(g, "status"), "ERROR");
    assert_string_equal(text(entry(g, 1), "class"), "check_unfinished");
    json_decref(g);
}

static void a_crash_is_an_error_beside_what_passed(void **state) {
    err e;
    err_set(&e, "gate_timeout", "too slow");
    book_crash(*state, &e);
    err_set(&e, "worker_crash", "an effect of the first");
    book_crash(*state, &e);
    json_t *g = closed(*state, "[" CHECK("a") "]");
    assert_string_equal(text(g, "status"), "ERROR");
    assert_string_equal(text(g, "summary"), "too slow");
    json_decref(g);
}

static void a_failure_beats_an_error(void **state) {
    json_t *g = closed(
        *state, "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"check_error\",\"check\":\"a\",\"error\":{\"code\":\"c\","
                "\"message\":"
                "\"m\",\"where\":\"x.lua:3\"}},{\"t\":\"check_end\",\"check\":\"a\"},{\"t\":\"check\",\"name\":\"b\"},"
                "{\"t\":\"finding\",\"check\":\"b\",\"class\":\"odd\",\"object\":\"o\"},{\"t\":\"check_end\",\"check\":"
                "\"b\"}]");
    assert_string_equal(text(g, "status"), "FAIL");
    assert_string_equal(text(entry(g, 0), "status"), "ERROR");
    assert_string_equal(text(entry(g, 0), "detail"), "x.lua:3");
    json_decref(g);
}

static void an_advisory_passes_and_fails_when_strict(void **state) {
    static const char EVENTS[] =
        "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"finding\",\"check\":\"a\",\"class\":\"hint\"},"
        "{\"t\":\"check_end\",\"check\":\"a\"},{\"t\":\"done\"}]";
    json_t *g = closed(*state, EVENTS);
    assert_string_equal(text(g, "status"), "PASS");
    assert_string_equal(text(entry(g, 0), "severity"), "advisory");
    json_decref(g);
    book_options strict = {.head = head, .config = config, .strict = true};
    book *b = book_new(&strict);
    g = closed(b, EVENTS);
    assert_string_equal(text(g, "status"), "FAIL");
    json_decref(g);
    book_free(b);
}

static void secrets_and_control_characters_never_get_in(void **state) {
    log_add_secret("hunter2secret", 13);
    json_t *g = closed(
        *state,
        "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"finding\",\"check\":\"a\",\"class\":\"odd\",\"object\":"
        "\"x\\u001b[2Jhunter2secret\",\"detail\":\"hunter2secret\",\"reproduce\":\"psql hunter2secret\"},"
        "{\"t\":\"check_end\",\"check\":\"a\"},{\"t\":\"fact\",\"name\":\"f\",\"value\":{\"k\":[\"hunter2secret\"]}},"
        "{\"t\":\"summary\",\"text\":\"hunter2secret\"}]");
    char *all = json_dumps(g, 0);
    assert_null(strstr(all, "hunter2secret"));
    assert_null(strstr(all, "\\u001b"));
    assert_non_null(strstr(all, "***"));
    free(all);
    json_decref(g);
}

static void only_failures_go_to_recovery(void **state) {
    err e;
    feed(*state,
         "[{\"t\":\"check\",\"name\":\"a\"},{\"t\":\"finding\",\"check\":\"a\",\"class\":\"hint\"},{\"t\":\"finding\","
         "\"check\":\"a\","
         "\"class\":\"odd\",\"object\":\"o\"},{\"t\":\"check_end\",\"check\":\"a\"}]",
         &e);
    json_t *findings = book_findings(*state);
    assert_int_equal(json_array_size(findings), 1);
    assert_string_equal(text(json_array_get(findings, 0), "class"), "odd");
    json_decref(findings);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_gate_with_a_passing_check_passes),
        T(a_gate_that_did_not_say_it_came_to_its_end_is_an_error),
        T(a_crash_keeps_its_reason_when_that_is_not_utf8),
        T(a_gate_without_any_check_is_an_error),
        T(a_skip_alone_is_no_pass),
        T(the_supervisor_skips_an_open_check_for_a_reason_of_its_own),
        T(a_check_that_the_supervisor_skipped_is_no_pass),
        T(a_skip_that_the_configuration_does_not_prove_is_an_error),
        T(a_finding_is_worded_by_the_head),
        T(what_a_worker_claims_of_texts_and_verdicts_is_ignored),
        T(events_out_of_order_are_refused),
        T(a_check_name_is_used_once),
        T(an_unknown_class_is_refused),
        T(a_check_that_was_running_at_the_end_is_an_error),
        T(a_crash_is_an_error_beside_what_passed),
        T(a_failure_beats_an_error),
        T(an_advisory_passes_and_fails_when_strict),
        T(secrets_and_control_characters_never_get_in),
        T(only_failures_go_to_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
