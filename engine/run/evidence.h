/* evidence.h: what stands on record of a run, and whether it is enough for a tenant to go live (design §11).
 *
 * In the directory of the ledger: the ledger, its head (ledger.h), and statements/CODE-SEQ.json, the signed statement
 * of each run that approved. A statement is an in-toto Statement v1 (github.com/in-toto/attestation,
 * spec/v1/statement.md) whose subject is the tenant, by the SHA-256 of {tenant, target, config_hash, build_hash} in
 * canonical form, and whose predicate is the ledger's record without "hash" and "statement". */
#ifndef GE_RUN_EVIDENCE_H
#define GE_RUN_EVIDENCE_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "run/dsse.h"

#define EVIDENCE_STATEMENT "https://in-toto.io/Statement/v1"
#define EVIDENCE_PREDICATE "urn:gate-engine:onboarding-validation:v1"

#define EVIDENCE_DATABASE "database" /* evidence.ledger of a ledger that is no file */

/* Does the configuration keep the ledger in the platform's database? */
bool evidence_in_database(const json_t *doc);
/* DIRECTORY-OF-LEDGER/statements/NAME in new memory; NULL out of memory. */
char *evidence_statement_path(const char *ledger_path, const char *name);
/* What a run's target is known by: {platform, host, database, schema_hash, system_identifier}, each a text or null. New
 * reference. */
json_t *evidence_target(const json_t *reported, const json_t *prepared);

/* A run that never began: what was wrong with its command line or with what that named (exit 2). */
typedef struct evidence_refusal {
    const char *verb, *script, *tenant; /* the latter two may be NULL */
    const char *code;                   /* of the error */
    int exit_code;
} evidence_refusal;

/* The keys which the configuration trusts: evidence.key's own and those of evidence.trusted; evidence.revoked. Errors:
 * key_form. */
int evidence_trust(const json_t *keys, dsse_trust *trust, err *e);

/* Is the statement of an approving record the one that was written, by a trusted key, and about this very record?
 * Errors: evidence_unsigned, evidence_statement_missing, evidence_statement_edited, evidence_signature,
 * evidence_key_unknown, evidence_key_revoked, evidence_edited, those of reading. */
int evidence_check(const char *ledger_path, const json_t *record, const dsse_trust *trust, err *e);

#define EVIDENCE_HISTORY_MAX 60
/* Puts into the report "history", how the last runs of the same script for the same tenant on the same target ended
 * (the oldest first, this one not among them), and where this one did not pass "since_pass", what is not as it was when
 * one last did. `now`: the record of this run. Errors: those of reading a ledger. */
int evidence_history(const char *ledger_path, const json_t *now, json_t *report, err *e);

/* What go-live is asked for. */
typedef struct evidence_question {
    const char *ledger;   /* its file; NULL: none is configured */
    const json_t *keys;   /* the configuration's evidence */
    const char *code;     /* of the tenant … */
    const char *id;       /* … and its key in the database */
    const json_t *target; /* evidence_target of now */
    const char *config_hash, *build_hash;
    int64_t now; /* seconds since 1970 */
} evidence_question;

/* Is there fresh, complete and valid evidence that this tenant passed all four gates? 0 with *record the ledger's
 * record of it (a new reference); -1 with *e, whose code says what is wrong: evidence_* are refusals, the others say
 * that it could not be found out. */
int evidence_judge(const evidence_question *q, json_t **record, err *e);

#endif
