/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes - one walk over /proc, joined with the listening sockets
 *
 * Every process costs a read of stat and two links. Open files are looked at only until every
 * listening socket has its owner, in the order in which processes were started: a parent holds a
 * socket before its children inherit it, so the owner is the main process. Everything else about a
 * process is read when somebody asks for it.
 */
#ifndef CLM_SCANNERS_PROCESSES_H
#define CLM_SCANNERS_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/io.h"
#include "scanners/sockets.h"

#define CLM_PROCESSES_MAX 100000 /* the walk stops there and says so */

struct clm_process {
    int32_t pid;
    int32_t parent_pid;
    uint64_t start_ticks;
    bool is_kernel;  /* a kernel thread */
    char comm[16];   /* at most 15 characters (proc(5)) */
    char *exe;       /* owned; " (deleted)" cut off; "" if it could not be read */
    bool is_closed;  /* its links cannot be read (closed.h): exe is what it says itself */
    bool is_deleted; /* the program was replaced or removed since it was started */
    char *net;       /* owned; "net:[4026531840]"; "" if it could not be read */
    const struct clm_process *parent; /* NULL: none, or not seen */

    /* clm_process_details() */
    struct clm_strs argv;
    uint32_t uid;        /* effective */
    char unit[256];      /* "nginx.service"; "" if it runs in none */
    bool has_own_mounts; /* other mount namespace than ours: PrivateTmp= or a container */
    bool has_own_root;   /* and another root directory: its paths are not ours */
};

struct clm_processes {
    struct clm_process *v; /* in the order of their start */
    size_t n;
    struct clm_sockets sockets; /* of all network namespaces; sorted by inode */
};

void clm_processes_done(struct clm_processes *processes); /* for CLM_CLEANUP */

/*
 * clm_processes_read() - walks /proc
 *
 * Out     out   zero-initialised; for clm_processes_done(), also after an error. A process that
 *               ended meanwhile is left out.
 *         notes what could not be read, "path: reason"
 * Errors  IO /proc cannot be read at all; LIMIT; NOMEM
 */
CLM_MUST_USE enum clm_code clm_processes_read(const struct clm_io *io, struct clm_processes *out,
                                              struct clm_strs *notes, struct clm_err *err);

/* Fills argv, uid, unit, has_own_mounts, has_own_root; what cannot be read stays empty.
 * Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_process_details(const struct clm_io *io, struct clm_process *process,
                                               struct clm_err *err);

/* The control group whose line in /proc/PID/cgroup begins with a number and this: "::"
 * for version 2. False: none. */
bool clm_process_cgroup(const struct clm_io *io, int32_t pid, const char *before, char *dst,
                        size_t size);

/* The part of exe behind the last slash; comm if exe is not known. */
const char *clm_process_name(const struct clm_process *process);

/* False if path means another file to the process than to us; needs clm_process_details(). */
bool clm_process_shares(const struct clm_io *io, const struct clm_process *process,
                        const char *path);

#endif
