#include "prim/mail.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

#define LAST 2 /* bytes that are handed over apart: until then the message cannot be whole */

typedef struct transfer {
    const mail_spec *spec;
    mail_target target;
    CURL *easy;
    struct curl_slist *to, *resolve;
    size_t at;
    bool ended; /* the last bytes were handed over: from here on the server may have the whole message */
    char reply[256];
    char curl_error[CURL_ERROR_SIZE];
} transfer;

/* ---- where it goes ---- */

int mail_url(const char *url, mail_target *out, err *e) {
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    bool read = u != NULL && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    bool smtp = read && (strcmp(scheme, "smtp") == 0 || strcmp(scheme, "smtps") == 0);
    size_t n = host != NULL ? strlen(host) : 0;
    unsigned number = read ? (unsigned)strtoul(port, NULL, 10) : 0;
    bool bracketed = n > 2 && host[0] == '[';
    bool fits = smtp && n < sizeof out->host && number > 0;
    if (fits) {
        unsigned char raw[16];
        snprintf(out->host, sizeof out->host, "%.*s", (int)(bracketed ? n - 2 : n), host + (bracketed ? 1 : 0));
        out->port = number;
        out->address = inet_pton(AF_INET, out->host, raw) == 1 || inet_pton(AF_INET6, out->host, raw) == 1;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
    if (fits) {
        return 0;
    }
    err_set(e, "mail_url", "mail: expected the URL of a mail server, smtp://host:port or smtps://host:port");
    return err_fix(e, "correct mail.url in the configuration, or SMTP_URL");
}

/* "host:port:address,address" for CURLOPT_RESOLVE: no name service is asked. */
static int pin(transfer *t, err *e) {
    const char *const *addresses = t->spec->resolve;
    if (addresses == NULL || t->target.address) {
        return 0;
    }
    buf line = BUF_INIT;
    buf_printf(&line, "%s:%u:", t->target.host, t->target.port);
    for (size_t i = 0; addresses[i] != NULL; i++) {
        buf_printf(&line, strchr(addresses[i], ':') != NULL ? "%s[%s]" : "%s%s", i > 0 ? "," : "", addresses[i]);
    }
    t->resolve = line.failed ? NULL : curl_slist_append(NULL, buf_str(&line));
    buf_free(&line);
    return t->resolve != NULL ? 0 : err_set(e, "out_of_memory", "mail: out of memory");
}

static int recipients(transfer *t, err *e) {
    for (size_t i = 0; t->spec->to[i] != NULL; i++) {
        struct curl_slist *grown = curl_slist_append(t->to, t->spec->to[i]);
        if (grown == NULL) {
            return err_set(e, "out_of_memory", "mail: out of memory");
        }
        t->to = grown;
    }
    return t->to != NULL ? 0 : err_set(e, "bad_argument", "mail: there is no recipient");
}

/* ---- what goes out and comes in ---- */

static size_t on_read(char *into, size_t size, size_t n, void *user) {
    transfer *t = user;
    size_t left = t->spec->message_len - t->at;
    n *= size;
    if (left > LAST && n > left - LAST) {
        n = left - LAST;
    }
    n = n < left ? n : left;
    memcpy(into, t->spec->message + t->at, n);
    t->at += n;
    t->ended = t->ended || t->at == t->spec->message_len;
    return n;
}

/* Each line of a reply; the last one is kept, but for the answer to QUIT (221), which says nothing of the message. */
static size_t on_reply(char *line, size_t size, size_t n, void *user) {
    transfer *t = user;
    n *= size;
    size_t len = n;
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n')) {
        len--;
    }
    buf shown = BUF_INIT;
    bool bye = n >= 3 && memcmp(line, "221", 3) == 0;
    if (!bye && text_sanitise(&shown, line, len, sizeof t->reply - 1, false) == 0) {
        snprintf(t->reply, sizeof t->reply, "%s", buf_str(&shown));
    }
    buf_free(&shown);
    return n;
}

static size_t no_body(char *bytes, size_t size, size_t n, void *user) {
    (void)bytes;
    (void)user;
    return size * n;
}

/* ---- the transfer ---- */

static bool set_up(transfer *t) {
    const mail_spec *s = t->spec;
    CURL *c = t->easy;
    bool ok = true;
#define SET(option, value) ok = ok && curl_easy_setopt(c, option, value) == CURLE_OK
    SET(CURLOPT_URL, s->url);
    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_TIMEOUT_MS, (long)s->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_timeout_ms);
    SET(CURLOPT_ERRORBUFFER, t->curl_error);
    if (t->to == NULL) {
        SET(CURLOPT_NOBODY, 1L);
        SET(CURLOPT_CUSTOMREQUEST, "NOOP");
        SET(CURLOPT_CERTINFO, 1L);
    } else {
        SET(CURLOPT_MAIL_FROM, s->from);
        SET(CURLOPT_MAIL_RCPT, t->to);
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_READFUNCTION, on_read);
        SET(CURLOPT_READDATA, t);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->message_len);
    }
    SET(CURLOPT_HEADERFUNCTION, on_reply);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, no_body);
    if (s->ca_file != NULL) {
        SET(CURLOPT_CAINFO, s->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (s->user != NULL) {
        SET(CURLOPT_USERNAME, s->user);
        SET(CURLOPT_PASSWORD, s->password != NULL ? s->password : "");
    }
    if (t->resolve != NULL) {
        SET(CURLOPT_RESOLVE, t->resolve);
    }
#undef SET
    return ok;
}

static bool is_tls(CURLcode code) {
    switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        return true;
    default:
        return false;
    }
}

