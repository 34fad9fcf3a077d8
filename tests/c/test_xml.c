/* Writing XML: what is escaped, what cannot be written, and that a failure is never half a document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/xml.h"

#define BEGIN "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"

static void elements_nest_and_close(void **state) {
    (void)state;
    buf out = BUF_INIT;
    xml x;
    xml_begin(&x, &out);
    xml_open(&x, "a");
    xml_open(&x, "b");
    xml_attribute(&x, "n", "1");
    xml_close(&x);
    xml_open(&x, "c");
    xml_text(&x, "t");
    xml_close(&x);
    xml_close(&x);
    assert_string_equal(buf_str(&out), BEGIN "<a>\n<b n=\"1\" />\n<c>t</c>\n</a>\n");
    buf_free(&out);
}

static void nothing_in_a_text_or_value_ends_it(void **state) {
    (void)state;
    buf out = BUF_INIT;
    xml x;
    xml_begin(&x, &out);
    xml_open(&x, "a");
    xml_attribute(&x, "v", "\"<&>'\n\t\r\x01\xEF\xBF\xBE");
    xml_text(&x, "]]></a>&\"\n\x1b");
    xml_close(&x);
    assert_string_equal(buf_str(&out),
                        BEGIN "<a v=\"&quot;&lt;&amp;&gt;'&#10;&#9;&#13;??\">]]&gt;&lt;/a&gt;&amp;\"\n?</a>\n");
    buf_free(&out);
}

static void what_does_not_fit_or_match_is_a_failure(void **state) {
    (void)state;
    xml x;
    buf deep = BUF_INIT;
    xml_begin(&x, &deep);
    for (int i = 0; i <= XML_DEPTH_MAX; i++) {
        xml_open(&x, "a");
    }
    assert_true(deep.failed);
    buf_free(&deep);
    buf closed = BUF_INIT;
    xml_begin(&x, &closed);
    xml_close(&x);
    assert_true(closed.failed);
    buf_free(&closed);
    buf small = {.limit = 60};
    xml_begin(&x, &small);
    xml_open(&x, "a");
    xml_text(&x, "more than there is room for in sixty bytes");
    xml_close(&x);
    assert_true(small.failed);
    buf_free(&small);
}

static void an_error_for_memory_is_remembered(void **state) {
    (void)state;
    err e;
    err_set(&e, "script_syntax", "not UTF-8");
    mem_explain(&e);
    assert_string_equal(e.code, "script_syntax");
    assert_int_equal(mem_lost(), 0);
    err_set(NULL, "out_of_memory", "out of memory");
    assert_int_equal(mem_lost(), 1);
    mem_explain(&e);
    assert_string_equal(e.code, "out_of_memory");
    assert_string_equal(e.detail, "not UTF-8");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_nest_and_close),
        cmocka_unit_test(nothing_in_a_text_or_value_ends_it),
        cmocka_unit_test(what_does_not_fit_or_match_is_a_failure),
        cmocka_unit_test(an_error_for_memory_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
