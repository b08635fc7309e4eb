/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts - where a file that a server names is for us, and whether it can be replaced there
 *
 * A server may run with other mounts or another root directory than ours: a container, a unit with
 * private mounts. What it calls "/etc/tls/a.pem" may be another file here, the same one under
 * another name, or out of reach. And a file that is mounted by itself cannot be replaced at all: the
 * mount shows the old one until it is made anew. For the scanners of servers that read PEM files.
 */
#ifndef CLM_SCANNERS_MOUNTS_H
#define CLM_SCANNERS_MOUNTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/model/io.h"
#include "scanners/processes.h"

#define CLM_MOUNTINFO_MAX ((size_t)4 * 1024 * 1024) /* bytes; a busy container host has 1 MiB */

struct clm_mounts {
    struct clm_buf theirs; /* mountinfo of the process, and ours */
    struct clm_buf ours;
    const struct clm_io *io;
    const struct clm_process *process;
};

/* Borrows io and process. What cannot be read is taken as empty. For clm_mounts_done(). */
void clm_mounts_read(const struct clm_io *io, const struct clm_process *process,
                     struct clm_mounts *out);
void clm_mounts_done(struct clm_mounts *mounts); /* for CLM_CLEANUP */

struct clm_located {
    char read[PATH_MAX + 32]; /* where we can read it: the path, or below /proc/PID/root */
    char host[PATH_MAX];      /* the same file by a name of ours; "" if there is none */
    char why[512];            /* why it cannot be replaced; "" if it can */
};

/*
 * clm_locate() - a file or directory of the server's, seen from here
 *
 * In      path  absolute, as the server's configuration names it; need not exist
 * Effect  host is only set if device and inode prove that it is the same file
 */
void clm_locate(const struct clm_mounts *mounts, const char *path, struct clm_located *out);

/* What can be said of a closed process (closed.h): whether its table of mounts is not ours, and
 * whether something else is mounted at its "/", or nothing that it can see. */
void clm_mounts_compare(const struct clm_io *io, const struct clm_process *process,
                        bool *out_has_own_mounts, bool *out_has_own_root);
/* True if both tables lead to the same place of the same file system, at every link on the way. */
bool clm_mounts_share(const struct clm_io *io, const struct clm_process *process, const char *path);

/* "/proc/PID/root" + path into dst; of a closed process path alone: what is not ours too is refused
 * before it is opened. */
void clm_process_path(const struct clm_process *process, const char *path, char *dst, size_t size);

/* A clm_io whose files are those of the process; nothing but files can be asked of it. */
struct clm_process_io {
    struct clm_io io;
    const struct clm_io *inner;
    const struct clm_process *process;
};
void clm_process_io_init(struct clm_process_io *out, const struct clm_io *inner,
                         const struct clm_process *process);

/* False only if it is certain that the process has another network than ours. */
bool clm_process_shares_net(const struct clm_io *io, const struct clm_process *process);

#endif
