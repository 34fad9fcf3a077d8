/* routing-solver: see solvers/common/program.h for how it is called. */
#include "solvers/common/program.h"
#include "solvers/routing/routing.h"

int main(int argc, char **argv) {
    static const solver_program program = {.name = RT_NAME, .version = RT_VERSION, .solve = rt_solve_text};
    return solver_main(&program, argc, argv);
}
