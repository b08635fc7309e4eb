/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame - the bytes on the socket between the two halves; docs/ipc.md "Frame"
 *
 * Used by link.h (client) and server.h. Knows lengths, kinds and time limits; not what a body means
 * and not which kind may follow which.
 */
#ifndef CLM_IPC_FRAME_H
#define CLM_IPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/ops.h"

#define CLM_FRAME_HEAD_SIZE  8
#define CLM_FRAME_BODY_MAX   65536u   /* bytes; docs/ipc.md */
#define CLM_FRAME_JOINED_MAX 4194304u /* bytes of a reply in parts; docs/ipc.md */
#define CLM_FRAME_TIMEOUT_MS 30000    /* from the first byte of a frame to its last */

enum clm_frame_kind {
    CLM_FRAME_END = 0, /* not on the wire: the peer closed between two frames */
    CLM_FRAME_REQUEST = 1,
    CLM_FRAME_EVENT = 2,
    CLM_FRAME_CALL = 3,
    CLM_FRAME_ANSWER = 4,
    CLM_FRAME_PART = 5,
    CLM_FRAME_REPLY = 6,
    CLM_FRAME_FAIL = 7,
    CLM_FRAME__COUNT
};

struct clm_frame_head {
    uint32_t body_len;
    enum clm_frame_kind kind;
    enum clm_op op; /* CLM_OP_NONE unless kind is REQUEST */
};

/* "request", "event", ...; "end", "unknown". */
const char *clm_frame_kind_name(enum clm_frame_kind kind);

/* dst: CLM_FRAME_HEAD_SIZE bytes. The head must be a legal one. */
void clm_frame_head_encode(const struct clm_frame_head *head, uint8_t *dst);

/*
 * clm_frame_head_decode() - the first eight bytes of a frame, strictly
 *
 * In      src  CLM_FRAME_HEAD_SIZE bytes
 * Errors  LIMIT body too long; PARSE empty body, unknown kind, unknown operation or one where none
 *         may be, bytes 6..7 not zero
 */
CLM_MUST_USE enum clm_code clm_frame_head_decode(const uint8_t *src, struct clm_frame_head *out,
                                                 struct clm_err *err);

/*
 * clm_frame_send() - one whole frame
 *
 * In      fd          stream socket, blocking or not
 *         body        1 to CLM_FRAME_BODY_MAX bytes
 *         timeout_ms  for the whole frame
 * Errors  LIMIT body too long; INVAL no body; TIMEOUT the peer does not read; NET the peer is gone;
 *         IO. After TIMEOUT, NET or IO the stream is of no more use.
 */
CLM_MUST_USE enum clm_code clm_frame_send(int fd, const struct clm_frame_head *head,
                                          const void *body, int timeout_ms, struct clm_err *err);

/*
 * clm_frame_recv() - one whole frame
 *
 * In      wait_ms   for its first byte; -1 waits for ever
 *         frame_ms  from there to the last; normally CLM_FRAME_TIMEOUT_MS
 * Out     out       kind END if the peer closed before the first byte
 *         body      emptied first; its max may be lower than CLM_FRAME_BODY_MAX
 * Errors  as clm_frame_head_decode(); TIMEOUT; NET closed in the middle of a frame; IO
 */
CLM_MUST_USE enum clm_code clm_frame_recv(int fd, int wait_ms, int frame_ms,
                                          struct clm_frame_head *out, struct clm_buf *body,
                                          struct clm_err *err);

/* clm_frame_send() of a tree, printed. Errors: also NOMEM; LIMIT if it does not fit one frame. */
CLM_MUST_USE enum clm_code clm_frame_send_json(int fd, enum clm_frame_kind kind, enum clm_op op,
                                               const struct clm_json *body, struct clm_err *err);

#endif
