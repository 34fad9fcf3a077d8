/* crypto.h: OpenSSL's start in a process of the engine's. */
#ifndef GE_PRIM_CRYPTO_H
#define GE_PRIM_CRYPTO_H

/* Lets libcrypto set itself up, before anything else of it is called. Where memory runs out meanwhile the process ends
 * with MEM_EXIT, which says so: OpenSSL 3.0 goes on with what it did not get, and crashes. Later failures are errors of
 * the calls that meet them. */
void crypto_begin(void);

#endif
