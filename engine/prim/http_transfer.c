#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "prim/http_internal.h"

#define USER_AGENT "gate-engine/" GE_VERSION
#define BACKOFF_MAX_MS 5000

void http_response_clear(http_response *x) {
    for (size_t i = 0; i < x->field_count; i++) {
        free(x->fields[i].name);
        free(x->fields[i].value);
    }
    free(x->fields);
    x->fields = NULL;
    x->field_count = 0;
    x->status = 0;
    buf_free(&x->body);
}

/* ---- what comes in ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *user) {
    http_request *r = user;
    n *= size;
    if (n > r->max_body - r->response.body.len) {
        r->overflow = "body";
        return 0;
    }
    if (n > 0 && buf_append(&r->response.body, bytes, n) != 0) {
        r->no_memory = true;
        return 0;
    }
    return n;
}

/* "a: 1" and "a: 2" become "a: 1, 2" (RFC 9110 section 5.3); Set-Cookie, which may hold commas, one a line. */
static int join_field(http_field *f, const char *value, size_t len, const char *between) {
    size_t gap = strlen(between);
    char *grown = realloc(f->value, f->value_len + gap + len + 1);
    if (grown == NULL) {
        return -1;
    }
    memcpy(grown + f->value_len, between, gap);
    memcpy(grown + f->value_len + gap, value, len);
    f->value = grown;
    f->value_len += gap + len;
    grown[f->value_len] = '\0';
    return 0;
}

static int add_field(http_response *x, const char *name, size_t name_len, const char *value, size_t len) {
    for (size_t i = 0; i < x->field_count; i++) {
        http_field *f = &x->fields[i];
        if (strlen(f->name) == name_len && strncasecmp(f->name, name, name_len) == 0) {
            return join_field(f, value, len, strcmp(f->name, "set-cookie") == 0 ? "\n" : ", ");
        }
    }
    http_field *grown = realloc(x->fields, (x->field_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return -1;
    }
    x->fields = grown;
    http_field f = {.name = strndup(name, name_len), .value = malloc(len + 1), .value_len = len};
    if (f.name == NULL || f.value == NULL) {
        free(f.name);
        free(f.value);
        return -1;
    }
    for (size_t i = 0; i < name_len; i++) {
        f.name[i] = (char)tolower((unsigned char)f.name[i]);
    }
    memcpy(f.value, value, len);
    f.value[len] = '\0';
    x->fields[x->field_count++] = f;
    return 0;
}

static void trim(const char **s, size_t *n) {
    while (*n > 0 && strchr(" \t\r\n", (*s)[*n - 1]) != NULL) {
        --*n;
    }
    while (*n > 0 && (**s == ' ' || **s == '\t')) {
        ++*s;
        --*n;
    }
}

static size_t on_header(char *line, size_t size, size_t n, void *user) {
    http_request *r = user;
    http_response *x = &r->response;
    n *= size;
    r->header_bytes += n;
    if (r->header_bytes > HTTP_HEADER_BYTES_MAX || x->field_count > HTTP_HEADER_COUNT_MAX) {
        r->overflow = "header";
        return 0;
    }
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* a status line: what came before was an interim answer */
        http_response_clear(x);
        return n;
    }
    int rc = 0;
    const char *colon = memchr(line, ':', n);
    if (line[0] == ' ' || line[0] == '\t') { /* a folded line, RFC 9112 section 5.2 */
        const char *value = line;
        size_t len = n;
        trim(&value, &len);
        rc = x->field_count > 0 ? join_field(&x->fields[x->field_count - 1], value, len, " ") : 0;
    } else if (colon != NULL && colon > line) {
        const char *value = colon + 1;
        size_t len = n - (size_t)(value - line);
        trim(&value, &len);
        rc = add_field(x, line, (size_t)(colon - line), value, len);
    }
    r->no_memory = r->no_memory || rc != 0;
    return rc == 0 ? n : 0;
}

/* ---- one transfer ---- */

static CURLcode set_tls(CURL *h, const http_endpoint *x) {
    CURLcode rc = curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_CERTINFO, 1L);
    if (rc == CURLE_OK && (x->ca_file != NULL || x->ca_pem != NULL)) {
        rc = curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
    }
    if (rc == CURLE_OK && x->ca_file != NULL) {
        rc = curl_easy_setopt(h, CURLOPT_CAINFO, x->ca_file);
    }
    if (rc == CURLE_OK && x->ca_pem != NULL) {
        struct curl_blob blob = {.data = x->ca_pem, .len = strlen(x->ca_pem), .flags = CURL_BLOB_NOCOPY};
        rc = x->ca_file == NULL ? curl_easy_setopt(h, CURLOPT_CAINFO, NULL) : CURLE_OK;
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_CAINFO_BLOB, &blob);
    }
    return rc;
}

/* Where the connection goes: the endpoint's schemes, proxy and addresses, and never what the environment says. */
static CURLcode set_target(CURL *h, const http_endpoint *x) {
    CURLcode rc = curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_PROXY, x->proxy != NULL ? x->proxy : "");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_NOPROXY, "");
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_RESOLVE, x->resolve);
    return rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
}

static CURLcode set_callbacks(CURL *h, http_request *r) {
    CURLcode rc = curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_WRITEDATA, r);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_HEADERDATA, r);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_PRIVATE, r);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_ERRORBUFFER, r->curl_error);
    return rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_USERAGENT, USER_AGENT);
}

