#include <openssl/bio.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "prim/certificate.h"

/* "CN = name", as libcurl writes it too. */
static void name_of(const X509_NAME *name, char *out, int cap) {
    out[0] = '\0';
    BIO *b = BIO_new(BIO_s_mem());
    if (b != NULL && X509_NAME_print_ex(b, name, 0, XN_FLAG_ONELINE) >= 0) {
        int n = BIO_read(b, out, cap - 1);
        out[n > 0 ? n : 0] = '\0';
    }
    BIO_free(b);
}

static int64_t seconds(const ASN1_TIME *t) {
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void certificate_of_chain(certificate *out, const X509 *own, const STACK_OF(X509) * chain) {
    *out = (certificate){0};
    name_of(X509_get_subject_name(own), out->subject, sizeof out->subject);
    name_of(X509_get_issuer_name(own), out->issuer, sizeof out->issuer);
    out->not_before = seconds(X509_get0_notBefore(own));
    out->not_after = seconds(X509_get0_notAfter(own));
    out->known = out->not_after > 0;
    char subject[sizeof out->subject];
    bool room = true;
    for (int i = 0; room && chain != NULL && i < sk_X509_num(chain); i++) {
        name_of(X509_get_subject_name(sk_X509_value(chain, i)), subject, sizeof subject);
        room = certificate_add(out, subject);
    }
}
