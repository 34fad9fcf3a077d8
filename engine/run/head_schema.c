/* head_schema.c: what the four kinds of scripts may say of themselves, as data (design §3). */
#include <ctype.h>
#include <string.h>

#include "base/plan.h"
#include "base/text.h"
#include "run/head_parts.h"

#define END                                                                                                            \
    { .key = NULL }
#define TEXT .type = SCHEMA_STRING, .bounds = SCHEMA_MIN, .min = 1
#define ID .type = SCHEMA_STRING, .is = text_is_id, .what = "an id ([a-z][a-z0-9_]*, at most 63 characters)"

static bool is_name(const char *s) {
    size_t n = strlen(s);
    return n > 0 && n <= 63 && isalpha((unsigned char)*s) &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

static const char *const roles[] = {"admin", "app", "operator", NULL};
static const schema_spec role_item[] = {{.key = "role", .type = SCHEMA_ENUM, .choices = roles}, END};
static const schema_spec name_item[] = {{.key = "name",
                                         .type = SCHEMA_STRING,
                                         .is = is_name,
                                         .what = "a name (letters, digits, _ and -)",
                                         .doc = "the name it has in the configuration, as a string: \"backup-now\""},
                                        END};
static const schema_spec text_item[] = {{.key = "string", TEXT}, END};

static const schema_spec endpoint_forms[] = {
    {.key = "every", .type = SCHEMA_BOOLEAN}, {.key = "named", .type = SCHEMA_LIST, .children = name_item}, END};
static const char *const credentials[] = {"api_key", "entra", NULL};
static const schema_spec credential_item[] = {{.key = "credential", .type = SCHEMA_ENUM, .choices = credentials}, END};

static const schema_spec needs[] = {
    {.key = "db", .type = SCHEMA_LIST, .def = "[]", .children = role_item, .doc = "database roles it connects as"},
    {.key = "endpoints",
     .type = SCHEMA_ONE_OF,
     .def = "[]",
     .children = endpoint_forms,
     .doc = "endpoints of the configuration it calls; true for every one"},
    {.key = "stores",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = name_item,
     .doc = "stores it reads and writes, such as \"artifacts\""},
    {.key = "commands",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = name_item,
     .doc = "commands of the configuration it starts"},
    {.key = "solver", .type = SCHEMA_BOOLEAN, .def = "false", .doc = "it runs the solver"},
    {.key = "audits", .type = SCHEMA_BOOLEAN, .def = "false", .doc = "it runs tenant audits"},
    {.key = "evidence",
     .type = SCHEMA_BOOLEAN,
     .def = "false",
     .doc = "operations: it asks whether the tenant may go live"},
    {.key = "mail",
     .type = SCHEMA_BOOLEAN,
     .def = "false",
     .doc = "it sends mail, where the configuration has a server"},
    {.key = "webhooks",
     .type = SCHEMA_BOOLEAN,
     .def = "false",
     .doc = "it calls the webhooks of the configuration; needs endpoints = true too"},
    {.key = "auth", .type = SCHEMA_LIST, .def = "[]", .children = credential_item, .doc = "credentials it presents"},
    END};

static const char *const types[] = {"string", "integer", "number", "boolean", "enum", "path", "audit", NULL};
static const char *const accesses[] = {"read", "write", NULL};
static const schema_spec default_value[] = {{.key = "value", .type = SCHEMA_ANY}, END};
static const schema_spec default_choices[] = {{.key = "choice",
                                               .type = SCHEMA_MAP,
                                               .what = "a table of values by the other option's choice",
                                               .children = default_value},
                                              END};
static const schema_spec option[] = {
    {.key = "type", .type = SCHEMA_ENUM, .required = true, .choices = types, .doc = "type of the value"},
    {.key = "default", .type = SCHEMA_ANY, .doc = "value when the flag is not given"},
    {.key = "default_by",
     .type = SCHEMA_MAP,
     .key_is = text_is_id,
     .key_what = "a name ([a-z][a-z0-9_]*)",
     .children = default_choices,
     .doc = "defaults that depend on an enum option: { pack = { routing = \"wien_small\" } }"},
    {.key = "min", .type = SCHEMA_NUMBER, .doc = "smallest value of an integer or number"},
    {.key = "max", .type = SCHEMA_NUMBER, .doc = "largest value of an integer or number"},
    {.key = "choices", .type = SCHEMA_LIST, .children = text_item, .doc = "values of an enum"},
    {.key = "access", .type = SCHEMA_ENUM, .choices = accesses, .doc = "what a path is for"},
    {.key = "search",
     .type = SCHEMA_LIST,
     .children = text_item,
     .doc = "directories of the installed tree in which a bare name is looked for"},
    {.key = "multiple",
     .type = SCHEMA_BOOLEAN,
     .def = "false",
     .doc = "the flag may be given several times; the value is a list"},
    {.key = "required", .type = SCHEMA_BOOLEAN, .def = "false", .doc = "the flag must be given"},
    {.key = "help", .type = SCHEMA_STRING, .def = "\"\"", .doc = "one line of help"},
    END};
static const schema_spec option_item[] = {{.key = "option",
                                           .type = SCHEMA_TABLE,
                                           .what = "a table with a type",
                                           .children = option,
                                           .doc = "NAME = { type = \"integer\", default = 24, help = \"…\" }"},
                                          END};

static const char *const severities[] = {"leak", "advisory", "note", NULL};
static const schema_spec failure[] = {
    {.key = "text", TEXT, .required = true, .doc = "what the finding says; %s stands for its arguments"},
    {.key = "fix", TEXT, .doc = "what to do about it"},
    {.key = "severity", .type = SCHEMA_ENUM, .choices = severities, .doc = "how much it matters"},
    {.key = "explain",
     TEXT,
     .doc = "what it means, how it is exploited and how it is closed: gate-engine explain CLASS"},
    END};
static const schema_spec failure_item[] = {{.key = "failure",
                                            .type = SCHEMA_TABLE,
                                            .what = "a table with a text",
                                            .children = failure,
                                            .doc = "CLASS = { text = \"Backup of %s is too old\", fix = \"…\" }"},
                                           END};

#define API                                                                                                            \
    {                                                                                                                  \
        .key = "api", .type = SCHEMA_INTEGER, .required = true, .bounds = SCHEMA_MIN | SCHEMA_MAX, .min = 1, .max = 1, \
        .what = "1, the version of the script interface", .doc = "write api = 1"                                       \
    }
#define KIND                                                                                                           \
    { .key = "kind", .type = SCHEMA_STRING }
#define NAMES                                                                                                          \
    KIND, API, {.key = "id", ID, .required = true, .doc = "stable name of the script, also its file name"},            \
        {.key = "name", TEXT, .required = true, .doc = "name that people read"}, {                                     \
        .key = "purpose", .type = SCHEMA_STRING, .def = "\"\"", .doc = "what it is for, in one line"                   \
    }
#define WORK                                                                                                           \
    {.key = "needs",                                                                                                   \
     .type = SCHEMA_TABLE,                                                                                             \
     .def = "{}",                                                                                                      \
     .children = needs,                                                                                                \
     .doc = "what it may reach; nothing else is reachable"},                                                           \
        {.key = "options",                                                                                             \
         .type = SCHEMA_MAP,                                                                                           \
         .def = "{}",                                                                                                  \
         .key_is = text_is_id,                                                                                         \
         .key_what = "a name ([a-z][a-z0-9_]*)",                                                                       \
         .children = option_item,                                                                                      \
         .doc = "what the caller may set"},                                                                            \
        {.key = "failures",                                                                                            \
         .type = SCHEMA_MAP,                                                                                           \
         .def = "{}",                                                                                                  \
         .key_is = text_is_id,                                                                                         \
         .key_what = "a class ([a-z][a-z0-9_]*)",                                                                      \
         .children = failure_item,                                                                                     \
         .doc = "what it may find"},                                                                                   \
        {.key = "owner", TEXT, .doc = "who to ask"},                                                                   \
        {.key = "runbook", TEXT, .doc = "where it is written what to do"}, {                                           \
        .key = "run", .type = SCHEMA_FUNCTION, .required = true, .doc = "run = function(ctx) … end"                  \
    }

static const schema_spec gate_keys[] = {
    NAMES,
    {.key = "number",
     .type = SCHEMA_INTEGER,
     .bounds = SCHEMA_MIN | SCHEMA_MAX,
     .min = 1,
     .max = 999,
     .doc = "its place in a suite"},
    {.key = "pass", TEXT, .def = "\"All checks pass\"", .doc = "what is printed when it passes"},
    {.key = "parallel", .type = SCHEMA_BOOLEAN, .def = "true", .doc = "may run beside other gates"},
    WORK,
    {.key = "recover", .type = SCHEMA_FUNCTION, .doc = "recover = function(ctx, findings) … end"},
    END};

static const char *const tenants[] = {"existing", "any", NULL};
static const schema_spec operation_keys[] = {
    NAMES,
    WORK,
    {.key = "pass", TEXT, .def = "\"Done\"", .doc = "what is printed when it is done"},
    {.key = "tenant",
     .type = SCHEMA_ENUM,
     .choices = tenants,
     .def = "\"existing\"",
     .doc = "any: it runs also for a tenant that is not there yet"},
    END};

static const schema_spec suite_keys[] = {NAMES,
                                         {.key = "gates",
                                          .type = SCHEMA_LIST,
                                          .required = true,
                                          .bounds = SCHEMA_MIN,
                                          .min = 1,
                                          .what = "a list of ids or paths of gates",
                                          .children = text_item,
                                          .doc = "gates = { \"rls_harness\", … }"},
                                         END};

static const schema_spec audit_needs[] = {{.key = "history",
                                           .type = SCHEMA_INTEGER,
                                           .bounds = SCHEMA_MIN | SCHEMA_MAX,
                                           .min = 1,
                                           .max = PLAN_HISTORY_MAX,
                                           .doc = "locked weeks before the plan's that it looks at, as plan.history"},
                                          END};
static const char *const packs[] = {"roster", "routing", NULL};
static const schema_spec audit_keys[] = {
    KIND,
    {.key = "api",
     .type = SCHEMA_INTEGER,
     .def = "1",
     .bounds = SCHEMA_MIN | SCHEMA_MAX,
     .min = 1,
     .max = 1,
     .what = "1, the version of the script interface"},
    {.key = "name", TEXT, .required = true, .doc = "name that people read, such as \"max two night shifts\""},
    {.key = "pack", .type = SCHEMA_ENUM, .required = true, .choices = packs, .doc = "the pack whose plans it looks at"},
    {.key = "purpose", .type = SCHEMA_STRING, .def = "\"\"", .doc = "what it is for, in one line"},
    {.key = "needs", .type = SCHEMA_TABLE, .def = "{}", .children = audit_needs, .doc = "needs = { history = 2 }"},
    {.key = "audit", .type = SCHEMA_FUNCTION, .required = true, .doc = "audit = function(plan, report) … end"},
    END};

static const schema_spec gate = {.key = "gate", .type = SCHEMA_TABLE, .children = gate_keys};
static const schema_spec operation = {.key = "operation", .type = SCHEMA_TABLE, .children = operation_keys};
static const schema_spec suite = {.key = "suite", .type = SCHEMA_TABLE, .children = suite_keys};
static const schema_spec audit = {.key = "audit", .type = SCHEMA_TABLE, .children = audit_keys};

const schema_spec *head_schema(const char *kind) {
    static const schema_spec *const all[] = {&gate, &operation, &suite, &audit};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i]->key, kind) == 0) {
            return all[i];
        }
    }
    return NULL;
}
