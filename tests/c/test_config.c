/* gate-engine.conf.lua: found, read in a contained child, checked, completed. Each mistake with the exact message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/log.h"
#include "run/config.h"

#define FILE_NAME "gate-engine.conf.lua"
#define SHA256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static char dir[] = "/tmp/gate-engine-config.XXXXXX";

static int enter(void **state) {
    (void)state;
    static const char *const names[] = {"DATABASE_URL", "PGHOST",      "PGHOSTADDR",          "PGPORT",
                                        "PGDATABASE",   "PGUSER",      "PGPASSWORD",          "PGPASSFILE",
                                        "PGSERVICE",    "OSRM_URL",    "PGSERVICEFILE",       "GATE_ENGINE_CONFIG",
                                        "SMTP_URL",     "CONF_SECRET", "ENTRA_CLIENT_SECRET", "ENTRA_TENANT_ID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unsetenv(names[i]);
    }
    return mkdtemp(dir) != NULL && chdir(dir) == 0 && setenv("XDG_CONFIG_HOME", dir, 1) == 0 ? 0 : -1;
}

static int leave(void **state) {
    (void)state;
    err e;
    return chdir("/") == 0 ? fs_remove_tree(dir, &e) : -1;
}

static int fresh(void **state) {
    (void)state;
    unlink(FILE_NAME);
    log_forget_secrets();
    return 0;
}

static void write_file(const char *name, const char *text) {
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void refuse(const char *text, const char *message) {
    write_file(FILE_NAME, text);
    config *c = NULL;
    err e;
    err_clear(&e);
    assert_int_equal(config_load(NULL, false, &c, &e), -1);
    assert_null(c);
    assert_string_equal(e.message, message);
    assert_string_not_equal(e.code, "");
}

/* Every row: the members after `return {`, each on a line of its own (the first is line 2), and what is said. */
static const struct {
    const char *members, *message;
} MISTAKES[] = {
    {"platfrom = 'external',\n", ":2: platfrom: expected a key that is known at the top, found \"platfrom\""},
    {"platform = 'outside',\n", ":2: platform: expected \"embedded\" or \"external\", found \"outside\""},
    {"database = {\n tenant = {\n  column = 'tenant_id',\n },\n},\n",
     ":3: database.tenant.setting: expected the name of a session setting with a dot in it, such as "
     "\"app.current_tenant_id\", found nothing"},
    {"database = { tenant = { column = 'c',\n setting = 'tenant' } },\n",
     ":3: database.tenant.setting: expected the name of a session setting with a dot in it, such as "
     "\"app.current_tenant_id\", found \"tenant\""},
    {"database = { shared = {\n 'public.a',\n 'b' } },\n",
     ":4: database.shared[2]: expected a table as \"schema.table\", found \"b\""},
    {"platform = 'external',\ndatabase = { admin = {\n url = 'mysql://h/x' } },\n",
     ":4: database.admin.url: expected a URL that starts with postgresql://, found a string (not shown, it is a "
     "secret)"},
    {"platform = 'external',\ndatabase = { admin = { url = 'postgresql://h/x',\n password = 'p' } },\n",
     ":4: database.admin.password: expected no password beside url, found one"},
    {"database = {\n app = { role = 'app_user' } },\n",
     ":3: database.app: expected no connection on the embedded platform, found one"},
    {"limits = { scripts = { a1 = {\n memory_mb = 0,\n} } },\n",
     ":3: limits.scripts.a1.memory_mb: expected a whole number from 8 to 65536, found 0"},
    {"limits = { scripts = { a1 = {\n wall = 1,\n} } },\n",
     ":3: limits.scripts.a1.wall: expected a key that is known here, found \"wall\""},
    {"limits = { scripts = {\n [\"A-1\"] = {},\n} },\n",
     ":3: limits.scripts[\"A-1\"]: expected the id of a gate, or "
     "the file name of an audit without .lua for a key, found \"A-1\""},
    {"limits = {\n memory_mb = 0,\n},\n", ":3: limits.memory_mb: expected a whole number from 8 to 65536, found 0"},
    {"endpoints = {\n osrm = { url = 'ftp://x' } },\n",
     ":3: endpoints.osrm.url: expected a URL that starts with http:// or https://, without spaces or control "
     "characters, found a string (not shown, it is "
     "a secret)"},
    {"endpoints = { p = { url = 'http://x',\n auth = 'entar' } },\nauth = { entra = { tenant = 't', client_id = 'c', "
     "client_secret = 'ssss', audience = 'a' } },\n",
     ":3: endpoints.p.auth: expected the name of an entry of auth, found \"entar\""},
    {"artifacts = {\n kind = 's4' },\n", ":3: artifacts.kind: expected \"local\", \"s3\" or \"azure\", found \"s4\""},
    {"platform = 'external',\nartifacts = { kind = 'local' },\n",
     ":3: artifacts.path: expected a string that is not empty, found nothing"},
    {"evidence = { ledger = 'l',\n anchor = 'artifacts' },\n",
     ":3: evidence.anchor: expected artifacts in a place of their own, found none"},
    {"artifacts = { kind = 'azure', account = 'a',\n container = 'c' },\n",
     ":2: artifacts.key: expected either key or sas, found neither"},
    {"artifacts = { kind = 'azure', account = 'a', container = 'c',\n key = 'a2V5', sas = 'sig=x' },\n",
     ":3: artifacts.key: expected either key or sas, found both"},
    {"artifacts = { kind = 's3', access_key_id = 'i', secret_access_key = 's',\n bucket = 'b-{tenant}' },\n",
     ":2: artifacts.other_tenant: expected another tenant's code, found nothing"},
    {"artifacts = { kind = 's3', access_key_id = 'i', secret_access_key = 's', bucket = 'b',\n other_tenant = 'x' },\n",
     ":3: artifacts.other_tenant: expected {tenant} in bucket, container or prefix, found none"},
    {"trust = { {\n reason = 'r', approver = 'a', expires = '2027-06-30' } },\n",
     ":2: trust[1]: expected either setting, role or routine, found none"},
    {"trust = { {\n routine = 'a.f(uuid)', role = 'x', reason = 'r', approver = 'a', expires = '2027-06-30' } },\n",
     ":2: trust[1]: expected either setting, role or routine, found several"},
    {"trust = { {\n routine = 'a.f(uuid)', reason = 'r', approver = 'a', expires = '2027-06-30' } },\n",
     ":2: trust[1]: expected the routine's definition, found none"},
    {"trust = { { routine = 'a.f', reason = 'r', approver = 'a',\n expires = '2027-06-30' } },\n",
     ":2: trust[1].routine: expected a function or procedure as \"schema.name(types of its arguments)\", found "
     "\"a.f\""},
    {"trust = { { setting = 'app.x', reason = 'r', approver = 'a',\n expires = 'soon' } },\n",
     ":3: trust[1].expires: expected a date that exists, as \"2027-06-30\", found \"soon\""},
    {"trust = { { setting = 'app.x', reason = 'r', approver = 'a',\n expires = '2027-02-30' } },\n",
     ":3: trust[1].expires: expected a date that exists, as \"2027-06-30\", found \"2027-02-30\""},
    {"endpoints = {\n p = { url = 'http://h/a b' } },\n",
     ":3: endpoints.p.url: expected a URL that starts with http:// or https://, without spaces or control characters, "
     "found a string (not shown, it is a secret)"},
    {"endpoints = {\n p = { url = 'http://h/\\r\\nHost: x' } },\n",
     ":3: endpoints.p.url: expected a URL that starts with http:// or https://, without spaces or control characters, "
     "found a string (not shown, it is a secret)"},
    {"endpoints = {\n p = { url = 'http://h/\\127' } },\n",
     ":3: endpoints.p.url: expected a URL that starts with http:// or https://, without spaces or control characters, "
     "found a string (not shown, it is a secret)"},
    {"mail = {\n url = 'smtp://h/\\n', from = 'a@b', to = { 'c@d' } },\n",
     ":3: mail.url: expected a URL that starts with smtp:// or smtps://, without spaces or control characters, found a "
     "string (not shown, it is a secret)"},
    {"limits = {\n wall_s = 0 / 0 },\n", ":3: limits.wall_s: expected a finite number, found NaN or an infinite one"},
    {"platform = 'external',\naudits = { 'a',\n -1 / 0 },\n",
     ":4: audits[2]: expected a finite number, found NaN or an infinite one"},
    {"packs = { roster = {\n max_weekly_hours = 1 / 0 } },\n",
     ":3: packs.roster.max_weekly_hours: expected a finite number, found NaN or an infinite one"},
    {"validation_tenant = '\\255',\n",
     ":2: validation_tenant: expected a value that a configuration can hold, found text that is not UTF-8"},
    {"audits = { 'audits/*.lua' },\n", ":2: audits[1]: expected at least one file, found none that fits "
                                       "\"audits/*.lua\""},
    {"commands = { ['backup-now'] = {\n wall_s = 1 } },\n",
     ":2: commands[\"backup-now\"].argv: expected a list of strings, the program first, found nothing"},
    {"commands = { x = { argv = { 'a' },\n wall_s = -1 } },\n",
     ":3: commands.x.wall_s: expected a number from 0.001 to 86400, found -1"},
    {"validation_tenant = 'no good',\n",
     ":2: validation_tenant: expected a tenant code ([A-Za-z0-9][A-Za-z0-9_-]{0,62}), found \"no good\""},
    {"packs = { roster = {\n max_weekly_hours = '55' } },\n",
     ":3: packs.roster.max_weekly_hours: expected a number from 1 to 168, found \"55\""},
    {"evidence = { scripts = { ['gates/x.lua'] = 'abc' } },\n",
     ":2: evidence.scripts[\"gates/x.lua\"]: expected a SHA-256 as 64 lower-case hexadecimal digits, found \"abc\""},
};

