#include "run/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err_json.h"
#include "base/fs.h"
#include "base/log.h"
#include "run/head.h"
#include "run/loader.h"
#include "run/record_place.h"
#include "run/signals.h"
#include "run/target_parts.h"

static const json_t *doc(const run_request *r) {
    return r->cfg->doc;
}

static const char *str(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool wants_server(const run_request *r) {
    const char *platform = str(doc(r), "platform");
    return platform == NULL || strcmp(platform, "embedded") == 0;
}

/* Host names out of URLs, so that the broker resolves these and no others. */
static void add_host(json_t *hosts, const char *url) {
    const char *at = url != NULL ? strstr(url, "://") : NULL;
    if (at == NULL) {
        return;
    }
    at += 3;
    size_t authority = strcspn(at, "/?#");
    for (size_t i = authority; i > 0; i--) {
        if (at[i - 1] == '@') {
            at += i;
            authority -= i;
            break;
        }
    }
    size_t n = strcspn(at, ":/?#");
    n = n < authority ? n : authority;
    if (n > 0 && at[0] != '[') {
        json_array_append_new(hosts, json_stringn(at, n));
    }
}

static void add_url(void *hosts, const char *url) {
    add_host(hosts, url);
}

/* A service, and the proxy on the way to it. */
static void add_service(json_t *hosts, const json_t *spec, const char *url) {
    json_t *proxy = target_proxy(spec, url);
    add_host(hosts, url);
    add_host(hosts, json_string_value(proxy));
    json_decref(proxy);
}

static json_t *all_hosts(const json_t *settings, const char *code) {
    json_t *hosts = json_array();
    target_store_urls(settings, code, add_url, hosts);
    json_t *endpoints = json_object_get(settings, "endpoints");
    for (void *it = json_object_iter(endpoints); it != NULL; it = json_object_iter_next(endpoints, it)) {
        add_service(hosts, json_object_iter_value(it), str(json_object_iter_value(it), "url"));
    }
    add_host(hosts, str(json_object_get(settings, "mail"), "url"));
    const json_t *entra = json_object_get(json_object_get(settings, "auth"), "entra");
    add_service(hosts, entra, str(entra, "authority"));
    static const char *const ROLES[] = {"admin", "app", "operator", NULL};
    for (size_t i = 0; ROLES[i] != NULL; i++) {
        const json_t *spec = json_object_get(json_object_get(settings, "database"), ROLES[i]);
        add_host(hosts, str(spec, "url"));
        if (str(spec, "host") != NULL) {
            json_array_append(hosts, json_object_get(spec, "host"));
        }
    }
    return hosts;
}

static json_t *read_helpers(const paths *tree) {
    static const char *const PACKS[] = {"roster", "routing"};
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof PACKS / sizeof PACKS[0]; i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s/stdlib/audit/%s.lua", tree->share, PACKS[i]);
        buf text = BUF_INIT;
        err ignored;
        if (fs_read(path, 1u << 20, &text, &ignored) == 0) {
            json_object_set_new(out, PACKS[i], json_stringn(buf_str(&text), text.len));
        }
        buf_free(&text);
    }
    return out;
}

