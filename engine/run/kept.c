#include "run/kept.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/canon.h"
#include "base/fs.h"
#include "base/log.h"
#include "run/broker_perturb.h"
#include "run/sha256.h"

#define KEY_BYTES 32
#define CLOCK_SLACK_S 120
#define HEX (SHA256_HEX_SIZE - 1)

struct kept {
    char *root; /* STATE/kept */
    char *dir;  /* root/SERIES */
    unsigned char key[KEY_BYTES];
    bool failed; /* it was said that nothing can be kept */
};

/* --- the key, and what is left of other runs --- */

static bool read_key(const char *path, unsigned char key[KEY_BYTES]) {
    struct stat st;
    buf bytes = BUF_INIT;
    err ignored;
    bool good = lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) == 0 && st.st_uid == geteuid() &&
                fs_read(path, KEY_BYTES, &bytes, &ignored) == 0 && bytes.len == KEY_BYTES;
    if (good) {
        memcpy(key, buf_str(&bytes), KEY_BYTES);
        explicit_bzero(bytes.data, bytes.len);
    }
    buf_free(&bytes);
    return good;
}

/* One that others could read, or that is no key, is replaced: what it kept is then refused. */
static int take_key(const char *path, unsigned char key[KEY_BYTES], err *e) {
    if (read_key(path, key)) {
        return 0;
    }
    if (getrandom(key, KEY_BYTES, 0) != KEY_BYTES) {
        return err_errno(e, "system", "the system gives no random bytes");
    }
    return fs_write_atomic(path, key, KEY_BYTES, 0600, e);
}

static void prune(const char *root, const char *mine) {
    DIR *d = opendir(root);
    for (struct dirent *one = d != NULL ? readdir(d) : NULL; one != NULL; one = readdir(d)) {
        struct stat st;
        char *path = fs_join(root, one->d_name);
        err ignored;
        if (one->d_name[0] != '.' && path != NULL && strcmp(path, mine) != 0 && lstat(path, &st) == 0 &&
            S_ISDIR(st.st_mode) && st.st_mtime + KEPT_AGE_MAX_S < time(NULL)) {
            (void)fs_remove_tree(path, &ignored);
        }
        free(path);
    }
    if (d != NULL) {
        closedir(d);
    }
}

kept *kept_open(const char *state, const char *series, err *e) {
    kept *k = calloc(1, sizeof *k);
    char *key = NULL;
    if (k != NULL && (k->root = fs_join(state, "kept")) != NULL && (k->dir = fs_join(k->root, series)) != NULL &&
        (key = fs_join(k->root, "key")) != NULL) {
        if (fs_mkdirs(k->dir, 0700, e) == 0 && take_key(key, k->key, e) == 0) {
            prune(k->root, k->dir);
            free(key);
            return k;
        }
    } else {
        err_set(e, "out_of_memory", "out of memory");
    }
    free(key);
    kept_free(k);
    return NULL;
}

void kept_free(kept *k) {
    if (k == NULL) {
        return;
    }
    explicit_bzero(k->key, sizeof k->key);
    free(k->root);
    free(k->dir);
    free(k);
}

void kept_drop(kept *k) {
    err e;
    if (fs_remove_tree(k->dir, &e) != 0) {
        log_line(LOG_WARN, "answers of the run that ended could not be removed: %s", e.message);
    }
}

/* --- what an answer depends on --- */

#define FILES_MAX 4096
#define DEPTH_MAX 8

