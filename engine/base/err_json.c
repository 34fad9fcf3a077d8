#include "base/err_json.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"

static json_t *text(const char *s) {
    json_t *out = json_string(s);
    if (out == NULL) {
        buf clean = BUF_INIT;
        if (text_sanitise(&clean, s, strlen(s), 0, true) == 0) {
            out = json_stringn(buf_str(&clean), clean.len);
        }
        buf_free(&clean);
    }
    return out;
}

json_t *err_to_json(const err *e) {
    return json_pack("{s:o, s:o, s:o, s:o}", "code", text(e->code), "message", text(e->message), "detail",
                     text(e->detail), "fix", text(e->fix));
}

int err_from_json(err *e, const json_t *from, const char *code, const char *message) {
    const char *own_code = json_string_value(json_object_get(from, "code"));
    const char *own_message = json_string_value(json_object_get(from, "message"));
    const char *detail = json_string_value(json_object_get(from, "detail"));
    const char *fix = json_string_value(json_object_get(from, "fix"));
    err_set(e, own_code != NULL ? own_code : code, "%s", own_message != NULL ? own_message : message);
    if (detail != NULL) {
        err_detail(e, "%s", detail);
    }
    if (fix != NULL) {
        err_fix(e, "%s", fix);
    }
    return -1;
}
