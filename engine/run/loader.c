#include "run/loader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err_json.h"
#include "base/frame.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/paths.h"
#include "gen/builtin_hashes.h"
#include "gen/builtin_programs.h"
#include "prim/ring.h"
#include "run/child.h"
#include "run/keyline.h"
#include "run/schema.h"
#include "run/sha256.h"
#include "run/signals.h"
#include "vm/conv.h"
#include "vm/data.h"
#include "vm/vm.h"

#define LOADER_MEMORY (64u << 20)
#define LOADER_WALL_MS 10000
#define LOADER_CHANNEL 3
#define CONFIG_MAX (1u << 20)

/* What a loading child does: fills in the reply, or fails with *e set. */
typedef json_t *(*load_fn)(const char *path, const char *stdlib_dir, const paths *tree, err *e);

static const conv_limits HEAD_LIMITS = {.depth = 20, .nodes = 20000, .bytes = 1u << 20, .mark_functions = true};

/* --- in the child --- */

static json_t *sha256_of(const buf *bytes, err *e) {
    char hex[SHA256_HEX_SIZE];
    sha256_hex(buf_str(bytes), bytes->len, hex);
    json_t *text = json_string(hex);
    if (text == NULL) {
        err_set(e, "out_of_memory", "out of memory");
    }
    return text;
}

static json_t *sha256_of_file(const char *path, err *e) {
    buf text = BUF_INIT;
    json_t *hex = fs_read(path, 64u << 20, &text, e) == 0 ? sha256_of(&text, e) : NULL;
    buf_free(&text);
    return hex;
}

/* [{name, path, sha256}] of what require loaded. */
static json_t *module_hashes(vm *v, err *e) {
    json_t *files = vm_loaded_files(v);
    json_t *out = json_array();
    size_t i;
    json_t *file;
    json_array_foreach(files, i, file) {
        json_t *hex = sha256_of_file(json_string_value(json_object_get(file, "path")), e);
        if (hex == NULL || json_object_set_new(file, "sha256", hex) != 0 || json_array_append(out, file) != 0) {
            json_decref(files);
            json_decref(out);
            return NULL;
        }
    }
    json_decref(files);
    return out;
}

/* Names the line of what cannot be told in JSON ("text that is not UTF-8 at options.x.help"). */
static void place_in_head(const char *label, const char *source, err *e) {
    const char *at = strstr(e->message, " at ");
    json_t *lines = keyline_index(source);
    err copy = *e;
    snprintf(e->message, sizeof e->message, "%.200s:%d: %.800s", label, keyline_find(lines, at != NULL ? at + 4 : ""),
             copy.message);
    json_decref(lines);
}

/* What the chunk returned, or NULL. */
static json_t *returned_by(vm *v, const char *chunk, const buf *text, err *e) {
    if (vm_load(v, chunk, buf_str(text), text->len, false, e) != 0) {
        return NULL;
    }
    if (vm_call(v, 0, 1, e) != 0) {
        if (!vm_memory_hit(v)) {
            vm_place_error(v, e);
        }
        return NULL;
    }
    json_t *head = conv_to_json(vm_lua(v), -1, &HEAD_LIMITS, e);
    if (head == NULL) {
        place_in_head(chunk + 1, buf_str(text), e);
    }
    return head;
}

static json_t *head_in_vm(vm *v, const char *path, err *e) {
    buf text = BUF_INIT;
    char chunk[PATH_MAX + 2];
    vm_chunk_name(v, path, chunk, sizeof chunk);
    json_t *out = NULL;
    json_t *head = NULL;
    if (fs_read(path, 4u << 20, &text, e) != 0) {
        snprintf(e->code, sizeof e->code, "script_missing");
        if (*e->fix == '\0') {
            err_fix(e, "is it a script? Data belong into a store or behind an option of type path");
        }
    } else {
        head = returned_by(v, chunk, &text, e);
    }
    if (head != NULL && vm_memory_hit(v)) {
        err_set(e, "script_memory", "%s used more than %u MB while it was loaded", chunk + 1, LOADER_MEMORY >> 20);
        err_fix(e, "a script only describes itself while it is loaded; do the work in run");
    } else if (head != NULL) {
        json_t *source = json_stringn(buf_str(&text), text.len);
        json_t *hex = source != NULL ? sha256_of(&text, e) : NULL;
        json_t *modules = hex != NULL ? module_hashes(v, e) : NULL;
        if (source == NULL) {
            err_set(e, "out_of_memory", "%s: out of memory", chunk + 1);
        }
        out = modules == NULL ? NULL
                              : json_pack("{s:s, s:O, s:O, s:O, s:O}", "path", path, "sha256", hex, "source", source,
                                          "head", head, "modules", modules);
        json_decref(modules);
        json_decref(hex);
        json_decref(source);
    }
    json_decref(head);
    buf_free(&text);
    return out;
}

