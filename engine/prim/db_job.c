/* Activities on an open connection: pipelines of statements, scripts, copies. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "prim/db_conn.h"

/* The server enforces statement_timeout itself; this much later it must have said so, or it is not answering. */
#define ANSWER_MARGIN_MS 10000
#define COPY_CHUNK 65536

static void clear_results(db_conn *c) {
    for (size_t i = 0; i < c->n_results; i++) {
        PQclear(c->results[i]);
        c->results[i] = NULL;
    }
    c->n_results = 0;
    PQclear(c->guard_error);
    c->guard_error = NULL;
}

void db_clear(db_conn *c) {
    clear_results(c);
    buf_free(&c->copied);
}

int db_ready(db_conn *c, err *e) {
    if (!db_is_open(c)) {
        err_set(e, c->lost || c->up ? "db_lost" : "db_closed", "the database connection was lost earlier");
        return err_fix(e, "open a new one with db.connect");
    }
    if (c->act != ACT_NONE) {
        return err_set(e, "db_busy", "the database connection is busy with another statement");
    }
    db_clear(c);
    c->n_steps = c->at = c->own_sent = 0;
    c->tx_end = c->copy_misplaced = c->answered = c->abandoned = false;
    c->copying = COPY_NONE;
    c->events = POLLIN | POLLOUT;
    return 0;
}

void db_set_deadline(db_conn *c, size_t n) {
    c->deadline =
        c->statement_timeout_ms > 0 ? clock_ms() + (int64_t)n * c->statement_timeout_ms + ANSWER_MARGIN_MS : -1;
}

/* Half a pipeline cannot be taken back, so the connection is given up. */
static int out_of_memory(db_conn *c, err *e) {
    db_set_lost(c, e);
    mem_note();
    return err_set(e, "out_of_memory", "out of memory; the connection was given up");
}

/* A result slot must be there when the answer comes, so it is made when the statement is sent. */
static int grow(db_conn *c, err *e) {
    if (c->n_steps == c->cap_steps) {
        size_t cap = c->cap_steps > 0 ? c->cap_steps * 2 : 16;
        unsigned char *steps = realloc(c->steps, cap);
        if (steps == NULL) {
            return out_of_memory(c, e);
        }
        c->steps = steps;
        c->cap_steps = cap;
    }
    if (c->own_sent + 1 > c->cap_results) {
        size_t cap = c->cap_results > 0 ? c->cap_results * 2 : 16;
        PGresult **results = realloc(c->results, cap * sizeof(PGresult *));
        if (results == NULL) {
            return out_of_memory(c, e);
        }
        c->results = results;
        c->cap_results = cap;
    }
    return 0;
}

int db_begin(db_conn *c, err *e) {
    if (db_ready(c, e) != 0) {
        return -1;
    }
    if (PQenterPipelineMode(c->pg) != 1) {
        db_set_lost(c, e);
        return -1;
    }
    c->act = ACT_PIPELINE;
    return 0;
}

int db_add(db_conn *c, db_kind kind, const db_stmt *s, err *e) {
    if (grow(c, e) != 0) {
        return -1;
    }
    if (PQsendQueryParams(c->pg, s->sql, s->n, s->types, s->values, s->lengths, s->formats, 0) != 1) {
        db_set_lost(c, e);
        return -1;
    }
    c->steps[c->n_steps++] = kind == DB_STMT_OWN ? STEP_OWN : STEP_GUARD;
    c->own_sent += kind == DB_STMT_OWN;
    return 0;
}

int db_sync(db_conn *c, err *e) {
    if (grow(c, e) != 0) {
        return -1;
    }
    if (PQpipelineSync(c->pg) != 1) {
        db_set_lost(c, e);
        return -1;
    }
    c->steps[c->n_steps++] = STEP_SYNC;
    db_set_deadline(c, c->own_sent > 0 ? c->own_sent : 1);
    return 0;
}

static void look_at_tag(db_conn *c, PGresult *res) {
    static const char *const ends[] = {"COMMIT", "BEGIN", "START TRANSACTION", "PREPARE TRANSACTION"};
    const char *tag = PQcmdStatus(res);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        c->tx_end = c->tx_end || strcmp(tag, ends[i]) == 0;
    }
}

/* A FATAL error ends the session: what it says is lost once libpq sees the connection closed. */
static void note_fatal(db_conn *c, const PGresult *res) {
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    severity = severity != NULL ? severity : PQresultErrorField(res, PG_DIAG_SEVERITY); /* all that pgbouncer sends */
    const char *why = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    if (state != NULL && severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) {
        snprintf(c->lost_state, sizeof c->lost_state, "%s", state);
        snprintf(c->lost_why, sizeof c->lost_why, "%s", why != NULL ? why : "");
    }
}

