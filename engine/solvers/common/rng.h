/* rng.h: random numbers of the solvers' own, the same on every machine. */
#ifndef GE_SOLVERS_RNG_H
#define GE_SOLVERS_RNG_H

#include <stdint.h>

/* xoshiro256**, seeded through splitmix64 (D. Blackman, S. Vigna: "Scrambled linear pseudorandom number generators",
 * ACM TOMS 47 (2021); reference code in the public domain at prng.di.unimi.it). */
typedef struct solver_rng {
    uint64_t s[4];
} solver_rng;

void solver_rng_seed(solver_rng *r, uint64_t seed);
uint64_t solver_rng_next(solver_rng *r);
/* An integer from 0 to n - 1; n > 0. */
int solver_rng_below(solver_rng *r, int n);

#endif
