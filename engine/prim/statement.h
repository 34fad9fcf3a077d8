/* statement.h: SQL text as PostgreSQL's lexer reads it: cut into statements, without its literals, and with what it
 * says of the tenant's settings.
 *
 * Sources: PostgreSQL manual, section "Lexical Structure"; src/backend/parser/scan.l; psql's psqlscan.l for where a
 * statement ends. A whole parser is not needed for this, and what is not SQL must not stop it: this runs on whatever an
 * application sends. */
#ifndef GE_PRIM_STATEMENT_H
#define GE_PRIM_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define STATEMENT_NAME_MAX 64    /* NAMEDATALEN */
#define STATEMENT_CONTEXTS_MAX 8 /* in one statement; more are counted, not told */
#define STATEMENT_VALUE_MAX 1024

/* ---- tokens ---- */

typedef enum {
    TOKEN_END,
    TOKEN_WORD,   /* identifier or keyword; text is folded unless it was quoted */
    TOKEN_STRING, /* any kind of string; text is its value */
    TOKEN_NUMBER,
    TOKEN_PARAMETER, /* $1; number is its own */
    TOKEN_OTHER      /* "(", ",", "::", ";", one operator character … */
} token_kind;

typedef struct token {
    token_kind kind;
    size_t start, end; /* in the text; end is behind its last byte */
    bool quoted;       /* a word in double quotes */
    bool open;         /* the text ended within it */
    bool dollar;       /* a string in dollar quotes: [body, body_end) is what is in them */
    size_t body, body_end;
    int number;
    char text[STATEMENT_VALUE_MAX]; /* cut, NUL-terminated; OTHER: the characters */
    size_t len;                     /* of text */
    bool cut;                       /* text does not hold all of it */
} token;

typedef struct tokens {
    const char *sql;
    size_t n, at;
    bool standard_strings; /* standard_conforming_strings */
} tokens;

/* The next token; TOKEN_END for ever at the end. Comments and white space are passed over. */
void tokens_next(tokens *s, token *t);

/* ---- statements ---- */

typedef enum {
    STATEMENT_OTHER,
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_PREPARE_TRANSACTION,
    STATEMENT_SAVEPOINT,
    STATEMENT_RELEASE,
    STATEMENT_ROLLBACK_TO,
    STATEMENT_PREPARE,
    STATEMENT_EXECUTE,
    STATEMENT_DEALLOCATE, /* name "" = all */
    STATEMENT_DISCARD_ALL,
    STATEMENT_RESET_ALL,
    STATEMENT_SET_ROLE,    /* name "" = none, or one that is not told */
    STATEMENT_SET_SESSION, /* SESSION AUTHORIZATION; the same */
    STATEMENT_DO
} statement_kind;

/* As scripts and recordings name it: "begin", "rollback_to" … */
const char *statement_kind_name(statement_kind kind);

typedef enum { VALUE_LITERAL, VALUE_PARAMETER, VALUE_EXPRESSION, VALUE_DEFAULT } statement_value;
const char *statement_value_name(statement_value from);

/* One setting of a tenant's setting: set_config(…), SET or RESET. */
typedef struct statement_context {
    int setting; /* its place in the names that were given; -1: `setting_parameter` names it, or an expression */
    int setting_parameter; /* 0 = none */
    int local;           /* 1 transaction, 0 session, -1 not known here: `local_parameter` says it, or an expression */
    int local_parameter; /* 0 = none */
    statement_value from;
    int parameter;     /* VALUE_PARAMETER */
    bool converted;    /* it goes through a type that is not text */
    const char *value; /* VALUE_LITERAL, borrowed for the call */
    size_t len;        /* of value */
    bool cut;          /* value does not hold all of it */
} statement_context;

typedef struct statement {
    statement_kind kind;
    char name[STATEMENT_NAME_MAX]; /* of a savepoint, a prepared statement, a role */
    bool local;                    /* SET LOCAL ROLE */
    bool chain;                    /* COMMIT AND CHAIN */
    bool cut;                      /* the text ended within a token, or was longer than what is kept */
    statement_context context[STATEMENT_CONTEXTS_MAX];
    size_t contexts;
    const char *text; /* normalised: literals are '?' and 0, lists of them their first, comments gone; borrowed */
    size_t len;
} statement;

typedef struct statement_options {
    bool standard_strings;
    const char *const *settings; /* names of the tenant's settings, any case */
    size_t nsettings;
    size_t keep; /* most bytes of normalised text; 0 = 16384 */
    bool more;   /* the text goes on, but is not here: the last statement is cut */
} statement_options;

/* Calls `each` for every statement of the text that is not empty. -1 with *e: what `each` gave, or out_of_memory. */
int statement_scan(const char *sql, size_t n, const statement_options *o,
                   int (*each)(void *ctx, const statement *s, err *e), void *ctx, err *e);

#endif
