/* The reader that finds a key's line in the source of a configuration or script: any source, any path. */
#include <string.h>

#include "promise.h"
#include "run/keyline.h"

static int lines_of(const char *source) {
    int lines = 1;
    for (const char *p = source; *p != '\0'; p++) {
        lines += *p == '\n' || *p == '\r';
    }
    return lines;
}

/* Every line it names is a line of the source. */
static void in_source(const json_t *entry, int lines) {
    const json_t *line = json_object_get(entry, "line");
    PROMISE(line == NULL || (json_integer_value(line) >= 0 && json_integer_value(line) <= lines));
    const char *key;
    json_t *child;
    json_object_foreach(json_object_get(entry, "keys"), key, child) {
        in_source(child, lines);
    }
}

/* The input: a path, a zero byte, the source. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1);
    PROMISE(text != NULL);
    memcpy(text, data, n);
    text[n] = '\0';
    size_t path_len = strlen(text);
    const char *source = path_len < n ? text + path_len + 1 : text;
    json_t *index = keyline_index(source);
    PROMISE(index != NULL);
    int lines = lines_of(source);
    in_source(index, lines);
    static const char *const PATHS[] = {"", "database.tenant", "audits[2]", "fixtures[\"public.x\"].rows", "a[", "[\""};
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        int line = keyline_find(index, PATHS[i]);
        PROMISE(line >= 0 && line <= lines);
    }
    int line = keyline_find(index, text);
    PROMISE(line >= 0 && line <= lines);
    json_decref(index);
    free(text);
    return 0;
}
