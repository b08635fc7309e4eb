/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selfcheck - does the web server answer with the file that proves control of a name?
 *
 * Asked on this host before the CA is told to look. Each way to fail has its own message that says
 * what to do by hand.
 */
#ifndef CLM_RUN_SELFCHECK_H
#define CLM_RUN_SELFCHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/run/api.h"

struct clm_selfcheck {
    const char *addr; /* numeric, to connect to */
    uint16_t port;
    const char *host; /* for the Host header */
    const char *path;
    const char *content; /* expected; white space at the end does not count */
    const char *file;    /* where it was written, for the messages */
};

struct clm_selfcheck_result {
    bool ok;
    bool may_retry; /* a server that restarts right now may answer in a second */
    int status;     /* HTTP, 0: none */
    char via[128];  /* "http://127.0.0.1:80" */
    char message[512];
    char hint[512];
};

/* Never fails: what went wrong is the result. */
void clm_selfcheck(clm_http_fn http, void *http_ctx, const struct clm_selfcheck *check,
                   struct clm_selfcheck_result *out);

#endif
