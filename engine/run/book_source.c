#include "run/book_source.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Does the shortened name stand for this path? */
static bool names(const char *file, size_t n, const char *path) {
    size_t len = strlen(path);
    if (n > 3 && strncmp(file, "...", 3) == 0) {
        file += 3;
        n -= 3;
        return n <= len && memcmp(path + len - n, file, n) == 0;
    }
    return n == len && memcmp(path, file, n) == 0;
}

size_t book_source_line(const json_t *raw, const char *where, const char **line) {
    const char *path = json_string_value(json_object_get(raw, "path"));
    const char *source = json_string_value(json_object_get(raw, "source"));
    const char *colon = strrchr(where, ':');
    long wanted = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    if (path == NULL || source == NULL || wanted < 1 || !names(where, (size_t)(colon - where), path)) {
        return 0;
    }
    for (long at = 1; at < wanted; at++) {
        source = strchr(source, '\n');
        if (source == NULL) {
            return 0;
        }
        source++;
    }
    size_t n = strcspn(source, "\r\n");
    while (n > 0 && isspace((unsigned char)*source)) {
        source++;
        n--;
    }
    while (n > 0 && isspace((unsigned char)source[n - 1])) {
        n--;
    }
    *line = source;
    return n;
}
