/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torture - runs a test body again and again, each time with another allocation failing
 *
 * Works by the linker: a test that calls clm_torture() is linked with clm_test_torture(NAME) of
 * tests/support/torture.cmake, which wraps malloc, calloc, realloc, strdup and free of everything
 * linked statically. Allocations inside shared libraries are not seen, unless the library takes
 * hooks: clm_torture_malloc and clm_torture_free are there for them.
 */
#ifndef CLM_TESTS_SUPPORT_TORTURE_H
#define CLM_TESTS_SUPPORT_TORTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"

/* Must free all it allocated, in every case. */
typedef enum clm_code (*clm_torture_fn)(void *arg, struct clm_err *err);

/*
 * clm_torture() - fails allocation 1, 2, 3 ... of body until it needs no more
 *
 * Effect  A cmocka failure if a run with a failed allocation returns anything but NOMEM with a
 *         message, if the run without a failure does not return OK, or if a run leaves a block
 *         behind. Returns the number of allocations of the good run.
 */
size_t clm_torture(clm_torture_fn body, void *arg);

/* The same for a body that may go on without the memory: it must only leave no block behind. At most
 * max allocations are made to fail. Returns how many were. */
size_t clm_torture_any(clm_torture_fn body, void *arg, size_t max);

/* True if an allocation of this run has failed. */
bool clm_torture_has_failed(void);

void *clm_torture_malloc(size_t size);
void clm_torture_free(void *block);

#endif
