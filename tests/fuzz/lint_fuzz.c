/* The reader of Lua sources behind `check`: tokens lie inside the source, in order; findings name lines of it. */
#include <string.h>

#include "promise.h"
#include "run/lint.h"
#include "run/lualex.h"

static const char HEAD[] =
    "{\"kind\":\"gate\",\"id\":\"g\",\"name\":\"G\",\"options\":{\"depth\":{\"type\":\"integer\"}},"
    "\"needs\":{\"db\":[\"app\"],\"endpoints\":[],\"stores\":[\"artifacts\"],\"commands\":[\"now\"],"
    "\"solver\":false,\"audits\":false,\"auth\":[]},\"failures\":{\"odd\":{\"text\":\"odd\"}},"
    "\"has_run\":true,\"has_recover\":false}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static json_t *head;
    err e;
    if (head == NULL) {
        head = json_loads(HEAD, 0, NULL);
        PROMISE(head != NULL);
    }
    char *source = malloc(n + 1);
    PROMISE(source != NULL);
    memcpy(source, data, n);
    source[n] = '\0';
    size_t len = strlen(source);
    int lines = 1;
    for (const char *p = source; *p != '\0'; p++) {
        lines += *p == '\n' || *p == '\r';
    }
    lualex lx = {0};
    PROMISE(lualex_read(&lx, source) == 0);
    const char *at = source;
    int line = 1;
    for (size_t i = 0; i < lx.n && lx.list[i].kind != T_END; i++) {
        const lualex_token *t = &lx.list[i];
        PROMISE(t->s >= at && t->s + t->n <= source + len && t->line >= line && t->line <= lines);
        at = t->s + t->n;
        line = t->line;
    }
    lualex_free(&lx);
    json_t *raw = json_pack("{s:s, s:s}", "path", "/fuzz/g.lua", "source", source);
    json_t *findings = json_array();
    if (raw != NULL) { /* else the source is no UTF-8, which the loader has refused */
        PROMISE(lint_script(raw, head, findings, &e) == 0);
    }
    size_t i;
    json_t *one;
    json_array_foreach(findings, i, one) {
        json_int_t where = json_integer_value(json_object_get(one, "line"));
        PROMISE(where >= 0 && where <= lines && json_is_string(json_object_get(one, "message")));
    }
    json_decref(findings);
    json_decref(raw);
    free(source);
    return 0;
}