static void each_mistake_names_file_line_key_and_what_was_expected(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof MISTAKES / sizeof *MISTAKES; i++) {
        char text[512], message[512];
        snprintf(text, sizeof text, "return {\n%s}\n", MISTAKES[i].members);
        snprintf(message, sizeof message, FILE_NAME "%s", MISTAKES[i].message);
        refuse(text, message);
    }
}

static void every_key_is_documented(const schema_spec *children, int depth) {
    for (const schema_spec *s = children; s != NULL && s->key != NULL && depth < 10; s++) {
        if (s->doc == NULL && s->children != NULL && s->type != SCHEMA_TABLE) {
            fail_msg("%s has no doc", s->key);
        }
        if (s->type == SCHEMA_TABLE || s->type == SCHEMA_VARIANT) {
            every_key_is_documented(s->children, depth + 1);
        }
    }
}

static void keys_have_documentation(void **state) {
    (void)state;
    for (const schema_spec *s = config_schema()->children; s->key != NULL; s++) {
        assert_non_null(s->doc);
    }
    every_key_is_documented(config_schema()->children, 0);
}

static json_t *get(const json_t *v, const char *a, const char *b) {
    return json_object_get(json_object_get(v, a), b);
}

static config *accept(const char *text) {
    if (text != NULL) {
        write_file(FILE_NAME, text);
    }
    config *c = NULL;
    err e;
    err_clear(&e);
    if (config_load(NULL, false, &c, &e) != 0) {
        fail_msg("%s", e.message);
    }
    return c;
}

