/* What a recording says of a session, from the messages of both sides alone: no server, no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "recorder/session.h"

typedef struct play {
    int file;
    recording *out;
    session *s;
} play;

/* A message, then NULL or the next; bodies of C strings hold their NUL bytes by `n`. */
static void say(play *p, bool of_server, char type, const char *body, size_t n) {
    const pgwire_message m = {.type = type, .body = body, .kept = n, .length = n};
    err e;
    assert_int_equal(of_server ? session_server(p->s, &m, &e) : session_client(p->s, &m, &e), 0);
}

#define CLIENT(type, body) say(p, false, type, body, sizeof(body) - 1)
#define SERVER(type, body) say(p, true, type, body, sizeof(body) - 1)

static int open_play(void **state) {
    static const char PACKET[] = "\0\0\0\0\0\3\0\0user\0bob\0database\0shop\0application_name\0test\0";
    play *p = calloc(1, sizeof *p);
    json_t *header = json_pack("{s:[s]}", "settings", "app.tenant");
    err e;
    p->file = memfd_create("recording", 0);
    p->out = recording_new(p->file, header, &e);
    json_decref(header);
    p->s = session_new(p->out, PACKET, sizeof PACKET);
    *state = p;
    if (p->file < 0 || p->out == NULL || p->s == NULL) {
        return -1;
    }
    SERVER('Z', "I");
    return 0;
}

static int close_play(void **state) {
    play *p = *state;
    session_free(p->s);
    recording_free(p->out);
    close(p->file);
    free(p);
    return 0;
}

/* Each line of the recording that is no shape, from the second session line on: its statements as "text=ok", its state.
 */
static void told(play *p, char *out, size_t cap) {
    static char text[65536];
    const char *shapes[64] = {0};
    json_t *kept[64] = {0};
    size_t n = 0;
    ssize_t len = pread(p->file, text, sizeof text - 1, 0);
    assert_true(len > 0);
    text[len] = '\0';
    *out = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        const char *t = json_string_value(json_object_get(o, "t"));
        size_t at = strlen(out);
        if (t != NULL && strcmp(t, "shape") == 0) {
            shapes[json_integer_value(json_object_get(o, "q"))] = json_string_value(json_object_get(o, "text"));
            kept[n++] = json_incref(o);
        } else if (t != NULL && strcmp(t, "group") == 0) {
            size_t i;
            const json_t *st;
            json_array_foreach(json_object_get(o, "st"), i, st) {
                const json_t *ok = json_object_get(st, "ok");
                const char *shape = shapes[json_integer_value(json_object_get(st, "q"))];
                const json_t *c = json_array_get(json_object_get(st, "c"), 0);
                at = strlen(out);
                snprintf(out + at, cap - at, "%s=%s", shape != NULL ? shape : "(call)",
                         ok == NULL         ? "?"
                         : json_is_true(ok) ? "ok"
                                            : "no");
                at = strlen(out);
                if (c != NULL) {
                    char *context = json_dumps(c, JSON_COMPACT | JSON_SORT_KEYS);
                    snprintf(out + at, cap - at, "%s", context);
                    free(context);
                }
                at = strlen(out);
                snprintf(out + at, cap - at, ", ");
            }
            const char *tx = json_string_value(json_object_get(o, "tx"));
            at = strlen(out);
            snprintf(out + at, cap - at, "%s%s; ", tx != NULL ? tx : "-",
                     json_object_get(o, "rolled") != NULL ? " rolled" : "");
        } else if (t != NULL && strcmp(t, "lost") == 0) {
            snprintf(out + at, cap - at, "LOST; ");
        }
        json_decref(o);
    }
    for (size_t i = 0; i < n; i++) {
        json_decref(kept[i]);
    }
}

static void expect(play *p, const char *want) {
    char got[4096];
    told(p, got, sizeof got);
    assert_string_equal(got, want);
}

static void simple_query(void **state) {
    play *p = *state;
    CLIENT('Q', "begin; select set_config('app.tenant', 'a', true); select 1\0");
    SERVER('C', "BEGIN\0");
    SERVER('C', "SELECT 1\0");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "T");
    expect(
        p,
        "begin=ok, select set_config('app.tenant', '?', true)=ok{\"from\":\"literal\",\"k\":0,\"local\":true,\"v\":1}, "
        "select 0=ok, T; ");
}

static void what_comes_after_an_error_was_not_run(void **state) {
    play *p = *state;
    CLIENT('Q', "select 1; select bad; select 3\0");
    SERVER('C', "SELECT 1\0");
    SERVER('E', "SERROR\0C42703\0Mno such column\0\0");
    SERVER('Z', "I");
    expect(p, "select 0=ok, select bad=no, I rolled; ");
}

#define PARSE_SET "s1\0select set_config($1, $2, $3)\0\0\0"
#define BIND_SET                                                                                                       \
    "\0s1\0\0\0\0\3\0\0\0\x0a"                                                                                         \
    "app.tenant"                                                                                                       \
    "\0\0\0\1a\0\0\0\1t\0\0"

