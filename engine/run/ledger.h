/* ledger.h: the append-only, hash-chained record of what was run (design §11).
 *
 * One record a line, each the canonical JSON (RFC 8785) of an object with
 *   schema  "gate-engine/ledger/1"     seq   1, 2, 3, …
 *   prev    the hash of the record before; of the first 64 zeros
 *   hash    SHA-256 of the canonical form of the record without this field
 * and what the writer puts beside them. Beside the file stands its head, FILE.head: {"schema", "seq", "hash"} of the
 * last record, so that a ledger that was cut short is told from one that is whole. A record counts once it and its
 * directory are synced; a line that a dying writer left unfinished is no record, and the next writer cuts it off.
 *
 * Errors: ledger_open, file_locked, ledger_write, ledger_broken (a link does not hold: which, and how),
 * ledger_truncated (the head is further than the file), ledger_rewritten (the head is of another record),
 * ledger_too_long, out_of_memory. */
#ifndef GE_RUN_LEDGER_H
#define GE_RUN_LEDGER_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "run/sha256.h"

#define LEDGER_SCHEMA "gate-engine/ledger/1"
#define LEDGER_HEAD_SCHEMA "gate-engine/ledger-head/1"
#define LEDGER_LINE_MAX (4u << 20)

/* Where a chain has come to. */
typedef struct ledger_state {
    json_int_t seq;             /* of the last record; 0 = none */
    char hash[SHA256_HEX_SIZE]; /* of it; zeros = none */
    off_t end;                  /* bytes of whole records */
    size_t torn;                /* bytes after them: an unfinished line */
} ledger_state;

typedef struct ledger {
    int fd;     /* locked while open */
    char *path; /* owned */
    ledger_state at;
} ledger;

/* Is called with each record, in order; -1 with *e ends the reading. */
typedef int (*ledger_each)(void *ctx, const json_t *record, err *e);

/* Opens for writing, making the file and its directories where they are missing (0600, 0700), locks out other writers
 * and looks at the end of the chain and at the head. Close in every case. */
int ledger_open(ledger *l, const char *path, err *e);
/* Gives a record its place in the chain: schema, seq and prev. Nothing is written. */
int ledger_place(const ledger *l, json_t *record, err *e);
/* Seals the placed record (hash) and appends it; returns when it is on the disk. */
int ledger_append(ledger *l, json_t *record, err *e);
void ledger_close(ledger *l);
/* As ledger_read, of a ledger that is open for writing. */
int ledger_scan(ledger *l, ledger_each each, void *ctx, err *e);

/* Reads the whole of a ledger and checks each link, the head included. `each` may be NULL. A ledger that is not there
 * is empty. *at says how far it holds, also after an error. */
int ledger_read(const char *path, ledger_each each, void *ctx, ledger_state *at, err *e);

/* What tells a ledger from every other: the SHA-256 of the canonical form of its first record, without "hash" and
 * "statement", which no signature covers. What a signed record says of the one before it leads there. "" where there is
 * no record. Errors: ledger_open, ledger_broken. */
int ledger_id(const char *path, char id[SHA256_HEX_SIZE], err *e);

/* Writes the head of a ledger that was copied to this path: *at is where its chain has come to. */
int ledger_write_head(const char *path, const ledger_state *at, err *e);

#endif
