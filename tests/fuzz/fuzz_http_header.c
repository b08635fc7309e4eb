/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of a hostile server, line by line. */
#include <string.h>

#include "agent/net/http_header.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct clm_http_response response = {.status = 0};
    const uint8_t *at = data;

    while (len > 0) {
        const uint8_t *end = memchr(at, '\n', len);
        size_t n = end == NULL ? len : (size_t)(end - at) + 1;

        clm_ignore(clm_http_header_line(&response, (const char *)at, n, NULL));
        at += n;
        len -= n;
    }
    MUST(memchr(response.location, '\0', sizeof(response.location)) != NULL);
    return 0;
}
