/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive - one libcurl transfer from start to end, waking only when there is something to do
 *
 * curl_easy_perform() wakes every second. A poll that the control plane holds for a minute would
 * cost sixty wake-ups for nothing. For this folder only.
 */
#ifndef CLM_NET_DRIVE_H
#define CLM_NET_DRIVE_H

#include "agent/net/curl_compat.h"

#define CLM_DRIVE_IDLE_MS 250 /* silence after which a transfer is taken to wait for long */

/*
 * clm_drive() - as curl_easy_perform()
 *
 * In      multi    keeps the connections; easy belongs to no other
 *         on_idle  called once when nothing has come for CLM_DRIVE_IDLE_MS; may be NULL
 * Blocks  until the transfer is over: easy must have a timeout
 */
CURLcode clm_drive(CURLM *multi, CURL *easy, void (*on_idle)(void));

#endif
