/* Reports: what each rendering says, and that none of them says more than the document. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/log.h"
#include "run/report.h"
#include "run/report_parts.h"

#define TITLE "=== Tenant Onboarding Validation ===\n"

static const struct {
    const char *id, *name, *pass;
} GATES[] = {
    {"rls_harness", "RLS Harness", "No cross-tenant leaks detected"},
    {"determinism_proof", "Determinism Proof", "3/3 runs produced identical hash"},
    {"golden_path_e2e", "Golden Path E2E", "All stages completed successfully"},
    {"integrations_contract", "Integrations Contract", "All integrations verified"},
};

static char scratch[64];

static int make_scratch(void **state) {
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/gate-engine-report.XXXXXX");
    return mkdtemp(scratch) != NULL ? 0 : -1;
}

static int drop_scratch(void **state) {
    (void)state;
    err e;
    return fs_remove_tree(scratch, &e);
}

/* --- documents to look at --- */

static json_t *gate_request(size_t i) {
    return json_pack("{s:{s:s, s:s, s:i, s:s, s:s, s:b}, s:{s:s+}, s:{}, s:b}", "head", "id", GATES[i].id, "name",
                     GATES[i].name, "number", (int)i + 1, "owner", "platform team", "runbook",
                     "https://wiki.example/gates", "has_recover", 1, "raw", "path", "/elsewhere/gates/", GATES[i].id,
                     "options", "shipped", 1);
}

/* A report of n gates of a suite, or with n = 0 of the first gate alone. */
static json_t *new_report(size_t n, const char *tenant, const char *only) {
    json_t *head = json_pack("{s:s, s:s}", "kind", n > 0 ? "suite" : "gate", "name",
                             n > 0 ? "Tenant Onboarding Validation" : "RLS Harness");
    json_t *gates = json_array();
    for (size_t i = 0; i < (n > 0 ? n : 1); i++) {
        json_array_append_new(gates, gate_request(i));
    }
    json_t *chosen = only != NULL ? json_pack("[s]", only) : NULL;
    char script[] = "gates/rls_harness.lua";
    char code[300];
    snprintf(code, sizeof code, "%s", tenant);
    run_request r = {.verb = "run", .script = script, .head = head, .gates = gates, .tenant = code, .only = chosen};
    json_t *report = report_new(&r);
    assert_non_null(report);
    json_decref(head);
    json_decref(gates);
    json_decref(chosen);
    return report;
}

static json_t *entry(const char *name, const char *status, const char *class, const char *failure, const char *object,
                     const char *detail, const char *fix) {
    json_t *e = json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:n, s:f}", "name", name, "status", status,
                          "severity", class != NULL ? "leak" : NULL, "class", class, "failure", failure, "object",
                          object, "detail", detail, "fix", fix, "reproduce", "duration_ms", 1.25);
    assert_non_null(e);
    return e;
}

static json_t *result(const char *status, const char *summary, json_t *checks) {
    json_t *g = json_pack("{s:s, s:s, s:f, s:o, s:{s:i}}", "status", status, "summary", summary, "duration_ms", 12.5,
                          "checks", checks, "facts", "tables", 14);
    assert_non_null(g);
    return g;
}

static void set_pass(json_t *report, size_t i) {
    json_t *checks = json_array();
    json_array_append_new(checks, entry("something was looked at", "PASS", NULL, NULL, NULL, NULL, NULL));
    assert_int_equal(report_set_gate(report, i, result("PASS", GATES[i].pass, checks)), 0);
}

static json_t *all_pass(const char *tenant) {
    json_t *report = new_report(4, tenant, NULL);
    for (size_t i = 0; i < 4; i++) {
        set_pass(report, i);
    }
    return report;
}

static const char *text_of(const json_t *report, bool verbose, bool colour) {
    static buf out;
    buf_free(&out);
    memset(&out, 0, sizeof out);
    report_opts o = {.verbose = verbose, .colour = colour};
    assert_int_equal(report_text(&out, report, &o), 0);
    return buf_str(&out);
}

static void has(const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        fail_msg("not found:\n%s\nin:\n%s", part, text);
    }
}

static void has_not(const char *text, const char *part) {
    if (strstr(text, part) != NULL) {
        fail_msg("found:\n%s\nin:\n%s", part, text);
    }
}

