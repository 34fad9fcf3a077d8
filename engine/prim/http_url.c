#include "prim/http_url.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "prim/http.h"

/* Copies one part of a parsed URL; 1 = there, 0 = absent, -1 = does not fit or out of memory. */
static int part(CURLU *u, CURLUPart what, unsigned flags, char *out, size_t cap) {
    char *s = NULL;
    CURLUcode rc = curl_url_get(u, what, &s, flags);
    if (rc != CURLUE_OK) {
        return rc == CURLUE_OUT_OF_MEMORY ? -1 : 0;
    }
    int fits = snprintf(out, cap, "%s", s) < (int)cap ? 1 : -1;
    curl_free(s);
    return fits;
}

static int read_origin(CURLU *u, http_origin *o) {
    char port[8] = "";
    if (part(u, CURLUPART_SCHEME, 0, o->scheme, sizeof o->scheme) != 1 ||
        part(u, CURLUPART_HOST, 0, o->host, sizeof o->host) != 1 ||
        part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof port) != 1) {
        return -1;
    }
    o->port = (unsigned)strtoul(port, NULL, 10);
    /* libcurl takes port 0 for a port, which no connection can be made to (RFC 6335 section 6) */
    return o->port > 0 && (strcmp(o->scheme, "http") == 0 || strcmp(o->scheme, "https") == 0) ? 0 : -1;
}

int http_url_target(const char *url, http_origin *out, err *e) {
    char port[8] = "";
    CURLU *u = curl_url();
    bool fits = u != NULL && strstr(url, "://") != NULL &&
                curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                part(u, CURLUPART_SCHEME, 0, out->scheme, sizeof out->scheme) == 1 &&
                part(u, CURLUPART_HOST, 0, out->host, sizeof out->host) == 1 &&
                part(u, CURLUPART_PORT, 0, port, sizeof port) >= 0;
    curl_url_cleanup(u);
    out->port = (unsigned)strtoul(port, NULL, 10);
    return fits ? 0 : err_set(e, "bad_argument", "http.target: expected a URL with a scheme and a host");
}

static bool same_origin(const http_origin *a, const http_origin *b) {
    return strcmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 && a->port == b->port;
}

static bool has_part(CURLU *u, CURLUPart what) {
    char *s = NULL;
    CURLUcode rc = curl_url_get(u, what, &s, 0);
    curl_free(s);
    return rc == CURLUE_OK;
}

static int take_user(CURLU *u, buf *user) {
    char *name = NULL;
    char *password = NULL;
    if (curl_url_get(u, CURLUPART_USER, &name, CURLU_URLDECODE) == CURLUE_OK) {
        (void)curl_url_get(u, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
        buf_printf(user, "%s:%s", name, password != NULL ? password : "");
    }
    curl_free(name);
    if (password != NULL) {
        explicit_bzero(password, strlen(password));
    }
    curl_free(password);
    return user->failed ? -1 : 0;
}

int http_url_base(const char *endpoint, const char *url, http_base *out, buf *user, err *e) {
    memset(out, 0, sizeof *out);
    CURLU *u = curl_url();
    if (u == NULL) {
        return err_set(e, "out_of_memory", "http: out of memory");
    }
    /* The URL itself may hold a password: no message shows it. */
    int rc = 0;
    const char *authority = strstr(url, "://"); /* libcurl lets "http:///x" pass for the host x */
    if (authority == NULL || authority[3] == '/' || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        read_origin(u, &out->origin) != 0 || part(u, CURLUPART_PATH, 0, out->prefix, sizeof out->prefix) != 1) {
        rc = err_set(e, "http_endpoint", "http: endpoint \"%s\": expected an http or https URL", endpoint);
    } else if (has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT)) {
        rc = err_set(e, "http_endpoint", "http: endpoint \"%s\": its URL has a query or a fragment", endpoint);
    } else if (take_user(u, user) != 0) {
        rc = err_set(e, "out_of_memory", "http: out of memory");
    }
    curl_url_cleanup(u);
    if (rc != 0) {
        return err_fix(e, "write it as https://host[:port][/prefix]");
    }
    size_t n = strlen(out->prefix);
    while (n > 0 && out->prefix[n - 1] == '/') {
        out->prefix[--n] = '\0';
    }
    return 0;
}

