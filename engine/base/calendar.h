/* calendar.h: dates and weeks as plans name them. Both forms sort by their bytes: a text that comes first is earlier.
 */
#ifndef GE_BASE_CALENDAR_H
#define GE_BASE_CALENDAR_H

#include <stdbool.h>

/* An ISO 8601 week that exists, as "2026-W10": week 53 in years that have one only. */
bool calendar_is_week(const char *s);
/* A date of the Gregorian calendar that exists, as "2026-03-02". */
bool calendar_is_date(const char *s);

/* Room for a date as text. */
#define CALENDAR_TEXT 40
/* The Monday of an ISO 8601 week that exists, as days since 1970-01-01. */
int calendar_monday(const char *week);
/* The date that is so many days after 1970-01-01: "2026-03-02"; years past 9999 have five digits. */
void calendar_text(int days, char out[CALENDAR_TEXT]);

#endif
