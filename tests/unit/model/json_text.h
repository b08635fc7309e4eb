/* SPDX-License-Identifier: Apache-2.0 */
/* json_text - JSON in C string literals, with ' for ", and trees as text; fails the test itself */
#ifndef CLM_TESTS_JSON_TEXT_H
#define CLM_TESTS_JSON_TEXT_H

#include "agent/base/json.h"

/* Every ' of text becomes "; for clm_json_free(). */
struct clm_json *json_read(const char *text);
/* The same with no JSON reading: malloc'd text, for free(). */
char *json_quotes(const char *text);
/* The tree on one line; for free(). Frees the tree. */
char *json_print_take(struct clm_json *root);

#endif
