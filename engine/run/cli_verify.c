/* cli_verify.c: gate-engine verify FILE...: ledgers and signed statements, offline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "base/fs.h"
#include "base/text.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/config.h"
#include "run/evidence.h"
#include "run/ledger.h"

#define FILE_MAX (64u << 20)

typedef struct verifier {
    const char *path;
    const dsse_trust *trust;
    size_t statements;
} verifier;

static int unread(err *e) {
    static const char *const UNREAD[] = {"file_not_found", "file_read",   "file_type",     "file_too_large",
                                         "ledger_open",    "file_locked", "out_of_memory", "hash_failed",
                                         "install_broken", NULL};
    for (size_t i = 0; UNREAD[i] != NULL; i++) {
        if (strcmp(e->code, UNREAD[i]) == 0) {
            return EXIT_BROKEN;
        }
    }
    return EXIT_FAIL;
}

static int no_key(err *e) {
    err_set(e, "usage_flag", "there are signed statements, and no key to verify them with");
    return err_fix(e, "name the signer's public key with --key FILE, or a configuration with evidence.key or "
                      "evidence.trusted");
}

static int each(void *ctx, const json_t *record, err *e) {
    verifier *v = ctx;
    if (!json_is_true(json_object_get(record, "approved")) || json_object_get(record, "statement") == NULL) {
        return 0;
    }
    v->statements++;
    return v->trust->n == 0 ? no_key(e) : evidence_check(v->path, record, v->trust, e);
}

/* A ledger without a record proves nothing, whether it never had one or was emptied. */
static int nothing(const char *name, err *e) {
    err_set(e, "ledger_empty", "%s: 0 entries: nothing verified", name);
    err_fix(e, "where there were records, restore the ledger from a copy; else run a gate first");
    return EXIT_BROKEN;
}

/* `name`: what it is called. */
static int verify_ledger(const char *path, const char *name, const dsse_trust *trust, err *e) {
    verifier v = {.path = path, .trust = trust};
    ledger_state at;
    if (ledger_read(path, each, &v, &at, e) != 0) {
        return strcmp(e->code, "usage_flag") == 0 ? EXIT_USAGE : unread(e);
    }
    if (at.seq == 0) {
        return nothing(name, e);
    }
    printf("%s: valid: %lld records, %zu signed statements, head %s\n", name, (long long)at.seq, v.statements, at.hash);
    if (at.torn > 0) {
        printf("%s: an unfinished record of %zu bytes stands at its end; the next run cuts it off\n", name, at.torn);
    }
    return EXIT_PASS;
}

static int verify_envelope(const char *path, const buf *text, const dsse_trust *trust, err *e) {
    buf payload = BUF_INIT;
    size_t by = 0;
    if (trust->n == 0) {
        no_key(e);
        return EXIT_USAGE;
    }
    int rc = dsse_open(buf_str(text), text->len, DSSE_INTOTO, trust, &payload, &by, e);
    err why;
    json_t *statement = rc == 0 ? canon_parse(buf_str(&payload), payload.len, &why) : NULL;
    const json_t *predicate = json_object_get(statement, "predicate");
    const char *type = json_string_value(json_object_get(statement, "_type"));
    if (rc == 0 && (type == NULL || strcmp(type, EVIDENCE_STATEMENT) != 0)) {
        rc = err_set(e, "evidence_edited", "%s: what is signed is no in-toto statement (v1)", path);
    }
    if (rc == 0) {
        const char *tenant = json_string_value(json_object_get(json_object_get(predicate, "tenant"), "code"));
        const char *at = json_string_value(json_object_get(predicate, "at"));
        printf("%s: valid: signed by %s; tenant %s, %s\n", path, trust->keys[by].id, tenant != NULL ? tenant : "(none)",
               at != NULL ? at : "(no time)");
    }
    json_decref(statement);
    buf_free(&payload);
    return rc == 0 ? EXIT_PASS : unread(e);
}

/* A ledger is lines; an envelope is one object with a payload. */
static int verify_file(const char *path, const dsse_trust *trust, err *e) {
    buf text = BUF_INIT;
    err why;
    if (!fs_exists(path)) {
        err_set(e, "file_not_found", "%s is not there", path);
        return EXIT_BROKEN;
    }
    json_t *whole = fs_read(path, FILE_MAX, &text, &why) == 0 ? canon_parse(buf_str(&text), text.len, &why) : NULL;
    bool envelope = json_object_get(whole, "payloadType") != NULL || json_object_get(whole, "payload") != NULL;
    json_decref(whole);
    int code = envelope ? verify_envelope(path, &text, trust, e) : verify_ledger(path, path, trust, e);
    buf_free(&text);
    return code;
}

