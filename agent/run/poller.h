/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller - the long poll in a child process
 *
 * libcurl blocks while the control plane holds a poll. The child does that and nothing else, with
 * one connection kept open; the main process holds no TLS session and waits for the child like for
 * everything else. It is forked, not executed, so both share what the loader made.
 *
 * Measured on Debian 12 (smaps_rollup, Pss, libcurl with OpenSSL): one process with curl_multi 8.9
 * MiB, of which 1.9 are its own; main and child as here 9.3 MiB; both after clm_rest(), which comes
 * once a poll is held, 3.6 MiB, of which 1.0 are their own.
 */
#ifndef CLM_RUN_POLLER_H
#define CLM_RUN_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "config/config.h"

struct clm_poller {
    pid_t pid; /* 0: not running */
    int fd;    /* to wait for an answer; -1 */
    bool is_busy;
};

/* An answer. Zero-initialise it. */
struct clm_poll_outcome {
    enum clm_code code; /* as clm_api_call() */
    int status;         /* HTTP; 0 no answer of the control plane */
    char message[CLM_ERR_MSG_MAX];
    char problem[48];
    uint32_t retry_after_s;
    bool has_next_poll;
    uint32_t next_poll_s;
    int64_t date_s;
    struct clm_json *body; /* {"body": the answer}; NULL with 204 */
};
void clm_poll_outcome_done(struct clm_poll_outcome *outcome); /* for CLM_CLEANUP */

/* Forks the child, which loads the identity itself. Errors: IO. */
CLM_MUST_USE enum clm_code clm_poller_start(const struct clm_config *config, const char *boot_id,
                                            struct clm_poller *out, struct clm_err *err);
/* Sends one poll; the answer comes when fd is readable. body is borrowed. Errors: NET, IO: the child
 * is gone; stop and start again. */
CLM_MUST_USE enum clm_code clm_poller_ask(struct clm_poller *poller, const struct clm_json *body,
                                          uint32_t wait_s, struct clm_err *err);
/* Takes the answer. Errors: NET, PARSE: the child is gone or mad; stop and start again. */
CLM_MUST_USE enum clm_code clm_poller_take(struct clm_poller *poller, struct clm_poll_outcome *out,
                                           struct clm_err *err);
/* Ends the child and waits for it. */
void clm_poller_stop(struct clm_poller *poller);

#endif
