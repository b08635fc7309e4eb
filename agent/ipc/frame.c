/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ipc/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "agent/base/clock.h"

static const char *const kind_names[CLM_FRAME__COUNT] = {
    [CLM_FRAME_END] = "end",     [CLM_FRAME_REQUEST] = "request", [CLM_FRAME_EVENT] = "event",
    [CLM_FRAME_CALL] = "call",   [CLM_FRAME_ANSWER] = "answer",   [CLM_FRAME_PART] = "part",
    [CLM_FRAME_REPLY] = "reply", [CLM_FRAME_FAIL] = "fail",
};

const char *clm_frame_kind_name(enum clm_frame_kind kind)
{
    if ((unsigned)kind >= CLM_FRAME__COUNT) {
        return "unknown";
    }
    return kind_names[kind];
}

void clm_frame_head_encode(const struct clm_frame_head *head, uint8_t *dst)
{
    dst[0] = (uint8_t)(head->body_len & 0xff);
    dst[1] = (uint8_t)((head->body_len >> 8) & 0xff);
    dst[2] = (uint8_t)((head->body_len >> 16) & 0xff);
    dst[3] = (uint8_t)((head->body_len >> 24) & 0xff);
    dst[4] = (uint8_t)head->kind;
    dst[5] = (uint8_t)head->op;
    dst[6] = 0;
    dst[7] = 0;
}

enum clm_code clm_frame_head_decode(const uint8_t *src, struct clm_frame_head *out,
                                    struct clm_err *err)
{
    uint32_t len = (uint32_t)src[0] | ((uint32_t)src[1] << 8) | ((uint32_t)src[2] << 16) |
                   ((uint32_t)src[3] << 24);
    bool is_request = src[4] == CLM_FRAME_REQUEST;

    if (src[4] == CLM_FRAME_END || src[4] >= CLM_FRAME__COUNT) {
        return clm_err_set(err, CLM_E_PARSE, "frame of unknown kind %u", src[4]);
    }
    if (src[6] != 0 || src[7] != 0) {
        return clm_err_set(err, CLM_E_PARSE, "frame with reserved bytes that are not zero");
    }
    if (is_request && (src[5] == CLM_OP_NONE || src[5] >= CLM_OP__COUNT)) {
        return clm_err_set(err, CLM_E_PARSE, "request for unknown operation %u", src[5]);
    }
    if (!is_request && src[5] != CLM_OP_NONE) {
        return clm_err_set(err, CLM_E_PARSE, "%s frame that names operation %u", kind_names[src[4]],
                           src[5]);
    }
    if (len == 0) {
        return clm_err_set(err, CLM_E_PARSE, "%s frame without a body", kind_names[src[4]]);
    }
    if (len > CLM_FRAME_BODY_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "%s frame of %u bytes; at most %u are allowed",
                           kind_names[src[4]], len, CLM_FRAME_BODY_MAX);
    }
    *out = (struct clm_frame_head){
        .body_len = len, .kind = (enum clm_frame_kind)src[4], .op = (enum clm_op)src[5]};
    return CLM_OK;
}

/* Waits until fd is ready or the deadline (monotonic ms, -1 none) passes. */
static enum clm_code wait_ready(int fd, short events, int64_t deadline_ms, struct clm_err *err)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};

        int n = poll(&p, 1, (int)clm_clock_left_ms(deadline_ms));
        if (n > 0) {
            return CLM_OK;
        }
        if (n == 0) {
            return clm_err_set(err, CLM_E_TIMEOUT, "no %s from the other half in time",
                               events == POLLIN ? "frame" : "reading");
        }
        if (errno != EINTR) {
            return clm_err_sys(err, errno, "wait for the other half");
        }
    }
}

static enum clm_code send_all(int fd, const uint8_t *data, size_t len, int64_t deadline_ms,
                              struct clm_err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = send(fd, data + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (errno == EPIPE || errno == ECONNRESET) {
            return clm_err_set(err, CLM_E_NET, "the other half closed the connection");
        }
        if (errno != EAGAIN && errno != EINTR) {
            return clm_err_sys(err, errno, "send to the other half");
        }
        enum clm_code code = wait_ready(fd, POLLOUT, deadline_ms, err);
        if (code != CLM_OK) {
            return code;
        }
    }
    return CLM_OK;
}

