/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/run/backoff.h"

#define SHIFT_MAX       9u     /* 1 s * 2^9 is beyond the cap */
#define NEXT_POLL_MAX_S 86400u /* protocol.md 7.6 rule 7 */
#define JITTER_SPAN_S   600u   /* Retry-After gets up to half of this on top */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint32_t clm_backoff_ok(struct clm_backoff *b, int64_t now_ms, uint32_t next_poll_s,
                        clm_random_fn random)
{
    uint32_t wait_ms = min_u32(next_poll_s, NEXT_POLL_MAX_S) * 1000u;
    uint32_t span_ms = wait_ms / 5u; /* 20 % */

    if (b->ok_since_ms == 0) {
        b->ok_since_ms = now_ms;
    }
    if (now_ms - b->ok_since_ms > CLM_BACKOFF_STABLE_MS) {
        b->failures = 0;
    }
    b->was_connected = true;
    if (wait_ms == 0) {
        return 0;
    }
    return wait_ms - span_ms + random(2u * span_ms + 1u);
}

uint32_t clm_backoff_failed(struct clm_backoff *b, uint32_t retry_after_s, uint32_t spread_s,
                            clm_random_fn random)
{
    uint32_t wait_ms = 0;
    uint32_t top_ms = CLM_BACKOFF_BASE_MS << min_u32(b->failures, SHIFT_MAX);

    b->ok_since_ms = 0;
    if (b->was_connected) {
        b->was_connected = false;
        spread_s = max_u32(spread_s, CLM_BACKOFF_SPREAD_MIN_S);
        wait_ms = random(min_u32(spread_s, CLM_BACKOFF_SPREAD_MAX_S) * 1000u);
    }
    top_ms = min_u32(top_ms, CLM_BACKOFF_CAP_MS);
    if (b->failures <= SHIFT_MAX) {
        b->failures++;
    }
    wait_ms += random(top_ms);
    if (retry_after_s > 0) {
        uint32_t floor_ms = min_u32(retry_after_s, CLM_BACKOFF_RETRY_AFTER_S) * 1000u;

        floor_ms += random(min_u32(retry_after_s, JITTER_SPAN_S) * 500u);
        wait_ms = max_u32(wait_ms, floor_ms);
    }
    return wait_ms;
}
