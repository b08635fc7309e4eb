/* SPDX-License-Identifier: Apache-2.0 */
/* What a taken-over network half sends to the half with the keys. */
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ipc/frame.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf body = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head;
    int ends[2];

    if (len > 65536 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return 0;
    }
    MUST(write(ends[1], data, len) == (ssize_t)len);
    (void)close(ends[1]);
    while (clm_frame_recv(ends[0], 1000, 1000, &head, &body, NULL) == CLM_OK &&
           head.kind != CLM_FRAME_END) {
        MUST(body.len == head.body_len && body.len > 0);
    }
    (void)close(ends[0]);
    return 0;
}
