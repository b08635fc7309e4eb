/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_node - what json.c and json_write.c share: struct clm_json is a cJSON node in disguise
 *
 * cJSON knows no parents, but a container's valuedouble is unused: it holds the pointer to the
 * parent, so that errors can name the place. Above the type bits that cJSON uses are ours.
 */
#ifndef CLM_BASE_JSON_NODE_H
#define CLM_BASE_JSON_NODE_H

#include <cjson/cJSON.h>

#include "agent/base/json.h"

#define CLM_JSON_POISON_NOMEM (1 << 20) /* something below this node was lost */
#define CLM_JSON_POISON_VALUE (1 << 21) /* a number below this node cannot be written */

/* The node behind the opaque pointer, and back. NULL stays NULL. */
static inline cJSON *clm_json_node(struct clm_json *json)
{
    return (cJSON *)(void *)json;
}
static inline const cJSON *clm_json_node_const(const struct clm_json *json)
{
    return (const cJSON *)(const void *)json;
}
static inline struct clm_json *clm_json_opaque(cJSON *node)
{
    return (struct clm_json *)(void *)node;
}

/* True for what clm_json_new_object() and clm_json_new_array() give when there is no memory. */
bool clm_json_is_lost(const cJSON *node);
/* The container that holds the container node; NULL for a root. */
cJSON *clm_json_parent(const cJSON *node);
/* Tells the containers at and below node who their parents are; parent may be NULL. */
void clm_json_link(cJSON *node, cJSON *parent);

#endif
