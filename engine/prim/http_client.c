#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "prim/crypto.h"
#include "prim/http_internal.h"

int http_global_init(err *e) {
    crypto_begin();
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    return rc == CURLE_OK ? 0 : err_set(e, "http_protocol", "http: libcurl does not start: %s", curl_easy_strerror(rc));
}

void http_global_cleanup(void) {
    curl_global_cleanup();
}

/* ---- lists of header lines ---- */

void http_slist_free(struct curl_slist *l) {
    for (struct curl_slist *at = l; at != NULL; at = at->next) {
        explicit_bzero(at->data, strlen(at->data));
    }
    curl_slist_free_all(l);
}

int http_lines_add(struct curl_slist **list, const char *name, size_t name_len, const char *value, size_t value_len) {
    buf line = BUF_INIT;
    buf_append(&line, name, name_len);
    /* libcurl: "Name:" alone would remove the header, "Name;" sends it empty. */
    buf_puts(&line, value_len > 0 ? ": " : ";");
    buf_append(&line, value, value_len);
    struct curl_slist *grown = line.failed ? NULL : curl_slist_append(*list, line.data);
    if (line.data != NULL) {
        explicit_bzero(line.data, line.cap);
    }
    buf_free(&line);
    if (grown == NULL) {
        return -1;
    }
    *list = grown;
    return 0;
}

bool http_lines_have(const struct curl_slist *list, const char *name, size_t len) {
    for (const struct curl_slist *at = list; at != NULL; at = at->next) {
        if (strncasecmp(at->data, name, len) == 0 && (at->data[len] == ':' || at->data[len] == ';')) {
            return true;
        }
    }
    return false;
}

/* ---- the event loop ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *of_socket) {
    (void)easy;
    (void)of_socket;
    http_client *c = user;
    short events = what == CURL_POLL_IN      ? POLLIN
                   : what == CURL_POLL_OUT   ? POLLOUT
                   : what == CURL_POLL_INOUT ? (POLLIN | POLLOUT)
                                             : 0;
    return pollset_watch(&c->set, fd, events) == 0 ? 0 : -1;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user) {
    (void)multi;
    http_client *c = user;
    c->curl_at = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
    return 0;
}

/* The timer is in the poll set, so that it does not matter who waits: any waiter is woken for everybody's timeouts. */
void http_client_rearm(http_client *c) {
    int64_t at = c->curl_at;
    for (const http_request *r = c->requests; r != NULL; r = r->next) {
        if (r->state == HTTP_BACKOFF && (at < 0 || r->resume_ms < at)) {
            at = r->resume_ms;
        }
    }
    struct itimerspec when = {0};
    if (at >= 0) {
        int64_t left = at - clock_ms();
        left = left > 0 ? left : 0;
        when.it_value.tv_sec = left / 1000;
        when.it_value.tv_nsec = left > 0 ? (left % 1000) * 1000000 : 1; /* zero would disarm it */
    }
    (void)timerfd_settime(c->timer, 0, &when, NULL);
}

http_client *http_client_new(err *e) {
    http_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        err_set(e, "out_of_memory", "http.client: out of memory");
        return NULL;
    }
    c->set = (pollset)POLLSET_INIT;
    c->timer = -1;
    c->curl_at = -1;
    c->multi = curl_multi_init();
    if (c->multi == NULL || curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
        curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) != CURLM_OK) {
        err_set(e, "out_of_memory", "http.client: libcurl gives no multi handle");
    } else if (pollset_open(&c->set, e) == 0) {
        c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (c->timer >= 0 && pollset_watch(&c->set, c->timer, POLLIN) == 0) {
            return c;
        }
        err_errno(e, "poll_setup", "http.client: cannot make a timer");
    }
    http_client_free(c);
    return NULL;
}

void http_client_free(http_client *c) {
    if (c == NULL) {
        return;
    }
    while (c->requests != NULL) {
        http_request *r = c->requests;
        c->requests = r->next;
        if (r->state == HTTP_RUNNING) {
            curl_multi_remove_handle(c->multi, r->easy);
        }
        if (r->state != HTTP_DONE) {
            err_set(&r->error, "http_closed", "http: the client was closed while a request was under way");
        }
        r->state = HTTP_DONE;
        curl_easy_cleanup(r->easy); /* before the multi handle and the endpoint's lists, which it refers to */
        r->easy = NULL;
        r->client = NULL;
        r->endpoint = NULL;
        r->endpoint_state = NULL;
    }
    if (c->multi != NULL) {
        curl_multi_cleanup(c->multi); /* closes sockets through on_socket: the poll set is still there */
    }
    for (size_t i = 0; i < c->count; i++) {
        http_endpoint_clear(&c->endpoints[i]);
    }
    if (c->timer >= 0) {
        close(c->timer);
    }
    pollset_close(&c->set);
    free(c);
}

int http_client_fd(const http_client *c) {
    return c->set.epoll;
}

int http_client_start(http_client *c, http_request *r) {
    if (curl_multi_add_handle(c->multi, r->easy) != CURLM_OK) {
        return -1;
    }
    r->state = HTTP_RUNNING;
    return 0;
}

void http_client_stop(http_client *c, http_request *r) {
    if (r->state == HTTP_RUNNING) {
        curl_multi_remove_handle(c->multi, r->easy);
        r->state = HTTP_IDLE;
    }
}

void http_client_finished(http_client *c, http_request *r) {
    r->state = HTTP_DONE;
    r->counted = true;
    c->uncollected++;
    pollset_wake(&c->set, true);
}

static void take_messages(http_client *c) {
    CURLMsg *m;
    int left = 0;
    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        http_request *r = NULL;
        if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r) == CURLE_OK) {
            CURLcode code = m->data.result; /* m is gone once the handle is removed */
            http_client_stop(c, r);
            http_transfer_ended(r, code);
        }
    }
}

static void resume_due(http_client *c) {
    int64_t now = clock_ms();
    for (http_request *r = c->requests; r != NULL; r = r->next) {
        if (r->state != HTTP_BACKOFF || r->resume_ms > now) {
            continue;
        }
        r->state = HTTP_IDLE;
        if (http_transfer_prepare(r, &r->error) != 0) {
            http_client_finished(c, r);
        } else if (http_client_start(c, r) != 0) {
            err_set(&r->error, "http_protocol", "http: libcurl refuses to start a transfer");
            http_client_finished(c, r);
        }
    }
}

void http_client_drive(http_client *c) {
    pollset_event ready[32];
    uint64_t expired;
    int running = 0;
    int n = pollset_take(&c->set, ready, 32);
    for (int i = 0; i < n; i++) {
        if (ready[i].fd == c->timer) {
            (void)!read(c->timer, &expired, sizeof expired); /* rearmed below */
            continue;
        }
        int flags = ((ready[i].events & POLLIN) ? CURL_CSELECT_IN : 0) |
                    ((ready[i].events & POLLOUT) ? CURL_CSELECT_OUT : 0) |
                    ((ready[i].events & (POLLERR | POLLHUP)) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(c->multi, ready[i].fd, flags, &running);
    }
    if (c->curl_at >= 0 && clock_ms() >= c->curl_at) {
        c->curl_at = -1;
        curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    take_messages(c);
    resume_due(c);
    http_client_rearm(c);
}
