/* Connecting, and what does not belong to one activity. */
#include "prim/db.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "prim/db_conn.h"

static char *copy_or_null(const char *s) {
    return s != NULL ? strdup(s) : NULL;
}

static void notice_receiver(void *arg, const PGresult *res) {
    db_conn *c = arg;
    if (c->n_notices >= DB_NOTICES_MAX) {
        c->dropped_notices++;
        return;
    }
    if (c->notices == NULL) {
        c->notices = calloc(DB_NOTICES_MAX, sizeof *c->notices);
    }
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    char *kept = c->notices != NULL ? strdup(message != NULL ? message : "") : NULL;
    if (kept == NULL) {
        c->dropped_notices++;
        return;
    }
    db_notice *n = &c->notices[c->n_notices++];
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    snprintf(n->severity, sizeof n->severity, "%s", severity != NULL ? severity : "NOTICE");
    snprintf(n->sqlstate, sizeof n->sqlstate, "%s", state != NULL ? state : "");
    n->message = kept;
    n->detail = copy_or_null(PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL));
    n->hint = copy_or_null(PQresultErrorField(res, PG_DIAG_MESSAGE_HINT));
}

/* " -c name=value" with the escapes the server's splitting of the options takes away again (pg_split_opts). */
static void add_option(buf *b, const char *name, const char *value) {
    buf_puts(b, b->len > 0 ? " -c " : "-c ");
    const char *parts[] = {name, "=", value};
    for (size_t i = 0; i < 3; i++) {
        for (const char *s = parts[i]; *s != '\0'; s++) {
            if (*s == ' ' || *s == '\\' || *s == '\t' || *s == '\n') {
                buf_putc(b, '\\');
            }
            buf_putc(b, *s);
        }
    }
}

/* What the connection string says of `options` and `password`; libpq would let ours replace its options. */
static int read_url(db_conn *c, const char *url, buf *options, err *e) {
    char *why = NULL;
    PQconninfoOption *parsed = PQconninfoParse(url, &why);
    if (parsed == NULL && strstr(url, "://") == NULL && strchr(url, '=') == NULL) {
        PQfreemem(why); /* a bare database name */
        return 0;
    }
    if (parsed == NULL) {
        /* libpq quotes pieces of the string, which may be the password: keep only what stands before a quotation. */
        size_t n = why != NULL ? strcspn(why, "\"\n") : 0;
        err_set(e, "db_connect", "the database URL cannot be parsed");
        if (n > 0) {
            err_detail(e, "%.*s…", (int)n, why);
        }
        err_fix(e, "write it as postgresql://user@host:port/dbname, special characters percent-encoded");
        PQfreemem(why);
        return -1;
    }
    bool failed = false;
    for (PQconninfoOption *o = parsed; o->keyword != NULL; o++) {
        if (o->val != NULL && strcmp(o->keyword, "options") == 0) {
            buf_puts(options, o->val);
        } else if (o->val != NULL && strcmp(o->keyword, "password") == 0) {
            c->url_password = strdup(o->val);
            failed = c->url_password == NULL;
        }
    }
    PQconninfoFree(parsed);
    return failed ? err_set(e, "db_connect", "out of memory") : 0;
}

static void session_options(const db_params *p, buf *options) {
    char number[16];
    for (size_t i = 0; i < p->n_settings; i++) {
        add_option(options, p->settings[i].name, p->settings[i].value);
    }
    if (p->readonly) {
        add_option(options, "default_transaction_read_only", "on");
    }
    if (p->statement_timeout_ms > 0) {
        snprintf(number, sizeof number, "%d", p->statement_timeout_ms);
        add_option(options, "statement_timeout", number);
    }
}

static int start(db_conn *c, const db_params *p, const char *options, err *e) {
    const char *keys[16];
    const char *values[16];
    int n = 0;
    const struct {
        const char *key, *value;
    } all[] = {
        {"dbname", p->url}, /* first, so that it is the one that is expanded and the rest wins over it */
        {"host", p->host},
        {"hostaddr", p->hostaddr},
        {"port", p->port},
        {"dbname", p->dbname},
        {"user", p->user},
        {"password", p->password},
        {"application_name", p->application_name},
        {"fallback_application_name", "gate-engine"},
        {"client_encoding", "UTF8"},
        {"options", options[0] != '\0' ? options : NULL},
        {"sslmode", p->only_tls ? "require" : NULL},
        {"sslrootcert", p->only_tls ? "/dev/null/none" : NULL}, /* where there is none, "require" verifies nothing */
        {"gssencmode", p->only_tls ? "disable" : NULL},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value != NULL) {
            keys[n] = all[i].key;
            values[n++] = all[i].value;
        }
    }
    keys[n] = values[n] = NULL;
    c->pg = PQconnectStartParams(keys, values, 1);
    if (c->pg == NULL) {
        return err_set(e, "db_connect", "out of memory");
    }
    PQsetNoticeReceiver(c->pg, notice_receiver, c);
    return 0;
}

