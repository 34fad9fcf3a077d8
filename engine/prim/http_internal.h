/* http_internal.h: what http*.c share. */
#ifndef GE_PRIM_HTTP_INTERNAL_H
#define GE_PRIM_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "base/pollset.h"
#include "prim/http.h"
#include "prim/http_url.h"

/* What signs an endpoint's requests; auth is HTTP_AUTH_NONE where nothing does. */
typedef struct http_signer {
    http_auth auth;
    char *account; /* all owned */
    char *region;
    char *secret; /* wiped before it is freed */
    size_t secret_len;
} http_signer;

typedef struct http_endpoint {
    char *name; /* all owned */
    http_base base;
    struct curl_slist *lines;   /* headers and credential, "Name: value" */
    struct curl_slist *resolve; /* for CURLOPT_RESOLVE */
    char *pinned;               /* the addresses of resolve, or NULL */
    char *proxy;
    char *ca_file;
    char *ca_pem;
    http_signer signer;
    certificate certificate; /* as last seen; a connection that is used again shows none */
} http_endpoint;

struct http_client {
    CURLM *multi;
    pollset set;
    int timer;       /* timerfd: libcurl's next timeout or the next repetition, whichever comes first */
    int64_t curl_at; /* clock_ms() when libcurl wants to be called; -1 = not */
    http_endpoint endpoints[HTTP_ENDPOINTS_MAX];
    size_t count;
    size_t uncollected; /* done requests which nobody freed */
    http_request *requests;
};

typedef enum http_state { HTTP_IDLE, HTTP_RUNNING, HTTP_BACKOFF, HTTP_DONE } http_state;

struct http_request {
    http_client *client; /* NULL once the client is gone */
    http_request *next;
    const http_endpoint *endpoint;
    http_endpoint *endpoint_state; /* the same, where the certificate is kept */
    CURL *easy;
    http_state state;
    bool counted;
    buf url;
    char method[8];
    buf body;
    bool has_body;
    bool sign;       /* by the endpoint's signer, where it has one */
    bool repeatable; /* sent twice it does what it does once */
    struct curl_slist *lines;
    int64_t started_ms, deadline_ms, resume_ms;
    int64_t connect_timeout_ms, backoff_ms;
    int retries, redirects;
    size_t max_body;
    size_t header_bytes;
    const char *overflow; /* what was too large, or NULL */
    bool no_memory;
    http_response response;
    err error;
    const char *reason;
    char curl_error[CURL_ERROR_SIZE];
};

/* http_client.c */
void http_slist_free(struct curl_slist *l); /* wipes, then frees */
/* Appends "Name: value" to *list. 0 / -1 out of memory. */
int http_lines_add(struct curl_slist **list, const char *name, size_t name_len, const char *value, size_t value_len);
bool http_lines_have(const struct curl_slist *list, const char *name, size_t len);
int http_client_start(http_client *c, http_request *r); /* adds to the multi handle; 0 / -1 */
void http_client_stop(http_client *c, http_request *r); /* takes it out again */
void http_client_rearm(http_client *c);
void http_client_finished(http_client *c, http_request *r);

/* http_endpoint.c */
void http_endpoint_clear(http_endpoint *x);

/* http_sign.c */
int http_signer_set(http_endpoint *x, const http_endpoint_spec *spec, err *e);
void http_signer_clear(http_signer *s);
int http_sign_request(http_request *r, err *e); /* adds what is sent with a request that is complete but for that */
CURLcode http_sign_transfer(http_request *r);   /* sets what libcurl signs with */

/* http_transfer.c */
int http_transfer_prepare(http_request *r, err *e);       /* sets an easy handle's options for the next attempt */
void http_transfer_ended(http_request *r, CURLcode code); /* answers, follows, repeats or fails */
void http_response_clear(http_response *x);
/* http_outcome.c: what an ended transfer means */
void http_outcome_error(http_request *r, CURLcode code); /* sets r->error and r->reason */
void http_outcome_read(http_request *r);                 /* timings, address, certificate */
const char *http_outcome_field(const http_response *x, const char *name);
int64_t http_outcome_retry_after_ms(const http_response *x); /* -1: none */
/* Between half of a pause and the whole, by a random number: who failed together does not come back together. */
int64_t http_outcome_jitter(int64_t pause_ms, uint32_t random);

#endif
