/* What the engine itself knows of a plan: what makes it one, and the history that an audit is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/plan.h"

static void weeks_and_dates_are_those_of_the_calendar(void **state) {
    (void)state;
    /* Python's date(y, 12, 28).isocalendar() gives the years of 53 weeks. */
    static const int LONG[] = {2004, 2009, 2015, 2020, 2026, 2032, 2037};
    size_t at = 0;
    for (int year = 2001; year <= 2040; year++) {
        char week[16];
        snprintf(week, sizeof week, "%04d-W53", year);
        bool is_long = at < sizeof LONG / sizeof *LONG && LONG[at] == year;
        assert_int_equal(calendar_is_week(week), is_long);
        at += is_long ? 1 : 0;
    }
    static const char *const WEEKS[] = {"2026-W01", "2024-W52", "0001-W01", "9999-W52"};
    for (size_t i = 0; i < sizeof WEEKS / sizeof *WEEKS; i++) {
        assert_true(calendar_is_week(WEEKS[i]));
    }
    static const char *const NO_WEEKS[] = {"",         "2026-W00", "2026-W54",  "2026W10",  "2026-10",
                                           "2026-W1x", "x026-W10", "2026-W10 ", "2026-w10", "0000-W10"};
    for (size_t i = 0; i < sizeof NO_WEEKS / sizeof *NO_WEEKS; i++) {
        assert_false(calendar_is_week(NO_WEEKS[i]));
    }
    static const char *const DATES[] = {"2024-02-29", "2000-02-29", "2026-12-31"};
    for (size_t i = 0; i < sizeof DATES / sizeof *DATES; i++) {
        assert_true(calendar_is_date(DATES[i]));
    }
    static const char *const NO_DATES[] = {"2026-02-29", "1900-02-29", "2026-13-01", "2026-00-01",
                                           "2026-04-31", "2026-04-00", "2026-4-01",  "2026-04-01T00:00"};
    for (size_t i = 0; i < sizeof NO_DATES / sizeof *NO_DATES; i++) {
        assert_false(calendar_is_date(NO_DATES[i]));
    }
}

/* A whole plan in which one driver works one tour. */
static const char WEEK[] =
    "{'schema': 'gate-engine/audit-plan/1', 'pack': 'roster', 'week': {'iso': '2026-W10', 'days': ["
    "{'day': 1, 'weekday': 'monday', 'date': '2026-03-02'}, {'day': 2, 'weekday': 'tuesday', 'date': '2026-03-03'},"
    "{'day': 3, 'weekday': 'wednesday', 'date': '2026-03-04'}, {'day': 4, 'weekday': 'thursday', 'date': '2026-03-05'},"
    "{'day': 5, 'weekday': 'friday', 'date': '2026-03-06'}, {'day': 6, 'weekday': 'saturday', 'date': '2026-03-07'},"
    "{'day': 7, 'weekday': 'sunday', 'date': '2026-03-08'}]},"
    "'drivers': [{'key': 'D1', 'minutes': 480, 'days': [1], 'tours': 1}],"
    "'assignments': [{'driver_id': 'D1', 'tour_instance_id': 'T1', 'day': 1, 'weekday': 'monday', 'date': '2026-03-02',"
    "'start': '2026-03-02T08:00', 'end': '2026-03-02T16:00', 'start_min': 480, 'end_min': 960, 'minutes': 480,"
    "'depot': null, 'skill': 'van', 'split_group': null, 'block_id': 'B1', 'block_type': '1er',"
    "'block': {'id': 'D1/1', 'type': '1er', 'start_min': 480, 'end_min': 960, 'tours': 1}}]}";
