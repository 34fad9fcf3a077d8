/* main.c: gate-engine. */
#include "run/cli.h"

int main(int argc, char **argv) {
    return cli_main(argc, argv);
}
