/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/drive.h"

#include <stdbool.h>
#include <stddef.h>

#define WAIT_MAX_MS 60000 /* libcurl knows no sooner deadline: the transfer's own is an hour away */

#if CLM_CURL_NUM >= 0x074200
#    define wait_for(multi, ms, out_n) curl_multi_poll((multi), NULL, 0, (ms), (out_n))
#else /* before 7.66: it does not wait at all while there is no socket yet, so never for long */
#    define OLD_WAIT_MS 1000
#    define wait_for(multi, ms, out_n)                                                             \
        curl_multi_wait((multi), NULL, 0, (ms) < OLD_WAIT_MS ? (ms) : OLD_WAIT_MS, (out_n))
#endif

/* Of the only transfer there is. CURLMSG_DONE is the only message there is. */
static CURLcode result_of(CURLM *multi)
{
    int left;
    const CURLMsg *msg = curl_multi_info_read(multi, &left);

    return msg != NULL ? msg->data.result : CURLE_RECV_ERROR;
}

/* Until something happens. on_idle: NULL once it was called. */
static CURLMcode wait_once(CURLM *multi, void (**on_idle)(void))
{
    long timeout_ms = -1;
    int active = 0;
    CURLMcode rc = curl_multi_timeout(multi, &timeout_ms);
    int wait_ms = timeout_ms < 0 || timeout_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)timeout_ms;

    if (rc != CURLM_OK || *on_idle == NULL || wait_ms <= CLM_DRIVE_IDLE_MS) {
        return rc != CURLM_OK ? rc : wait_for(multi, wait_ms, &active);
    }
    rc = wait_for(multi, CLM_DRIVE_IDLE_MS, &active);
    if (rc == CURLM_OK && active == 0) {
        (*on_idle)();
        *on_idle = NULL;
    }
    return rc;
}

CURLcode clm_drive(CURLM *multi, CURL *easy, void (*on_idle)(void))
{
    int running = 0;
    CURLMcode rc = curl_multi_add_handle(multi, easy);

    if (rc != CURLM_OK) {
        return rc == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT;
    }
    do {
        rc = curl_multi_perform(multi, &running);
        if (rc == CURLM_OK && running > 0) {
            rc = wait_once(multi, &on_idle);
        }
    } while (rc == CURLM_OK && running > 0);
    CURLcode result = rc == CURLM_OK ? result_of(multi) : CURLE_OUT_OF_MEMORY;
    (void)curl_multi_remove_handle(multi, easy);
    return result;
}
