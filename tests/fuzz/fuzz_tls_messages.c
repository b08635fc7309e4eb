/* SPDX-License-Identifier: Apache-2.0 */
/* Handshake messages of a hostile server. */
#include "agent/net/tls_messages.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;

    while (len > 1) { /* one message: its length in a byte, times four */
        size_t n = (size_t)data[0] * 4 < len - 1 ? (size_t)data[0] * 4 : len - 1;

        clm_ignore(clm_tls_message(&seen, data + 1, n, NULL));
        data += n + 1;
        len -= n + 1;
    }
    clm_buf_done(&seen.leaf);
    return 0;
}
