/* SPDX-License-Identifier: Apache-2.0 */
/* target - what every fuzz target defines, and what several need */
#ifndef CLM_TESTS_FUZZ_TARGET_H
#define CLM_TESTS_FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/model/io.h"

/* One input. It must neither crash nor leak, and what is accepted must hold what the target says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* True if an allocation failed on purpose: starve.c. */
bool clm_fuzz_is_starved(void);

/* What must hold for every input, given memory. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition) && !clm_fuzz_is_starved()) {                                              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define INPUT_NAME "input"
#define INPUT_PATH "/" INPUT_NAME

/* A file system with one file. */
struct one_file {
    struct clm_io io;
    const uint8_t *data;
    size_t len;
};
void one_file_init(struct one_file *self, const uint8_t *data, size_t len);

#endif
