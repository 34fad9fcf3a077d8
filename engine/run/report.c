#include "run/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "run/cli.h"
#include "run/options.h"

enum { LINE_MAX_BYTES = 4000 };

/* Approval needs all of these among the gates of a suite (design §1). */
static const char *const ONBOARDING[] = {"rls_harness", "determinism_proof", "golden_path_e2e",
                                         "integrations_contract"};

/* Foreign text as a report may carry it: masked, printable, bounded. NULL gives JSON null. New reference. */
static json_t *clean(const char *s, bool multiline) {
    if (s == NULL) {
        return json_null();
    }
    buf masked = BUF_INIT;
    buf shown = BUF_INIT;
    json_t *out = NULL;
    if (log_mask(&masked, s, strlen(s)) == 0 &&
        text_sanitise(&shown, buf_str(&masked), masked.len, LINE_MAX_BYTES, multiline) == 0) {
        out = json_stringn(buf_str(&shown), shown.len);
    }
    buf_free(&masked);
    buf_free(&shown);
    return out != NULL ? out : json_string("(text lost: out of memory)");
}

static json_t *clean_or_null(const char *s) {
    return s != NULL && s[0] != '\0' ? clean(s, true) : json_null();
}

/* --- scripts that look like one of the four --- */

static const char *const FOUR_NAMES[] = {"rls harness", "determinism proof", "golden path e2e",
                                         "integrations contract"};

/* Letters and digits alone, in lower case: no spelling of a name makes another one of it. */
static void plain(const char *s, char *out, size_t cap) {
    size_t n = 0;
    for (; *s != '\0' && n + 1 < cap; s++) {
        if (isalnum((unsigned char)*s)) {
            out[n++] = (char)tolower((unsigned char)*s);
        }
    }
    out[n] = '\0';
}

static bool looks_like_one(const json_t *head) {
    const char *id = json_string_value(json_object_get(head, "id"));
    const char *name = json_string_value(json_object_get(head, "name"));
    char mine[256], theirs[64];
    plain(name != NULL ? name : "", mine, sizeof mine);
    for (size_t i = 0; i < sizeof ONBOARDING / sizeof ONBOARDING[0]; i++) {
        plain(FOUR_NAMES[i], theirs, sizeof theirs);
        if ((id != NULL && strcmp(id, ONBOARDING[i]) == 0) || strstr(mine, theirs) != NULL) {
            return true;
        }
    }
    return false;
}

/* What a script of one's own is, that bears a name or id of the four; null for all others. */
static json_t *lookalike(const json_t *gate) {
    const char *path = json_string_value(json_object_get(json_object_get(gate, "raw"), "path"));
    if (json_is_true(json_object_get(gate, "shipped")) || !looks_like_one(json_object_get(gate, "head"))) {
        return json_null();
    }
    buf text = BUF_INIT;
    buf_printf(&text, "not the gate that ships with gate-engine: %s", path != NULL ? path : "?");
    json_t *out = clean(buf_str(&text), false);
    buf_free(&text);
    return out;
}

/* Puts that into the name, which every rendering shows, in place of the gate's number; and, once the gate has run, into
 * a note of its own, for renderings that show no gate without findings. */
static int mark_lookalike(json_t *gate, bool note) {
    const char *what = json_string_value(json_object_get(gate, "lookalike"));
    const char *name = json_string_value(json_object_get(gate, "name"));
    if (what == NULL) {
        return 0;
    }
    buf text = BUF_INIT;
    buf_printf(&text, "%s (%s)", name != NULL ? name : "?", what);
    int rc = json_object_set_new(gate, "name", json_string(buf_str(&text)));
    rc |= json_object_set_new(gate, "number", json_null());
    if (note) {
        rc |= json_array_append_new(json_object_get(gate, "checks"),
                                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:s, s:n, s:f}", "name",
                                              "which gate this is", "status", "PASS", "severity", "note", "class",
                                              "not_shipped", "failure", what, "object", "this script", "detail", "fix",
                                              "run the gate by its id, or give this script an id and a name of its own",
                                              "reproduce", "duration_ms", 0.0));
    }
    buf_free(&text);
    return rc;
}

static json_t *error_object(const err *e) {
    return json_pack("{s:o, s:o, s:o, s:o}", "code", clean(e->code, false), "message", clean(e->message, true),
                     "detail", clean_or_null(e->detail), "fix", clean_or_null(e->fix));
}