static int bad_path(const char *path, size_t len, const char *why, err *e) {
    buf shown = BUF_INIT;
    size_t n = strcspn(path, "?") < len ? strcspn(path, "?") : len; /* a query may hold what no message should */
    text_sanitise(&shown, path, n, 120, false);
    err_set(e, "bad_argument", "http.request: path \"%s\" %s", buf_str(&shown), why);
    buf_free(&shown);
    return -1;
}

/* The byte at s, decoded where it is percent-encoded; *used is how many bytes say it. */
static unsigned char decoded(const char *s, size_t n, size_t *used) {
    *used = 1;
    if (n < 3 || s[0] != '%' || !isxdigit((unsigned char)s[1]) || !isxdigit((unsigned char)s[2])) {
        return (unsigned char)s[0];
    }
    *used = 3;
    const char hex[3] = {s[1], s[2], '\0'};
    return (unsigned char)strtoul(hex, NULL, 16);
}

/* Does the component, decoded once, say "." or ".."? Its parameters do not count (RFC 3986 section 3.3): there are
 * servers that drop all from ";" before they look for dots. */
static bool is_dots(const char *s, size_t n) {
    size_t dots = 0, used;
    for (size_t i = 0; i < n; i += used) {
        unsigned char c = decoded(s + i, n - i, &used);
        if (c == ';') {
            break;
        }
        if (c != '.') {
            return false;
        }
        dots++;
    }
    return dots == 1 || dots == 2;
}

/* Does a percent-encoded byte of the path say "/" or "\"? A server that decodes before it splits finds components that
 * nobody looked at. */
static bool hides_slash(const char *s, size_t n) {
    for (size_t i = 0, used; i < n; i += used) {
        unsigned char c = decoded(s + i, n - i, &used);
        if (used == 3 && (c == '/' || c == '\\')) {
            return true;
        }
    }
    return false;
}

/* Are the dots and encoded slashes of a path such that it could leave the components it begins with? NULL: no. */
static const char *check_components(const char *path, size_t len) {
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(path + at + 1, '/', len - at - 1);
        size_t stop = slash != NULL ? (size_t)(slash - path) : len;
        if (is_dots(path + at + 1, stop - at - 1)) {
            return "has a component \".\" or \"..\"";
        }
        at = stop;
    }
    return NULL;
}

static const char *check_bytes(const char *path, size_t len, size_t query_at) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)path[i];
        if (c < 0x20 || c == 0x7F) {
            return "holds a control character";
        }
        if (c == '\\' || c == '#' || (c == '@' && i < query_at)) {
            return "holds \"\\\", \"#\" or \"@\"; percent-encode it";
        }
        if (c == '%' &&
            (len - i < 3 || !isxdigit((unsigned char)path[i + 1]) || !isxdigit((unsigned char)path[i + 2]))) {
            return "holds a \"%\" without two hexadecimal digits";
        }
    }
    return NULL;
}

static const char *check_path(const char *path, size_t len) {
    const char *question = memchr(path, '?', len);
    size_t end = question != NULL ? (size_t)(question - path) : len;
    if (len > 0 && path[0] != '/') {
        return "does not begin with \"/\"";
    }
    if (len > 1 && path[1] == '/') {
        return "begins with \"//\", which would name another host";
    }
    const char *why = check_components(path, end);
    if (why == NULL && hides_slash(path, end)) {
        why = "holds a percent-encoded \"/\" or \"\\\"; send such a name in the query";
    }
    return why != NULL ? why : check_bytes(path, len, end);
}

/* The last word is the parser's that will connect: the finished URL must have the endpoint's origin and no userinfo. */
static int check_joined(const http_origin *origin, const char *url) {
    http_origin found = {0};
    CURLU *u = curl_url();
    bool fits = u != NULL && curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
                read_origin(u, &found) == 0 && same_origin(origin, &found) && !has_part(u, CURLUPART_USER) &&
                !has_part(u, CURLUPART_PASSWORD);
    curl_url_cleanup(u);
    return fits ? 0 : -1;
}

