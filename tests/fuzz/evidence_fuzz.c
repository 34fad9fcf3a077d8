/* What may have been edited by anybody: a signed envelope, a key, a ledger. Nothing opens but what the one trusted key
 * signed, and a ledger's records are what their chain says. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/canon.h"
#include "promise.h"
#include "run/dsse.h"
#include "run/ledger.h"

/* RFC 8410 section 10.1. The corpus holds what it signed: this payload, and no other. */
static const char PUBLIC_KEY[] = "-----BEGIN PUBLIC KEY-----\n"
                                 "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                                 "-----END PUBLIC KEY-----\n";
static const char PAYLOAD[] = "{\"a\":1}";

static void envelope(const char *text, size_t n) {
    static dsse_trust trust;
    err e;
    buf payload = BUF_INIT;
    PROMISE(trust.n > 0 || dsse_key_read(PUBLIC_KEY, "key", &trust.keys[0], &e) == 0);
    trust.n = 1;
    if (dsse_open(text, n, DSSE_INTOTO, &trust, &payload, NULL, &e) == 0) {
        PROMISE(payload.len == strlen(PAYLOAD) && memcmp(payload.data, PAYLOAD, payload.len) == 0);
    } else {
        PROMISE(payload.len == 0 && e.code[0] != '\0' && e.message[0] != '\0');
    }
    buf_free(&payload);
}

static void key(const char *text) {
    dsse_key k;
    err e;
    buf pem = BUF_INIT;
    if (dsse_key_read(text, "key", &k, &e) == 0) {
        dsse_key again;
        PROMISE(dsse_key_public_pem(&k, &pem, &e) == 0);
        PROMISE(dsse_key_read(buf_str(&pem), "key", &again, &e) == 0 && strcmp(again.id, k.id) == 0);
    }
    buf_free(&pem);
    dsse_key_wipe(&k);
}

static int each(void *ctx, const json_t *record, err *e) {
    json_int_t *before = ctx;
    (void)e;
    PROMISE(json_integer_value(json_object_get(record, "seq")) == *before + 1);
    ++*before;
    return 0;
}

static void chain(const char *text, size_t n) {
    char path[64];
    ledger_state at;
    json_int_t seen = 0;
    err e;
    int fd = memfd_create("ledger", MFD_CLOEXEC);
    PROMISE(fd >= 0 && write(fd, text, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int rc = ledger_read(path, each, &seen, &at, &e);
    PROMISE(at.seq == seen && (rc == 0 || e.code[0] != '\0'));
    char id[SHA256_HEX_SIZE];
    int named = ledger_id(path, id, &e);
    PROMISE(named == 0 ? strlen(id) == 64 || (id[0] == '\0' && seen == 0) : e.code[0] != '\0' && seen == 0);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1);
    PROMISE(text != NULL);
    memcpy(text, data, n);
    text[n] = '\0';
    envelope(text, n);
    key(text);
    chain(text, n);
    free(text);
    return 0;
}
