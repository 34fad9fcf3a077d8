#include "run/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/canon.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "run/config_parts.h"
#include "run/keyline.h"
#include "run/loader.h"
#include "run/sha256.h"

#define NAME "gate-engine.conf.lua"

/* Where the file is: 1 with *path (owned by the caller, as the user would write it), 0 = there is none, -1 = error. */
static int named_file(const char *named, const char *by, char **path, err *e) {
    if (!fs_exists(named)) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, named, strlen(named), 200, false);
        err_set(e, "config_missing", "%s names a configuration that is not there: %s", by, buf_str(&shown));
        err_fix(e, "correct the path, or leave %s away to use ./" NAME " or the embedded platform", by);
        buf_free(&shown);
        return -1;
    }
    *path = strdup(named);
    return *path != NULL ? 1 : err_set(e, "out_of_memory", "out of memory");
}

static int xdg_file(char **path, err *e) {
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    buf b = BUF_INIT;
    /* A relative XDG_CONFIG_HOME is to be ignored (XDG base directory specification 0.8). */
    if (base != NULL && *base == '/') {
        buf_printf(&b, "%s/gate-engine/" NAME, base);
    } else if (home != NULL && *home == '/') {
        buf_printf(&b, "%s/.config/gate-engine/" NAME, home);
    } else {
        return 0;
    }
    *path = buf_steal(&b);
    if (*path == NULL) {
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (fs_exists(*path)) {
        return 1;
    }
    free(*path);
    *path = NULL;
    return 0;
}

static int find_file(const char *flag_path, char **path, err *e) {
    *path = NULL;
    if (flag_path != NULL) {
        return named_file(flag_path, "--config", path, e);
    }
    const char *named = getenv("GATE_ENGINE_CONFIG");
    if (named != NULL && *named != '\0') {
        return named_file(named, "GATE_ENGINE_CONFIG", path, e);
    }
    struct stat st;
    /* Only "there is none" may lead on: a file that cannot be looked at must not be passed over for another target. */
    if (lstat(NAME, &st) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
        *path = strdup(NAME);
        return *path != NULL ? 1 : err_set(e, "out_of_memory", "out of memory");
    }
    return xdg_file(path, e);
}

char *config_find(const char *flag_path) {
    char *path = NULL;
    err ignored;
    if (find_file(flag_path, &path, &ignored) <= 0) {
        free(path);
        return NULL;
    }
    return path;
}

static int wrong_target(const char *file, err *e) {
    const char *name = config_env_target();
    if (name == NULL) {
        return 0;
    }
    if (file != NULL) {
        err_set(e, "config_wrong_target", "%s is set, and %s does not say which platform is meant", name, file);
    } else {
        err_set(e, "config_wrong_target", "%s is set, and no configuration says which platform is meant", name);
    }
    err_fix(
        e,
        "to validate that database write platform = \"external\" and its database keys in " NAME
        " (or in the file of --config); to use the embedded platform unset %s, or write platform = \"embedded\" there",
        name);
    return -1;
}

/* The embedded platform's own shape, so that gates read one kind of document. */
static int fill_embedded(json_t *doc, err *e) {
    json_t *database = json_object_get(doc, "database");
    json_t *own = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "column", "tenant_id", "setting", "app.current_tenant_id",
                            "value", "{id}", "table", "core.tenants", "key", "id", "code", "code");
    int rc = own == NULL ? -1 : 0;
    if (rc == 0 && json_object_get(database, "tenant") == NULL) {
        rc = json_object_set(database, "tenant", own);
    }
    json_decref(own);
    if (json_object_get(doc, "artifacts") == NULL) {
        rc |= json_object_set_new(doc, "artifacts", json_pack("{s:s}", "kind", "local"));
    }
    if (json_object_get(doc, "solver") == NULL) {
        rc |= json_object_set_new(doc, "solver", json_pack("{s:s, s:i}", "kind", "reference", "wall_s", 60));
    }
    if (json_object_get(doc, "adapter") == NULL) {
        rc |= json_object_set_new(doc, "adapter", json_string("embedded"));
    }
    return rc == 0 ? 0 : err_set(e, "out_of_memory", "out of memory while reading the configuration");
}

