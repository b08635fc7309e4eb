/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sabotage - runs a piece of code again and again, each time with another call of libc failing
 *
 * Works by the linker, as torture does: a test that uses it is linked with clm_test_sabotage(NAME)
 * of tests/support/sabotage.cmake, which wraps the calls of sabotage.c in everything linked
 * statically. Every call fails once with each of its errors (EIO, EINTR, ENOSPC ...; read and write
 * also do one byte only; allocations return NULL). Not to be linked together with torture.
 */
#ifndef CLM_TESTS_SUPPORT_SABOTAGE_H
#define CLM_TESTS_SUPPORT_SABOTAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"

struct clm_sabotage {
    void (*before)(void *arg); /* makes everything as it was; NULL: nothing to do */
    enum clm_code (*act)(void *arg, struct clm_err *err); /* only here calls fail */
    /* Asserts, and frees what act made; what: the failed call for messages, NULL if none was made.
     * NULL: nothing to do. */
    void (*after)(void *arg, enum clm_code code, const char *what);
    void *arg;
    bool fails_anyway; /* act returns an error also when no call fails */
};

/*
 * clm_sabotage_run() - fails call 1, 2, 3 ... of each kind until act needs no more of them
 *
 * In      only  names of calls separated by spaces, e.g. "read write"; NULL: all of them
 * Effect  A cmocka failure if act returns an error without a message, if it fails where no call did,
 *         or if a descriptor is left open. Returns the number of failed calls.
 */
size_t clm_sabotage_run(const struct clm_sabotage *plan, const char *only);

/* One call by hand: call n (from 1) of that name fails with sys_errno, until clm_sabotage_off(). */
void clm_sabotage_on(const char *call, unsigned n, int sys_errno);
/* Returns true if the call was made, and failed. */
bool clm_sabotage_off(void);
/* Around what a test itself does within act. Returns whether calls were failing, for resume. */
bool clm_sabotage_pause(void);
void clm_sabotage_resume(bool was_on);

#endif
