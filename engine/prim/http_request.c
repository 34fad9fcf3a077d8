#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "prim/http_internal.h"

#define BODY_MAX (256u << 20)

/* Without TRACE: it asks for the request itself in answer, and with it for the credential that no script sees. */
static const char *const METHODS[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", NULL};

static http_endpoint *find_endpoint(http_client *c, const char *name, err *e) {
    buf known = BUF_INIT;
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->endpoints[i].name, name) == 0) {
            buf_free(&known);
            return &c->endpoints[i];
        }
        buf_printf(&known, "%s%s", i > 0 ? ", " : "", c->endpoints[i].name);
    }
    err_set(e, "http_endpoint", "http.request: there is no endpoint \"%s\"", name);
    err_detail(e, "there are: %s", known.len > 0 ? buf_str(&known) : "none");
    err_fix(e, "name it in the head's needs.endpoints and in the configuration's endpoints");
    buf_free(&known);
    return NULL;
}

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "http.request: out of memory");
}

/* The endpoint's lines first. A request cannot send a header that the endpoint sends: which would win is a server's
 * whim. */
static int add_lines(http_request *r, const http_request_spec *s, err *e) {
    for (const struct curl_slist *at = s->credentials ? r->endpoint->lines : NULL; at != NULL; at = at->next) {
        struct curl_slist *grown = curl_slist_append(r->lines, at->data);
        if (grown == NULL) {
            return no_memory(e);
        }
        r->lines = grown;
    }
    for (size_t i = 0; i < s->header_count; i++) {
        const http_header *h = &s->headers[i];
        if (http_check_header("http.request", h->name, h->name_len, h->value, h->value_len, e) != 0) {
            return -1;
        }
        if (s->credentials && http_lines_have(r->endpoint->lines, h->name, h->name_len)) {
            err_set(e, "bad_argument", "http.request: header \"%.*s\" is sent by endpoint \"%s\" itself",
                    (int)h->name_len, h->name, r->endpoint->name);
            return err_fix(e, "leave it out, or send neither its headers nor its credential with auth = false");
        }
        if (http_lines_add(&r->lines, h->name, h->name_len, h->value, h->value_len) != 0) {
            return no_memory(e);
        }
    }
    bool framed = s->body != NULL || strcmp(s->method, "PUT") == 0 || strcmp(s->method, "POST") == 0;
    const char *type = s->content_type != NULL                                ? s->content_type
                       : framed && r->endpoint->signer.auth != HTTP_AUTH_NONE ? "application/octet-stream"
                                                                              : NULL;
    if (type != NULL && !http_lines_have(r->lines, "Content-Type", 12) &&
        http_lines_add(&r->lines, "Content-Type", 12, type, strlen(type)) != 0) {
        return no_memory(e);
    }
    if (r->endpoint->signer.auth == HTTP_AUTH_SIGV4) {
        return 0; /* libcurl would sign a header that is only taken out, and not send it */
    }
    /* Without this libcurl waits a second for "100 Continue" before a large body, and names a form's type. */
    struct curl_slist *grown = curl_slist_append(r->lines, "Expect:");
    if (grown != NULL) {
        r->lines = grown;
    }
    if (grown != NULL && !http_lines_have(r->lines, "Content-Type", 12)) {
        grown = curl_slist_append(r->lines, "Content-Type:");
        r->lines = grown != NULL ? grown : r->lines;
    }
    return grown != NULL ? 0 : no_memory(e);
}

static bool is_idempotent(const char *method) { /* RFC 9110 section 9.2.2 */
    return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
}

static int fill(http_request *r, const http_request_spec *s, err *e) {
    size_t known = 0;
    while (METHODS[known] != NULL && strcmp(METHODS[known], s->method) != 0) {
        known++;
    }
    if (METHODS[known] == NULL) {
        return err_set(e, "bad_argument",
                       "http.request: option \"method\": expected GET, HEAD, OPTIONS, PUT, "
                       "DELETE, POST or PATCH");
    }
    memcpy(r->method, s->method, strlen(s->method) + 1);
    if (http_url_join(&r->endpoint->base, s->path, s->path_len, s->query, &r->url, e) != 0) {
        return -1;
    }
    if (s->body_len > BODY_MAX) {
        return err_set(e, "bad_argument", "http.request: the body is over %u bytes", BODY_MAX);
    }
    r->has_body = s->body != NULL;
    if (s->body != NULL && buf_append(&r->body, s->body, s->body_len) != 0) {
        return no_memory(e);
    }
    r->sign = s->credentials;
    if (add_lines(r, s, e) != 0 || http_sign_request(r, e) != 0) {
        return -1;
    }
    r->started_ms = clock_ms();
    r->deadline_ms = r->started_ms + s->timeout_ms;
    r->connect_timeout_ms = s->connect_timeout_ms < s->timeout_ms ? s->connect_timeout_ms : s->timeout_ms;
    r->backoff_ms = s->backoff_ms;
    r->retries = s->retries;
    r->repeatable = s->idempotent || is_idempotent(s->method);
    r->redirects = s->redirects == 0 ? -1 : s->redirects; /* below zero: none is followed, a redirect is the answer */
    r->max_body = s->max_body;
    r->reason = "";
    r->easy = curl_easy_init();
    return r->easy != NULL ? http_transfer_prepare(r, e) : no_memory(e);
}

http_request *http_request_new(http_client *c, const http_request_spec *spec, err *e) {
    http_endpoint *endpoint = find_endpoint(c, spec->endpoint, e);
    http_request *r = endpoint != NULL ? calloc(1, sizeof *r) : NULL;
    if (r == NULL) {
        if (endpoint != NULL) {
            no_memory(e);
        }
        return NULL;
    }
    r->endpoint = endpoint;
    r->endpoint_state = endpoint;
    int rc = fill(r, spec, e);
    if (rc == 0 && http_client_start(c, r) != 0) {
        rc = err_set(e, "http_protocol", "http: libcurl refuses to start a transfer");
    }
    if (rc != 0) {
        http_request_free(r);
        return NULL;
    }
    r->client = c;
    r->next = c->requests;
    c->requests = r;
    http_client_rearm(c);
    return r;
}

bool http_request_done(const http_request *r) {
    return r->state == HTTP_DONE;
}

http_response *http_request_result(http_request *r, err *e, const char **reason) {
    *reason = r->reason;
    if (r->error.code[0] != '\0') {
        *e = r->error;
        return NULL;
    }
    return &r->response;
}

void http_request_free(http_request *r) {
    if (r == NULL) {
        return;
    }
    http_client *c = r->client;
    if (c != NULL) {
        http_client_stop(c, r);
        for (http_request **at = &c->requests; *at != NULL; at = &(*at)->next) {
            if (*at == r) {
                *at = r->next;
                break;
            }
        }
        if (r->counted && --c->uncollected == 0) {
            pollset_wake(&c->set, false);
        }
        http_client_rearm(c);
    }
    if (r->easy != NULL) {
        curl_easy_cleanup(r->easy);
    }
    http_slist_free(r->lines);
    http_response_clear(&r->response);
    buf_free(&r->url);
    buf_free(&r->body);
    free(r);
}
