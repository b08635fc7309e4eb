/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ipc/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/ipc/frame.h"
#include "agent/ipc/guard.h"

#define STOP_PIECE_MS 100

struct clm_link {
    int fd;
    pid_t child; /* 0: none */
    int silence_ms;
    bool broken;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": cannot be connected again */
    struct clm_link_handlers handlers;
    bool (*is_told_to_stop)(void *arg);
    void *stop_arg;
};

enum clm_code clm_link_from_fd_take(int fd, struct clm_link **out, struct clm_err *err)
{
    struct clm_link *link = calloc(1, sizeof(*link));

    if (link == NULL) {
        (void)close(fd);
        return clm_err_set(err, CLM_E_NOMEM, "connection to the host half");
    }
    link->fd = fd;
    link->silence_ms = CLM_LINK_SILENCE_MS;
    *out = link;
    return CLM_OK;
}

static enum clm_code dial(const char *socket_path, int *out_fd, struct clm_err *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strlen(socket_path);

    if (len == 0 || len >= sizeof(addr.sun_path)) {
        return clm_err_set(err, CLM_E_LIMIT, "socket path '%s' is longer than %zu bytes",
                           socket_path, sizeof(addr.sun_path) - 1);
    }
    memcpy(addr.sun_path, socket_path, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return clm_err_sys(err, errno, "socket for '%s'", socket_path);
    }
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int sys = errno;

        (void)close(fd);
        if (sys == ECONNREFUSED) {
            return clm_err_set(err, CLM_E_NET, "nobody listens on '%s'", socket_path);
        }
        return clm_err_sys(err, sys, "connect to '%s'", socket_path);
    }
    *out_fd = fd;
    return CLM_OK;
}

enum clm_code clm_link_connect(const char *socket_path, struct clm_link **out, struct clm_err *err)
{
    int fd = -1;
    enum clm_code code = dial(socket_path, &fd, err);

    if (code == CLM_OK) {
        code = clm_link_from_fd_take(fd, out, err);
    }
    if (code == CLM_OK) {
        memcpy((*out)->path, socket_path, strlen(socket_path) + 1);
    }
    return code;
}

void clm_link_rest(struct clm_link *link)
{
    if (link->path[0] != '\0' && link->fd >= 0) {
        (void)close(link->fd);
        link->fd = -1;
        link->broken = false;
    }
}

/* The connection is closed already, so the child ends by itself; a stuck one is not waited for. */
static void wait_for_child(pid_t pid)
{
    int64_t deadline_ms = clm_clock_mono_ms() + CLM_FRAME_TIMEOUT_MS;

    for (;;) {
        pid_t got = waitpid(pid, NULL, WNOHANG);

        if (got == pid || (got < 0 && errno != EINTR) || clm_clock_mono_ms() > deadline_ms) {
            return;
        }
        clm_clock_sleep_ms(5);
    }
}

void clm_link_free(struct clm_link *link)
{
    if (link == NULL) {
        return;
    }
    if (link->fd >= 0) {
        (void)close(link->fd);
    }
    if (link->child > 0) {
        wait_for_child(link->child);
    }
    free(link);
}

void clm_link_set_child(struct clm_link *link, pid_t pid)
{
    link->child = pid;
}

void clm_link_set_handlers(struct clm_link *link, const struct clm_link_handlers *handlers)
{
    link->handlers = handlers == NULL ? (struct clm_link_handlers){0} : *handlers;
}

void clm_link_set_silence(struct clm_link *link, int silence_ms)
{
    link->silence_ms = silence_ms;
}

void clm_link_set_stop(struct clm_link *link, bool (*is_told)(void *arg), void *arg)
{
    link->is_told_to_stop = is_told;
    link->stop_arg = arg;
}

