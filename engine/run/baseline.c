#include "run/baseline.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "run/report.h"

enum { REPORT_BYTES_MAX = 64 << 20 };

static const char *member(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "";
}

static bool is_fail(const json_t *entry) {
    return strcmp(member(entry, "status"), "FAIL") == 0;
}

static bool in_word(char c) {
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* What makes two findings the same: class, object, what they rest on, and detail, whose counts may differ from run to
 * run. The digits of a name (policy p2) are no count. */
static int key_of(const json_t *entry, buf *out) {
    buf_printf(out, "%s\n%s\n%s\n", member(entry, "class"), member(entry, "object"), member(entry, "basis"));
    char before = ' ';
    for (const char *p = member(entry, "detail"); *p != '\0';) {
        size_t n = strspn(p, "0123456789");
        if (n == 0) {
            buf_putc(out, *p);
            before = *p++;
            continue;
        }
        if (in_word(before)) {
            buf_append(out, p, n);
        } else {
            buf_putc(out, '#');
        }
        p += n;
        before = '0';
    }
    return out->failed ? -1 : 0;
}

static int add_gate(json_t *out, const json_t *gate) {
    json_t *known = json_object();
    int rc = known != NULL ? 0 : -1;
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(gate, "checks"), i, entry) {
        /* What was known then and is there still stays known in the report that is written now. */
        if (!is_fail(entry) && strcmp(member(entry, "baseline"), "known") != 0) {
            continue;
        }
        buf key = BUF_INIT;
        rc |= key_of(entry, &key);
        json_int_t n = json_integer_value(json_object_get(json_object_get(known, buf_str(&key)), "count"));
        rc |= json_object_set_new(known, buf_str(&key),
                                  json_pack("{s:s, s:s, s:s, s:I}", "class", member(entry, "class"), "object",
                                            member(entry, "object"), "failure", member(entry, "failure"), "count",
                                            n + 1));
        buf_free(&key);
    }
    return json_object_set_new(out, member(gate, "id"), known) == 0 ? rc : -1;
}

