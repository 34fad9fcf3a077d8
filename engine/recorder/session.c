#include "recorder/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "prim/statement.h"
#include "recorder/prepared.h"

#define TEXT_KEEP (1u << 20) /* of a query's text */
#define BIND_KEEP (64u << 10)
#define OPS_MAX 4096   /* answers that are awaited */
#define GROUP_MAX 1000 /* statements in one line of the recording */
#define PORTALS_MANY 1000

/* What the client has asked and the server has not answered. */
typedef enum { OP_PARSE, OP_BIND, OP_CLOSE, OP_EXECUTE, OP_SYNC, OP_QUERY, OP_CALL } op_kind;

typedef struct op {
    op_kind kind;
    prepared *statements; /* QUERY, EXECUTE (with the values that were bound): owned list; PARSE: what it defined */
    char *name;           /* PARSE: owned */
    size_t told;          /* statements of it that were answered */
} op;

struct session {
    recording *out;
    uint64_t number;
    bool ready, standard_strings, skipping; /* skipping: after an error, up to the next Sync */
    char user[STATEMENT_NAME_MAX], database[STATEMENT_NAME_MAX], application[STATEMENT_NAME_MAX];
    bool replication, introduced;
    bool rolled;  /* an error came in the group */
    bool copying; /* COPY … FROM STDIN: until its end the server passes over every Sync */
    bool lost;
    bool unreadable; /* a client encoding whose characters hold bytes of SQL's own */
    bool doubtful;   /* a query that is under way may change how strings are read */
    char state;      /* of the transaction, as the recording has it */
    op ops[OPS_MAX]; /* a ring */
    size_t first, nops;
    prepared_map statements, portals;
    json_t *group; /* owned; NULL = empty */
};

static int write_session(session *s, err *e) {
    s->number = s->number != 0 ? s->number : recording_session(s->out);
    buf user = BUF_INIT, database = BUF_INIT, application = BUF_INIT;
    (void)text_sanitise(&user, s->user, strlen(s->user), 0, false);
    (void)text_sanitise(&database, s->database, strlen(s->database), 0, false);
    (void)text_sanitise(&application, s->application, strlen(s->application), 0, false);
    json_t *line =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:b}", "t", "session", "s", (json_int_t)s->number, "user", buf_str(&user),
                  "database", buf_str(&database), "application", buf_str(&application), "replication", s->replication);
    buf_free(&user);
    buf_free(&database);
    buf_free(&application);
    s->introduced = true;
    return recording_line(s->out, line, e);
}

/* The answers do not fit the requests any more: from here on nobody knows what was run. */
static int lost(session *s, err *e) {
    if (s->lost || !s->introduced) {
        return 0;
    }
    s->lost = true;
    return recording_line(s->out, json_pack("{s:s, s:I}", "t", "lost", "s", (json_int_t)s->number), e);
}

static void copy(char to[STATEMENT_NAME_MAX], const char *from) {
    snprintf(to, STATEMENT_NAME_MAX, "%s", from != NULL ? from : "");
}

session *session_new(recording *out, const char *packet, size_t length) {
    session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->out = out;
    s->state = 'I';
    s->standard_strings = true;
    copy(s->user, pgwire_parameter(packet, length, "user"));
    const char *database = pgwire_parameter(packet, length, "database");
    copy(s->database, database != NULL ? database : s->user);
    copy(s->application, pgwire_parameter(packet, length, "application_name"));
    const char *replication = pgwire_parameter(packet, length, "replication");
    s->replication = replication != NULL && strcasecmp(replication, "false") != 0 &&
                     strcasecmp(replication, "off") != 0 && strcmp(replication, "0") != 0 &&
                     strcasecmp(replication, "no") != 0;
    return s;
}

/* ---- groups ---- */

/* state: of the ReadyForQuery that ends the group; 0: more of it comes; '?': nobody knows how it ended. */
static int flush_group(session *s, char state, err *e) {
    if (s->group == NULL && (state == 0 || state == '?' || (state == s->state && !s->rolled))) {
        return 0;
    }
    json_t *line = json_pack("{s:s, s:I, s:o}", "t", "group", "s", (json_int_t)s->number, "st",
                             s->group != NULL ? s->group : json_array());
    s->group = NULL;
    if (line != NULL && state == 0) {
        json_object_set_new(line, "more", json_true());
    } else if (line != NULL && state != '?') {
        const char text[] = {state, '\0'};
        json_object_set_new(line, "tx", json_string(text));
        if (s->rolled) {
            json_object_set_new(line, "rolled", json_true());
        }
        s->rolled = false;
        s->state = state;
    }
    return recording_line(s->out, line, e);
}

