/* engine_anchor.c: the ledger's head in the artifact store (evidence.anchor): whoever can change the ledger's
 * directory, its head in there included, cannot thereby change what another place knows of it. A worker reads and
 * writes it, as it does all that comes over a network. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "run/engine_parts.h"
#include "run/evidence.h"
#include "run/signals.h"

#define ID_DIGITS 32 /* of a ledger's id in the object's name: 128 bits */
#define ANCHOR_S 120 /* a store may be slow, and is asked again */

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static const json_t *keys_of(const engine_run_state *s) {
    return json_object_get(s->r->cfg->doc, "evidence");
}

static bool is_anchored(const engine_run_state *s) {
    return str(keys_of(s), "anchor") != NULL && s->ledger.path != NULL;
}

/* Where it is kept, as a hash: a ledger of that name in another place is another one. */
static int place_of(const engine_run_state *s, char place[SHA256_HEX_SIZE], err *e) {
    char host[256] = "";
    const char *system = str(s->prepared, "system_identifier"), *database = str(s->prepared, "database");
    buf text = BUF_INIT;
    (void)gethostname(host, sizeof host - 1);
    if (s->ledger.dir != NULL) {
        buf_printf(&text, "database %s %s", system != NULL ? system : "", database != NULL ? database : "");
    } else {
        buf_printf(&text, "file %s %s", host, s->ledger.path);
    }
    sha256_hex(buf_str(&text), text.len, place);
    int rc = text.failed ? err_set(e, "out_of_memory", "out of memory at the ledger's anchor") : 0;
    buf_free(&text);
    return rc;
}

static json_t *question(const engine_run_state *s, json_t *head, err *e) {
    char id[SHA256_HEX_SIZE], place[SHA256_HEX_SIZE];
    const char *path = s->ledger.dir != NULL ? EVIDENCE_DATABASE : s->ledger.path, *slash = strrchr(path, '/');
    if (ledger_id(s->ledger.path, id, e) != 0 || place_of(s, place, e) != 0) {
        return NULL;
    }
    id[ID_DIGITS] = '\0';
    json_t *out = json_pack("{s:s, s:s*, s:s, s:O*}", "name", slash != NULL ? slash + 1 : path, "id",
                            id[0] != '\0' ? id : NULL, "place", place, "head", head);
    if (out == NULL) {
        err_set(e, "out_of_memory", "out of memory at the ledger's anchor");
    }
    return out;
}

/* Runs the worker; head NULL: it reads. *found: what it says; new reference. */
static int ask(engine_run_state *s, json_t *head, json_t **found, err *e) {
    engine_task t;
    *found = NULL;
    json_t *wanted = question(s, head, e);
    json_t *gate = json_pack("{s:{s:s, s:s, s:{s:[s], s:b, s:b}, s:{}}, s:{}}", "head", "id", "anchor", "name",
                             "anchor", "needs", "stores", "artifacts", "solver", 0, "audits", 0, "failures", "options");
    int rc = wanted == NULL ? -1
             : gate != NULL ? engine_task_init(s, &t, gate, "anchor", NULL, e)
                            : err_set(e, "out_of_memory", "out of memory");
    json_decref(gate);
    if (rc != 0) {
        json_decref(wanted);
        return -1;
    }
    json_object_set_new(t.job, "anchor", wanted);
    t.pool.wall_s = ANCHOR_S;
    rc = engine_pool_apart(s, &t.pool, e);
    const json_t *result = book_result(t.pool.book);
    if (rc == 0 && result != NULL) {
        *found = json_incref((json_t *)result);
    } else if (rc == 0 && signals_flag != 0) {
        rc = err_set(e, "interrupted", "interrupted while the ledger's anchor was asked for");
    } else if (rc == 0) {
        err why;
        engine_worker_error(t.pool.book, &why);
        err_set(e, "anchor_unreachable", "the ledger's anchor in the artifact store cannot be reached: %s",
                why.message);
        err_detail(e, "%s", why.detail);
        rc = err_fix(e, "%s", why.fix[0] != '\0' ? why.fix : "see artifacts and evidence.anchor in the configuration");
    }
    engine_task_free(&t);
    return rc;
}

typedef struct sought {
    json_int_t seq;
    const char *hash;
    bool there, same;
} sought;

static int look(void *ctx, const json_t *record, err *e) {
    sought *w = ctx;
    (void)e;
    if (json_integer_value(json_object_get(record, "seq")) == w->seq) {
        const char *hash = str(record, "hash");
        w->there = true;
        w->same = hash != NULL && w->hash != NULL && strcmp(hash, w->hash) == 0;
    }
    return 0;
}

/* Does the ledger hold the record that the anchor knows? */
static int compare(const char *path, const json_t *head, const sought *w, json_int_t last, err *e) {
    if (w->there && w->same) {
        return 0;
    }
    if (w->there) {
        err_set(e, "evidence_anchor", "the ledger %s is not the one that its anchor knows: record %lld is another",
                path, (long long)w->seq);
    } else {
        err_set(e, "evidence_anchor",
                "the ledger %s was cut short or put back: its anchor knows record %lld, it ends with %lld", path,
                (long long)json_integer_value(json_object_get(head, "seq")), (long long)last);
    }
    return err_fix(e,
                   "restore the ledger from a copy that has that record; who changed it could change its head as well");
}

/* It has no anchor. Where another ledger of the same place has one, somebody put this one there instead. */
static int look_before(const char *name, const json_t *found, bool writing, err *e) {
    const json_t *anew = json_object_get(found, "anew");
    if (!json_is_object(anew)) {
        if (writing) {
            log_line(LOG_WARN, "the ledger has no anchor in the artifact store yet: it gets one with this record");
        }
        return 0;
    }
    err_set(e, "evidence_anchor",
            "the ledger %s was begun anew: the artifact store knows another one in its place, of %lld records", name,
            (long long)json_integer_value(json_object_get(anew, "seq")));
    return err_fix(e, "restore that one from a copy; where a new one is meant, delete %s from the artifact store",
                   str(anew, "key"));
}

int engine_anchor_check(engine_run_state *s, ledger *l, err *e) {
    json_t *found = NULL;
    if (!is_anchored(s)) {
        return 0;
    }
    if (ask(s, NULL, &found, e) != 0) {
        return -1;
    }
    const char *path = s->ledger.path, *name = s->ledger.dir != NULL ? "core.ledger" : path;
    const json_t *head = json_object_get(found, "head");
    sought w = {.seq = json_integer_value(json_object_get(head, "seq")), .hash = str(head, "hash")};
    ledger_state at = {0};
    int rc = 0;
    if (!json_is_object(head)) {
        rc = look_before(name, found, l != NULL, e);
    } else if (l != NULL) {
        rc = ledger_scan(l, look, &w, e);
        at = l->at;
    } else {
        rc = ledger_read(path, look, &w, &at, e);
    }
    if (rc == 0 && json_is_object(head)) {
        rc = compare(name, head, &w, at.seq, e);
    }
    json_decref(found);
    return rc;
}

int engine_anchor_put(engine_run_state *s, const ledger *l, err *e) {
    json_t *found = NULL;
    if (!is_anchored(s)) {
        return 0;
    }
    json_t *head = json_pack("{s:s, s:I, s:s}", "schema", LEDGER_HEAD_SCHEMA, "seq", l->at.seq, "hash", l->at.hash);
    int rc = head != NULL ? ask(s, head, &found, e) : err_set(e, "out_of_memory", "out of memory");
    json_decref(head);
    json_decref(found);
    return rc;
}
