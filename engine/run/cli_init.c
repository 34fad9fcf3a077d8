/* cli_init.c: `init`: a configuration for a database, derived from its catalogue. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "run/cli.h"
#include "run/cli_parts.h"
#include "run/config.h"
#include "run/record_place.h"
#include "run/signals.h"

#define CONFIG_FILE "gate-engine.conf.lua"
#define URL_VARIABLE "GATE_ENGINE_ADMIN_URL"

static int check_url(const char *url, err *e) {
    if (url != NULL && (strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0)) {
        return 0;
    }
    err_set(e, "usage_flag", "init: expected --url postgresql://USER@HOST:PORT/DATABASE, found %s",
            url == NULL ? "none" : "another form");
    return err_fix(e,
                   "name the database whose configuration is to be written; --url postgresql:///shop is a local one");
}

/* A configuration of the one connection, as config_load would make it. */
static config *connection(const char *url, err *e) {
    config *cfg = calloc(1, sizeof *cfg);
    json_t *doc =
        json_pack("{s:s, s:{s:{s:s}, s:{}}}", "platform", "external", "database", "admin", "url", url, "tenant");
    if (cfg == NULL || doc == NULL) {
        free(cfg);
        json_decref(doc);
        err_set(e, "usage_flag", "init: --url is not UTF-8");
        return NULL;
    }
    cfg->doc = doc;
    cfg->platform_stated = true;
    config_secrets_known(doc);
    return cfg;
}

/* The URL as the file may hold it: as it is where no password is in it, else by the variable that has it. */
static json_t *url_reference(const char *url, err *e) {
    json_t *spec = json_pack("{s:s}", "url", url);
    json_t *place = spec != NULL ? record_upstream(spec, e) : NULL;
    json_decref(spec);
    if (place == NULL) {
        return NULL;
    }
    const char *rest = json_string_value(json_object_get(place, "rest"));
    bool secret = json_object_get(place, "password") != NULL || (rest != NULL && strstr(rest, "password") != NULL);
    const char *usual = getenv("DATABASE_URL");
    bool same = usual != NULL && strcmp(usual, url) == 0;
    json_t *out =
        secret ? json_pack("{s:s}", "variable", same ? "DATABASE_URL" : URL_VARIABLE) : json_pack("{s:s}", "url", url);
    json_decref(place);
    return out;
}

static int write_new(const char *path, const char *text, err *e) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        if (errno != EEXIST) {
            return err_errno(e, "file_write", "cannot create %s", path);
        }
        err_set(e, "init_exists", "%s is there already", path);
        return err_fix(e, "move it away, or name another file with --output: nothing is overwritten");
    }
    int rc = fs_write_all(fd, text, strlen(text));
    rc = close(fd) != 0 || rc != 0 ? err_errno(e, "file_write", "cannot write %s", path) : 0;
    if (rc != 0) {
        unlink(path);
    }
    return rc;
}

static void say(const char *path, const json_t *result, const json_t *reference) {
    const char *variable = json_string_value(json_object_get(reference, "variable"));
    size_t i;
    const json_t *line;
    printf("%s written.\n", path);
    json_array_foreach(json_object_get(result, "notes"), i, line) {
        printf("  %s\n", json_string_value(line));
    }
    printf("\nNext:\n");
    if (variable != NULL) {
        printf("  export %s=…    # the URL you gave: no password was written\n", variable);
    }
    bool usual = strcmp(path, CONFIG_FILE) == 0;
    printf("  gate-engine check gates/rls_harness.lua --connect%s%s\n"
           "  gate-engine run gates/rls_harness.lua --tenant CODE --only coverage,isolation%s%s\n",
           usual ? "" : " --config ", usual ? "" : path, usual ? "" : " --config ", usual ? "" : path);
}

static int init(const cli_words *w, err *e) {
    const char *url = cli_text(w, "url");
    const char *path = cli_text(w, "output") != NULL ? cli_text(w, "output") : CONFIG_FILE;
    if (json_array_size(w->operands) > 0) {
        err_set(e, "usage_operand", "init takes no argument besides its flags");
        return EXIT_USAGE;
    }
    if (check_url(url, e) != 0) {
        return EXIT_USAGE;
    }
    if (fs_exists(path)) { /* said before anything is asked */
        err_set(e, "init_exists", "%s is there already", path);
        err_fix(e, "move it away, or name another file with --output: nothing is overwritten");
        return EXIT_USAGE;
    }
    json_t *reference = url_reference(url, e);
    config *cfg = reference != NULL ? connection(url, e) : NULL;
    json_t *roles = json_pack("[s]", "admin"), *input = json_pack("{s:O?}", "url", reference), *result = NULL;
    int code = EXIT_USAGE;
    if (cfg != NULL && roles != NULL && engine_ask(cfg, "init", roles, input, &result, e) == 0) {
        const char *text = json_string_value(json_object_get(result, "text"));
        if (text == NULL) {
            err_set(e, "init_failed", "the configuration's text was lost");
        } else if (write_new(path, text, e) == 0) {
            say(path, result, reference);
            code = EXIT_PASS;
        }
    }
    json_decref(roles);
    json_decref(input);
    json_decref(result);
    json_decref(reference);
    config_free(cfg);
    return signals_flag != 0 ? signals_exit_code() : code;
}

int cli_init_main(const cli_verb *verb, int argc, char **argv) {
    if (cli_peek(argc, argv, "help")) {
        cli_help_verb(verb);
        return EXIT_PASS;
    }
    cli_words words;
    err e;
    err_clear(&e);
    int code = EXIT_USAGE;
    if (cli_parse(verb, argc, argv, NULL, &words, &e) == 0) {
        code = init(&words, &e);
        cli_words_free(&words);
    }
    if (code != EXIT_PASS) {
        cli_say_error(&e);
    }
    return code;
}