/* A path as people type it: relative to the installed tree or the working directory where it lies in one of them. */
static json_t *short_path(const char *path) {
    json_t *out = NULL;
    paths p = {0};
    err ignored;
    char *roots[2] = {NULL, getcwd(NULL, 0)};
    if (paths_find(&p, &ignored) == 0 && p.share != NULL) {
        roots[0] = strdup(p.share);
        paths_free(&p);
    }
    for (size_t i = 0; i < 2 && out == NULL; i++) {
        size_t n = roots[i] != NULL ? strlen(roots[i]) : 0;
        if (n > 1 && strncmp(path, roots[i], n) == 0 && path[n] == '/') {
            out = clean(path + n + 1, false);
        }
    }
    free(roots[0]);
    free(roots[1]);
    return out != NULL ? out : clean(path, false);
}

static const char *member(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* Quoting for a shell, only where it is needed. POSIX 2.2.2: between single quotes every character stands for itself.
 */
static int shell_word(buf *out, const char *s) {
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@%+";
    if (s[0] != '\0' && strspn(s, PLAIN) == strlen(s)) {
        return buf_puts(out, s);
    }
    buf_putc(out, '\'');
    for (; *s != '\0'; s++) {
        if (*s == '\'') {
            buf_puts(out, "'\\''");
        } else {
            buf_putc(out, *s);
        }
    }
    return buf_putc(out, '\'');
}

/* The command that leads out of this gate's failure, or null where the gate has no recovery path. */
static void add_flag(buf *out, const char *flag, const char *value) {
    if (value != NULL) {
        buf_printf(out, " --%s ", flag);
        shell_word(out, value);
    }
}

/* A value of an option as its flag takes it; a path as people type it. */
static void add_option(buf *out, const char *name, const json_t *value) {
    const json_t *path = json_object_get(value, "path");
    json_t *shown = path != NULL            ? short_path(json_string_value(path))
                    : json_is_string(value) ? clean(json_string_value(value), false)
                                            : NULL;
    char *text = shown != NULL ? strdup(json_string_value(shown)) : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_putc(out, ' ');
    options_flag(name, out);
    if (!json_is_boolean(value)) {
        buf_putc(out, ' ');
        shell_word(out, text != NULL ? text : "?");
    } else if (json_is_false(value)) {
        buf_puts(out, "=false");
    }
    json_decref(shown);
    free(text);
}

/* Is it what the option is where nobody says anything? A path is where the default's name was found. */
static bool is_default(const json_t *def, const json_t *value) {
    const char *path = member(value, "path"), *name = json_string_value(def);
    size_t n = name != NULL ? strlen(name) : 0;
    if (path == NULL) {
        return def != NULL && json_equal(def, value);
    }
    return n > 0 && strlen(path) > n && path[strlen(path) - n - 1] == '/' && strcmp(path + strlen(path) - n, name) == 0;
}

/* What the gate was told to look at, so that its way out looks at the same. Where it was to write is not of that. */
static void add_options(buf *out, const json_t *head, const json_t *options) {
    const char *name;
    json_t *spec;
    json_object_foreach(json_object_get(head, "options"), name, spec) {
        const json_t *value = json_object_get(options, name), *one;
        const char *access = member(spec, "access");
        const json_t *def = options_default(json_object_get(head, "options"), spec, options);
        if (value == NULL || is_default(def, value) || (access != NULL && strcmp(access, "write") == 0)) {
            continue;
        }
        if (!json_is_array(value)) {
            add_option(out, name, value);
            continue;
        }
        size_t i;
        json_array_foreach(value, i, one) {
            add_option(out, name, one);
        }
    }
}

static json_t *recover_command(const json_t *gate, const json_t *script, const run_request *r) {
    const json_t *head = json_object_get(gate, "head");
    if (!json_is_true(json_object_get(head, "has_recover"))) {
        return json_null();
    }
    buf out = BUF_INIT;
    buf_puts(&out, "gate-engine recover ");
    const char *name = json_string_value(script);
    /* A name without a slash may be an id, or look like a flag. */
    buf_puts(&out, name != NULL && strchr(name, '/') == NULL && (text_is_id(name) || *name == '-') ? "./" : "");
    shell_word(&out, name != NULL ? name : "?");
    add_flag(&out, "tenant", r->tenant);
    if (r->strict) {
        buf_puts(&out, " --strict");
    }
    if (r->cfg != NULL && r->cfg->by_flag) {
        json_t *path = short_path(r->cfg->path);
        add_flag(&out, "config", json_string_value(path));
        json_decref(path);
    }
    add_options(&out, head, json_object_get(gate, "options"));
    if (r->scratch != NULL) {
        add_flag(&out, json_is_true(json_object_get(r->scratch, "dir")) ? "migrations" : "schema",
                 member(r->scratch, "path"));
        add_flag(&out, "app-role", member(r->scratch, "app"));
        add_flag(&out, "tenant-column", member(r->scratch, "column"));
        add_flag(&out, "tenant-setting", member(r->scratch, "setting"));
    }
    json_t *command = out.failed ? json_null() : json_string(buf_str(&out));
    buf_free(&out);
    return command;
}

static json_t *copied(const json_t *head, const char *key) {
    json_t *v = json_object_get(head, key);
    return json_is_string(v) ? clean(json_string_value(v), false) : json_is_integer(v) ? json_incref(v) : json_null();
}

static json_t *not_evaluated(const run_request *r, const json_t *gate) {
    const json_t *head = json_object_get(gate, "head");
    const char *path = member(json_object_get(gate, "raw"), "path");
    json_t *script = json_array_size(r->gates) == 1 && r->gates != NULL && member(r->head, "kind") != NULL &&
                             strcmp(member(r->head, "kind"), "suite") != 0 && r->script != NULL
                         ? clean(r->script, false)
                         : short_path(path != NULL ? path : "?");
    json_t *out = json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:f, s:{}, s:[], s:{}, s:n}", "id",
                            copied(head, "id"), "name", copied(head, "name"), "number", copied(head, "number"),
                            "status", "ERROR", "summary", "not evaluated", "owner", copied(head, "owner"), "runbook",
                            copied(head, "runbook"), "recover", recover_command(gate, script, r), "script",
                            json_incref(script), "duration_ms", 0.0, "limits", "checks", "facts", "error");
    json_decref(script);
    json_object_set_new(out, "shipped", json_boolean(json_is_true(json_object_get(gate, "shipped"))));
    json_object_set_new(out, "lookalike", lookalike(gate));
    if (mark_lookalike(out, false) != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static json_t *skeleton(const char *script, const char *tenant) {
    char started[CLOCK_RFC3339_MAX];
    clock_rfc3339(started, sizeof started);
    return json_pack("{s:s, s:s, s:s, s:n, s:o, s:o, s:{s:n, s:n, s:n, s:n, s:n}, s:s, s:f, s:s, s:b, s:i, s:n, s:[]}",
                     "schema", REPORT_SCHEMA, "tool", "gate-engine " GE_VERSION, "kind", "none", "name", "script",
                     clean(script, false), "tenant", clean(tenant, false), "target", "platform", "host", "database",
                     "config", "schema_hash", "started", started, "duration_ms", 0.0, "status", "ERROR", "approved", 0,
                     "exit_code", EXIT_BROKEN, "error", "gates");
}

json_t *report_new(const run_request *r) {
    json_t *report = skeleton(r->script, r->tenant);
    if (report == NULL) {
        return NULL;
    }
    const char *kind = member(r->head, "kind");
    const char *platform = r->cfg != NULL ? member(r->cfg->doc, "platform") : NULL;
    json_t *target = json_object_get(report, "target");
    int rc = json_object_set_new(report, "kind", json_string(kind != NULL ? kind : "none"));
    rc |= json_object_set_new(report, "name", copied(r->head, "name"));
    rc |= json_object_set_new(target, "platform", clean(platform, false));
    rc |= json_object_set_new(target, "config", clean(r->cfg != NULL ? r->cfg->path : NULL, false));
    /* A part of the checks, or none of them, never approves; nor does what is known to fail. */
    rc |= json_object_set_new(report, "partial",
                              json_boolean(r->only != NULL || r->dry_run || r->baseline != NULL || r->scratch != NULL));
    json_t *gates = json_object_get(report, "gates");
    size_t i;
    json_t *gate;
    json_array_foreach(r->gates, i, gate) {
        json_t *entry = not_evaluated(r, gate);
        rc |= entry != NULL ? json_array_append_new(gates, entry) : -1;
    }
    if (rc != 0) {
        json_decref(report);
        return NULL;
    }
    return report;
}

json_t *report_for_error(const char *script, const char *tenant, int exit_code, const err *why) {
    json_t *report = skeleton(script, tenant);
    if (report != NULL) {
        json_object_set_new(report, "exit_code", json_integer(exit_code));
        json_object_set_new(report, "error", error_object(why));
    }
    return report;
}

int report_set_target(json_t *report, json_t *target) {
    json_t *mine = json_object_get(report, "target");
    const char *key;
    json_t *value;
    json_object_foreach(target, key, value) {
        json_object_set_new(mine, key, clean(json_string_value(value), false));
    }
    json_decref(target);
    return 0;
}

int report_set_gate(json_t *report, size_t index, json_t *gate) {
    json_t *mine = json_array_get(json_object_get(report, "gates"), index);
    int rc = mine != NULL && gate != NULL ? json_object_update(mine, gate) : -1;
    rc = rc == 0 ? mark_lookalike(mine, true) : rc;
    json_decref(gate);
    return rc;
}

int report_set_error(json_t *report, const err *why) {
    if (!json_is_null(json_object_get(report, "error"))) {
        return 0;
    }
    return json_object_set_new(report, "error", error_object(why));
}

/* --- the verdict over all gates --- */

static bool is_status(const json_t *gate, const char *status) {
    const char *s = member(gate, "status");
    return s != NULL && strcmp(s, status) == 0;
}

static bool any_gate(const json_t *report, const char *status) {
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        if (is_status(gate, status)) {
            return true;
        }
    }
    return false;
}