static enum clm_code parse_object(const struct clm_buf *text, struct clm_json **out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;

    enum clm_code code =
        clm_json_parse(clm_buf_str(text), text->len, CLM_FRAME_JOINED_MAX, &root, err);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_json_kind(root) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "a body that is no JSON object");
    }
    *out = CLM_STEAL(root);
    return CLM_OK;
}

static enum clm_code answer_call(struct clm_link *link, const struct clm_json *call,
                                 struct clm_err *err)
{
    struct clm_endpoint endpoint = {0};
    struct clm_observation seen = {.result = CLM_PROBE_TLS_FAILED};
    const struct clm_json *probe = NULL;

    enum clm_code code = clm_json_object(call, "probe", &probe, err);
    if (code == CLM_OK) {
        code = clm_endpoint_from_json(probe, &endpoint, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (link->handlers.on_probe == NULL) {
        static const char none[] = "no handshakes are made here";

        memcpy(seen.detail, none, sizeof(none));
        seen.at_ms = clm_clock_now_ms();
    } else {
        link->handlers.on_probe(link->handlers.arg, &endpoint, &seen);
    }
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = clm_json_new_object();
    clm_observation_to_json(&seen, answer);
    return clm_frame_send_json(link->fd, CLM_FRAME_ANSWER, CLM_OP_NONE, answer, err);
}

struct incoming {
    struct clm_buf joined; /* pieces of the reply so far */
    bool in_parts;
    bool is_over;
    struct clm_json *reply;
    struct clm_fail fail;
};

static enum clm_code take_reply(struct incoming *in, const struct clm_buf *body,
                                struct clm_err *err)
{
    enum clm_code code = clm_buf_add(&in->joined, body->data, body->len, err);
    if (code == CLM_OK) {
        code = clm_guard_text(in->joined.data, in->joined.len, err);
    }
    if (code == CLM_OK) {
        code = parse_object(&in->joined, &in->reply, err);
    }
    in->is_over = true;
    return code;
}

static enum clm_code take_fail(struct incoming *in, const struct clm_buf *body, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;

    enum clm_code code = parse_object(body, &obj, err);
    if (code == CLM_OK) {
        code = clm_fail_from_json(obj, &in->fail, err);
    }
    in->is_over = true;
    return code;
}

static enum clm_code take_side(struct clm_link *link, enum clm_frame_kind kind,
                               const struct clm_buf *body, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;

    enum clm_code code = clm_guard_text(body->data, body->len, err);
    if (code == CLM_OK) {
        code = parse_object(body, &obj, err);
    }
    if (code != CLM_OK) {
        return code;
    }
    if (kind == CLM_FRAME_CALL) {
        return answer_call(link, obj, err);
    }
    if (link->handlers.on_event != NULL) {
        link->handlers.on_event(link->handlers.arg, obj);
    }
    return CLM_OK;
}

/* One frame of the host half. Within a reply in parts nothing else may come. */
static enum clm_code take_frame(struct clm_link *link, enum clm_frame_kind kind,
                                const struct clm_buf *body, struct incoming *in,
                                struct clm_err *err)
{
    if (in->in_parts && kind != CLM_FRAME_PART && kind != CLM_FRAME_REPLY &&
        kind != CLM_FRAME_END) {
        return clm_err_set(err, CLM_E_PARSE, "%s frame in the middle of a reply in parts",
                           clm_frame_kind_name(kind));
    }
    switch (kind) {
    case CLM_FRAME_EVENT:
    case CLM_FRAME_CALL:
        return take_side(link, kind, body, err);
    case CLM_FRAME_PART:
        in->in_parts = true;
        return clm_buf_add(&in->joined, body->data, body->len, err);
    case CLM_FRAME_REPLY:
        return take_reply(in, body, err);
    case CLM_FRAME_FAIL:
        return take_fail(in, body, err);
    case CLM_FRAME_END:
        return clm_err_set(err, CLM_E_NET, "the host half ended without a reply");
    case CLM_FRAME_REQUEST:
    case CLM_FRAME_ANSWER:
    case CLM_FRAME__COUNT:
        break;
    }
    return clm_err_set(err, CLM_E_PARSE, "%s frame from the host half", clm_frame_kind_name(kind));
}

static enum clm_code send_request(struct clm_link *link, enum clm_op op,
                                  const struct clm_json *body, struct clm_err *err)
{
    static const char none[] = "{}";
    struct clm_frame_head head = {
        .body_len = sizeof(none) - 1, .kind = CLM_FRAME_REQUEST, .op = op};

    if (body == NULL) {
        return clm_frame_send(link->fd, &head, none, CLM_FRAME_TIMEOUT_MS, err);
    }
    return clm_frame_send_json(link->fd, CLM_FRAME_REQUEST, op, body, err);
}

/* Takes what it waited off io_silence_ms; ends early as soon as something has come. */
static enum clm_code await_first_word(const struct clm_link *link, int *io_silence_ms,
                                      struct clm_err *err)
{
    int64_t deadline_ms = clm_clock_mono_ms() + *io_silence_ms;
    int64_t stop_ms = INT64_MAX;

    while (link->is_told_to_stop != NULL) {
        struct pollfd p = {.fd = link->fd, .events = POLLIN};
        int left_ms = (int)clm_clock_left_ms(deadline_ms);

        *io_silence_ms = left_ms;
        if (poll(&p, 1, left_ms < STOP_PIECE_MS ? left_ms : STOP_PIECE_MS) != 0 || left_ms == 0) {
            break;
        }
        if (stop_ms == INT64_MAX && link->is_told_to_stop(link->stop_arg)) {
            stop_ms = clm_clock_mono_ms() + CLM_LINK_STOP_MS;
        }
        if (clm_clock_left_ms(stop_ms) == 0) {
            return clm_err_set(err, CLM_E_CANCELLED,
                               "told to stop, and the host half does not answer");
        }
    }
    return CLM_OK;
}

static enum clm_code converse(struct clm_link *link, enum clm_op op, const struct clm_json *body,
                              struct incoming *in, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head;
    int silence_ms = link->silence_ms;

    enum clm_code code = send_request(link, op, body, err);
    if (code == CLM_OK) {
        code = await_first_word(link, &silence_ms, err);
    }
    while (code == CLM_OK && !in->is_over) {
        code = clm_frame_recv(link->fd, silence_ms, CLM_FRAME_TIMEOUT_MS, &head, &text, err);
        silence_ms = link->silence_ms;
        if (code == CLM_OK) {
            code = take_frame(link, head.kind, &text, in, err);
        }
    }
    return code;
}

enum clm_code clm_link_call(struct clm_link *link, enum clm_op op, const struct clm_json *body,
                            struct clm_json **out_reply, struct clm_fail *out_fail,
                            struct clm_err *err)
{
    struct incoming in = {.joined = CLM_BUF_INIT(CLM_FRAME_JOINED_MAX)};

    if (out_fail != NULL) {
        *out_fail = (struct clm_fail){.code = CLM_OK};
    }
    if (link->broken) {
        return clm_err_set(err, CLM_E_NET, "%s: the connection to the host half is broken",
                           clm_op_name(op));
    }
    enum clm_code code = link->fd >= 0 ? CLM_OK : dial(link->path, &link->fd, err);
    if (code == CLM_OK) {
        code = converse(link, op, body, &in, err);
    }
    clm_buf_done(&in.joined);
    if (code != CLM_OK) {
        link->broken = true;
        clm_json_free(in.reply);
        return clm_err_wrap(err, code, "%s", clm_op_name(op));
    }
    if (in.fail.code != CLM_OK) {
        if (out_fail != NULL) {
            *out_fail = in.fail;
        }
        return clm_err_set(err, in.fail.code, "%s", in.fail.message);
    }
    if (out_reply != NULL) {
        *out_reply = in.reply;
    } else {
        clm_json_free(in.reply);
    }
    return CLM_OK;
}
