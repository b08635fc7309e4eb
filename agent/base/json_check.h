/* SPDX-License-Identifier: Apache-2.0 */
/* json_check - is this text JSON that every reader understands the same way? Used by json.c only. */
#ifndef CLM_BASE_JSON_CHECK_H
#define CLM_BASE_JSON_CHECK_H

#include <stddef.h>

#include "agent/base/err.h"

#define CLM_JSON_MEMBERS_MAX  1000  /* of one object; reliability.md 10 */
#define CLM_JSON_ELEMENTS_MAX 10000 /* of one array: ten times what protocol.md 6.4 allows */

/*
 * clm_json_check() - accepts or refuses; takes time linear in len but for sorting keys
 *
 * In      text    len bytes, no NUL needed behind it
 * Errors  PARSE   "line L column C: why"; columns count bytes, from 1
 *         LIMIT   the same, for nesting beyond CLM_JSON_DEPTH_MAX and the maxima above
 *         NOMEM
 * Source  RFC 8259; RFC 7493 2. Also refused: integers beyond 2^53 - 1 and numbers from 1e308 on.
 */
CLM_MUST_USE enum clm_code clm_json_check(const char *text, size_t len, struct clm_err *err);

#endif
