#include "base/calendar.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* n digits at s as a number, or -1. */
static int digits(const char *s, size_t n) {
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return -1;
        }
        value = value * 10 + (s[i] - '0');
    }
    return value;
}

/* Day of the week of 31 December, 0 is Sunday. */
static int last_weekday(int year) {
    return (year + year / 4 - year / 100 + year / 400) % 7;
}

bool calendar_is_week(const char *s) {
    if (strlen(s) != 8 || s[4] != '-' || s[5] != 'W') {
        return false;
    }
    int year = digits(s, 4);
    int week = digits(s + 6, 2);
    if (year < 1 || week < 1) {
        return false;
    }
    /* ISO 8601: 53 weeks where the year ends on a Thursday or begins on one. */
    bool is_long = last_weekday(year) == 4 || last_weekday(year - 1) == 3;
    return week <= (is_long ? 53 : 52);
}

bool calendar_is_date(const char *s) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (strlen(s) != 10 || s[4] != '-' || s[7] != '-') {
        return false;
    }
    int year = digits(s, 4);
    int month = digits(s + 5, 2);
    int day = digits(s + 8, 2);
    if (year < 1 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* Days from 1970-01-01 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil). */
static int days_of(int year, int month, int day) {
    year -= month <= 2;
    int era = year / 400, of_era = year % 400;
    int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int calendar_monday(const char *week) {
    /* ISO 8601: 4 January lies in the first week. 1970-01-01 was a Thursday. */
    int fourth = days_of(digits(week, 4), 1, 4);
    return fourth - ((fourth + 3) % 7 + 7) % 7 + 7 * (digits(week + 6, 2) - 1);
}

void calendar_text(int days, char out[CALENDAR_TEXT]) {
    days += 719468; /* from 0000-03-01; civil_from_days of the same source, for days from then on */
    int era = days / 146097, of_era = days % 146097;
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153; /* 0 is March */
    int day = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    snprintf(out, CALENDAR_TEXT, "%04d-%02d-%02d", year + era * 400 + (month <= 2), month, day);
}
