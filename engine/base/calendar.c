#include "base/calendar.h"

#include <stddef.h>
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