int target_open_offline(target *t, const run_request *r, const paths *tree, err *e) {
    *t = (target){.embedded = r->scratch == NULL && wants_server(r),
                  .scratch = r->scratch != NULL,
                  .audits = json_array(),
                  .hosts = all_hosts(doc(r), r->tenant != NULL ? r->tenant : ""),
                  .helpers = read_helpers(tree)};
    t->tenant = json_pack("{s:s}", "code", r->tenant != NULL ? r->tenant : "");
    if (t->audits == NULL || t->hosts == NULL || t->helpers == NULL || t->tenant == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    return 0;
}

int target_open(target *t, const paths *tree, int64_t deadline, err *e) {
    if (t->scratch) {
        pg_options o = {.scratch = true, .interrupted = &signals_flag, .deadline = deadline};
        return pg_acquire(&o, &t->server, e);
    }
    if (!t->embedded) {
        return 0;
    }
    char *migrations = fs_join(tree->share, "stdlib/platform/migrations");
    pg_options o = {.migrations_dir = migrations, .interrupted = &signals_flag, .deadline = deadline};
    int rc = migrations != NULL ? pg_acquire(&o, &t->server, e) : err_set(e, "out_of_memory", "out of memory");
    free(migrations);
    if (rc != 0) {
        return -1;
    }
    char *state = pg_state_dir(e);
    t->artifacts = state != NULL ? fs_join(state, "artifacts") : NULL;
    free(state);
    if (t->artifacts == NULL) {
        return -1;
    }
    return fs_mkdirs(t->artifacts, 0700, e);
}

void target_close(target *t) {
    pg_release(t->server);
    free(t->artifacts);
    json_decref(t->tenant);
    json_decref(t->audits);
    json_decref(t->helpers);
    json_decref(t->hosts);
    json_decref(t->evidence);
    *t = (target){0};
}

/* "host:port/database" of an external database's admin (else app) connection, without any credential. */
static void external_place(const json_t *settings, char *host, size_t host_cap, char *database, size_t database_cap) {
    const json_t *db = json_object_get(settings, "database");
    const json_t *spec = json_object_get(db, "admin");
    spec = spec != NULL ? spec : json_object_get(db, "app");
    const char *url = str(spec, "url");
    snprintf(host, host_cap, "%s", str(spec, "host") != NULL ? str(spec, "host") : "");
    snprintf(database, database_cap, "%s", str(spec, "dbname") != NULL ? str(spec, "dbname") : "");
    const char *at = url != NULL ? strstr(url, "://") : NULL;
    if (at == NULL) {
        return;
    }
    at += 3;
    const char *end = at + strcspn(at, "/?");
    for (const char *p = at; p < end; p++) {
        at = *p == '@' ? p + 1 : at;
    }
    snprintf(host, host_cap, "%.*s", (int)(end - at), at);
    if (*end == '/') {
        snprintf(database, database_cap, "%.*s", (int)strcspn(end + 1, "?"), end + 1);
    }
}

char *target_line(const target *t, const run_request *r) {
    char *line = NULL;
    const char *file = r->cfg->path != NULL ? r->cfg->path : "none";
    if (t->embedded && t->server == NULL) {
        return asprintf(&line, "target: embedded platform (not started), config %s", file) >= 0 ? line : NULL;
    }
    if (t->embedded) {
        if (asprintf(&line, "target: embedded platform (%s), socket %s, database %s, config %s",
                     pg_is_kept(t->server) ? "kept" : "private", pg_socket_dir(t->server), pg_database(t->server),
                     file) < 0) {
            return NULL;
        }
        return line;
    }
    if (t->scratch) {
        const char *path = str(r->scratch, "path");
        return asprintf(&line, "target: scratch copy of %s (never approves), config %s", path, file) >= 0 ? line : NULL;
    }
    char host[256];
    char database[128];
    external_place(doc(r), host, sizeof host, database, sizeof database);
    if (asprintf(&line, "target: external platform, host %s, database %s, config %s", host[0] != '\0' ? host : "(none)",
                 database[0] != '\0' ? database : "(none)", file) < 0) {
        return NULL;
    }
    return line;
}

static const char *kind(const target *t) {
    return t->scratch ? "scratch" : t->embedded ? "embedded" : "external";
}

json_t *target_report(const target *t, const run_request *r, const json_t *prepared) {
    char host[256];
    char database[128];
    if (t->server != NULL) {
        snprintf(host, sizeof host, "%s", pg_socket_dir(t->server));
        snprintf(database, sizeof database, "%s", pg_database(t->server));
    } else {
        external_place(doc(r), host, sizeof host, database, sizeof database);
    }
    const json_t *schema = json_object_get(prepared, "schema_hash");
    return json_pack("{s:s, s:s, s:s, s:s?, s:O?, s:s?}", "platform", kind(t), "host", host, "database", database,
                     "config", r->cfg->path, "schema_hash", json_is_string(schema) ? schema : NULL, "schema",
                     str(r->scratch, "path"));
}

/* --- audits --- */

static json_t *broken_audit(const char *path, size_t id, const err *why) {
    return json_pack("{s:I, s:s, s:s, s:o}", "id", (json_int_t)id, "name", path, "path", path, "error",
                     err_to_json(why));
}

static json_t *load_audit(const char *path, size_t id, err *why) {
    json_t *raw = NULL;
    json_t *head = NULL;
    json_t *entry = NULL;
    if (loader_head(path, NULL, &raw, why) == 0 && head_check(raw, &head, why) == 0) {
        if (str(head, "kind") == NULL || strcmp(str(head, "kind"), "audit") != 0) {
            err_set(why, "audit_shape", "%s: expected a tenant audit, found a %s", path, str(head, "kind"));
        } else {
            entry = json_pack("{s:I, s:O, s:O, s:s, s:O, s:O?, s:O*}", "id", (json_int_t)id, "script",
                              json_object_get(head, "id"), "name", json_object_get(head, "name"), "path", path,
                              "source", json_object_get(raw, "source"), "pack", json_object_get(head, "pack"),
                              "history", json_object_get(json_object_get(head, "needs"), "history"));
        }
    }
    json_decref(head);
    json_decref(raw);
    return entry;
}

int target_add_audit(target *t, const char *path, err *e) {
    err why;
    err_clear(&why);
    size_t id = json_array_size(t->audits);
    json_t *entry = load_audit(path, id, &why);
    if (entry == NULL) {
        entry = broken_audit(path, id, &why);
    }
    return entry != NULL && json_array_append_new(t->audits, entry) == 0 ? 0
                                                                         : err_set(e, "out_of_memory", "out of memory");
}

/* --- jobs --- */

/* Options of type path become stores beneath what they name. */
static json_t *job_files(const json_t *head, const json_t *options) {
    json_t *out = json_object();
    json_t *specs = json_object_get(head, "options");
    for (void *it = json_object_iter(specs); it != NULL; it = json_object_iter_next(specs, it)) {
        const char *name = json_object_iter_key(it);
        const char *type = str(json_object_iter_value(it), "type");
        const json_t *value = json_object_get(options, name);
        const char *path = str(value, "path");
        const char *access = str(value, "access");
        if (type == NULL || strcmp(type, "path") != 0 || path == NULL) {
            continue;
        }
        bool writes = access != NULL && strcmp(access, "write") == 0;
        bool file = !writes && !fs_is_dir(path);
        json_object_set_new(out, name,
                            json_pack("{s:s, s:s, s:b, s:b}", "kind", file ? "file" : "local", "path", path, "readonly",
                                      !writes, "create", writes));
    }
    return out;
}

/* Of endpoints and credentials what is no secret: how an endpoint is logged in to, where that is tried, and in which
 * header a key is sent. */
static void add_logins(const run_request *r, json_t *out) {
    json_t *logins = json_object(), *spec;
    const char *name;
    json_object_foreach(json_object_get(doc(r), "endpoints"), name, spec) {
        json_object_set_new(
            logins, name,
            json_pack("{s:O*, s:O*}", "auth", json_object_get(spec, "auth"), "probe", json_object_get(spec, "probe")));
    }
    json_object_set_new(out, "logins", logins);
    const json_t *key = json_object_get(json_object_get(doc(r), "auth"), "api_key");
    json_t *header = json_object_get(key, "header");
    if (header != NULL) {
        json_object_set(out, "api_key_header", header);
        json_object_set_new(out, "api_key_variable", target_key_variable(key));
    }
}

/* What every gate may know of the configuration: nothing secret is in it. */
static json_t *public_config(const run_request *r) {
    static const char *const WHOLE[] = {"platform",     "packs", "validation_tenant", "adapter",
                                        "adapter_text", "trust", "tickets",           NULL};
    static const char *const DATABASE[] = {"tenant", "schemas",  "exclude", "tenant_scoped",
                                           "shared", "fixtures", "probe",   NULL};
    json_t *out = json_object();
    json_t *database = json_object();
    for (size_t i = 0; WHOLE[i] != NULL; i++) {
        json_t *v = json_object_get(doc(r), WHOLE[i]);
        if (v != NULL) {
            json_object_set(out, WHOLE[i], v);
        }
    }
    const json_t *from = json_object_get(doc(r), "database");
    for (size_t i = 0; DATABASE[i] != NULL; i++) {
        json_t *v = json_object_get(from, DATABASE[i]);
        if (v != NULL) {
            json_object_set(database, DATABASE[i], v);
        }
    }
    target_scratch_tenant(r, database);
    const char *role = r->scratch != NULL ? target_scratch_app(r) : str(json_object_get(from, "app"), "role");
    if (role != NULL) {
        json_object_set_new(database, "app_role", json_string(role));
    }
    if (json_object_get(database, "tenant") == NULL) {
        json_object_set_new(database, "tenant", json_object());
    }
    json_object_set_new(out, "database", database);
    add_logins(r, out);
    static const char *const KINDS[] = {"solver", "artifacts", NULL};
    for (size_t i = 0; KINDS[i] != NULL; i++) {
        json_object_set_new(out, KINDS[i],
                            json_pack("{s:s?, s:O*}", "kind", str(json_object_get(doc(r), KINDS[i]), "kind"), "wall_s",
                                      json_object_get(json_object_get(doc(r), KINDS[i]), "wall_s")));
    }
    json_t *names = json_array();
    json_t *endpoints = json_object_get(doc(r), "endpoints");
    for (void *it = json_object_iter(endpoints); it != NULL; it = json_object_iter_next(endpoints, it)) {
        json_array_append_new(names, json_string(json_object_iter_key(it)));
    }
    json_object_set_new(out, "endpoints", names);
    json_object_set_new(out, "recording", json_boolean(json_object_get(doc(r), "recording") != NULL));
    const char *debug = getenv("DEBUG_DETERMINISM");
    json_object_set_new(out, "debug_determinism", json_boolean(debug != NULL && strcmp(debug, "1") == 0));
    return out;
}

static json_t *job_audits(const target *t, const json_t *needs) {
    if (!json_is_true(json_object_get(needs, "audits"))) {
        return NULL;
    }
    json_t *out = json_array();
    size_t i;
    json_t *audit;
    json_array_foreach(t->audits, i, audit) {
        json_array_append_new(out,
                              json_pack("{s:O, s:O, s:O, s:O?, s:O*}", "id", json_object_get(audit, "id"), "name",
                                        json_object_get(audit, "name"), "path", json_object_get(audit, "path"), "pack",
                                        json_object_get(audit, "pack"), "history", json_object_get(audit, "history")));
    }
    return out;
}

/* The credentials a script may present itself. What the engine presents for it is not among them. */
static json_t *job_auth(const run_request *r, const json_t *needs) {
    json_t *out = json_object();
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(needs, "auth"), i, name) {
        json_t *entry = json_object_get(json_object_get(doc(r), "auth"), json_string_value(name));
        json_t *value = json_object_get(entry, "value");
        json_t *own = value != NULL ? json_incref(value) : json_copy(entry);
        if (own != NULL) {
            json_object_del(own, "client_secret");
            json_object_set_new(out, json_string_value(name), own);
        }
    }
    return out;
}