json_t *baseline_of(const json_t *report) {
    json_t *out = json_object();
    int rc = out != NULL ? 0 : -1;
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        rc |= add_gate(out, gate);
    }
    if (rc != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

/* What is known of one tenant says nothing of another. */
static int same_tenant(const json_t *report, const char *path, const char *tenant, err *e) {
    const char *of = member(report, "tenant");
    if (tenant == NULL || *of == '\0' || strcmp(of, tenant) == 0) {
        return 0;
    }
    err_set(e, "baseline_tenant", "--baseline: %s: expected a report of tenant %s, found one of tenant %.80s", path,
            tenant, of);
    return err_fix(e, "make one of this tenant with --report json=FILE");
}

json_t *baseline_read(const char *path, const char *tenant, err *e) {
    buf text = BUF_INIT;
    if (fs_read(path, REPORT_BYTES_MAX, &text, e) != 0) {
        buf_free(&text);
        return NULL;
    }
    json_error_t where;
    json_t *report = mem_json(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &where);
    buf_free(&text);
    const json_t *gates = json_object_get(report, "gates");
    if (strcmp(member(report, "schema"), REPORT_SCHEMA) != 0 || !json_is_array(gates)) {
        err_set(e, "baseline_unreadable", "--baseline: %s: expected a report of schema %s, found %s", path,
                REPORT_SCHEMA, report == NULL ? where.text : "another document");
        err_fix(e, "make one with --report json=FILE");
        json_decref(report);
        return NULL;
    }
    bool same = same_tenant(report, path, tenant, e) == 0;
    json_t *out = same ? baseline_of(report) : NULL;
    json_decref(report);
    if (same && out == NULL) {
        err_set(e, "out_of_memory", "out of memory");
    }
    return out;
}

static int name_of(const json_t *entry, buf *out) {
    buf_reset(out);
    return buf_printf(out, "%s %s", member(entry, "class"), member(entry, "object"));
}

/* What is left over of the baseline and of which nothing fails any more: what rests on something else now is not gone.
 */
static int gone_of(json_t *left, const json_t *seen, const json_t *failing, json_t *gone) {
    int rc = 0;
    buf name = BUF_INIT;
    const char *key;
    json_t *entry;
    json_object_foreach(left, key, entry) {
        rc |= name_of(entry, &name);
        if (json_object_get(seen, key) == NULL && json_object_get(failing, buf_str(&name)) == NULL) {
            rc |= json_array_append_new(gone, json_string(buf_str(&name)));
        }
    }
    buf_free(&name);
    return rc;
}

/* Marks the known entries; *known counts them, *gone gets what is left over. */
static int mark(const json_t *baseline, json_t *gate, json_int_t *known, json_t *gone) {
    json_t *left = json_copy(json_object_get(baseline, member(gate, "id")));
    int rc = 0;
    size_t i;
    json_t *entry;
    json_t *seen = json_object(), *failing = json_object();
    json_array_foreach(json_object_get(gate, "checks"), i, entry) {
        if (!is_fail(entry)) {
            continue;
        }
        buf key = BUF_INIT;
        rc |= key_of(entry, &key);
        json_int_t used = json_integer_value(json_object_get(seen, buf_str(&key)));
        if (rc == 0 && used < json_integer_value(json_object_get(json_object_get(left, buf_str(&key)), "count"))) {
            rc |= json_object_set_new(entry, "status", json_string("PASS"));
            rc |= json_object_set_new(entry, "baseline", json_string("known"));
            rc |= json_object_set_new(seen, buf_str(&key), json_integer(used + 1));
            (*known)++;
        } else {
            rc |= name_of(entry, &key);
            rc |= json_object_set_new(failing, buf_str(&key), json_true());
        }
        buf_free(&key);
    }
    rc |= gone_of(left, seen, failing, gone);
    json_decref(failing);
    json_decref(seen);
    json_decref(left);
    return rc;
}

/* Status and summary, from what is left. */
static int judge(json_t *gate, json_int_t known, const char *of) {
    const char *fail = NULL, *error = NULL;
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(gate, "checks"), i, entry) {
        const char *status = member(entry, "status");
        fail = fail == NULL && strcmp(status, "FAIL") == 0 ? member(entry, "failure") : fail;
        error = error == NULL && strcmp(status, "ERROR") == 0 ? member(entry, "failure") : error;
    }
    json_t *summary = fail != NULL    ? json_string(fail)
                      : error != NULL ? json_string(error)
                                      : json_sprintf("No new findings; %lld %s", (long long)known, of);
    return json_object_set_new(gate, "status",
                               json_string(fail != NULL    ? "FAIL"
                                           : error != NULL ? "ERROR"
                                                           : "PASS")) |
           json_object_set_new(gate, "summary", summary);
}

int baseline_apply(const json_t *baseline, json_t *gate) {
    json_int_t known = 0;
    json_t *gone = json_array();
    int rc = gone != NULL ? mark(baseline, gate, &known, gone) : -1;
    if (rc == 0 && known > 0) {
        rc = judge(gate, known, "known of the baseline");
    }
    /* The book's facts may be shared with the book. */
    json_t *facts = rc == 0 ? json_copy(json_object_get(gate, "facts")) : NULL;
    if (facts == NULL || json_object_set_new(facts, "baseline_known", json_integer(known)) != 0 ||
        json_object_set(facts, "baseline_gone", gone) != 0 || json_object_set(gate, "facts", facts) != 0) {
        rc = -1;
    }
    json_decref(facts);
    json_decref(gone);
    return rc;
}

int baseline_compare(const json_t *base, json_t *gate) {
    if (baseline_apply(base, gate) != 0) {
        return -1;
    }
    json_t *facts = json_object_get(gate, "facts");
    json_int_t known = json_integer_value(json_object_get(facts, "baseline_known")), news = 0;
    size_t fixed = json_array_size(json_object_get(facts, "baseline_gone")), i;
    json_t *entry;
    json_array_foreach(json_object_get(gate, "checks"), i, entry) {
        news += is_fail(entry);
    }
    int rc = json_object_set_new(
        facts, "against", json_pack("{s:I, s:I, s:I}", "new", news, "fixed", (json_int_t)fixed, "unchanged", known));
    return rc != 0 || known == 0 ? rc : judge(gate, known, "unchanged");
}
