/* http_url.h: origins, paths and header lines, checked before libcurl sees them. For http*.c and its tests. */
#ifndef GE_PRIM_HTTP_URL_H
#define GE_PRIM_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_HOST_MAX 256
#define HTTP_PREFIX_MAX 1024

typedef struct http_origin {
    char scheme[16];
    char host[HTTP_HOST_MAX]; /* an IPv6 address in brackets */
    unsigned port;
} http_origin;

typedef struct http_base {
    http_origin origin;
    char prefix[HTTP_PREFIX_MAX]; /* of every path; "" or begins with "/", does not end in one */
} http_base;

/* Where a URL of any scheme (a proxy's too) connects to; port 0: the URL names none.
 * Errors: bad_argument, which does not show the URL: it may hold a password. */
int http_url_target(const char *url, http_origin *out, err *e);
/* Takes an endpoint's URL apart; userinfo is appended to user ("name:password", decoded) when there is one. */
int http_url_base(const char *endpoint, const char *url, http_base *out, buf *user, err *e);
/* Appends the URL of path (and query, already encoded, may be NULL) beneath base. Refuses whatever could name another
 * authority or climb: no leading "/", "//", "\", "@", "#", control characters, "." and ".." components (also as %2e,
 * and with parameters: "..;x"), percent-encoded slashes and backslashes, broken percent-encoding. Spaces and other
 * bytes no URL holds are percent-encoded (RFC 3986 section 2). */
int http_url_join(const http_base *base, const char *path, size_t len, const char *query, buf *out, err *e);
/* Resolves an answer's Location against the URL it came from (RFC 3986 section 5.2) and appends the result when it is
 * inside the base's origin and beneath its prefix, else http_redirect. */
int http_url_redirect(const http_base *base, const char *url, const char *location, buf *out, err *e);
/* A field name is a token (RFC 9110 section 5.1) and not one that frames the message or names the target; a value holds
 * no CR, LF, NUL or other control character (section 5.5). what names the place in the message. */
int http_check_header(const char *what, const char *name, size_t name_len, const char *value, size_t value_len, err *e);

#endif