/* An external platform's solver is what the configuration says it is: the reference solver never stands in for it. */
static json_t *job_solver(const run_request *r, const json_t *needs) {
    if (!json_is_true(json_object_get(needs, "solver"))) {
        return json_false();
    }
    return json_object_get(doc(r), "solver") != NULL ? json_true() : json_pack("{s:s}", "missing", "solver");
}

/* The mail server, where the configuration has one: a script that sends mail says what follows where it has none. */
static json_t *job_mail(const run_request *r, const json_t *needs) {
    json_t *spec = json_object_get(doc(r), "mail");
    if (!json_is_true(json_object_get(needs, "mail")) || spec == NULL) {
        return NULL;
    }
    if (str(spec, "from") != NULL) {
        return json_incref(spec);
    }
    json_t *own = json_copy(spec);
    json_object_set_new(own, "missing", json_string("mail.from"));
    return own;
}

/* The directories that files given as options stand in: a store of one file opens it from there. */
static void add_file_dirs(json_t *out, json_t *object) {
    for (void *it = json_object_iter(object); it != NULL; it = json_object_iter_next(object, it)) {
        const char *kind = str(json_object_iter_value(it), "kind");
        const char *path = str(json_object_iter_value(it), "path");
        const char *slash = path != NULL ? strrchr(path, '/') : NULL;
        if (kind != NULL && strcmp(kind, "file") == 0 && slash != NULL && slash > path) {
            json_array_append_new(out, json_stringn(path, (size_t)(slash - path)));
        }
    }
}

