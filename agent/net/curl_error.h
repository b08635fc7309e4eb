/* SPDX-License-Identifier: Apache-2.0 */
/* curl_error - what a failed transfer means for us, and a sentence about it; private to agent/net */
#ifndef CLM_NET_CURL_ERROR_H
#define CLM_NET_CURL_ERROR_H

#include "agent/base/err.h"
#include "agent/net/curl_compat.h"

struct clm_curl_failure {
    CURLcode curl;
    const char *reason;  /* CURLOPT_ERRORBUFFER, may be empty */
    const char *peer;    /* "host:port" */
    int sys_errno;       /* CURLINFO_OS_ERRNO */
    uint32_t timeout_ms; /* of the whole exchange */
};

/* Sets err. CURLE_OK is not allowed. */
enum clm_code clm_curl_error(const struct clm_curl_failure *failure, struct clm_err *err);

/* An option that was refused: NOMEM for what; else UNSUPPORTED, with the version of libcurl. */
enum clm_code clm_curl_refused(CURLcode rc, const char *what, struct clm_err *err);

/* Copies text to dst and replaces control characters: reasons hold names from certificates. */
void clm_curl_clean(char *dst, size_t size, const char *text);

#endif
