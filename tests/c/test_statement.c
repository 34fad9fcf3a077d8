/* SQL without its literals: nothing of a value may be left, and what is left must say the same when it is read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "prim/statement.h"

static const char *const SETTINGS[] = {"app.tenant"};

/* All statements of a text, joined by " | ". */
static int join(void *ctx, const statement *s, err *e) {
    buf *out = ctx;
    (void)e;
    return buf_printf(out, "%s%.*s%s", out->len > 0 ? " | " : "", (int)s->len, s->text, s->cut ? " <cut>" : "");
}

static void normal(const char *sql, bool standard, buf *out) {
    statement_options o = {.standard_strings = standard, .settings = SETTINGS, .nsettings = 1};
    err e;
    buf_reset(out);
    assert_int_equal(statement_scan(sql, strlen(sql), &o, join, out, &e), 0);
}

static void test_literals_go(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"select 1, 'a', 2.5e-3, .5, 0x1F, 1_000", "select 0, '?', 0, 0, 0, 0"},
        {"select 'it''s', E'a\\'b', U&'\\0041' uescape '!', B'01', x'ff', N'n'", "select '?', '?', '?', '?', '?', '?'"},
        {"select $$secret$$, $t$ a $$ b $t$", "select '?', '?'"},
        {"select 'a'\n   'b', 'c' -- 'd'\n 'e'", "select '?', '?'"},
        {"select /* a /* nested 'x' */ secret */ 1 -- secret", "select 0"},
        {"select\n\t a ,\n b", "select a , b"},
        {"select \"Secret Name\" from \"T\"", "select \"Secret Name\" from \"T\""},
        {"select * from t where a in (1, 2, 3) and b = any(array['x', 'y'])",
         "select * from t where a in (0) and b = any(array['?'])"},
        {"insert into t values (1, 'a'), (2, 'b'), (3, 'c') returning id",
         "insert into t values (0, '?') returning id"},
        {"insert into t values ($1, $2), ($3, $4)", "insert into t values ($1, $2)"},
        {"select a[1], b - 5, -7", "select a[0], b - 0, -0"},
        {"set search_path = secret, other", "set search_path = '?'"},
        {"SET LOCAL app.tenant TO secret", "SET LOCAL app.tenant TO '?'"},
        {"set app.tenant = default", "set app.tenant = default"},
        {"do $$ begin delete from t where a = 'secret'; end $$", "do $_$begin delete from t where a = '?'; end$_$"},
        {"do 'begin secret; end'", "do '?'"},
        {"select 1;; select 2 ; ", "select 0 | select 0"},
        {"create rule r as on insert to t do (select 1; select 2)",
         "create rule r as on insert to t do (select 0; select 0)"},
        {"create function f() returns int begin atomic select 1; select 2; end; select 3",
         "create function f() returns int begin atomic select 0; select 0; end | select 0"},
        {"select 'open", "select '?' <cut>"},
        {"select \"open", "select \"open <cut>"},
        {"select set_config('app.tenant', 'secret', true)", "select set_config('app.tenant', '?', true)"},
        {"", ""},
        {" ; -- nothing", ""},
    };
    buf out = BUF_INIT, again = BUF_INIT;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        normal(CASES[i][0], true, &out);
        assert_string_equal(buf_str(&out), CASES[i][1]);
        if (strstr(CASES[i][1], " | ") == NULL && strstr(CASES[i][1], "<cut>") == NULL) {
            normal(buf_str(&out), true, &again);
            assert_string_equal(buf_str(&again), buf_str(&out));
        }
    }
    buf_free(&out);
    buf_free(&again);
}

static void test_backslashes_as_the_session_has_them(void **state) {
    (void)state;
    buf out = BUF_INIT;
    normal("select 'a\\', secret, 'b'", true, &out);
    assert_string_equal(buf_str(&out), "select '?', secret, '?'");
    normal("select 'a\\', secret, 'b'", false, &out);           /* 'a\', secret, ' is one string */
    assert_string_equal(buf_str(&out), "select '?' '?' <cut>"); /* … and b' opens another */
    buf_free(&out);
}

static int describe(void *ctx, const statement *s, err *e) {
    buf *out = ctx;
    (void)e;
    (void)buf_printf(out, "%s(%s)%s%s;", statement_kind_name(s->kind), s->name, s->local ? "local" : "",
                     s->chain ? "chain" : "");
    for (size_t i = 0; i < s->contexts; i++) {
        const statement_context *c = &s->context[i];
        (void)buf_printf(out, "%d.%d local%d.%d %s%d %.*s%s;", c->setting, c->setting_parameter, c->local,
                         c->local_parameter, statement_value_name(c->from), c->parameter, (int)c->len,
                         c->value != NULL ? c->value : "", c->converted ? " converted" : "");
    }
    return 0;
}

