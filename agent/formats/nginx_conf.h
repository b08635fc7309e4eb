/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nginx_conf - the configuration language of nginx, read into a tree
 *
 * The same tokens as nginx's own reader makes: quotes, escapes, comments, "${", includes with
 * wildcards relative to the directory of the main file. Bodies of *_by_lua_block are skipped as
 * Lua. Directives are not interpreted here: see scanners/nginx.c.
 */
#ifndef CLM_FORMATS_NGINX_CONF_H
#define CLM_FORMATS_NGINX_CONF_H

#include "agent/base/err.h"
#include "agent/formats/conf_tree.h"
#include "agent/model/io.h"

/*
 * clm_nginx_conf_load() - reads a configuration with all it includes
 *
 * In      io    read_file, stat and list_dir are called; must outlive tree
 *         path  main file, absolute
 * Out     tree  zero-initialised by the caller; for clm_conf_tree_done(), also after an error
 * Errors  PARSE, CONFIG with "file:line: why"; LIMIT; NOTFOUND, PERM, IO with the name of the file
 * Source  ngx_conf_read_token() and ngx_conf_include() in nginx's src/core/ngx_conf_file.c
 */
CLM_MUST_USE enum clm_code clm_nginx_conf_load(const struct clm_io *io, const char *path,
                                               struct clm_conf_tree *tree, struct clm_err *err);

#endif
