/* store.h: named byte strings (artifacts, datasets) beneath one directory, or in one file.
 *
 * A key is a relative path. Every step from the root is resolved by openat2(2) with RESOLVE_BENEATH,
 * RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS, so neither "..", nor an absolute name, nor a symbolic link, planted
 * before or swapped in meanwhile, leads outside. A kernel without openat2 (before Linux 5.6) is an error, never a
 * weaker check.
 *
 * A store keeps no checksums of its own beside its files: a directory which people edit stays readable. Who must know
 * that bytes are the ones that were put keeps the SHA-256 which store_put gave, and hands it to store_get.
 *
 * Codes of errors: store_key (no valid key, or it names a directory), store_missing, store_denied (permission, or a way
 * out of the root), store_full, store_corrupt, store_readonly, store_too_large, store_closed, store_unsupported,
 * store_io, out_of_memory. */
#ifndef GE_PRIM_STORE_H
#define GE_PRIM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define STORE_KEY_MAX 1024        /* bytes of a key */
#define STORE_DEPTH_MAX 64        /* components of a key, and how deep a list looks */
#define STORE_LIST_MAX 100000     /* keys in one list */
#define STORE_GET_MAX (64u << 20) /* bytes of one value, unless the caller says otherwise */
#define STORE_SHA256_HEX 64
/* Names that begin so are the store's own, in writing: never keys, never listed. */
#define STORE_TEMP_PREFIX ".gate-tmp-"

typedef struct store store;

typedef struct store_options {
    const char *path; /* of the directory, or of the file */
    bool file;        /* path is one file: the store has one key, its name */
    bool readonly;
    bool create; /* make the directory if it is missing */
} store_options;

typedef struct store_info {
    uint64_t size;
    int64_t modified;                  /* seconds since 1970; 0 after put */
    char sha256[STORE_SHA256_HEX + 1]; /* lower-case hex; empty from head and list */
} store_info;

typedef struct store_entry {
    char *key; /* owned */
    store_info info;
} store_entry;

typedef struct store_list {
    store_entry *items; /* owned, sorted by bytes of the key */
    size_t count;
    size_t cap;
} store_list;

store *store_open(const store_options *o, err *e);
void store_close(store *s); /* NULL is fine */
/* The one key of a single-file store, else NULL. */
const char *store_only_key(const store *s);

/* Replaces the value atomically and durably: temporary file, fsync, rename, fsync of the directory. Makes the
 * directories a key names. After a failure the former value is untouched and no temporary file stays. */
int store_put(store *s, const char *key, size_t len, const void *bytes, size_t n, store_info *info, err *e);
/* Appends the value to out, at most max bytes. expect (hex, or NULL) is compared with what was read: store_corrupt. */
int store_get(store *s, const char *key, size_t len, size_t max, const char *expect, buf *out, store_info *info,
              err *e);
/* A value in parts, for what is too large to be held at once. The value is there once store_writer_commit returned 0,
 * whole and durable; a writer that is closed before leaves nothing. It outlives its store. */
typedef struct store_writer store_writer;
store_writer *store_writer_open(store *s, const char *key, size_t len, err *e);
int store_writer_add(store_writer *w, const void *bytes, size_t n, err *e);
int store_writer_commit(store_writer *w, store_info *info, err *e); /* after it only store_writer_close */
void store_writer_close(store_writer *w);                           /* NULL is fine */
typedef struct store_reader store_reader;
store_reader *store_reader_open(store *s, const char *key, size_t len, err *e);
/* Appends the next part, at most max bytes. 1, 0 at the end, -1. */
int store_reader_next(store_reader *r, size_t max, buf *out, err *e);
void store_reader_close(store_reader *r); /* NULL is fine */
/* 1 and *info, 0 when there is no such key, -1. */
int store_head(store *s, const char *key, size_t len, store_info *info, err *e);
/* Every key that begins with prefix ("" = all), sorted. Symbolic links, special files and names that are no valid key
 * are left out; a directory that cannot be read is an error. Free with store_list_free, also after failure. */
int store_find(store *s, const char *prefix, size_t len, store_list *out, err *e);
void store_list_free(store_list *l);
/* Removes the value and the directories above it that it leaves empty. 1 removed, 0 there was none, -1. */
int store_delete(store *s, const char *key, size_t len, err *e);

#endif
