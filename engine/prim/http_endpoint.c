#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "prim/http_internal.h"

static bool is_address(const char *s, bool *v6) {
    unsigned char raw[16];
    *v6 = inet_pton(AF_INET6, s, raw) == 1;
    return *v6 || inet_pton(AF_INET, s, raw) == 1;
}

/* "host:port:address,address" for CURLOPT_RESOLVE: no name service is asked for that host and port. */
static int pin(http_endpoint *x, const char *host, unsigned port, const char *const *addresses, char **pinned, err *e) {
    buf line = BUF_INIT;
    buf_printf(&line, "%s:%u:", host, port);
    size_t head = line.len;
    for (size_t i = 0; addresses[i] != NULL; i++) {
        bool v6 = false;
        if (!is_address(addresses[i], &v6) || i == HTTP_RESOLVE_MAX) {
            buf_free(&line);
            err_set(e, "bad_argument", "http.client: endpoint \"%s\": resolve[%zu]: expected an IPv4 or IPv6 address",
                    x->name, i + 1);
            return -1;
        }
        buf_printf(&line, v6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "", addresses[i]);
    }
    if (line.len == head || line.failed) {
        buf_free(&line);
        return err_set(e, "bad_argument", "http.client: endpoint \"%s\": resolve: expected at least one address",
                       x->name);
    }
    struct curl_slist *grown = curl_slist_append(x->resolve, line.data);
    *pinned = strdup(line.data + head);
    buf_free(&line);
    if (grown == NULL || *pinned == NULL) {
        x->resolve = grown != NULL ? grown : x->resolve;
        return err_set(e, "out_of_memory", "http.client: out of memory");
    }
    x->resolve = grown;
    return 0;
}

/* Pins the endpoint's host. A host which is an address itself is its own pin: any other would be ignored by libcurl. */
static int pin_host(http_endpoint *x, const char *const *addresses, err *e) {
    const http_origin *o = &x->base.origin;
    char bare[HTTP_HOST_MAX];
    size_t n = strlen(o->host);
    bool bracketed = n > 2 && o->host[0] == '[';
    snprintf(bare, sizeof bare, "%.*s", (int)(bracketed ? n - 2 : n), o->host + (bracketed ? 1 : 0));
    bool v6 = false;
    if (!is_address(bare, &v6)) {
        return pin(x, o->host, o->port, addresses, &x->pinned, e);
    }
    for (size_t i = 0; addresses[i] != NULL; i++) {
        if (strcmp(addresses[i], bare) != 0) {
            return err_set(e, "bad_argument",
                           "http.client: endpoint \"%s\": its host is the address %s, resolve says %s", x->name, bare,
                           addresses[i]);
        }
    }
    return 0;
}

static int pin_proxy(http_endpoint *x, const char *const *addresses, err *e) {
    http_origin o = {0};
    char *pinned = NULL;
    if (http_url_target(x->proxy, &o, e) != 0) {
        return -1;
    }
    if (o.port == 0) { /* libcurl's defaults for a proxy: CURLOPT_PROXY(3) */
        o.port = strcmp(o.scheme, "https") == 0 ? 443 : 1080;
    }
    int rc = pin(x, o.host, o.port, addresses, &pinned, e);
    free(pinned);
    return rc;
}

static int check_proxy(const http_endpoint *x, err *e) {
    static const char *const SCHEMES[] = {"http://", "https://", "socks5://", "socks5h://"};
    for (size_t i = 0; i < sizeof SCHEMES / sizeof SCHEMES[0]; i++) {
        if (strncmp(x->proxy, SCHEMES[i], strlen(SCHEMES[i])) == 0) {
            return 0;
        }
    }
    return err_set(e, "bad_argument",
                   "http.client: endpoint \"%s\": option \"proxy\": expected an http, https, socks5 or socks5h URL",
                   x->name);
}

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "http.client: out of memory");
}

static int add_basic(http_endpoint *x, const char *user, size_t len, err *e) {
    size_t cap = 4 * ((len + 2) / 3) + 1;
    buf value = BUF_INIT;
    buf_puts(&value, "Basic ");
    char *at = buf_reserve(&value, cap);
    int rc = -1;
    if (at != NULL && len < 16384) {
        value.len += (size_t)EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)user, (int)len);
        rc = http_lines_add(&x->lines, "Authorization", 13, value.data, value.len);
        explicit_bzero(value.data, value.cap);
    }
    buf_free(&value);
    return rc == 0 ? 0 : no_memory(e);
}

static int add_credential(http_endpoint *x, const http_endpoint_spec *s, err *e) {
    const http_header *cred = &s->credential;
    char what[160];
    snprintf(what, sizeof what, "http.client: endpoint \"%.80s\": auth", x->name);
    const char *name = s->auth == HTTP_AUTH_HEADER ? cred->name : "Authorization";
    size_t name_len = s->auth == HTTP_AUTH_HEADER ? cred->name_len : 13;
    if (s->auth == HTTP_AUTH_NONE || s->auth >= HTTP_AUTH_SIGV4) {
        return http_signer_set(x, s, e);
    }
    if (http_check_header(what, name, name_len, cred->value, cred->value_len, e) != 0) {
        return -1;
    }
    if (http_lines_have(x->lines, name, name_len)) {
        return err_set(e, "bad_argument", "%s: the same header is sent already", what);
    }
    if (s->auth == HTTP_AUTH_BASIC) {
        return add_basic(x, cred->value, cred->value_len, e);
    }
    buf value = BUF_INIT;
    buf_puts(&value, s->auth == HTTP_AUTH_BEARER ? "Bearer " : "");
    buf_append(&value, cred->value, cred->value_len);
    int rc = value.failed ? -1 : http_lines_add(&x->lines, name, name_len, buf_str(&value), value.len);
    if (value.data != NULL) {
        explicit_bzero(value.data, value.cap);
    }
    buf_free(&value);
    return rc == 0 ? 0 : no_memory(e);
}

