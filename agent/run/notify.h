/* SPDX-License-Identifier: Apache-2.0 */
/* notify - tells systemd how the service does; sd_notify(3) by hand, a few lines */
#ifndef CLM_RUN_NOTIFY_H
#define CLM_RUN_NOTIFY_H

#include <stdint.h>

/* Sends state ("READY=1\nSTATUS=...") to NOTIFY_SOCKET; nothing happens without one. */
void clm_notify(const char *state);
/* Milliseconds between two WATCHDOG=1, half of WATCHDOG_USEC; 0: not wanted of this process. */
int64_t clm_notify_watchdog_ms(void);

#endif
