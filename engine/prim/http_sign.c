/* http_sign.c: requests that are signed, each for itself: AWS Signature Version 4 (libcurl signs, which Amazon S3 wants
 * told the body's SHA-256: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html) and Azure Storage's
 * Shared Key and shared access signatures (learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key). */
#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "prim/http_internal.h"

#define AZURE_VERSION "2021-08-06"
#define AZURE_HEADERS_MAX 32
#define SHA256_BYTES 32
#define SECRET_MAX 4096

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "http: out of memory");
}

void http_signer_clear(http_signer *s) {
    free(s->account);
    free(s->region);
    if (s->secret != NULL) {
        explicit_bzero(s->secret, s->secret_len);
    }
    free(s->secret);
    *s = (http_signer){0};
}

static int check_text(const char *endpoint, const char *what, const char *text, err *e) {
    size_t n = text != NULL ? strlen(text) : 0;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] == 0x7f) {
            n = 0;
        }
    }
    return n > 0 && n <= SECRET_MAX ? 0
                                    : err_set(e, "bad_argument",
                                              "http.client: endpoint \"%.80s\": auth: %s: expected a text without "
                                              "spaces or control characters",
                                              endpoint, what);
}

/* The account's key is base64 of the bytes that sign. */
static int decode_key(const char *endpoint, http_signer *s, const char *text, err *e) {
    size_t n = strlen(text);
    int got = -1;
    s->secret = malloc(n + 1);
    if (s->secret == NULL) {
        return no_memory(e);
    }
    s->secret_len = n;
    if (n > 0 && n % 4 == 0) {
        got = EVP_DecodeBlock((unsigned char *)s->secret, (const unsigned char *)text, (int)n);
    }
    if (got <= 0) {
        err_set(e, "bad_argument", "http.client: endpoint \"%.80s\": auth: azure_key: expected base64", endpoint);
        return err_fix(e, "copy the account's key whole: it ends in \"==\"");
    }
    size_t padding = text[n - 1] != '=' ? 0 : text[n - 2] != '=' ? 1 : 2;
    s->secret_len = (size_t)got - padding;
    return 0;
}

static int copy_text(char **to, const char *from, err *e) {
    *to = strdup(from);
    return *to != NULL ? 0 : no_memory(e);
}

static int set_sas(http_endpoint *x, const char *query, err *e) {
    query += query[0] == '?' ? 1 : 0;
    if (strchr(query, '#') == NULL && strstr(query, "sig=") != NULL) {
        x->signer.secret_len = strlen(query);
        return copy_text(&x->signer.secret, query, e);
    }
    err_set(e, "bad_argument", "http.client: endpoint \"%.80s\": auth: azure_sas: expected a query with sig=", x->name);
    return err_fix(e, "copy the shared access signature whole, from \"sv=\" to the end");
}

static int set_sigv4(http_endpoint *x, const http_endpoint_spec *spec, err *e) {
    const char *token = spec->session_token;
    if (check_text(x->name, "the region", spec->region, e) != 0 || copy_text(&x->signer.region, spec->region, e) != 0) {
        return -1;
    }
    if (strchr(spec->region, ':') != NULL) { /* it separates the parts of what libcurl is told */
        return err_set(e, "bad_argument", "http.client: endpoint \"%.80s\": auth: region: it holds a colon", x->name);
    }
    if (token != NULL && check_text(x->name, "the session token", token, e) != 0) {
        return -1;
    }
    if (token != NULL && http_lines_add(&x->lines, "X-Amz-Security-Token", 20, token, strlen(token)) != 0) {
        return no_memory(e);
    }
    x->signer.secret_len = strlen(spec->credential.value);
    return copy_text(&x->signer.secret, spec->credential.value, e);
}

