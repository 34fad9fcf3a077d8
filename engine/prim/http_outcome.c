#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/text.h"
#include "prim/http_internal.h"

const char *http_outcome_field(const http_response *x, const char *name) {
    for (size_t i = 0; i < x->field_count; i++) {
        if (strcmp(x->fields[i].name, name) == 0) {
            return x->fields[i].value;
        }
    }
    return NULL;
}

/* Retry-After is seconds or a date (RFC 9110 section 10.2.3). */
int64_t http_outcome_retry_after_ms(const http_response *x) {
    const char *s = http_outcome_field(x, "retry-after");
    if (s == NULL || s[0] == '\0') {
        return -1;
    }
    if (strspn(s, "0123456789") == strlen(s)) {
        return strlen(s) > 9 ? INT64_MAX : (int64_t)strtoll(s, NULL, 10) * 1000;
    }
    time_t at = curl_getdate(s, NULL);
    if (at == (time_t)-1) {
        return -1;
    }
    time_t now = time(NULL);
    return at > now ? (int64_t)(at - now) * 1000 : 0;
}

int64_t http_outcome_jitter(int64_t pause_ms, uint32_t random) {
    int64_t half = pause_ms / 2;
    return pause_ms - (half > 0 ? (int64_t)(random % (uint64_t)(half + 1)) : 0);
}

/* ---- errors ---- */

static const char *tls_reason(const http_request *r, CURLcode code) {
    long verify = 0;
    curl_easy_getinfo(r->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
    if (code != CURLE_PEER_FAILED_VERIFICATION) {
        return "handshake";
    }
    switch (verify) { /* X509_V_ERR_* of openssl/x509_vfy.h */
    case 62:
    case 64:
        return "wrong_host";
    case 0:
    case 1: /* the chain is good: libcurl compares the name itself, and leaves its own mark here when that fails */
        return strstr(r->curl_error, "subject name") != NULL ? "wrong_host" : "untrusted";
    case 9:
        return "not_yet_valid";
    case 10:
        return "expired";
    case 23:
        return "revoked";
    default:
        return "untrusted";
    }
}

/* A proxy that opens no tunnel has a CURLcode of many meanings, and libcurl's words: those of
 * 7.88 and the older ones. */
static bool is_proxy_refusal(const http_request *r) {
    return r->endpoint->proxy != NULL && (strstr(r->curl_error, "CONNECT tunnel failed") != NULL ||
                                          strstr(r->curl_error, "from proxy after CONNECT") != NULL);
}

/* What did not take the connection was then the proxy, and nobody knows of the service behind it. */
static bool is_proxy_down(const http_request *r, CURLcode code) {
    curl_off_t connected = 0;
    bool silent = code == CURLE_OPERATION_TIMEDOUT &&
                  curl_easy_getinfo(r->easy, CURLINFO_CONNECT_TIME_T, &connected) == CURLE_OK && connected == 0;
    return r->endpoint->proxy != NULL &&
           (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_PROXY || silent);
}

static const char *code_of(const http_request *r, CURLcode code) {
    if (is_proxy_refusal(r) || is_proxy_down(r, code)) {
        return "http_proxy";
    }
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "http_resolve";
    case CURLE_COULDNT_CONNECT:
        return "http_connect";
    case CURLE_OPERATION_TIMEDOUT:
        return "http_timeout";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return "http_tls";
    case CURLE_FILESIZE_EXCEEDED:
        return "http_too_large";
    case CURLE_OUT_OF_MEMORY:
        return "out_of_memory";
    default:
        return r->overflow != NULL ? "http_too_large" : r->no_memory ? "out_of_memory" : "http_protocol";
    }
}

static const char *what_of(const http_request *r, const char *name, CURLcode code) {
    if (strcmp(name, "http_resolve") == 0) {
        return "the host name does not resolve";
    }
    if (strcmp(name, "http_connect") == 0) {
        return "nothing accepts the connection";
    }
    if (strcmp(name, "http_tls") == 0) {
        return "TLS failed";
    }
    if (strcmp(name, "http_too_large") == 0) {
        return r->overflow != NULL && r->overflow[0] == 'h' ? "the answer's header is over 65536 bytes or 256 lines"
                                                            : "the answer's body is over max_body";
    }
    if (strcmp(name, "out_of_memory") == 0) {
        return "out of memory";
    }
    if (strcmp(name, "http_timeout") == 0) {
        return "time ran out";
    }
    if (strcmp(name, "http_proxy") == 0) {
        return is_proxy_down(r, code) ? "its proxy cannot be reached" : "the proxy lets nobody through";
    }
    return code == CURLE_PARTIAL_FILE || code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
                   code == CURLE_SEND_ERROR
               ? "the connection broke before the answer was complete"
               : "the answer is no valid HTTP";
}