/* What failed before the server had the message, or was refused in its reply. */
static int failed(const transfer *t, CURLcode code, long reply, err *e) {
    const char *host = t->target.host;
    unsigned port = t->target.port;
    if (code == CURLE_OUT_OF_MEMORY) {
        return err_set(e, "out_of_memory", "mail: out of memory");
    }
    if (code == CURLE_LOGIN_DENIED) { /* its text may repeat what it was shown */
        err_set(e, "mail_auth", "the mail server %s:%u refuses user or password", host, port);
        return err_fix(e, "check mail.user and mail.password, or the user and password of mail.url");
    }
    if (code == CURLE_USE_SSL_FAILED) {
        err_set(e, "mail_tls", "the mail server %s:%u offers no TLS", host, port);
        return err_fix(e, "switch STARTTLS on there, or use smtps://; nothing is sent without TLS");
    }
    if (is_tls(code)) {
        err_set(e, "mail_tls", "TLS with the mail server %s:%u failed", host, port);
        err_detail(e, "%s", t->curl_error[0] != '\0' ? t->curl_error : curl_easy_strerror(code));
        return err_fix(e, "install a valid certificate there, or name its authority in mail.ca_file");
    }
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
        err_set(e, "mail_connect", "nothing accepts the connection to the mail server %s:%u", host, port);
        return err_fix(e, "check that it runs and that this machine may reach it");
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        err_set(e, "mail_timeout", "the mail server %s:%u gave no answer within %.1f s", host, port,
                (double)t->spec->timeout_ms / 1000);
        return err_fix(e, "check the server, then run this again");
    }
    if (reply >= 400 && reply < 600) {
        err_set(e, reply < 500 ? "mail_deferred" : "mail_refused",
                reply < 500 ? "the mail server %s:%u does not take the message now"
                            : "the mail server %s:%u refuses the message",
                host, port);
        err_detail(e, "%s", t->reply);
        return err_fix(e, reply < 500 ? "run this again later" : "correct what it says, then run this again");
    }
    err_set(e, "mail_broken", "the connection to the mail server %s:%u ended before the message was over", host, port);
    err_detail(e, "%s", t->curl_error[0] != '\0' ? t->curl_error : curl_easy_strerror(code));
    return err_fix(e, "run this again");
}

/* libcurl says QUIT when it closes the connection, and waits for the answer, whatever the time is: what it reads has
 * ended. */
static void hang_up(CURL *easy) {
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (easy != NULL && curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD) {
        (void)shutdown(fd, SHUT_RD);
    }
}

static int perform(transfer *t, mail_result *out, err *e) {
    if (!set_up(t)) {
        return err_set(e, "out_of_memory", "mail: libcurl does not take the options");
    }
    CURLcode code = curl_easy_perform(t->easy);
    long reply = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &reply);
    out->reply = reply;
    bool accepted = code == CURLE_OK || (t->ended && reply / 100 == 2);
    bool refused = t->ended && reply >= 400;
    if (!accepted && (!t->ended || refused)) {
        return failed(t, code, reply, e);
    }
    out->sent = accepted;
    const char *why = code == CURLE_OPERATION_TIMEDOUT ? "no reply to the end of the message in time"
                                                       : "the connection ended before the reply to the message";
    snprintf(out->text, sizeof out->text, "%s", accepted ? t->reply : why);
    return 0;
}

int mail_send(const mail_spec *s, mail_result *out, err *e) {
    transfer t = {.spec = s};
    *out = (mail_result){0};
    if (s->message_len <= LAST) {
        return err_set(e, "bad_argument", "mail: the message is empty");
    }
    if (mail_url(s->url, &t.target, e) != 0) {
        return -1;
    }
    t.easy = curl_easy_init();
    int rc = t.easy != NULL ? 0 : err_set(e, "out_of_memory", "mail: out of memory");
    rc = rc == 0 ? pin(&t, e) : rc;
    rc = rc == 0 ? recipients(&t, e) : rc;
    rc = rc == 0 ? perform(&t, out, e) : rc;
    hang_up(t.easy);
    curl_easy_cleanup(t.easy);
    curl_slist_free_all(t.to);
    curl_slist_free_all(t.resolve);
    return rc;
}

int mail_probe(const mail_spec *s, certificate *cert, err *e) {
    *cert = (certificate){0};
    transfer t = {.spec = s};
    if (mail_url(s->url, &t.target, e) != 0) {
        return -1;
    }
    t.easy = curl_easy_init();
    int rc = t.easy != NULL ? 0 : err_set(e, "out_of_memory", "mail: out of memory");
    rc = rc == 0 ? pin(&t, e) : rc;
    if (rc == 0 && !set_up(&t)) {
        rc = err_set(e, "out_of_memory", "mail: libcurl does not take the options");
    }
    if (rc == 0) {
        long reply = 0;
        CURLcode code = curl_easy_perform(t.easy);
        curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &reply);
        rc = code == CURLE_OK ? 0 : failed(&t, code, reply, e);
        (void)certificate_of_transfer(cert, t.easy);
    }
    hang_up(t.easy);
    curl_easy_cleanup(t.easy);
    curl_slist_free_all(t.resolve);
    return rc;
}