static const char DAY[] =
    "{'schema': 'gate-engine/audit-plan-routing/1', 'pack': 'routing', 'date': '2026-03-02',"
    "'matrix': {'version': 'v1', 'sha256': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'},"
    "'vehicles': [{'key': 'V1', 'depot': {'lat': 48.2, 'lng': 16}, 'capacity': 10, 'skills': ['cool'],"
    "'shift_start_min': 360, 'shift_end_min': 1080}],"
    "'stops': [{'key': 'S1', 'place': {'lat': -90, 'lng': 180}, 'demand': 1, 'skills': [], 'window_start_min': 0,"
    "'window_end_min': 2880, 'service_min': 0}],"
    "'routes': [{'vehicle': 'V1', 'start_min': 400, 'end_min': 500, 'distance_m': 0, 'visits': [{'stop': 'S1',"
    "'arrive_min': 420, 'start_min': 420, 'leave_min': 430, 'load': 1}]}]}";

/* A value written with ' for ". */
static json_t *value(const char *text) {
    char json[2048];
    size_t n = strlen(text);
    assert_true(n < sizeof json);
    for (size_t i = 0; i <= n; i++) {
        json[i] = text[i] == '\'' ? '"' : text[i];
    }
    json_error_t why;
    json_t *v = json_loads(json, JSON_DECODE_ANY, &why);
    assert_non_null(v);
    return v;
}

/* WEEK as another week; its dates stay where there is no such week. */
static json_t *week(const char *iso) {
    char text[sizeof WEEK];
    memcpy(text, WEEK, sizeof WEEK);
    int days = calendar_is_week(iso) ? calendar_monday(iso) - calendar_monday("2026-W10") : 0;
    for (char *at = text; (at = strstr(at, "2026-03-")) != NULL; at += 10) {
        char date[CALENDAR_TEXT];
        calendar_text(calendar_monday("2026-W10") + atoi(at + 8) - 2 + days, date);
        memcpy(at, date, 10);
    }
    json_t *plan = value(text);
    json_object_set_new(json_object_get(plan, "week"), "iso", json_string(iso));
    return plan;
}

static void refused(json_t *plan, size_t weeks, const char *code, const char *message) {
    err e;
    err_clear(&e);
    assert_int_equal(plan_trim(plan, weeks, &e), -1);
    assert_string_equal(e.message, message);
    assert_string_equal(e.code, code);
    json_decref(plan);
}

static void a_plan_needs_its_schema_its_week_and_its_lists(void **state) {
    (void)state;
    json_t *plan = week("2026-W10");
    plan_facts facts;
    err e;
    assert_int_equal(plan_check(plan, &facts, &e), 0);
    assert_string_equal(facts.pack, "roster");
    assert_string_equal(facts.when, "2026-W10");
    assert_false(facts.empty);
    json_object_set_new(plan, "assignments", json_array());
    json_object_set_new(plan, "drivers", json_array());
    assert_int_equal(plan_check(plan, &facts, &e), 0);
    assert_true(facts.empty);
    json_decref(plan);

    refused(json_array(), 1, "plan_shape", "the plan: expected an object, found a list");
    refused(json_object(), 1, "plan_shape", "pack: expected \"roster\" or \"routing\", found nothing");
    refused(json_pack("{s:s}", "pack", "roster"), 1, "plan_shape",
            "schema: expected \"gate-engine/audit-plan/1\", found nothing");
    refused(json_pack("{s:s, s:s}", "pack", "routing", "schema", "gate-engine/audit-plan/1"), 1, "plan_shape",
            "schema: expected \"gate-engine/audit-plan-routing/1\", found \"gate-engine/audit-plan/1\"");
    refused(week("2026-W54"), 1, "plan_week",
            "week.iso: expected an ISO week such as \"2026-W10\", found \"2026-W54\"");
    plan = week("2026-W10");
    json_object_set_new(plan, "week", json_string("2026-W10"));
    refused(plan, 1, "plan_week", "week.iso: expected an ISO week such as \"2026-W10\", found nothing");
    plan = week("2026-W10");
    json_object_set_new(plan, "drivers", json_object());
    refused(plan, 1, "plan_shape", "drivers: expected a list, found an object");
    plan = json_pack("{s:s, s:s, s:s}", "pack", "routing", "schema", "gate-engine/audit-plan-routing/1", "date",
                     "2026-02-30");
    refused(plan, 1, "plan_date", "date: expected a date such as \"2026-03-02\", found \"2026-02-30\"");
}