static int add_headers(http_endpoint *x, const http_endpoint_spec *s, err *e) {
    char what[160];
    snprintf(what, sizeof what, "http.client: endpoint \"%.80s\": headers", x->name);
    for (size_t i = 0; i < s->header_count; i++) {
        const http_header *h = &s->headers[i];
        if (http_check_header(what, h->name, h->name_len, h->value, h->value_len, e) != 0) {
            return -1;
        }
        if (http_lines_add(&x->lines, h->name, h->name_len, h->value, h->value_len) != 0) {
            return no_memory(e);
        }
    }
    return 0;
}

/* userinfo in the URL is basic authentication; two credentials are one too many. */
static int add_user(http_endpoint *x, const http_endpoint_spec *s, const buf *user, err *e) {
    if (user->len == 0) {
        return 0;
    }
    if (s->auth != HTTP_AUTH_NONE || http_lines_have(x->lines, "Authorization", 13)) {
        return err_set(e, "bad_argument", "http.client: endpoint \"%s\": credentials both in its URL and beside it",
                       x->name);
    }
    return add_basic(x, user->data, user->len, e);
}

static int copy_text(char **to, const char *from) {
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL ? 0 : -1;
}

static int fill(http_endpoint *x, const http_endpoint_spec *s, err *e) {
    if (copy_text(&x->name, s->name) != 0 || copy_text(&x->proxy, s->proxy) != 0 ||
        copy_text(&x->ca_file, s->ca_file) != 0 || copy_text(&x->ca_pem, s->ca_pem) != 0) {
        return no_memory(e);
    }
    buf user = BUF_INIT;
    int rc = http_url_base(x->name, s->url, &x->base, &user, e);
    if (rc == 0) {
        rc = add_headers(x, s, e) == 0 && add_credential(x, s, e) == 0 && add_user(x, s, &user, e) == 0 ? 0 : -1;
    }
    if (user.data != NULL) {
        explicit_bzero(user.data, user.cap);
    }
    buf_free(&user);
    if (rc == 0 && x->proxy != NULL) {
        rc = check_proxy(x, e);
    }
    if (rc == 0 && s->resolve != NULL) {
        rc = pin_host(x, s->resolve, e);
    }
    if (rc == 0 && x->proxy != NULL && s->proxy_resolve != NULL) {
        rc = pin_proxy(x, s->proxy_resolve, e);
    }
    return rc;
}

/* libcurl keeps one cache of names and connections for all: two endpoints that pin one host and port differently would
 * get each other's. */
static int check_pins(const http_client *c, const http_endpoint *x, err *e) {
    for (size_t i = 0; i < c->count; i++) {
        const http_endpoint *y = &c->endpoints[i];
        bool same =
            y->base.origin.port == x->base.origin.port && strcasecmp(y->base.origin.host, x->base.origin.host) == 0;
        bool equal =
            (y->pinned == NULL) == (x->pinned == NULL) && (x->pinned == NULL || strcmp(x->pinned, y->pinned) == 0);
        if (strcmp(x->name, y->name) == 0) {
            return err_set(e, "bad_argument", "http.client: endpoint \"%s\" is defined twice", x->name);
        }
        if (same && !equal) {
            return err_set(e, "bad_argument",
                           "http.client: endpoints \"%s\" and \"%s\" pin one host to different addresses", y->name,
                           x->name);
        }
    }
    return 0;
}

int http_client_add(http_client *c, const http_endpoint_spec *spec, err *e) {
    if (c->count == HTTP_ENDPOINTS_MAX) {
        return err_set(e, "bad_argument", "http.client: over %d endpoints", HTTP_ENDPOINTS_MAX);
    }
    http_endpoint *x = &c->endpoints[c->count];
    if (fill(x, spec, e) == 0 && check_pins(c, x, e) == 0) {
        c->count++;
        return 0;
    }
    http_endpoint_clear(x);
    return -1;
}

void http_endpoint_clear(http_endpoint *x) {
    free(x->name);
    http_slist_free(x->lines);
    curl_slist_free_all(x->resolve);
    free(x->pinned);
    if (x->proxy != NULL) {
        explicit_bzero(x->proxy, strlen(x->proxy));
    }
    free(x->proxy);
    free(x->ca_file);
    free(x->ca_pem);
    http_signer_clear(&x->signer);
    memset(x, 0, sizeof *x);
}

size_t http_client_endpoints(const http_client *c, const char **names, size_t max) {
    for (size_t i = 0; i < c->count && i < max; i++) {
        names[i] = c->endpoints[i].name;
    }
    return c->count < max ? c->count : max;
}