static int read_keys(const json_t *files, dsse_trust *trust, err *e) {
    json_t *keys = json_object(), *list = json_array();
    int rc = keys != NULL && list != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file) {
        buf pem = BUF_INIT;
        rc = rc == 0 ? fs_read(json_string_value(file), 65536, &pem, e) : rc;
        if (rc == 0 && json_array_append_new(list, json_stringn(buf_str(&pem), pem.len)) != 0) {
            err_set(e, "key_form", "%s: expected a key as PEM", json_string_value(file));
            rc = -1;
        }
        buf_free(&pem);
    }
    json_object_set(keys, "trusted", list);
    rc = rc == 0 ? evidence_trust(keys, trust, e) : rc;
    trust->revoked = NULL;
    json_decref(list);
    json_decref(keys);
    return rc;
}

static int verify_files(const json_t *files, const dsse_trust *trust, err *e) {
    int worst = EXIT_PASS;
    size_t i;
    const json_t *path;
    json_array_foreach(files, i, path) {
        err why;
        int code = verify_file(json_string_value(path), trust, &why);
        if (code != EXIT_PASS && worst != EXIT_PASS) {
            cli_say_error(&why);
        } else if (code != EXIT_PASS) {
            *e = why;
        }
        worst = code > worst ? code : worst;
    }
    return worst;
}

/* The configuration's ledger: what others know of it decides first. */
static int verify_known(const config *c, const char *path, const char *name, const dsse_trust *trust, err *e) {
    static const char *const INVALID[] = {"ledger_truncated", "ledger_broken", "ledger_rewritten", "evidence_anchor",
                                          NULL};
    ledger_state at;
    err ignored; /* what is wrong with it in itself is told below */
    err_clear(&ignored);
    if (ledger_read(path, NULL, NULL, &at, &ignored) != 0 || engine_ledger_verify(c, at.seq == 0, e) == 0) {
        return verify_ledger(path, name, trust, e);
    }
    for (size_t i = 0; INVALID[i] != NULL; i++) {
        if (strcmp(e->code, INVALID[i]) == 0) {
            return EXIT_FAIL;
        }
    }
    if (at.seq == 0) {
        err why = *e;
        (void)nothing(name, e);
        err_detail(e, "nobody else could be asked: %s", why.message);
    }
    return EXIT_BROKEN;
}

/* The ledger that the configuration names. */
static int verify_own(const config *c, const dsse_trust *trust, err *e) {
    const char *own =
        c != NULL ? json_string_value(json_object_get(json_object_get(c->doc, "evidence"), "ledger")) : NULL;
    char *dir = NULL, *path = NULL;
    err ignored;
    if (own == NULL) {
        err_set(e, "usage_operand", "verify: expected a ledger or a statement, found none");
        err_fix(e, "name a file, or a configuration with evidence.ledger");
        return EXIT_USAGE;
    }
    if (!evidence_in_database(c->doc)) {
        return verify_known(c, own, own, trust, e);
    }
    if (engine_ledger_copy(c, &dir, &path, e) != 0) {
        return EXIT_BROKEN;
    }
    int code = verify_known(c, path, "core.ledger", trust, e);
    (void)fs_remove_tree(dir, &ignored);
    free(dir);
    free(path);
    return code;
}

static int verify(const cli_words *words, err *e) {
    dsse_trust trust = {.n = 0};
    config *c = NULL;
    const json_t *keys = json_object_get(words->flags, "key");
    char *found = config_find(cli_text(words, "config"));
    bool own = json_array_size(words->operands) == 0;
    int rc = 0;
    if ((keys == NULL || own) && (found != NULL || cli_given(words, "config"))) {
        rc = config_load(cli_text(words, "config"), false, &c, e);
    }
    free(found);
    if (rc == 0 && keys != NULL) {
        rc = read_keys(keys, &trust, e);
    } else if (rc == 0 && c != NULL) {
        rc = evidence_trust(json_object_get(c->doc, "evidence"), &trust, e);
    }
    int code = rc != 0 ? EXIT_USAGE : own ? verify_own(c, &trust, e) : verify_files(words->operands, &trust, e);
    config_free(c);
    return code;
}

int cli_verify_main(const cli_verb *verb, int argc, char **argv) {
    return cli_act(verb, argc, argv, verify);
}