db_conn *db_connect(const db_params *p, err *e) {
    db_conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        err_set(e, "db_connect", "out of memory");
        return NULL;
    }
    c->readonly = p->readonly;
    c->rolls_back = p->rollback;
    c->only_tls = p->only_tls;
    c->statement_timeout_ms = p->statement_timeout_ms;
    c->connect_timeout_ms = p->connect_timeout_ms;
    c->password = copy_or_null(p->password);
    buf options = BUF_INIT;
    int failed = p->url != NULL ? read_url(c, p->url, &options, e) : 0;
    if (failed == 0) {
        session_options(p, &options);
        if (options.failed || (p->password != NULL && c->password == NULL)) {
            failed = err_set(e, "db_connect", "out of memory");
        } else {
            failed = start(c, p, buf_str(&options), e);
        }
    }
    buf_free(&options);
    if (failed != 0) {
        db_close(c);
        return NULL;
    }
    c->act = ACT_CONNECT;
    c->events = POLLOUT;
    c->deadline = clock_ms() + p->connect_timeout_ms;
    return c;
}

static void wipe(char *s) {
    if (s != NULL) {
        explicit_bzero(s, strlen(s));
        free(s);
    }
}

void db_close(db_conn *c) {
    if (c == NULL) {
        return;
    }
    db_clear(c);
    db_forget_notices(c);
    free(c->notices);
    free(c->results);
    free(c->steps);
    buf_free(&c->copied);
    if (c->pg != NULL) {
        PQfinish(c->pg);
    }
    wipe(c->password);
    wipe(c->url_password);
    free(c);
}

/* The server's or else libpq's last words as one line without the password, in err_detail's place. */
static void detail_from_libpq(db_conn *c, err *e) {
    buf b = BUF_INIT;
    db_mask(c, &b, c->lost_why[0] != '\0' ? c->lost_why : PQerrorMessage(c->pg));
    while (b.len > 0 && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == ' ')) {
        b.data[--b.len] = '\0';
    }
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] == '\n' || b.data[i] == '\t') {
            b.data[i] = ' ';
        }
    }
    if (b.len > 0) {
        err_detail(e, "%s", buf_str(&b));
    }
    buf_free(&b);
}

static const char *shown(const char *s) {
    return s != NULL && s[0] != '\0' ? s : "?";
}

/* libpq gives no SQLSTATE for a failed start-up, only whether the server asked for a password, and its words. Where
 * they are not English the fallback is db_connect, with the words as detail. */
static db_progress connect_failed(db_conn *c, err *e) {
    const char *why = PQerrorMessage(c->pg);
    bool hba = strstr(why, "pg_hba.conf") != NULL;
    bool absent = strstr(why, "does not exist") != NULL;
    bool busy = strstr(why, "starting up") != NULL || strstr(why, "shutting down") != NULL ||
                strstr(why, "too many clients") != NULL || strstr(why, "connection slots") != NULL ||
                strstr(why, "query_wait_timeout") != NULL || strstr(why, "login has been failing") != NULL ||
                strstr(why, "no more connections") != NULL; /* the last three are pgbouncer's */
    bool auth = hba || (absent && strstr(why, "role \"") != NULL) || strstr(why, "authentication failed") != NULL ||
                PQconnectionNeedsPassword(c->pg) ||
                (!absent && !busy && strstr(why, "FATAL:") != NULL && PQconnectionUsedPassword(c->pg));
    err_set(e, auth ? "db_auth" : "db_connect", "cannot connect to database \"%s\" on %s port %s as \"%s\"",
            shown(PQdb(c->pg)), shown(PQhost(c->pg)), shown(PQport(c->pg)), shown(PQuser(c->pg)));
    detail_from_libpq(c, e);
    if (auth) {
        err_fix(e, "check user and password of this role in the configuration, and the server's pg_hba.conf");
    } else if (strstr(why, "unsupported startup parameter") != NULL) {
        err_fix(e, "this is a pooler that takes no session settings: connect to the server itself, or leave out "
                   "readonly, statement_timeout_ms and options");
    } else {
        err_fix(e, "check that the server runs there and accepts connections");
    }
    c->act = ACT_NONE;
    return DB_FAILED;
}

