/* What a tenant sends in: a certificate to seal its key to. What an operator writes: the URL of a mail server. What is
 * sealed is a message of OpenSSL's, and all else is refused with a reason. */
#include <openssl/cms.h>
#include <stdlib.h>
#include <string.h>

#include "prim/mail.h"
#include "promise.h"

static void seal(const char *text, size_t n) {
    err e;
    buf out = BUF_INIT;
    if (mail_seal(&out, text, n, "sk_live_94", 10, &e) == 0) {
        const unsigned char *at = (const unsigned char *)buf_str(&out);
        CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)out.len);
        PROMISE(cms != NULL && at == (const unsigned char *)buf_str(&out) + out.len);
        PROMISE(memmem(buf_str(&out), out.len, "sk_live_94", 10) == NULL);
        CMS_ContentInfo_free(cms);
    } else {
        PROMISE(out.len == 0 && strcmp(e.code, "mail_certificate") == 0 && e.message[0] != '\0' && e.fix[0] != '\0');
    }
    buf_free(&out);
}

static void url(const char *text) {
    mail_target to;
    err e;
    if (mail_url(text, &to, &e) == 0) {
        PROMISE(to.host[0] != '\0' && strlen(to.host) < MAIL_HOST_MAX && to.port > 0 && to.port < 65536);
        PROMISE(strpbrk(to.host, "[]@/") == NULL);
    } else {
        PROMISE(strcmp(e.code, "mail_url") == 0 && e.fix[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1);
    PROMISE(text != NULL);
    memcpy(text, data, n);
    text[n] = '\0';
    seal(text, n);
    url(text);
    free(text);
    return 0;
}
