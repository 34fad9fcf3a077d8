#include "run/evidence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "base/fs.h"
#include "run/ledger.h"

bool evidence_in_database(const json_t *doc) {
    const char *named = json_string_value(json_object_get(json_object_get(doc, "evidence"), "ledger"));
    return named != NULL && strcmp(named, EVIDENCE_DATABASE) == 0;
}

char *evidence_statement_path(const char *ledger_path, const char *name) {
    char *dir = fs_dirname(ledger_path), *out = NULL;
    if (dir == NULL || asprintf(&out, "%s/statements/%s", dir, name) < 0) {
        out = NULL;
    }
    free(dir);
    return out;
}

static int add_key(const char *pem, const char *what, dsse_trust *trust, err *e) {
    if (trust->n == DSSE_KEYS_MAX) {
        return err_set(e, "key_form", "%s: more than %d keys", what, DSSE_KEYS_MAX);
    }
    dsse_key *key = &trust->keys[trust->n];
    if (dsse_key_read(pem, what, key, e) != 0) {
        return -1;
    }
    memset(key->seed, 0, sizeof key->seed); /* to trust it the public half is enough */
    key->private_ = false;
    trust->n++;
    return 0;
}

int evidence_trust(const json_t *keys, dsse_trust *trust, err *e) {
    *trust = (dsse_trust){.revoked = json_object_get(keys, "revoked")};
    const char *own = json_string_value(json_object_get(keys, "key"));
    int rc = own != NULL ? add_key(own, "evidence.key", trust, e) : 0;
    size_t i;
    const json_t *pem;
    json_array_foreach(json_object_get(keys, "trusted"), i, pem) {
        char what[64];
        snprintf(what, sizeof what, "evidence.trusted[%zu]", i + 1);
        rc = rc == 0 ? add_key(json_string_value(pem), what, trust, e) : rc;
    }
    return rc;
}

/* --- a record and its statement --- */

static int statement_bytes(const char *ledger_path, const json_t *record, buf *out, err *e) {
    const json_t *named = json_object_get(record, "statement");
    const char *name = json_string_value(json_object_get(named, "file"));
    const char *digest = json_string_value(json_object_get(named, "sha256"));
    long long seq = json_integer_value(json_object_get(record, "seq"));
    if (name == NULL || digest == NULL || strchr(name, '/') != NULL) {
        err_set(e, "evidence_unsigned", "record %lld approves, and no statement was signed for it", seq);
        return err_fix(e, "name a key in evidence.key (gate-engine evidence keygen), then validate again");
    }
    char *path = evidence_statement_path(ledger_path, name);
    if (path == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    char hex[SHA256_HEX_SIZE];
    int rc = 0;
    if (!fs_exists(path)) {
        err_set(e, "evidence_statement_missing", "the statement of record %lld is not there: %s", seq, path);
        rc = err_fix(e, "restore it from a copy, or validate again");
    } else if ((rc = fs_read(path, LEDGER_LINE_MAX * 2, out, e)) == 0) {
        sha256_hex(buf_str(out), out->len, hex);
        if (strcmp(hex, digest) != 0) {
            err_set(e, "evidence_statement_edited", "the statement of record %lld is not the one that was written: %s",
                    seq, path);
            rc = err_fix(e, "restore it from a copy, or validate again");
        }
    }
    free(path);
    return rc;
}

/* The codes of dsse.h as what they mean for evidence. */
static int refuse_envelope(long long seq, err *e) {
    static const char *const CODES[][2] = {{"dsse_form", "evidence_statement_edited"},
                                           {"dsse_signature", "evidence_signature"},
                                           {"dsse_key_unknown", "evidence_key_unknown"},
                                           {"dsse_key_revoked", "evidence_key_revoked"}};
    for (size_t i = 0; i < sizeof CODES / sizeof CODES[0]; i++) {
        if (strcmp(e->code, CODES[i][0]) == 0) {
            err was = *e;
            err_set(e, CODES[i][1], "the statement of record %lld: %s", seq, was.message);
            err_detail(e, "%s", was.detail);
            return err_fix(e, "%s", was.fix);
        }
    }
    return -1;
}

static bool says(const json_t *object, const char *key, const char *text) {
    const char *own = json_string_value(json_object_get(object, key));
    return own != NULL && strcmp(own, text) == 0;
}

/* Is what was signed what the ledger says? */
static int compare_signed(const json_t *record, const buf *payload, err *e) {
    err why;
    long long seq = json_integer_value(json_object_get(record, "seq"));
    json_t *statement = canon_parse(buf_str(payload), payload->len, &why);
    json_t *plain = json_copy((json_t *)record);
    json_object_del(plain, "hash");
    json_object_del(plain, "statement");
    int rc = 0;
    if (plain == NULL) {
        rc = err_set(e, "out_of_memory", "out of memory");
    } else if (!says(statement, "_type", EVIDENCE_STATEMENT) || !says(statement, "predicateType", EVIDENCE_PREDICATE)) {
        rc = err_set(e, "evidence_edited", "what was signed for record %lld is no statement about a validation", seq);
    } else if (!json_equal(json_object_get(statement, "predicate"), plain)) {
        rc = err_set(e, "evidence_edited", "record %lld does not say what was signed for it", seq);
    }
    if (rc != 0) {
        err_fix(e, "restore the ledger and the statements from a copy, or validate again");
    }
    json_decref(plain);
    json_decref(statement);
    return rc;
}

int evidence_check(const char *ledger_path, const json_t *record, const dsse_trust *trust, err *e) {
    buf bytes = BUF_INIT, payload = BUF_INIT;
    int rc = statement_bytes(ledger_path, record, &bytes, e);
    if (rc == 0 && dsse_open(buf_str(&bytes), bytes.len, DSSE_INTOTO, trust, &payload, NULL, e) != 0) {
        rc = refuse_envelope(json_integer_value(json_object_get(record, "seq")), e);
    }
    rc = rc == 0 ? compare_signed(record, &payload, e) : rc;
    buf_free(&bytes);
    buf_free(&payload);
    return rc;
}