/* Sets what stands at a path ("assignments.0.block.id"); NULL takes it away. */
static void put(json_t *plan, const char *path, json_t *v) {
    char part[32];
    while (strchr(path, '.') != NULL) {
        size_t n = (size_t)(strchr(path, '.') - path);
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        plan = json_is_array(plan) ? json_array_get(plan, (size_t)atoi(part)) : json_object_get(plan, part);
        assert_non_null(plan);
        path += n + 1;
    }
    if (v == NULL) {
        assert_int_equal(json_object_del(plan, path), 0);
    } else if (json_is_array(plan)) {
        assert_int_equal(json_array_insert_new(plan, (size_t)atoi(path), v), 0);
        json_array_remove(plan, (size_t)atoi(path) + 1);
    } else {
        assert_int_equal(json_object_set_new(plan, path, v), 0);
    }
}

/* A plan that is right, and wrong once `path` holds `value` (NULL: nothing). */
typedef struct refusal {
    const char *plan, *path, *value, *message;
} refusal;

static void assert_refused(const char *code, const refusal *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        err e;
        plan_facts facts;
        json_t *plan = value(cases[i].plan);
        assert_int_equal(plan_check(plan, &facts, &e), 0);
        put(plan, cases[i].path, cases[i].value != NULL ? value(cases[i].value) : NULL);
        err_clear(&e);
        assert_int_equal(plan_check(plan, &facts, &e), -1);
        assert_string_equal(e.message, cases[i].message);
        assert_string_equal(e.code, code);
        json_decref(plan);
    }
}

static void each_field_is_there_of_its_type_and_in_its_range(void **state) {
    (void)state;
    static const refusal CASES[] = {
        {WEEK, "assignments.0", "{}", "assignments[1].driver_id: expected a string, found nothing"},
        {WEEK, "assignments.0.block.tours", "0",
         "assignments[1].block.tours: expected an integer of at least 1, found 0"},
        {WEEK, "assignments.0.start", "'2026-03-02T24:00'",
         "assignments[1].start: expected a local time such as \"2026-03-02T04:30\", found \"2026-03-02T24:00\""},
        {WEEK, "assignments.0.end", "'2026-03-02T1:000'",
         "assignments[1].end: expected a local time such as \"2026-03-02T04:30\", found \"2026-03-02T1:000\""},
        {WEEK, "assignments.0.date", "'2026-02-30'",
         "assignments[1].date: expected a date such as \"2026-03-02\", found \"2026-02-30\""},
        {WEEK, "assignments.0.depot", "7", "assignments[1].depot: expected a string or null, found 7"},
        {WEEK, "assignments.0.minutes", "480.0",
         "assignments[1].minutes: expected an integer of at least 1, found 480.0"},
        {WEEK, "assignments.0.minute", "480", "assignments[1].minute: expected no such field, found 480"},
        {WEEK, "drivers.0.days.0", "8", "drivers[1].days[1]: expected a day from 1 to 7, found 8"},
        {WEEK, "drivers.0.key", NULL, "drivers[1].key: expected a string, found nothing"},
        {WEEK, "week.days", "[]", "week.days: expected a list of 7 days, found a list"},
        {WEEK, "week.days.6.weekday", "'Sunday'",
         "week.days[7].weekday: expected the name of a weekday, such as \"monday\", found \"Sunday\""},
        {WEEK, "week.reference", "false", "week.reference: expected true, or no such field, found false"},
        {WEEK, "drivers", "{}", "drivers: expected a list, found an object"},
        {WEEK, "vehicles", "[]", "vehicles: expected no such field, found a list"},
        {DAY, "matrix", NULL, "matrix: expected an object, found nothing"},
        {DAY, "matrix.sha256", "'AB'",
         "matrix.sha256: expected a SHA-256 as 64 hexadecimal digits in lower case, found \"AB\""},
        {DAY, "vehicles.0.depot.lat", "90.5", "vehicles[1].depot.lat: expected degrees from -90 to 90, found 90.5"},
        {DAY, "stops.0.skills", "['a', 1]", "stops[1].skills[2]: expected a string, found 1"},
        {DAY, "routes.0.visits.0.leave_min", "2881",
         "routes[1].visits[1].leave_min: expected minutes from 0 to 2880, found 2881"},
    };
    assert_refused("plan_shape", CASES, sizeof CASES / sizeof *CASES);
}

