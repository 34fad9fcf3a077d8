/* canon.h: canonical JSON, RFC 8785 (JCS). What is hashed goes through here and nowhere else.
 *
 * Numbers are IEEE 754 doubles written as ECMAScript does (RFC 8785 section 3.2.2.3); keys are sorted by UTF-16 code
 * units (3.2.3). Refused, since two readers could differ on them: duplicate keys, ill-formed UTF-8, lone surrogates,
 * NaN and infinities, and Lua or JSON integers which a double neither holds exactly nor writes with the same digits
 * (what this writes it also reads: 2^60 is written 1152921504606847000). */
#ifndef GE_BASE_CANON_H
#define GE_BASE_CANON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CANON_DEPTH_MAX 200
#define CANON_NUMBER_MAX 32

/* A double as ECMAScript's Number::toString writes it, into out; returns its length, or -1 for NaN and infinities. */
int canon_number(double value, char out[CANON_NUMBER_MAX]);
/* Appends an integer as that does. Errors: json_number where no double keeps it, out_of_memory. */
int canon_integer(buf *out, int64_t value, err *e);
/* Appends s (UTF-8) as a JSON string, quotes included, escaped as RFC 8785 section 3.2.2.2 says. */
int canon_string(buf *out, const char *s, size_t n, err *e);
/* Appends the canonical form of a value, or of a JSON text. Errors: json_syntax, json_duplicate_key, json_number,
 * json_depth, json_utf8, out_of_memory; out is then as it was. */
int canon_value(buf *out, const json_t *value, err *e);
int canon_text(buf *out, const char *text, size_t n, err *e);

/* Reads a JSON text of any type strictly: one value and nothing after it, no duplicate keys, well-formed UTF-8,
 * integers within 64 bits, nested at most CANON_DEPTH_MAX deep. A new reference, or NULL with an error as above. */
json_t *canon_parse(const char *text, size_t n, err *e);
/* Appends a value as ordinary JSON, for people and programs and not for hashing: keys sorted as above, integers in
 * full, reals in their shortest form and still reals when read back (1.0 is not 1). `indent` spaces a level, 0 = on one
 * line.
 */
int canon_plain(buf *out, const json_t *value, int indent, err *e);

#endif
