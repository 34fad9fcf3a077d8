#include "base/plan_sense.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/calendar.h"
#include "base/plan_fields.h"
#include "base/text.h"

enum { DAY = 1440, WEEK = 7 };

static json_int_t number(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* `list`[index].key is not what the rest of the plan says; key NULL: the element itself. */
__attribute__((format(printf, 6, 7))) static int refuse(err *e, const char *list, size_t index, const char *key,
                                                        const json_t *found, const char *fmt, ...) {
    char path[96];
    snprintf(path, sizeof path, "%s[%zu]%s%s", list, index + 1, key != NULL ? "." : "", key != NULL ? key : "");
    buf expected = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    char plain[256];
    vsnprintf(plain, sizeof plain, fmt, args);
    va_end(args);
    text_sanitise(&expected, plain, strlen(plain), sizeof plain, false);
    plan_wrong(e, "plan_contradiction", path, buf_str(&expected), found);
    buf_free(&expected);
    return -1;
}

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "out of memory");
}

/* key → place in the list, from 0; a key that is there twice is refused. */
static json_t *index_of(const json_t *list, const char *name, err *e) {
    json_t *index = json_object();
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item) {
        const char *key = text(item, "key");
        if (index != NULL && json_object_get(index, key) != NULL) {
            refuse(e, name, i, "key", json_object_get(item, "key"), "a key that stands here once");
            json_decref(index);
            return NULL;
        }
        if (index == NULL || json_object_set_new(index, key, json_integer((json_int_t)i)) != 0) {
            json_decref(index);
            no_memory(e);
            return NULL;
        }
    }
    if (index == NULL) {
        no_memory(e);
    }
    return index;
}

/* ---- roster: a week of drivers ---- */

static const char *const WEEKDAYS[WEEK] = {"monday", "tuesday",  "wednesday", "thursday",
                                           "friday", "saturday", "sunday"};

typedef struct {
    json_int_t tours, start, end;
} workday;

typedef struct {
    json_int_t minutes, tours;
    workday days[WEEK];
} workweek;

/* The week's Monday as days since 1970-01-01. */
static int check_days(const json_t *week, int *monday, err *e) {
    *monday = calendar_monday(text(week, "iso"));
    const json_t *day;
    size_t i;
    json_array_foreach(json_object_get(week, "days"), i, day) {
        char date[CALENDAR_TEXT];
        calendar_text(*monday + (int)i, date);
        if (number(day, "day") != (json_int_t)i + 1) {
            return refuse(e, "week.days", i, "day", json_object_get(day, "day"), "day %zu", i + 1);
        }
        if (strcmp(text(day, "weekday"), WEEKDAYS[i]) != 0) {
            return refuse(e, "week.days", i, "weekday", json_object_get(day, "weekday"), "\"%s\" as day %zu",
                          WEEKDAYS[i], i + 1);
        }
        if (strcmp(text(day, "date"), date) != 0) {
            return refuse(e, "week.days", i, "date", json_object_get(day, "date"), "\"%s\" as day %zu of %s", date,
                          i + 1, text(week, "iso"));
        }
    }
    return 0;
}

static int check_clock(const json_t *a, size_t i, const char *key, const char *minute_key, int monday, err *e) {
    json_int_t minute = number(a, minute_key);
    char date[CALENDAR_TEXT], expected[CALENDAR_TEXT + 8];
    calendar_text(monday + (int)(minute / DAY), date);
    snprintf(expected, sizeof expected, "%sT%02d:%02d", date, (int)(minute / 60 % 24), (int)(minute % 60));
    return strcmp(text(a, key), expected) == 0
               ? 0
               : refuse(e, "assignments", i, key, json_object_get(a, key), "\"%s\" for %s %" JSON_INTEGER_FORMAT,
                        expected, minute_key, minute);
}

/* The day, the times and the length of a tour, each told in several ways. */
static int check_times(const json_t *a, size_t i, int monday, err *e) {
    json_int_t day = number(a, "day"), start = number(a, "start_min"), end = number(a, "end_min");
    char date[CALENDAR_TEXT];
    calendar_text(monday + (int)day - 1, date);
    if (start / DAY + 1 != day) {
        return refuse(e, "assignments", i, "start_min", json_object_get(a, "start_min"),
                      "a minute of day %" JSON_INTEGER_FORMAT, day);
    }
    if (end <= start || end - start > WEEK * DAY) {
        return refuse(e, "assignments", i, "end_min", json_object_get(a, "end_min"),
                      "a minute after start_min %" JSON_INTEGER_FORMAT ", at most a week", start);
    }
    if (number(a, "minutes") != end - start) {
        return refuse(e, "assignments", i, "minutes", json_object_get(a, "minutes"),
                      "%" JSON_INTEGER_FORMAT ", from start_min to end_min", end - start);
    }
    if (strcmp(text(a, "weekday"), WEEKDAYS[day - 1]) != 0) {
        return refuse(e, "assignments", i, "weekday", json_object_get(a, "weekday"), "\"%s\" as day %d",
                      WEEKDAYS[day - 1], (int)day);
    }
    if (strcmp(text(a, "date"), date) != 0) {
        return refuse(e, "assignments", i, "date", json_object_get(a, "date"), "\"%s\" as day %d", date, (int)day);
    }
    int rc = check_clock(a, i, "start", "start_min", monday, e);
    return rc == 0 ? check_clock(a, i, "end", "end_min", monday, e) : rc;
}