int db_keep(db_conn *c, PGresult *res, err *e) {
    look_at_tag(c, res);
    note_fatal(c, res);
    if (c->n_results == c->cap_results) { /* a script: how many statements it has is not known beforehand */
        c->own_sent = c->n_results;
        if (grow(c, e) != 0) {
            PQclear(res);
            return -1;
        }
    }
    c->results[c->n_results++] = res;
    return 0;
}

/* Sends what is buffered and reads what is there. Sets what to wait for. An error is found again by PQgetResult and
 * PQstatus, so it needs no answer here. */
static void pump(db_conn *c) {
    int unsent = PQflush(c->pg);
    c->events = POLLIN | (unsent == 1 ? POLLOUT : 0);
    if (PQconsumeInput(c->pg) == 1 && unsent == 1) {
        unsent = PQflush(c->pg);
        c->events = POLLIN | (unsent == 1 ? POLLOUT : 0);
    }
}

static db_progress wait_more(db_conn *c, err *e) {
    if (PQstatus(c->pg) != CONNECTION_OK) {
        return db_set_lost(c, e);
    }
    if (db_note_memory(c)) {
        /* What it had no memory for it has dropped (a sync, fe-protocol3.c): it may never come. */
        out_of_memory(c, e);
        return DB_FAILED;
    }
    if (c->deadline >= 0 && clock_ms() >= c->deadline) {
        db_set_lost(c, e);
        err_set(e, "db_timeout", "the server did not answer within its statement_timeout of %d ms and %d ms more",
                c->statement_timeout_ms, ANSWER_MARGIN_MS);
        err_fix(e, "check the network and the server's load; the connection was given up");
        return DB_FAILED;
    }
    return DB_WAIT;
}

/* Stores one result of the pipeline at its place. */
static int place(db_conn *c, PGresult *res, err *e) {
    unsigned char kind = c->at < c->n_steps ? c->steps[c->at] : STEP_SYNC;
    if (kind == STEP_OWN) {
        return db_keep(c, res, e);
    }
    note_fatal(c, res);
    if (PQresultStatus(res) == PGRES_FATAL_ERROR && c->guard_error == NULL) {
        c->guard_error = res;
    } else {
        PQclear(res);
    }
    return 0;
}

db_progress db_step_pipeline(db_conn *c, err *e) {
    pump(c);
    while (c->at < c->n_steps) {
        if (PQisBusy(c->pg)) {
            return wait_more(c, e);
        }
        PGresult *res = PQgetResult(c->pg);
        if (res == NULL) {
            if (PQstatus(c->pg) != CONNECTION_OK) {
                return db_set_lost(c, e);
            }
            if (!c->answered) {
                /* Each statement has a result. One that libpq had no memory for would be the next one's. */
                out_of_memory(c, e);
                return DB_FAILED;
            }
            c->at++; /* NULL ends the results of one statement */
            c->answered = false;
            continue;
        }
        c->answered = true;
        if (PQresultStatus(res) == PGRES_FATAL_ERROR) {
            (void)db_note_memory(c); /* a script may take any error for the denial it looks for */
        }
        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            c->at++;
            c->answered = false;
        } else if (place(c, res, e) != 0) {
            return DB_FAILED;
        }
    }
    if (PQexitPipelineMode(c->pg) != 1) {
        return db_set_lost(c, e);
    }
    c->act = ACT_NONE;
    return DB_DONE;
}

static int start_plain(db_conn *c, plain_kind kind, const char *sql, err *e) {
    if (db_ready(c, e) != 0) {
        return -1;
    }
    int sent =
        kind == PLAIN_SCRIPT ? PQsendQuery(c->pg, sql) : PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0);
    if (sent != 1) {
        db_set_lost(c, e);
        return -1;
    }
    c->plain = kind;
    c->act = ACT_PLAIN;
    db_set_deadline(c, 1);
    if (kind == PLAIN_SCRIPT) {
        c->deadline = -1; /* the timeout counts per statement, and how many it has is not known */
    }
    return 0;
}

int db_script(db_conn *c, const char *sql, err *e) {
    return start_plain(c, PLAIN_SCRIPT, sql, e);
}

int db_copy_out(db_conn *c, const char *sql, size_t limit, err *e) {
    if (start_plain(c, PLAIN_COPY_OUT, sql, e) != 0) {
        return -1;
    }
    c->copied.limit = limit;
    return 0;
}

int db_copy_in(db_conn *c, const char *sql, const char *data, size_t len, err *e) {
    if (start_plain(c, PLAIN_COPY_IN, sql, e) != 0) {
        return -1;
    }
    c->copy_data = data;
    c->copy_len = len;
    c->copy_sent = 0;
    return 0;
}

/* Reads rows of a COPY TO STDOUT. What is too much or was not asked for is read all the same: only then is the
 * connection usable again. Returns DB_DONE when the copy is at its end. */
