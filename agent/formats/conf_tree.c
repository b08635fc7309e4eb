/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/formats/conf_tree.h"

#include <stdlib.h>
#include <string.h>

/* Without recursion: walks down to a leaf, frees it, goes on with what follows it. */
void clm_conf_tree_done(struct clm_conf_tree *tree)
{
    struct clm_conf_node *at = &tree->root;

    for (;;) {
        struct clm_conf_node *child = at->children;

        if (child != NULL) {
            at->children = child->next;
            child->next = NULL;
            at = child;
            continue;
        }
        if (at == &tree->root) {
            break;
        }
        child = at;
        at = at->parent;
        free(child);
    }
    tree->root = (struct clm_conf_node){0};
    clm_strs_done(&tree->notes);
    clm_conf_files_done(&tree->files);
}

static size_t text_bytes(const struct clm_strs *args)
{
    size_t bytes = 0;

    for (size_t i = 0; i < args->n; i++) {
        bytes += strlen(args->v[i]) + 1;
    }
    return bytes;
}

/* One allocation: the node, its table of arguments, their bytes. */
static struct clm_conf_node *node_new(const struct clm_strs *args, size_t bytes)
{
    size_t size = sizeof(struct clm_conf_node) + args->n * sizeof(char *) + bytes;
    struct clm_conf_node *node;
    char *text;

    node = calloc(1, size);
    if (node == NULL) {
        return NULL;
    }
    node->n = args->n;
    node->args = (char **)(void *)(node + 1);
    text = (char *)(node->args + args->n);
    for (size_t i = 0; i < args->n; i++) {
        size_t len = strlen(args->v[i]) + 1;

        memcpy(text, args->v[i], len);
        node->args[i] = text;
        text += len;
    }
    return node;
}

enum clm_code clm_conf_tree_add(struct clm_conf_tree *tree, struct clm_conf_node *parent,
                                const struct clm_strs *args, const struct clm_conf_place *place,
                                struct clm_conf_node **out, struct clm_err *err)
{
    enum clm_code code = clm_conf_files_count(&tree->files, err);
    size_t bytes = text_bytes(args);
    struct clm_conf_node *node;

    if (code != CLM_OK) {
        return code;
    }
    /* A variable of 64 KiB may be used in every line. */
    if (bytes > CLM_CONF_BYTES_MAX - tree->files.words) {
        return clm_err_set(err, CLM_E_LIMIT,
                           "'%s': the configuration, with its variables put in, is larger than "
                           "%zu MiB",
                           place->file, CLM_CONF_BYTES_MAX / ((size_t)1024 * 1024));
    }
    tree->files.words += bytes;
    node = node_new(args, bytes);
    if (node == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "'%s'", place->file);
    }
    node->parent = parent;
    node->file = place->file;
    node->line = place->line;
    if (parent->last_child == NULL) {
        parent->children = node;
    } else {
        parent->last_child->next = node;
    }
    parent->last_child = node;
    *out = node;
    return CLM_OK;
}

static const struct clm_conf_node *from(const struct clm_conf_node *node, const char *name)
{
    while (node != NULL && strcmp(node->args[0], name) != 0) {
        node = node->next;
    }
    return node;
}

const struct clm_conf_node *clm_conf_first(const struct clm_conf_node *block, const char *name)
{
    return from(block->children, name);
}

const struct clm_conf_node *clm_conf_again(const struct clm_conf_node *node, const char *name)
{
    return from(node->next, name);
}

const struct clm_conf_node *clm_conf_last(const struct clm_conf_node *block, const char *name)
{
    const struct clm_conf_node *found = NULL;

    for (const struct clm_conf_node *node = clm_conf_first(block, name); node != NULL;
         node = clm_conf_again(node, name)) {
        found = node;
    }
    return found;
}

const char *clm_conf_arg(const struct clm_conf_node *node, size_t i)
{
    return i < node->n ? node->args[i] : "";
}