/* Neither content nor place nor mode can be changed without another status change time, which nobody can set. */
static void add_stamp(json_t *out, const char *path, const struct stat *st) {
    json_object_set_new(out, path,
                        json_sprintf("%llx %llx %o %lld %lld.%09ld %lld.%09ld", (unsigned long long)st->st_dev,
                                     (unsigned long long)st->st_ino, (unsigned)st->st_mode, (long long)st->st_size,
                                     (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec,
                                     st->st_ctim.tv_nsec));
}

static const char *ending(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    return dot != NULL ? dot : "";
}

/* A program's own modules and libraries: files beneath its directory that end as it does, or in .so. */
static int add_beside(json_t *out, const char *dir, const char *end, int depth, err *e) {
    DIR *d = opendir(dir);
    int rc = 0;
    for (struct dirent *one = d != NULL ? readdir(d) : NULL; rc == 0 && one != NULL; one = readdir(d)) {
        struct stat st;
        char *path = one->d_name[0] != '.' ? fs_join(dir, one->d_name) : NULL;
        const char *its = ending(one->d_name);
        if (path == NULL || stat(path, &st) != 0) {
            free(path);
            continue;
        }
        bool code = (*end != '\0' && strcmp(its, end) == 0) || strcmp(its, ".so") == 0;
        if (S_ISDIR(st.st_mode)) {
            rc = depth < DEPTH_MAX ? add_beside(out, path, end, depth + 1, e) : 0;
        } else if (code && json_object_size(out) >= FILES_MAX) {
            rc = err_set(e, "kept_files", "%s holds more than %d files that the command may load", dir, FILES_MAX);
        } else if (code) {
            add_stamp(out, path, &st);
        }
        free(path);
    }
    if (d != NULL) {
        closedir(d);
    }
    return rc;
}

/* Where execvp finds it, with the PATH that a command gets. */
static char *found(const char *word, const char *path) {
    if (strchr(word, '/') != NULL) {
        return fs_is_file(word) ? strdup(word) : NULL;
    }
    char *list = strdup(path), *rest = list, *out = NULL;
    for (char *dir = list != NULL ? strsep(&rest, ":") : NULL; dir != NULL && out == NULL; dir = strsep(&rest, ":")) {
        out = fs_join(dir, word);
        if (out != NULL && !fs_is_file(out)) {
            free(out);
            out = NULL;
        }
    }
    free(list);
    return out;
}

/* A system's own directories hold what the packages put there; its list of packages says when that changes. */
static bool is_system(const char *path) {
    static const char *const ROOTS[] = {"/usr/bin/", "/usr/sbin/", "/usr/lib/", "/bin/", "/sbin/", "/lib/", NULL};
    for (size_t i = 0; ROOTS[i] != NULL; i++) {
        if (strncmp(path, ROOTS[i], strlen(ROOTS[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int add_word(json_t *files, json_t *beside, const char *word, const char *cwd, bool program, err *e) {
    char *there = program ? found(word, COMMAND_PATH) : fs_join(cwd != NULL ? cwd : ".", word);
    struct stat st;
    int rc = 0;
    if (there != NULL && stat(there, &st) == 0 && S_ISREG(st.st_mode)) {
        buf bytes = BUF_INIT;
        char hex[SHA256_HEX_SIZE] = "too large to be read";
        char *dir = fs_dirname(there);
        err ignored;
        if (fs_read(there, 64u << 20, &bytes, &ignored) == 0) {
            sha256_hex(buf_str(&bytes), bytes.len, hex);
        }
        buf_free(&bytes);
        json_object_set_new(files, there, json_string(hex));
        add_stamp(beside, there, &st);
        rc = dir != NULL && !is_system(there) ? add_beside(beside, dir, ending(there), 0, e) : 0;
        free(dir);
    }
    free(there);
    return rc;
}

static json_t *machine(void) {
    static const char *const FILES[] = {"/etc/ld.so.cache", "/etc/ld.so.preload", "/var/lib/dpkg/status",
                                        "/var/lib/rpm/rpmdb.sqlite", "/lib/apk/db/installed"};
    json_t *out = json_object();
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    char line[64] = "";
    if (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
    }
    if (f != NULL) {
        fclose(f);
    }
    json_object_set_new(out, "boot", json_string(line));
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        struct stat st;
        if (stat(FILES[i], &st) == 0) {
            add_stamp(out, FILES[i], &st);
        }
    }
    return out;
}

json_t *kept_identity(const json_t *depends, const json_t *command, const json_t *request, const buf *input, err *e) {
    char hex[SHA256_HEX_SIZE];
    json_t *files = json_object(), *beside = json_object();
    const json_t *argv = json_object_get(command, "argv");
    const char *cwd = json_string_value(json_object_get(command, "cwd"));
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(argv); i++) {
        rc = add_word(files, beside, json_string_value(json_array_get(argv, i)), cwd, i == 0, e);
    }
    const char *shim = json_string_value(json_object_get(command, "shim"));
    rc = rc == 0 && shim != NULL ? add_word(files, beside, shim, NULL, false, e) : rc;
    sha256_hex(input != NULL ? buf_str(input) : "", input != NULL ? input->len : 0, hex);
    json_t *out =
        rc != 0 ? NULL
                : json_pack("{s:O, s:O, s:O, s:O, s:O?, s:O?, s:s, s:o}", "run", depends, "command", command, "program",
                            files, "files", beside, "arguments", json_object_get(request, "args"), "conditions",
                            json_object_get(request, "perturb"), "input", hex, "machine", machine());
    json_decref(files);
    json_decref(beside);
    if (rc == 0 && out == NULL) {
        err_set(e, "out_of_memory", "out of memory");
    }
    /* As it is read back: a number that was 60.0 is 60. */
    buf text = BUF_INIT;
    json_t *read = out != NULL && canon_value(&text, out, e) == 0 ? canon_parse(buf_str(&text), text.len, e) : NULL;
    buf_free(&text);
    json_decref(out);
    return read;
}

/* --- files --- */

static char *path_of(const kept *k, json_int_t number) {
    char name[32];
    snprintf(name, sizeof name, "%lld", (long long)number);
    return fs_join(k->dir, name);
}

static void refuse(json_int_t number, const char *why) {
    log_line(LOG_WARN, "the answer that was kept of run %lld is not taken over, and made again: %s", (long long)number,
             why);
}

/* What of the identity is another: the names of its parts. */
static void say_difference(json_int_t number, const json_t *was, const json_t *is) {
    buf why = BUF_INIT;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)is, key, value) {
        if (!json_equal(json_object_get(was, key), value)) {
            buf_printf(&why, "%s%s", why.len == 0 ? "it is of another " : ", ", key);
        }
    }
    refuse(number, why.len > 0 ? buf_str(&why) : "it is of another kind");
    buf_free(&why);
}

/* The line behind the MAC, where file is what it was written as; else NULL with *why. */
static json_t *open_file(const kept *k, const buf *file, size_t *payload_at, const char **why) {
    char mac[SHA256_HEX_SIZE];
    const char *text = buf_str(file);
    *why = "it is cut off";
    if (file->len <= HEX || text[HEX] != '\n') {
        return NULL;
    }
    const char *line = text + HEX + 1;
    sha256_hmac_hex(k->key, KEY_BYTES, line, file->len - HEX - 1, mac);
    *why = "it was edited or cut off, or is of another machine or user";
    unsigned char differ = 0;
    for (size_t i = 0; i < HEX; i++) {
        differ |= (unsigned char)(mac[i] ^ text[i]);
    }
    const char *end = memchr(line, '\n', file->len - HEX - 1);
    if (differ != 0 || end == NULL) {
        return NULL;
    }
    err ignored;
    *payload_at = (size_t)(end + 1 - text);
    return canon_parse(line, (size_t)(end - line), &ignored);
}

bool kept_find(const kept *k, json_int_t number, const json_t *identity, json_t **answer, buf *payload) {
    char *path = path_of(k, number);
    buf file = BUF_INIT;
    err e;
    size_t at = 0;
    const char *why = NULL;
    bool found_it = false;
    json_t *line = NULL;
    if (path == NULL || !fs_exists(path)) {
        free(path);
        return false;
    }
    if (fs_read(path, 2 * KEPT_BYTES_MAX, &file, &e) != 0) {
        refuse(number, e.message);
    } else if ((line = open_file(k, &file, &at, &why)) == NULL) {
        refuse(number, why);
    } else {
        const json_t *was = json_object_get(line, "identity");
        json_int_t made = json_integer_value(json_object_get(line, "at")), now = (json_int_t)time(NULL);
        if (json_integer_value(json_object_get(line, "number")) != number) {
            refuse(number, "it is the answer of another run");
        } else if (!json_equal(was, identity)) {
            say_difference(number, was, identity);
        } else if (made < now - KEPT_AGE_MAX_S || made > now + CLOCK_SLACK_S) {
            refuse(number, "it is more than a day old, or of a time that is not yet");
        } else if (buf_append(payload, buf_str(&file) + at, file.len - at) == 0) {
            *answer = json_incref(json_object_get(line, "answer"));
            found_it = true;
        }
    }
    json_decref(line);
    buf_free(&file);
    free(path);
    return found_it;
}

static int write_file(const kept *k, json_int_t number, const json_t *line, const buf *payload, err *e) {
    buf body = BUF_INIT, file = BUF_INIT;
    char mac[SHA256_HEX_SIZE];
    char *path = path_of(k, number);
    int rc = canon_value(&body, line, e);
    if (rc == 0 &&
        (path == NULL || buf_append(&body, "\n", 1) != 0 || buf_append(&body, buf_str(payload), payload->len) != 0)) {
        rc = err_set(e, "out_of_memory", "out of memory");
    }
    if (rc == 0) {
        sha256_hmac_hex(k->key, KEY_BYTES, buf_str(&body), body.len, mac);
        buf_printf(&file, "%s\n", mac);
        rc = buf_append(&file, buf_str(&body), body.len) != 0 ? err_set(e, "out_of_memory", "out of memory")
                                                              : fs_mkdirs(k->dir, 0700, e);
    }
    rc = rc == 0 ? fs_write_atomic(path, buf_str(&file), file.len, 0600, e) : rc;
    buf_free(&body);
    buf_free(&file);
    free(path);
    return rc;
}

void kept_put(kept *k, json_int_t number, const json_t *identity, const json_t *answer, const buf *payload) {
    err e;
    int rc = 0;
    if (payload->len > KEPT_BYTES_MAX) {
        rc = err_set(&e, "kept_size", "it has more than %u MB", KEPT_BYTES_MAX >> 20);
    } else {
        json_t *line = json_pack("{s:I, s:I, s:O, s:O}", "at", (json_int_t)time(NULL), "number", number, "identity",
                                 identity, "answer", answer);
        rc = line != NULL ? write_file(k, number, line, payload, &e) : err_set(&e, "out_of_memory", "out of memory");
        json_decref(line);
    }
    if (rc != 0 && !k->failed) {
        k->failed = true;
        log_line(LOG_WARN, "the answer of run %lld cannot be kept, should this run be interrupted: %s",
                 (long long)number, e.message);
    }
}