static void without_a_file_the_embedded_platform_serves(void **state) {
    (void)state;
    config *c = accept(NULL);
    assert_null(c->path);
    assert_false(c->platform_stated);
    assert_string_equal(json_string_value(json_object_get(c->doc, "platform")), "embedded");
    const json_t *tenant = get(c->doc, "database", "tenant");
    assert_string_equal(json_string_value(json_object_get(tenant, "column")), "tenant_id");
    assert_string_equal(json_string_value(json_object_get(tenant, "setting")), "app.current_tenant_id");
    assert_string_equal(json_string_value(json_object_get(tenant, "table")), "core.tenants");
    assert_int_equal(json_integer_value(get(c->doc, "limits", "memory_mb")), 256);
    assert_string_equal(json_string_value(get(c->doc, "solver", "kind")), "reference");
    config_free(c);
}

static void nothing_external_falls_back_to_the_embedded_platform(void **state) {
    (void)state;
    config *c = accept("return { platform = 'external' }\n");
    assert_true(c->platform_stated);
    assert_null(json_object_get(c->doc, "solver"));
    assert_null(json_object_get(c->doc, "artifacts"));
    assert_null(json_object_get(c->doc, "adapter"));
    assert_null(get(c->doc, "database", "tenant"));
    assert_null(get(c->doc, "database", "admin"));
    config_free(c);
}