/* How a statement ended: 1 well, 0 not, -1 nobody knows. */
static int tell(session *s, const prepared *p, int ok, const char *sqlstate, err *e) {
    if (s->group == NULL) {
        s->group = json_array();
    }
    json_t *st = p->function != 0 ? json_pack("{s:I}", "fn", (json_int_t)p->function)
                                  : json_pack("{s:I}", "q", (json_int_t)p->shape);
    if (st == NULL || s->group == NULL) {
        json_decref(st);
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (ok >= 0) {
        json_object_set_new(st, "ok", json_boolean(ok));
    }
    if (sqlstate != NULL) {
        json_object_set_new(st, "error", json_string(sqlstate));
    }
    if (p->ncontexts > 0) {
        json_object_set_new(st, "c", prepared_contexts(p));
    }
    recording_count(s->out, 1);
    if (json_array_append_new(s->group, st) != 0) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    return json_array_size(s->group) >= GROUP_MAX ? flush_group(s, 0, e) : 0;
}

/* ---- answers that are awaited ---- */

static op *head_op(session *s) {
    return s->nops > 0 ? &s->ops[s->first] : NULL;
}

static void pop(session *s) {
    op *o = head_op(s);
    prepared_release(o->statements);
    free(o->name);
    *o = (op){0};
    s->first = (s->first + 1) % OPS_MAX;
    s->nops--;
}

/* Takes the list over. */
static int push(session *s, op_kind kind, prepared *statements, const char *name, err *e) {
    char *own = name != NULL ? strdup(name) : NULL;
    if (s->nops == OPS_MAX || (name != NULL && own == NULL)) {
        prepared_release(statements);
        free(own);
        return err_set(e, "session_limit", "a client sent over %d requests in one read", OPS_MAX);
    }
    s->ops[(s->first + s->nops++) % OPS_MAX] = (op){.kind = kind, .statements = statements, .name = own};
    return 0;
}

bool session_full(const session *s) {
    return s != NULL && s->nops > OPS_MAX / 2;
}

bool session_ready(const session *s) {
    return s->ready;
}

/* ---- what the client sends ---- */

/* Of a text that may be read wrongly nothing is kept: a literal could be taken for SQL. */
static int scan(session *s, const pgwire_message *m, size_t offset, prepared **list, err *e) {
    if (s->unreadable || s->doubtful) {
        *list = prepared_unknown(s->out, e);
        return *list != NULL ? 0 : -1;
    }
    s->doubtful = strcasestr(m->body + offset, "standard_conforming_strings") != NULL;
    return prepared_scan(s->out, s->standard_strings, m, offset, list, e);
}

static int client_query(session *s, const pgwire_message *m, err *e) {
    prepared *list = NULL;
    if (scan(s, m, 0, &list, e) != 0) {
        return -1;
    }
    return push(s, OP_QUERY, list, NULL, e);
}

static int client_parse(session *s, const pgwire_message *m, err *e) {
    pgwire_reader r = pgwire_read(m);
    const char *name = pgwire_text(&r);
    prepared *list = NULL;
    if (r.failed || scan(s, m, (size_t)(r.at - m->body), &list, e) != 0) {
        return r.failed ? err_set(e, "session_protocol", "a Parse message without a name") : -1;
    }
    if (prepared_put(&s->statements, name, list, *name == '\0') != 0) {
        prepared_release(list);
        return err_set(e, "session_limit", "a session prepared more statements than can be followed");
    }
    return push(s, OP_PARSE, list, name, e);
}

static int client_bind(session *s, const pgwire_message *m, err *e) {
    pgwire_reader r = pgwire_read(m);
    const char *portal = pgwire_text(&r), *name = pgwire_text(&r);
    const prepared *p = prepared_get(&s->statements, name);
    prepared *bound = p != NULL ? prepared_bind(s->out, p, &r) : prepared_unknown(s->out, e);
    if (bound == NULL) {
        return p != NULL ? err_set(e, "out_of_memory", "out of memory") : -1;
    }
    if (prepared_put(&s->portals, portal, bound, true) != 0) {
        prepared_release(bound);
        return err_set(e, "session_limit", "a session opened more portals than can be followed");
    }
    prepared_release(bound); /* the map has its own */
    return push(s, OP_BIND, NULL, NULL, e);
}

static int client_execute(session *s, const pgwire_message *m, err *e) {
    pgwire_reader r = pgwire_read(m);
    prepared *p = prepared_get(&s->portals, pgwire_text(&r));
    p = p != NULL ? prepared_keep(p) : prepared_unknown(s->out, e);
    return p != NULL ? push(s, OP_EXECUTE, p, NULL, e) : -1;
}

static int client_close(session *s, const pgwire_message *m, err *e) {
    pgwire_reader r = pgwire_read(m);
    const char *kind = pgwire_bytes(&r, 1);
    const char *name = pgwire_text(&r);
    if (!r.failed) {
        prepared_drop(*kind == 'S' ? &s->statements : &s->portals, name);
    }
    return push(s, OP_CLOSE, NULL, NULL, e);
}

static int client_call(session *s, const pgwire_message *m, err *e) {
    pgwire_reader r = pgwire_read(m);
    prepared *p = prepared_call((uint32_t)pgwire_int32(&r));
    return p != NULL ? push(s, OP_CALL, p, NULL, e) : err_set(e, "out_of_memory", "out of memory");
}

size_t session_wants(const session *s, bool of_server, char type, size_t length) {
    (void)s;
    (void)length;
    if (of_server) {
        return type == 'S' || type == 'E' ? 4096 : type == 'Z' || type == 'R' ? 4 : 0;
    }
    switch (type) {
    case 'Q':
    case 'P':
        return TEXT_KEEP;
    case 'B':
        return BIND_KEEP;
    case 'E':
    case 'C':
    case 'F':
        return 4096;
    default:
        return 0; /* passwords ('p') and COPY data ('d') among them */
    }
}

int session_client(session *s, const pgwire_message *m, err *e) {
    if (!s->ready && m->type == 'p') {
        return 0;
    }
    switch (m->type) {
    case 'Q':
        return client_query(s, m, e);
    case 'P':
        return client_parse(s, m, e);
    case 'B':
        return client_bind(s, m, e);
    case 'E':
        return client_execute(s, m, e);
    case 'C':
        return client_close(s, m, e);
    case 'F':
        return client_call(s, m, e);
    case 'S':
        return s->copying ? 0 : push(s, OP_SYNC, NULL, NULL, e);
    case 'c':
    case 'f':
        s->copying = false;
        return 0;
    default:
        return 0;
    }
}

/* ---- what the server answers ---- */

static int completed(session *s, bool whole, err *e) {
    op *o = head_op(s);
    s->copying = false;
    if (o != NULL && (o->kind == OP_QUERY || o->kind == OP_CALL)) {
        prepared *p = prepared_at(o->statements, o->kind == OP_QUERY ? o->told : 0);
        o->told++;
        if (p == NULL) {
            return lost(s, e);
        }
        prepared_forget(&s->statements, p);
        return tell(s, p, 1, NULL, e);
    }
    if (o == NULL || o->kind != OP_EXECUTE) {
        return lost(s, e);
    }
    prepared *p = o->statements;
    prepared_forget(&s->statements, p);
    int rc = p->told ? 0 : tell(s, p, 1, NULL, e);
    p->told = !whole;
    pop(s);
    return rc;
}

/* COPY … FROM STDIN begins: a Sync that was sent with it is passed over. */
static void copy_begins(session *s) {
    s->copying = true;
    for (size_t i = s->nops; i > 1; i--) {
        size_t last = (s->first + i - 1) % OPS_MAX;
        if (s->ops[last].kind != OP_SYNC || i != s->nops) {
            return;
        }
        s->nops--;
    }
}

/* The SQLSTATE of an ErrorResponse, five characters, or "". */
static void state_of(const pgwire_message *m, char out[6]) {
    pgwire_reader r = pgwire_read(m);
    out[0] = '\0';
    for (const char *code = pgwire_bytes(&r, 1); code != NULL && *code != '\0'; code = pgwire_bytes(&r, 1)) {
        const char *text = pgwire_text(&r);
        if (*code == 'C' && !r.failed && strlen(text) == 5 &&
            strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5) {
            memcpy(out, text, 6);
        }
    }
}

/* The statement that failed; what came after it in its group was not run. */
static int failed(session *s, const pgwire_message *m, err *e) {
    char state[6];
    state_of(m, state);
    s->rolled = true;
    s->copying = false;
    op *o = head_op(s);
    if (o == NULL || s->skipping) {
        return 0;
    }
    const prepared *p = o->kind == OP_QUERY ? prepared_at(o->statements, o->told) : o->statements;
    int rc = 0;
    if (p != NULL && (o->kind == OP_QUERY || o->kind == OP_EXECUTE || o->kind == OP_CALL)) {
        rc = tell(s, p, 0, *state != '\0' ? state : NULL, e);
    }
    if (o->kind == OP_PARSE) {
        prepared_undo(&s->statements, o->name, o->statements);
    }
    /* A simple query and a function call go on to their own ReadyForQuery. */
    if (o->kind != OP_QUERY && o->kind != OP_CALL && o->kind != OP_SYNC) {
        s->skipping = true;
        pop(s);
    }
    return rc;
}

/* Statements of a query that no answer came for? */
static bool more_of(const op *o) {
    return o->statements != NULL && !o->statements->unknown && prepared_at(o->statements, o->told) != NULL;
}

static int ready(session *s, const pgwire_message *m, err *e) {
    if (!s->ready) {
        s->ready = true;
        return s->introduced ? 0 : write_session(s, e);
    }
    /* What was skipped was never run; the Sync, or the query, is what this answers. */
    bool found = false;
    while (!found && s->nops > 0) {
        op *o = head_op(s);
        found = o->kind == OP_SYNC || o->kind == OP_QUERY || o->kind == OP_CALL;
        if (o->kind == OP_PARSE) {
            prepared_undo(&s->statements, o->name, o->statements);
        }
        bool untold = (o->kind == OP_EXECUTE && !s->skipping) || (o->kind == OP_QUERY && !s->rolled && more_of(o));
        if (untold && lost(s, e) != 0) {
            return -1;
        }
        pop(s);
    }
    if (!found && lost(s, e) != 0) {
        return -1;
    }
    s->skipping = s->doubtful = false;
    char state = m->kept > 0 && strchr("ITE", m->body[0]) != NULL ? m->body[0] : 'E';
    /* Portals end with their transaction. They are forgotten only now and then: the next Bind may be here already. */
    if (state == 'I' && s->portals.n > PORTALS_MANY) {
        prepared_clear(&s->portals);
    }
    return flush_group(s, state, e);
}

/* Encodings of clients in which the second byte of a character may be a backslash (manual, "Character Set Support"). */
static bool hides_backslashes(const char *encoding) {
    static const char *const NAMES[] = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "JOHAB", "UHC"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strcasecmp(NAMES[i], encoding) == 0) {
            return true;
        }
    }
    return false;
}

