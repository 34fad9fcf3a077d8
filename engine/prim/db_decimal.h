/* db_decimal.h: decimal numbers as PostgreSQL's numeric writes them: exact comparison, and which of them Lua's own
 * numbers hold exactly. No arithmetic. */
#ifndef GE_PRIM_DB_DECIMAL_H
#define GE_PRIM_DB_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Points into the text it was read from. Zeros that say nothing are not part of it. */
typedef struct decimal {
    bool negative;     /* never for zero */
    const char *whole; /* digits before the point, without leading zeros */
    size_t n_whole;
    const char *fraction; /* digits behind it, without trailing zeros */
    size_t n_fraction;
} decimal;

/* Reads [+-]digits[.digits]. 0, or -1 for anything else (NaN, Infinity, exponents too). */
int decimal_read(const char *text, decimal *out);
/* -1, 0, 1. */
int decimal_compare(const decimal *a, const decimal *b);
/* Is it a whole number that fits? */
bool decimal_int64(const decimal *d, int64_t *out);
/* The nearest double of the text d was read from; true when it is exactly that number. */
bool decimal_double(const decimal *d, const char *text, double *out);
/* Every finite double is a decimal: its exact digits into out (DECIMAL_DOUBLE_MAX bytes), for decimal_read. */
#define DECIMAL_DOUBLE_MAX 1400
void decimal_of_double(double v, char *out);

#endif