/* Writes a rendering to a file of the scratch directory and runs a command on it. */
static int judged(const json_t *report, const char *format, const char *command) {
    char path[128];
    char line[512];
    err e;
    snprintf(path, sizeof path, "%s/report.%s", scratch, format);
    json_t *targets = json_pack("[{s:s, s:s}]", "format", format, "file", path);
    report_opts quiet = {.no_text = true};
    assert_int_equal(report_emit(report, targets, &quiet, &e), 0);
    json_decref(targets);
    snprintf(line, sizeof line, command, path);
    return system(line);
}

static int json_problems(const json_t *report) {
    return judged(report, "json",
                  "/usr/bin/python3 tests/support/validate_report.py stdlib/schema/report-1.json %s >&2");
}

static int junit_problems(const json_t *report) {
    return judged(report, "junit", "xmllint --noout --relaxng tests/support/junit.rng %s >&2");
}

static void both_valid(const json_t *report) {
    assert_int_equal(json_problems(report), 0);
    assert_int_equal(junit_problems(report), 0);
}

/* --- tests --- */

static void a_passing_run_prints_the_expected_text_to_the_letter(void **state) {
    (void)state;
    json_t *report = all_pass("NEW_TENANT_CODE");
    assert_int_equal(report_finish(report, 800, true, -1), 0);
    assert_string_equal(text_of(report, false, false), TITLE "Tenant: NEW_TENANT_CODE\n"
                                                             "\n"
                                                             "Gate 1: RLS Harness\n"
                                                             "  ✅ PASS - No cross-tenant leaks detected\n"
                                                             "\n"
                                                             "Gate 2: Determinism Proof\n"
                                                             "  ✅ PASS - 3/3 runs produced identical hash\n"
                                                             "\n"
                                                             "Gate 3: Golden Path E2E\n"
                                                             "  ✅ PASS - All stages completed successfully\n"
                                                             "\n"
                                                             "Gate 4: Integrations Contract\n"
                                                             "  ✅ PASS - All integrations verified\n"
                                                             "\n"
                                                             "=== OVERALL: 4/4 GATES PASS ===\n"
                                                             "Tenant NEW_TENANT_CODE is approved for pilot.\n");
    both_valid(report);
    json_decref(report);
}

static void a_new_report_has_every_gate_as_an_error(void **state) {
    (void)state;
    json_t *report = new_report(4, "acme", NULL);
    assert_int_equal(report_exit_code(report), 3);
    assert_int_equal(report_finish(report, 0, true, -1), 3);
    assert_true(json_is_false(json_object_get(report, "approved")));
    const char *text = text_of(report, false, false);
    has(text, "  ⚠️ ERROR - not evaluated\n");
    has(text, "=== OVERALL: 0/4 GATES PASS ===\nTenant acme is NOT approved: S3, go-live is blocked.\n");
    both_valid(report);
    json_decref(report);
}

static void a_failure_shows_ten_objects_of_a_class_and_the_report_has_all(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    json_t *checks = json_array();
    for (int i = 1; i <= 12; i++) {
        char object[32], text[64];
        snprintf(object, sizeof object, "public.t%d", i);
        snprintf(text, sizeof text, "RLS policy missing on table %s", object);
        json_array_append_new(
            checks, entry("coverage", "FAIL", "rls_missing", text, object, "no policy", "Add policy in migration"));
    }
    json_array_append_new(checks, entry("isolation", "FAIL", "cross_tenant_leak", "Cross-tenant leak detected",
                                        "public.x", "SELECT sees 1 row\nof another tenant", "Fix query or policy"));
    report_set_gate(report, 0, result("FAIL", "RLS policy missing on table public.t1", checks));
    assert_int_equal(report_finish(report, 800, true, -1), 1);
    const char *text = text_of(report, false, false);
    has(text, "Gate 1: RLS Harness\n"
              "  ❌ FAIL - RLS policy missing on table public.t1\n"
              "     - public.t1: no policy\n");
    has(text, "     - public.t10: no policy\n"
              "     and 2 more in the report\n"
              "     Fix: Add policy in migration\n"
              "  ❌ FAIL - Cross-tenant leak detected\n"
              "     - public.x: SELECT sees 1 row\n"
              "       of another tenant\n"
              "     Fix: Fix query or policy\n"
              "     Runbook: https://wiki.example/gates\n"
              "     Owner: platform team\n");
    has_not(text, "public.t11");
    has(text, "=== OVERALL: 3/4 GATES PASS ===\n"
              "Tenant acme is NOT approved: S3, go-live is blocked.\n"
              "Recover: gate-engine recover /elsewhere/gates/rls_harness --tenant acme\n");
    buf json = BUF_INIT;
    err e;
    assert_int_equal(report_render(&json, report, "json", &e), 0);
    has(buf_str(&json), "public.t12");
    buf_free(&json);
    both_valid(report);
    json_decref(report);
}

