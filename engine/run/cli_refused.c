/* cli_refused.c: a run that never began, on record. */
#include <string.h>

#include "run/cli.h"
#include "run/cli_parts.h"

void cli_refused(const cli_verb *verb, int argc, char **argv, const config *cfg, const char *label, const char *tenant,
                 int code, const err *why) {
    err e;
    config *own = NULL;
    cli_say_error(why);
    if (code != EXIT_USAGE || strcmp(verb->name, "run") != 0 ||
        (cfg == NULL && config_load(cli_peek_value(argc, argv, "config"), false, &own, &e) != 0)) {
        return;
    }
    evidence_refusal r = {.verb = verb->name,
                          .script = label != NULL ? label : cli_peek_script(verb, argc, argv),
                          .tenant = tenant != NULL ? tenant : cli_peek_value(argc, argv, "tenant"),
                          .code = why->code,
                          .exit_code = code};
    if (engine_refused(cfg != NULL ? cfg : own, &r, &e) != 0) {
        cli_say_error(&e);
    }
    config_free(own);
}
