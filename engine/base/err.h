/* err.h: the one way a C function says why it failed.
 *
 * An err is plain memory of fixed size: setting it never fails, it owns nothing and it can be copied. A fallible
 * function takes `err *e` last and returns 0 or a pointer on success, -1 or NULL on failure with *e set. Texts that do
 * not fit are cut at a UTF-8 boundary. */
#ifndef GE_BASE_ERR_H
#define GE_BASE_ERR_H

#include <stdarg.h>

#define ERR_CODE_MAX 48
#define ERR_TEXT_MAX 1024

typedef struct err {
    char code[ERR_CODE_MAX];    /* stable machine name, e.g. "config_type"; empty = no error */
    char message[ERR_TEXT_MAX]; /* what is wrong: the thing, what was expected, what was found */
    char detail[ERR_TEXT_MAX];  /* more of it; may be empty */
    char fix[ERR_TEXT_MAX];     /* what to do; may be empty */
} err;

/* Sets code and message, clears detail and fix. Returns -1, so that `return err_set(e, …)` reads well. */
int err_set(err *e, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_vset(err *e, const char *code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* As err_set for a failed system call: the message ends with ": " and the text of errno as it was at the call. */
int err_errno(err *e, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds the detail or the fix to an error that is set. Returns -1. */
int err_detail(err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int err_fix(err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(err *e);

#endif
