/* fs.h: files and directories, with every error named: file_not_found, file_read, file_type, file_too_large,
 * file_write, dir_create, file_remove, file_copy, out_of_memory. */
#ifndef GE_BASE_FS_H
#define GE_BASE_FS_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends a file's content to out; refuses what is not a regular file or is over `max` bytes. */
int fs_read(const char *path, size_t max, buf *out, err *e);
/* Replaces path atomically: temporary file beside it, fsync, rename, fsync of the directory. mode as for open. Behind a
 * symbolic link its target is replaced; a pipe, terminal or device is written to as it is. */
int fs_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, err *e);
/* The same piece by piece. Begin: 0, or 1 where it is a pipe, terminal or device (nothing was begun), or -1. After 0
 * end it by commit or abort; abort is harmless afterwards and after any other answer of begin. */
typedef struct fs_replacement {
    int fd;
    char path[PATH_MAX], shown[PATH_MAX], dir[PATH_MAX], name[PATH_MAX]; /* name: of the temporary file */
} fs_replacement;
int fs_replace_begin(fs_replacement *r, const char *path, mode_t mode, err *e);
int fs_replace_write(fs_replacement *r, const void *bytes, size_t n, err *e);
int fs_replace_commit(fs_replacement *r, err *e);
void fs_replace_abort(fs_replacement *r);
/* Creates path and what is missing above it. */
int fs_mkdirs(const char *path, mode_t mode, err *e);
/* Removes a tree; never follows symbolic links, never leaves the file system. A path that is not there is fine. */
int fs_remove_tree(const char *path, err *e);
/* Copies a tree of regular files, directories and symbolic links, keeping modes and (as root) owners. `to` may be an
 * empty directory. What was copied before an error stays. */
int fs_copy_tree(const char *from, const char *to, err *e);
/* Not 0: a signal has asked this process to end. Set by whoever handles signals. */
extern volatile sig_atomic_t fs_stops;
/* All n bytes, through interrupted calls. Asked to end it goes on only as long as somebody reads, else gives up with
 * EINTR: a stalled reader does not hold the process. 0 / -1 with errno. */
int fs_write_all(int fd, const void *bytes, size_t n);
/* Closes *fd where it is open, and sets it to -1. */
void fs_close(int *fd);
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
bool fs_is_file(const char *path); /* a regular one, or a link to one */
/* Does path, with all links followed, lie beneath dir? Not where one of them is not there. */
bool fs_is_beneath(const char *dir, const char *path);
/* Is path a symbolic link that leads out of the directory it stands in (or nowhere)? Who may put files into a directory
 * must not thereby choose what else is read. */
bool fs_leads_out(const char *path);
/* "dir/name" in fresh memory (free it); NULL out of memory. An absolute name stands alone. */
char *fs_join(const char *dir, const char *name);
/* The directory part of a path in fresh memory (free it): "." where there is no slash, "/" for what lies at the root;
 * NULL out of memory. */
char *fs_dirname(const char *path);

#endif