enum clm_code clm_frame_send(int fd, const struct clm_frame_head *head, const void *body,
                             int timeout_ms, struct clm_err *err)
{
    uint8_t bytes[CLM_FRAME_HEAD_SIZE];
    int64_t deadline_ms = clm_clock_mono_ms() + timeout_ms;

    if (head->body_len == 0) {
        return clm_err_set(err, CLM_E_INVAL, "%s frame without a body",
                           clm_frame_kind_name(head->kind));
    }
    if (head->body_len > CLM_FRAME_BODY_MAX) {
        return clm_err_set(err, CLM_E_LIMIT, "%s of %u bytes; one frame holds at most %u",
                           clm_frame_kind_name(head->kind), head->body_len, CLM_FRAME_BODY_MAX);
    }
    clm_frame_head_encode(head, bytes);
    enum clm_code code = send_all(fd, bytes, sizeof(bytes), deadline_ms, err);
    if (code != CLM_OK) {
        return code;
    }
    return send_all(fd, body, head->body_len, deadline_ms, err);
}

/* Reads exactly len bytes. */
static enum clm_code recv_all(int fd, uint8_t *dst, size_t len, int64_t deadline_ms,
                              struct clm_err *err)
{
    size_t done = 0;

    while (done < len) {
        enum clm_code code = wait_ready(fd, POLLIN, deadline_ms, err);
        if (code != CLM_OK) {
            return code;
        }
        ssize_t n = recv(fd, dst + done, len - done, MSG_DONTWAIT);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n == 0 || errno == ECONNRESET) {
            return clm_err_set(err, CLM_E_NET, "the other half closed in the middle of a frame");
        }
        if (errno != EAGAIN && errno != EINTR) {
            return clm_err_sys(err, errno, "receive from the other half");
        }
    }
    return CLM_OK;
}

/* The first byte apart: only before it may the peer close, and only it may take long. */
static enum clm_code recv_first(int fd, int wait_ms, uint8_t *dst, bool *out_end,
                                struct clm_err *err)
{
    int64_t deadline_ms = wait_ms < 0 ? -1 : clm_clock_mono_ms() + wait_ms;

    *out_end = false;
    for (;;) {
        enum clm_code code = wait_ready(fd, POLLIN, deadline_ms, err);
        if (code != CLM_OK) {
            return code;
        }
        ssize_t n = recv(fd, dst, 1, MSG_DONTWAIT);
        if (n == 1) {
            return CLM_OK;
        }
        if (n == 0 || errno == ECONNRESET) {
            *out_end = true;
            return CLM_OK;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return clm_err_sys(err, errno, "receive from the other half");
        }
    }
}

enum clm_code clm_frame_recv(int fd, int wait_ms, int frame_ms, struct clm_frame_head *out,
                             struct clm_buf *body, struct clm_err *err)
{
    uint8_t bytes[CLM_FRAME_HEAD_SIZE];
    struct clm_frame_head head = {.kind = CLM_FRAME_END};
    bool has_ended = false;

    clm_buf_reset(body);
    enum clm_code code = recv_first(fd, wait_ms, bytes, &has_ended, err);
    if (code != CLM_OK) {
        return code;
    }
    if (has_ended) {
        *out = head;
        return CLM_OK;
    }
    int64_t deadline_ms = clm_clock_mono_ms() + frame_ms;
    code = recv_all(fd, bytes + 1, sizeof(bytes) - 1, deadline_ms, err);
    if (code == CLM_OK) {
        code = clm_frame_head_decode(bytes, &head, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_reserve(body, head.body_len, err);
    }
    if (code == CLM_OK) {
        code = recv_all(fd, body->data + body->len, head.body_len, deadline_ms, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    body->len += head.body_len;
    body->data[body->len] = '\0';
    *out = head;
    return CLM_OK;
}

enum clm_code clm_frame_send_json(int fd, enum clm_frame_kind kind, enum clm_op op,
                                  const struct clm_json *body, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head = {.kind = kind, .op = op};

    enum clm_code code = clm_json_print(body, false, &text, err);
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "%s to the other half", clm_frame_kind_name(kind));
    }
    head.body_len = (uint32_t)text.len;
    return clm_frame_send(fd, &head, text.data, CLM_FRAME_TIMEOUT_MS, err);
}
