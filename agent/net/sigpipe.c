/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/sigpipe.h"

#include <stddef.h>
#include <time.h>

static bool is_pending(void)
{
    sigset_t set;

    (void)sigpending(&set); /* fails for a bad pointer only */
    return sigismember(&set, SIGPIPE) == 1;
}

void clm_sigpipe_hold(struct clm_sigpipe *hold)
{
    sigset_t pipe;

    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    hold->was_pending = is_pending();
    (void)pthread_sigmask(SIG_BLOCK, &pipe, &hold->mask);
}

void clm_sigpipe_release(const struct clm_sigpipe *hold)
{
    static const struct timespec at_once = {0};
    sigset_t pipe;

    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    if (!hold->was_pending && is_pending()) {
        (void)sigtimedwait(&pipe, NULL, &at_once);
    }
    (void)pthread_sigmask(SIG_SETMASK, &hold->mask, NULL);
}
