/* target_paths.c: the files a worker may see. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "run/target.h"

/* What the client libraries read: themselves, certificates, names of users and hosts. */
static const char *const SYSTEM[] = {"/lib",
                                     "/lib64",
                                     "/usr/lib",
                                     "/usr/lib64",
                                     "/usr/local/lib",
                                     "/usr/share/zoneinfo",
                                     "/usr/share/ca-certificates",
                                     "/usr/local/share/ca-certificates",
                                     "/etc/ssl",
                                     "/etc/ca-certificates",
                                     "/etc/ld.so.cache",
                                     "/etc/localtime",
                                     "/etc/passwd",
                                     "/etc/group",
                                     "/etc/nsswitch.conf",
                                     "/etc/host.conf",
                                     "/etc/hosts",
                                     "/etc/resolv.conf",
                                     "/etc/gai.conf",
                                     "/dev/null",
                                     "/dev/urandom"};
enum { SYSTEM_N = sizeof SYSTEM / sizeof SYSTEM[0] };

static void add(ring_path *list, size_t *n, const char *path, ring_access access) {
    if (path != NULL) {
        list[(*n)++] = (ring_path){.path = path, .access = access};
    }
}

/* Stores and files of the job. A directory that is missing and may be made is made here: the worker could not. */
static void add_stores(ring_path *list, size_t *n, json_t *stores) {
    for (void *it = json_object_iter(stores); it != NULL; it = json_object_iter_next(stores, it)) {
        const json_t *spec = json_object_iter_value(it);
        const char *path = json_string_value(json_object_get(spec, "path"));
        bool write = !json_is_true(json_object_get(spec, "readonly"));
        if (path != NULL && json_is_true(json_object_get(spec, "create"))) {
            err ignored; /* what is wrong with it the store says when it is opened */
            (void)fs_mkdirs(path, 0755, &ignored);
        }
        add(list, n, path, write ? RING_WRITE : RING_READ);
    }
}

/* Certificates that endpoints and stores name. */
static void add_ca_files(ring_path *list, size_t *n, json_t *specs) {
    for (void *it = json_object_iter(specs); it != NULL; it = json_object_iter_next(specs, it)) {
        add(list, n, json_string_value(json_object_get(json_object_iter_value(it), "ca_file")), RING_READ);
    }
}

ring_path *target_paths(const json_t *job, const char *stdlib_dir, const char *script_dir, const paths *tree,
                        size_t *n) {
    json_t *stores = json_object_get(job, "stores");
    json_t *files = json_object_get(job, "files");
    json_t *endpoints = json_object_get(job, "endpoints");
    const json_t *certificates = json_object_get(job, "certificates");
    size_t most = SYSTEM_N + 9 + json_array_size(certificates) + 2 * json_object_size(stores) +
                  2 * json_object_size(files) + json_object_size(endpoints);
    ring_path *list = calloc(most, sizeof *list);
    if (list == NULL) {
        return NULL;
    }
    *n = 0;
    for (size_t i = 0; i < SYSTEM_N; i++) {
        add(list, n, SYSTEM[i], RING_READ);
    }
    add(list, n, stdlib_dir, RING_READ);
    add(list, n, tree->modules, RING_READ);
    add(list, n, script_dir, RING_READ);
    add_stores(list, n, stores);
    add_stores(list, n, files);
    size_t i;
    json_t *dir, *certificate;
    json_array_foreach(certificates, i, certificate) {
        add(list, n, json_string_value(certificate), RING_READ);
    }
    json_array_foreach(json_object_get(job, "file_dirs"), i, dir) {
        add(list, n, json_string_value(dir), RING_LIST);
    }
    add_ca_files(list, n, stores);
    add_ca_files(list, n, endpoints);
    add(list, n, json_string_value(json_object_get(json_object_get(job, "mail"), "ca_file")), RING_READ);
    return list;
}
