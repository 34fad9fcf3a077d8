/* cli_parts.h: private to cli*.c: flags as data, and one function a verb. */
#ifndef GE_RUN_CLI_PARTS_H
#define GE_RUN_CLI_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "run/config.h"
#include "run/engine.h"
#include "run/evidence.h"

typedef enum {
    VERB_RUN = 1,
    VERB_RECOVER = 2,
    VERB_CHECK = 4,
    VERB_LIST = 8,
    VERB_PLATFORM = 16,
    VERB_VERSION = 32,
    VERB_HELP = 64,
    VERB_NEW = 128,
    VERB_DOC = 256,
    VERB_EXPLAIN = 512,
    VERB_INIT = 1024,
    VERB_EVIDENCE = 2048,
    VERB_VERIFY = 4096
} cli_verb_id;

typedef struct cli_verb {
    cli_verb_id id;
    const char *name;
    const char *usage;                                               /* what stands after the verb */
    const char *summary;                                             /* one line */
    const char *help;                                                /* more of it, whole lines; may be "" */
    int (*main)(const struct cli_verb *verb, int argc, char **argv); /* argv[0] is the verb */
} cli_verb;

/* A flag of the engine's own, for the verbs whose bits are set. */
typedef struct cli_flag {
    const char *name;     /* without dashes */
    const char *argument; /* what help calls its value; NULL: it has none */
    bool repeated;        /* may be given several times */
    unsigned verbs;
    const char *help;
} cli_flag;

extern const cli_flag CLI_FLAGS[]; /* ended by a flag without name */
extern const cli_verb CLI_VERBS[]; /* ended by a verb without name */

/* What a command line said. All texts, not yet checked. Owned; cli_words_free. */
typedef struct cli_words {
    json_t *flags;    /* engine flag → [texts]; [] for one without value */
    json_t *options;  /* script option (as in the head) → [texts] */
    json_t *operands; /* in order */
    json_t *command;  /* run: the words after "--", where the script stands before it */
} cli_words;

/* Parses argv (argv[0] is the verb) against the verb's flags and a script's options (as in a head; may be NULL).
 * Errors: usage_flag, usage_flag_value, out_of_memory. */
int cli_parse(const cli_verb *verb, int argc, char **argv, const json_t *options, cli_words *out, err *e);
void cli_words_free(cli_words *w);
/* The one text of a flag, or NULL. Borrowed. */
const char *cli_text(const cli_words *w, const char *flag);
bool cli_given(const cli_words *w, const char *flag);

/* Before a script's options are known: is a plain flag on the line; the last value of a flag (borrowed, NULL = none);
 * which operand is the script (borrowed, NULL = none). */
bool cli_peek(int argc, char **argv, const char *flag);
const char *cli_peek_value(int argc, char **argv, const char *flag);
const char *cli_peek_script(const cli_verb *verb, int argc, char **argv);
/* Targets of every well-formed --report on the line: [{"format", "file"}]. NULL out of memory. */
json_t *cli_peek_reports(int argc, char **argv);
/* Says why a run never began and puts it on record, where a ledger can be found: somebody tried it. cfg: the
 * configuration, or NULL: it was not read yet; where it cannot be, nobody knows which ledger. What went wrong there is
 * said, and changes nothing: the run has failed already. */
void cli_refused(const cli_verb *verb, int argc, char **argv, const config *cfg, const char *label, const char *tenant,
                 int code, const err *why);

/* "json=FILE" → {"format", "file"}, or NULL with *e. */
json_t *cli_report_target(const char *text, err *e);
/* Takes out of the targets those that must not be written: over what the run uses (its scripts, the configuration,
 * files that the line names), over another report, into what would keep it waiting. 0, or -1 with the first one's
 * reason in *e (usage_flag). */
int cli_fit_reports(json_t *targets, int argc, char **argv, const char *const *scripts, size_t n, err *e);

/* Reads --schema, --migrations, --against and what belongs to them into r->scratch and r->against (engine.h). looks:
 * the script looks at a database's schema. Errors: usage_flag. */
int cli_scratch(const cli_words *w, const char *script, bool looks, run_request *r, err *e);

/* Says on standard error what is wrong and what to do. */
void cli_say_error(const err *e);

/* The front of a verb that has no flags of its own: parses, shows help, else calls act, which returns an exit code and
 * says why with *e where that is not EXIT_PASS. Returns the exit code. */
int cli_act(const cli_verb *verb, int argc, char **argv, int (*act)(const cli_words *words, err *e));
/* Sets *e: `what` (such as "there is no topic") and the word that was given, and as a fix the nearest of `names` (ended
 * by NULL), or `otherwise`. Returns -1. */
int cli_no_such(err *e, const char *what, const char *given, const char *const *names, const char *otherwise);

int cli_run_main(const cli_verb *verb, int argc, char **argv);
int cli_check_main(const cli_verb *verb, int argc, char **argv);
int cli_list_main(const cli_verb *verb, int argc, char **argv);
int cli_init_main(const cli_verb *verb, int argc, char **argv);
int cli_explain_main(const cli_verb *verb, int argc, char **argv);
int cli_platform_main(const cli_verb *verb, int argc, char **argv);
int cli_version_main(const cli_verb *verb, int argc, char **argv);
int cli_evidence_main(const cli_verb *verb, int argc, char **argv);
int cli_verify_main(const cli_verb *verb, int argc, char **argv);
int cli_new_main(const cli_verb *verb, int argc, char **argv);

int cli_doc_main(const cli_verb *verb, int argc, char **argv);
int cli_help_main(const cli_verb *verb, int argc, char **argv);

extern const char CLI_EXIT_CODES[]; /* what each exit code means, whole lines */

extern const char CLI_DOC_RIGHTS[]; /* rights of gate 1, whole lines */

/* Help texts on standard output. */
void cli_help_all(void);
void cli_help_verb(const cli_verb *verb);
void cli_help_script(const cli_verb *verb, const char *label, const json_t *head, const json_t *options);
/* The verb of that name, or NULL with *e (did you mean). */
const cli_verb *cli_find_verb(const char *name, err *e);

/* What `explain` says of classes that the engine gives itself, and of those of gate 1's ERRORs; the last has no name.
 * explain may be NULL. */
extern const struct engine_class { const char *name, *text, *fix, *explain; } ENGINE_CLASSES[], ISOLATION_CLASSES[];

#endif
