/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml - a small, strict part of YAML as nodes that know their line and column
 *
 * Maps, lists and scalars of one document. Refused, because each has bitten somebody: anchors and
 * aliases, tags, merge keys, directives, several documents, duplicate keys, keys that are no text.
 * Only yaml.c uses libyaml.
 */
#ifndef CLM_CONFIG_YAML_H
#define CLM_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"

#define CLM_YAML_TEXT_MAX   65536u /* bytes of a file; design.md 11 */
#define CLM_YAML_DEPTH_MAX  16     /* design.md 11; libyaml is quadratic in flow nesting */
#define CLM_YAML_SCALAR_MAX 4096   /* bytes; a path is at most as long */
#define CLM_YAML_KEYS_MAX   1000 /* of one map, as of an object in JSON: each is compared with all */

enum clm_yaml_kind {
    CLM_YAML_SCALAR,
    CLM_YAML_LIST,
    CLM_YAML_MAP
};

struct clm_yaml; /* a node */

/*
 * clm_yaml_parse() - one document
 *
 * In      name  of the file, for messages
 *         text  len bytes, UTF-8
 * Out     out   the root, the caller's, for clm_yaml_free(). An empty text is an empty map.
 * Errors  CONFIG with "name:line:column: why"; LIMIT longer than CLM_YAML_TEXT_MAX; NOMEM
 */
CLM_MUST_USE enum clm_code clm_yaml_parse(const char *name, const char *text, size_t len,
                                          struct clm_yaml **out, struct clm_err *err);
/* Accepts NULL. Only for roots. */
void clm_yaml_free(struct clm_yaml *root);
CLM_DEFINE_CLEANUP(struct clm_yaml, clm_yaml_free);

enum clm_yaml_kind clm_yaml_kind(const struct clm_yaml *node);
/* Text of a scalar; "" for a map or list. */
const char *clm_yaml_text(const struct clm_yaml *node);
/* True for a scalar without quotes: only those can be numbers, true, false, or nothing. */
bool clm_yaml_is_plain(const struct clm_yaml *node);
/* True for a scalar that is nothing: "key:", "key: ~", "key: null". */
bool clm_yaml_is_null(const struct clm_yaml *node);
/* Where the value starts, counted from 1. */
size_t clm_yaml_line(const struct clm_yaml *node);
size_t clm_yaml_column(const struct clm_yaml *node);

/* First entry of a map or list, next entry; NULL at the end. */
const struct clm_yaml *clm_yaml_first(const struct clm_yaml *node);
const struct clm_yaml *clm_yaml_next(const struct clm_yaml *node);
/* Key of an entry of a map, and where it stands; "" in a list. */
const char *clm_yaml_key(const struct clm_yaml *node);
size_t clm_yaml_key_line(const struct clm_yaml *node);
size_t clm_yaml_key_column(const struct clm_yaml *node);

#endif
