/* signing.h: Ed25519 for the supervisor, which does not link libcrypto's EVP: that costs each start a millisecond, and
 * each worker what it would have to be afraid of. The module of engine.hash is loaded when something is signed. */
#ifndef GE_RUN_SIGNING_H
#define GE_RUN_SIGNING_H

#include "base/err.h"
#include "prim/hash.h"

/* The functions; they stay for the rest of the process. NULL with *e: install_broken, hash_failed. */
const hash_signing *signing_load(err *e);

#endif
