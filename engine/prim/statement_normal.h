/* statement_normal.h: private to statement*.c: normalised text, and settings of the tenant's settings. */
#ifndef GE_PRIM_STATEMENT_NORMAL_H
#define GE_PRIM_STATEMENT_NORMAL_H

#include "prim/statement.h"

#define FRAMES_MAX 64

/* ---- normalised text ---- */

typedef struct frame {
    bool list, values; /* equal items that follow each other are one */
    size_t item;       /* in out: where the item that is written begins */
    size_t last, last_end;
} frame;

typedef struct normal {
    buf out;
    bool cut;
    frame frames[FRAMES_MAX];
    size_t depth, beyond; /* beyond: brackets deeper than FRAMES_MAX */
    bool after_in, after_array;
    size_t previous_end; /* of the token before, in the text */
} normal;

void normal_reset(normal *n, size_t keep, size_t at);
/* Appends the token; `as` stands for it instead of its text (NULL: itself). */
void normal_token(normal *n, const char *sql, const token *t, const char *as);
void normal_finish(normal *n);

/* ---- set_config( … ) ---- */

typedef enum {
    ARG_START,
    ARG_CAST,
    ARG_CAST_IN,
    ARG_CAST_BASE,
    ARG_CAST_TYPE,
    ARG_BASE,
    ARG_TYPE,
    ARG_OTHER
} arg_state;

typedef struct argument {
    arg_state state;
    token_kind base; /* STRING, PARAMETER, or WORD for true and false */
    int number;      /* of a parameter; of a word 1 for true, 0 for false */
    bool converted, cut;
    char text[STATEMENT_VALUE_MAX];
    size_t len;
} argument;

typedef struct call {
    bool active;
    int depth; /* of brackets in it */
    size_t n;  /* argument that is read */
    argument arg[3];
} call;

void call_begin(call *c);
/* Takes a token behind the opening bracket. true: it was the call's last. */
bool call_token(call *c, const token *t);
/* What the call says; the context borrows from c. */
void call_context(const call *c, const statement_options *o, statement_context *out);

/* The place of a setting's name, or -1. */
int setting_index(const statement_options *o, const char *name, size_t len);

#endif
