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
    return kind == ENTRY_FAIL || kind == ENTRY_ERROR ? "error"
           : kind == ENTRY_ADVISORY                  ? "warning"
           : kind == ENTRY_NOTE                      ? "note"
                                                     : "none";
}

/* What makes two results the same from run to run: services that compare runs look at this key and at no other. */
static json_t *fingerprint_of(const json_t *section, const json_t *entry) {
    static const char *const KEYS[] = {"class", "name", "object"};
    buf text = BUF_INIT;
    const char *id = report_member(section, "id");
    buf_puts(&text, id != NULL ? id : "?");
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        const char *value = report_member(entry, KEYS[i]);
        buf_printf(&text, "\n%s", value != NULL ? value : "");
    }
    char digest[SHA256_HEX_SIZE];
    sha256_hex(buf_str(&text), text.len, digest);
    bool failed = text.failed;
    buf_free(&text);
    return failed ? NULL : json_pack("{s:s}", "primaryLocationLineHash", digest);
}

static json_t *message_of(const json_t *entry) {
    static const char *const MORE[] = {"object", "detail", "fix", "reproduce"};
    static const char *const LABELS[] = {"Object: ", "", "Fix: ", "Reproduce: "};
    buf text = BUF_INIT;
    buf_puts(&text, report_saying(entry));
    for (size_t i = 0; i < sizeof MORE / sizeof MORE[0]; i++) {
        const char *value = report_member(entry, MORE[i]);
        if (value != NULL && value != report_saying(entry)) {
            buf_printf(&text, "\n%s%s", LABELS[i], value);
        }
    }
    json_t *message = text.failed ? NULL : json_pack("{s:s}", "text", buf_str(&text));
    buf_free(&text);
    return message;
}

static json_t *locations_of(const json_t *section, const json_t *entry) {
    const char *script = report_member(section, "script");
    const char *object = report_member(entry, "object");
    json_t *place = json_pack("{s:{s:{s:o}, s:{s:i}}}", "physicalLocation", "artifactLocation", "uri",
                              uri_of(script != NULL ? script : "gate-engine"), "region", "startLine", 1);
    if (place != NULL && object != NULL) {
        json_object_set_new(place, "logicalLocations", json_pack("[{s:s}]", "fullyQualifiedName", object));
    }
    return place;
}

/* The index of a rule, which is added where it is new; -1 out of memory. */
static int rule_of(json_t *rules, json_t *index, const char *id, const json_t *entry) {
    json_t *known = json_object_get(index, id);
    if (known != NULL) {
        return (int)json_integer_value(known);
    }
    const char *fix = report_member(entry, "fix");
    json_t *rule = json_pack("{s:s, s:{s:s}, s:{s:s}}", "id", id, "shortDescription", "text", report_saying(entry),
                             "help", "text", fix != NULL ? fix : "gate-engine explain tells what a class means");
    int at = (int)json_array_size(rules);
    int rc = json_array_append_new(rules, rule) | json_object_set_new(index, id, json_integer(at));
    return rc == 0 ? at : -1;
}

static int add_result(json_t *results, json_t *rules, json_t *index, const json_t *section, const json_t *entry) {
    entry_kind kind = report_kind(entry);
    if (kind == ENTRY_PASS || kind == ENTRY_SKIP) {
        return 0;
    }
    int rule = rule_of(rules, index, report_class(entry), entry);
    json_t *result =
        json_pack("{s:s, s:i, s:s, s:s, s:o, s:[o], s:o, s:{s:O?, s:s, s:O?, s:s}}", "ruleId", report_class(entry),
                  "ruleIndex", rule, "kind", "fail", "level", level_of(kind), "message", message_of(entry), "locations",
                  locations_of(section, entry), "partialFingerprints", fingerprint_of(section, entry), "properties",
                  "gate", json_object_get(section, "id"), "status", report_kind_name(kind), "severity",
                  json_object_get(entry, "severity"), "check",
                  report_member(entry, "name") != NULL ? report_member(entry, "name") : "?");
    if (kind == ENTRY_NOTE && result != NULL) {
        json_object_set_new(result, "kind", json_string("informational"));
        json_object_set_new(result, "level", json_string("none"));
    }
    return rule < 0 ? (json_decref(result), -1) : json_array_append_new(results, result);
}

/* The tool ran to its end and could evaluate everything: only then may "no results" mean that all is well. */
static bool succeeded(const json_t *report) {
    const char *status = report_member(report, "status");
    return report_same(status, "PASS") || report_same(status, "FAIL");
}

static json_t *run_of(const json_t *report, json_t *results, json_t *rules) {
    const char *script = report_member(report, "script");
    const char *tenant = report_member(report, "tenant");
    return json_pack("{s:{s:{s:s, s:s, s:s, s:O}}, s:[{s:b, s:O, s:O}], s:O, s:s, s:{s:s?, s:s?, s:O, s:O}}", "tool",
                     "driver", "name", "gate-engine", "version", GE_VERSION, "semanticVersion", GE_VERSION, "rules",
                     rules, "invocations", "executionSuccessful", succeeded(report), "exitCode",
                     json_object_get(report, "exit_code"), "startTimeUtc", json_object_get(report, "started"),
                     "results", results, "columnKind", "utf16CodeUnits", "properties", "script", script, "tenant",
                     tenant, "status", json_object_get(report, "status"), "approved",
                     json_object_get(report, "approved"));
}

int report_sarif(buf *out, const json_t *report, err *e) {
    json_t *sections = report_sections(report), *results = json_array(), *rules = json_array(), *index = json_object();
    int rc = sections != NULL && results != NULL && rules != NULL && index != NULL ? 0 : -1;
    size_t i, k;
    json_t *section, *entry;
    json_array_foreach(sections, i, section) {
        json_array_foreach(json_object_get(section, "checks"), k, entry) {
            rc |= rc == 0 ? add_result(results, rules, index, section, entry) : -1;
        }
    }
    json_t *run = rc == 0 ? run_of(report, results, rules) : NULL;
    json_t *whole =
        run != NULL ? json_pack("{s:s, s:s, s:[o]}", "$schema", SARIF_SCHEMA, "version", "2.1.0", "runs", run) : NULL;
    rc = whole != NULL ? report_dump(out, whole) : -1;
    json_decref(whole);
    json_decref(sections);
    json_decref(results);
    json_decref(rules);
    json_decref(index);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while writing the SARIF report");
}