/* Of a connection that goes no further than TLS. */
static bool has_looked(db_conn *c) {
    if (!c->only_tls || !db_tls_looked(c)) {
        return false;
    }
    c->act = ACT_NONE;
    c->deadline = -1;
    return true;
}

db_progress db_step_connect(db_conn *c, err *e) {
    if (PQstatus(c->pg) == CONNECTION_BAD) {
        return connect_failed(c, e);
    }
    if (has_looked(c)) {
        return DB_DONE;
    }
    if (clock_ms() >= c->deadline) {
        err_set(e, "db_connect", "no connection to database \"%s\" on %s port %s within %g s", shown(PQdb(c->pg)),
                shown(PQhost(c->pg)), shown(PQport(c->pg)), c->connect_timeout_ms / 1000.0);
        err_fix(e, "check host, port and firewall, or raise connect_timeout");
        c->act = ACT_NONE;
        return DB_FAILED;
    }
    if (c->events != 0) {
        /* PQconnectPoll may only be called once the descriptor is ready for what it last asked for. */
        struct pollfd p = {.fd = PQsocket(c->pg), .events = c->events};
        if (poll(&p, 1, 0) == 0) {
            return DB_WAIT;
        }
    }
    PostgresPollingStatusType polled = PQconnectPoll(c->pg);
    if (polled != PGRES_POLLING_FAILED && has_looked(c)) {
        return DB_DONE;
    }
    switch (polled) {
    case PGRES_POLLING_READING:
        c->events = POLLIN;
        return DB_WAIT;
    case PGRES_POLLING_WRITING:
        c->events = POLLOUT;
        return DB_WAIT;
    case PGRES_POLLING_OK:
        break;
    default:
        return connect_failed(c, e);
    }
    if (PQsetnonblocking(c->pg, 1) != 0) {
        return connect_failed(c, e);
    }
    c->act = ACT_NONE;
    c->up = true;
    c->deadline = -1;
    return DB_DONE;
}

bool db_note_memory(const db_conn *c) {
    /* libpq's own line, at the start of one; the server's begin with a severity. */
    static const char LINE[] = "out of memory";
    const char *said = PQerrorMessage(c->pg);
    const char *at = strstr(said, LINE);
    bool lacking = at != NULL && (at == said || at[-1] == '\n');
    if (lacking) {
        mem_note();
    }
    return lacking;
}

db_progress db_set_lost(db_conn *c, err *e) {
    (void)db_note_memory(c);
    c->lost = true;
    c->act = ACT_NONE;
    err_set(e, "db_lost", "the connection to database \"%s\" was lost", shown(PQdb(c->pg)));
    detail_from_libpq(c, e);
    err_fix(e, "see the server's log; then run again");
    return DB_FAILED;
}

db_progress db_step(db_conn *c, err *e) {
    switch (c->act) {
    case ACT_CONNECT:
        return db_step_connect(c, e);
    case ACT_PIPELINE:
        return db_step_pipeline(c, e);
    case ACT_PLAIN:
        return db_step_plain(c, e);
    case ACT_NONE:
        break;
    }
    return DB_DONE;
}

int db_fd(const db_conn *c) {
    return PQsocket(c->pg);
}

short db_events(const db_conn *c) {
    return c->events;
}

