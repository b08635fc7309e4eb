/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_files - the files of one server configuration, read within limits
 *
 * A configuration is a main file and what it includes. This object reads them through the lent
 * clm_io, counts what they cost, keeps the stack of files that are being read (so that a file that
 * includes itself is found) and expands wildcards as glob(3) would. It knows nothing of syntax.
 * Used by nginx_conf.c and apache_conf.c.
 */
#ifndef CLM_FORMATS_CONF_FILES_H
#define CLM_FORMATS_CONF_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/io.h"

#define CLM_CONF_BYTES_MAX      ((size_t)64 * 1024 * 1024) /* over all includes; design.md 11 */
#define CLM_CONF_FILES_MAX      1000                       /* different files */
#define CLM_CONF_DEPTH_MAX      16                         /* includes inside includes */
#define CLM_CONF_BLOCK_MAX      64                         /* blocks inside blocks */
#define CLM_CONF_DIRECTIVES_MAX 500000 /* keeps memory near 100 MiB for 64 MiB of "a;a;" */
#define CLM_CONF_READ_COST      256    /* bytes each inclusion costs at least: bounds empty files */

struct clm_conf_files {
    const struct clm_io *io;
    struct clm_strs seen;                  /* each file once, in the order of first reading */
    size_t bytes;                          /* used up of CLM_CONF_BYTES_MAX */
    size_t words;                          /* the same for what variables have become */
    size_t directives;                     /* used up of CLM_CONF_DIRECTIVES_MAX */
    const char *stack[CLM_CONF_DEPTH_MAX]; /* being read, outermost first; owned by seen */
    size_t depth;
};

/* Frees the names; every file name handed out becomes invalid. For CLM_CLEANUP. */
void clm_conf_files_done(struct clm_conf_files *files);

/*
 * clm_conf_files_enter() - reads one file and makes it the innermost of the stack
 *
 * In      path  absolute
 * Out     text      the caller's empty buffer; no NUL inside
 *         out_name  the file's name, lives as long as files
 * Effect  leave with clm_conf_files_leave(), whatever happened after success
 * Errors  NOTFOUND, PERM, IO; PARSE a NUL byte; LIMIT size, number, depth; CONFIG it includes
 *         itself or is no regular file
 */
CLM_MUST_USE enum clm_code clm_conf_files_enter(struct clm_conf_files *files, const char *path,
                                                struct clm_buf *text, const char **out_name,
                                                struct clm_err *err);
void clm_conf_files_leave(struct clm_conf_files *files);

/* Counts one directive. Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_conf_files_count(struct clm_conf_files *files, struct clm_err *err);

/* True if path has a character that glob(3) treats as a wildcard. */
bool clm_conf_is_glob(const char *path);

/*
 * clm_conf_glob() - the paths that match, in the order of strcmp(3)
 *
 * In      pattern  absolute; wildcards in any component; "*" does not match a leading dot
 * Out     out      appended to; empty if nothing matches. A pattern without wildcards is given
 *                  back as it is, whether the file exists or not.
 * Errors  LIMIT more than CLM_CONF_FILES_MAX matches; NOMEM. A directory that cannot be read
 *         matches nothing.
 */
CLM_MUST_USE enum clm_code clm_conf_glob(const struct clm_io *io, const char *pattern,
                                         struct clm_strs *out, struct clm_err *err);

/* Every entry of the directory as a full path, sorted, also names with a leading dot. */
CLM_MUST_USE enum clm_code clm_conf_list(const struct clm_io *io, const char *dir,
                                         struct clm_strs *out, struct clm_err *err);

/* path if absolute, else dir + "/" + path, into dst of size bytes. Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_conf_path(const char *dir, const char *path, char *dst, size_t size,
                                         struct clm_err *err);

/* The directory of an absolute path, without a trailing slash; "/" for "/x". Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_conf_dirname(const char *path, char *dst, size_t size,
                                            struct clm_err *err);

#endif