int http_signer_set(http_endpoint *x, const http_endpoint_spec *spec, err *e) {
    http_signer *s = &x->signer;
    if (spec->auth != HTTP_AUTH_SIGV4 && spec->auth != HTTP_AUTH_AZURE_KEY && spec->auth != HTTP_AUTH_AZURE_SAS) {
        return 0;
    }
    s->auth = spec->auth;
    if (check_text(x->name, "the secret", spec->credential.value, e) != 0) {
        return -1;
    }
    if (s->auth == HTTP_AUTH_AZURE_SAS) {
        return set_sas(x, spec->credential.value, e);
    }
    if (check_text(x->name, "the account", spec->account, e) != 0 || copy_text(&s->account, spec->account, e) != 0) {
        return -1;
    }
    return s->auth == HTTP_AUTH_AZURE_KEY ? decode_key(x->name, s, spec->credential.value, e) : set_sigv4(x, spec, e);
}

/* ---- Azure: the string that is signed ---- */

static int by_name(const void *a, const void *b) {
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *line_value(const struct curl_slist *lines, const char *name) {
    size_t n = strlen(name);
    for (; lines != NULL; lines = lines->next) {
        if (strncasecmp(lines->data, name, n) == 0 && lines->data[n] == ':') {
            return lines->data + n + 1 + (lines->data[n + 1] == ' ' ? 1 : 0);
        }
    }
    return "";
}

/* "x-ms-a:value\n" of each, sorted. */
static int add_ms_headers(buf *out, const struct curl_slist *lines, err *e) {
    const char *found[AZURE_HEADERS_MAX];
    size_t n = 0;
    for (; lines != NULL; lines = lines->next) {
        if (strncasecmp(lines->data, "x-ms-", 5) != 0) {
            continue;
        }
        if (n == AZURE_HEADERS_MAX) {
            return err_set(e, "bad_argument", "http.request: over %d headers x-ms-…", AZURE_HEADERS_MAX);
        }
        found[n++] = lines->data;
    }
    qsort(found, n, sizeof found[0], by_name);
    for (size_t i = 0; i < n; i++) {
        size_t name = strcspn(found[i], ":;");
        for (size_t k = 0; k < name; k++) {
            buf_putc(out, (char)tolower((unsigned char)found[i][k]));
        }
        const char *value = found[i] + name + (found[i][name] != '\0' ? 1 : 0);
        buf_printf(out, ":%s\n", value + (*value == ' ' ? 1 : 0));
    }
    return 0;
}

/* "/account/path" and "\nname:value" of the query, which the caller's encoding has sorted. */
static int add_resource(buf *out, const http_request *r, err *e) {
    const char *url = buf_str(&r->url);
    const char *path = strchr(strstr(url, "://") + 3, '/');
    path = path != NULL ? path : "/";
    size_t n = strcspn(path, "?");
    buf_printf(out, "/%s%.*s", r->endpoint->signer.account, (int)n, path);
    for (const char *at = path + n; *at != '\0';) {
        size_t pair = strcspn(++at, "&");
        size_t name = strcspn(at, "=&");
        int length = 0;
        char *value = curl_easy_unescape(NULL, name < pair ? at + name + 1 : "",
                                         name < pair ? (int)(pair - name - 1) : 0, &length);
        if (value == NULL) {
            return no_memory(e);
        }
        buf_putc(out, '\n');
        for (size_t i = 0; i < name; i++) {
            buf_putc(out, (char)tolower((unsigned char)at[i]));
        }
        buf_putc(out, ':');
        buf_append(out, value, (size_t)length);
        curl_free(value);
        at += pair;
    }
    return 0;
}

static int azure_text(buf *out, const http_request *r, err *e) {
    buf_printf(out, "%s\n\n\n", r->method); /* Content-Encoding, Content-Language */
    if (r->body.len > 0) {
        buf_printf(out, "%zu", r->body.len);
    }
    buf_printf(out, "\n%s\n%s\n\n", line_value(r->lines, "Content-MD5"), line_value(r->lines, "Content-Type"));
    buf_printf(out, "%s\n", line_value(r->lines, "If-Modified-Since"));
    buf_printf(out, "%s\n%s\n", line_value(r->lines, "If-Match"), line_value(r->lines, "If-None-Match"));
    buf_printf(out, "%s\n%s\n", line_value(r->lines, "If-Unmodified-Since"), line_value(r->lines, "Range"));
    return add_ms_headers(out, r->lines, e) != 0 || add_resource(out, r, e) != 0 ? -1 : out->failed ? no_memory(e) : 0;
}

static int azure_date(http_request *r, err *e) {
    static const char *const DAYS[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm tm;
    char text[64];
    if (gmtime_r(&now, &tm) == NULL) {
        return no_memory(e);
    }
    int n = snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT", DAYS[tm.tm_wday], tm.tm_mday,
                     MONTHS[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    return http_lines_add(&r->lines, "x-ms-date", 9, text, (size_t)n) == 0 ? 0 : no_memory(e);
}

static int sign_azure(http_request *r, err *e) {
    const http_signer *s = &r->endpoint->signer;
    unsigned char sum[SHA256_BYTES];
    unsigned char text[64];
    unsigned int n = 0;
    buf line = BUF_INIT;
    if (azure_date(r, e) != 0 || azure_text(&line, r, e) != 0) {
        buf_free(&line);
        return -1;
    }
    if (HMAC(EVP_sha256(), s->secret, (int)s->secret_len, (const unsigned char *)line.data, line.len, sum, &n) ==
            NULL ||
        n != sizeof sum) {
        buf_free(&line);
        return err_set(e, "http_protocol", "http: HMAC-SHA-256 is not available");
    }
    EVP_EncodeBlock(text, sum, sizeof sum);
    line.len = 0;
    buf_printf(&line, "SharedKey %s:%s", s->account, (const char *)text);
    int rc = line.failed ? -1 : http_lines_add(&r->lines, "Authorization", 13, line.data, line.len);
    buf_free(&line);
    return rc == 0 ? 0 : no_memory(e);
}

/* ---- both ---- */

static int add_body_sum(http_request *r, err *e) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    char text[2 * EVP_MAX_MD_SIZE + 1];
    if (EVP_Digest(buf_str(&r->body), r->body.len, sum, &n, EVP_sha256(), NULL) != 1) {
        return err_set(e, "http_protocol", "http: SHA-256 is not available");
    }
    for (unsigned int i = 0; i < n; i++) {
        snprintf(text + 2 * i, 3, "%02x", sum[i]);
    }
    return http_lines_add(&r->lines, "X-Amz-Content-Sha256", 20, text, 2 * (size_t)n) == 0 ? 0 : no_memory(e);
}

int http_sign_request(http_request *r, err *e) {
    static const char VERSION[] = AZURE_VERSION;
    const http_signer *s = &r->endpoint->signer;
    if (s->auth == HTTP_AUTH_SIGV4) {
        return r->sign ? add_body_sum(r, e) : 0;
    }
    if (s->auth != HTTP_AUTH_AZURE_KEY && s->auth != HTTP_AUTH_AZURE_SAS) {
        return 0;
    }
    if (http_lines_add(&r->lines, "x-ms-version", 12, VERSION, sizeof VERSION - 1) != 0) {
        return no_memory(e);
    }
    if (!r->sign) {
        return 0;
    }
    if (s->auth == HTTP_AUTH_AZURE_KEY) {
        return sign_azure(r, e);
    }
    buf_printf(&r->url, "%c%s", strchr(buf_str(&r->url), '?') != NULL ? '&' : '?', s->secret);
    return r->url.failed ? no_memory(e) : 0;
}

CURLcode http_sign_transfer(http_request *r) {
    const http_signer *s = &r->endpoint->signer;
    char what[128];
    if (!r->sign || s->auth != HTTP_AUTH_SIGV4) {
        return CURLE_OK;
    }
    snprintf(what, sizeof what, "aws:amz:%.80s:s3", s->region);
    CURLcode rc = curl_easy_setopt(r->easy, CURLOPT_AWS_SIGV4, what);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(r->easy, CURLOPT_USERNAME, s->account);
    return rc != CURLE_OK ? rc : curl_easy_setopt(r->easy, CURLOPT_PASSWORD, s->secret);
}
