/* lualex.h: a Lua source as tokens (Lua 5.4 manual, section 3.1). Comments and white space are left out; nothing is
 * run. For text that Lua itself has compiled: what is no Lua gives tokens of no meaning, never an error. */
#ifndef GE_RUN_LUALEX_H
#define GE_RUN_LUALEX_H

#include <stdbool.h>
#include <stddef.h>

/* Kinds of tokens; a punctuation character is its own kind. T_COMPARE: == ~= <= >=. T_LONG: a long string. */
enum { T_NAME = 'n', T_STRING = 's', T_LONG = 'l', T_NUMBER = '0', T_COMPARE = 'c', T_END = 'e' };

typedef struct lualex_token {
    int kind;
    int line;
    const char *s; /* into the source; for strings: without the quotes, escapes as written */
    size_t n;
} lualex_token;

#define LUALEX_AHEAD 5

typedef struct lualex {
    lualex_token *list; /* owned; ends with T_END, after which LUALEX_AHEAD - 1 more may be read */
    size_t n, cap;
} lualex;

/* Returns 0, or -1 out of memory; free it in either case. The source must outlive the tokens. */
int lualex_read(lualex *lx, const char *source);
void lualex_free(lualex *lx);

/* Is it this name or keyword? */
bool lualex_is(const lualex_token *t, const char *word);
/* How a token changes the depth of blocks: a `do` belongs to its `for` or `while`, so these do not count. */
int lualex_block(const lualex_token *t);
/* How it changes the depth of brackets. */
int lualex_bracket(const lualex_token *t);

#endif