static void extended_query_with_its_values(void **state) {
    play *p = *state;
    CLIENT('P', PARSE_SET);
    CLIENT('B', BIND_SET);
    CLIENT('D', "P\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('T', "\0\0");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "select set_config($1, $2, $3)=ok{\"from\":\"parameter\",\"k\":0,\"local\":true,\"v\":1}, I; ");
}

static void pipelines_are_groups_up_to_each_sync(void **state) {
    play *p = *state;
    CLIENT('P', "\0select a\0\0\0");
    CLIENT('B', "\0\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('P', "\0select b\0\0\0");
    CLIENT('B', "\0\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('P', "\0select c\0\0\0");
    CLIENT('B', "\0\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    CLIENT('P', "\0select d\0\0\0");
    CLIENT('B', "\0\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('C', "SELECT 1\0");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('E', "C22012\0\0");
    SERVER('Z', "I");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "select a=ok, select b=no, I rolled; select d=ok, I; ");
}

static void a_portal_in_portions_is_one_statement(void **state) {
    play *p = *state;
    CLIENT('P', "\0select a\0\0\0");
    CLIENT('B', "c1\0\0\0\0\0\0\0\0");
    CLIENT('E', "c1\0\0\0\0\1");
    CLIENT('H', "");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('s', "");
    CLIENT('E', "c1\0\0\0\0\1");
    CLIENT('S', "");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "select a=ok, I; ");
}

static void a_refused_parse_defines_nothing(void **state) {
    play *p = *state;
    CLIENT('P', "x\0select bad\0\0\0");
    CLIENT('S', "");
    SERVER('E', "C42703\0\0");
    SERVER('Z', "I");
    CLIENT('P', "x\0select good\0\0\0");
    CLIENT('B', "\0x\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "I rolled; select good=ok, I; ");
}

static void deallocated_names_can_be_used_again(void **state) {
    play *p = *state;
    CLIENT('P', "x\0select one\0\0\0");
    CLIENT('S', "");
    SERVER('1', "");
    SERVER('Z', "I");
    CLIENT('Q', "deallocate x\0");
    SERVER('C', "DEALLOCATE\0");
    SERVER('Z', "I");
    CLIENT('P', "x\0select two\0\0\0");
    CLIENT('B', "\0x\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "deallocate x=ok, I; select two=ok, I; ");
}

/* libpq sends the Sync with the COPY, and another when the data has ended: the server answers one of them. */
static void copy_in_by_extended_query(void **state) {
    play *p = *state;
    CLIENT('P', "\0copy t from stdin\0\0\0");
    CLIENT('B', "\0\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('G', "\0\0\0");
    CLIENT('d', "secret\n");
    CLIENT('c', "");
    CLIENT('S', "");
    SERVER('C', "COPY 1\0");
    SERVER('Z', "I");
    CLIENT('P', "\0select after\0\0\0");
    CLIENT('B', "\0\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    SERVER('1', "");
    SERVER('2', "");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "copy t from stdin=ok, I; select after=ok, I; ");
}

static void fast_path_calls(void **state) {
    play *p = *state;
    CLIENT('F', "\0\0\4\xe3\0\0\0\0\0\0");
    SERVER('V', "\0\0\0\0");
    SERVER('Z', "I");
    expect(p, "(call)=ok, I; ");
}

static void statements_without_an_end(void **state) {
    play *p = *state;
    CLIENT('Q', "select pg_sleep(1)\0");
    session_free(p->s);
    p->s = NULL;
    expect(p, "select pg_sleep(0)=?, -; ");
}

static void answers_that_fit_nothing_are_told(void **state) {
    play *p = *state;
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "LOST; ");
}

static void unknown_portals_have_no_text(void **state) {
    play *p = *state;
    CLIENT('B', "\0nobody\0\0\0\0\0\0\0");
    CLIENT('E', "\0\0\0\0\0");
    CLIENT('S', "");
    SERVER('2', "");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "=ok, I; ");
}

static void standard_strings_follow_the_session(void **state) {
    play *p = *state;
    SERVER('S', "standard_conforming_strings\0off\0");
    CLIENT('Q', "select 'a\\', secret, '\0");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "select '?'=ok, I; ");
}

static void what_may_be_read_wrongly_is_not_kept(void **state) {
    play *p = *state;
    CLIENT('Q', "set standard_conforming_strings = off\0");
    CLIENT('Q', "select 'a\\', secret, '\0"); /* sent before the answer */
    SERVER('S', "standard_conforming_strings\0off\0");
    SERVER('C', "SET\0");
    SERVER('Z', "I");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    SERVER('S', "client_encoding\0SJIS\0");
    CLIENT('Q', "select E'\x83\\', secret, ''; select 2\0");
    SERVER('C', "SELECT 1\0");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    SERVER('S', "client_encoding\0UTF8\0");
    CLIENT('Q', "select 1\0");
    SERVER('C', "SELECT 1\0");
    SERVER('Z', "I");
    expect(p, "set standard_conforming_strings = '?'=ok, I; =ok, I; =ok, =ok, I; select 0=ok, I; ");
}

static void a_client_that_asks_too_much_has_to_wait(void **state) {
    play *p = *state;
    for (int i = 0; !session_full(p->s); i++) {
        assert_true(i < 100000);
        CLIENT('S', "");
    }
    SERVER('Z', "I");
    assert_false(session_full(p->s));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_play, close_play)
    const struct CMUnitTest tests[] = {
        TEST(simple_query),
        TEST(what_comes_after_an_error_was_not_run),
        TEST(extended_query_with_its_values),
        TEST(pipelines_are_groups_up_to_each_sync),
        TEST(a_portal_in_portions_is_one_statement),
        TEST(a_refused_parse_defines_nothing),
        TEST(deallocated_names_can_be_used_again),
        TEST(copy_in_by_extended_query),
        TEST(fast_path_calls),
        TEST(statements_without_an_end),
        TEST(answers_that_fit_nothing_are_told),
        TEST(unknown_portals_have_no_text),
        TEST(standard_strings_follow_the_session),
        TEST(what_may_be_read_wrongly_is_not_kept),
        TEST(a_client_that_asks_too_much_has_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