static json_t *load_head(const char *path, const char *stdlib_dir, const paths *tree, err *e) {
    char *dir = fs_dirname(path);
    char *stdlib = stdlib_dir != NULL ? strdup(stdlib_dir) : fs_join(tree->share, "stdlib");
    char here[PATH_MAX];
    vm_options o = {.profile = VM_SCRIPT,
                    .memory_bytes = LOADER_MEMORY,
                    .here = getcwd(here, sizeof here),
                    .stdlib_dir = stdlib,
                    .script_dir = dir,
                    .modules_dir = tree->modules};
    vm *v = NULL;
    if (dir == NULL || stdlib == NULL) {
        err_set(e, "out_of_memory", "out of memory");
    } else {
        v = vm_new(&o, e);
    }
    json_t *out = v != NULL ? head_in_vm(v, path, e) : NULL;
    vm_free(v);
    free(dir);
    free(stdlib);
    return out;
}

/* What JSON cannot hold, as the schema's messages say what they find: "NUMBER at limits.wall_s" has a line in the file.
 */
static void place_value_error(const char *file, const char *source, err *e) {
    bool number = strcmp(e->code, "value_number") == 0;
    const char *at = strstr(e->message, " at ");
    if (strncmp(e->code, "value_", 6) != 0 || at == NULL) {
        return;
    }
    err was = *e;
    was.message[at - e->message] = '\0';
    const char *path = at - e->message + was.message + 4;
    json_t *lines = keyline_index(source);
    schema_source src = {.file = file, .lines = lines};
    schema_problem(&src, path, NULL, e, was.code, number ? "write it as digits" : "correct the value",
                   "expected %s, found %s", number ? "a finite number" : "a value that a configuration can hold",
                   number ? "NaN or an infinite one" : was.message);
    json_decref(lines);
}

static json_t *config_in_vm(vm *v, const char *path, const char *dir, err *e) {
    buf text = BUF_INIT;
    json_t *out = NULL;
    if (fs_read(path, CONFIG_MAX, &text, e) != 0) {
        snprintf(e->code, sizeof e->code, "config_missing");
        buf_free(&text);
        return NULL;
    }
    char chunk[PATH_MAX + 2];
    snprintf(chunk, sizeof chunk, "@%s", path);
    if (vm_load(v, chunk, buf_str(&text), text.len, false, e) == 0 &&
        vm_give_config_functions(v, dir, CONFIG_MAX, e) == 0) {
        json_t *value = vm_call(v, 0, 1, e) == 0 ? conv_to_json(vm_lua(v), -1, &HEAD_LIMITS, e) : NULL;
        if (value == NULL) {
            place_value_error(path, buf_str(&text), e);
        } else {
            out = json_pack("{s:o, s:s#}", "value", value, "source", buf_str(&text), (int)text.len);
        }
    }
    if (out == NULL && strncmp(e->code, "script_", 7) == 0) {
        const char *code = strcmp(e->code, "script_syntax") == 0 ? "config_syntax" : "config_error";
        snprintf(e->code, sizeof e->code, "%s", code);
    }
    buf_free(&text);
    return out;
}

