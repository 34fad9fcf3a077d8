/* http.h: requests to named endpoints, many at a time, over libcurl's multi interface.
 *
 * An endpoint is an origin (scheme, host, port) with a path before all paths, and what goes with every request to it:
 * headers, a credential, a certificate authority, a proxy, pinned addresses. Nothing else is a target: a path cannot
 * change the authority, and a redirect is followed inside origin and prefix alone, so a credential never goes
 * elsewhere.
 *
 * Nothing here waits. The caller waits for http_client_fd() to be readable, then calls http_client_drive(); any caller
 * drives the requests of all, and the descriptor stays readable until every finished one was collected.
 *
 * Codes of errors: http_endpoint, http_resolve, http_connect, http_tls, http_timeout, http_too_large, http_protocol,
 * http_redirect, http_proxy, http_closed, bad_argument, out_of_memory. No message holds a credential, a query or a
 * header. */
#ifndef GE_PRIM_HTTP_H
#define GE_PRIM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "prim/certificate.h"

#define HTTP_ENDPOINTS_MAX 64
#define HTTP_HEADER_BYTES_MAX (64u << 10) /* of an answer's header block */
#define HTTP_HEADER_COUNT_MAX 256
#define HTTP_URL_MAX 8192
#define HTTP_RESOLVE_MAX 32

typedef struct http_client http_client;
typedef struct http_request http_request;

typedef struct http_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
} http_header;

typedef enum http_auth {
    HTTP_AUTH_NONE,
    HTTP_AUTH_BEARER,
    HTTP_AUTH_BASIC,
    HTTP_AUTH_HEADER,
    HTTP_AUTH_SIGV4,     /* AWS Signature Version 4 for S3: account is the access key's id */
    HTTP_AUTH_AZURE_KEY, /* Azure Storage Shared Key: the credential is base64 */
    HTTP_AUTH_AZURE_SAS  /* a shared access signature: a query that goes with every request */
} http_auth;

typedef struct http_endpoint_spec {
    const char *name;
    const char *url; /* http(s)://[user:password@]host[:port][/prefix] */
    const http_header *headers;
    size_t header_count;
    http_auth auth;
    http_header
        credential; /* value: token, "user:password", the header's value or the secret; name for HTTP_AUTH_HEADER */
    const char *account;              /* for HTTP_AUTH_SIGV4 and HTTP_AUTH_AZURE_KEY */
    const char *region;               /* for HTTP_AUTH_SIGV4 */
    const char *session_token;        /* for HTTP_AUTH_SIGV4, or NULL */
    const char *const *resolve;       /* NULL-ended addresses for the host, or NULL: ask the system's resolver */
    const char *const *proxy_resolve; /* the same for the proxy's host */
    const char *proxy;                /* URL (http, https, socks5, socks5h), or NULL: none, the environment's neither */
    const char *ca_file;              /* PEM file, or NULL */
    const char *ca_pem;               /* PEM text, or NULL; both NULL: the system's authorities */
} http_endpoint_spec;

typedef struct http_request_spec {
    const char *endpoint;
    const char *method; /* GET HEAD OPTIONS TRACE PUT DELETE POST PATCH */
    const char *path;
    size_t path_len;
    const char *query; /* already encoded, without "?"; or NULL */
    const http_header *headers;
    size_t header_count;
    const void *body; /* NULL: none */
    size_t body_len;
    const char *content_type; /* sent unless headers name one; or NULL */
    int64_t timeout_ms;       /* for all attempts and redirects together */
    int64_t connect_timeout_ms;
    int64_t backoff_ms; /* before the first repetition; doubles, at most 5 s */
    int retries;
    bool idempotent; /* may be repeated whatever its method is */
    int redirects;   /* most to follow; 0: a redirect is the answer */
    size_t max_body;
    bool credentials; /* send the endpoint's headers and credential */
} http_request_spec;

typedef struct http_field {
    char *name; /* lower case */
    char *value;
    size_t value_len;
} http_field;

typedef struct http_response {
    long status;
    http_field *fields;
    size_t field_count;
    buf body;
    double dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms; /* of the last transfer; see stdlib/meta/http.lua */
    double elapsed_ms;                                          /* with all attempts, redirects and pauses */
    int64_t date; /* of its Date header, seconds since 1970; -1: it has none */
    int attempts;
    int redirects;
    char address[64]; /* of the peer */
    certificate certificate;
} http_response;

/* libcurl's global state; counted, so every init has its cleanup. */
int http_global_init(err *e);
void http_global_cleanup(void);

http_client *http_client_new(err *e);
/* Ends every request with http_closed. NULL is fine. */
void http_client_free(http_client *c);
int http_client_add(http_client *c, const http_endpoint_spec *spec, err *e);
size_t http_client_endpoints(const http_client *c, const char **names, size_t max);
int http_client_fd(const http_client *c);
void http_client_drive(http_client *c);

/* Starts a request; everything it needs of spec is copied. */
http_request *http_request_new(http_client *c, const http_request_spec *spec, err *e);
bool http_request_done(const http_request *r);
/* Of a done request: the response, or NULL with *e, and *reason (static, "" where there is none): why TLS failed, or
 * the proxy. */
http_response *http_request_result(http_request *r, err *e, const char **reason);
void http_request_free(http_request *r);

#endif