static bool every_gate_passes(const json_t *report) {
    const json_t *gates = json_object_get(report, "gates");
    size_t i;
    json_t *gate;
    json_array_foreach(gates, i, gate) {
        if (!is_status(gate, "PASS")) {
            return false;
        }
    }
    return json_array_size(gates) > 0;
}

static const char *overall(const json_t *report) {
    if (any_gate(report, "FAIL")) {
        return "FAIL";
    }
    if (any_gate(report, "FLAKY")) {
        return "FLAKY";
    }
    return every_gate_passes(report) && json_is_null(json_object_get(report, "error")) ? "PASS" : "ERROR";
}

static bool has_gate(const json_t *report, const char *id) {
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        const char *mine = member(gate, "id");
        if (mine != NULL && strcmp(mine, id) == 0 && json_is_true(json_object_get(gate, "shipped"))) {
            return true;
        }
    }
    return false;
}

static bool approvable(const json_t *report) {
    const char *kind = member(report, "kind");
    if (kind == NULL || strcmp(kind, "suite") != 0 || !json_is_false(json_object_get(report, "partial"))) {
        return false;
    }
    for (size_t i = 0; i < sizeof ONBOARDING / sizeof ONBOARDING[0]; i++) {
        if (!has_gate(report, ONBOARDING[i])) {
            return false;
        }
    }
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        if (json_object_get(gate, "taken_over") != NULL) { /* answers that this run did not make */
            return false;
        }
    }
    return every_gate_passes(report);
}

