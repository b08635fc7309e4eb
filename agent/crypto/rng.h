/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng - the random generator that keys, signatures and serial numbers are made with
 *
 * CTR_DRBG over AES-256, seeded from getrandom(2). A process that was forked after the seeding
 * reseeds before its first byte, so parent and child never share a stream. One per thread.
 */
#ifndef CLM_CRYPTO_RNG_H
#define CLM_CRYPTO_RNG_H

#include <stddef.h>

#include "agent/base/err.h"

struct clm_rng;

/* Errors: NOMEM; CRYPTO, IO if the kernel gives no seed. */
CLM_MUST_USE enum clm_code clm_rng_new(struct clm_rng **out_rng, struct clm_err *err);
/* Accepts NULL. The state is wiped. */
void clm_rng_free(struct clm_rng *rng);
CLM_DEFINE_CLEANUP(struct clm_rng, clm_rng_free);

/* Fills dst with len bytes of any number. Errors: CRYPTO. */
CLM_MUST_USE enum clm_code clm_rng_fill(struct clm_rng *rng, void *dst, size_t len,
                                        struct clm_err *err);

#endif
