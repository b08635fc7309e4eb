/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_args - the command lines of running servers, and whether their programs may be run
 *
 * Scanners and deployers both need to know with which configuration a server was started, and must
 * not run a program that somebody other than root could have changed.
 */
#ifndef CLM_FORMATS_SERVER_ARGS_H
#define CLM_FORMATS_SERVER_ARGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/io.h"

#define CLM_CMDLINE_MAX ((size_t)128 * 1024) /* bytes of /proc/PID/cmdline looked at */

/* The arguments of a running process; empty for a kernel thread. Errors: NOTFOUND, PERM, IO. */
CLM_MUST_USE enum clm_code clm_cmdline_read(const struct clm_io *io, int32_t pid,
                                            struct clm_strs *out, struct clm_err *err);

struct clm_nginx_args {
    char conf[PATH_MAX];       /* -c as given; "" if it was not */
    char prefix[PATH_MAX];     /* -p as given; "" if it was not */
    char error_log[PATH_MAX];  /* -e as given; "" if it was not */
    char directives[PATH_MAX]; /* -g as given, blanks joined; "" if it was not */
};
/* Also reads the title a master gives itself ("nginx: master process nginx -c x"), in which quoting
 * is lost: -c, -p and -e are taken by word, -g up to the next option. Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_nginx_args_parse(const struct clm_strs *argv,
                                                struct clm_nginx_args *out, struct clm_err *err);

struct clm_apache_args {
    char conf[PATH_MAX]; /* -f as given; "" if it was not */
    char root[PATH_MAX]; /* -d as given; "" if it was not */
    struct clm_strs defines;
    bool has_directives; /* -c or -C: configuration that stands in no file */
};
/* out zero-initialised; for clm_apache_args_done(), also after an error. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_apache_args_parse(const struct clm_strs *argv,
                                                 struct clm_apache_args *out, struct clm_err *err);
void clm_apache_args_done(struct clm_apache_args *args); /* for CLM_CLEANUP */

/* CLM_OK if only root can change the program: it and every directory above it are owned by root and
 * writable by nobody else. Errors: PERM with what to change; NOTFOUND; IO. */
CLM_MUST_USE enum clm_code clm_program_check(const struct clm_io *io, const char *path,
                                             struct clm_err *err);

#endif
