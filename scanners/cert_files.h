/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_files - every certificate, key and keystore on this host, found by content
 *
 * Walks the configured roots and looks at what running servers are configured to read. What a file
 * is, its first bytes tell, never its name. Files are handed over one by one as they are found, so
 * memory does not grow with their number: only the names of the directories that are open, a table
 * of links, and the targets are held. Nothing is written, no program is run, no password is used.
 *
 * Works on the file system itself, not through struct clm_io: it must hold on to directories so that
 * nobody can move one from under it.
 */
#ifndef CLM_SCANNERS_CERT_FILES_H
#define CLM_SCANNERS_CERT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/cert_file.h"
#include "agent/model/io.h"
#include "agent/model/target.h"
#include "scanners/managers.h"

#define CLM_FILES_PEM_MAX   1048576u  /* bytes of a PEM or DER file; design.md 11 */
#define CLM_FILES_STORE_MAX 16777216u /* bytes of a keystore; design.md 11 */
#define CLM_FILES_NAMES_MAX 100000u   /* entries of one directory; about 5 MiB of names */
#define CLM_FILES_LINKS_MAX 16384u    /* links whose names are kept */
#define CLM_FILES_ROOTS_MAX 64u       /* configured ones and those that links lead to */
#define CLM_FILES_KEYS_MAX  4096u     /* private keys of one directory that are compared */
#define CLM_FILES_REMARKS   32u       /* faults told one by one; more are counted */

enum clm_files_mode {
    CLM_FILES_ALL,
    CLM_FILES_IN_USE
};

/* Everything is borrowed. */
struct clm_files_rules {
    enum clm_files_mode mode;
    const struct clm_strs *roots;
    const struct clm_strs *exclude; /* globs; see docs/inventory.md */
    const struct clm_strs *ignore;
    const char *own_dir; /* our state directory, never entered; NULL none */
    uint32_t depth;
    uint64_t files_max;
    int64_t time_max_ms;
    bool cross_mounts;
    uint32_t expiring_days;
    int64_t now_s;
    const struct clm_io *io;               /* for the names of users */
    const struct clm_inventory *inventory; /* whose targets are joined; NULL none */
    const struct clm_managers *managers;   /* NULL none */
    const struct clm_strs *managed;        /* ids of targets with a generation of ours; NULL none */
};

struct clm_files_counts {
    uint64_t directories;
    uint64_t files;          /* looked at */
    uint64_t found;          /* handed over */
    uint64_t entries;        /* certificates and keys in them */
    uint64_t too_large;      /* that begin like a certificate file, and were not read */
    uint64_t unreadable;     /* files and directories */
    bool is_cut;             /* a limit ended the search early */
    struct clm_strs remarks; /* what was left out and why */
};
void clm_files_counts_done(struct clm_files_counts *counts); /* for CLM_CLEANUP */

struct clm_files_visitor {
    /* MUST. found is valid during the call. Anything but CLM_OK ends the search. */
    enum clm_code (*found)(void *arg, const struct clm_found *found, struct clm_err *err);
    /* After each directory; may be NULL. */
    void (*progress)(void *arg, const struct clm_files_counts *counts);
    void *arg;
};

/*
 * clm_cert_files_scan() - hands over every file that holds a certificate, a key or a keystore
 *
 * Out     counts  zeroed by the caller, for clm_files_counts_done() also after an error
 * Effect  Each file once, whatever its number of names. Only regular files are opened, without
 *         following a link in the last component and without waiting. Times of access are left as
 *         they are where that is permitted.
 * Errors  NOMEM; what the visitor returns. Files that cannot be read are counted and remarked.
 */
CLM_MUST_USE enum clm_code clm_cert_files_scan(const struct clm_files_rules *rules,
                                               const struct clm_files_visitor *visitor,
                                               struct clm_files_counts *counts,
                                               struct clm_err *err);

#endif