static const char *fix_of(const char *name) {
    static const struct {
        const char *name, *fix;
    } FIXES[] = {{"http_resolve", "check the endpoint's host name and the name service"},
                 {"http_connect", "check that the service runs and that this machine may reach it"},
                 {"http_tls", "install a valid certificate, or name its authority in the endpoint's ca_file"},
                 {"http_proxy", "check the proxy (http_proxy, https_proxy, all_proxy, or the endpoint's own), what it "
                                "lets through and whether it wants user and password in its URL"},
                 {"http_timeout", "check the service's load, or allow more time (timeout)"},
                 {"http_too_large", "ask for less, or allow more (max_body)"}};
    for (size_t i = 0; i < sizeof FIXES / sizeof FIXES[0]; i++) {
        if (strcmp(FIXES[i].name, name) == 0) {
            return FIXES[i].fix;
        }
    }
    return "";
}

/* libcurl's own words, unless a credential stands in them. */
static void add_detail(http_request *r) {
    for (const struct curl_slist *at = r->endpoint->lines; at != NULL; at = at->next) {
        const char *value = strstr(at->data, ": ");
        const char *secret = value != NULL && strncmp(value + 2, "Bearer ", 7) == 0 ? value + 9
                             : value != NULL                                        ? value + 2
                                                                                    : "";
        if (strlen(secret) > 3 && strstr(r->curl_error, secret) != NULL) {
            return;
        }
    }
    const char *signs = r->endpoint->signer.secret;
    if (r->endpoint->signer.auth != HTTP_AUTH_AZURE_KEY && signs != NULL && strstr(r->curl_error, signs) != NULL) {
        return;
    }
    if (r->endpoint->proxy != NULL && strchr(r->endpoint->proxy, '@') != NULL) {
        return; /* a proxy with a password in its URL */
    }
    buf shown = BUF_INIT;
    text_sanitise(&shown, r->curl_error, strlen(r->curl_error), 400, false);
    err_detail(&r->error, "%s", buf_str(&shown));
    buf_free(&shown);
}

void http_outcome_error(http_request *r, CURLcode code) {
    const http_origin *o = &r->endpoint->base.origin;
    const char *name = code_of(r, code);
    err_set(&r->error, name, "http: endpoint \"%s\" (%s://%s:%u): %s", r->endpoint->name, o->scheme, o->host, o->port,
            what_of(r, name, code));
    add_detail(r);
    err_fix(&r->error, "%s", fix_of(name));
    r->reason = strcmp(name, "http_tls") == 0 ? tls_reason(r, code) : is_proxy_down(r, code) ? "unreachable" : "";
}

/* ---- facts ---- */

static double ms_between(curl_off_t from, curl_off_t to) {
    return to > from ? (double)(to - from) / 1000.0 : 0;
}

static void read_timings(http_request *r) {
    curl_off_t dns = 0;
    curl_off_t connected = 0;
    curl_off_t tls = 0;
    curl_off_t first = 0;
    curl_off_t total = 0;
    curl_easy_getinfo(r->easy, CURLINFO_NAMELOOKUP_TIME_T, &dns);
    curl_easy_getinfo(r->easy, CURLINFO_CONNECT_TIME_T, &connected);
    curl_easy_getinfo(r->easy, CURLINFO_APPCONNECT_TIME_T, &tls);
    curl_easy_getinfo(r->easy, CURLINFO_STARTTRANSFER_TIME_T, &first);
    curl_easy_getinfo(r->easy, CURLINFO_TOTAL_TIME_T, &total);
    http_response *x = &r->response;
    x->dns_ms = ms_between(0, dns);
    x->connect_ms = connected > 0 ? ms_between(dns, connected) : 0;
    x->tls_ms = tls > 0 ? ms_between(connected, tls) : 0;
    x->first_byte_ms = ms_between(0, first);
    x->total_ms = ms_between(0, total);
}

void http_outcome_read(http_request *r) {
    const char *address = NULL;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->response.status);
    if (curl_easy_getinfo(r->easy, CURLINFO_PRIMARY_IP, &address) == CURLE_OK && address != NULL) {
        snprintf(r->response.address, sizeof r->response.address, "%s", address);
    }
    const char *date = http_outcome_field(&r->response, "date");
    r->response.date = date != NULL ? (int64_t)curl_getdate(date, NULL) : -1;
    read_timings(r);
    (void)certificate_of_transfer(&r->endpoint_state->certificate, r->easy);
    r->response.certificate = r->endpoint->certificate;
}
