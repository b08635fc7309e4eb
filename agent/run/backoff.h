/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff - how long to wait before the next try; protocol.md 12.1
 *
 * One instance for each class of requests (poll, spool, recovery). Growing with full jitter after
 * failures, spread over the whole fleet after the loss of a connection that worked, and reset only
 * after a minute of success, so that a flapping server does not get the fleet at its fastest.
 */
#ifndef CLM_RUN_BACKOFF_H
#define CLM_RUN_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define CLM_BACKOFF_BASE_MS       1000u   /* protocol.md 12.1 */
#define CLM_BACKOFF_CAP_MS        300000u /* protocol.md 12.1 */
#define CLM_BACKOFF_STABLE_MS     60000   /* protocol.md 12.1 */
#define CLM_BACKOFF_SPREAD_MIN_S  5u      /* reconnect_spread_s is clamped to this range */
#define CLM_BACKOFF_SPREAD_MAX_S  900u
#define CLM_BACKOFF_RETRY_AFTER_S 3600u /* a longer Retry-After is cut to this */

/* Uniform in [0, below); tests lend their own. */
typedef uint32_t (*clm_random_fn)(uint32_t below);

/* Zero-initialise it. */
struct clm_backoff {
    unsigned failures;
    int64_t ok_since_ms; /* 0: the last one failed */
    bool was_connected;
};

/* After a success at now_ms (monotonic): next_poll_s with 20 % of jitter either way. */
uint32_t clm_backoff_ok(struct clm_backoff *b, int64_t now_ms, uint32_t next_poll_s,
                        clm_random_fn random);
/* After a failure: milliseconds to wait. retry_after_s: as the server said, 0 if it did not; a
 * minimum. spread_s: reconnect_spread_s of the last good answer. */
uint32_t clm_backoff_failed(struct clm_backoff *b, uint32_t retry_after_s, uint32_t spread_s,
                            clm_random_fn random);

#endif
