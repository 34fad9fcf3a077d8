/* PostgreSQL's grammar on any text: a tree or an error that says why, and so for fingerprint and normal form. */
#include <string.h>

#include "prim/sql.h"
#include "promise.h"

static void promise_error(const err *e, int position) {
    static const char *const CODES[] = {"sql_syntax",   "sql_size",   "sql_depth",
                                        "sql_encoding", "sql_failed", "out_of_memory"};
    bool known = false;
    for (size_t i = 0; i < sizeof CODES / sizeof CODES[0]; i++) {
        known = known || strcmp(e->code, CODES[i]) == 0;
    }
    PROMISE(known && e->message[0] != '\0');
    PROMISE((position > 0) == (strcmp(e->code, "sql_syntax") == 0));
}

static void parsed(const char *text, size_t n) {
    char fingerprint[SQL_FINGERPRINT_SIZE];
    buf normal = BUF_INIT;
    int position;
    err e;
    if (sql_fingerprint(text, n, fingerprint, &position, &e) != 0) {
        promise_error(&e, position);
    } else {
        PROMISE(strlen(fingerprint) > 0);
    }
    if (sql_normalize(text, n, &normal, &position, &e) != 0) {
        promise_error(&e, position);
    }
    buf_free(&normal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1); /* its own block, so that a read past the end is seen */
    PROMISE(text != NULL);
    memcpy(text, data, n);
    text[n] = '\0';
    int position;
    err e;
    json_t *tree = sql_parse(text, n, &position, &e);
    if (tree != NULL) {
        PROMISE(position == 0 && json_is_object(tree));
        json_decref(tree);
    } else {
        promise_error(&e, position);
    }
    parsed(text, n);
    free(text);
    return 0;
}