static CURLcode set_message(CURL *h, const http_request *r) {
    bool head = strcmp(r->method, "HEAD") == 0;
    CURLcode rc = curl_easy_setopt(h, CURLOPT_URL, buf_str(&r->url));
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_HTTPHEADER, r->lines);
    if (rc == CURLE_OK && !head) { /* what a HEAD announces does not come */
        rc = curl_easy_setopt(h, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)r->max_body);
    }
    if (rc != CURLE_OK || head) {
        return rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    }
    if (r->has_body || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0) {
        rc = curl_easy_setopt(h, CURLOPT_POST, 1L);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_POSTFIELDS, buf_str(&r->body));
    }
    return rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, r->method);
}

int http_transfer_prepare(http_request *r, err *e) {
    CURL *h = r->easy;
    int64_t left = r->deadline_ms - clock_ms();
    curl_easy_reset(h);
    http_response_clear(&r->response);
    r->header_bytes = 0;
    r->overflow = NULL;
    r->curl_error[0] = '\0';
    r->response.attempts++;
    left = left > 0 ? left : 1;
    CURLcode rc = set_target(h, r->endpoint);
    rc = rc != CURLE_OK ? rc : set_tls(h, r->endpoint);
    rc = rc != CURLE_OK ? rc : set_callbacks(h, r);
    rc = rc != CURLE_OK ? rc : set_message(h, r);
    rc = rc != CURLE_OK ? rc : http_sign_transfer(r);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)left);
    rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_timeout_ms);
    if (rc != CURLE_OK) {
        return err_set(e, rc == CURLE_OUT_OF_MEMORY ? "out_of_memory" : "http_protocol",
                       "http: libcurl refuses an option: %s", curl_easy_strerror(rc));
    }
    return 0;
}

/* ---- what follows ---- */

static void finish(http_request *r) {
    r->response.elapsed_ms = (double)(clock_ms() - r->started_ms);
    http_client_finished(r->client, r);
}

static void next_transfer(http_request *r) {
    if (http_transfer_prepare(r, &r->error) != 0) {
        finish(r);
    } else if (http_client_start(r->client, r) != 0) {
        err_set(&r->error, "http_protocol", "http: libcurl refuses to start a transfer");
        finish(r);
    }
}

/* Repeats only what cannot do harm twice and what repeating can help: no connection, a server's own failure, or 429
 * with the time it asks for. Any other 4xx is an answer. */
static bool repeat(http_request *r, CURLcode code) {
    long status = r->response.status;
    int64_t asked = code == CURLE_OK ? http_outcome_retry_after_ms(&r->response) : -1;
    bool useful = code == CURLE_COULDNT_CONNECT ||
                  (code == CURLE_OK && ((status >= 500 && status <= 599) || (status == 429 && asked >= 0)));
    if (!useful || r->retries == 0 || !r->repeatable) {
        return false;
    }
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
        random = 0; /* the whole pause */
    }
    int64_t pause = asked >= 0 ? asked : http_outcome_jitter(r->backoff_ms, random);
    int64_t now = clock_ms();
    if (pause >= r->deadline_ms - now) {
        return false; /* the time allowed would be over: what is known now is the answer */
    }
    r->retries--;
    r->backoff_ms = r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
    r->resume_ms = now + pause;
    r->state = HTTP_BACKOFF;
    return true;
}

static bool is_redirect(long status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* RFC 9110 sections 15.4.2 to 15.4.9: 303 asks for a GET, and 301 and 302 turn a POST into one, as all clients do. */
static void change_method(http_request *r) {
    long status = r->response.status;
    bool to_get = (status == 303 && strcmp(r->method, "HEAD") != 0) ||
                  ((status == 301 || status == 302) && strcmp(r->method, "POST") == 0);
    if (to_get) {
        memcpy(r->method, "GET", 4);
        buf_free(&r->body);
        r->has_body = false;
    }
}

/* Follows a redirect inside the endpoint; anything else about it is an error. True: the answer was a redirect. */
static bool follow(http_request *r) {
    const char *location = http_outcome_field(&r->response, "location");
    if (!is_redirect(r->response.status) || location == NULL || r->redirects < 0) {
        return false;
    }
    buf target = BUF_INIT;
    if (http_url_redirect(&r->endpoint->base, buf_str(&r->url), location, &target, &r->error) != 0) {
        finish(r);
    } else if (r->redirects == 0) {
        err_set(&r->error, "http_redirect", "http: endpoint \"%s\": still redirected after %d redirects",
                r->endpoint->name, r->response.redirects);
        finish(r);
    } else {
        r->redirects--;
        r->response.redirects++;
        r->response.attempts--; /* another step of the same attempt */
        buf_free(&r->url);
        r->url = target;
        target = (buf)BUF_INIT;
        change_method(r);
        next_transfer(r);
    }
    buf_free(&target);
    return true;
}

void http_transfer_ended(http_request *r, CURLcode code) {
    http_outcome_read(r);
    if (code == CURLE_OK && follow(r)) {
        return;
    }
    if (repeat(r, code)) {
        return;
    }
    if (code != CURLE_OK) {
        http_outcome_error(r, code);
    }
    finish(r);
}