static void test_what_is_said(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"begin; start transaction isolation level serializable", "begin();begin();"},
        {"commit; end work; commit and chain; rollback; abort and no chain",
         "commit();commit();commit()chain;rollback();rollback();"},
        {"commit prepared 'x'; rollback prepared 'x'; prepare transaction 'x'",
         "other();other();prepare_transaction();"},
        {"savepoint A; release savepoint \"B\"; rollback work to savepoint c",
         "savepoint(a);release(B);rollback_to(c);"},
        {"prepare p(int) as select $1; execute p(1); deallocate prepare p; deallocate all",
         "prepare(p);execute(p);deallocate(p);deallocate();"},
        {"discard all; reset all; set role none; reset role; set local role r; set session role s",
         "discard_all();reset_all();set_role();set_role();set_role(r)local;set_role(s);"},
        {"set session authorization bob; set session authorization default", "set_session(bob);set_session();"},
        {"select set_config('app.tenant', $1, true)", "other();0.0 local1.0 parameter1 ;"},
        {"select set_config('APP.Tenant', $1::uuid::text, false)", "other();0.0 local0.0 parameter1  converted;"},
        {"select set_config($1, $2, $3)", "other();-1.1 local-1.3 parameter2 ;"},
        {"select pg_catalog . set_config ( 'app.tenant' , cast ( $1 as varchar(10) ) , 't'::bool )",
         "other();0.0 local1.0 expression0 ;"},
        {"select set_config('app.tenant', cast($1 as text), 'off')", "other();0.0 local0.0 parameter1 ;"},
        {"select set_config('app.tenant', 'a' || $1, true)", "other();0.0 local1.0 expression0 ;"},
        {"select set_config('app.tenant', (select id from t limit 1), is_local)",
         "other();0.0 local-1.0 expression0 ;"},
        {"select set_config('app.other', 'x', true), set_config('app.tenant', 'it''s', true)",
         "other();0.0 local1.0 literal0 it's;"},
        {"set app.tenant = 'a b'; set local app.tenant to abc; set session app.tenant = 5",
         "other();0.0 local0.0 literal0 a b;other()local;0.0 local1.0 literal0 abc;other();0.0 local0.0 literal0 5;"},
        {"reset app.tenant; set app.tenant to default",
         "other();0.0 local0.0 default0 ;other();0.0 local0.0 default0 ;"},
        {"select my_set_config('app.tenant', 'x', true)", "other();"},
    };
    statement_options o = {.standard_strings = true, .settings = SETTINGS, .nsettings = 1};
    buf out = BUF_INIT;
    err e;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        buf_reset(&out);
        assert_int_equal(statement_scan(CASES[i][0], strlen(CASES[i][0]), &o, describe, &out, &e), 0);
        assert_string_equal(buf_str(&out), CASES[i][1]);
    }
    buf_free(&out);
}

static void test_long_texts_are_cut(void **state) {
    (void)state;
    static const char COLUMN[] = "a_column_that_is_long, ";
    buf sql = BUF_INIT, out = BUF_INIT;
    (void)buf_puts(&sql, "select ");
    for (int i = 0; i < 2000; i++) {
        (void)buf_puts(&sql, COLUMN);
    }
    (void)buf_puts(&sql, "b from t; select 1");
    normal(buf_str(&sql), true, &out);
    assert_true(out.len < 17000);
    assert_non_null(strstr(buf_str(&out), " <cut> | select 0"));
    /* A list of any length is its first. */
    buf_reset(&sql);
    (void)buf_puts(&sql, "select * from t where a in (0");
    for (int i = 0; i < 50000; i++) {
        (void)buf_printf(&sql, ", %d", i);
    }
    (void)buf_puts(&sql, ") and b");
    normal(buf_str(&sql), true, &out);
    assert_string_equal(buf_str(&out), "select * from t where a in (0) and b");
    statement_options o = {.standard_strings = true, .more = true};
    err e;
    buf_reset(&out);
    assert_int_equal(statement_scan("select 1; select 2", 18, &o, join, &out, &e), 0);
    assert_string_equal(buf_str(&out), "select 0 | select 0 <cut>");
    buf_free(&sql);
    buf_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_go),
        cmocka_unit_test(test_backslashes_as_the_session_has_them),
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
