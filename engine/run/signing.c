#include "run/signing.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>

#include "run/script.h"

#define SYMBOL "hash_signing_api"

static const hash_signing *load(err *e) {
    const hash_signing *own = dlsym(RTLD_DEFAULT, SYMBOL); /* of a program that links them, such as a test */
    if (own != NULL) {
        return own;
    }
    char path[PATH_MAX];
    const paths *tree = script_tree(e);
    if (tree == NULL) {
        return NULL;
    }
    int n = snprintf(path, sizeof path, "%s/engine/hash.so", tree->modules);
    void *module = n > 0 && (size_t)n < sizeof path ? dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    const hash_signing *out = module != NULL ? dlsym(module, SYMBOL) : NULL;
    if (out == NULL) {
        const char *why = dlerror();
        err_set(e, "install_broken", "%s cannot be loaded to sign with: %s", path,
                why != NULL ? why : "no reason is given");
        err_fix(e, "build or install gate-engine again");
    }
    return out;
}

const hash_signing *signing_load(err *e) {
    static const hash_signing *loaded;
    if (loaded == NULL) {
        const hash_signing *s = load(e);
        loaded = s != NULL && s->begin(e) == 0 ? s : NULL;
    }
    return loaded;
}