static db_progress read_copy(db_conn *c, err *e) {
    for (;;) {
        char *row = NULL;
        int n = PQgetCopyData(c->pg, &row, 1);
        if (n == 0) {
            return wait_more(c, e);
        }
        if (n < 0) { /* -1 end, -2 error: PQgetResult tells */
            c->copying = COPY_NONE;
            return DB_DONE;
        }
        if (c->plain == PLAIN_COPY_OUT) {
            buf_append(&c->copied, row, (size_t)n); /* its failed flag is sticky and looked at by the caller */
        }
        PQfreemem(row);
    }
}

static db_progress write_copy(db_conn *c, err *e) {
    while (c->copy_sent < c->copy_len) {
        size_t left = c->copy_len - c->copy_sent;
        int n = left < COPY_CHUNK ? (int)left : COPY_CHUNK;
        int r = PQputCopyData(c->pg, c->copy_data + c->copy_sent, n);
        if (r < 0) {
            c->copying = COPY_NONE;
            return DB_DONE;
        }
        if (r == 0) {
            c->events = POLLIN | POLLOUT;
            return wait_more(c, e);
        }
        c->copy_sent += (size_t)n;
        if (PQflush(c->pg) == 1) { /* let it go out before more is buffered */
            c->events = POLLIN | POLLOUT;
            return wait_more(c, e);
        }
    }
    int r = PQputCopyEnd(c->pg, NULL);
    if (r == 0) {
        c->events = POLLIN | POLLOUT;
        return wait_more(c, e);
    }
    c->copying = COPY_NONE;
    pump(c);
    return DB_DONE;
}

/* A COPY has begun: go into its phase, or end it where none was asked for. */
static void enter_copy(db_conn *c, ExecStatusType status) {
    if (status == PGRES_COPY_OUT) {
        c->copying = COPY_READING;
        c->copy_misplaced = c->copy_misplaced || c->plain != PLAIN_COPY_OUT;
    } else if (c->plain == PLAIN_COPY_IN) {
        c->copying = COPY_WRITING;
    } else {
        c->copy_misplaced = true;
        PQputCopyEnd(c->pg, "COPY FROM STDIN is not possible here");
        pump(c);
    }
}

db_progress db_step_plain(db_conn *c, err *e) {
    pump(c);
    for (;;) {
        if (c->copying != COPY_NONE) {
            db_progress p = c->copying == COPY_READING ? read_copy(c, e) : write_copy(c, e);
            if (p != DB_DONE) {
                return p;
            }
        }
        if (PQisBusy(c->pg)) {
            return wait_more(c, e);
        }
        PGresult *res = PQgetResult(c->pg);
        if (res == NULL) {
            break;
        }
        ExecStatusType status = PQresultStatus(res);
        if (status == PGRES_FATAL_ERROR) {
            (void)db_note_memory(c);
        }
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN) {
            PQclear(res);
            enter_copy(c, status);
        } else if (db_keep(c, res, e) != 0) {
            return DB_FAILED;
        }
    }
    if (PQstatus(c->pg) != CONNECTION_OK) {
        return db_set_lost(c, e);
    }
    c->act = ACT_NONE;
    /* Each statement has a result, but what is left of one that was cancelled amid of its COPY is nobody's. */
    if (c->n_results == 0 && !c->abandoned) {
        out_of_memory(c, e);
        return DB_FAILED;
    }
    return DB_DONE;
}

int db_cancel(db_conn *c) {
    PGcancel *cancel = PQgetCancel(c->pg);
    if (cancel == NULL) {
        return -1;
    }
    char why[256];
    int sent = PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
    return sent == 1 ? 0 : -1;
}

void db_abandon(db_conn *c) {
    c->abandoned = true;
    if (c->act == ACT_PLAIN && c->plain == PLAIN_COPY_IN) {
        c->plain = PLAIN_SCRIPT; /* a COPY that begins only now is ended at once, see enter_copy */
        c->copy_data = NULL;
        c->copy_len = c->copy_sent = 0;
        if (c->copying == COPY_WRITING) {
            c->copying = COPY_NONE;
            PQputCopyEnd(c->pg, "abandoned");
        }
    }
    (void)db_cancel(c); /* where it cannot be sent, the statement comes to its own end */
}

size_t db_n_results(const db_conn *c) {
    return c->n_results;
}

const PGresult *db_result(const db_conn *c, size_t i) {
    return i < c->n_results ? c->results[i] : NULL;
}

const PGresult *db_guard_error(const db_conn *c) {
    return c->guard_error;
}

const buf *db_copied(const db_conn *c) {
    return &c->copied;
}

bool db_saw_transaction_end(const db_conn *c) {
    return c->tx_end;
}

bool db_copy_misplaced(const db_conn *c) {
    return c->copy_misplaced;
}
