#include "run/script.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/head.h"
#include "run/loader.h"

#define NAMES_MAX 1024

const paths *script_tree(err *e) {
    static paths tree;
    static bool found;
    if (!found && paths_find(&tree, e) != 0) {
        return NULL;
    }
    found = true;
    return &tree;
}

/* What of path follows dir and a slash, or NULL. */
static const char *below(const char *path, const char *dir) {
    size_t n = dir != NULL ? strlen(dir) : 0;
    return n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

char *script_label(const char *path) {
    if (path == NULL) {
        return NULL;
    }
    char here[PATH_MAX];
    const char *rest = getcwd(here, sizeof here) != NULL ? below(path, here) : NULL;
    err e;
    const paths *tree = rest == NULL ? script_tree(&e) : NULL;
    if (tree != NULL) {
        rest = below(path, tree->share);
    }
    return strdup(rest != NULL ? rest : path);
}

int script_refuse_link(const char *what, const char *path, err *e) {
    buf shown = BUF_INIT;
    text_sanitise(&shown, path, strlen(path), 200, false);
    err_set(e, "usage_script", "%s: expected a file, found a symbolic link that leads out of its directory: %s", what,
            buf_str(&shown));
    buf_free(&shown);
    return err_fix(e, "name the file itself; whoever can put a link there would choose what is read");
}

/* dir/name as an absolute path when it is a file; dir NULL = the working directory. Links that lead out of the
 * directory they stand in are refused with *e set, but for those of the installed tree (e NULL). */
static char *try_file(const char *dir, const char *name, err *e) {
    errno = 0;
    char *joined = dir != NULL ? fs_join(dir, name) : strdup(name);
    bool there = joined != NULL && fs_is_file(joined);
    if (there && e != NULL && fs_leads_out(joined)) {
        script_refuse_link("script", name, e);
        free(joined);
        return NULL;
    }
    char *found = there ? realpath(joined, NULL) : NULL;
    if (joined == NULL || (found == NULL && errno == ENOMEM)) {
        mem_note(); /* it counts as not there, and another may be found in its place */
    }
    free(joined);
    return found;
}

bool script_is_shipped(const json_t *raw) {
    err ignored;
    const paths *tree = script_tree(&ignored);
    const char *path = json_string_value(json_object_get(raw, "path"));
    const char *rest = tree != NULL && path != NULL ? below(path, tree->share) : NULL;
    return rest != NULL && (strncmp(rest, "gates/", 6) == 0 || strncmp(rest, "scripts/", 8) == 0) &&
           loader_is_built_in(rest, json_string_value(json_object_get(raw, "sha256")));
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Appends the Lua files of share/folder, sorted. */
static int list_folder(const char *share, const char *folder, bool labels, json_t *out) {
    char *dir = fs_join(share, folder);
    errno = 0;
    DIR *d = dir != NULL ? opendir(dir) : NULL;
    int saved = errno;
    free(dir);
    errno = saved;
    if (d == NULL) {
        if (dir == NULL || errno == ENOMEM) {
            mem_note();
        }
        return 0;
    }
    char *names[NAMES_MAX];
    size_t n = 0;
    const struct dirent *entry;
    while (n < NAMES_MAX && (entry = readdir(d)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && *entry->d_name != '.' && strcmp(entry->d_name + len - 4, ".lua") == 0) {
            buf b = BUF_INIT;
            if (labels) {
                buf_printf(&b, "%s/%s", folder, entry->d_name);
            } else {
                buf_append(&b, entry->d_name, len - 4);
            }
            names[n] = buf_steal(&b);
            n += names[n] != NULL;
        }
    }
    closedir(d);
    qsort(names, n, sizeof *names, compare_names);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        rc |= json_array_append_new(out, json_string(names[i]));
        free(names[i]);
    }
    return rc;
}

json_t *script_names(bool labels, err *e) {
    const paths *tree = script_tree(e);
    json_t *out = tree != NULL ? json_array() : NULL;
    if (out != NULL) {
        list_folder(tree->share, "gates", labels, out);
        list_folder(tree->share, "scripts", labels, out);
    }
    return out;
}

static int not_found(const char *name, err *e) {
    buf shown = BUF_INIT;
    text_sanitise(&shown, name, strlen(name), 120, false);
    struct stat st;
    if (stat(name, &st) == 0 && S_ISDIR(st.st_mode)) {
        err_set(e, "usage_script", "expected a script, found a directory: %s", buf_str(&shown));
        err_fix(e, "name one .lua file of it");
        buf_free(&shown);
        return -1;
    }
    err_set(e, "usage_script", "there is no script \"%s\"", buf_str(&shown));
    buf_free(&shown);
    bool labels = strchr(name, '/') != NULL || strstr(name, ".lua") != NULL;
    err ignored;
    json_t *all = script_names(labels, &ignored);
    const char *names[2 * NAMES_MAX + 1];
    size_t n = 0, i;
    const json_t *item;
    json_array_foreach(all, i, item) {
        if (n < 2 * NAMES_MAX) {
            names[n++] = json_string_value(item);
        }
    }
    names[n] = NULL;
    const char *near = text_suggest(name, names);
    if (near != NULL) {
        err_fix(e, "did you mean \"%s\"?", near);
    } else {
        err_fix(e, "give the path of a .lua file, or an id: gate-engine list shows them");
    }
    json_decref(all);
    return -1;
}

/* The file of an id. The installed tree comes first: a file that happens to lie in the working directory must not stand
 * in for a gate. */
static char *find_id(const char *id, const char *share, err *e) {
    static const char *const folders[] = {"gates", "scripts"};
    char *found = NULL;
    for (int own = 0; own < 2; own++) {
        for (size_t i = 0; i < 2 && found == NULL && *e->code == '\0'; i++) {
            buf b = BUF_INIT;
            buf_printf(&b, "%s/%s.lua", folders[i], id);
            found = try_file(own == 0 ? share : NULL, buf_str(&b), own == 0 ? NULL : e);
            buf_free(&b);
        }
    }
    return found;
}

int script_find(const char *name, const char *beside, char **path, err *e) {
    const paths *tree = script_tree(e);
    if (tree == NULL) {
        return -1;
    }
    char *found = NULL;
    err_clear(e);
    if (*name != '\0' && strlen(name) < PATH_MAX) {
        if (text_is_id(name)) {
            found = find_id(name, tree->share, e);
        }
        if (found == NULL && *e->code == '\0' && beside != NULL) {
            found = try_file(beside, name, e);
        }
        if (found == NULL && *e->code == '\0') {
            found = try_file(NULL, name, e);
        }
        if (found == NULL && *e->code == '\0' && *name != '/') {
            found = try_file(tree->share, name, NULL);
        }
    }
    if (found == NULL && *e->code != '\0') {
        return -1;
    }
    if (found == NULL) {
        return not_found(name, e);
    }
    if (!text_utf8_valid(found, strlen(found))) {
        free(found);
        err_set(e, "usage_script", "the script's path is not UTF-8 text, so no report could name it");
        return err_fix(e, "rename the file or its directory");
    }
    *path = found;
    return 0;
}

/* A script that another one names is a Lua file, links followed: what does not compile is shown with its line, and the
 * name may lead to anybody's file. */
static int check_named(const char *name, const char *path, err *e) {
    char *real = realpath(path, NULL);
    size_t n = real != NULL ? strlen(real) : 0;
    bool lua = n > 4 && strcmp(real + n - 4, ".lua") == 0;
    free(real);
    if (lua) {
        return 0;
    }
    buf shown = BUF_INIT;
    text_sanitise(&shown, name, strlen(name), 120, false);
    err_set(e, "head_suite", "expected a file whose name ends in .lua, or a gate's id, found \"%s\"", buf_str(&shown));
    buf_free(&shown);
    return err_fix(e, "a suite names gates; what is read as one that is none would be shown line by line");
}

int script_load(const char *name, const char *beside, const char *stdlib_dir, script *out, err *e) {
    *out = (script){0};
    if (script_find(name, beside, &out->path, e) != 0) {
        return -1;
    }
    if (beside != NULL && check_named(name, out->path, e) != 0) {
        script_free(out);
        return -1;
    }
    out->label = script_label(out->path);
    if (out->label == NULL) {
        script_free(out);
        return err_set(e, "out_of_memory", "out of memory");
    }
    if (loader_head(out->path, stdlib_dir, &out->raw, e) != 0 || head_check(out->raw, &out->head, e) != 0) {
        script_free(out);
        return -1;
    }
    return 0;
}

void script_free(script *s) {
    free(s->path);
    free(s->label);
    json_decref(s->raw);
    json_decref(s->head);
    *s = (script){0};
}

int script_note_gate(json_t *seen, const char *label, size_t i, const script *gate, err *e) {
    const char *id = json_string_value(json_object_get(gate->head, "id"));
    const char *had = id != NULL ? json_string_value(json_object_get(seen, id)) : NULL;
    if (had != NULL) {
        err_set(e, "head_suite", "%s: gates[%zu]: expected a gate of another id than \"%s\", found %s; %s has it too",
                label, i, id, gate->label, had);
        return err_fix(e, "give one of them another id, or name it once: a report and --only tell gates by their ids");
    }
    return id == NULL || json_object_set_new(seen, id, json_string(gate->label)) == 0
               ? 0
               : err_set(e, "out_of_memory", "%s: out of memory", label);
}