static void a_gate_alone_ends_with_its_count_and_no_word_of_approval(void **state) {
    (void)state;
    json_t *report = new_report(0, "acme", NULL);
    set_pass(report, 0);
    assert_int_equal(report_finish(report, 10, true, -1), 0);
    assert_string_equal(text_of(report, false, false), TITLE "Tenant: acme\n\nGate 1: RLS Harness\n"
                                                             "  ✅ PASS - No cross-tenant leaks detected\n\n"
                                                             "=== OVERALL: 1/1 GATES PASS ===\n");
    assert_true(json_is_false(json_object_get(report, "approved")));
    json_decref(report);
}

static void a_failed_gate_alone_names_its_recovery(void **state) {
    (void)state;
    json_t *report = new_report(0, "acme", NULL);
    json_t *checks = json_array();
    json_array_append_new(checks, entry("a", "FAIL", "x", "It failed", NULL, NULL, NULL));
    report_set_gate(report, 0, result("FAIL", "It failed", checks));
    assert_int_equal(report_finish(report, 10, true, -1), 1);
    const char *text = text_of(report, false, false);
    has(text,
        "     Recover: gate-engine recover gates/rls_harness.lua --tenant acme\n\n=== OVERALL: 0/1 GATES PASS ===\n");
    has_not(text, "pprov");
    json_decref(report);
}

static void a_failure_beats_an_error_and_both_are_shown(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    json_t *checks = json_array();
    json_array_append_new(
        checks, entry("b", "ERROR", "db_lost", "The server went away", NULL, "during isolation", "Look at its log"));
    json_array_append_new(checks, entry("a", "FAIL", "x", "It failed", "thing", NULL, NULL));
    report_set_gate(report, 2, result("FAIL", "It failed", checks));
    report_set_gate(report, 3, result("ERROR", "crashed", json_array()));
    assert_int_equal(report_finish(report, 10, true, -1), 1);
    const char *text = text_of(report, false, false);
    has(text,
        "  ❌ FAIL - It failed\n     - thing\n  ⚠️ ERROR - The server went away\n     - during isolation\n     "
        "Fix: Look at its log\n");
    has(text, "  ⚠️ ERROR - crashed\n");
    assert_string_equal(json_string_value(json_object_get(report, "status")), "FAIL");
    both_valid(report);
    json_decref(report);
}

static void an_error_alone_exits_three(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    report_set_gate(report, 1, result("ERROR", "crashed", json_array()));
    assert_int_equal(report_finish(report, 10, true, -1), 3);
    assert_true(json_is_false(json_object_get(report, "approved")));
    json_decref(report);
}

static void a_flaky_gate_fails_the_run(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    report_set_gate(report, 1, result("FLAKY", "2 of 5 repetitions failed", json_array()));
    assert_int_equal(report_finish(report, 10, true, -1), 1);
    has(text_of(report, false, false), "  ❌ FLAKY - 2 of 5 repetitions failed\n");
    both_valid(report);
    json_decref(report);
}

static void only_a_whole_trusted_suite_of_the_four_gates_approves(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    report_finish(report, 10, false, -1);
    assert_true(json_is_false(json_object_get(report, "approved")));
    has(text_of(report, false, false),
        "=== OVERALL: 4/4 GATES PASS ===\nTenant acme is NOT approved: this run cannot approve");
    json_decref(report);

    report = new_report(3, "acme", NULL);
    for (size_t i = 0; i < 3; i++) {
        set_pass(report, i);
    }
    assert_int_equal(report_finish(report, 10, true, -1), 0);
    assert_true(json_is_false(json_object_get(report, "approved")));
    json_decref(report);

    report = new_report(4, "acme", "coverage");
    for (size_t i = 0; i < 4; i++) {
        set_pass(report, i);
    }
    assert_int_equal(report_finish(report, 10, true, -1), 0);
    assert_true(json_is_false(json_object_get(report, "approved")));
    has_not(text_of(report, false, false), "is approved");
    json_decref(report);

    report = all_pass("acme"); /* with answers that a run which broke off had made */
    json_object_set_new(json_array_get(json_object_get(report, "gates"), 1), "taken_over", json_integer(3));
    assert_int_equal(report_finish(report, 10, true, -1), 0);
    assert_true(json_is_false(json_object_get(report, "approved")));
    json_decref(report);
}

