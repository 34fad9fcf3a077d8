#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "prim/certificate.h"

static bool copy_after(const char *line, const char *key, char *out, size_t cap) {
    size_t n = strlen(key);
    if (strncasecmp(line, key, n) != 0) {
        return false;
    }
    snprintf(out, cap, "%s", line + n);
    return true;
}

/* The subjects of all that the server sent. */
static void read_chain(const struct curl_certinfo *info, certificate *cert) {
    char subject[sizeof cert->subject];
    bool room = true;
    for (int i = 0; room && i < info->num_of_certs; i++) {
        for (const struct curl_slist *at = info->certinfo[i]; room && at != NULL; at = at->next) {
            if (copy_after(at->data, "Subject:", subject, sizeof subject)) {
                room = certificate_add(cert, subject);
            }
        }
    }
}

/* The first certificate of the chain is the server's own (CURLINFO_CERTINFO(3)). */
bool certificate_of_transfer(certificate *out, void *easy) {
    struct curl_certinfo *info = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL || info->num_of_certs <= 0) {
        return false;
    }
    certificate cert = {0};
    char date[64];
    for (const struct curl_slist *at = info->certinfo[0]; at != NULL; at = at->next) {
        if (copy_after(at->data, "Subject:", cert.subject, sizeof cert.subject) ||
            copy_after(at->data, "Issuer:", cert.issuer, sizeof cert.issuer)) {
            continue;
        }
        if (copy_after(at->data, "Start date:", date, sizeof date)) {
            cert.not_before = (int64_t)curl_getdate(date, NULL);
        } else if (copy_after(at->data, "Expire date:", date, sizeof date)) {
            cert.not_after = (int64_t)curl_getdate(date, NULL);
        }
    }
    cert.known = cert.not_after > 0;
    read_chain(info, &cert);
    *out = cert;
    return true;
}
