#include "base/plan_fields.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/calendar.h"
#include "base/text.h"

typedef enum { STRING, INTEGER, NUMBER, YES, LIST, OBJECT } kind;

/* A field of an object; the first of an array stands for each element of a list. */
struct plan_field {
    const char *key; /* NULL ends an array */
    kind kind;
    const char *expected; /* as a message says it */
    bool optional, nullable;
    double min, max;           /* of numbers, and of how many elements a list has; 0, 0: as many as there are */
    bool (*is)(const char *s); /* of strings */
    const struct plan_field *fields;
};

static bool is_one_of(const char *s, const char *const *names) {
    while (*names != NULL && strcmp(*names, s) != 0) {
        names++;
    }
    return *names != NULL;
}

static bool is_weekday(const char *s) {
    static const char *const DAYS[] = {"monday", "tuesday",  "wednesday", "thursday",
                                       "friday", "saturday", "sunday",    NULL};
    return is_one_of(s, DAYS);
}

static bool is_block_type(const char *s) {
    static const char *const TYPES[] = {"1er", "2er-reg", "2er-split", "3er-chain", "none", NULL};
    return is_one_of(s, TYPES);
}

/* "2026-03-02T04:30", an hour from 00 to 23. */
static bool is_clock(const char *s) {
    char date[11];
    int hour, minute, end = 0;
    if (strlen(s) != 16 || s[10] != 'T' || s[13] != ':' || strspn(s + 11, "0123456789") != 2 ||
        strspn(s + 14, "0123456789") != 2) {
        return false;
    }
    memcpy(date, s, 10);
    date[10] = '\0';
    return calendar_is_date(date) && sscanf(s + 11, "%2d:%2d%n", &hour, &minute, &end) == 2 && hour < 24 && minute < 60;
}

