#include <string.h>

#include "run/report_parts.h"

const char *report_member(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL && s[0] != '\0' ? s : NULL;
}

bool report_same(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

entry_kind report_kind(const json_t *entry) {
    const char *status = report_member(entry, "status");
    const char *severity = report_member(entry, "severity");
    if (report_same(status, "SKIP") || report_same(report_member(entry, "step"), "would")) {
        return ENTRY_SKIP;
    }
    if (!report_same(status, "PASS")) {
        return report_same(status, "FAIL") ? ENTRY_FAIL : ENTRY_ERROR;
    }
    return report_same(severity, "advisory") ? ENTRY_ADVISORY : report_same(severity, "note") ? ENTRY_NOTE : ENTRY_PASS;
}

const char *report_kind_name(entry_kind kind) {
    static const char *const NAMES[] = {"PASS", "note", "advisory", "SKIP", "FAIL", "ERROR"};
    return NAMES[kind];
}

const char *report_saying(const json_t *entry) {
    const char *failure = report_member(entry, "failure");
    if (failure != NULL) {
        return failure;
    }
    const char *detail = report_member(entry, "detail");
    entry_kind kind = report_kind(entry);
    if (kind == ENTRY_PASS) {
        return detail != NULL ? detail : "passed";
    }
    if (kind == ENTRY_SKIP && report_same(report_member(entry, "step"), "would")) {
        return "a dry run: it would be done";
    }
    return detail != NULL ? detail : "no reason was given";
}

const char *report_class(const json_t *entry) {
    const char *class = report_member(entry, "class");
    const char *code = report_member(entry, "code");
    return class != NULL ? class : code != NULL ? code : "error";
}

/* An entry in the form of the schema, for a verdict that no entry explains. */
static json_t *entry_of_error(const char *name, const char *status, const json_t *error, const char *otherwise) {
    const char *message = report_member(error, "message");
    return json_pack("{s:s, s:s, s:n, s:s?, s:s?, s:n, s:s?, s:s?, s:s?, s:n, s:f}", "name", name, "status", status,
                     "severity", "class", NULL, "failure", message != NULL ? message : otherwise, "object", "code",
                     report_member(error, "code"), "detail", report_member(error, "detail"), "fix",
                     report_member(error, "fix"), "reproduce", "duration_ms", 0.0);
}

static bool explains(const json_t *checks) {
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)checks, i, entry) {
        entry_kind kind = report_kind(entry);
        if (kind == ENTRY_FAIL || kind == ENTRY_ERROR) {
            return true;
        }
    }
    return false;
}

static json_t *section_of(const json_t *gate) {
    json_t *section = json_copy((json_t *)gate);
    json_t *checks =
        json_is_array(json_object_get(gate, "checks")) ? json_copy(json_object_get(gate, "checks")) : json_array();
    if (section == NULL || checks == NULL || json_object_set(section, "checks", checks) != 0) {
        json_decref(section);
        json_decref(checks);
        return NULL;
    }
    const char *status = report_member(gate, "status");
    int rc = 0;
    if (!report_same(status, "PASS") && !explains(checks)) {
        bool failed = report_same(status, "FLAKY") || report_same(status, "FAIL");
        rc = json_array_append_new(checks,
                                   entry_of_error("gate", failed ? "FAIL" : "ERROR", json_object_get(gate, "error"),
                                                  report_member(gate, "summary")));
    }
    json_decref(checks);
    if (rc != 0) {
        json_decref(section);
        return NULL;
    }
    return section;
}

static json_t *section_of_run(const json_t *report) {
    const char *script = report_member(report, "script");
    json_t *entry = entry_of_error("run", "ERROR", json_object_get(report, "error"), "nothing was evaluated");
    return json_pack("{s:s, s:s, s:b, s:s?, s:s?, s:O, s:s?, s:[o], s:{}}", "id", "gate_engine", "name",
                     script != NULL ? script : "gate-engine", "run", 1, "script", script, "status",
                     report_member(report, "status"), "duration_ms", json_object_get(report, "duration_ms"), "summary",
                     "not evaluated", "checks", entry, "facts");
}

json_t *report_sections(const json_t *report) {
    json_t *out = json_array();
    const json_t *gates = json_object_get(report, "gates");
    size_t i;
    json_t *gate;
    int rc = out != NULL ? 0 : -1;
    json_array_foreach((json_t *)gates, i, gate) {
        rc |= rc == 0 ? json_array_append_new(out, section_of(gate)) : -1;
    }
    if (rc == 0 && (json_array_size(gates) == 0 || json_is_object(json_object_get(report, "error")))) {
        rc = json_array_append_new(out, section_of_run(report));
    }
    if (rc != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *report_blocks(const json_t *checks, entry_kind kind) {
    json_t *blocks = json_object();
    size_t i;
    json_t *entry;
    json_array_foreach((json_t *)checks, i, entry) {
        if (report_kind(entry) != kind) {
            continue;
        }
        const char *class = report_member(entry, "class");
        /* The findings of one class and one check are told together; two checks of a class are two things. */
        const char *by = report_member(entry, kind == ENTRY_ERROR ? "failure" : "name");
        buf key = BUF_INIT;
        buf_printf(&key, "%s\n%s", class != NULL ? class : "", by != NULL ? by : "");
        json_t *block = json_object_get(blocks, buf_str(&key));
        if (block == NULL) {
            block = json_array();
            json_object_set_new(blocks, buf_str(&key), block);
        }
        json_array_append(block, entry);
        buf_free(&key);
    }
    return blocks;
}