static void an_interrupted_run_is_no_pass_whatever_had_finished(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    assert_int_equal(report_finish(report, 10, true, 130), 130);
    assert_string_equal(json_string_value(json_object_get(report, "status")), "ERROR");
    assert_true(json_is_false(json_object_get(report, "approved")));
    has_not(text_of(report, false, false), "is approved");
    json_decref(report);
}

static void a_suite_without_gates_is_no_pass(void **state) {
    (void)state;
    json_t *report = new_report(1, "acme", NULL);
    json_array_clear(json_object_get(report, "gates"));
    assert_int_equal(report_finish(report, 10, true, -1), 3);
    assert_string_equal(json_string_value(json_object_get(report, "status")), "ERROR");
    json_decref(report);
}

static void verbose_shows_each_check_the_reason_of_a_skip_and_facts(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    json_t *checks = json_array();
    json_array_append_new(checks, entry("auth", "PASS", NULL, NULL, NULL, NULL, NULL));
    json_array_append_new(checks, entry("osrm", "SKIP", NULL, NULL, NULL, "no routing pack is configured", NULL));
    report_set_gate(report, 3, result("PASS", GATES[3].pass, checks));
    report_finish(report, 10, true, -1);
    const char *text = text_of(report, true, false);
    has(text, "     PASS  auth (1.2 ms)\n     SKIP  osrm (1.2 ms)\n           no routing pack is configured\n     "
              "tables: 14\n");
    has_not(text_of(report, false, false), "routing");
    both_valid(report);
    json_decref(report);
}

static void colour_comes_only_when_asked_for(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    report_finish(report, 10, true, -1);
    has_not(text_of(report, true, false), "\033");
    has(text_of(report, false, true), "  \033[32m✅ PASS\033[0m - No cross-tenant leaks detected\n");
    assert_false(report_colour(open("/dev/null", O_RDWR | O_CLOEXEC)));
    json_decref(report);
}

static void an_invocation_that_ran_nothing_has_a_report_too(void **state) {
    (void)state;
    err e;
    err_set(&e, "config_type", "conf.lua:3: platform: expected a string, found 7");
    err_fix(&e, "write platform = \"external\"");
    json_t *report = report_for_error("scripts/all.lua", NULL, 2, &e);
    assert_int_equal(json_integer_value(json_object_get(report, "exit_code")), 2);
    buf xml = BUF_INIT;
    assert_int_equal(report_render(&xml, report, "junit", &e), 0);
    has(buf_str(&xml), "errors=\"1\"");
    has(buf_str(&xml), "conf.lua:3: platform: expected a string, found 7");
    buf_free(&xml);
    both_valid(report);
    json_decref(report);
}

static void foreign_text_is_masked_and_made_harmless(void **state) {
    (void)state;
    err e;
    assert_int_equal(log_add_secret("hunter2-secret", 14), 0);
    err_set(&e, "bad", "password hunter2-secret \x01\x1b[31m <x a=\"&\"> ]]> \xff \xef\xbf\xbf \xe2\x80\xae");
    json_t *report = report_for_error("a\nb", "\x7f", 2, &e);
    buf out = BUF_INIT;
    assert_int_equal(report_render(&out, report, "json", &e), 0);
    assert_int_equal(report_render(&out, report, "junit", &e), 0);
    has_not(buf_str(&out), "hunter2");
    has(buf_str(&out), "***");
    has_not(buf_str(&out), "\x1b");
    has_not(buf_str(&out), "\xef\xbf\xbf");
    has_not(buf_str(&out), "\xe2\x80\xae");
    buf_free(&out);
    both_valid(report);
    log_forget_secrets();
    json_decref(report);
}

static void junit_survives_text_that_nobody_cleaned(void **state) {
    (void)state;
    json_t *report = all_pass("acme");
    json_t *checks = json_array();
    json_array_append_new(checks,
                          entry("  a\n\tb  ", "FAIL", "x", "bad \x02 \xef\xbf\xbe </failure>", "<&\">", "\x0b", NULL));
    report_set_gate(report, 0, result("FAIL", "bad", checks));
    report_finish(report, 10, true, -1);
    assert_int_equal(junit_problems(report), 0);
    json_decref(report);
}

