/* A client and a server that say whatever they like, through the recorder: it holds out, and no literal reaches the
 * file.
 *
 * The input is a list of messages: a byte that says who sends and what type it has, a byte of length, the body. So the
 * fuzzer need not find out lengths; an input that begins with 0xff is fed as it is. What is sent as SQL is also read as
 * SQL alone: normalised twice it must be what it is normalised once. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prim/pgwire.h"
#include "prim/statement.h"
#include "promise.h"
#include "recorder/session.h"

static const char CLIENT[] = "QPBDECHSFXcdfp", SERVER[] = "123CDEGHIKNRSTVWZcdnstv";
static const char *const SETTINGS[] = {"app.tenant"};
static int file = -1;
static char secret[32]; /* made of the input, so that no input can hold its own */

static void make_secret(const uint8_t *data, size_t n) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n; i++) {
        h = (h ^ data[i]) * 1099511628211u;
    }
    snprintf(secret, sizeof secret, "secret%016llx", (unsigned long long)h);
}

typedef struct ends {
    session *s;
    bool of_server;
} ends;

static size_t wants(void *ctx, char type, size_t length) {
    const ends *x = ctx;
    size_t most = session_wants(x->s, x->of_server, type, length);
    PROMISE(most <= 1 << 20);
    return most;
}

static int takes(void *ctx, const pgwire_message *m, err *e) {
    const ends *x = ctx;
    PROMISE(m->kept <= m->length);
    return x->of_server ? session_server(x->s, m, e) : session_client(x->s, m, e);
}

/* ---- SQL ---- */

static const statement_options OPTIONS = {.standard_strings = true, .settings = SETTINGS, .nsettings = 1};

static int same(void *ctx, const statement *s, err *e) {
    const statement *first = ctx;
    (void)e;
    PROMISE(s->cut || (s->len == first->len && memcmp(s->text, first->text, s->len) == 0 && s->kind == first->kind));
    return 0;
}

static int read_again(void *ctx, const statement *s, err *e) {
    (void)ctx;
    for (size_t i = 0; i < s->contexts; i++) {
        PROMISE(s->context[i].setting < 1 && (s->context[i].value == NULL || s->context[i].len < STATEMENT_VALUE_MAX));
    }
    return s->cut ? 0 : statement_scan(s->text, s->len, &OPTIONS, same, (void *)s, e);
}

static void read_twice(const uint8_t *data, size_t n) {
    err e;
    if (memchr(data, '\0', n) == NULL) {
        PROMISE(statement_scan((const char *)data, n, &OPTIONS, read_again, NULL, &e) == 0);
    }
}

/* ---- messages ---- */

static int feed(pgwire *w, char type, const void *body, size_t n) {
    buf message = BUF_INIT;
    err e;
    PROMISE(pgwire_put(&message, type, body, n) == 0);
    int rc = pgwire_feed(w, message.data, message.len, &e);
    PROMISE(rc == 0 || *e.code != '\0');
    buf_free(&message);
    return rc;
}

/* A statement of which the literal must not be seen. The quote and the backslash are the only ways out of it. */
static int feed_secret(pgwire *w, const uint8_t *data, size_t n) {
    char sql[512];
    size_t at = (size_t)snprintf(sql, sizeof sql, "select 1 from t where a = '%s", secret);
    for (size_t i = 0; i < n && i < 200; i++) {
        if (data[i] != '\0' && data[i] != '\'' && data[i] != '\\') {
            sql[at++] = (char)data[i];
        }
    }
    memcpy(sql + at, "'", 2);
    return feed(w, 'Q', sql, at + 2);
}

static void look_for_secret(void) {
    static char text[1 << 20];
    ssize_t n = pread(file, text, sizeof text, 0);
    PROMISE(n >= 0 && memmem(text, (size_t)n, secret, strlen(secret)) == NULL);
}

static void play(pgwire *client, pgwire *server, const uint8_t *data, size_t n) {
    err e;
    if (n > 0 && data[0] == 0xff) {
        (void)pgwire_feed(client, data + 1, n - 1, &e);
        (void)pgwire_feed(server, data + 1, n - 1, &e);
        return;
    }
    int rc = 0;
    while (rc == 0 && n >= 2) {
        size_t len = data[1] < n - 2 ? data[1] : n - 2;
        bool of_server = (data[0] & 1) != 0;
        const char *types = of_server ? SERVER : CLIENT;
        rc = feed(of_server ? server : client, types[(data[0] >> 1) % strlen(types)], data + 2, len);
        if (rc == 0 && data[0] > 0xf0) {
            rc = feed_secret(client, data + 2, len);
        }
        data += 2 + len;
        n -= 2 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char PACKET[] = "\0\0\0\0\0\3\0\0user\0bob\0database\0shop\0";
    err e;
    if (file < 0) {
        PROMISE((file = memfd_create("recording", 0)) >= 0);
    }
    make_secret(data, n);
    PROMISE(ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
    json_t *header = json_pack("{s:[s]}", "settings", SETTINGS[0]), *totals = NULL;
    recording *out = recording_new(file, header, &e);
    session *s = out != NULL ? session_new(out, PACKET, sizeof PACKET) : NULL;
    PROMISE(s != NULL);
    ends of_client = {.s = s}, of_server = {.s = s, .of_server = true};
    pgwire client, server;
    pgwire_init(&client, wants, takes, &of_client);
    pgwire_init(&server, wants, takes, &of_server);
    PROMISE(feed(&server, 'Z', "I", 1) == 0 && session_ready(s));
    play(&client, &server, data, n);
    size_t length;
    (void)pgwire_start_of(data, n, &length);
    if (n >= 8) {
        (void)pgwire_parameter(data, n, "user");
    }
    read_twice(data, n);
    session_free(s);
    PROMISE(recording_end(out, "fuzz", NULL, &totals, &e) == 0);
    look_for_secret();
    json_decref(totals);
    json_decref(header);
    recording_free(out);
    pgwire_free(&client);
    pgwire_free(&server);
    return 0;
}
