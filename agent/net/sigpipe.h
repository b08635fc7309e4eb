/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigpipe - keeps a peer that is gone from ending this process
 *
 * OpenSSL writes to sockets with write(2), also when a connection is closed in good order, and we
 * tell libcurl to touch no signals (CURLOPT_NOSIGNAL). Commands need SIGPIPE for their output, so it
 * is held back around libcurl only. For this folder only.
 */
#ifndef CLM_NET_SIGPIPE_H
#define CLM_NET_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct clm_sigpipe {
    sigset_t mask; /* as it was */
    bool was_pending;
};

/* Blocks SIGPIPE in this thread. */
void clm_sigpipe_hold(struct clm_sigpipe *hold);
/* Takes away a SIGPIPE that came meanwhile, and sets the mask as it was. */
void clm_sigpipe_release(const struct clm_sigpipe *hold);

#endif
