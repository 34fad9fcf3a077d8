/* calendar.h: dates and weeks as plans name them. Both forms sort by their bytes: a text that comes first is earlier.
 */
#ifndef GE_BASE_CALENDAR_H
#define GE_BASE_CALENDAR_H

#include <stdbool.h>

/* An ISO 8601 week that exists, as "2026-W10": week 53 in years that have one only. */
bool calendar_is_week(const char *s);
/* A date of the Gregorian calendar that exists, as "2026-03-02". */
bool calendar_is_date(const char *s);

#endif
