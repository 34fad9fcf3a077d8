/* progress.h: what a run is doing, on standard error while it is doing it.
 *
 * On a terminal one line is kept up to date; elsewhere a plain line is written for each finished gate and check, and
 * only when verbose, since a log file is no place for animation. */
#ifndef GE_RUN_PROGRESS_H
#define GE_RUN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct progress progress;

/* For n gates, on descriptor fd. NULL out of memory; every function takes NULL and does nothing then. */
progress *progress_new(int fd, bool verbose, size_t n);
/* Gate i began, or now runs this check, or ended with this status. Texts are copied and made printable. */
void progress_gate(progress *p, size_t i, const char *name);
void progress_check(progress *p, size_t i, const char *check);
void progress_check_done(progress *p, size_t i, const char *check, const char *status);
void progress_gate_done(progress *p, size_t i, const char *status, double duration_ms);
/* Gate i, running or in its recovery, is so far with something that takes long: "recording [####----] 50 %". */
void progress_step(progress *p, size_t i, const char *text);
/* Takes the live line away, so that other text can be written; the next change draws it again. */
void progress_hide(progress *p);
void progress_free(progress *p);

#endif