static json_t *cut_gate(const json_t *gate, size_t most) {
    json_t *out = json_copy((json_t *)gate);
    json_t *checks = json_array();
    const json_t *all = json_object_get(gate, "checks");
    int rc = out != NULL && checks != NULL ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < json_array_size(all) && i < most; i++) {
        rc = json_array_append(checks, json_array_get(all, i));
    }
    rc = rc == 0 ? json_object_set(out, "checks", checks) : rc;
    json_decref(checks);
    if (rc != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *report_cut(const json_t *report, size_t most, const err *why) {
    json_t *out = json_copy((json_t *)report);
    json_t *gates = json_array();
    int rc = out != NULL && gates != NULL ? 0 : -1;
    size_t i;
    json_t *gate;
    json_array_foreach(json_object_get(report, "gates"), i, gate) {
        rc = rc == 0 ? json_array_append_new(gates, cut_gate(gate, most)) : rc;
    }
    rc = rc == 0 ? json_object_set(out, "gates", gates) | json_object_set_new(out, "error", error_object(why)) : rc;
    json_decref(gates);
    if (rc != 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

int report_exit_code(const json_t *report) {
    if (any_gate(report, "FAIL") || any_gate(report, "FLAKY")) {
        return EXIT_FAIL;
    }
    return strcmp(overall(report), "PASS") == 0 ? EXIT_PASS : EXIT_BROKEN;
}

int report_finish(json_t *report, double duration_ms, bool trusted, int exit_code) {
    int code = exit_code >= 0 ? exit_code : report_exit_code(report);
    const char *status = overall(report);
    /* A run that was cut short is no PASS, even if what had finished by then was. */
    if (code != EXIT_PASS && strcmp(status, "PASS") == 0) {
        status = "ERROR";
    }
    bool approved = trusted && code == EXIT_PASS && strcmp(status, "PASS") == 0 && approvable(report);
    json_object_set_new(report, "status", json_string(status));
    json_object_set_new(report, "duration_ms", json_real(duration_ms));
    json_object_set_new(report, "approved", json_boolean(approved));
    json_object_set_new(report, "exit_code", json_integer(code));
    return code;
}