/* The order that the schema promises: by driver, then tour. */
static int check_order(const json_t *list, size_t i, const char *first, const char *second, err *e) {
    const json_t *a = json_array_get(list, i - 1), *b = json_array_get(list, i);
    int order = strcmp(text(a, first), text(b, first));
    if (order < 0 || (order == 0 && second != NULL && strcmp(text(a, second), text(b, second)) <= 0)) {
        return 0;
    }
    return refuse(e, second != NULL ? "assignments" : "drivers", i, NULL, b,
                  second != NULL ? "the order of %s, then %s" : "the order of %s", first, second);
}

static int add_up(const json_t *list, const json_t *index, int monday, workweek *weeks, err *e) {
    const json_t *a;
    size_t i;
    json_array_foreach(list, i, a) {
        const json_t *at = json_object_get(index, text(a, "driver_id"));
        if (at == NULL) {
            return refuse(e, "assignments", i, "driver_id", json_object_get(a, "driver_id"), "a key of drivers");
        }
        if (check_times(a, i, monday, e) != 0 ||
            (i > 0 && check_order(list, i, "driver_id", "tour_instance_id", e) != 0)) {
            return -1;
        }
        workweek *w = &weeks[json_integer_value(at)];
        workday *d = &w->days[number(a, "day") - 1];
        json_int_t start = number(a, "start_min"), end = number(a, "end_min");
        d->start = d->tours == 0 || start < d->start ? start : d->start;
        d->end = d->tours == 0 || end > d->end ? end : d->end;
        d->tours++;
        w->tours++;
        w->minutes += end - start;
    }
    return 0;
}

/* A driver's sums, and the days in ascending order, each once. */
static int check_driver(const json_t *driver, size_t i, const workweek *w, err *e) {
    const json_t *days = json_object_get(driver, "days");
    size_t at = 0;
    for (int day = 1; day <= WEEK; day++) {
        if (w->days[day - 1].tours > 0 && json_integer_value(json_array_get(days, at++)) != day) {
            return refuse(e, "drivers", i, "days", days,
                          "the days of its assignments in ascending order, %d among them", day);
        }
    }
    if (at != json_array_size(days)) {
        return refuse(e, "drivers", i, "days", days, "no more than the %zu days of its assignments", at);
    }
    if (number(driver, "minutes") != w->minutes) {
        return refuse(e, "drivers", i, "minutes", json_object_get(driver, "minutes"),
                      "%" JSON_INTEGER_FORMAT ", the sum of its assignments", w->minutes);
    }
    return number(driver, "tours") == w->tours ? 0
                                               : refuse(e, "drivers", i, "tours", json_object_get(driver, "tours"),
                                                        "%" JSON_INTEGER_FORMAT ", as it has assignments", w->tours);
}

static int check_block(const json_t *a, size_t i, const workday *d, err *e) {
    static const char *const KEYS[] = {"start_min", "end_min", "tours"};
    const json_int_t expected[] = {d->start, d->end, d->tours};
    const json_t *block = json_object_get(a, "block");
    for (size_t k = 0; k < sizeof KEYS / sizeof *KEYS; k++) {
        if (number(block, KEYS[k]) != expected[k]) {
            char key[24];
            snprintf(key, sizeof key, "block.%s", KEYS[k]);
            return refuse(e, "assignments", i, key, json_object_get(block, KEYS[k]),
                          "%" JSON_INTEGER_FORMAT " by the driver's assignments of that day", expected[k]);
        }
    }
    return strcmp(text(block, "type"), text(a, "block_type")) == 0
               ? 0
               : refuse(e, "assignments", i, "block.type", json_object_get(block, "type"), "block_type's \"%s\"",
                        text(a, "block_type"));
}

static int check_sums(const json_t *plan, const json_t *index, const workweek *weeks, err *e) {
    const json_t *drivers = json_object_get(plan, "drivers"), *item;
    size_t i;
    json_array_foreach(drivers, i, item) {
        if (check_driver(item, i, &weeks[i], e) != 0 || (i > 0 && check_order(drivers, i, "key", NULL, e) != 0)) {
            return -1;
        }
    }
    json_array_foreach(json_object_get(plan, "assignments"), i, item) {
        const json_t *at = json_object_get(index, text(item, "driver_id"));
        if (check_block(item, i, &weeks[json_integer_value(at)].days[number(item, "day") - 1], e) != 0) {
            return -1;
        }
    }
    return 0;
}

