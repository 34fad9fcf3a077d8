/* hash_api.c: signatures for a program that does not link libcrypto, and loads this module when it has something to
 * sign. */
#include <openssl/crypto.h>

#include "prim/hash.h"

/* What OPENSSL_CONF names may load code of somebody's choice: a signer reads no configuration. */
static int begin(err *e) {
    return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1
               ? 0
               : err_set(e, "hash_failed", "OpenSSL cannot be initialised");
}

const hash_signing hash_signing_api = {.begin = begin,
                                       .public_of = hash_ed25519_public,
                                       .sign = hash_ed25519_sign,
                                       .verify = hash_ed25519_verify,
                                       .random = hash_random};
