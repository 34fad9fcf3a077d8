#include "run/filelock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

#include "base/clock.h"
#include "run/signals.h"

#define WAIT_MS 10000
#define STEP_NS 20000000

int filelock(int fd, int how, const char *path, err *e) {
    int64_t until = clock_ms() + WAIT_MS;
    while (flock(fd, how | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return err_errno(e, "file_locked", "%s cannot be locked", path);
        }
        if (signals_flag != 0 || clock_ms() > until) {
            err_set(e, "file_locked", "%s is locked by another writer%s", path,
                    signals_flag != 0 ? ", and this run was told to end" : " for ten seconds");
            return err_fix(e, "see which process holds it: fuser -v FILE");
        }
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
    return 0;
}
