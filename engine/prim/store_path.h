/* store_path.h: keys, and the way from the root to what they name. For store*.c alone. */
#ifndef GE_PRIM_STORE_PATH_H
#define GE_PRIM_STORE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "prim/store.h"

#define STORE_SHOWN_MAX 512

struct store {
    int root;       /* O_PATH descriptor of the directory */
    char *only_key; /* owned; NULL for a directory store */
    bool readonly;
};

/* A component as [start, start + len) of the key. */
typedef struct store_part {
    const char *start;
    size_t len;
} store_part;

/* Checks the key and splits it; parts has room for STORE_DEPTH_MAX. Returns the count or -1 (store_key). */
int store_split(const char *key, size_t len, store_part *parts, err *e);
/* Holds the text, valid UTF-8, a control character? No key does, nor does a list show a file whose name does. */
bool store_has_control(const char *key, size_t len);
/* openat2 beneath dir, never through a symbolic link. Returns a descriptor, or -1 with errno. */
int store_open_beneath(int dir, const char *path, int flags, unsigned mode);
/* The directory that holds the key's last component, opened for reading (so that it can be fsynced); name gets the
 * component as a C string. make: missing directories are created. -1 with *e set; code store_missing when one is not
 * there. */
int store_parent(store *s, const char *key, size_t len, bool make, char name[STORE_KEY_MAX + 1], err *e);
/* A fresh file in dir, its name in temp. -1 with errno. */
int store_make_temp(int dir, char temp[64]);
/* Refuses what a rename would turn into a surprise: -1 with errno. A symbolic link is replaced by it, never followed.
 */
int store_check_target(int dir, const char *name);
/* The key's file, opened for reading, with its state; -1 with *e set (store_missing where there is none). */
int store_open_value(store *s, const char *key, size_t len, struct stat *st, err *e);
/* A key as messages show it: printable UTF-8, cut where it is long. Returns out. */
const char *store_shown(const char *key, size_t len, char out[STORE_SHOWN_MAX]);
/* Names the failed call on key by errno: store_missing, store_denied, store_full, …. Returns -1. */
int store_errno(err *e, const char *verb, const char *key, size_t len);

#endif