static void a_report_that_cannot_be_written_is_an_error(void **state) {
    (void)state;
    err e;
    json_t *report = all_pass("acme");
    report_finish(report, 10, true, -1);
    char good[128];
    snprintf(good, sizeof good, "%s/good.json", scratch);
    json_t *targets = json_pack("[{s:s, s:s}, {s:s, s:s}]", "format", "junit", "file", "/nonexistent/dir/report.xml",
                                "format", "json", "file", good);
    report_opts quiet = {.no_text = true};
    assert_int_equal(report_emit(report, targets, &quiet, &e), -1);
    assert_string_equal(e.code, "report_write");
    has(e.message, "/nonexistent/dir");
    assert_true(fs_exists(good)); /* the other one is written all the same */
    json_decref(targets);

    targets = json_pack("[{s:s, s:s}]", "format", "pdf", "file", good);
    assert_int_equal(report_emit(report, targets, &quiet, &e), -1);
    assert_string_equal(e.code, "report_format");
    json_decref(targets);
    json_decref(report);
}

/* jansson's own writer is the measure: every text and number as it writes them. */
static void json_is_what_jansson_writes(void **state) {
    (void)state;
    err e;
    buf mine = BUF_INIT;
    json_t *report = all_pass("acme");
    json_t *odd = json_pack("{s:s, s:s, s:s, s:[[], {}, [i, I], f, f, f, b, b, n], s:{s:{s:[{s:s}]}}}", "plain", "abc",
                            "marks", "\"\\/\b\f\n\r\t\x01\x1f\x7f", "ké\n", "é€😀\xef\xbf\xbe", "values", -7,
                            (json_int_t)9007199254740993, 0.1, 1e300, -2.0, 1, 0, "deep", "er", "est", "x", "y");
    assert_non_null(odd);
    json_object_set_new(report, "facts", odd);
    assert_int_equal(report_render(&mine, report, "json", &e), 0);
    char *theirs = json_dumps(report, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
    assert_int_equal(mine.len, strlen(theirs) + 1);
    assert_memory_equal(buf_str(&mine), theirs, mine.len - 1);
    free(theirs);
    buf_reset(&mine);
    json_t *text = json_object_get(odd, "ké\n");
    report_put_string(&mine, json_string_value(text), json_string_length(text), true);
    theirs = json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    assert_string_equal(buf_str(&mine), theirs);
    free(theirs);
    buf_free(&mine);
    json_decref(report);
}

static void an_interrupted_writing_leaves_no_file(void **state) {
    (void)state;
    err e;
    volatile sig_atomic_t now = SIGTERM;
    char dir[128], one[160], two[160];
    snprintf(dir, sizeof dir, "%s/interrupted", scratch);
    snprintf(one, sizeof one, "%s/r.json", dir);
    snprintf(two, sizeof two, "%s/r.xml", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    json_t *report = all_pass("acme");
    report_finish(report, 10, true, -1);
    json_t *targets =
        json_pack("[{s:s, s:s}, {s:s, s:s}]", "format", "json", "file", one, "format", "junit", "file", two);
    report_opts quiet = {.no_text = true, .interrupted = &now};
    assert_int_equal(report_emit(report, targets, &quiet, &e), -1);
    assert_string_equal(e.code, "interrupted");
    assert_int_equal(rmdir(dir), 0); /* nothing is in it */
    json_decref(targets);
    json_decref(report);
}

static void a_cut_report_keeps_verdicts_and_says_that_it_is_cut(void **state) {
    (void)state;
    err why;
    err_set(&why, "interrupted", "interrupted while it was written");
    json_t *report = all_pass("acme");
    json_t *gate = json_array_get(json_object_get(report, "gates"), 1);
    json_t *checks = json_object_get(gate, "checks");
    for (int i = 0; i < 50; i++) {
        json_array_append(checks, json_array_get(checks, 0));
    }
    size_t before = json_array_size(checks);
    json_t *cut = report_cut(report, 3, &why);
    assert_non_null(cut);
    assert_int_equal(report_finish(cut, 10, true, 143), 143);
    json_t *kept = json_array_get(json_object_get(cut, "gates"), 1);
    assert_int_equal(json_array_size(json_object_get(kept, "checks")), 3);
    assert_string_equal(json_string_value(json_object_get(kept, "status")), "PASS");
    assert_string_equal(json_string_value(json_object_get(json_object_get(cut, "error"), "code")), "interrupted");
    assert_string_equal(json_string_value(json_object_get(cut, "status")), "ERROR");
    assert_false(json_is_true(json_object_get(cut, "approved")));
    assert_int_equal(json_array_size(checks), before); /* the whole one is as it was */
    assert_true(json_is_null(json_object_get(report, "error")));
    both_valid(cut);
    json_decref(cut);
    json_decref(report);
}

/* Runs report_emit with standard output and error in files; returns its result. */
static int emit_into(const json_t *report, const json_t *targets, const char *out, const char *aside, err *e) {
    fflush(NULL);
    int saved[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    int files[2] = {open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), open(aside, O_WRONLY | O_CREAT | O_TRUNC, 0600)};
    dup2(files[0], STDOUT_FILENO);
    dup2(files[1], STDERR_FILENO);
    report_opts o = {0};
    int rc = report_emit(report, targets, &o, e);
    dup2(saved[0], STDOUT_FILENO);
    dup2(saved[1], STDERR_FILENO);
    for (int i = 0; i < 2; i++) {
        close(saved[i]);
        close(files[i]);
    }
    return rc;
}

static void a_report_on_standard_output_sends_the_text_aside(void **state) {
    (void)state;
    err e;
    char out[128], aside[128];
    snprintf(out, sizeof out, "%s/stdout", scratch);
    snprintf(aside, sizeof aside, "%s/stderr", scratch);
    json_t *report = all_pass("acme");
    report_finish(report, 10, true, -1);
    json_t *targets = json_pack("[{s:s, s:s}]", "format", "json", "file", "-");
    assert_int_equal(emit_into(report, targets, out, aside, &e), 0);
    buf text = BUF_INIT;
    assert_int_equal(fs_read(out, 1 << 20, &text, &e), 0);
    json_t *read = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_true(json_equal(read, report));
    assert_int_equal(buf_str(&text)[text.len - 1], '\n');
    json_decref(read);
    buf_reset(&text);
    assert_int_equal(fs_read(aside, 1 << 20, &text, &e), 0);
    has(buf_str(&text), "Tenant acme is approved for pilot.\n");
    buf_free(&text);
    json_decref(targets);
    json_decref(report);
}

static void a_full_standard_output_is_an_error(void **state) {
    (void)state;
    err e;
    char aside[128];
    snprintf(aside, sizeof aside, "%s/stderr", scratch);
    json_t *report = all_pass("acme");
    report_finish(report, 10, true, -1);
    assert_int_equal(emit_into(report, NULL, "/dev/full", aside, &e), -1);
    assert_string_equal(e.code, "report_write");
    json_decref(report);
}

static void a_tenant_that_needs_quoting_is_quoted_in_the_recover_command(void **state) {
    (void)state;
    json_t *report = new_report(1, "o'brien $(x)", NULL);
    has(json_string_value(json_object_get(json_array_get(json_object_get(report, "gates"), 0), "recover")),
        "--tenant 'o'\\''brien $(x)'");
    json_decref(report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passing_run_prints_the_expected_text_to_the_letter),
        cmocka_unit_test(a_new_report_has_every_gate_as_an_error),
        cmocka_unit_test(a_failure_shows_ten_objects_of_a_class_and_the_report_has_all),
        cmocka_unit_test(a_gate_alone_ends_with_its_count_and_no_word_of_approval),
        cmocka_unit_test(a_failed_gate_alone_names_its_recovery),
        cmocka_unit_test(a_failure_beats_an_error_and_both_are_shown),
        cmocka_unit_test(an_error_alone_exits_three),
        cmocka_unit_test(a_flaky_gate_fails_the_run),
        cmocka_unit_test(only_a_whole_trusted_suite_of_the_four_gates_approves),
        cmocka_unit_test(an_interrupted_run_is_no_pass_whatever_had_finished),
        cmocka_unit_test(a_suite_without_gates_is_no_pass),
        cmocka_unit_test(verbose_shows_each_check_the_reason_of_a_skip_and_facts),
        cmocka_unit_test(colour_comes_only_when_asked_for),
        cmocka_unit_test(an_invocation_that_ran_nothing_has_a_report_too),
        cmocka_unit_test(foreign_text_is_masked_and_made_harmless),
        cmocka_unit_test(junit_survives_text_that_nobody_cleaned),
        cmocka_unit_test(json_is_what_jansson_writes),
        cmocka_unit_test(an_interrupted_writing_leaves_no_file),
        cmocka_unit_test(a_cut_report_keeps_verdicts_and_says_that_it_is_cut),
        cmocka_unit_test(a_report_that_cannot_be_written_is_an_error),
        cmocka_unit_test(a_report_on_standard_output_sends_the_text_aside),
        cmocka_unit_test(a_full_standard_output_is_an_error),
        cmocka_unit_test(a_tenant_that_needs_quoting_is_quoted_in_the_recover_command),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
