/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apache_conf - the configuration language of Apache httpd, read into a tree
 *
 * Reads lines as httpd does: continuation, quotes, ${VARIABLES}, Define, Include, LoadModule; and
 * decides <IfModule>, <IfDefine>, <IfFile>, <IfVersion> while it reads, as httpd does: their
 * contents stand in the tree as if the section were not there. Directive names are in lower case
 * (args[0] of "<VirtualHost *:443>" is "virtualhost"). <Macro>, Use and <IfDirective> are not
 * followed: each is a note of the tree. Directives are not interpreted: see scanners/apache.c.
 */
#ifndef CLM_FORMATS_APACHE_CONF_H
#define CLM_FORMATS_APACHE_CONF_H

#include "agent/base/err.h"
#include "agent/formats/conf_tree.h"
#include "agent/model/io.h"

struct clm_apache_source {
    const char *path;               /* main file, absolute */
    const char *server_root;        /* absolute; what relative paths start from */
    const char *envvars;            /* file of "export NAME=value"; need not exist; NULL: none */
    const struct clm_strs *defines; /* -D of the command line; may be NULL */
    const char *version;            /* "2.4.57" for <IfVersion>; "" unknown: taken as 2.4.62 */
};

#define CLM_APACHE_WORD_MAX ((size_t)64 * 1024) /* bytes of one argument after ${} expansion */
#define CLM_APACHE_VARS_MAX 1000                /* Define and envvars together */

/*
 * clm_apache_conf_load() - reads a configuration with all it includes
 *
 * In      io    read_file, stat and list_dir are called; must outlive tree
 * Out     tree  zero-initialised by the caller; for clm_conf_tree_done(), also after an error
 *         root  PATH_MAX bytes: the ServerRoot in force at the end
 * Errors  PARSE, CONFIG with "file:line: why"; LIMIT; NOTFOUND, PERM, IO with the name of the file
 * Source  server/config.c, server/util.c and modules/metadata/mod_version.c of httpd 2.4
 */
CLM_MUST_USE enum clm_code clm_apache_conf_load(const struct clm_io *io,
                                                const struct clm_apache_source *source,
                                                struct clm_conf_tree *tree, char *root,
                                                struct clm_err *err);

#endif
