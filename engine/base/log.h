/* log.h: lines on standard error, with every registered secret masked.
 *
 * Secrets are registered where they enter (the configuration's env and file values); from then on no text that passes
 * log_mask, which every report, log line and error does, can hold one. */
#ifndef GE_BASE_LOG_H
#define GE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

typedef enum { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG } log_level;

/* Lines above this level are dropped. Default LOG_INFO. */
void log_set_level(log_level level);
log_level log_get_level(void);

/* Writes one line to standard error: masked, control characters made visible. Never fails the caller. */
void log_line(log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Registers a secret; texts shorter than 4 bytes are ignored, since masking them would garble everything.
 * Its percent-encoded form is masked too. Returns 0, or -1 out of memory. */
int log_add_secret(const char *secret, size_t len);
/* A secret stands in the text? */
bool log_has_secret(const char *text, size_t len);
/* Appends text to out with every secret replaced by "***". Returns 0 / -1. */
int log_mask(buf *out, const char *text, size_t len);
/* The same, ended early once at least `enough` bytes were appended: what is cut off anyway is not looked at. */
int log_mask_some(buf *out, const char *text, size_t len, size_t enough);
/* Forgets (and wipes) all secrets. */
void log_forget_secrets(void);

#endif
