/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock - a process gives up files, listening sockets and signals of its own accord, for good
 *
 * Landlock is a security module of Linux 5.13 and later, called without any library. What a kernel
 * does not know yet is left out: an old one restricts less, never more.
 */
#ifndef CLM_BASE_LANDLOCK_H
#define CLM_BASE_LANDLOCK_H

#include <stddef.h>

#include "agent/base/err.h"

enum clm_landlock_use {
    CLM_LANDLOCK_READ,
    CLM_LANDLOCK_RUN,  /* and execute */
    CLM_LANDLOCK_WRITE /* read, and everything that a program does with files of its own */
};

struct clm_landlock_path {
    const char *path; /* with everything below it; one that does not exist is passed over */
    enum clm_landlock_use use;
};

/* The version of Landlock's interface that the kernel speaks; 0: none. */
int clm_landlock_abi(void);

/*
 * clm_landlock_restrict() - this process and its children may use these paths and no others
 *
 * Also gone, where the kernel can: binding TCP ports, signals to processes outside. Open descriptors
 * stay as they are.
 *
 * In      paths    n of them
 * Out     out_abi  what is in force now; 0: nothing, the kernel has no Landlock
 * Effect  no_new_privs is set
 * Errors  IO. Nothing is restricted then.
 * Source  landlock(7)
 */
CLM_MUST_USE enum clm_code clm_landlock_restrict(const struct clm_landlock_path *paths, size_t n,
                                                 int *out_abi, struct clm_err *err);

#endif
