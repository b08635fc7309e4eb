/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_node.h"

#include <stdlib.h>
#include <string.h>

/* Without recursion: the children of a node are put in front of what is still to be freed. */
void clm_yaml_free(struct clm_yaml *root)
{
    struct clm_yaml *todo = root;

    while (todo != NULL) {
        struct clm_yaml *node = todo;

        if (node->first != NULL) {
            node->last->next = node->next;
            todo = node->first;
        } else {
            todo = node->next;
        }
        free(node->text);
        free(node->key);
        free(node);
    }
}

enum clm_yaml_kind clm_yaml_kind(const struct clm_yaml *node)
{
    return node->kind;
}

const char *clm_yaml_text(const struct clm_yaml *node)
{
    return node->text == NULL ? "" : node->text;
}

bool clm_yaml_is_plain(const struct clm_yaml *node)
{
    return node->kind == CLM_YAML_SCALAR && node->is_plain;
}

bool clm_yaml_is_null(const struct clm_yaml *node)
{
    static const char *const nothing[] = {"", "~", "null", "Null", "NULL"};

    if (!clm_yaml_is_plain(node)) {
        return false;
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(nothing); i++) {
        if (strcmp(node->text, nothing[i]) == 0) {
            return true;
        }
    }
    return false;
}

size_t clm_yaml_line(const struct clm_yaml *node)
{
    return node->line;
}

size_t clm_yaml_column(const struct clm_yaml *node)
{
    return node->column;
}

const struct clm_yaml *clm_yaml_first(const struct clm_yaml *node)
{
    return node->first;
}

const struct clm_yaml *clm_yaml_next(const struct clm_yaml *node)
{
    return node->next;
}

const char *clm_yaml_key(const struct clm_yaml *node)
{
    return node->key == NULL ? "" : node->key;
}

size_t clm_yaml_key_line(const struct clm_yaml *node)
{
    return node->key_line;
}

size_t clm_yaml_key_column(const struct clm_yaml *node)
{
    return node->key_column;
}
