/* roster-solver: see solvers/common/program.h for how it is called. */
#include "solvers/common/program.h"
#include "solvers/roster/roster.h"

int main(int argc, char **argv) {
    static const solver_program program = {.name = RS_NAME, .version = RS_VERSION, .solve = rs_solve_text};
    return solver_main(&program, argc, argv);
}
