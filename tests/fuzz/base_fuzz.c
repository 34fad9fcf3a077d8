/* What reads foreign bytes in engine/base: canonical JSON, sanitising, frames (`make fuzz`).
 *
 * Besides crashes it looks for broken promises: canonical text is its own canonical form, values and texts agree, a
 * refused text leaves nothing behind, what is shown is UTF-8 within its bound. */
#include <string.h>

#include "base/canon.h"
#include "base/frame.h"
#include "base/text.h"
#include "promise.h"

static void same(const buf *a, const buf *b) {
    PROMISE(a->len == b->len && memcmp(buf_str(a), buf_str(b), a->len) == 0);
}

static void as_value(const char *text, size_t n, const buf *canonical) {
    err e;
    json_t *value = canon_parse(text, n, &e);
    if (value == NULL) {
        PROMISE(strcmp(e.code, "json_number") == 0); /* an integer beyond 64 bits, which only the text form takes */
        return;
    }
    buf again = BUF_INIT;
    buf plain = BUF_INIT;
    PROMISE(canon_value(&again, value, &e) == 0);
    same(canonical, &again);
    PROMISE(canon_plain(&plain, value, 1, &e) == 0);
    json_t *back = canon_parse(plain.data, plain.len, &e);
    PROMISE(back != NULL && json_equal(value, back));
    json_decref(back);
    json_decref(value);
    buf_free(&plain);
    buf_free(&again);
}

static void as_text(const char *text, size_t n) {
    err e;
    buf canonical = BUF_INIT;
    if (canon_text(&canonical, text, n, &e) == 0) {
        buf again = BUF_INIT;
        PROMISE(canon_text(&again, canonical.data, canonical.len, &e) == 0);
        same(&canonical, &again);
        buf_free(&again);
        as_value(text, n, &canonical);
    } else {
        PROMISE(canonical.len == 0 && e.code[0] != '\0');
    }
    buf_free(&canonical);
}

static void as_frames(const char *bytes, size_t n) {
    err e;
    buf in = BUF_INIT;
    buf payload = BUF_INIT;
    json_t *message = NULL;
    PROMISE(buf_append(&in, bytes, n) == 0);
    int rc;
    while ((rc = frame_take(&in, &message, &payload, &e)) == 1) {
        json_decref(message);
    }
    PROMISE(rc == 0 || strcmp(e.code, "frame_broken") == 0);
    buf_free(&payload);
    buf_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *bytes = (const char *)data;
    buf shown = BUF_INIT;
    as_text(bytes, n);
    as_frames(bytes, n);
    PROMISE(text_sanitise(&shown, bytes, n, n / 2, false) == 0);
    PROMISE((n / 2 == 0 || shown.len <= n / 2) && text_utf8_valid(buf_str(&shown), shown.len));
    buf_free(&shown);
    return 0;
}