int db_timeout_ms(const db_conn *c) {
    if (c->deadline < 0) {
        return -1;
    }
    int64_t left = c->deadline - clock_ms();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

bool db_active(const db_conn *c) {
    return c->act != ACT_NONE;
}

bool db_is_open(const db_conn *c) {
    return c->up && !c->lost && PQstatus(c->pg) == CONNECTION_OK;
}

const char *db_lost_state(const db_conn *c) {
    return c->lost_state;
}

PGTransactionStatusType db_tx_status(const db_conn *c) {
    return PQtransactionStatus(c->pg);
}

const char *db_parameter(const db_conn *c, const char *name) {
    return PQparameterStatus(c->pg, name);
}

int db_backend_pid(const db_conn *c) {
    return PQbackendPID(c->pg);
}

bool db_readonly(const db_conn *c) {
    return c->readonly;
}

bool db_rolls_back(const db_conn *c) {
    return c->rolls_back;
}

const db_notice *db_notices(const db_conn *c, size_t *n, size_t *dropped) {
    *n = c->n_notices;
    *dropped = c->dropped_notices;
    return c->notices;
}

void db_forget_notices(db_conn *c) {
    for (size_t i = 0; i < c->n_notices; i++) {
        free(c->notices[i].message);
        free(c->notices[i].detail);
        free(c->notices[i].hint);
    }
    c->n_notices = c->dropped_notices = 0;
}

/* The length of a password that stands at s, or 0. Shorter ones than four bytes would garble every text. */
static size_t secret_at(const db_conn *c, const char *s) {
    const char *secrets[] = {c->password, c->url_password};
    for (size_t i = 0; i < 2; i++) {
        size_t n = secrets[i] != NULL ? strlen(secrets[i]) : 0;
        if (n >= 4 && strncmp(s, secrets[i], n) == 0) {
            return n;
        }
    }
    return 0;
}

int db_mask(const db_conn *c, buf *out, const char *text) {
    if (c->password == NULL && c->url_password == NULL) {
        return buf_puts(out, text);
    }
    while (*text != '\0') {
        size_t n = secret_at(c, text);
        if (n > 0) {
            buf_puts(out, "***");
            text += n;
        } else {
            buf_putc(out, *text++);
        }
    }
    return out->failed ? -1 : 0;
}

const char *db_code(const char *sqlstate) {
    static const struct {
        const char *prefix, *code;
    } table[] = {
        {"42501", "db_permission"}, /* insufficient_privilege, row-level security too */
        {"25006", "db_permission"}, /* read_only_sql_transaction */
        {"28", "db_auth"},          /* invalid authorization */
        {"57014", "db_timeout"},    /* query_canceled: statement_timeout */
        {"55P03", "db_timeout"},    /* lock_not_available: lock_timeout, NOWAIT */
        {"25P02", "db_aborted"},    /* in_failed_sql_transaction */
        {"57P", "db_lost"},         /* shutdown, crash, terminated */
        {"25P03", "db_lost"},       /* idle_in_transaction_session_timeout */
        {"08", "db_lost"},          /* connection exceptions */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0) {
            return table[i].code;
        }
    }
    return "db_query";
}

/* Past white space, line comments and nested block comments, as the server's scanner has them (manual, 4.1.5). */
static const char *skip_blank(const char *s) {
    for (;;) {
        s += strspn(s, " \t\r\n\f\v;");
        if (s[0] == '-' && s[1] == '-') {
            s += strcspn(s, "\r\n");
        } else if (s[0] == '/' && s[1] == '*') {
            int depth = 0;
            do {
                if (s[0] == '/' && s[1] == '*') {
                    depth++;
                    s += 2;
                } else if (s[0] == '*' && s[1] == '/') {
                    depth--;
                    s += 2;
                } else {
                    s++;
                }
            } while (depth > 0 && *s != '\0');
        } else {
            return s;
        }
    }
}

/* Takes the next word, lower-cased and cut to 15 letters, into out. */
static const char *next_word(const char *s, char out[16]) {
    size_t n = 0;
    s = skip_blank(s);
    for (; (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z'); s++) {
        if (n < 15) {
            out[n++] = (char)(*s | 0x20);
        }
    }
    unsigned char after = (unsigned char)*s;
    if ((after >= '0' && after <= '9') || after == '_' || after == '$' || after >= 0x80) {
        n = 0; /* part of a longer identifier: no keyword */
    }
    out[n] = '\0';
    return s;
}

bool db_is_copy(const char *sql) {
    char word[16];
    next_word(sql, word);
    return strcmp(word, "copy") == 0;
}

bool db_is_tx_control(const char *sql) {
    static const char *const always[] = {"begin", "start", "commit", "end"};
    char word[16];
    const char *rest = next_word(sql, word);
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
        if (strcmp(word, always[i]) == 0) {
            return true;
        }
    }
    char second[16];
    rest = next_word(rest, second);
    if (strcmp(word, "prepare") == 0) {
        return strcmp(second, "transaction") == 0;
    }
    if (strcmp(word, "rollback") != 0 && strcmp(word, "abort") != 0) {
        return false;
    }
    if (strcmp(second, "work") == 0 || strcmp(second, "transaction") == 0) {
        next_word(rest, second);
    }
    return strcmp(second, "to") != 0;
}

bool db_may_control_tx(const char *script) {
    for (const char *s = script; s != NULL; s = strchr(s, ';')) {
        s += *s == ';';
        if (db_is_tx_control(s)) {
            return true;
        }
    }
    return false;
}

bool db_is_setting(const char *sql) {
    char word[16];
    next_word(sql, word);
    return strcmp(word, "set") == 0 || strcmp(word, "reset") == 0;
}
