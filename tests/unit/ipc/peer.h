/* SPDX-License-Identifier: Apache-2.0 */
/* peer - the raw other end of a socket: sends and reads frames without any of the checks */
#ifndef CLM_TESTS_IPC_PEER_H
#define CLM_TESTS_IPC_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/ipc/frame.h"

static inline void put(int fd, unsigned kind, unsigned op, const char *body)
{
    size_t len = strlen(body);
    uint8_t head[CLM_FRAME_HEAD_SIZE] = {(uint8_t)(len & 0xff),
                                         (uint8_t)(len >> 8 & 0xff),
                                         (uint8_t)(len >> 16 & 0xff),
                                         0,
                                         (uint8_t)kind,
                                         (uint8_t)op};

    assert_int_equal(send(fd, head, sizeof(head), MSG_NOSIGNAL), (ssize_t)sizeof(head));
    assert_int_equal(send(fd, body, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads one frame; the text is cut to size. Returns its kind, 0 at the end. */
static inline unsigned get(int fd, char *text, size_t size)
{
    struct clm_buf body = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head = {0};

    if (clm_frame_recv(fd, 5000, 5000, &head, &body, NULL) != CLM_OK) {
        head.kind = CLM_FRAME_END;
    }
    size_t len = body.len < size - 1 ? body.len : size - 1;
    if (len > 0) {
        memcpy(text, body.data, len);
    }
    text[len] = '\0';
    clm_buf_done(&body);
    return head.kind;
}

#endif
