/* What a worker may send: any JSON values as events. A gate is PASS only where a check was opened and ended, an
 * operation only where a step was granted or nothing was to do. The input: JSON texts, one a line. */
#include <string.h>

#include "base/canon.h"
#include "promise.h"
#include "run/book.h"

static const char HEAD[] =
    "{\"id\":\"g\",\"name\":\"G\",\"number\":2,\"pass\":\"Fine\",\"owner\":\"team\",\"failures\":"
    "{\"odd\":{\"text\":\"%s is odd\",\"fix\":\"Even it\",\"severity\":\"leak\"},"
    "\"hint\":{\"text\":\"a hint\",\"severity\":\"advisory\"}}}";

static json_t *head;
static json_t *config;

static bool is(const char *s, const char *wanted) {
    return s != NULL && strcmp(s, wanted) == 0;
}

/* Takes one event; true when it opened a check, of an operation when it began a step or said that nothing is to do.
 * *rc: -1 ends the worker. */
static bool take(book *b, const json_t *event, bool operation, int *rc, err *e) {
    const char *t = json_string_value(json_object_get(event, "t"));
    *rc = 0;
    if (is(t, "req")) { /* the only answer to a step that must not begin is no */
        return book_step(b, event, e) == 0 && operation;
    }
    *rc = book_event(b, event, e);
    return *rc == 0 && is(t, operation ? "unchanged" : "check");
}

/* Feeds every line; true when one of them could make it a pass. */
static bool feed(book *b, const char *text, size_t n, bool operation) {
    bool opened = false;
    while (n > 0) {
        err e;
        const char *end = memchr(text, '\n', n);
        size_t len = end != NULL ? (size_t)(end - text) : n;
        json_t *event = canon_parse(text, len, &e);
        if (event != NULL) {
            int rc;
            err_clear(&e);
            opened = take(b, event, operation, &rc, &e) || opened;
            json_decref(event);
            if (rc != 0) {
                PROMISE(e.code[0] != '\0');
                book_crash(b, &e);
                break;
            }
        }
        n -= end != NULL ? len + 1 : len;
        text += end != NULL ? len + 1 : len;
    }
    return opened;
}

static void run(const char *text, size_t n, bool operation, bool dry_run) {
    book_options o = {.head = head, .config = config, .operation = operation, .dry_run = dry_run};
    book *b = book_new(&o);
    PROMISE(b != NULL);
    bool opened = feed(b, text, n, operation);
    bool crashed = book_crashed(b);
    json_decref(book_findings(b));
    json_decref(book_proposals(b));
    json_t *gate = book_close(b, 1.0, NULL);
    PROMISE(gate != NULL);
    const char *status = json_string_value(json_object_get(gate, "status"));
    PROMISE(status != NULL);
    PROMISE(strcmp(status, "PASS") != 0 || (opened && !crashed));
    json_decref(gate);
    book_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (head == NULL) {
        head = json_loads(HEAD, 0, NULL);
        config = json_loads("{\"packs\":{\"roster\":{}}}", 0, NULL);
        PROMISE(head != NULL && config != NULL);
    }
    for (int mode = 0; mode < 3; mode++) {
        run((const char *)data, n, mode > 0, mode == 2);
    }
    return 0;
}
