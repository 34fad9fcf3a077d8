/* cli.h: the command line: argv to verb to exit code (design §1). */
#ifndef GE_RUN_CLI_H
#define GE_RUN_CLI_H

/* Exit codes, for every verb. */
enum {
    EXIT_PASS = 0,
    EXIT_FAIL = 1,   /* a gate FAIL or FLAKY; an operation refused by a rule */
    EXIT_USAGE = 2,  /* usage, configuration or script error; nothing evaluated */
    EXIT_BROKEN = 3, /* a gate ERROR; could not be carried out */
    EXIT_SIGINT = 130,
    EXIT_SIGTERM = 143
};

/* Parses argv, runs the verb and returns the process's exit code. Output that could not be written turns a 0 into 3. */
int cli_main(int argc, char **argv);

#endif
