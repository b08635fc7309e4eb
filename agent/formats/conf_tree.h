/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_tree - directives of a server configuration, with the place where each stands
 *
 * What nginx_conf.c and apache_conf.c give their readers: includes are already in place, comments
 * and quotes are gone. A node never changes once it is in the tree.
 */
#ifndef CLM_FORMATS_CONF_TREE_H
#define CLM_FORMATS_CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/formats/conf_files.h"

struct clm_conf_node {
    struct clm_conf_node *next;     /* sibling */
    struct clm_conf_node *children; /* of a block; NULL if it is empty */
    struct clm_conf_node *last_child;
    struct clm_conf_node *parent; /* NULL: the root itself */
    const char *file;
    int line;      /* 1 is the first */
    bool is_block; /* "server { ... }", "<VirtualHost> ... </VirtualHost>" */
    size_t n;      /* arguments, the name included; at least 1, besides the root's 0 */
    char **args;   /* args[0] is the name */
};

struct clm_conf_tree {
    struct clm_conf_files files; /* owns the file names */
    struct clm_conf_node root;   /* its children are the top level */
    struct clm_strs notes;       /* "file:line: what was not followed" */
};

void clm_conf_tree_done(struct clm_conf_tree *tree); /* for CLM_CLEANUP */

struct clm_conf_place {
    const char *file; /* interned by clm_conf_files_enter() */
    int line;
};

/*
 * clm_conf_tree_add() - appends a directive to a block
 *
 * In      parent  a block of this tree, or its root
 *         args    copied; n >= 1
 * Errors  LIMIT too many directives; NOMEM
 */
CLM_MUST_USE enum clm_code clm_conf_tree_add(struct clm_conf_tree *tree,
                                             struct clm_conf_node *parent,
                                             const struct clm_strs *args,
                                             const struct clm_conf_place *place,
                                             struct clm_conf_node **out, struct clm_err *err);

/* The first child of that name, the next sibling of that name; NULL if there is none. */
const struct clm_conf_node *clm_conf_first(const struct clm_conf_node *block, const char *name);
const struct clm_conf_node *clm_conf_again(const struct clm_conf_node *node, const char *name);
/* The last child of that name: for directives of which the last one wins. */
const struct clm_conf_node *clm_conf_last(const struct clm_conf_node *block, const char *name);
/* Argument i, 1 being the first behind the name; "" if there are not as many. */
const char *clm_conf_arg(const struct clm_conf_node *node, size_t i);

#endif
