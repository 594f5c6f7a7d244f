/* What a fuzz target declares, and how it says that something is wrong. */
#ifndef RUNNEL_TESTS_FUZZ_H
#define RUNNEL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds in release builds too, unlike assert. */
#define FUZZ_CHECK(condition_)                                                                     \
    do {                                                                                           \
        if (!(condition_)) {                                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition_);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
