/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_node - the nodes behind yaml.h; for yaml.c and yaml_node.c only */
#ifndef CLM_CONFIG_YAML_NODE_H
#define CLM_CONFIG_YAML_NODE_H

#include <stdint.h>

#include "config/yaml.h"

struct clm_yaml {
    enum clm_yaml_kind kind;
    char *text; /* NULL unless SCALAR */
    bool is_plain;
    size_t line;
    size_t column;
    char *key; /* NULL unless in a MAP */
    size_t key_line;
    size_t key_column;
    uint32_t key_hash; /* so that comparing two keys mostly is comparing two numbers */
    size_t n_keys;     /* of a MAP */
    struct clm_yaml *first;
    struct clm_yaml *last;
    struct clm_yaml *next;
};

#endif
