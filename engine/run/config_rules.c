/* config_rules.c: what the schema's types cannot say: keys that need each other, names that must exist, paths. */
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/text.h"
#include "run/config_parts.h"
#include "run/evidence.h"

#define ADAPTER_BYTES_MAX (1u << 20)

#define NAMES_MAX 256

/* table[name] must exist, where `path` names it. */
static int must_exist(const json_t *table, const char *what, const char *name, const char *path,
                      const schema_source *src, err *e) {
    if (name == NULL || json_object_get(table, name) != NULL) {
        return 0;
    }
    const char *names[NAMES_MAX + 1];
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)table, key, value) {
        if (n < NAMES_MAX) {
            names[n++] = key;
        }
    }
    names[n] = NULL;
    const char *near = text_suggest(name, names);
    buf fix = BUF_INIT;
    if (near != NULL) {
        buf_printf(&fix, "did you mean \"%s\"?", near);
    } else {
        buf_printf(&fix, "define %s.%s, or name one that is defined", what, name);
    }
    schema_problem(src, path, NULL, e, "config_reference", buf_str(&fix),
                   "expected the name of an entry of %s, found \"%s\"", what, name);
    buf_free(&fix);
    return -1;
}

static int rule_references(const json_t *doc, const schema_source *src, err *e) {
    const json_t *endpoints = json_object_get(doc, "endpoints");
    const char *name;
    json_t *entry;
    char path[160];
    json_object_foreach((json_t *)endpoints, name, entry) {
        snprintf(path, sizeof path, text_is_id(name) ? "endpoints.%s.auth" : "endpoints[\"%s\"].auth", name);
        if (must_exist(json_object_get(doc, "auth"), "auth", json_string_value(json_object_get(entry, "auth")), path,
                       src, e) != 0) {
            return -1;
        }
    }
    static const char *const users[] = {"solver", "tickets"};
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        const char *used = json_string_value(json_object_get(json_object_get(doc, users[i]), "endpoint"));
        snprintf(path, sizeof path, "%s.endpoint", users[i]);
        if (must_exist(endpoints, "endpoints", used, path, src, e) != 0) {
            return -1;
        }
    }
    size_t i;
    json_array_foreach(json_object_get(doc, "webhooks"), i, entry) {
        snprintf(path, sizeof path, "webhooks[%zu].endpoint", i + 1);
        if (must_exist(endpoints, "endpoints", json_string_value(json_object_get(entry, "endpoint")), path, src, e) !=
            0) {
            return -1;
        }
    }
    return 0;
}

static int rule_trust(const json_t *doc, const schema_source *src, err *e) {
    static const char *const kinds[] = {"setting", "role", "routine"};
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(doc, "trust"), i, entry) {
        size_t named = 0;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            named += json_object_get(entry, kinds[k]) != NULL;
        }
        bool pinned = json_object_get(entry, "definition") != NULL;
        char path[64];
        snprintf(path, sizeof path, "trust[%zu]", i + 1);
        if (named != 1) {
            return schema_problem(src, path, NULL, e, "schema_required",
                                  "say what is trusted: one setting, one role, or one routine",
                                  "expected either setting, role or routine, found %s", named > 0 ? "several" : "none");
        }
        if (pinned != (json_object_get(entry, "routine") != NULL)) {
            return schema_problem(src, path, NULL, e, pinned ? "schema_unknown_key" : "schema_required",
                                  "the finding about the routine has the entry with its definition",
                                  pinned ? "expected definition beside routine alone, found it without one"
                                         : "expected the routine's definition, found none");
        }
    }
    return 0;
}

static int rule_connection(const json_t *database, const char *name, const schema_source *src, err *e) {
    const json_t *c = json_object_get(database, name);
    static const char *const parts[] = {"host", "port", "dbname", "user", "password"};
    for (size_t i = 0; json_object_get(c, "url") != NULL && i < sizeof parts / sizeof *parts; i++) {
        if (json_object_get(c, parts[i]) != NULL) {
            char path[64];
            snprintf(path, sizeof path, "database.%s.%s", name, parts[i]);
            return schema_problem(src, path, NULL, e, "schema_unknown_key", "keep the URL or the parts, not both",
                                  "expected no %s beside url, found one", parts[i]);
        }
    }
    return 0;
}

