#include "run/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/fs.h"

volatile sig_atomic_t signals_flag = 0;

static int wake[2] = {-1, -1};

static void on_signal(int number) {
    int saved = errno;
    if (signals_flag == 0) {
        signals_flag = number;
    }
    fs_stops = 1;
    /* A full pipe is readable already, so a failed write loses nothing. */
    ssize_t ignored = write(wake[1], "!", 1);
    (void)ignored;
    errno = saved;
}

int signals_install(err *e) {
    if (wake[0] >= 0) {
        return 0;
    }
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        return err_errno(e, "system", "cannot make a pipe for signals");
    }
    struct sigaction act = {.sa_handler = on_signal};
    sigemptyset(&act.sa_mask);
    /* Who started the engine may have ignored SIGCHLD: then no child's end could be read (wait(2), NOTES). */
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigemptyset(&standard.sa_mask);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    if (sigaction(SIGINT, &act, NULL) != 0 || sigaction(SIGTERM, &act, NULL) != 0 ||
        sigaction(SIGCHLD, &standard, NULL) != 0 || sigaction(SIGHUP, &act, NULL) != 0 ||
        sigaction(SIGPIPE, &ignore, NULL) != 0) {
        return err_errno(e, "system", "cannot install signal handlers");
    }
    return 0;
}

int signals_fd(void) {
    return wake[0];
}

void signals_forget(void) {
    char bytes[64];
    while (read(wake[0], bytes, sizeof bytes) > 0) {
    }
    signals_flag = fs_stops = 0;
}

void signals_reset_in_child(void) {
    static const int ALL[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ, SIGCHLD, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2};
    struct sigaction def = {.sa_handler = SIG_DFL};
    sigemptyset(&def.sa_mask);
    for (size_t i = 0; i < sizeof ALL / sizeof ALL[0]; i++) {
        sigaction(ALL[i], &def, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    fs_stops = 0;
    wake[0] = wake[1] = -1; /* the descriptors themselves go with close_range */
}

int signals_exit_code(void) {
    return signals_flag == 0 ? 0 : 128 + (int)signals_flag;
}