int plan_sense_roster(const json_t *plan, err *e) {
    const json_t *drivers = json_object_get(plan, "drivers");
    int monday;
    if (check_days(json_object_get(plan, "week"), &monday, e) != 0) {
        return -1;
    }
    json_t *index = index_of(drivers, "drivers", e);
    if (index == NULL) {
        return -1;
    }
    workweek *weeks = calloc(json_array_size(drivers) + 1, sizeof *weeks);
    int rc = weeks != NULL ? add_up(json_object_get(plan, "assignments"), index, monday, weeks, e) : no_memory(e);
    rc = rc == 0 ? check_sums(plan, index, weeks, e) : rc;
    free(weeks);
    json_decref(index);
    return rc;
}

/* ---- routing: a day of vehicles ---- */

/* item.second is not before item.first. */
static int check_pair(const json_t *list, const char *name, const char *first, const char *second, err *e) {
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item) {
        if (number(item, second) < number(item, first)) {
            return refuse(e, name, i, second, json_object_get(item, second), "at least %s %" JSON_INTEGER_FORMAT, first,
                          number(item, first));
        }
    }
    return 0;
}

/* A vehicle drives forward in time, and each visit adds its stop's demand to what was delivered. */
static int check_visits(const json_t *route, size_t i, const json_t *stops, const json_t *index, err *e) {
    static const char *const MINUTES[] = {"arrive_min", "start_min", "leave_min"};
    json_int_t now = number(route, "start_min"), load = 0;
    char name[48];
    snprintf(name, sizeof name, "routes[%zu].visits", i + 1);
    const json_t *visit;
    size_t k;
    json_array_foreach(json_object_get(route, "visits"), k, visit) {
        const json_t *at = json_object_get(index, text(visit, "stop"));
        if (at == NULL) {
            return refuse(e, name, k, "stop", json_object_get(visit, "stop"), "a key of stops");
        }
        for (size_t m = 0; m < sizeof MINUTES / sizeof *MINUTES; m++) {
            json_int_t minute = number(visit, MINUTES[m]);
            if (minute < now) {
                return refuse(e, name, k, MINUTES[m], json_object_get(visit, MINUTES[m]),
                              "at least %" JSON_INTEGER_FORMAT ", when what came before it ended", now);
            }
            now = minute;
        }
        load += number(json_array_get(stops, (size_t)json_integer_value(at)), "demand");
        if (number(visit, "load") != load) {
            return refuse(e, name, k, "load", json_object_get(visit, "load"),
                          "%" JSON_INTEGER_FORMAT ", the demands of the stops so far", load);
        }
    }
    return number(route, "end_min") >= now ? 0
                                           : refuse(e, "routes", i, "end_min", json_object_get(route, "end_min"),
                                                    "at least %" JSON_INTEGER_FORMAT ", when its last visit ends", now);
}

static int check_routes(const json_t *plan, const json_t *vehicles, const json_t *stops, err *e) {
    const json_t *route;
    size_t i;
    json_array_foreach(json_object_get(plan, "routes"), i, route) {
        if (json_object_get(vehicles, text(route, "vehicle")) == NULL) {
            return refuse(e, "routes", i, "vehicle", json_object_get(route, "vehicle"), "a key of vehicles");
        }
        if (check_visits(route, i, json_object_get(plan, "stops"), stops, e) != 0) {
            return -1;
        }
    }
    return 0;
}

/* By vehicle, then start, as the schema promises; no route stands there twice. */
static int check_route_order(const json_t *routes, err *e) {
    for (size_t i = 1; i < json_array_size(routes); i++) {
        const json_t *a = json_array_get(routes, i - 1), *b = json_array_get(routes, i);
        int order = strcmp(text(a, "vehicle"), text(b, "vehicle"));
        if (order > 0 || (order == 0 && number(a, "start_min") > number(b, "start_min")) || json_equal(a, b)) {
            return refuse(e, "routes", i, "vehicle", json_object_get(b, "vehicle"),
                          "the order of vehicle, then start_min");
        }
    }
    return 0;
}

static int check_keys_in_order(const json_t *list, const char *name, err *e) {
    for (size_t i = 1; i < json_array_size(list); i++) {
        if (strcmp(text(json_array_get(list, i - 1), "key"), text(json_array_get(list, i), "key")) >= 0) {
            return refuse(e, name, i, "key", json_object_get(json_array_get(list, i), "key"), "the order of key");
        }
    }
    return 0;
}

int plan_sense_routing(const json_t *plan, err *e) {
    const json_t *vehicles = json_object_get(plan, "vehicles"), *stops = json_object_get(plan, "stops");
    if (check_keys_in_order(vehicles, "vehicles", e) != 0 || check_keys_in_order(stops, "stops", e) != 0 ||
        check_route_order(json_object_get(plan, "routes"), e) != 0) {
        return -1;
    }
    if (check_pair(vehicles, "vehicles", "shift_start_min", "shift_end_min", e) != 0 ||
        check_pair(stops, "stops", "window_start_min", "window_end_min", e) != 0) {
        return -1;
    }
    json_t *by_vehicle = index_of(vehicles, "vehicles", e);
    json_t *by_stop = by_vehicle != NULL ? index_of(stops, "stops", e) : NULL;
    int rc = by_stop != NULL ? check_routes(plan, by_vehicle, by_stop, e) : -1;
    json_decref(by_vehicle);
    json_decref(by_stop);
    return rc;
}
