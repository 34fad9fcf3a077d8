/* promise.h: what a fuzz target says must hold. A promise that is broken ends the program, which the fuzzer reports
 * with the input that broke it. */
#ifndef GE_TESTS_FUZZ_PROMISE_H
#define GE_TESTS_FUZZ_PROMISE_H

#include <stdint.h>
#include <stdlib.h>

#define PROMISE(c)                                                                                                     \
    do {                                                                                                               \
        if (!(c)) {                                                                                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