/* Certificates that the connections' URLs name (libpq's sslrootcert): a contained worker reads nothing that it was not
 * given. */
static json_t *root_certificates(json_t *databases) {
    json_t *out = json_array();
    for (void *it = json_object_iter(databases); it != NULL; it = json_object_iter_next(databases, it)) {
        err ignored;
        json_t *place = record_upstream(json_object_iter_value(it), &ignored);
        json_t *cert = json_object_get(place, "sslrootcert");
        if (json_is_string(cert)) {
            json_array_append(out, cert);
        }
        json_decref(place);
    }
    return out;
}

/* Declared commands which the configuration does not define, as its keys. */
static json_t *job_missing(const run_request *r, json_t *declared) {
    json_t *out = json_array();
    size_t i;
    json_t *name;
    json_array_foreach(declared, i, name) {
        if (json_object_get(json_object_get(doc(r), "commands"), json_string_value(name)) == NULL) {
            json_array_append_new(out, json_sprintf("commands[\"%s\"]", json_string_value(name)));
        }
    }
    return out;
}

bool target_is_dry(const run_request *r, const char *mode) {
    return r->dry_run && strcmp(mode, "operation") == 0;
}

/* In a dry run nothing is written, and no directory is made for it. */
static void make_readonly(json_t *stores) {
    for (void *it = json_object_iter(stores); it != NULL; it = json_object_iter_next(stores, it)) {
        json_t *spec = json_object_iter_value(it);
        if (json_object_get(spec, "missing") == NULL) {
            json_object_set_new(spec, "readonly", json_true());
            json_object_del(spec, "create");
        }
    }
}

