/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create */
#include "agent/net/curl_compat.h"

#include <string.h>

#if CLM_CURL_NUM >= 0x074d00

/* NOLINTNEXTLINE(readability-non-const-parameter) the other branch writes fd */
CURLcode clm_curl_set_ca(CURL *easy, const char *pem, int *fd)
{
    struct curl_blob blob = {.len = strlen(pem), .flags = CURL_BLOB_COPY};

    (void)fd;
    memcpy(&blob.data, &pem, sizeof(pem)); /* curl only reads it */
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    return rc == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) : rc;
}

#else

#    include <stdio.h>
#    include <sys/mman.h>

#    include "agent/base/fs.h"

CURLcode clm_curl_set_ca(CURL *easy, const char *pem, int *fd)
{
    char path[32];

    *fd = memfd_create("anchors", MFD_CLOEXEC);
    if (*fd < 0 || clm_fs_write_fd(*fd, "trust anchors", pem, strlen(pem), NULL) != CLM_OK) {
        return CURLE_OUT_OF_MEMORY;
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
    return curl_easy_setopt(easy, CURLOPT_CAINFO, path);
}

#endif
