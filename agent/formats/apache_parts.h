/* SPDX-License-Identifier: Apache-2.0 */
/* apache_parts - what apache_conf.c is made of: words, variables, conditions. For its files only. */
#ifndef CLM_FORMATS_APACHE_PARTS_H
#define CLM_FORMATS_APACHE_PARTS_H

#include <limits.h>
#include <stdbool.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/io.h"

/* Names with values; a later set replaces. */
struct clm_apache_vars {
    struct clm_strs names;
    struct clm_strs values;
};
void clm_apache_vars_done(struct clm_apache_vars *vars);
CLM_MUST_USE enum clm_code clm_apache_vars_set(struct clm_apache_vars *vars, const char *name,
                                               const char *value, struct clm_err *err);
void clm_apache_vars_unset(struct clm_apache_vars *vars, const char *name);
/* NULL if it is not set. */
const char *clm_apache_vars_get(const struct clm_apache_vars *vars, const char *name);

/*
 * Reads "export NAME=value" and "NAME=value" lines of a shell file: quotes, $NAME and ${NAME} of
 * earlier lines. What stands between "if" and "fi", and values with other expansions, are passed
 * over. A file that does not exist is empty. confdir presets APACHE_CONFDIR, and SUFFIX as Debian's
 * file computes it for several instances (/etc/apache2-NAME).
 */
CLM_MUST_USE enum clm_code clm_apache_envvars(const struct clm_io *io, const char *path,
                                              const char *confdir, struct clm_apache_vars *vars,
                                              struct clm_err *err);

/* What words and conditions depend on. */
struct clm_apache_state {
    const struct clm_io *io;
    struct clm_apache_vars defines; /* Define and -D */
    struct clm_apache_vars env;
    struct clm_strs modules; /* "ssl_module" and "mod_ssl.c" for each that is loaded */
    int version[3];
    char server_root[PATH_MAX];
};

/*
 * clm_apache_word() - the next argument, as ap_getword_conf() does
 *
 * In      io_text  advanced behind the word and the white space after it
 * Out     word     the caller's buffer, replaced; ${NAME} is expanded, an unknown one stays
 * Errors  LIMIT longer than the buffer's maximum; NOMEM
 */
CLM_MUST_USE enum clm_code clm_apache_word(const struct clm_apache_state *state,
                                           const char **io_text, struct clm_buf *word,
                                           struct clm_err *err);

/* Notes "LoadModule identifier file". */
CLM_MUST_USE enum clm_code clm_apache_add_module(struct clm_apache_state *state,
                                                 const char *identifier, const char *file,
                                                 struct clm_err *err);
/* The modules that are part of the program in the usual builds. */
CLM_MUST_USE enum clm_code clm_apache_add_static(struct clm_apache_state *state,
                                                 struct clm_err *err);

/* "2.4.57" as three numbers; what is missing or no number is 0. */
void clm_apache_version(const char *text, int out[3]);

enum clm_apache_cond {
    CLM_APACHE_PLAIN, /* the section is no condition that is decided while reading */
    CLM_APACHE_TRUE,
    CLM_APACHE_FALSE,
    CLM_APACHE_SKIPPED, /* left out, and worth a note */
};
/* name in lower case, args: everything behind it. */
enum clm_apache_cond clm_apache_decide(const struct clm_apache_state *state, const char *name,
                                       const struct clm_strs *args);

#endif
