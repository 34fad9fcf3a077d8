/* target_proxy.c: the proxy on the way to a service: what the configuration says, else what the environment does, by
 * the rules of curl (everything.curl.dev/usingcurl/proxies/env): the lower-case name before the upper-case one, no
 * HTTP_PROXY in upper case, since a server may set that from a request's header. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "run/target_parts.h"

static const char *env(const char *name) {
    const char *v = name != NULL ? getenv(name) : NULL;
    return v != NULL && v[0] != '\0' ? v : NULL;
}

static const char *first_of(const char *const *names) {
    const char *v = NULL;
    for (; v == NULL && *names != NULL; names++) {
        v = env(*names);
    }
    return v;
}

/* The host of a URL as [*from, *from + *n), without the brackets of an IPv6 address. */
static bool host_of(const char *url, const char **from, size_t *n) {
    const char *at = strstr(url, "://");
    if (at == NULL) {
        return false;
    }
    at += 3;
    size_t authority = strcspn(at, "/?#");
    const char *user = memrchr(at, '@', authority);
    if (user != NULL) {
        authority -= (size_t)(user + 1 - at);
        at = user + 1;
    }
    const char *close = *at == '[' ? memchr(at, ']', authority) : NULL;
    *from = close != NULL ? at + 1 : at;
    *n = close != NULL ? (size_t)(close - at - 1) : strcspn(at, ":/?#");
    *n = *n < authority ? *n : authority;
    return *n > 0;
}

static bool is_loopback(const char *host, size_t n) {
    return (n == 9 && strncasecmp(host, "localhost", n) == 0) ||
           (n >= 8 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= n) ||
           (n == 3 && strncmp(host, "::1", n) == 0);
}

/* One entry of NO_PROXY: a host, or the end of one; "*" is all. */
static bool excepts(const char *entry, size_t len, const char *host, size_t n) {
    if (len == 1 && entry[0] == '*') {
        return true;
    }
    if (len > 0 && entry[0] == '.') {
        entry++;
        len--;
    }
    return len > 0 && n >= len && strncasecmp(host + n - len, entry, len) == 0 &&
           (n == len || host[n - len - 1] == '.');
}

static bool is_excepted(const char *host, size_t n) {
    static const char *const NAMES[] = {"no_proxy", "NO_PROXY", NULL};
    const char *list = first_of(NAMES);
    while (list != NULL && *list != '\0') {
        list += strspn(list, ", ");
        size_t len = strcspn(list, ", ");
        if (excepts(list, len, host, n)) {
            return true;
        }
        list += len;
    }
    return is_loopback(host, n);
}

json_t *target_proxy(const json_t *spec, const char *url) {
    static const char *const HTTP[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const HTTPS[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    json_t *own = json_object_get(spec, "proxy");
    const char *host;
    size_t n;
    if (own != NULL || url == NULL || !host_of(url, &host, &n)) {
        return json_incref(own);
    }
    const char *from = first_of(strncasecmp(url, "https:", 6) == 0 ? HTTPS : HTTP);
    if (from == NULL || is_excepted(host, n)) {
        return NULL;
    }
    return strstr(from, "://") != NULL ? json_string(from) : json_sprintf("http://%s", from);
}