static bool is_sha256(const char *s) {
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

#define END                                                                                                            \
    { .key = NULL }
#define TEXT(name)                                                                                                     \
    { .key = name, .kind = STRING, .expected = "a string" }
#define TEXT_OR_NULL(name)                                                                                             \
    { .key = name, .kind = STRING, .nullable = true, .expected = "a string or null" }
#define MATCH(name, fn, words)                                                                                         \
    { .key = name, .kind = STRING, .is = fn, .expected = words }
#define WHOLE(name, low, high, words)                                                                                  \
    { .key = name, .kind = INTEGER, .min = low, .max = high, .expected = words }
#define DAY(name) WHOLE(name, 1, 7, "a day from 1 to 7")
#define WEEKDAY MATCH("weekday", is_weekday, "the name of a weekday, such as \"monday\"")
#define DATE(name) MATCH(name, calendar_is_date, "a date such as \"2026-03-02\"")
#define CLOCK(name) MATCH(name, is_clock, "a local time such as \"2026-03-02T04:30\"")
#define BLOCK_TYPE(name)                                                                                               \
    MATCH(name, is_block_type, "a block type: \"1er\", \"2er-reg\", \"2er-split\", \"3er-chain\" or \"none\"")
#define POSITIVE(name) WHOLE(name, 1, DBL_MAX, "an integer of at least 1")
#define NATURAL(name) WHOLE(name, 0, DBL_MAX, "an integer of at least 0")
#define MINUTE(name) WHOLE(name, 0, 2880, "minutes from 0 to 2880")
#define ITEMS(name, list)                                                                                              \
    { .key = name, .kind = LIST, .fields = list, .expected = "a list" }
#define PART(name, list)                                                                                               \
    { .key = name, .kind = OBJECT, .fields = list, .expected = "an object" }

static const struct plan_field day_number[] = {DAY("day"), END};
static const struct plan_field word[] = {TEXT("word"), END};

static const struct plan_field week_day[] = {DAY("day"), WEEKDAY, DATE("date"), END};
static const struct plan_field week_days[] = {PART("day", week_day), END};
static const struct plan_field week[] = {
    {.key = "reference", .kind = YES, .optional = true, .expected = "true, or no such field"},
    MATCH("iso", calendar_is_week, "an ISO week such as \"2026-W10\""),
    {.key = "days", .kind = LIST, .fields = week_days, .min = 7, .max = 7, .expected = "a list of 7 days"},
    END};
static const struct plan_field driver[] = {TEXT("key"), POSITIVE("minutes"), ITEMS("days", day_number),
                                           POSITIVE("tours"), END};
static const struct plan_field drivers[] = {PART("driver", driver), END};
static const struct plan_field block[] = {TEXT("id"),
                                          BLOCK_TYPE("type"),
                                          WHOLE("start_min", -DBL_MAX, DBL_MAX, "an integer"),
                                          WHOLE("end_min", -DBL_MAX, DBL_MAX, "an integer"),
                                          POSITIVE("tours"),
                                          END};
static const struct plan_field assignment[] = {TEXT("driver_id"),
                                               TEXT("tour_instance_id"),
                                               DAY("day"),
                                               WEEKDAY,
                                               DATE("date"),
                                               CLOCK("start"),
                                               CLOCK("end"),
                                               NATURAL("start_min"),
                                               POSITIVE("end_min"),
                                               POSITIVE("minutes"),
                                               TEXT_OR_NULL("depot"),
                                               TEXT_OR_NULL("skill"),
                                               TEXT_OR_NULL("split_group"),
                                               TEXT("block_id"),
                                               BLOCK_TYPE("block_type"),
                                               PART("block", block),
                                               END};
static const struct plan_field assignments[] = {PART("assignment", assignment), END};
#define HEAD                                                                                                           \
    TEXT("schema"), TEXT("pack"), {                                                                                    \
        .key = "history", .kind = LIST, .optional = true, .expected = "a list of plans, newest first"                  \
    }
static const struct plan_field roster[] = {HEAD, PART("week", week), ITEMS("drivers", drivers),
                                           ITEMS("assignments", assignments), END};

static const struct plan_field matrix[] = {
    TEXT("version"), MATCH("sha256", is_sha256, "a SHA-256 as 64 hexadecimal digits in lower case"), END};
static const struct plan_field place[] = {
    {.key = "lat", .kind = NUMBER, .min = -90, .max = 90, .expected = "degrees from -90 to 90"},
    {.key = "lng", .kind = NUMBER, .min = -180, .max = 180, .expected = "degrees from -180 to 180"},
    END};
static const struct plan_field vehicle[] = {TEXT("key"),
                                            PART("depot", place),
                                            NATURAL("capacity"),
                                            ITEMS("skills", word),
                                            MINUTE("shift_start_min"),
                                            MINUTE("shift_end_min"),
                                            END};
static const struct plan_field vehicles[] = {PART("vehicle", vehicle), END};
static const struct plan_field stop[] = {TEXT("key"),
                                         PART("place", place),
                                         NATURAL("demand"),
                                         ITEMS("skills", word),
                                         MINUTE("window_start_min"),
                                         MINUTE("window_end_min"),
                                         NATURAL("service_min"),
                                         END};
static const struct plan_field stops[] = {PART("stop", stop), END};
static const struct plan_field visit[] = {TEXT("stop"),        MINUTE("arrive_min"), MINUTE("start_min"),
                                          MINUTE("leave_min"), NATURAL("load"),      END};
static const struct plan_field visits[] = {PART("visit", visit), END};
static const struct plan_field route[] = {TEXT("vehicle"),       MINUTE("start_min"),     MINUTE("end_min"),
                                          NATURAL("distance_m"), ITEMS("visits", visits), END};
static const struct plan_field routes[] = {PART("route", route), END};
static const struct plan_field routing[] = {HEAD,
                                            DATE("date"),
                                            PART("matrix", matrix),
                                            ITEMS("vehicles", vehicles),
                                            ITEMS("stops", stops),
                                            ITEMS("routes", routes),
                                            END};

const struct plan_field *const PLAN_ROSTER = roster;
const struct plan_field *const PLAN_ROUTING = routing;

/* Where a value stands, for a message. */
typedef struct place_in {
    const struct place_in *up;
    const char *key; /* NULL: element `index` of a list, from 0 */
    size_t index;
} place_in;

static void say_place(buf *b, const place_in *at) {
    if (at->up != NULL) {
        say_place(b, at->up);
    }
    if (at->key == NULL) {
        buf_printf(b, "[%zu]", at->index + 1);
        return;
    }
    buf_puts(b, b->len > 0 ? "." : "");
    text_sanitise(b, at->key, strlen(at->key), 80, false);
}

static int refuse(const place_in *at, const char *expected, const json_t *found, err *e) {
    buf path = BUF_INIT;
    say_place(&path, at);
    plan_wrong(e, "plan_shape", path.failed ? "the plan" : buf_str(&path), expected, found);
    buf_free(&path);
    return -1;
}

static bool has_text(const struct plan_field *f, const json_t *v) {
    const char *text = json_string_value(v);
    return text != NULL && strlen(text) == json_string_length(v) && (f->is == NULL || f->is(text));
}

static bool in_range(const struct plan_field *f, double n) {
    return n >= f->min && n <= f->max;
}

static bool fits(const struct plan_field *f, const json_t *v) {
    switch (f->kind) {
    case STRING:
        return has_text(f, v) || (f->nullable && json_is_null(v));
    case INTEGER:
        return json_is_integer(v) && in_range(f, (double)json_integer_value(v));
    case NUMBER:
        return json_is_number(v) && in_range(f, json_number_value(v));
    case YES:
        return json_is_true(v);
    case LIST:
        return json_is_array(v) && (f->max == 0 || in_range(f, (double)json_array_size(v)));
    case OBJECT:
        return json_is_object(v);
    }
    return false;
}

static int check_object(const struct plan_field *fields, const json_t *v, const place_in *at, err *e);

static int check_value(const struct plan_field *f, const json_t *v, const place_in *at, err *e) {
    if (!fits(f, v)) {
        return refuse(at, f->expected, v, e);
    }
    if (f->kind == OBJECT) {
        return check_object(f->fields, v, at, e);
    }
    size_t n = f->kind == LIST && f->fields != NULL ? json_array_size(v) : 0;
    for (size_t i = 0; i < n; i++) {
        if (check_value(f->fields, json_array_get(v, i), &(place_in){.up = at, .index = i}, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int refuse_unknown(const struct plan_field *fields, const json_t *v, const place_in *at, err *e) {
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)v, key, item) {
        const struct plan_field *f = fields;
        while (f->key != NULL && strcmp(f->key, key) != 0) {
            f++;
        }
        if (f->key == NULL) {
            return refuse(&(place_in){.up = at, .key = key}, "no such field", item, e);
        }
    }
    return 0;
}

static int check_object(const struct plan_field *fields, const json_t *v, const place_in *at, err *e) {
    size_t known = 0;
    for (const struct plan_field *f = fields; f->key != NULL; f++) {
        const json_t *item = json_object_get(v, f->key);
        known += item != NULL ? 1 : 0;
        if (item == NULL && f->optional) {
            continue;
        }
        if (check_value(f, item, &(place_in){.up = at, .key = f->key}, e) != 0) {
            return -1;
        }
    }
    return known == json_object_size(v) ? 0 : refuse_unknown(fields, v, at, e);
}

int plan_fields_check(const struct plan_field *fields, const json_t *plan, err *e) {
    return check_object(fields, plan, NULL, e);
}