static void what_a_plan_says_twice_is_the_same_both_times(void **state) {
    (void)state;
    static const refusal CASES[] = {
        {WEEK, "week.iso", "'2026-W11'",
         "week.days[1].date: expected \"2026-03-09\" as day 1 of 2026-W11, found \"2026-03-02\""},
        {WEEK, "week.days.1.day", "3", "week.days[2].day: expected day 2, found 3"},
        {WEEK, "week.days.6.weekday", "'monday'",
         "week.days[7].weekday: expected \"sunday\" as day 7, found \"monday\""},
        {WEEK, "drivers.0.key", "'D2'", "assignments[1].driver_id: expected a key of drivers, found \"D1\""},
        {WEEK, "drivers.0.days", "[]",
         "drivers[1].days: expected the days of its assignments in ascending order, 1 among them, found a list"},
        {WEEK, "drivers.0.days", "[1, 2]",
         "drivers[1].days: expected no more than the 1 days of its assignments, found a list"},
        {WEEK, "drivers.0.minutes", "479", "drivers[1].minutes: expected 480, the sum of its assignments, found 479"},
        {WEEK, "drivers.0.tours", "2", "drivers[1].tours: expected 1, as it has assignments, found 2"},
        {WEEK, "drivers.1", "{'key': 'D1', 'minutes': 480, 'days': [1], 'tours': 1}",
         "drivers[2].key: expected a key that stands here once, found \"D1\""},
        {WEEK, "drivers.1", "{'key': 'D2', 'minutes': 480, 'days': [1], 'tours': 1}",
         "drivers[2].days: expected no more than the 0 days of its assignments, found a list"},
        {WEEK, "assignments.0.day", "2", "assignments[1].start_min: expected a minute of day 2, found 480"},
        {WEEK, "assignments.0.weekday", "'sunday'",
         "assignments[1].weekday: expected \"monday\" as day 1, found \"sunday\""},
        {WEEK, "assignments.0.date", "'2026-03-03'",
         "assignments[1].date: expected \"2026-03-02\" as day 1, found \"2026-03-03\""},
        {WEEK, "assignments.0.start", "'2026-03-02T09:00'",
         "assignments[1].start: expected \"2026-03-02T08:00\" for start_min 480, found \"2026-03-02T09:00\""},
        {WEEK, "assignments.0.end", "'2026-03-03T16:00'",
         "assignments[1].end: expected \"2026-03-02T16:00\" for end_min 960, found \"2026-03-03T16:00\""},
        {WEEK, "assignments.0.end_min", "480",
         "assignments[1].end_min: expected a minute after start_min 480, at most a week, found 480"},
        {WEEK, "assignments.0.end_min", "9223372036854775807",
         "assignments[1].end_min: expected a minute after start_min 480, at most a week, found 9223372036854775807"},
        {WEEK, "assignments.0.minutes", "1",
         "assignments[1].minutes: expected 480, from start_min to end_min, found 1"},
        {WEEK, "assignments.0.block.start_min", "0",
         "assignments[1].block.start_min: expected 480 by the driver's assignments of that day, found 0"},
        {WEEK, "assignments.0.block.end_min", "961",
         "assignments[1].block.end_min: expected 960 by the driver's assignments of that day, found 961"},
        {WEEK, "assignments.0.block.tours", "2",
         "assignments[1].block.tours: expected 1 by the driver's assignments of that day, found 2"},
        {WEEK, "assignments.0.block.type", "'none'",
         "assignments[1].block.type: expected block_type's \"1er\", found \"none\""},
        {DAY, "vehicles.0.shift_end_min", "359",
         "vehicles[1].shift_end_min: expected at least shift_start_min 360, found 359"},
        {DAY, "stops.0.key", "'S2'", "routes[1].visits[1].stop: expected a key of stops, found \"S1\""},
        {DAY, "routes.0.vehicle", "'V2'", "routes[1].vehicle: expected a key of vehicles, found \"V2\""},
        {DAY, "routes.0.start_min", "421",
         "routes[1].visits[1].arrive_min: expected at least 421, when what came before it ended, found 420"},
        {DAY, "routes.0.visits.0.leave_min", "419",
         "routes[1].visits[1].leave_min: expected at least 420, when what came before it ended, found 419"},
        {DAY, "routes.0.visits.0.load", "2",
         "routes[1].visits[1].load: expected 1, the demands of the stops so far, found 2"},
        {DAY, "routes.0.end_min", "429",
         "routes[1].end_min: expected at least 430, when its last visit ends, found 429"},
    };
    assert_refused("plan_contradiction", CASES, sizeof CASES / sizeof *CASES);
}