static int parameter(session *s, const pgwire_message *m, err *e) {
    pgwire_reader r = pgwire_read(m);
    const char *name = pgwire_text(&r), *value = pgwire_text(&r);
    if (r.failed) {
        return 0;
    }
    char *where = strcmp(name, "application_name") == 0        ? s->application
                  : strcmp(name, "session_authorization") == 0 ? s->user
                                                               : NULL;
    if (strcmp(name, "standard_conforming_strings") == 0) {
        s->standard_strings = strcmp(value, "off") != 0;
    } else if (strcmp(name, "client_encoding") == 0) {
        s->unreadable = hides_backslashes(value);
    }
    if (where == NULL || strncmp(where, value, STATEMENT_NAME_MAX - 1) == 0) {
        return 0;
    }
    copy(where, value);
    return s->introduced ? write_session(s, e) : 0;
}

/* ParseComplete, BindComplete, CloseComplete: each answers the first request of its kind. */
static void answered(session *s, op_kind kind) {
    const op *o = head_op(s);
    if (o != NULL && o->kind == kind && !s->skipping) {
        pop(s);
    }
}

int session_server(session *s, const pgwire_message *m, err *e) {
    switch (m->type) {
    case '1':
        answered(s, OP_PARSE);
        return 0;
    case '2':
        answered(s, OP_BIND);
        return 0;
    case '3':
        answered(s, OP_CLOSE);
        return 0;
    case 'C':
    case 'V':
        return completed(s, true, e);
    case 's':
        return completed(s, false, e);
    case 'G':
    case 'W':
        copy_begins(s);
        return 0;
    case 'I': /* an empty query: nothing was run */
        answered(s, OP_EXECUTE);
        return 0;
    case 'E':
        return failed(s, m, e);
    case 'S':
        return parameter(s, m, e);
    case 'Z':
        return ready(s, m, e);
    default:
        return 0;
    }
}

/* ---- the end ---- */

void session_free(session *s) {
    if (s == NULL) {
        return;
    }
    err ignored; /* a recording that cannot be written says so to its owner */
    for (; s->nops > 0; pop(s)) {
        op *o = head_op(s);
        const prepared *p = o->kind == OP_QUERY ? prepared_at(o->statements, o->told) : o->statements;
        if (p != NULL && !s->skipping && (o->kind == OP_QUERY || o->kind == OP_EXECUTE || o->kind == OP_CALL)) {
            (void)tell(s, p, -1, NULL, &ignored);
        }
    }
    (void)flush_group(s, '?', &ignored);
    if (s->introduced) {
        (void)recording_line(s->out, json_pack("{s:s, s:I}", "t", "gone", "s", (json_int_t)s->number), &ignored);
    }
    prepared_clear(&s->statements);
    prepared_clear(&s->portals);
    json_decref(s->group);
    free(s);
}
