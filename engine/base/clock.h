/* clock.h: time. Durations come from the monotonic clock, time stamps are RFC 3339 in UTC. */
#ifndef GE_BASE_CLOCK_H
#define GE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_MAX 32

/* Monotonic milliseconds, as a whole number and with fraction. */
int64_t clock_ms(void);
double clock_ms_exact(void);
/* Now as "2027-01-31T12:00:00.123Z" into out (at least CLOCK_RFC3339_MAX bytes). RFC 3339 section 5.6. */
void clock_rfc3339(char *out, size_t cap);

#endif
