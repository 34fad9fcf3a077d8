/* filelock.h: waiting for one's turn at a file, for as long as a writer takes and not for ever. */
#ifndef GE_RUN_FILELOCK_H
#define GE_RUN_FILELOCK_H

#include "base/err.h"

/* Locks an open file with flock(2) (`how`: LOCK_EX or LOCK_SH); it is held until the descriptor is closed. Waits ten
 * seconds at most, less where the run is told to end. Errors: file_locked. */
int filelock(int fd, int how, const char *path, err *e);

#endif