/* Those of the head, whether they were given or not. */
static json_t *path_options(const json_t *head) {
    json_t *out = json_array(), *spec;
    const char *name;
    json_object_foreach(json_object_get(head, "options"), name, spec) {
        const char *type = str(spec, "type");
        if (type != NULL && strcmp(type, "path") == 0) {
            json_array_append_new(out, json_string(name));
        }
    }
    return out;
}

/* How much of one gate's own work may go on at once: without --jobs no more than a few, whatever the machine has. */
static json_int_t side_by_side(const run_request *r) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return r->jobs > 0 ? r->jobs : processors < 2 ? 2 : processors > 4 ? 4 : (json_int_t)processors;
}

json_t *target_job(const target *t, const run_request *r, const json_t *gate, const char *mode) {
    const json_t *head = json_object_get(gate, "head");
    const json_t *needs = json_object_get(head, "needs");
    json_t *options = json_object_get(gate, "options");
    json_t *failures = json_object_get(head, "failures");
    json_t *commands = json_object_get(needs, "commands");
    json_t *job =
        json_pack("{s:s, s:O, s:O, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mode", mode, "tenant", t->tenant, "options",
                  options, "config", public_config(r), "db", target_databases(t, r, needs), "endpoints",
                  target_endpoints(r, needs), "stores", target_stores(t, r, needs), "files", job_files(head, options),
                  "auth", job_auth(r, needs), "platform", json_pack("{s:s}", "kind", kind(t)));
    if (job == NULL) {
        return NULL;
    }
    json_t *dirs = json_array();
    add_file_dirs(dirs, json_object_get(job, "files"));
    add_file_dirs(dirs, json_object_get(job, "stores"));
    json_object_set_new(job, "file_dirs", dirs);
    json_object_set(job, "needs", (json_t *)needs);
    json_object_set_new(job, "path_options", path_options(head));
    json_object_set_new(job, "certificates", root_certificates(json_object_get(job, "db")));
    json_object_set_new(job, "failures", failures != NULL ? json_incref(failures) : json_object());
    json_object_set_new(job, "missing", job_missing(r, commands));
    json_object_set_new(job, "commands", commands != NULL ? json_incref(commands) : json_array());
    json_object_set_new(job, "solver", job_solver(r, needs));
    json_object_set_new(job, "verbose", json_boolean(r->verbose));
    json_object_set_new(job, "jobs", json_integer(side_by_side(r)));
    json_object_set_new(job, "trace", json_boolean(r->trace));
    json_object_set_new(job, "apply", json_boolean(r->apply));
    if (strcmp(mode, "recover") == 0) {
        json_object_set_new(json_object_get(job, "config"), "services", target_services(t, r));
    }
    bool dry = target_is_dry(r, mode);
    json_object_set_new(job, "dry_run", json_boolean(dry));
    if (dry || strcmp(mode, "recover") == 0) {
        make_readonly(json_object_get(job, "stores"));
    }
    if (dry) { /* a recovery's files are what the command line named to be written */
        make_readonly(json_object_get(job, "files"));
    }
    json_object_set_new(job, "strict", json_boolean(r->strict));
    if (t->evidence != NULL && json_is_true(json_object_get(needs, "evidence"))) {
        json_object_set(job, "evidence", t->evidence);
    }
    json_t *mail = job_mail(r, needs);
    if (mail != NULL) {
        json_object_set_new(job, "mail", mail);
    }
    if (json_is_true(json_object_get(needs, "webhooks"))) {
        json_object_set(job, "webhooks", json_object_get(doc(r), "webhooks"));
    }
    json_t *audits = job_audits(t, needs);
    if (audits != NULL) {
        json_object_set_new(job, "audits", audits);
    }
    if (r->only != NULL) {
        json_object_set(job, "only", r->only);
    }
    return job;
}

