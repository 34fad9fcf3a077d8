/* prepared.h: statements a session has sent: what they are called in the recording and what they say of the tenant's
 * settings, by name for as long as the server knows them. */
#ifndef GE_RECORDER_PREPARED_H
#define GE_RECORDER_PREPARED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "prim/pgwire.h"
#include "prim/statement.h"
#include "recorder/recording.h"

#define VALUE_UNKNOWN (-1)

typedef struct prepared_context {
    int setting; /* -1: the parameter names it */
    int setting_parameter;
    int local; /* -1: not known, or the parameter says it */
    int local_parameter;
    statement_value from;
    int parameter;
    bool converted;
    int64_t value; /* recording_value's, or VALUE_UNKNOWN */
} prepared_context;

/* Shared by reference count; a list only for the statements of one simple query. */
typedef struct prepared {
    int refs;
    struct prepared *next; /* owned */
    uint64_t shape;
    uint32_t function; /* of a FunctionCall; 0 = none */
    statement_kind kind;
    char name[STATEMENT_NAME_MAX];
    prepared_context context[STATEMENT_CONTEXTS_MAX];
    size_t ncontexts;
    bool unknown; /* only that it was run is known: it stands for as many statements as there are */
    bool told;    /* a portal that was executed; what is fetched from it later is the same statement */
} prepared;

/* The statements in a message's body from `offset` on. *list may become NULL: nothing but blanks. */
int prepared_scan(recording *out, bool standard_strings, const pgwire_message *m, size_t offset, prepared **list,
                  err *e);
/* A copy with the values that the rest of a Bind message gives. NULL out of memory. */
prepared *prepared_bind(recording *out, const prepared *p, pgwire_reader *r);
/* A statement of which only is known that it was run. */
prepared *prepared_unknown(recording *out, err *e);
prepared *prepared_call(uint32_t function);
prepared *prepared_keep(prepared *p);
void prepared_release(prepared *p); /* NULL is fine */
/* Element i of a list, or NULL. */
prepared *prepared_at(prepared *list, size_t i);
/* Its settings as the recording has them; new reference. */
json_t *prepared_contexts(const prepared *p);

#define PREPARED_BUCKETS 256
#define PREPARED_MAX 20000

typedef struct prepared_map {
    struct prepared_entry **bucket; /* owned; NULL while empty */
    size_t n;
} prepared_map;

/* Adds a reference; p may be NULL. A name that is there keeps what it has unless `replace`: the server refuses to
 * prepare it again. -1 out of memory, or too many. */
int prepared_put(prepared_map *map, const char *name, prepared *p, bool replace);
prepared *prepared_get(const prepared_map *map, const char *name);
void prepared_drop(prepared_map *map, const char *name);
void prepared_clear(prepared_map *map);
/* What a Parse has put there, and the server refused. */
void prepared_undo(prepared_map *map, const char *name, const prepared *p);
/* What a DEALLOCATE or DISCARD ALL that went well takes away. */
void prepared_forget(prepared_map *map, const prepared *p);

#endif
