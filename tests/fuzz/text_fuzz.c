/* Small readers: hash texts, keys of stores, secrets in texts, codes and ids. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "prim/hash.h"
#include "prim/store_path.h"
#include "promise.h"

static const char SECRET[] = "k/9 s\"x";

static void spellings(const char *text, size_t n) {
    err e;
    for (int form = 0; form < 3; form++) {
        buf bytes = BUF_INIT;
        buf again = BUF_INIT;
        int rc = form == 0 ? hash_unhex(&bytes, text, n, &e) : hash_unbase64(&bytes, text, n, form == 2, &e);
        if (rc == 0) {
            PROMISE((form == 0 ? hash_hex(&again, buf_str(&bytes), bytes.len)
                               : hash_base64(&again, buf_str(&bytes), bytes.len, form == 2)) == 0);
            PROMISE(again.len == n); /* strict: there is one spelling, but for the case of hexadecimal digits */
            PROMISE(form == 0 || memcmp(buf_str(&again), text, n) == 0);
        } else {
            PROMISE(strcmp(e.code, "hash_text") == 0 && bytes.len == 0);
        }
        buf_free(&again);
        buf_free(&bytes);
    }
}

static void key(const char *text, size_t n) {
    err e;
    store_part parts[STORE_DEPTH_MAX];
    char shown[STORE_SHOWN_MAX];
    int count = store_split(text, n, parts, &e);
    PROMISE(text_is_line(store_shown(text, n, shown)));
    if (count < 0) {
        PROMISE(strcmp(e.code, "store_key") == 0);
        return;
    }
    PROMISE(count >= 1 && count <= STORE_DEPTH_MAX && text[0] != '/');
    size_t total = (size_t)count - 1;
    for (int i = 0; i < count; i++) {
        PROMISE(parts[i].len > 0 && memchr(parts[i].start, '/', parts[i].len) == NULL);
        PROMISE(!(parts[i].len == 1 && parts[i].start[0] == '.'));
        PROMISE(!(parts[i].len == 2 && memcmp(parts[i].start, "..", 2) == 0));
        total += parts[i].len;
    }
    PROMISE(total == n);
}

static void masked(const char *text, size_t n) {
    for (size_t enough = 1; enough < 4096; enough = enough * 4 + 3) {
        buf whole = BUF_INIT;
        buf some = BUF_INIT;
        PROMISE(log_mask(&whole, text, n) == 0 && log_mask_some(&some, text, n, enough) == 0);
        PROMISE(!log_has_secret(buf_str(&whole), whole.len));
        /* It is the beginning of the whole, and long enough unless that is shorter. */
        PROMISE(some.len <= whole.len && memcmp(buf_str(&some), buf_str(&whole), some.len) == 0);
        PROMISE(some.len >= enough || some.len == whole.len);
        buf_free(&some);
        buf_free(&whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static bool ready;
    if (!ready) {
        PROMISE(log_add_secret(SECRET, sizeof SECRET - 1) == 0);
        ready = true;
    }
    static const char *const NAMES[] = {"coverage", "isolation", "code_paths", "", NULL};
    const char *bytes = (const char *)data;
    spellings(bytes, n);
    key(bytes, n);
    masked(bytes, n);
    char *text = strndup(bytes, n);
    PROMISE(text != NULL);
    (void)text_suggest(text, NAMES);
    PROMISE(!text_is_id(text) || text_is_code(text));
    PROMISE(!text_is_line(text) || text_is_block(text));
    PROMISE(!text_is_block(text) || text_utf8_valid(text, strlen(text)));
    free(text);
    return 0;
}