/* Python's date.fromisocalendar(year, week, 1) and date + timedelta. */
static void days_are_counted_as_the_calendar_counts_them(void **state) {
    (void)state;
    static const struct {
        const char *week, *monday;
    } CASES[] = {{"2026-W10", "2026-03-02"}, {"2026-W01", "2025-12-29"}, {"2020-W53", "2020-12-28"},
                 {"2024-W09", "2024-02-26"}, {"2000-W01", "2000-01-03"}, {"1969-W01", "1968-12-30"},
                 {"0001-W01", "0001-01-01"}, {"9999-W52", "9999-12-27"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char date[CALENDAR_TEXT];
        calendar_text(calendar_monday(CASES[i].week), date);
        assert_string_equal(date, CASES[i].monday);
    }
    char date[CALENDAR_TEXT];
    calendar_text(calendar_monday("2024-W09") + 3, date);
    assert_string_equal(date, "2024-02-29");
    calendar_text(0, date);
    assert_string_equal(date, "1970-01-01");
}

static json_t *with_history(const char *iso, const char *first, const char *second) {
    json_t *plan = week(iso);
    json_t *history = json_array();
    json_array_append_new(history, week(first));
    if (second != NULL) {
        json_array_append_new(history, week(second));
    }
    json_object_set_new(plan, "history", history);
    return plan;
}

static void an_audit_gets_the_weeks_it_asked_for_and_no_more(void **state) {
    (void)state;
    err e;
    json_t *plan = with_history("2026-W12", "2026-W11", "2026-W09");
    assert_int_equal(plan_trim(plan, 1, &e), 0);
    assert_int_equal(json_array_size(json_object_get(plan, "history")), 1);
    assert_int_equal(plan_trim(plan, 0, &e), 0);
    assert_null(json_object_get(plan, "history"));
    json_decref(plan);
    plan = json_array(); /* whoever asks for no history may be given anything */
    assert_int_equal(plan_trim(plan, 0, &e), 0);
    json_decref(plan);
    plan = with_history("2026-W12", "2026-W11", "2026-W09");
    assert_int_equal(plan_trim(plan, 2, &e), 0);
    assert_int_equal(json_array_size(json_object_get(plan, "history")), 2);
    json_decref(plan);
}

static void a_history_that_is_short_or_out_of_order_is_refused(void **state) {
    (void)state;
    refused(week("2026-W12"), 2, "history_short", "the audit needs 2 earlier weeks, and there are 0 before 2026-W12");
    refused(with_history("2026-W12", "2026-W11", NULL), 2, "history_short",
            "the audit needs 2 earlier weeks, and there is 1 before 2026-W12");
    refused(with_history("2026-W12", "2026-W12", NULL), 1, "plan_history",
            "history[1]: expected a week before 2026-W12, found 2026-W12");
    refused(with_history("2026-W12", "2026-W10", "2026-W11"), 2, "plan_history",
            "history[2]: expected a week before 2026-W10, found 2026-W11");
    refused(with_history("2026-W12", "2026-W11", "2026-W11"), 2, "plan_history",
            "history[2]: expected a week before 2026-W11, found 2026-W11");
    refused(with_history("2026-W12", "2026-W60", NULL), 1, "plan_week",
            "history[1]: week.iso: expected an ISO week such as \"2026-W10\", found \"2026-W60\"");
    refused(with_history("2026-W12", "2026-W11", "2026-W11"), 1, "plan_history",
            "history[2]: expected a week before 2026-W11, found 2026-W11");
    json_t *plan = with_history("2026-W12", "2026-W11", "2026-W10");
    json_object_set_new(json_array_get(json_object_get(plan, "history"), 1), "history", json_array());
    refused(plan, 1, "plan_history", "history[2]: expected a week without a history of its own");
    plan = with_history("2026-W12", "2026-W11", "2026-W10");
    for (int i = 9; i > 2; i--) {
        char iso[16];
        snprintf(iso, sizeof iso, "2026-W%02d", i);
        json_array_append_new(json_object_get(plan, "history"), week(iso));
    }
    refused(plan, 1, "plan_history", "history: expected at most 8 weeks, found 9");
    plan = week("2026-W12");
    json_object_set_new(plan, "history", json_string("last week"));
    refused(plan, 1, "plan_shape", "history: expected a list of plans, newest first, found \"last week\"");
    plan = week("2026-W12");
    json_object_set_new(plan, "history", json_pack("[o]", value(DAY)));
    refused(plan, 1, "plan_history", "history[1]: expected a plan of pack \"roster\", found one of pack \"routing\"");
}

static void a_week_that_only_stands_in_has_no_week_before_it_and_is_none(void **state) {
    (void)state;
    json_t *plan = with_history("2024-W01", "2023-W52", NULL);
    json_object_set_new(json_object_get(plan, "week"), "reference", json_true());
    plan_facts facts;
    err e;
    assert_int_equal(plan_check(plan, &facts, &e), 0);
    assert_null(facts.when);
    refused(plan, 1, "plan_week", "its dataset names no week, so that nobody knows which weeks came before it");
    plan = with_history("2024-W01", "2023-W52", NULL);
    json_t *past = json_array_get(json_object_get(plan, "history"), 0);
    json_object_set_new(json_object_get(past, "week"), "reference", json_true());
    refused(plan, 1, "plan_week",
            "history[1]: its dataset names no week, so that nobody knows which weeks came before it");
}

static void texts_of_several_weeks_become_one_plan(void **state) {
    (void)state;
    static const char TEXT[] = "{\"a\":1}{\"b\":2,\"history\":[3]} 4 ";
    json_t *lengths = json_pack("[i, i]", 21, 3);
    err e;
    json_t *plan = plan_join(TEXT, sizeof TEXT - 1, lengths, &e);
    assert_non_null(plan);
    json_t *expected = json_pack("{s:i, s:[{s:i}, i]}", "a", 1, "history", "b", 2, 4);
    assert_true(json_equal(plan, expected));
    json_decref(plan);
    json_decref(expected);
    /* One text cannot reach into another. */
    static const char OPEN[] = "{\"a\":[}{\"b\":2}]}";
    json_array_clear(lengths);
    json_array_append_new(lengths, json_integer(9));
    assert_null(plan_join(OPEN, sizeof OPEN - 1, lengths, &e));
    assert_string_equal(e.code, "audit_plan");
    static const json_int_t NONE[] = {-1, 100, 9223372036854775807};
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
        json_array_set_new(lengths, 0, json_integer(NONE[i]));
        assert_null(plan_join(TEXT, sizeof TEXT - 1, lengths, &e));
        assert_string_equal(e.message, "the lengths of the earlier weeks are not those of their texts");
    }
    json_array_set_new(lengths, 0, json_integer(3));
    assert_null(plan_join("{}{x}", 5, lengths, &e));
    assert_non_null(strstr(e.message, "history[1]: the plan is not JSON"));
    json_decref(lengths);
    plan = plan_join("{}", 2, NULL, &e);
    assert_non_null(plan);
    json_decref(plan);
}