static void usual_names_fill_a_stated_external_platform(void **state) {
    (void)state;
    setenv("PGHOST", "db.example", 1);
    setenv("PGPORT", "6432", 1);
    setenv("PGUSER", "gate", 1);
    setenv("PGPASSWORD", "hush-hush", 1);
    setenv("DATABASE_URL", "postgresql://app:swordfish@db.example/x", 1);
    setenv("OSRM_URL", "http://osrm:5000", 1);
    config *c = accept("return { platform = 'external', database = { app = { role = 'app_user' } } }\n");
    const json_t *admin = get(c->doc, "database", "admin"), *app = get(c->doc, "database", "app");
    assert_string_equal(json_string_value(json_object_get(admin, "host")), "db.example");
    assert_int_equal(json_integer_value(json_object_get(admin, "port")), 6432);
    assert_string_equal(json_string_value(json_object_get(admin, "user")), "gate");
    assert_string_equal(json_string_value(json_object_get(app, "url")), "postgresql://app:swordfish@db.example/x");
    assert_string_equal(json_string_value(json_object_get(app, "role")), "app_user");
    assert_string_equal(json_string_value(json_object_get(get(c->doc, "endpoints", "osrm"), "url")),
                        "http://osrm:5000");
    config_free(c);
    assert_true(log_has_secret("x hush-hush y", 13));
    assert_true(log_has_secret("swordfish", 9));
    /* Inside a stated embedded platform they say nothing about a database. */
    c = accept("return { platform = 'embedded' }\n");
    assert_null(get(c->doc, "database", "admin"));
    assert_null(get(c->doc, "database", "app"));
    config_free(c);
    assert_null(getenv("PGHOST"));
    assert_null(getenv("PGPASSWORD"));
    static const char *const names[] = {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "DATABASE_URL", "OSRM_URL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unsetenv(names[i]);
    }
}

static void a_server_that_is_spelt_out_is_not_bent_by_the_environment(void **state) {
    (void)state;
    setenv("PGHOSTADDR", "192.0.2.9", 1);
    setenv("PGSERVICE", "other one", 1);
    setenv("PGOPTIONS", "-c app.current_tenant_id=x", 1);
    setenv("PGSSLMODE", "require", 1);
    config *c = accept("return { platform = 'external', database = { admin = { url = 'postgresql://db/x' } } }\n");
    const json_t *admin = get(c->doc, "database", "admin");
    assert_int_equal(json_object_size(admin), 1);
    assert_string_equal(json_string_value(json_object_get(admin, "url")), "postgresql://db/x");
    assert_null(getenv("PGHOSTADDR"));
    assert_null(getenv("PGSERVICE"));
    assert_null(getenv("PGOPTIONS"));
    assert_string_equal(getenv("PGSSLMODE"), "require");
    config_free(c);
    setenv("PGSERVICE", "other one", 1);
    c = accept("return { platform = 'external' }\n");
    assert_string_equal(json_string_value(json_object_get(get(c->doc, "database", "admin"), "url")),
                        "postgresql:///?service=other%20one");
    config_free(c);
    unsetenv("PGSSLMODE");
}

static void a_database_in_the_environment_without_a_stated_platform_is_refused(void **state) {
    (void)state;
    static const char *const names[] = {"DATABASE_URL", "PGHOST",     "PGHOSTADDR", "PGPORT",        "PGDATABASE",
                                        "PGUSER",       "PGPASSWORD", "PGSERVICE",  "PGSERVICEFILE", "PGPASSFILE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv(names[i], "something", 1);
        config *c = NULL;
        err e;
        unlink(FILE_NAME);
        assert_int_equal(config_load(NULL, false, &c, &e), -1);
        assert_string_equal(e.code, "config_wrong_target");
        assert_non_null(strstr(e.message, names[i]));
        assert_non_null(strstr(e.fix, "platform = \"external\""));
        assert_non_null(strstr(e.fix, "platform = \"embedded\""));
        write_file(FILE_NAME, "return { limits = { wall_s = 5 } }\n");
        assert_int_equal(config_load(NULL, false, &c, &e), -1);
        assert_string_equal(e.code, "config_wrong_target");
        setenv(names[i], "", 1); /* set and empty is as good as not set */
        config_free(accept(NULL));
        unsetenv(names[i]);
    }
}

static void secrets_are_masked_from_the_moment_they_are_read(void **state) {
    (void)state;
    setenv("CONF_SECRET", "correct horse battery", 1);
    /* Wrong elsewhere: the error must already be safe to print. */
    refuse("return { platform = 'external',\n"
           " database = { admin = { url = 'postgresql://u:p%40ss-word@h/x' } },\n"
           " auth = { api_key = { value = env 'CONF_SECRET', header = 7 } },\n"
           " endpoints = { e = { url = 'http://h', headers = { Authorization = 'Bearer abcdef' } } } }\n",
           FILE_NAME ":3: auth.api_key.header: expected a string that is not empty, found 7");
    static const char *const secrets[] = {"correct horse battery", "p@ss-word", "p%40ss-word", "Bearer abcdef"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        assert_true(log_has_secret(secrets[i], strlen(secrets[i])));
    }
    unsetenv("CONF_SECRET");
}

