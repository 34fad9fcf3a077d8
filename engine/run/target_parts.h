/* target_parts.h: shared by target*.c alone. */
#ifndef GE_RUN_TARGET_PARTS_H
#define GE_RUN_TARGET_PARTS_H

#include "run/target.h"

/* A connection for each role that `needs` declares, as the db module takes it; {"missing": key} where the configuration
 * does not define one. New reference. */
json_t *target_databases(const target *t, const run_request *r, const json_t *needs);
/* The application's role on a scratch copy: the flag's, else the one the configuration assumes or logs in as; NULL:
 * nothing says. */
const char *target_scratch_app(const run_request *r);
/* Puts database.tenant right for a scratch copy, which has no tenant of its own, and for the flags that say how tenants
 * are told apart there. Does nothing elsewhere. `database` is the caller's own. */
void target_scratch_tenant(const run_request *r, json_t *database);
/* The endpoints that `needs` declares, as the http module takes them, each with its credential; and where it declares
 * auth = { "entra" }, who issues tokens, by the name TARGET_ISSUER, with the client's id and secret. New reference. */
#define TARGET_ISSUER "auth.entra" /* no endpoint of the configuration can have this name */
json_t *target_endpoints(const run_request *r, const json_t *needs);
/* The stores that `needs` declares, each with what opens it: {"missing": key} where the configuration does not define
 * it. New reference. In a bucket's name and a prefix TARGET_TENANT_MARK stands for the tenant's code. */
#define TARGET_TENANT_MARK "{tenant}"
json_t *target_stores(const target *t, const run_request *r, const json_t *needs);
/* The URLs that a store behind HTTP is reached by, its proxy's too. */
void target_store_urls(const json_t *settings, const char *code, void (*take)(void *user, const char *url), void *user);
/* The proxy on the way to url: spec's own, else the environment's (https_proxy, HTTPS_PROXY, http_proxy, all_proxy,
 * ALL_PROXY, but for no_proxy, NO_PROXY and the loopback); NULL: none. New reference. It is no part of the
 * configuration, so that what was proved from one machine holds from another. */
json_t *target_proxy(const json_t *spec, const char *url);
/* {url, prefix, tenant} of a store behind HTTP; NULL: it is none. New reference. */
json_t *target_store_place(const json_t *spec, const char *code);
/* The name of the variable of the environment that holds an API key; that of the documentation where none does. New
 * reference. */
json_t *target_key_variable(const json_t *key);
/* Where each service of the configuration is, without a credential, and which variables of the environment are set: for
 * a recovery. New reference. */
json_t *target_services(const target *t, const run_request *r);

#endif