static void add_solver(json_t *out, const json_t *solver, const paths *tree) {
    const char *kind = str(solver, "kind");
    if (kind == NULL) {
        return;
    }
    char *shim = fs_join(tree->libexec, "perturb.so"); /* what the determinism gate preloads, engine/shim/shim.c */
    if (strcmp(kind, "reference") == 0) {
        static const char *const PROGRAMS[][2] = {{"solver:roster", "roster-solver"},
                                                  {"solver:routing", "routing-solver"}};
        double wall = json_number_value(json_object_get(solver, "wall_s"));
        for (size_t i = 0; i < sizeof PROGRAMS / sizeof PROGRAMS[0]; i++) {
            char *program = fs_join(tree->libexec, PROGRAMS[i][1]);
            json_object_set_new(
                out, PROGRAMS[i][0],
                json_pack("{s:[s], s:f, s:s*}", "argv", program, "wall_s", wall > 0 ? wall : 60.0, "shim", shim));
            free(program);
        }
    } else if (strcmp(kind, "command") == 0) {
        json_t *command = json_copy((json_t *)solver);
        if (shim != NULL) {
            json_object_set_new(command, "shim", json_string(shim));
        }
        json_object_set(out, "solver:roster", command);
        json_object_set_new(out, "solver:routing", command);
    }
    free(shim);
}

json_t *target_commands(const run_request *r, const json_t *head, const paths *tree) {
    json_t *out = json_object();
    const json_t *needs = json_object_get(head, "needs");
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(needs, "commands"), i, name) {
        json_t *spec = json_object_get(json_object_get(doc(r), "commands"), json_string_value(name));
        if (spec != NULL) {
            json_object_set(out, json_string_value(name), spec);
        }
    }
    if (json_is_true(json_object_get(needs, "solver"))) {
        add_solver(out, json_object_get(doc(r), "solver"), tree);
    }
    return out;
}
