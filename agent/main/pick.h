/* SPDX-License-Identifier: Apache-2.0 */
/* pick - members of a reply to be shown: what is missing or of another type shows as nothing */
#ifndef CLM_MAIN_PICK_H
#define CLM_MAIN_PICK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/json.h"

/* The text of an element of a list, or fallback if it is no text or empty. */
const char *clm_pick_node(const struct clm_json *node, const char *fallback);
/* The text, or fallback if it is missing, no text or empty. */
const char *clm_pick_text(const struct clm_json *obj, const char *key, const char *fallback);
/* False unless it is true. */
bool clm_pick_true(const struct clm_json *obj, const char *key);
/* 0 unless it is a number of 0 or more. */
int64_t clm_pick_int(const struct clm_json *obj, const char *key);
/* Unix time of an RFC 3339 text; 0 if there is none. */
int64_t clm_pick_time(const struct clm_json *obj, const char *key);

#endif
