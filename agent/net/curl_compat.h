/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl_compat - what libcurl from 7.61 (RHEL 8) on lacks or does differently
 *
 * CLM_CURL_NUM can be set to an older version when compiling, so that the other branches are built
 * and tested with a newer library, too: -DCLM_CURL_NUM=0x073d01 -DCURL_DISABLE_DEPRECATION.
 */
#ifndef CLM_NET_CURL_COMPAT_H
#define CLM_NET_CURL_COMPAT_H

#include <curl/curl.h>

#ifndef CLM_CURL_NUM
#    define CLM_CURL_NUM LIBCURL_VERSION_NUM
#endif

/*
 * clm_curl_set_ca() - sole trust anchors, as PEM text
 *
 * In      fd  *fd is -1, or what an earlier call left there and the caller closed. Before 7.77 the
 *             text lies in an unnamed file that has to be open until the transfer is over; the
 *             caller closes it with clm_fs_close_p()
 */
CURLcode clm_curl_set_ca(CURL *easy, const char *pem, int *fd);

#endif
