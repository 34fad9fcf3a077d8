/* mail.h: one message to an SMTP server (RFC 5321) over TLS, by libcurl; and bytes sealed to a certificate.
 *
 * TLS is not negotiable: smtps:// begins with it, smtp:// asks for STARTTLS (RFC 3207) and goes no further without.
 * What a caller must know afterwards is whether the message may have arrived. A server takes it over with its reply to
 * the end of the data (RFC 5321 section 4.2.5): what fails before the last bytes were handed over, or is refused in
 * that reply, has not arrived; where the connection ends between the two nobody can say.
 *
 * Codes of errors, each of which says that the message was not accepted: mail_connect, mail_tls, mail_auth,
 * mail_timeout, mail_deferred (4yz), mail_refused (5yz), mail_broken, mail_url, mail_certificate, bad_argument,
 * out_of_memory. No message holds a credential. */
#ifndef GE_PRIM_MAIL_H
#define GE_PRIM_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "prim/certificate.h"

#define MAIL_RECIPIENTS_MAX 100
#define MAIL_HOST_MAX 256

typedef struct mail_spec {
    const char *url;             /* smtp(s)://[user:password@]host[:port] */
    const char *user, *password; /* or NULL; instead of those in the URL */
    const char *ca_file;         /* PEM file, or NULL: the system's authorities */
    const char *const *resolve;  /* NULL-ended addresses for the host, or NULL */
    const char *from;
    const char *const *to; /* NULL-ended; one that is refused refuses the whole */
    const char *message;   /* RFC 5322, lines end with CRLF */
    size_t message_len;
    int64_t timeout_ms, connect_timeout_ms;
} mail_spec;

typedef struct mail_result {
    bool sent;      /* false: the outcome is unknown */
    long reply;     /* the server's last reply code, 0: none */
    char text[256]; /* why the outcome is unknown, or the reply's text; printable */
} mail_result;

typedef struct mail_target {
    char host[MAIL_HOST_MAX]; /* without the brackets of an IPv6 address */
    unsigned port;
    bool address; /* the host is an address itself */
} mail_target;

/* Where a URL goes, as libcurl reads it. Errors: mail_url. */
int mail_url(const char *url, mail_target *out, err *e);
/* Sends it and waits. 0: *out says whether it was accepted or the outcome is unknown. -1: it was not accepted. */
int mail_send(const mail_spec *s, mail_result *out, err *e);

/* Goes as far as a message would, through TLS and login, and says NOOP in its place: from, to and message are not
 * looked at. 0 and the server's certificate, or -1 with what mail_send would have said. */
int mail_probe(const mail_spec *s, certificate *cert, err *e);

/* Appends n bytes to out (DER), sealed to the first certificate of pem: CMS AuthEnvelopedData (RFC 5083) with
 * AES-256-GCM; the key of an RSA certificate's by OAEP. `openssl cms -decrypt` opens it. Errors: mail_certificate,
 * out_of_memory. */
int mail_seal(buf *out, const char *pem, size_t pem_len, const void *bytes, size_t n, err *e);

#endif
