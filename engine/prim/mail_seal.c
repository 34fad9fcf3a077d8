/* mail_seal.c: bytes for one pair of eyes, as a CMS message (RFC 5652) by OpenSSL. */
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "prim/mail.h"

#define PEM_MAX (1 << 20)
#define BYTES_MAX (1 << 20)

static int unfit(err *e, const char *what) {
    char why[256];
    ERR_error_string_n(ERR_peek_last_error(), why, sizeof why);
    ERR_clear_error();
    err_set(e, "mail_certificate", "%s", what);
    err_detail(e, "%s", why);
    return err_fix(
        e, "ask the tenant for a certificate (PEM) of an RSA or elliptic-curve key: openssl req -x509 -newkey rsa:3072 "
           "-nodes -keyout tenant.key -out tenant.crt -subj /CN=tenant");
}

/* The key that the bytes are encrypted with goes to RSA by OAEP (RFC 3560); to others as their kind does it. */
static int add_recipient(CMS_ContentInfo *cms, X509 *cert) {
    CMS_RecipientInfo *r = CMS_add1_recipient_cert(cms, cert, CMS_KEY_PARAM);
    if (r == NULL) {
        return -1;
    }
    if (EVP_PKEY_get_base_id(X509_get0_pubkey(cert)) != EVP_PKEY_RSA) {
        return 0;
    }
    EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(r);
    return ctx != NULL && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0 &&
                   EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) > 0
               ? 0
               : -1;
}

static int write_out(buf *out, CMS_ContentInfo *cms, err *e) {
    unsigned char *der = NULL;
    int n = i2d_CMS_ContentInfo(cms, &der);
    int rc = n > 0 ? buf_append(out, der, (size_t)n) : -1;
    OPENSSL_free(der);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "mail: out of memory");
}

/* OpenSSL's own would ask at the terminal: whoever sends a certificate in does not make the operator type there. */
static int no_password(char *into, int size, int writing, void *ctx) {
    (void)into;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

int mail_seal(buf *out, const char *pem, size_t pem_len, const void *bytes, size_t n, err *e) {
    if (pem_len > PEM_MAX || n > BYTES_MAX) {
        return err_set(e, "bad_argument", "mail.seal: over %d bytes", BYTES_MAX);
    }
    BIO *in = BIO_new_mem_buf(pem, (int)pem_len), *plain = BIO_new_mem_buf(bytes, (int)n);
    X509 *cert = in != NULL ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;
    CMS_ContentInfo *cms = NULL;
    int rc = 0;
    if (in == NULL || plain == NULL) {
        rc = err_set(e, "out_of_memory", "mail: out of memory");
    } else if (cert == NULL) {
        rc = unfit(e, "what the tenant gave is no certificate");
    } else {
        cms = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(), CMS_BINARY | CMS_PARTIAL);
        bool sealed = cms != NULL && add_recipient(cms, cert) == 0 && CMS_final(cms, plain, NULL, CMS_BINARY) == 1;
        rc = sealed ? write_out(out, cms, e) : unfit(e, "nothing can be sealed to the tenant's certificate");
    }
    CMS_ContentInfo_free(cms);
    X509_free(cert);
    BIO_free(in);
    BIO_free(plain);
    return rc;
}