static json_t *load_config(const char *path, const char *stdlib_dir, const paths *tree, err *e) {
    (void)stdlib_dir;
    (void)tree;
    char *dir = fs_dirname(path);
    vm_options o = {.profile = VM_CONFIG, .memory_bytes = LOADER_MEMORY};
    vm *v = NULL;
    if (dir == NULL) {
        err_set(e, "out_of_memory", "out of memory");
    } else {
        v = vm_new(&o, e);
    }
    json_t *out = v != NULL ? config_in_vm(v, path, dir, e) : NULL;
    vm_free(v);
    free(dir);
    return out;
}

/* Some file systems do not say the type with the name (readdir(3)). */
static bool is_directory(DIR *d, const struct dirent *entry) {
    struct stat st;
    return entry->d_type == DT_DIR ||
           (entry->d_type == DT_UNKNOWN && fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode));
}

/* Appends the relative paths of all regular files below share/relative. */
static int list_files(const char *share, const char *relative, json_t *out, err *e) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", share, relative);
    if (length < 0 || (size_t)length >= sizeof path) {
        return err_set(e, "install_broken", "a path below %.200s is too long", share);
    }
    DIR *d = opendir(path);
    if (d == NULL) {
        return err_errno(e, "install_broken", "cannot read %s", path);
    }
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char below[PATH_MAX];
        int n = snprintf(below, sizeof below, "%s/%s", relative, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof below) {
            rc = err_set(e, "install_broken", "a path below %s is too long", path);
        } else if (is_directory(d, entry)) {
            rc = list_files(share, below, out, e);
        } else if (json_array_append_new(out, json_string(below)) != 0) {
            rc = err_set(e, "out_of_memory", "out of memory");
        }
    }
    closedir(d);
    return rc;
}

static const char *builtin_hash(const char *relative) {
    for (size_t i = 0; i < sizeof BUILTIN_HASHES / sizeof BUILTIN_HASHES[0]; i++) {
        if (BUILTIN_HASHES[i].path != NULL && strcmp(BUILTIN_HASHES[i].path, relative) == 0) {
            return BUILTIN_HASHES[i].sha256;
        }
    }
    return NULL;
}

int loader_build(char hex[SHA256_HEX_SIZE], err *e) {
    buf all = BUF_INIT;
    buf_printf(&all, "gate-engine %s\n", GE_VERSION);
    for (size_t i = 0; i < sizeof BUILTIN_HASHES / sizeof BUILTIN_HASHES[0]; i++) {
        buf_printf(&all, "%s %s\n", BUILTIN_HASHES[i].sha256, BUILTIN_HASHES[i].path);
    }
    for (size_t i = 0; BUILTIN_PROGRAMS[i].path != NULL; i++) {
        buf_printf(&all, "%s %s\n", BUILTIN_PROGRAMS[i].sha256, BUILTIN_PROGRAMS[i].path);
    }
    int rc = all.failed ? err_set(e, "out_of_memory", "out of memory") : 0;
    if (rc == 0) {
        sha256_hex(buf_str(&all), all.len, hex);
    }
    buf_free(&all);
    return rc;
}

bool loader_is_built_in(const char *relative, const char *sha256) {
    const char *expected = builtin_hash(relative);
    return expected != NULL && sha256 != NULL && strcmp(expected, sha256) == 0;
}

/* Modules and programs: what was linked beside this program and is part of it as its own code is. */
static int compare_programs(const paths *tree, json_t *differing, err *e) {
    for (size_t i = 0; i < sizeof BUILTIN_PROGRAMS / sizeof BUILTIN_PROGRAMS[0] && BUILTIN_PROGRAMS[i].path != NULL;
         i++) {
        const char *name = BUILTIN_PROGRAMS[i].path;
        bool module = strncmp(name, "modules/", 8) == 0;
        char *full = module ? fs_join(tree->modules, name + 8) : fs_join(tree->libexec, name);
        json_t *hex = full != NULL ? sha256_of_file(full, e) : NULL;
        free(full);
        bool equal = hex != NULL && strcmp(json_string_value(hex), BUILTIN_PROGRAMS[i].sha256) == 0;
        json_decref(hex);
        if (hex == NULL || (!equal && json_array_append_new(differing, json_string(name)) != 0)) {
            return -1;
        }
    }
    return 0;
}

