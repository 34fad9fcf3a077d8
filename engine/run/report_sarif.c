/* The report as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format", 2020), as code scanning services read
 * it: one run; a rule for each class; a result for each entry that is not a plain pass. What could not be evaluated is
 * a result of level "error" and makes the invocation unsuccessful. */
#include <string.h>

#include "run/report.h"
#include "run/report_parts.h"
#include "run/sha256.h"

#define SARIF_SCHEMA "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

/* A path as a URI reference (RFC 3986 section 3.3). */
static json_t *uri_of(const char *path) {
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    buf out = BUF_INIT;
    if (path[0] == '/') {
        buf_puts(&out, "file://");
    }
    for (const char *s = path; *s != '\0'; s++) {
        if (strchr(PLAIN, *s) != NULL) {
            buf_putc(&out, *s);
        } else {
            buf_printf(&out, "%%%02X", (unsigned char)*s);
        }
    }
    json_t *uri = out.failed ? NULL : json_string(buf_str(&out));
    buf_free(&out);
    return uri;
}

static const char *level_of(entry_kind kind) {
    return kind == ENTRY_FAIL || kind == ENTRY_ERROR ? "error" : kind == ENTRY_ADVISORY ? "warning" : "none";
}

static void put_member(buf *out, const char *before, const char *value) {
    buf_puts(out, before);
    report_put_string(out, value, strlen(value), false);
}

/* What makes two results the same from run to run: services that compare runs look at this key and at no other. */
static void put_fingerprint(buf *out, buf *text, const json_t *section, const json_t *entry) {
    static const char *const KEYS[] = {"class", "name", "object"};
    const char *id = report_member(section, "id");
    buf_reset(text);
    buf_puts(text, id != NULL ? id : "?");
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        const char *value = report_member(entry, KEYS[i]);
        buf_putc(text, '\n');
        buf_puts(text, value != NULL ? value : "");
    }
    char digest[SHA256_HEX_SIZE];
    sha256_hex(buf_str(text), text->len, digest);
    buf_printf(out, "\"partialFingerprints\": {\"primaryLocationLineHash\": \"%s\"}", digest);
}

static void put_message(buf *out, buf *text, const json_t *entry) {
    static const char *const MORE[] = {"object", "detail", "fix", "reproduce"};
    static const char *const LABELS[] = {"\nObject: ", "\n", "\nFix: ", "\nReproduce: "};
    const char *saying = report_saying(entry);
    buf_reset(text);
    buf_puts(text, saying);
    for (size_t i = 0; i < sizeof MORE / sizeof MORE[0]; i++) {
        const char *value = report_member(entry, MORE[i]);
        if (value != NULL && value != saying) {
            buf_puts(text, LABELS[i]);
            buf_puts(text, value);
        }
    }
    buf_puts(out, "\"message\": {\"text\": ");
    report_put_string(out, buf_str(text), text->len, false);
    buf_puts(out, "}");
}

static void put_location(buf *out, const char *uri, const json_t *entry) {
    const char *object = report_member(entry, "object");
    put_member(out, "\"locations\": [{\"physicalLocation\": {\"artifactLocation\": {\"uri\": ", uri);
    buf_puts(out, "}, \"region\": {\"startLine\": 1}}");
    if (object != NULL) {
        put_member(out, ", \"logicalLocations\": [{\"fullyQualifiedName\": ", object);
        buf_puts(out, "}]");
    }
    buf_puts(out, "}]");
}

static bool is_result(const json_t *entry) {
    entry_kind kind = report_kind(entry);
    return kind != ENTRY_PASS && kind != ENTRY_SKIP;
}

/* Adds the rule of an entry where it is new; `index` has the place of each. 0 / -1 out of memory. */
static int add_rule(json_t *rules, json_t *index, const json_t *entry) {
    const char *id = report_class(entry);
    if (!is_result(entry) || json_object_get(index, id) != NULL) {
        return 0;
    }
    const char *fix = report_member(entry, "fix");
    json_t *rule = json_pack("{s:s, s:{s:s}, s:{s:s}}", "id", id, "shortDescription", "text", report_saying(entry),
                             "help", "text", fix != NULL ? fix : "gate-engine explain tells what a class means");
    json_t *place = json_integer((json_int_t)json_array_size(rules));
    return json_array_append_new(rules, rule) | json_object_set_new(index, id, place);
}

