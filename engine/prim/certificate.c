#include "prim/certificate.h"

#include <stdio.h>
#include <string.h>

bool certificate_add(certificate *out, const char *subject) {
    size_t used = strlen(out->chain), n = strlen(subject);
    if (used + n + 2 > sizeof out->chain) {
        return false;
    }
    snprintf(out->chain + used, sizeof out->chain - used, "%s%s", used > 0 ? "\n" : "", subject);
    return true;
}