/* raw (may be changed) → c->doc. */
static int complete(config *c, json_t *raw, const char *label, const char *source, bool scratch, err *e) {
    json_t *lines = source != NULL ? keyline_index(source) : NULL;
    schema_source src = {.file = label, .lines = lines};
    c->platform_stated = json_is_string(json_object_get(raw, "platform"));
    int rc = c->platform_stated && !scratch ? config_env_fill(raw, e) : 0;
    if (rc == 0) {
        config_secrets_doc(raw);
        rc = schema_check(config_schema(), &src, raw, &c->doc, NULL, e);
    }
    if (rc == 0) {
        rc = config_rules(c->doc, &src, e);
    }
    if (rc == 0 && !c->platform_stated && !scratch) {
        rc = wrong_target(c->path != NULL ? label : NULL, e);
    }
    if (rc == 0 && c->path != NULL) {
        char *dir = fs_dirname(c->path);
        rc = dir != NULL ? config_paths(c->doc, dir, &src, e) : err_set(e, "out_of_memory", "out of memory");
        free(dir);
    }
    if (rc == 0) {
        bool embedded = strcmp(json_string_value(json_object_get(c->doc, "platform")), "embedded") == 0;
        config_env_isolate(embedded || scratch);
        rc = embedded && !scratch ? fill_embedded(c->doc, e) : 0;
    }
    json_decref(lines);
    return rc;
}

/* The loader knows the file by its absolute path; messages name it as it was given. */
static void name_as_given(const char *label, err *e) {
    char *path = realpath(label, NULL);
    size_t n = path != NULL ? strlen(path) : 0;
    if (n > 0 && strncmp(e->message, path, n) == 0 && e->message[n] == ':') {
        err was = *e;
        err_set(e, was.code, "%s%s", label, was.message + n);
        err_detail(e, "%s", was.detail);
        err_fix(e, "%s", was.fix);
    }
    free(path);
}

static int load_file(config *c, const char *label, bool scratch, err *e) {
    json_t *loaded = NULL;
    if (loader_config(label, &loaded, e) != 0) {
        name_as_given(label, e);
        return -1;
    }
    c->path = realpath(label, NULL);
    int rc = c->path != NULL ? 0 : err_errno(e, "config_missing", "cannot find out where %s is", label);
    if (rc == 0) {
        json_t *value = json_object_get(loaded, "value");
        rc = complete(c, value, label, json_string_value(json_object_get(loaded, "source")), scratch, e);
    }
    json_decref(loaded);
    return rc;
}

int config_load(const char *flag_path, bool scratch, config **out, err *e) {
    config_secrets_env();
    char *label = NULL;
    int found = find_file(flag_path, &label, e);
    if (found < 0) {
        return -1;
    }
    config *c = calloc(1, sizeof *c);
    if (c == NULL) {
        free(label);
        return err_set(e, "out_of_memory", "out of memory");
    }
    int rc;
    if (found > 0) {
        rc = load_file(c, label, scratch, e);
    } else {
        json_t *empty = json_object();
        rc = empty != NULL ? complete(c, empty, "(no configuration)", NULL, scratch, e)
                           : err_set(e, "out_of_memory", "out of memory");
        json_decref(empty);
    }
    free(label);
    if (rc != 0) {
        config_free(c);
        return -1;
    }
    c->by_flag = flag_path != NULL;
    *out = c;
    return 0;
}

int config_hash(const json_t *doc, char hex[65], err *e) {
    static const char *const AFTER[] = {"evidence", "mail", "tickets", "webhooks", "status_file", NULL};
    json_t *copy = schema_redact(config_schema(), doc);
    buf text = BUF_INIT;
    for (size_t i = 0; copy != NULL && AFTER[i] != NULL; i++) {
        json_object_del(copy, AFTER[i]);
    }
    int rc = copy != NULL ? canon_value(&text, copy, e) : err_set(e, "out_of_memory", "out of memory");
    if (rc == 0) {
        sha256_hex(buf_str(&text), text.len, hex);
    }
    buf_free(&text);
    json_decref(copy);
    return rc;
}

void config_free(config *c) {
    if (c != NULL) {
        free(c->path);
        json_decref(c->doc);
        free(c);
    }
}