int http_url_join(const http_base *base, const char *path, size_t len, const char *query, buf *out, err *e) {
    static const char *const ENCODE = " \"<>^`{|}";
    const char *why = check_path(path, len);
    if (why != NULL) {
        return bad_path(path, len, why, e);
    }
    size_t start = out->len;
    const http_origin *o = &base->origin;
    buf_printf(out, "%s://%s:%u%s", o->scheme, o->host, o->port, base->prefix);
    if (len == 0 && base->prefix[0] == '\0') {
        buf_putc(out, '/');
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)path[i];
        if (c >= 0x80 || strchr(ENCODE, c) != NULL) {
            buf_printf(out, "%%%02X", c);
        } else {
            buf_putc(out, (char)c);
        }
    }
    if (query != NULL && query[0] != '\0') {
        buf_putc(out, memchr(path, '?', len) != NULL ? '&' : '?');
        buf_puts(out, query);
    }
    if (out->failed) {
        return err_set(e, "out_of_memory", "http.request: out of memory");
    }
    if (out->len - start > HTTP_URL_MAX) {
        return err_set(e, "bad_argument", "http.request: path and query are over %d bytes", HTTP_URL_MAX);
    }
    return check_joined(o, out->data + start) == 0 ? 0 : bad_path(path, len, "would leave the endpoint", e);
}

/* Is the path of u beneath the prefix, however a server reads it? Without a prefix every path is. */
static bool beneath(CURLU *u, const char *prefix) {
    size_t n = strlen(prefix);
    char *path = NULL;
    if (n == 0) {
        return true;
    }
    bool fits = curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK && strncmp(path, prefix, n) == 0 &&
                (path[n] == '/' || path[n] == '\0') && check_components(path + n, strlen(path + n)) == NULL &&
                !hides_slash(path + n, strlen(path + n));
    curl_free(path);
    return fits;
}

int http_url_redirect(const http_base *base, const char *url, const char *location, buf *out, err *e) {
    const http_origin *origin = &base->origin;
    http_origin found = {0};
    char *full = NULL;
    CURLU *u = curl_url();
    int rc = -1;
    if (u == NULL) {
        err_set(e, "out_of_memory", "http: out of memory");
    } else if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
               curl_url_set(u, CURLUPART_URL, location, 0) != CURLUE_OK || read_origin(u, &found) != 0) {
        err_set(e, "http_redirect", "http: the answer redirects to what is no http or https URL");
    } else if (!same_origin(origin, &found) || has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD)) {
        err_set(e, "http_redirect", "http: a redirect from %s://%s:%u to another origin, %s://%s:%u, is not followed",
                origin->scheme, origin->host, origin->port, found.scheme, found.host, found.port);
        err_fix(e, "name the right URL in the configuration, or ask with redirects = 0 to see the answer itself");
    } else if (!beneath(u, base->prefix)) {
        err_set(e, "http_redirect", "http: a redirect out of the endpoint's prefix %s is not followed", base->prefix);
        err_fix(e, "name the right prefix in the configuration, or ask with redirects = 0 to see the answer itself");
    } else if (curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
               curl_url_get(u, CURLUPART_URL, &full, 0) != CURLUE_OK || buf_puts(out, full) != 0) {
        err_set(e, "out_of_memory", "http: out of memory");
    } else {
        rc = 0;
    }
    curl_free(full);
    curl_url_cleanup(u);
    return rc;
}

static bool is_token(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)s[i]) && (s[i] == '\0' || strchr("!#$%&'*+-.^_`|~", s[i]) == NULL)) {
            return false;
        }
    }
    return n > 0 && n <= 128;
}

int http_check_header(const char *what, const char *name, size_t name_len, const char *value, size_t value_len,
                      err *e) {
    static const char *const RESERVED[] = {"host",    "content-length", "transfer-encoding", "connection", "te",
                                           "trailer", "upgrade",        "keep-alive",        "expect",     NULL};
    if (!is_token(name, name_len)) {
        return err_set(e, "bad_argument", "%s: a header's name is no token of at most 128 characters", what);
    }
    for (size_t i = 0; RESERVED[i] != NULL; i++) {
        if (strlen(RESERVED[i]) == name_len && strncasecmp(RESERVED[i], name, name_len) == 0) {
            return err_set(e, "bad_argument", "%s: header \"%s\" is the engine's to send", what, RESERVED[i]);
        }
    }
    if (name_len >= 6 && strncasecmp(name, "proxy-", 6) == 0) {
        return err_set(e, "bad_argument", "%s: headers for the proxy come from its URL alone", what);
    }
    for (size_t i = 0; i < value_len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            return err_set(e, "bad_argument", "%s: the value of header \"%.*s\" holds a control character", what,
                           (int)name_len, name);
        }
    }
    return value_len <= 16384 ? 0
                              : err_set(e, "bad_argument", "%s: the value of header \"%.*s\" is over 16384 bytes", what,
                                        (int)name_len, name);
}
