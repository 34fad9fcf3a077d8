/* engine_trust.c: may this run's pass approve anybody? Only what this program was built with, or the configuration
 * pins. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "run/engine_parts.h"
#include "run/integrity.h"
#include "run/loader.h"

/* Does the configuration pin this text, by its file's name? Where it does not and `what` is not NULL, what would is
 * said. */
static bool is_pinned(const engine_run_state *s, const char *path, const char *hex, const char *what) {
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : path != NULL ? path : "?";
    const json_t *scripts = json_object_get(json_object_get(s->r->cfg->doc, "evidence"), "scripts");
    const json_t *pin = json_object_get(scripts, name);
    if (json_is_string(pin) && hex != NULL && strcmp(json_string_value(pin), hex) == 0) {
        return true;
    }
    if (what != NULL) {
        log_line(LOG_WARN, "not approved: the %s %s is not pinned: evidence.scripts[\"%s\"] = \"%s\"", what,
                 path != NULL ? path : "?", name, hex != NULL ? hex : "?");
    }
    return false;
}

/* The very text that each worker ran, which is what the loader read, is one of this program's gates, or one that the
 * configuration pins. Operations write: of them none but this program's are. */
static bool gates_are_known(const engine_run_state *s) {
    const char *kind = json_string_value(json_object_get(s->r->head, "kind"));
    const char *what = kind != NULL && strcmp(kind, "suite") == 0 ? "gate" : NULL;
    bool known = true;
    size_t i;
    json_t *gate;
    json_array_foreach(s->r->gates, i, gate) {
        const json_t *raw = json_object_get(gate, "raw");
        known = (json_is_true(json_object_get(gate, "shipped")) ||
                 (!engine_is_operation(s->r) && is_pinned(s, json_string_value(json_object_get(raw, "path")),
                                                          json_string_value(json_object_get(raw, "sha256")), what))) &&
                known;
    }
    return known;
}

/* Nothing of the installed tree was exchanged since before the first file of it was read? */
static bool stayed_the_same(const engine_run_state *s) {
    buf now = BUF_INIT;
    err e;
    bool same =
        integrity_stamp(&s->tree, &now, &e) == 0 && s->r->stamp != NULL && strcmp(buf_str(&now), s->r->stamp) == 0;
    buf_free(&now);
    if (!same) {
        log_line(LOG_WARN, "not approved: installed files were changed while the gates ran");
    }
    return same;
}

/* The platform's adapter, where the operators wrote one, is the one that the configuration pins. */
static bool adapter_is_pinned(const engine_run_state *s) {
    const json_t *text = json_object_get(s->r->cfg->doc, "adapter_text");
    if (text == NULL) {
        return true;
    }
    char hex[SHA256_HEX_SIZE];
    sha256_hex(json_string_value(text), json_string_length(text), hex);
    return is_pinned(s, json_string_value(json_object_get(s->r->cfg->doc, "adapter")), hex, "adapter");
}

/* Gates, stdlib, modules and programs are what this program was built with, or pinned? Only such a run can approve. */
bool engine_is_trusted(engine_run_state *s) {
    const char *preload = integrity_preload();
    if (s->r->stdlib_dir != NULL || s->r->scratch != NULL) {
        return false;
    }
    if (preload != NULL) {
        log_line(LOG_WARN, "not approved: %s is set, so that other code than was built may have run", preload);
        return false;
    }
    json_t *differing = NULL;
    err e;
    if (loader_integrity(&differing, &e) != 0) {
        log_line(LOG_WARN, "not approved: the installed scripts could not be checked: %s", e.message);
        return false;
    }
    size_t n = json_array_size(differing);
    if (n > 0) {
        log_line(LOG_WARN, "not approved: %zu installed file(s) differ from what gate-engine was built with, first %s",
                 n, json_string_value(json_array_get(differing, 0)));
    }
    json_decref(differing);
    return n == 0 && gates_are_known(s) && adapter_is_pinned(s) && stayed_the_same(s);
}