static void a_text_that_goes_on_behind_a_nul_is_no_name(void **state) {
    (void)state;
    json_t *plan = week("2026-W10");
    json_object_set_new(json_object_get(plan, "week"), "iso", json_stringn("2026-W10\0x", 10));
    refused(plan, 1, "plan_week", "week.iso: expected an ISO week such as \"2026-W10\", found \"2026-W10\\u0000x\"");
    plan = week("2026-W10");
    json_object_set_new(plan, "pack", json_stringn("roster\0", 7));
    err e;
    assert_int_equal(plan_is_of(plan, "roster", &e), -1);
    json_decref(plan);
}

static void a_plan_of_another_pack_is_refused_by_both_names(void **state) {
    (void)state;
    json_t *plan = week("2026-W10");
    err e;
    assert_int_equal(plan_is_of(plan, "roster", &e), 0);
    assert_int_equal(plan_is_of(plan, "routing", &e), -1);
    assert_string_equal(e.message, "the audit is for plans of the pack routing, and this one is of roster");
    json_decref(plan);
    plan = json_integer(1);
    assert_int_equal(plan_is_of(plan, "routing", &e), -1);
    assert_string_equal(e.message, "the audit is for plans of the pack routing, and this one is of none");
    json_decref(plan);
}

/* Lists that the schema promises sorted, each thing once. */
static void a_day_out_of_order_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *list, *key, *found;
    } CASES[] = {
        {"vehicles", "key", "vehicles[2].key: expected the order of key, found \"V1\""},
        {"stops", "key", "stops[2].key: expected the order of key, found \"S1\""},
        {"routes", "vehicle", "routes[2].vehicle: expected the order of vehicle, then start_min, found \"V1\""}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        json_t *plan = value(DAY);
        json_t *list = json_object_get(plan, CASES[i].list);
        json_array_append_new(list, json_deep_copy(json_array_get(list, 0)));
        refused(plan, 1, "plan_contradiction", CASES[i].found);
        plan = value(DAY);
        list = json_object_get(plan, CASES[i].list);
        json_t *before = json_deep_copy(json_array_get(list, 0));
        json_object_set_new(before, CASES[i].key, json_string("Z"));
        json_array_insert_new(list, 0, before);
        refused(plan, 1, "plan_contradiction", CASES[i].found);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weeks_and_dates_are_those_of_the_calendar),
        cmocka_unit_test(a_plan_needs_its_schema_its_week_and_its_lists),
        cmocka_unit_test(each_field_is_there_of_its_type_and_in_its_range),
        cmocka_unit_test(what_a_plan_says_twice_is_the_same_both_times),
        cmocka_unit_test(days_are_counted_as_the_calendar_counts_them),
        cmocka_unit_test(an_audit_gets_the_weeks_it_asked_for_and_no_more),
        cmocka_unit_test(a_history_that_is_short_or_out_of_order_is_refused),
        cmocka_unit_test(a_week_that_only_stands_in_has_no_week_before_it_and_is_none),
        cmocka_unit_test(texts_of_several_weeks_become_one_plan),
        cmocka_unit_test(a_text_that_goes_on_behind_a_nul_is_no_name),
        cmocka_unit_test(a_plan_of_another_pack_is_refused_by_both_names),
        cmocka_unit_test(a_day_out_of_order_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