/* A file that describes a database and does not say "external" would be validated against something else, silently. */
static int rule_platform(const json_t *doc, const schema_source *src, err *e) {
    bool external = strcmp(json_string_value(json_object_get(doc, "platform")), "external") == 0;
    const json_t *database = json_object_get(doc, "database");
    static const char *const roles[] = {"admin", "app", "operator"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        char path[64];
        snprintf(path, sizeof path, "database.%s", roles[i]);
        if (!external && json_object_get(database, roles[i]) != NULL) {
            return schema_problem(src, path, NULL, e, "config_wrong_target",
                                  "write platform = \"external\" to validate that database, or remove the key",
                                  "expected no connection on the embedded platform, found one");
        }
        if (rule_connection(database, roles[i], src, e) != 0) {
            return -1;
        }
    }
    const json_t *artifacts = json_object_get(doc, "artifacts");
    const char *kind = json_string_value(json_object_get(artifacts, "kind"));
    if (external && kind != NULL && strcmp(kind, "local") == 0 && json_object_get(artifacts, "path") == NULL) {
        return schema_problem(src, "artifacts.path", NULL, e, "schema_required",
                              "name the directory in which artifacts are stored",
                              "expected a string that is not empty, found nothing");
    }
    return 0;
}

/* The platform's plans by an adapter: one that the operators wrote. */
static int rule_solver(const json_t *doc, const schema_source *src, err *e) {
    const char *kind = json_string_value(json_object_get(json_object_get(doc, "solver"), "kind"));
    const char *adapter = json_string_value(json_object_get(doc, "adapter"));
    size_t n = adapter != NULL ? strlen(adapter) : 0;
    if (kind == NULL || strcmp(kind, "adapter") != 0 || (n > 4 && strcmp(adapter + n - 4, ".lua") == 0)) {
        return 0;
    }
    return schema_problem(src, "solver.kind", NULL, e, "schema_required",
                          "adapter = \"FILE.lua\", whose function solve_plan makes the plans; for the platform's API "
                          "solver = { kind = \"http\", endpoint = \"platform\" }",
                          "expected an adapter of your own beside kind \"adapter\", found %s",
                          adapter != NULL ? adapter : "none");
}

static int rule_tickets(const json_t *doc, const schema_source *src, err *e) {
    const json_t *tickets = json_object_get(doc, "tickets");
    bool endpoint = json_object_get(tickets, "endpoint") != NULL, file = json_object_get(tickets, "file") != NULL;
    if (tickets == NULL || endpoint != file) {
        return 0;
    }
    return schema_problem(src, "tickets", NULL, e, "schema_required", "say where they are: one endpoint, or one file",
                          "expected either endpoint or file, found %s", endpoint ? "both" : "neither");
}

static bool names_tenant(const json_t *artifacts) {
    static const char *const KEYS[] = {"bucket", "container", "prefix"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const char *text = json_string_value(json_object_get(artifacts, KEYS[i]));
        if (text != NULL && strstr(text, "{tenant}") != NULL) {
            return true;
        }
    }
    return false;
}

static int rule_artifacts(const json_t *doc, const schema_source *src, err *e) {
    const json_t *artifacts = json_object_get(doc, "artifacts");
    const char *kind = json_string_value(json_object_get(artifacts, "kind"));
    bool key = json_object_get(artifacts, "key") != NULL, sas = json_object_get(artifacts, "sas") != NULL;
    bool other = json_object_get(artifacts, "other_tenant") != NULL;
    if (kind == NULL || strcmp(kind, "local") == 0) {
        return 0;
    }
    if (strcmp(kind, "azure") == 0 && key == sas) {
        return schema_problem(src, "artifacts.key", NULL, e, "schema_required",
                              "set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or name one of them here",
                              "expected either key or sas, found %s", key ? "both" : "neither");
    }
    if (names_tenant(artifacts) != other) {
        return schema_problem(src, "artifacts.other_tenant", NULL, e, "schema_required",
                              "where the place is a tenant's ({tenant}), name one whose place must stay closed",
                              other ? "expected {tenant} in bucket, container or prefix, found none"
                                    : "expected another tenant's code, found nothing");
    }
    return 0;
}

/* A ledger is of all tenants: its head is in a place that is one for all, and stays. */
static int rule_anchor(const json_t *doc, const schema_source *src, err *e) {
    const json_t *evidence = json_object_get(doc, "evidence"), *artifacts = json_object_get(doc, "artifacts");
    const char *kind = json_string_value(json_object_get(artifacts, "kind"));
    bool local = kind == NULL || strcmp(kind, "local") == 0;
    if (json_object_get(evidence, "anchor") == NULL) {
        return 0;
    }
    if (local && json_object_get(artifacts, "path") == NULL) {
        return schema_problem(src, "evidence.anchor", NULL, e, "schema_required",
                              "set artifacts: a bucket, a container, or a directory with path",
                              "expected artifacts in a place of their own, found none");
    }
    if (names_tenant(artifacts)) {
        return schema_problem(src, "evidence.anchor", NULL, e, "schema_required",
                              "leave evidence.anchor out, or keep artifacts in one place for all tenants",
                              "expected artifacts in one place for all tenants, found {tenant} in it");
    }
    return 0;
}