static void paths_start_at_the_directory_of_the_file(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_mkdirs("conf/audits", 0755, &e), 0);
    write_file("conf/audits/b.lua", "return {}");
    write_file("conf/audits/a.lua", "return {}");
    write_file("conf/ours.lua", "return function() end");
    write_file("conf/x.lua", "return { audits = { 'audits/*.lua', 'audits/a.lua' }, status_file = 'status.json',\n"
                             " commands = { c = { argv = { './run', 'x' } }, d = { argv = { 'true' } } },\n"
                             " adapter = 'ours.lua' }\n");
    config *c = NULL;
    assert_int_equal(config_load("conf/x.lua", false, &c, &e), 0);
    char want[256];
    const json_t *audits = json_object_get(c->doc, "audits");
    assert_int_equal(json_array_size(audits), 2);
    snprintf(want, sizeof want, "%s/conf/audits/a.lua", dir);
    assert_string_equal(json_string_value(json_array_get(audits, 0)), want);
    snprintf(want, sizeof want, "%s/conf/ours.lua", dir);
    assert_string_equal(json_string_value(json_object_get(c->doc, "adapter")), want);
    assert_string_equal(json_string_value(json_object_get(c->doc, "adapter_text")), "return function() end");
    snprintf(want, sizeof want, "%s/conf/status.json", dir);
    assert_string_equal(json_string_value(json_object_get(c->doc, "status_file")), want);
    snprintf(want, sizeof want, "%s/conf/./run", dir);
    const json_t *commands = json_object_get(c->doc, "commands");
    assert_string_equal(json_string_value(json_array_get(get(commands, "c", "argv"), 0)), want);
    assert_string_equal(json_string_value(json_array_get(get(commands, "d", "argv"), 0)), "true");
    config_free(c);
}

static void the_file_is_looked_for_in_the_documented_order(void **state) {
    (void)state;
    err e;
    assert_int_equal(fs_mkdirs("gate-engine", 0755, &e), 0);
    write_file("gate-engine/" FILE_NAME, "return { limits = { wall_s = 1 } }\n");
    config *c = accept(NULL); /* XDG_CONFIG_HOME is this directory */
    assert_int_equal(json_integer_value(get(c->doc, "limits", "wall_s")), 1);
    config_free(c);
    c = accept("return { limits = { wall_s = 2 } }\n");
    assert_int_equal(json_integer_value(get(c->doc, "limits", "wall_s")), 2);
    config_free(c);
    write_file("third.lua", "return { limits = { wall_s = 3 } }\n");
    setenv("GATE_ENGINE_CONFIG", "third.lua", 1);
    c = accept(NULL);
    assert_int_equal(json_integer_value(get(c->doc, "limits", "wall_s")), 3);
    config_free(c);
    write_file("fourth.lua", "return { limits = { wall_s = 4 } }\n");
    assert_int_equal(config_load("fourth.lua", false, &c, &e), 0);
    assert_int_equal(json_integer_value(get(c->doc, "limits", "wall_s")), 4);
    config_free(c);
    setenv("GATE_ENGINE_CONFIG", "nowhere.lua", 1);
    assert_int_equal(config_load(NULL, false, &c, &e), -1);
    assert_string_equal(e.message, "GATE_ENGINE_CONFIG names a configuration that is not there: nowhere.lua");
    unsetenv("GATE_ENGINE_CONFIG");
    assert_int_equal(config_load("nowhere.lua", false, &c, &e), -1);
    assert_string_equal(e.message, "--config names a configuration that is not there: nowhere.lua");
    unlink("gate-engine/" FILE_NAME);
}

/* The hash of a configuration with these members, on an external platform. */
static void hash_members(const char *members, char hex[65]) {
    char text[2048];
    config *c = NULL;
    err e;
    snprintf(text, sizeof text, "return { platform = 'external', %s }\n", members);
    write_file(FILE_NAME, text);
    if (config_load(NULL, false, &c, &e) != 0) {
        fail_msg("%s: %s", members, e.message);
    }
    assert_int_equal(config_hash(c->doc, hex, &e), 0);
    config_free(c);
}

#define ADMIN(url) "database = { admin = { url = '" url "' }, tenant = { column = 'a', setting = 'x.y' } },"

