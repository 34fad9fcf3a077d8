/* config_names.c: what the names of a catalogue look like, as the configuration and the command line give them. */
#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "run/config.h"
#include "run/config_parts.h"

bool config_is_identifier(const char *s) {
    return *s != '\0' && strlen(s) <= 63 && text_utf8_valid(s, strlen(s));
}

bool config_is_setting(const char *s) {
    bool start = true, dotted = false;
    for (; *s != '\0'; s++) {
        if (*s == '.') {
            if (start) {
                return false;
            }
            start = dotted = true;
            continue;
        }
        bool letter = isalpha((unsigned char)*s) || *s == '_' || (unsigned char)*s >= 0x80;
        if (!letter && (start || !(isdigit((unsigned char)*s) || *s == '$'))) {
            return false;
        }
        start = false;
    }
    return dotted && !start;
}

/* One part of a catalogue name: quoted ("" stands for ") or bare. Returns what follows it, or NULL. */
static const char *name_part(const char *s) {
    if (*s != '"') {
        size_t n = strcspn(s, ".\"");
        return n > 0 ? s + n : NULL;
    }
    for (s++; *s != '\0'; s++) {
        if (*s == '"' && s[1] == '"') {
            s++;
        } else if (*s == '"') {
            return s + 1;
        }
    }
    return NULL;
}

bool config_is_relation(const char *s) {
    const char *rest = name_part(s);
    if (rest == NULL || *rest != '.') {
        return false;
    }
    rest = name_part(rest + 1);
    return rest != NULL && *rest == '\0';
}

bool config_is_routine(const char *s) {
    const char *rest = name_part(s);
    if (rest == NULL || *rest != '.') {
        return false;
    }
    rest++;
    size_t bare = strcspn(rest, "(\"");
    rest = bare > 0 ? rest + bare : name_part(rest);
    size_t n = rest != NULL ? strlen(rest) : 0;
    return n >= 2 && rest[0] == '(' && rest[n - 1] == ')';
}