static json_t *load_integrity(const char *path, const char *stdlib_dir, const paths *tree, err *e) {
    (void)path;
    (void)stdlib_dir;
    json_t *files = json_array();
    json_t *differing = json_array();
    int rc = files != NULL && differing != NULL ? 0 : err_set(e, "out_of_memory", "out of memory");
    static const char *const TREES[] = {"stdlib", "gates", "scripts"};
    for (size_t i = 0; rc == 0 && i < sizeof TREES / sizeof TREES[0]; i++) {
        rc = list_files(tree->share, TREES[i], files, e);
    }
    size_t i;
    json_t *file;
    size_t same = 0;
    json_array_foreach(files, i, file) {
        const char *relative = json_string_value(file);
        const char *expected = builtin_hash(relative);
        char *full = rc == 0 ? fs_join(tree->share, relative) : NULL;
        json_t *hex = full != NULL ? sha256_of_file(full, e) : NULL;
        free(full);
        if (hex == NULL) {
            rc = -1;
            break;
        }
        bool equal = expected != NULL && strcmp(expected, json_string_value(hex)) == 0;
        same += equal ? 1 : 0;
        rc = equal || json_array_append(differing, file) == 0 ? 0 : err_set(e, "out_of_memory", "out of memory");
        json_decref(hex);
    }
    rc = rc == 0 ? compare_programs(tree, differing, e) : rc;
    /* A file that is missing shows in the count: every built-in one must have been seen. */
    if (rc == 0 && same < sizeof BUILTIN_HASHES / sizeof BUILTIN_HASHES[0] && json_array_size(differing) == 0) {
        rc = json_array_append_new(differing, json_string("(a file this program was built with is missing)"));
    }
    json_decref(files);
    if (rc != 0) {
        json_decref(differing);
        return NULL;
    }
    return json_pack("{s:o}", "differing", differing);
}

/* Ends the child. After a failed allocation what was read may be less than there is: then nothing of it counts. */
static _Noreturn void reply(int fd, json_t *out, err *e) {
    err ignored;
    if (mem_lost() > 0) {
        json_decref(out);
        out = NULL;
        mem_explain(e);
    }
    json_t *message = out != NULL ? json_pack("{s:o}", "ok", out) : json_pack("{s:o}", "error", err_to_json(e));
    bool said = message != NULL && frame_write(fd, message, NULL, 0, &ignored) == 1;
    json_decref(message);
    _exit(said ? 0 : mem_lost() > 0 ? MEM_EXIT : 1);
}

/* --- in the parent --- */

/* Reads until a frame, the end, the deadline or a signal. 0 with *message set, else -1. */
static int await_reply(int fd, json_t **message, const char *path, err *e) {
    buf in = {.limit = FRAME_JSON_MAX + 16};
    int64_t deadline = clock_ms() + LOADER_WALL_MS;
    int rc = 0;
    while ((rc = frame_take(&in, message, NULL, e)) == 0) {
        int64_t left = deadline - clock_ms();
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = signals_fd(), .events = POLLIN}};
        int ready = left > 0 ? poll(p, 2, (int)left) : 0;
        if (signals_flag != 0) {
            rc = err_set(e, "interrupted", "interrupted while loading %s", path);
            break;
        }
        if (ready == 0) {
            rc = err_set(e, "script_timeout", "%s: loading took more than %d s", path, LOADER_WALL_MS / 1000);
            err_fix(e, "a script only describes itself while it is loaded; do the work in run");
            break;
        }
        if (ready < 0 || p[0].revents == 0) {
            continue; /* interrupted: a read would wait without the deadline */
        }
        char chunk[65536];
        ssize_t n = read(fd, chunk, sizeof chunk);
        size_t lost = mem_lost();
        if (n > 0 && buf_append(&in, chunk, (size_t)n) != 0) {
            rc = mem_lost() != lost ? err_set(e, "out_of_memory", "%s: out of memory for what it says of itself", path)
                                    : err_set(e, "script_crash", "%s: what it says of itself is too large", path);
            break;
        }
        if (n == 0 || (n < 0 && errno != EINTR)) {
            rc = err_set(e, "script_crash", "%s: the process that loaded it ended without an answer", path);
            break;
        }
    }
    buf_free(&in);
    return rc > 0 ? 0 : -1;
}