/* What evidence is of: it outlives a new password, and nothing that a gate could see. */
static void the_hash_is_of_all_that_bears_on_gates_and_of_no_secret(void **state) {
    (void)state;
    static const char *const SAME[][2] = {
        {ADMIN("postgresql://u:one@h/d"), ADMIN("postgresql://u:two@h/d")},
        {ADMIN("postgresql://u:one@h/d"), ADMIN("postgresql://u@h/d")},
        {ADMIN("postgresql://u@h/d?sslmode=require"), ADMIN("postgresql://u@h/d?sslmode=require&password=x")},
        {"auth = { api_key = { value = 'first-key' } },", "auth = { api_key = { value = 'other-key' } },"},
        {"endpoints = { e = { url = 'http://h', headers = { A = 'b' } } },",
         "endpoints = { e = { url = 'http://h', headers = { A = 'c' } } },"},
        {"artifacts = { kind = 's3', bucket = 'b', access_key_id = 'i', secret_access_key = 'one' },",
         "artifacts = { kind = 's3', bucket = 'b', access_key_id = 'i', secret_access_key = 'two' },"},
        {"", "evidence = { ledger = 'l', max_age = '1h' }, status_file = 'x.json',"},
        {"packs = { roster = { max_weekly_hours = 55 } },", "packs = { roster = { max_weekly_hours = 55.0 } },"}};
    static const char *const OTHER[][2] = {
        {ADMIN("postgresql://u:p@h/d"), ADMIN("postgresql://v:p@h/d")},
        {ADMIN("postgresql://u:p@h/d"), ADMIN("postgresql://u:p@h/e")},
        {ADMIN("postgresql://u:p@h/d?sslmode=require"), ADMIN("postgresql://u:p@h/d?sslmode=disable")},
        {"packs = { roster = { max_weekly_hours = 55 } },", "packs = { roster = { max_weekly_hours = 60 } },"},
        {"", "trust = { { setting = 'a.b', reason = 'r', approver = 'a', expires = '2099-01-01' } },"},
        {"trust = { { routine = '\"A b\".\"f(\"(\"S\".t, integer)', definition = '" SHA256
         "', reason = 'r', approver = 'a', expires = '2099-01-01' } },",
         "trust = { { routine = 'a.f()', definition = '" SHA256
         "', reason = 'r', approver = 'a', expires = '2099-01-01' } },"},
        {"auth = { api_key = { value = 'first-key' } },",
         "auth = { api_key = { value = 'first-key', header = 'X' } },"},
        {"artifacts = { kind = 's3', bucket = 'b', access_key_id = 'i', secret_access_key = 'one' },",
         "artifacts = { kind = 's3', bucket = 'c', access_key_id = 'i', secret_access_key = 'one' },"},
        {"endpoints = { e = { url = 'http://h' } },", "endpoints = { e = { url = 'http://i' } },"}};
    char a[65], b[65];
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++) {
        hash_members(SAME[i][0], a);
        hash_members(SAME[i][1], b);
        if (strcmp(a, b) != 0) {
            fail_msg("another hash: %s", SAME[i][1]);
        }
    }
    for (size_t i = 0; i < sizeof OTHER / sizeof *OTHER; i++) {
        hash_members(OTHER[i][0], a);
        hash_members(OTHER[i][1], b);
        if (strcmp(a, b) == 0) {
            fail_msg("the same hash: %s", OTHER[i][1]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_mistake_names_file_line_key_and_what_was_expected, fresh),
        cmocka_unit_test_setup(keys_have_documentation, fresh),
        cmocka_unit_test_setup(without_a_file_the_embedded_platform_serves, fresh),
        cmocka_unit_test_setup(nothing_external_falls_back_to_the_embedded_platform, fresh),
        cmocka_unit_test_setup(usual_names_fill_a_stated_external_platform, fresh),
        cmocka_unit_test_setup(a_server_that_is_spelt_out_is_not_bent_by_the_environment, fresh),
        cmocka_unit_test_setup(a_database_in_the_environment_without_a_stated_platform_is_refused, fresh),
        cmocka_unit_test_setup(secrets_are_masked_from_the_moment_they_are_read, fresh),
        cmocka_unit_test_setup(paths_start_at_the_directory_of_the_file, fresh),
        cmocka_unit_test_setup(the_hash_is_of_all_that_bears_on_gates_and_of_no_secret, fresh),
        cmocka_unit_test_setup(the_file_is_looked_for_in_the_documented_order, fresh),
    };
    return cmocka_run_group_tests_name("config", tests, enter, leave);
}