/* Who writes a ledger in the database is the operator. */
static int rule_ledger(const json_t *doc, const schema_source *src, err *e) {
    bool external = strcmp(json_string_value(json_object_get(doc, "platform")), "external") == 0;
    if (external && evidence_in_database(doc) &&
        json_object_get(json_object_get(doc, "database"), "operator") == NULL) {
        return schema_problem(src, "evidence.ledger", NULL, e, "schema_required",
                              "set database.operator: it may add to core.ledger; or name a file here",
                              "expected database.operator beside a ledger in the database, found none");
    }
    return 0;
}

int config_rules(const json_t *doc, const schema_source *src, err *e) {
    if (rule_platform(doc, src, e) != 0 || rule_references(doc, src, e) != 0) {
        return -1;
    }
    return rule_trust(doc, src, e) == 0 && rule_artifacts(doc, src, e) == 0 && rule_anchor(doc, src, e) == 0 &&
                   rule_ledger(doc, src, e) == 0 && rule_solver(doc, src, e) == 0
               ? rule_tickets(doc, src, e)
               : -1;
}

/* ---- paths ---- */

static int absolute(json_t *table, const char *key, const char *dir, err *e) {
    const char *path = json_string_value(json_object_get(table, key));
    if (path == NULL || *path == '/') {
        return 0;
    }
    char *full = fs_join(dir, path);
    int rc = full != NULL ? json_object_set_new(table, key, json_string(full)) : -1;
    free(full);
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while reading the configuration");
}

/* A program named with a slash is a path from the file's directory; a bare name is looked for in PATH. */
static int absolute_program(json_t *command, const char *dir, err *e) {
    json_t *argv = json_object_get(command, "argv");
    const char *program = json_string_value(json_array_get(argv, 0));
    if (program != NULL && *program != '/' && strchr(program, '/') != NULL) {
        char *full = fs_join(dir, program);
        int rc = full != NULL ? json_array_set_new(argv, 0, json_string(full)) : -1;
        free(full);
        if (rc != 0) {
            return err_set(e, "out_of_memory", "out of memory while reading the configuration");
        }
    }
    return absolute(command, "cwd", dir, e);
}

/* Where, in the path of a file that the pattern found, the part begins that others than the operator may have made:
 * after the directory of the configuration, or in an absolute pattern at its first part with a wildcard, if only the
 * name. */
static size_t foreign_from(const char *file, const char *pattern, const char *dir) {
    size_t n = strlen(dir);
    if (*pattern != '/') {
        return strncmp(file, dir, n) == 0 ? n : 0;
    }
    n = strcspn(pattern, "*?[\\");
    while (n > 0 && pattern[n] != '/') {
        n--;
    }
    return n;
}

/* The first part of the path, from `from` on, that is a link out of the directory it stands in, cut off behind it. */
static bool find_link_out(const char *file, size_t from, char at[PATH_MAX]) {
    if (snprintf(at, PATH_MAX, "%s", file) >= PATH_MAX) {
        return true;
    }
    for (char *part = at + from, *end; *part != '\0'; part = end) {
        part += strspn(part, "/");
        end = part + strcspn(part, "/");
        size_t n = (size_t)(end - part);
        bool dots = n == 0 || (n == 1 && *part == '.') || (n == 2 && part[0] == '.' && part[1] == '.');
        char kept = *end;
        *end = '\0';
        if (!dots && fs_leads_out(at)) {
            return true;
        }
        *end = kept;
    }
    return false;
}

/* An audit is a file, and lies where it was looked for: who may commit a link among the audits of a tenant would else
 * read, in the error of the parser, a line of any file that the operator can read. */
static int check_audit(const char *file, const char *pattern, const char *path, const char *dir,
                       const schema_source *src, err *e) {
    char at[PATH_MAX];
    bool out = find_link_out(file, foreign_from(file, pattern, dir), at);
    if (!out && fs_is_file(file)) {
        return 0;
    }
    const char *bad = out ? at : file;
    size_t n = strlen(dir);
    bad += strncmp(bad, dir, n) == 0 && bad[n] == '/' ? n + 1 : 0;
    buf shown = BUF_INIT;
    text_sanitise(&shown, bad, strlen(bad), 200, false);
    int rc = schema_problem(src, path, NULL, e, "config_path",
                            out ? "put the file itself there, or name the directory that the link leads to"
                                : "remove it, or write a pattern that fits files only",
                            out ? "expected audits that lie where they are named, found a symbolic link that leads out "
                                  "of its directory: %s"
                                : "expected regular files only, found something else: %s",
                            buf_str(&shown));
    buf_free(&shown);
    return rc;
}