/* In the child. A script's head needs the library and its own directory; a configuration may name any file. */
static int enter_rings(load_fn load, const char *path, const char *stdlib_dir, const paths *tree, err *e) {
    ring_status active;
    char *dir = load == load_head ? fs_dirname(path) : NULL;
    const ring_path all[] = {{.path = "/"}};
    const ring_path few[] = {{.path = dir},
                             {.path = stdlib_dir != NULL ? stdlib_dir : tree->share},
                             {.path = tree->modules},
                             {.path = "/lib"},
                             {.path = "/lib64"},
                             {.path = "/usr/lib"},
                             {.path = "/usr/lib64"},
                             {.path = "/usr/local/lib"},
                             {.path = "/etc/ld.so.cache"},
                             {.path = "/etc/ssl"},
                             {.path = "/dev/urandom"}};
    ring_options o = {.profile = RING_LOADER, .paths = all, .npaths = 1};
    if (load == load_head) {
        o.paths = few;
        o.npaths = sizeof few / sizeof few[0];
    }
    int rc =
        load == load_head && dir == NULL ? err_set(e, "out_of_memory", "out of memory") : ring_enter(&o, &active, e);
    free(dir);
    return rc;
}

static int run_loader(load_fn load, const char *path, const char *stdlib_dir, json_t **out, err *e) {
    paths tree;
    int pair[2];
    if (paths_find(&tree, e) != 0) {
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        paths_free(&tree);
        return err_errno(e, "system", "cannot make a socket pair");
    }
    child_spec spec = {.stdin_fd = -1,
                       .stdout_fd = -1,
                       .stderr_fd = -1,
                       .keep_fd = pair[1],
                       .limits = {.address_space = 512u << 20, .cpu_s = 20, .files = 64}};
    child c = {.pidfd = -1};
    int side = child_fork(&spec, &c, e);
    if (side == 1) {
        err inner;
        err_clear(&inner);
        json_t *loaded =
            enter_rings(load, path, stdlib_dir, &tree, &inner) == 0 ? load(path, stdlib_dir, &tree, &inner) : NULL;
        reply(LOADER_CHANNEL, loaded, &inner);
    }
    close(pair[1]);
    paths_free(&tree);
    json_t *message = NULL;
    int rc = side < 0 ? -1 : await_reply(pair[0], &message, path, e);
    close(pair[0]);
    child_kill(&c);
    int status = child_reap(&c, NULL);
    if (rc != 0 && WIFEXITED(status) && WEXITSTATUS(status) == MEM_EXIT) {
        err_set(e, "out_of_memory", "%s: out of memory while it was loaded", path);
    } else if (rc != 0 && strcmp(e->code, "script_crash") == 0 && WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
        err_detail(e, "it ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    if (rc == 0) {
        *out = json_incref(json_object_get(message, "ok"));
        if (*out == NULL) {
            rc = err_from_json(e, json_object_get(message, "error"), "script_crash", "no reason was given");
        }
    }
    json_decref(message);
    return rc;
}

static int run_loader_on(load_fn load, const char *path, const char *stdlib_dir, const char *missing, json_t **out,
                         err *e) {
    char *absolute = realpath(path, NULL);
    if (absolute == NULL) {
        return err_errno(e, missing, "cannot open %s", path);
    }
    int rc = run_loader(load, absolute, stdlib_dir, out, e);
    free(absolute);
    return rc;
}

int loader_head(const char *path, const char *stdlib_dir, json_t **raw, err *e) {
    return run_loader_on(load_head, path, stdlib_dir, "script_missing", raw, e);
}

int loader_config(const char *path, json_t **raw, err *e) {
    return run_loader_on(load_config, path, NULL, "config_missing", raw, e);
}

int loader_integrity(json_t **differing, err *e) {
    json_t *out = NULL;
    if (run_loader(load_integrity, "the installed tree", NULL, &out, e) != 0) {
        return -1;
    }
    *differing = json_incref(json_object_get(out, "differing"));
    json_decref(out);
    return *differing != NULL ? 0 : err_set(e, "script_crash", "the integrity check gave no answer");
}
