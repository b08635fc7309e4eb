/* SPDX-License-Identifier: Apache-2.0 */
/* sender - takes messages out of the spool and to the control plane; protocol.md 9.4 */
#ifndef CLM_RUN_SENDER_H
#define CLM_RUN_SENDER_H

#include <stdint.h>

#include "agent/run/api.h"
#include "config/config.h"

#define CLM_SENDER_FAST      10   /* messages sent without a pause ... */
#define CLM_SENDER_PAUSE_MS  3000 /* ... then 20 a minute; protocol.md 11 */
#define CLM_SENDER_BATCH_MAX 200  /* in one go; the rest waits for the next */

/*
 * clm_sender_drain() - sends what is due
 *
 * In      only_job  messages of this job only; NULL: all
 * Effect  Delivered and refused messages leave the spool, and with a result goes the record of its
 *         job. The first message that cannot be sent is put off, with growing waits, and ends it.
 * Errors  those of the first failed request; IO
 */
CLM_MUST_USE enum clm_code clm_sender_drain(const struct clm_config *config, struct clm_api *api,
                                            const char *only_job, struct clm_err *err);

#endif
