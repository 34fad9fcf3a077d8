#include "base/pollset.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TAKE_MAX 64

int pollset_open(pollset *p, err *e) {
    *p = (pollset)POLLSET_INIT;
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event watch = {.events = EPOLLIN, .data.fd = p->event};
    if (p->epoll < 0 || p->event < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->event, &watch) != 0) {
        err_errno(e, "poll_setup", "cannot make a poll set");
        pollset_close(p);
        return -1;
    }
    return 0;
}

void pollset_close(pollset *p) {
    if (p->epoll >= 0) {
        close(p->epoll);
    }
    if (p->event >= 0) {
        close(p->event);
    }
    *p = (pollset)POLLSET_INIT;
}

int pollset_watch(pollset *p, int fd, short events) {
    if (events == 0) {
        if (epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL) != 0 && errno != ENOENT && errno != EBADF) {
            return -1;
        }
        return 0;
    }
    struct epoll_event watch = {.data.fd = fd};
    watch.events = ((events & POLLIN) ? (uint32_t)EPOLLIN : 0u) | ((events & POLLOUT) ? (uint32_t)EPOLLOUT : 0u);
    if (epoll_ctl(p->epoll, EPOLL_CTL_MOD, fd, &watch) == 0) {
        return 0;
    }
    return errno == ENOENT ? epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &watch) : -1;
}

void pollset_wake(pollset *p, bool on) {
    if (p->event < 0 || p->awake == on) {
        return;
    }
    uint64_t n = 1;
    ssize_t rc = on ? write(p->event, &n, sizeof n) : read(p->event, &n, sizeof n);
    if (rc == (ssize_t)sizeof n) {
        p->awake = on;
    }
}

static short to_poll(uint32_t events) {
    short out = 0;
    out |= (events & EPOLLIN) ? POLLIN : 0;
    out |= (events & EPOLLOUT) ? POLLOUT : 0;
    out |= (events & EPOLLERR) ? POLLERR : 0;
    out |= (events & EPOLLHUP) ? POLLHUP : 0;
    return out;
}

int pollset_take(pollset *p, pollset_event *out, int max) {
    struct epoll_event ready[TAKE_MAX];
    int n;
    do {
        n = epoll_wait(p->epoll, ready, TAKE_MAX, 0);
    } while (n < 0 && errno == EINTR);
    int taken = 0;
    for (int i = 0; i < n && taken < max; i++) {
        if (ready[i].data.fd != p->event) {
            out[taken++] = (pollset_event){.fd = ready[i].data.fd, .events = to_poll(ready[i].events)};
        }
    }
    return taken;
}
