/* SPDX-License-Identifier: Apache-2.0 */
/* limits - token buckets per agent, source address and join token, in a table of fixed size */
#ifndef CLM_CONTROLPLANE_LIMITS_H
#define CLM_CONTROLPLANE_LIMITS_H

#include <stdint.h>

#include "agent/base/err.h"

#define CLM_CP_BUCKETS 8192 /* power of two; 64 bytes each */

struct clm_cp_limits;

CLM_MUST_USE enum clm_code clm_cp_limits_new(struct clm_cp_limits **out_limits,
                                             struct clm_err *err);
void clm_cp_limits_free(struct clm_cp_limits *limits);

/*
 * clm_cp_limits_take() - takes one token of the bucket "class/key"
 *
 * In      per_min  tokens that come back each minute; burst: size of the bucket; both > 0
 *         now_ms   clm_clock_mono_ms()
 * Out     0 if there was one, else the seconds until there is one again (at least 1)
 * Effect  Two keys that hash alike share a bucket only if both are in use: a bucket that is full
 *         again is given to the newcomer. Calls from one thread at a time.
 */
uint32_t clm_cp_limits_take(struct clm_cp_limits *limits, const char *name, int64_t per_min,
                            int64_t burst, int64_t now_ms);

#endif
