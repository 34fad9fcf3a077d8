/* cli_new.c: `new`: a commented starting point with its own spec, from stdlib/templates/. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/script.h"

#define TEMPLATE_MAX (256u << 10)

/* What the templates' @WORDS@ become. */
typedef struct fill {
    const char *id;
    buf name, command;
} fill;

/* "backup_fresh" → "Backup fresh". */
static int title(const char *id, buf *out) {
    for (const char *p = id; *p != '\0'; p++) {
        char c = *p == '_' ? ' ' : *p;
        buf_putc(out, p == id && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c);
    }
    return out->failed ? -1 : 0;
}

static int expand(const char *text, const fill *f, buf *out) {
    const struct {
        const char *word, *value;
    } words[] = {{"@ID@", f->id}, {"@NAME@", buf_str(&f->name)}, {"@SPEC_COMMAND@", buf_str(&f->command)}};
    while (*text != '\0') {
        size_t i = 0, n = sizeof words / sizeof words[0];
        for (; i < n && strncmp(text, words[i].word, strlen(words[i].word)) != 0; i++) {
        }
        if (i < n) {
            buf_puts(out, words[i].value);
            text += strlen(words[i].word);
        } else {
            buf_putc(out, *text++);
        }
    }
    return out->failed ? -1 : 0;
}

static int exists(const char *path, err *e) {
    err_set(e, "new_exists", "%s is there already", path);
    return err_fix(e, "choose another name, or move the file away: nothing is overwritten");
}

/* Creates the file, which must not be there. */
static int create(const char *path, const buf *content, err *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return errno == EEXIST ? exists(path, e) : err_errno(e, "file_write", "cannot create %s", path);
    }
    int rc = fs_write_all(fd, buf_str(content), content->len);
    rc = close(fd) != 0 || rc != 0 ? err_errno(e, "file_write", "cannot write %s", path) : 0;
    if (rc != 0) {
        unlink(path);
    }
    return rc;
}

static int from_template(const paths *tree, const char *name, const char *suffix, const fill *f, buf *out, err *e) {
    buf path = BUF_INIT, text = BUF_INIT;
    buf_printf(&path, "%s/stdlib/templates/%s%s.lua", tree->share, name, suffix);
    int rc = fs_read(buf_str(&path), TEMPLATE_MAX, &text, e);
    if (rc == 0 && expand(buf_str(&text), f, out) != 0) {
        rc = err_set(e, "out_of_memory", "out of memory");
    }
    buf_free(&path);
    buf_free(&text);
    return rc;
}

/* What a first run needs beside the script. */
static const char *words_for(const char *from) {
    static const struct {
        const char *from, *words;
    } WORDS[] = {
        {"audit", " --plan DIR      # DIR is what gate-engine run golden_path_e2e --artifacts DIR writes"},
        {"audit_routing",
         " --plan DIR      # DIR is what gate-engine run golden_path_e2e --pack routing --artifacts DIR writes"},
        {"operation", " --name NAME --dry-run"}};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strcmp(WORDS[i].from, from) == 0) {
            return WORDS[i].words;
        }
    }
    return "";
}

/* Both files or neither. `from` names the template, whose kind it begins with. */
static int write_both(const char *from, const char *id, err *e) {
    const paths *tree = script_tree(e);
    if (tree == NULL) {
        return -1;
    }
    fill f = {.id = id};
    buf body = BUF_INIT, spec = BUF_INIT, script_path = BUF_INIT, spec_path = BUF_INIT;
    title(id, &f.name);
    buf_printf(&f.command,
               "LUA_PATH=\"%s/stdlib/?.lua;;\" LUA_CPATH=\"%s/?.so;;\" lua5.4 $(command -v busted) %s_spec.lua",
               tree->share, tree->modules, id);
    buf_printf(&script_path, "%s.lua", id);
    buf_printf(&spec_path, "%s_spec.lua", id);
    int rc = from_template(tree, from, "", &f, &body, e);
    rc = rc == 0 ? from_template(tree, from, "_spec", &f, &spec, e) : rc;
    if (rc == 0 && (script_path.failed || spec_path.failed || f.name.failed || f.command.failed)) {
        rc = err_set(e, "out_of_memory", "out of memory");
    }
    rc = rc == 0 ? create(buf_str(&script_path), &body, e) : rc;
    if (rc == 0 && (rc = create(buf_str(&spec_path), &spec, e)) != 0) {
        unlink(buf_str(&script_path));
    }
    if (rc == 0) {
        printf("%s\n%s\n\ngate-engine check ./%s\n", buf_str(&script_path), buf_str(&spec_path), buf_str(&script_path));
        printf("gate-engine run ./%s%s\n%s\n", buf_str(&script_path), words_for(from), buf_str(&f.command));
    }
    buf *all[] = {&f.name, &f.command, &body, &spec, &script_path, &spec_path};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buf_free(all[i]);
    }
    return rc;
}

static bool is_kind(const char *kind, const char *const *kinds) {
    for (; *kinds != NULL; kinds++) {
        if (strcmp(kind, *kinds) == 0) {
            return true;
        }
    }
    return false;
}

/* The template of a kind of script, for plans of a pack where one is given; NULL with *e set. */
static const char *template_of(const char *kind, const char *pack, err *e) {
    static const char *const PACKS[] = {"roster", "routing", NULL};
    bool audit = strcmp(kind, "audit") == 0;
    if (pack != NULL && !audit) {
        err_set(e, "usage_flag", "new: --pack belongs to audits, and %s is none", kind);
        err_fix(e, "leave it away");
        return NULL;
    }
    if (pack == NULL || strcmp(pack, PACKS[0]) == 0) {
        return kind;
    }
    if (strcmp(pack, PACKS[1]) == 0) {
        return "audit_routing";
    }
    cli_no_such(e, "new: --pack: expected roster or routing, found", pack, PACKS,
                "gate-engine new audit NAME --pack routing");
    return NULL;
}

static int make(const json_t *operands, const char *pack, err *e) {
    static const char *const KINDS[] = {"gate", "operation", "audit", NULL};
    if (json_array_size(operands) != 2) {
        err_set(e, "usage_operand", "new: expected a kind and a name, found %zu words", json_array_size(operands));
        return err_fix(e, "gate-engine new gate backup_fresh, new operation rename_tenant, or new audit night_shifts");
    }
    const char *kind = json_string_value(json_array_get(operands, 0));
    const char *name = json_string_value(json_array_get(operands, 1));
    if (!is_kind(kind, KINDS)) {
        return cli_no_such(e, "new: expected gate, operation or audit, found", kind, KINDS,
                           "gate-engine new gate NAME");
    }
    if (!text_is_id(name)) {
        buf shown = BUF_INIT;
        text_sanitise(&shown, name, strlen(name), 80, false);
        err_set(e, "usage_operand", "new: expected a name ([a-z][a-z0-9_]*, at most 63 characters), found \"%s\"",
                buf_str(&shown));
        buf_free(&shown);
        return err_fix(e, "the name becomes the script's id and its file's name, such as backup_fresh");
    }
    const char *from = template_of(kind, pack, e);
    return from != NULL ? write_both(from, name, e) : -1;
}

static int new_script(const cli_words *words, err *e) {
    return make(words->operands, cli_text(words, "pack"), e) == 0 ? EXIT_PASS : EXIT_USAGE;
}

int cli_new_main(const cli_verb *verb, int argc, char **argv) {
    return cli_act(verb, argc, argv, new_script);
}
