#include "run/status_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "run/filelock.h"
#include "run/schema.h"

#define FILE_MAX (16u << 20)
#define END                                                                                                            \
    { .key = NULL }
#define TEXT .type = SCHEMA_STRING

static const char *const rls_modes[] = {"enforced", "mixed", "disabled", "unknown", NULL};
static const char *const auth_modes[] = {"entra_id", "api_key", "hmac_v2", "mixed", "unknown", NULL};
static const char *const statuses[] = {"active", "onboarding", "suspended", "archived", NULL};
static const char *const results[] = {"PASS", "FAIL", "SKIP", NULL};
static const schema_spec pack_item[] = {{.key = "pack", TEXT}, END};
static const schema_spec security[] = {{.key = "ts", TEXT, .required = true},
                                       {.key = "result", .type = SCHEMA_ENUM, .choices = results, .required = true},
                                       {.key = "details", .type = SCHEMA_ANY},
                                       END};
static const schema_spec performance[] = {{.key = "ts", TEXT, .required = true},
                                          {.key = "result", .type = SCHEMA_ENUM, .choices = results, .required = true},
                                          {.key = "p95_ms", .type = SCHEMA_NUMBER},
                                          END};
static const schema_spec solve[] = {
    {.key = "ts", TEXT, .required = true}, {.key = "plan_version_id", TEXT}, {.key = "status", TEXT}, END};
static const schema_spec entry[] = {{.key = "rls_mode", .type = SCHEMA_ENUM, .choices = rls_modes},
                                    {.key = "auth_mode", .type = SCHEMA_ENUM, .choices = auth_modes},
                                    {.key = "status", .type = SCHEMA_ENUM, .choices = statuses, .required = true},
                                    {.key = "packs", .type = SCHEMA_LIST, .children = pack_item},
                                    {.key = "last_security_smoke", .type = SCHEMA_TABLE, .children = security},
                                    {.key = "last_perf_smoke", .type = SCHEMA_TABLE, .children = performance},
                                    {.key = "last_solve", .type = SCHEMA_TABLE, .children = solve},
                                    END};
static const schema_spec entry_item[] = {{.key = "tenant", .type = SCHEMA_TABLE, .children = entry}, END};
static const schema_spec top[] = {{.key = "tenants",
                                   .type = SCHEMA_MAP,
                                   .required = true,
                                   .key_is = text_is_code,
                                   .key_what = "a tenant code",
                                   .children = entry_item},
                                  {.key = "last_updated", TEXT},
                                  END};
static const schema_spec root = {.key = "status", .type = SCHEMA_TABLE, .children = top};

static int no_memory(err *e) {
    return err_set(e, "out_of_memory", "out of memory at the status file");
}

static int check(const char *path, const json_t *doc, err *e) {
    schema_source src = {.file = path};
    err why;
    if (schema_check(&root, &src, doc, NULL, NULL, &why) == 0) {
        return 0;
    }
    err_set(e, "status_file_form", "%s", why.message);
    return err_fix(e, "mend the file, or move it away: each tenant's next operation writes its entry anew");
}

/* What is there; an empty document where nothing is. */
static json_t *read_document(const char *path, err *e) {
    buf text = BUF_INIT;
    err why;
    json_t *doc = NULL;
    if (!fs_exists(path)) {
        doc = json_pack("{s:{}}", "tenants");
        if (doc == NULL) {
            no_memory(e);
        }
    } else if (fs_read(path, FILE_MAX, &text, e) == 0) {
        doc = canon_parse(buf_str(&text), text.len, &why);
        if (doc == NULL) {
            err_set(e, "status_file_form", "%s is not JSON: %s", path, why.message);
            err_fix(e, "mend the file, or move it away: each tenant's next operation writes its entry anew");
        } else if (check(path, doc, e) != 0) {
            json_decref(doc);
            doc = NULL;
        }
    }
    buf_free(&text);
    return doc;
}

static int change(const char *path, const char *code, const json_t *keys, err *e) {
    char now[CLOCK_RFC3339_MAX];
    buf text = BUF_INIT;
    json_t *doc = read_document(path, e);
    if (doc == NULL) {
        return -1;
    }
    clock_rfc3339(now, sizeof now);
    json_t *tenants = json_object_get(doc, "tenants");
    if (!json_is_object(tenants)) { /* an empty list, which the form takes for an empty table */
        tenants = json_object();
        tenants = json_object_set_new(doc, "tenants", tenants) == 0 ? tenants : NULL;
    }
    json_t *own = json_object_get(tenants, code) != NULL ? json_copy(json_object_get(tenants, code)) : json_object();
    int rc = own != NULL && json_object_update(own, (json_t *)keys) == 0 &&
                     json_object_set_new(tenants, code, own) == 0 &&
                     json_object_set_new(doc, "last_updated", json_string(now)) == 0
                 ? 0
                 : no_memory(e);
    rc = rc == 0 ? check(path, doc, e) : rc; /* nothing is written that would not be read */
    rc = rc == 0 ? canon_plain(&text, doc, 2, e) : rc;
    if (rc == 0 && buf_putc(&text, '\n') != 0) {
        rc = no_memory(e);
    }
    rc = rc == 0 ? fs_write_atomic(path, buf_str(&text), text.len, 0644, e) : rc;
    buf_free(&text);
    json_decref(doc);
    return rc;
}

int status_file_update(const char *path, const char *code, const json_t *keys, err *e) {
    char *lock = NULL;
    if (asprintf(&lock, "%s.lock", path) < 0) {
        return no_memory(e);
    }
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    int rc = fd >= 0 ? filelock(fd, LOCK_EX, path, e) : err_errno(e, "file_locked", "%s cannot be opened", lock);
    rc = rc == 0 ? change(path, code, keys, e) : rc;
    fs_close(&fd);
    free(lock);
    return rc;
}