/* One line of the results. `text` is scratch. */
static void put_result(buf *out, buf *text, const char *uri, const json_t *index, const json_t *section,
                       const json_t *entry) {
    entry_kind kind = report_kind(entry);
    const char *class = report_class(entry);
    const char *gate = json_string_value(json_object_get(section, "id"));
    const char *severity = json_string_value(json_object_get(entry, "severity"));
    const char *name = report_member(entry, "name");
    put_member(out, "{\"ruleId\": ", class);
    buf_printf(out, ", \"ruleIndex\": %d, \"kind\": \"%s\", \"level\": \"%s\", ",
               (int)json_integer_value(json_object_get(index, class)), kind == ENTRY_NOTE ? "informational" : "fail",
               level_of(kind));
    put_message(out, text, entry);
    buf_puts(out, ", ");
    put_location(out, uri, entry);
    buf_puts(out, ", ");
    put_fingerprint(out, text, section, entry);
    put_member(out, ", \"properties\": {\"status\": ", report_kind_name(kind));
    put_member(out, ", \"check\": ", name != NULL ? name : "?");
    if (gate != NULL) {
        put_member(out, ", \"gate\": ", gate);
    }
    if (severity != NULL) {
        put_member(out, ", \"severity\": ", severity);
    }
    buf_puts(out, "}}");
}

/* The results of all sections, one a line: as a tree of values they would take more memory than all else of a run. */
static int put_results(buf *out, const json_t *sections, const json_t *index) {
    buf text = BUF_INIT;
    size_t i, k, n = 0;
    json_t *section, *entry;
    bool failed = false;
    json_array_foreach((json_t *)sections, i, section) {
        const char *script = report_member(section, "script");
        json_t *uri = uri_of(script != NULL ? script : "gate-engine");
        failed = failed || uri == NULL;
        json_array_foreach(json_object_get(section, "checks"), k, entry) {
            if (!failed && is_result(entry)) {
                buf_puts(out, n++ > 0 ? ",\n" : "\n");
                put_result(out, &text, json_string_value(uri), index, section, entry);
            }
        }
        json_decref(uri);
    }
    failed = failed || text.failed || out->failed;
    buf_free(&text);
    return failed ? -1 : 0;
}

/* The tool ran to its end and could evaluate everything: only then may "no results" mean that all is well. */
static bool succeeded(const json_t *report) {
    const char *status = report_member(report, "status");
    return report_same(status, "PASS") || report_same(status, "FAIL");
}

/* What each gate used of what it may use, by id. */
static json_t *budgets_of(const json_t *report) {
    json_t *out = json_object();
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        const char *id = report_member(gate, "id");
        json_t *limits = json_object_get(gate, "limits");
        if (id != NULL && limits != NULL && json_object_set(out, id, limits) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* The run without its results. */
static json_t *run_of(const json_t *report, json_t *rules) {
    const char *script = report_member(report, "script");
    const char *tenant = report_member(report, "tenant");
    return json_pack("{s:{s:{s:s, s:s, s:s, s:O}}, s:[{s:b, s:O, s:O}], s:s, s:{s:s?, s:s?, s:O, s:O, s:o}}", "tool",
                     "driver", "name", "gate-engine", "version", GE_VERSION, "semanticVersion", GE_VERSION, "rules",
                     rules, "invocations", "executionSuccessful", succeeded(report), "exitCode",
                     json_object_get(report, "exit_code"), "startTimeUtc", json_object_get(report, "started"),
                     "columnKind", "utf16CodeUnits", "properties", "script", script, "tenant", tenant, "status",
                     json_object_get(report, "status"), "approved", json_object_get(report, "approved"), "budgets",
                     budgets_of(report));
}

static int put_run(buf *out, const json_t *run, const json_t *sections, const json_t *index) {
    const char *key;
    json_t *value;
    buf_puts(out, "{\n  \"$schema\": \"" SARIF_SCHEMA "\",\n  \"version\": \"2.1.0\",\n  \"runs\": [\n    {");
    json_object_foreach((json_t *)run, key, value) {
        put_member(out, "\n      ", key);
        buf_puts(out, ": ");
        report_put_json(out, value, 3);
        buf_putc(out, ',');
    }
    buf_puts(out, "\n      \"results\": [");
    int rc = put_results(out, sections, index);
    buf_puts(out, "\n      ]\n    }\n  ]\n}\n");
    return out->failed ? -1 : rc;
}

int report_sarif(buf *out, const json_t *report, err *e) {
    json_t *sections = report_sections(report), *rules = json_array(), *index = json_object();
    int rc = sections != NULL && rules != NULL && index != NULL ? 0 : -1;
    size_t i, k;
    json_t *section, *entry;
    json_array_foreach(sections, i, section) {
        json_array_foreach(json_object_get(section, "checks"), k, entry) {
            rc |= rc == 0 ? add_rule(rules, index, entry) : -1;
        }
    }
    json_t *run = rc == 0 ? run_of(report, rules) : NULL;
    rc = run != NULL ? put_run(out, run, sections, index) : -1;
    json_decref(run);
    json_decref(sections);
    json_decref(rules);
    json_decref(index);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the SARIF report");
}
