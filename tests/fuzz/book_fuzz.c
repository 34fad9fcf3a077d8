/* What a worker may send: any JSON values as events. A gate is PASS only where a check was opened and ended.
 * The input: JSON texts, one a line. */
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

/* Feeds every line; true when one of them opened a check. */
static bool feed(book *b, const char *text, size_t n) {
    bool opened = false;
    while (n > 0) {
        err e;
        const char *end = memchr(text, '\n', n);
        size_t len = end != NULL ? (size_t)(end - text) : n;
        json_t *event = canon_parse(text, len, &e);
        if (event != NULL) {
            const char *t = json_string_value(json_object_get(event, "t"));
            bool check = t != NULL && strcmp(t, "check") == 0;
            err_clear(&e);
            int rc = book_event(b, event, &e);
            json_decref(event);
            opened = opened || (check && rc == 0);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (head == NULL) {
        head = json_loads(HEAD, 0, NULL);
        config = json_loads("{\"packs\":{\"roster\":{}}}", 0, NULL);
        PROMISE(head != NULL && config != NULL);
    }
    book_options o = {.head = head, .config = config};
    book *b = book_new(&o);
    PROMISE(b != NULL);
    bool opened = feed(b, (const char *)data, n);
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
    return 0;
}
