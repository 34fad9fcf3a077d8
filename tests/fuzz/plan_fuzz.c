/* Plans that audits are given: whatever the text, an audit gets the weeks it asked for in order, or there is an error.
 */
#include <string.h>

#include "base/calendar.h"
#include "base/plan.h"
#include "promise.h"

static void trim(const json_t *value, size_t weeks) {
    err e;
    err_clear(&e);
    json_t *plan = json_deep_copy(value);
    PROMISE(plan != NULL);
    if (plan_trim(plan, weeks, &e) != 0) {
        PROMISE(weeks > 0 && e.code[0] != '\0' && e.message[0] != '\0');
        json_decref(plan);
        return;
    }
    const json_t *history = json_object_get(plan, "history");
    PROMISE(json_array_size(history) == weeks && (weeks > 0 || history == NULL));
    plan_facts facts;
    PROMISE(weeks == 0 || plan_check(plan, &facts, &e) == 0);
    const char *later = weeks > 0 ? facts.when : "";
    for (size_t i = 0; i < weeks; i++) {
        const json_t *past = json_array_get(history, i);
        plan_facts of;
        PROMISE(plan_check(past, &of, &e) == 0 && json_object_get(past, "history") == NULL);
        PROMISE(strcmp(of.pack, facts.pack) == 0 && strcmp(of.when, later) < 0);
        PROMISE(calendar_is_week(of.when) || calendar_is_date(of.when));
        later = of.when;
    }
    json_decref(plan);
}

/* The text cut into a plan and two earlier weeks: one cannot reach into another, and none brings a history along. */
static void join(const char *text, size_t n) {
    err e;
    err_clear(&e);
    size_t second = n / 3, third = n / 4;
    json_t *lengths = json_pack("[I, I]", (json_int_t)second, (json_int_t)third);
    json_t *plan = plan_join(text, n, lengths, &e);
    PROMISE(plan != NULL || (e.code[0] != '\0' && e.message[0] != '\0'));
    const json_t *history = json_object_get(plan, "history");
    PROMISE(!json_is_object(plan) || json_array_size(history) == 2);
    for (size_t i = 0; i < json_array_size(history); i++) {
        PROMISE(json_object_get(json_array_get(history, i), "history") == NULL);
    }
    json_decref(plan);
    json_decref(lengths);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    err e;
    join((const char *)data, n);
    json_t *value = plan_parse((const char *)data, n, &e);
    if (value == NULL) {
        return 0;
    }
    for (size_t weeks = 0; weeks <= 2; weeks++) {
        trim(value, weeks);
    }
    static const char *const PACKS[] = {"roster", "routing"};
    bool of[2];
    for (size_t i = 0; i < 2; i++) {
        err_clear(&e);
        of[i] = plan_is_of(value, PACKS[i], &e) == 0;
        PROMISE(of[i] || e.message[0] != '\0');
    }
    PROMISE(!of[0] || !of[1]);
    json_decref(value);
    return 0;
}
