/* advice.c: what scripts of other programs reach for, and what there is here instead: which capability to declare. */
#include <string.h>

#include "vm/allowed.h"

#define STORE                                                                                                          \
    "declare needs = { stores = { \"artifacts\" } } and use ctx.store.artifacts, or an option of type path and "       \
    "ctx.files"
#define EXEC                                                                                                           \
    "declare needs = { commands = { \"NAME\" } }, its argv in the configuration's commands, and call "                 \
    "ctx.exec:run(\"NAME\")"
#define HTTP                                                                                                           \
    "declare needs = { endpoints = { \"NAME\" } }, its URL in the configuration's endpoints, and call "                \
    "ctx.http:request { endpoint = \"NAME\" }"
#define DB "declare needs = { db = { \"admin\" } } and call ctx.db.admin:query(\"…\", …)"
#define NOTHING_ELSE                                                                                                   \
    "an audit gives the same verdict each time: it has nothing but the plan, and the helpers of its pack"

typedef struct advice {
    const char *name, *fix;
} advice;

static const advice GLOBALS[] = {
    {"io.popen", EXEC},
    {"io", STORE},
    {"os.execute", EXEC},
    {"os.remove", "declare needs = { stores = { \"artifacts\" } } and call ctx.store.artifacts:delete"},
    {"os.rename", STORE},
    {"os.tmpname", STORE},
    {"os.getenv", "the configuration reads the environment (env \"NAME\"); scripts see ctx.config and ctx.options"},
    {"os.exit", "return from the function; ctx:fail says what is wrong"},
    {"dofile", "require the module"},
    {"loadfile", "require the module"},
    {"load", "require the module"},
    {"loadstring", "write the code into the script, or into a module beside it"},
    {"debug", "an error tells its file, line, source line and types by itself; --trace shows what a script did"},
    {"package", "require finds modules in the standard library and beside the script"},
    {"unpack", "it is table.unpack in Lua 5.4"},
    {"table.getn", "it is #list in Lua 5.4"},
    {"math.pow", "it is x ^ y in Lua 5.4"},
    {"string.gfind", "it is string.gmatch in Lua 5.4"},
    {"setfenv", "Lua 5.4 has none; give the function what it needs as arguments"},
    {"collectgarbage", "the engine limits memory (limits.memory_mb); nothing is to be collected by hand"},
    {"ctx", "it is the parameter of run and recover: run = function(ctx) … end; hand it on to functions of your own"},
    {"report", "it is the second parameter of an audit: audit = function(plan, report) … end"},
    {"plan", "it is the first parameter of an audit: audit = function(plan, report) … end"},
    {"json", "local json = require \"json\""},
    {"hash", "local hash = require \"hash\""},
    {"task", "local task = require \"task\""},
    {"gate", "local gate = require \"gate\""},
    {"db", DB},
    {"http", HTTP},
    {"store", STORE},
    {"exec", EXEC},
    {"null", "nil is Lua's word; db.null and json.null stand for NULL and null"},
    {"None", "the word is nil"},
    {"undefined", "the word is nil"},
    {"True", "the word is true"},
    {"False", "the word is false"}};

/* For audits, before the others: what would make two verdicts of one plan differ. */
static const advice OF_AUDITS[] = {{"math.random", "an audit gives the same verdict each time: it has no randomness"},
                                   {"os", "an audit gives the same verdict each time: it has no clock"},
                                   {"io", NOTHING_ELSE},
                                   {"db", NOTHING_ELSE},
                                   {"http", NOTHING_ELSE},
                                   {"store", NOTHING_ELSE},
                                   {"exec", NOTHING_ELSE},
                                   {"ctx", NOTHING_ELSE},
                                   {"roster", "local roster = require \"roster\""},
                                   {"routing", "local routing = require \"routing\""}};

/* By the first part of a module's name. */
static const advice MODULES[] = {{"socket", HTTP},
                                 {"ssl", HTTP},
                                 {"http", HTTP},
                                 {"https", HTTP},
                                 {"curl", HTTP},
                                 {"lcurl", HTTP},
                                 {"requests", HTTP},
                                 {"resty", HTTP},
                                 {"luasql", DB},
                                 {"pgmoon", DB},
                                 {"pgsql", DB},
                                 {"postgres", DB},
                                 {"psycopg2", DB},
                                 {"lsqlite3", DB},
                                 {"db", DB},
                                 {"lfs", STORE},
                                 {"io", STORE},
                                 {"store", STORE},
                                 {"path", STORE},
                                 {"posix", EXEC},
                                 {"os", EXEC},
                                 {"exec", EXEC},
                                 {"subprocess", EXEC},
                                 {"cjson", "require \"json\""},
                                 {"dkjson", "require \"json\""},
                                 {"rapidjson", "require \"json\""},
                                 {"lunajson", "require \"json\""},
                                 {"md5", "require \"hash\""},
                                 {"sha1", "require \"hash\""},
                                 {"sha2", "require \"hash\""},
                                 {"crypto", "require \"hash\""},
                                 {"openssl", "require \"hash\""},
                                 {"luv", "require \"task\": task.map runs functions side by side"},
                                 {"copas", "require \"task\": task.map runs functions side by side"},
                                 {"lanes", "require \"task\": task.map runs functions side by side"},
                                 {"argparse", "declare options in the head: they become flags"},
                                 {"cliargs", "declare options in the head: they become flags"},
                                 {"ctx", "it is the parameter of run and recover: run = function(ctx) … end"}};

static const char *look_up(const advice *list, size_t n, const char *name, size_t len) {
    for (size_t i = 0; i < n; i++) {
        if (strlen(list[i].name) == len && memcmp(list[i].name, name, len) == 0) {
            return list[i].fix;
        }
    }
    return NULL;
}

#define LOOK_UP(list, name, len) look_up(list, sizeof(list) / sizeof((list)[0]), name, len)

const char *vm_instead_of(bool audit, const char *name) {
    size_t n = strlen(name), first = strcspn(name, ".");
    const char *fix = audit ? LOOK_UP(OF_AUDITS, name, n) : NULL;
    fix = fix == NULL && audit ? LOOK_UP(OF_AUDITS, name, first) : fix;
    fix = fix == NULL ? LOOK_UP(GLOBALS, name, n) : fix;
    return fix == NULL ? LOOK_UP(GLOBALS, name, first) : fix;
}

const char *vm_instead_of_module(bool audit, const char *name) {
    const char *fix = LOOK_UP(MODULES, name, strcspn(name, "."));
    return fix != NULL && audit ? NOTHING_ELSE : fix;
}
