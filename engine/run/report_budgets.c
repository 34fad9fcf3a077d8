/* report_budgets.c: what each gate used of what it may use, for the readers of a report. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "run/report_parts.h"

static bool ends_in(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && strcmp(name + n - k, end) == 0;
}

/* In the unit that a person would choose; "-" where there is no such figure. */
static void say(char *out, size_t cap, const char *name, const json_t *figure) {
    double n = json_number_value(figure);
    if (!json_is_number(figure)) {
        snprintf(out, cap, "-");
    } else if (ends_in(name, "_bytes") && fabs(n) >= 1 << 20) {
        snprintf(out, cap, "%.1f MB", n / (1 << 20));
    } else if (ends_in(name, "_bytes")) {
        snprintf(out, cap, "%.0f bytes", n);
    } else if (ends_in(name, "_ms") && fabs(n) >= 1000) {
        snprintf(out, cap, "%.1f s", n / 1000);
    } else {
        snprintf(out, cap, ends_in(name, "_ms") ? "%.0f ms" : "%.0f", n);
    }
}

void report_budgets(const json_t *gate, void (*put)(void *ctx, const report_budget *b), void *ctx) {
    const char *name;
    json_t *entry;
    json_object_foreach(json_object_get(gate, "limits"), name, entry) {
        report_budget b = {.name = name};
        const json_t *limit = json_object_get(entry, "limit");
        say(b.current, sizeof b.current, name, json_object_get(entry, "current"));
        say(b.peak, sizeof b.peak, name, json_object_get(entry, "peak"));
        say(b.limit, sizeof b.limit, name, json_number_value(limit) > 0 ? limit : NULL);
        put(ctx, &b);
    }
}