/* One entry of audits: its files are appended to out. An entry that finds nothing is a mistake: an audit would silently
 * not run. */
static int expand_audit(const char *pattern, size_t i, const char *dir, json_t *out, const schema_source *src, err *e) {
    char *full = fs_join(dir, pattern);
    glob_t g = {0};
    int rc = full != NULL ? glob(full, GLOB_ERR, NULL, &g) : GLOB_NOSPACE;
    free(full);
    char path[64];
    snprintf(path, sizeof path, "audits[%zu]", i + 1);
    int done = 0;
    if (rc != 0) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, pattern, strlen(pattern), 80, false);
        done = schema_problem(src, path, NULL, e, "config_missing_file",
                              "correct the path (it starts at the file's directory), or remove it",
                              "expected at least one file, found none that fits \"%s\"", buf_str(&shown));
        buf_free(&shown);
    }
    for (size_t k = 0; done == 0 && k < g.gl_pathc; k++) {
        done = check_audit(g.gl_pathv[k], pattern, path, dir, src, e);
    }
    for (size_t k = 0; done == 0 && k < g.gl_pathc; k++) {
        size_t at;
        const json_t *had;
        bool twice = false;
        json_array_foreach(out, at, had) {
            twice = twice || strcmp(json_string_value(had), g.gl_pathv[k]) == 0;
        }
        if (!twice && json_array_append_new(out, json_string(g.gl_pathv[k])) != 0) {
            done = err_set(e, "config_path", "%s: the path of an audit is not UTF-8", src->file);
        }
    }
    globfree(&g);
    return done;
}

static int expand_audits(json_t *doc, const char *dir, const schema_source *src, err *e) {
    json_t *out = json_array();
    size_t i;
    const json_t *pattern;
    json_array_foreach(json_object_get(doc, "audits"), i, pattern) {
        if (expand_audit(json_string_value(pattern), i, dir, out, src, e) != 0) {
            json_decref(out);
            return -1;
        }
    }
    return json_object_set_new(doc, "audits", out) == 0
               ? 0
               : err_set(e, "out_of_memory", "out of memory while reading the configuration");
}

/* An adapter of the operators' own is read once, with the configuration whose hash it then is part of: what a gate runs
 * is what was compared with its pin. */
static int read_adapter(json_t *doc, const char *dir, err *e) {
    const char *adapter = json_string_value(json_object_get(doc, "adapter"));
    if (adapter == NULL || (strlen(adapter) < 4 || strcmp(adapter + strlen(adapter) - 4, ".lua") != 0)) {
        return 0;
    }
    if (absolute(doc, "adapter", dir, e) != 0) {
        return -1;
    }
    buf text = BUF_INIT;
    int rc = fs_read(json_string_value(json_object_get(doc, "adapter")), ADAPTER_BYTES_MAX, &text, e);
    if (rc == 0 && json_object_set_new(doc, "adapter_text", json_stringn(buf_str(&text), text.len)) != 0) {
        rc = err_set(e, "config_path", "adapter: %s is not UTF-8", json_string_value(json_object_get(doc, "adapter")));
    }
    buf_free(&text);
    return rc;
}

int config_paths(json_t *doc, const char *dir, const schema_source *src, err *e) {
    static const char *const top[] = {"recording", "status_file"};
    static const char *const nested[][2] = {{"artifacts", "path"},
                                            {"artifacts", "ca_file"},
                                            {"mail", "ca_file"},
                                            {"evidence", "ledger"},
                                            {"tickets", "file"}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof top / sizeof *top; i++) {
        rc = absolute(doc, top[i], dir, e);
    }
    for (size_t i = 0; rc == 0 && i < sizeof nested / sizeof *nested; i++) {
        if (strcmp(nested[i][1], "ledger") == 0 && evidence_in_database(doc)) {
            continue;
        }
        rc = absolute(json_object_get(doc, nested[i][0]), nested[i][1], dir, e);
    }
    if (rc == 0) {
        rc = absolute(json_object_get(json_object_get(doc, "packs"), "routing"), "matrix", dir, e);
    }
    rc = rc == 0 ? read_adapter(doc, dir, e) : rc;
    const char *name;
    json_t *entry;
    json_object_foreach(json_object_get(doc, "endpoints"), name, entry) {
        rc = rc == 0 ? absolute(entry, "ca_file", dir, e) : rc;
    }
    json_object_foreach(json_object_get(doc, "commands"), name, entry) {
        rc = rc == 0 ? absolute_program(entry, dir, e) : rc;
    }
    if (rc == 0) {
        rc = absolute_program(json_object_get(doc, "solver"), dir, e);
    }
    return rc == 0 ? expand_audits(doc, dir, src, e) : rc;
}
