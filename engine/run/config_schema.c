/* config_schema.c: every key gate-engine.conf.lua may hold (design §4), as data. */
#include <ctype.h>
#include <string.h>

#include "base/calendar.h"
#include "base/text.h"
#include "run/config.h"
#include "run/config_parts.h"

#define END                                                                                                            \
    { .key = NULL }

/* ---- what strings must look like ---- */

static bool is_span(const char *s) {
    size_t n = strspn(s, "0123456789");
    return n > 0 && n < 7 && s[n] != '\0' && strchr("smhd", s[n]) != NULL && s[n + 1] == '\0';
}

static bool is_sha256(const char *s) {
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static bool has_scheme(const char *s, const char *const *schemes) {
    for (; *schemes != NULL; schemes++) {
        size_t n = strlen(*schemes);
        if (strncmp(s, *schemes, n) == 0 && s[n] != '\0') {
            return true;
        }
    }
    return false;
}

/* A line break in a URL could end a header of a request; a space or a control character has no place in one (RFC 3986,
 * section 2). */
static bool is_plain(const char *s) {
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s <= 0x20 || *s == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool is_http_url(const char *s) {
    return is_plain(s) && has_scheme(s, (const char *const[]){"http://", "https://", NULL});
}

static bool is_database_url(const char *s) {
    return has_scheme(s, (const char *const[]){"postgresql://", "postgres://", NULL});
}

static bool is_smtp_url(const char *s) {
    return is_plain(s) && has_scheme(s, (const char *const[]){"smtp://", "smtps://", NULL});
}

/* What mail can be sent to without SMTPUTF8 (RFC 6531), and without quoting. */
static bool is_mailbox(const char *s) {
    const char *at = strchr(s, '@');
    if (at == NULL || at == s || at[1] == '\0' || strchr(at + 1, '@') != NULL || strlen(s) > 254) {
        return false;
    }
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7F || strchr("<>()[]\\,;:\"", *s) != NULL) {
            return false;
        }
    }
    return true;
}

static bool is_adapter(const char *s) {
    size_t n = strlen(s);
    return strcmp(s, "embedded") == 0 || strcmp(s, "http") == 0 || (n > 4 && strcmp(s + n - 4, ".lua") == 0);
}

/* The endpoint that adapter = "http" drives: plans made by another one would not be the platform's. */
static bool is_platform(const char *s) {
    return strcmp(s, "platform") == 0;
}

