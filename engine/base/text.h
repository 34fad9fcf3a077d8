/* text.h: what foreign text goes through before anything shows it, and nearness of names. */
#ifndef GE_BASE_TEXT_H
#define GE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Is it well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF)? */
bool text_utf8_valid(const char *s, size_t n);
/* Length in bytes of the well-formed sequence at s, or 0. */
size_t text_utf8_seq(const char *s, size_t n);
/* Appends s to out as printable UTF-8 of at most `max` bytes (0 = no bound; a cut ends in "…"): control characters, C1,
 * bidirectional overrides and ill-formed bytes become \xNN or \u{NNNN}; newline and tab stay when `multiline`; a blank
 * parts the two marks that a runner of continuous integration would take for a command in what it watches ("::error",
 * "##vso["). Returns 0 / -1. */
int text_sanitise(buf *out, const char *s, size_t n, size_t max, bool multiline);
/* Is it well-formed, and nothing in it but what text_sanitise would leave as it is: on one line, or on several? */
bool text_is_line(const char *s);
bool text_is_block(const char *s);
/* The candidate nearest to word by edit distance (Damerau-Levenshtein, optimal string alignment), if near enough to be
 * a misspelling, else NULL. `names` ends with NULL. */
const char *text_suggest(const char *word, const char *const *names);
/* [A-Za-z0-9][A-Za-z0-9_-]{0,62}: tenant codes. */
bool text_is_code(const char *s);
/* [a-z][a-z0-9_]*, at most 63 bytes: ids of gates, classes of findings. */
bool text_is_id(const char *s);

#endif
