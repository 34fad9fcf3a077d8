/* Frames that arrive in pieces: however the bytes are cut, the same messages come out.
 *
 * The first byte is the size of the pieces, every further message is made of the input itself, so that the fuzzer need
 * not find out lengths. */
#include <string.h>

#include "base/canon.h"
#include "base/frame.h"
#include "promise.h"

/* Takes everything that arrives piece by piece: a digest of the messages, their payloads and how it ended. */
static void digest(const buf *bytes, size_t piece, buf *out) {
    err e;
    buf in = BUF_INIT;
    buf payload = BUF_INIT;
    int rc = 0;
    for (size_t at = 0; at < bytes->len && rc >= 0; at += piece) {
        size_t n = bytes->len - at < piece ? bytes->len - at : piece;
        PROMISE(buf_append(&in, bytes->data + at, n) == 0);
        json_t *message = NULL;
        while ((rc = frame_take(&in, &message, &payload, &e)) == 1) {
            char *text = json_dumps(message, JSON_ENCODE_ANY | JSON_SORT_KEYS);
            PROMISE(text != NULL && buf_append(out, text, strlen(text)) == 0);
            free(text);
            json_decref(message);
        }
    }
    PROMISE(rc == 0 || strcmp(e.code, "frame_broken") == 0);
    PROMISE(buf_append(out, buf_str(&payload), payload.len) == 0 && buf_append(out, rc < 0 ? "!" : ".", 1) == 0);
    buf_free(&payload);
    buf_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    err e;
    if (n < 2) {
        return 0;
    }
    size_t piece = (size_t)data[0] + 1;
    const char *text = (const char *)data + 1;
    buf bytes = BUF_INIT;
    json_t *message = canon_parse(text, n - 1, &e);
    if (json_is_object(message) || json_is_array(message)) {
        PROMISE(frame_put(&bytes, message, text, (n - 1) % 17, &e) == 0);
    }
    json_decref(message);
    PROMISE(buf_append(&bytes, text, n - 1) == 0);
    buf whole = BUF_INIT;
    buf pieces = BUF_INIT;
    digest(&bytes, bytes.len, &whole);
    digest(&bytes, piece, &pieces);
    PROMISE(whole.len == pieces.len && memcmp(buf_str(&whole), buf_str(&pieces), whole.len) == 0);
    buf_free(&pieces);
    buf_free(&whole);
    buf_free(&bytes);
    return 0;
}