/* Names of endpoints and commands: what stands after a dot in Lua, or in brackets. */
static bool is_name(const char *s) {
    size_t n = strlen(s);
    return n > 0 && n <= 63 && isalpha((unsigned char)*s) &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

/* ---- parts ---- */

#define TEXT .type = SCHEMA_STRING, .bounds = SCHEMA_MIN, .min = 1
#define PATTERN(f, w) .type = SCHEMA_STRING, .is = (f), .what = (w)
#define IDENTIFIER PATTERN(config_is_identifier, "an identifier as it stands in the catalogue (1 to 63 bytes)")
#define RELATION PATTERN(config_is_relation, "a table as \"schema.table\"")
#define SETTING                                                                                                        \
    PATTERN(config_is_setting, "the name of a session setting with a dot in it, such as \"app.current_tenant_id\"")
#define HTTP_URL                                                                                                       \
    PATTERN(is_http_url, "a URL that starts with http:// or https://, without spaces or control characters"),          \
        .secret = SCHEMA_SECRET_URL
#define AT_LEAST(n) .bounds = SCHEMA_MIN, .min = (n)
#define RANGE(a, b) .bounds = SCHEMA_MIN | SCHEMA_MAX, .min = (a), .max = (b)

static const schema_spec text_item[] = {{.key = "string", TEXT}, END};
static const schema_spec relation_item[] = {{.key = "table", RELATION}, END};
static const schema_spec schema_item[] = {{.key = "schema", IDENTIFIER}, END};
static const schema_spec code_item[] = {{.key = "code", .type = SCHEMA_STRING}, END};
static const schema_spec hidden_item[] = {{.key = "value", .type = SCHEMA_STRING, .secret = SCHEMA_HIDDEN}, END};
static const schema_spec sha256_item[] = {
    {.key = "hash", PATTERN(is_sha256, "a SHA-256 as 64 lower-case hexadecimal digits")}, END};

static const schema_spec connection[] = {
    {.key = "url",
     PATTERN(is_database_url, "a URL that starts with postgresql://"),
     .secret = SCHEMA_SECRET_URL,
     .doc = "where the database is and who logs in: postgresql://user@host:5432/database"},
    {.key = "host", TEXT, .doc = "host name, address, or the directory of a unix socket; instead of url"},
    {.key = "port", .type = SCHEMA_INTEGER, RANGE(1, 65535), .doc = "port of the server"},
    {.key = "dbname", TEXT, .doc = "name of the database"},
    {.key = "user", TEXT, .doc = "who logs in"},
    {.key = "password",
     .type = SCHEMA_STRING,
     .secret = SCHEMA_SECRET,
     .doc = "password, taken from env \"NAME\" or file \"PATH\""},
    {.key = "role", IDENTIFIER, .doc = "role that is assumed after login; alone it means the admin's login"},
    END};

static const schema_spec axis[] = {
    {.key = "column",
     IDENTIFIER,
     .required = true,
     .doc = "the column that says whose a row is, such as \"tenant_id\""},
    {.key = "setting",
     SETTING,
     .required = true,
     .doc = "the session setting that states the tenant, such as \"app.current_tenant_id\""},
    {.key = "value", TEXT, .def = "\"{id}\"", .doc = "what the setting is set to; {id} stands for the tenant's key"},
    {.key = "context",
     .type = SCHEMA_MAP,
     .key_is = config_is_setting,
     .key_what = "the name of a session setting",
     .children = code_item,
     .doc = "further settings of the application's sessions"},
    {.key = "table",
     RELATION,
     .doc = "the table of tenants, such as \"core.tenants\"; without it the tenant code is a label only"},
    {.key = "key", IDENTIFIER, .def = "\"id\"", .doc = "its column with the key"},
    {.key = "code", IDENTIFIER, .def = "\"code\"", .doc = "its column with the tenant code"},
    END};

static const schema_spec axis_item[] = {{.key = "axis", .type = SCHEMA_TABLE, .children = axis}, END};
static const schema_spec axis_forms[] = {
    {.key = "one", .type = SCHEMA_TABLE, .children = axis},
    {.key = "several", .type = SCHEMA_LIST, .what = "a list of tables", AT_LEAST(1), .children = axis_item},
    END};

static const char *const probe_modes[] = {"static", "read", "full", NULL};
static const char *const probe_calls[] = {"confined", "any", NULL};
static const schema_spec probe[] = {
    {.key = "mode",
     .type = SCHEMA_ENUM,
     .choices = probe_modes,
     .def = "\"full\"",
     .doc = "what gate 1 may do on this database"},
    {.key = "calls",
     .type = SCHEMA_ENUM,
     .choices = probe_calls,
     .def = "\"confined\"",
     .doc = "functions with their owner's rights that the probe calls: those that leave nothing behind once their "
            "transaction is undone, or also those of which nobody can tell (a database behind which there is nothing)"},
    {.key = "max_rows",
     .type = SCHEMA_INTEGER,
     AT_LEAST(1),
     .def = "10000",
     .doc = "largest table that blind writes are tried on"},
    {.key = "batch", .type = SCHEMA_INTEGER, AT_LEAST(1), .def = "500", .doc = "tables in one transaction"},
    END};

static const schema_spec database[] = {
    {.key = "admin",
     .type = SCHEMA_TABLE,
     .children = connection,
     .doc = "reads catalogues and writes canaries; whatever a gate does through it is rolled back"},
    {.key = "app",
     .type = SCHEMA_TABLE,
     .children = connection,
     .doc = "how the application connects; a role alone is enough"},
    {.key = "operator",
     .type = SCHEMA_TABLE,
     .children = connection,
     .doc = "the only one with which operations and recover --apply commit"},
    {.key = "tenant", .type = SCHEMA_ONE_OF, .children = axis_forms, .doc = "how rows and sessions belong to a tenant"},
    {.key = "schemas",
     .type = SCHEMA_LIST,
     AT_LEAST(1),
     .what = "a list of schemas that is not empty",
     .children = schema_item,
     .doc = "schemas that are looked at; without it every schema that is not the system's"},
    {.key = "exclude", .type = SCHEMA_LIST, .def = "[]", .children = relation_item, .doc = "tables that are left out"},
    {.key = "tenant_scoped",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = relation_item,
     .doc = "tables that belong to tenants though they lack the column"},
    {.key = "shared",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = relation_item,
     .doc = "tables that are meant for every tenant"},
    {.key = "fixtures",
     .type = SCHEMA_MAP,
     .def = "{}",
     .key_is = config_is_relation,
     .key_what = "a table as \"schema.table\"",
     .children = text_item,
     .doc = "statements that insert a row where the engine cannot make one up; {tenant} stands for the key"},
    {.key = "probe", .type = SCHEMA_TABLE, .def = "{}", .children = probe, .doc = "how far the probe of gate 1 goes"},
    END};

static const schema_spec trust[] = {
    {.key = "setting", SETTING, .doc = "a session setting that only the platform itself sets"},
    {.key = "role", IDENTIFIER, .doc = "a role that no tenant can reach"},
    {.key = "routine",
     PATTERN(config_is_routine, "a function or procedure as \"schema.name(types of its arguments)\""),
     .doc = "a function with its owner's rights that may reach every tenant's rows, as the finding about it names it"},
    {.key = "definition",
     PATTERN(is_sha256, "a SHA-256 as 64 lower-case hexadecimal digits"),
     .doc = "what the routine was when it was trusted: the finding about it has the whole entry. Another text is not "
            "covered"},
    {.key = "reason", TEXT, .required = true, .doc = "why it may be trusted"},
    {.key = "approver", TEXT, .required = true, .doc = "who decided it"},
    {.key = "expires",
     PATTERN(calendar_is_date, "a date that exists, as \"2027-06-30\""),
     .required = true,
     .doc = "until when it holds"},
    END};
static const schema_spec trust_item[] = {{.key = "entry", .type = SCHEMA_TABLE, .children = trust}, END};

static const schema_spec endpoint[] = {
    {.key = "url", HTTP_URL, .required = true, .doc = "where the service is"},
    {.key = "auth", PATTERN(is_name, "the name of an entry of auth"), .doc = "which entry of auth proves who calls"},
    {.key = "headers", .type = SCHEMA_MAP, .children = hidden_item, .doc = "headers of every request"},
    {.key = "ca_file", TEXT, .doc = "certificates which are trusted for it, instead of the system's"},
    {.key = "proxy", HTTP_URL, .doc = "proxy on the way to it"},
    {.key = "probe", TEXT, .doc = "a path that answers nobody who is not logged in: gate 4 asks for it"},
    END};
static const schema_spec endpoint_item[] = {{.key = "endpoint", .type = SCHEMA_TABLE, .children = endpoint}, END};

static const schema_spec entra[] = {
    {.key = "tenant",
     TEXT,
     .required = true,
     .doc = "directory (tenant) id, or one of its domain names; ENTRA_TENANT_ID"},
    {.key = "client_id", TEXT, .required = true, .doc = "application (client) id; ENTRA_CLIENT_ID"},
    {.key = "client_secret", TEXT, .required = true, .secret = SCHEMA_SECRET, .doc = "its secret; ENTRA_CLIENT_SECRET"},
    {.key = "audience", TEXT, .required = true, .doc = "for whom tokens are asked; ENTRA_AUDIENCE"},
    {.key = "authority",
     HTTP_URL,
     .def = "\"https://login.microsoftonline.com\"",
     .doc = "who issues tokens; a national cloud has its own"},
    {.key = "other_audience", TEXT, .doc = "for whom tokens are asked that the platform has to refuse"},
    {.key = "expired_token",
     TEXT,
     .secret = SCHEMA_SECRET,
     .doc = "a token of it for the platform that has run out: the platform has to refuse it"},
    {.key = "foreign_token",
     TEXT,
     .secret = SCHEMA_SECRET,
     .doc = "a token for the platform of another tenant: the platform has to refuse it"},
    {.key = "single_use",
     .type = SCHEMA_BOOLEAN,
     .def = "false",
     .doc = "the platform promises that a token opens once: one that is shown again has to be refused"},
    {.key = "roles", .type = SCHEMA_LIST, .children = text_item, .doc = "application roles that its tokens must have"},
    {.key = "ca_file", TEXT, .doc = "certificates which are trusted for the authority, instead of the system's"},
    {.key = "proxy", HTTP_URL, .doc = "proxy on the way to the authority"},
    END};
static const schema_spec api_key[] = {{.key = "value",
                                       TEXT,
                                       .required = true,
                                       .secret = SCHEMA_SECRET,
                                       .doc = "the key, taken from env \"NAME\" or file \"PATH\""},
                                      {.key = "header", TEXT, .def = "\"X-API-Key\"", .doc = "header it is sent in"},
                                      END};
static const schema_spec auth[] = {
    {.key = "entra", .type = SCHEMA_TABLE, .children = entra, .doc = "Entra ID, client credentials"},
    {.key = "api_key", .type = SCHEMA_TABLE, .children = api_key, .doc = "a key of the platform"},
    END};

#define KIND                                                                                                           \
    { .key = "kind", TEXT, .required = true }
static const schema_spec artifacts_local[] = {
    KIND, {.key = "path", TEXT, .doc = "directory; the embedded platform has one of its own"}, END};
#define OTHER_TENANT                                                                                                   \
    { .key = "other_tenant", TEXT, .doc = "tenant whose place these credentials must not reach" }
static const char *const addressings[] = {"path", "virtual", NULL};
static const schema_spec artifacts_s3[] = {
    KIND,
    {.key = "bucket", TEXT, .required = true, .doc = "bucket; {tenant} stands for the tenant's code"},
    {.key = "prefix", .type = SCHEMA_STRING, .def = "\"\"", .doc = "what every key starts with; {tenant} as above"},
    {.key = "region", TEXT, .def = "\"us-east-1\"", .doc = "region; AWS_REGION"},
    {.key = "endpoint", HTTP_URL, .doc = "a service that is not Amazon's; AWS_ENDPOINT_URL"},
    {.key = "addressing",
     .type = SCHEMA_ENUM,
     .choices = addressings,
     .doc = "bucket in the path (default with endpoint) or in the host name (default without)"},
    {.key = "access_key_id", TEXT, .required = true, .doc = "AWS_ACCESS_KEY_ID"},
    {.key = "secret_access_key", TEXT, .required = true, .secret = SCHEMA_SECRET, .doc = "AWS_SECRET_ACCESS_KEY"},
    {.key = "session_token", TEXT, .secret = SCHEMA_SECRET, .doc = "AWS_SESSION_TOKEN"},
    OTHER_TENANT,
    {.key = "proxy", HTTP_URL, .doc = "proxy on the way to it"},
    {.key = "timeout_s", .type = SCHEMA_NUMBER, RANGE(0.1, 3600), .def = "60", .doc = "seconds a request may take"},
    {.key = "ca_file", TEXT, .doc = "certificates which are trusted for it, instead of the system's"},
    END};
static const schema_spec artifacts_azure[] = {
    KIND,
    {.key = "account", TEXT, .required = true, .doc = "storage account; AZURE_STORAGE_ACCOUNT"},
    {.key = "container", TEXT, .required = true, .doc = "container; {tenant} stands for the tenant's code"},
    {.key = "prefix", .type = SCHEMA_STRING, .def = "\"\"", .doc = "what every key starts with; {tenant} as above"},
    {.key = "key", TEXT, .secret = SCHEMA_SECRET, .doc = "account key; AZURE_STORAGE_KEY"},
    {.key = "sas",
     TEXT,
     .secret = SCHEMA_SECRET,
     .doc = "shared access signature in place of the key; AZURE_STORAGE_SAS_TOKEN"},
    OTHER_TENANT,
    {.key = "proxy", HTTP_URL, .doc = "proxy on the way to it"},
    {.key = "timeout_s", .type = SCHEMA_NUMBER, RANGE(0.1, 3600), .def = "60", .doc = "seconds a request may take"},
    {.key = "endpoint", HTTP_URL, .doc = "a service that is not Microsoft's"},
    {.key = "ca_file", TEXT, .doc = "certificates which are trusted for it, instead of the system's"},
    END};
static const schema_spec artifacts_kinds[] = {{.key = "local", .type = SCHEMA_TABLE, .children = artifacts_local},
                                              {.key = "s3", .type = SCHEMA_TABLE, .children = artifacts_s3},
                                              {.key = "azure", .type = SCHEMA_TABLE, .children = artifacts_azure},
                                              END};

#define ARGV                                                                                                           \
    {                                                                                                                  \
        .key = "argv", .type = SCHEMA_LIST, .required = true, AT_LEAST(1),                                             \
        .what = "a list of strings, the program first", .children = code_item,                                         \
        .doc = "program and arguments; no shell reads them"                                                            \
    }
#define PROCESS_LIMITS                                                                                                 \
    {.key = "wall_s", .type = SCHEMA_NUMBER, RANGE(0.001, 86400), .def = "60", .doc = "seconds it may take"},          \
        {.key = "cpu_s", .type = SCHEMA_NUMBER, RANGE(1, 86400), .doc = "seconds of processor time it may use"},       \
        {.key = "memory_mb", .type = SCHEMA_INTEGER, RANGE(1, 1048576), .doc = "megabytes of memory it may use"},      \
        {.key = "cwd", TEXT, .doc = "directory it runs in"}, {                                                         \
        .key = "env", .type = SCHEMA_MAP, .children = hidden_item, .doc = "its environment, beside PATH"               \
    }
static const schema_spec command[] = {ARGV, PROCESS_LIMITS, END};
static const schema_spec command_item[] = {{.key = "command", .type = SCHEMA_TABLE, .children = command}, END};

static const schema_spec solver_reference[] = {
    KIND,
    {.key = "wall_s", .type = SCHEMA_NUMBER, RANGE(0.001, 86400), .def = "60", .doc = "seconds a solve may take"},
    END};
static const schema_spec solver_command[] = {KIND, ARGV, PROCESS_LIMITS, END};
static const schema_spec solver_http[] = {
    KIND,
    {.key = "endpoint",
     PATTERN(is_platform, "\"platform\""),
     .required = true,
     .doc = "the platform's API, which makes the plans"},
    {.key = "wall_s", .type = SCHEMA_NUMBER, RANGE(0.001, 86400), .def = "60", .doc = "seconds a solve may take"},
    END};
static const schema_spec solver_adapter[] = {
    KIND,
    {.key = "wall_s", .type = SCHEMA_NUMBER, RANGE(0.001, 86400), .def = "60", .doc = "seconds a solve may take"},
    END};
static const schema_spec solver_kinds[] = {{.key = "reference", .type = SCHEMA_TABLE, .children = solver_reference},
                                           {.key = "command", .type = SCHEMA_TABLE, .children = solver_command},
                                           {.key = "http", .type = SCHEMA_TABLE, .children = solver_http},
                                           {.key = "adapter", .type = SCHEMA_TABLE, .children = solver_adapter},
                                           END};

static const schema_spec roster[] = {{.key = "max_weekly_hours",
                                      .type = SCHEMA_NUMBER,
                                      RANGE(1, 168),
                                      .def = "55",
                                      .doc = "working hours of a driver in a week"},
                                     {.key = "min_rest_hours",
                                      .type = SCHEMA_NUMBER,
                                      RANGE(0, 168),
                                      .def = "11",
                                      .doc = "rest between two daily blocks"},
                                     {.key = "max_span_regular",
                                      .type = SCHEMA_NUMBER,
                                      RANGE(1, 48),
                                      .def = "14",
                                      .doc = "hours from first start to last end"},
                                     {.key = "max_span_split",
                                      .type = SCHEMA_NUMBER,
                                      RANGE(1, 48),
                                      .def = "16",
                                      .doc = "the same for splits and chains of three"},
                                     END};
static const schema_spec routing[] = {{.key = "matrix", TEXT, .doc = "file of the locked travel times (StaticMatrix)"},
                                      {.key = "matrix_sha256",
                                       PATTERN(is_sha256, "a SHA-256 as 64 lower-case hexadecimal digits"),
                                       .doc = "hash of that file"},
                                      {.key = "haversine_fallback",
                                       .type = SCHEMA_BOOLEAN,
                                       .def = "false",
                                       .doc = "estimate pairs that the matrix lacks"},
                                      END};
static const schema_spec packs[] = {
    {.key = "roster", .type = SCHEMA_TABLE, .def = "{}", .children = roster, .doc = "drivers to shifts"},
    {.key = "routing", .type = SCHEMA_TABLE, .children = routing, .doc = "vehicles to stops; absent: not used"},
    END};

#define MAILBOX PATTERN(is_mailbox, "an address such as \"someone@example.org\"")
static const schema_spec mailbox_item[] = {{.key = "address", MAILBOX}, END};
static const schema_spec mail[] = {
    {.key = "url",
     PATTERN(is_smtp_url, "a URL that starts with smtp:// or smtps://, without spaces or control characters"),
     .required = true,
     .secret = SCHEMA_SECRET_URL,
     .doc = "mail server; SMTP_URL"},
    {.key = "user", TEXT, .doc = "who logs in there, instead of the URL's"},
    {.key = "password", TEXT, .secret = SCHEMA_SECRET, .doc = "password, taken from env \"NAME\" or file \"PATH\""},
    {.key = "from", MAILBOX, .doc = "sender, and who invites to the onboarding call"},
    {.key = "to",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = mailbox_item,
     .doc = "who else is told, beside the tenant"},
    {.key = "fetch", TEXT, .doc = "how a tenant fetches its API key, for the welcome mail: a URL or a sentence"},
    {.key = "timeout_s", .type = SCHEMA_NUMBER, RANGE(0.1, 600), .def = "60", .doc = "seconds a message may take"},
    {.key = "ca_file", TEXT, .doc = "certificates which are trusted for it, instead of the system's"},
    END};
static const char *const anchors[] = {"artifacts", NULL};
static const schema_spec evidence[] = {
    {.key = "ledger", TEXT, .doc = "file of the ledger; \"database\": core.ledger of the platform"},
    {.key = "key", TEXT, .secret = SCHEMA_SECRET, .doc = "signing key (Ed25519, PEM), taken from file \"PATH\""},
    {.key = "trusted",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = text_item,
     .doc = "public keys of earlier and other signers (PEM), taken from file \"PATH\""},
    {.key = "revoked",
     .type = SCHEMA_MAP,
     .def = "{}",
     .key_is = is_sha256,
     .key_what = "a key's id, as 64 lower-case hexadecimal digits",
     .children = text_item,
     .doc = "ids of keys that prove nothing any more, with the reason"},
    {.key = "max_age",
     PATTERN(is_span, "a span such as \"24h\" (s, m, h or d)"),
     .def = "\"24h\"",
     .doc = "how old evidence may be"},
    {.key = "anchor",
     .type = SCHEMA_ENUM,
     .choices = anchors,
     .doc = "store that keeps the ledger's head too, where who changes the ledger does not reach"},
    {.key = "scripts",
     .type = SCHEMA_MAP,
     .def = "{}",
     .children = sha256_item,
     .doc = "SHA-256 of gates and of an adapter of your own that may approve, by their files' names"},
    END};
static const schema_spec tickets[] = {
    {.key = "endpoint",
     PATTERN(is_name, "the name of an entry of endpoints"),
     .doc = "entry of endpoints that answers them as JSON"},
    {.key = "file", TEXT, .doc = "CSV file with them, instead: tenant, id, severity, status, title, opened"},
    {.key = "path", TEXT, .doc = "path of the request"},
    {.key = "project", TEXT, .doc = "whose tickets are asked for"},
    END};
static const schema_spec webhook[] = {
    {.key = "endpoint",
     PATTERN(is_name, "the name of an entry of endpoints"),
     .required = true,
     .doc = "entry of endpoints"},
    {.key = "path", TEXT, .doc = "path of the request"},
    {.key = "events", .type = SCHEMA_LIST, .children = text_item, .doc = "which events are sent; without it all"},
    {.key = "secret",
     TEXT,
     .required = true,
     .secret = SCHEMA_SECRET,
     .doc = "signs them (HMAC-SHA-256, Standard Webhooks), taken from env \"NAME\" or file \"PATH\""},
    END};
static const schema_spec webhook_item[] = {{.key = "webhook", .type = SCHEMA_TABLE, .children = webhook}, END};

/* No defaults: what a script's entry leaves out is as for all. */
static const schema_spec own_limits[] = {
    {.key = "memory_mb", .type = SCHEMA_INTEGER, RANGE(8, 65536), .doc = "megabytes of memory"},
    {.key = "cpu_s",
     .type = SCHEMA_INTEGER,
     RANGE(1, 86400),
     .doc = "seconds of processor time; of an audit, of any time"},
    {.key = "wall_s", .type = SCHEMA_NUMBER, RANGE(0.1, 86400), .doc = "seconds a gate may take"},
    END};
static const schema_spec limits_item[] = {{.key = "script", .type = SCHEMA_TABLE, .children = own_limits}, END};

static const schema_spec limits[] = {
    {.key = "memory_mb", .type = SCHEMA_INTEGER, RANGE(8, 65536), .def = "256", .doc = "megabytes of memory of a gate"},
    {.key = "cpu_s",
     .type = SCHEMA_INTEGER,
     RANGE(1, 86400),
     .def = "60",
     .doc = "seconds of processor time of a gate"},
    {.key = "wall_s", .type = SCHEMA_NUMBER, RANGE(0.1, 86400), .def = "300", .doc = "seconds a gate may take"},
    {.key = "scripts",
     .type = SCHEMA_MAP,
     .def = "{}",
     .key_is = text_is_id,
     .key_what = "the id of a gate, or the file name of an audit without .lua",
     .children = limits_item,
     .doc = "limits of single gates and audits, by id"},
    END};

static const schema_spec own_gate[] = {{.key = "owner", TEXT, .doc = "who is asked where it does not pass"},
                                       {.key = "runbook", TEXT, .doc = "where it is written what to do then"},
                                       END};
static const schema_spec gates_item[] = {{.key = "gate", .type = SCHEMA_TABLE, .children = own_gate}, END};

static const char *const platforms[] = {"embedded", "external", NULL};

static const schema_spec top[] = {
    {.key = "platform", .type = SCHEMA_ENUM, .choices = platforms, .def = "\"embedded\"", .doc = "what is validated"},
    {.key = "database", .type = SCHEMA_TABLE, .def = "{}", .children = database, .doc = "the platform's database"},
    {.key = "trust",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = trust_item,
     .doc = "what the threat model takes for granted"},
    {.key = "endpoints",
     .type = SCHEMA_MAP,
     .def = "{}",
     .key_is = is_name,
     .key_what = "a name",
     .children = endpoint_item,
     .doc = "services that gates may call, by name"},
    {.key = "auth", .type = SCHEMA_TABLE, .def = "{}", .children = auth, .doc = "credentials; scripts never see them"},
    {.key = "artifacts", .type = SCHEMA_VARIANT, .children = artifacts_kinds, .doc = "where artifacts are stored"},
    {.key = "solver", .type = SCHEMA_VARIANT, .children = solver_kinds, .doc = "what makes plans"},
    {.key = "packs", .type = SCHEMA_TABLE, .def = "{}", .children = packs, .doc = "packs in use and their limits"},
    {.key = "audits",
     .type = SCHEMA_LIST,
     .def = "[]",
     .children = text_item,
     .doc = "files of tenant audits, * and ? allowed"},
    {.key = "mail", .type = SCHEMA_TABLE, .children = mail, .doc = "mail server for notices"},
    {.key = "evidence", .type = SCHEMA_TABLE, .children = evidence, .doc = "records of what was validated"},
    {.key = "commands",
     .type = SCHEMA_MAP,
     .def = "{}",
     .key_is = is_name,
     .key_what = "a name",
     .children = command_item,
     .doc = "programs that gates may start, by name"},
    {.key = "adapter",
     PATTERN(is_adapter, "\"embedded\", \"http\" or the path of a .lua file"),
     .doc = "how gate 3 drives the platform"},
    {.key = "validation_tenant",
     PATTERN(text_is_code, "a tenant code ([A-Za-z0-9][A-Za-z0-9_-]{0,62})"),
     .doc = "tenant in which gate 3 works on an external platform"},
    {.key = "recording", TEXT, .doc = "statements of the application, recorded in its own tests"},
    {.key = "tickets", .type = SCHEMA_TABLE, .children = tickets, .doc = "where support tickets are read"},
    {.key = "webhooks", .type = SCHEMA_LIST, .def = "[]", .children = webhook_item, .doc = "who is called on events"},
    {.key = "status_file", TEXT, .doc = "the tenant-status.json that is kept up to date"},
    {.key = "gates",
     .type = SCHEMA_MAP,
     .key_is = text_is_id,
     .key_what = "the id of a gate",
     .children = gates_item,
     .doc = "whose the gates are, by id"},
    {.key = "limits", .type = SCHEMA_TABLE, .def = "{}", .children = limits, .doc = "what a gate may use"},
    END};

static const schema_spec root = {.key = "config", .type = SCHEMA_TABLE, .children = top};

const schema_spec *config_schema(void) {
    return &root;
}
