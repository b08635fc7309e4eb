/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* struct ucred, accept4, ppoll */
#include "agent/ipc/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/str.h"
#include "agent/ipc/frame.h"
#include "agent/ipc/guard.h"
#include "agent/ipc/waiting.h"

#define LISTEN_FD 3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */

struct clm_server {
    int fd;
    bool is_listening; /* false: one connected socket, -1 once it was given out */
    struct clm_waiting waiting;
};

struct clm_conn {
    int fd;
    struct clm_err broken; /* why; CLM_OK while it is not */
    struct clm_peer peer;
    int64_t since_ms;
};

static bool socket_option_is(int fd, int option, int wanted)
{
    int value = -1;
    socklen_t len = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static enum clm_code server_new(int fd, bool is_listening, struct clm_server **out,
                                struct clm_err *err)
{
    struct clm_server *server = calloc(1, sizeof(*server));

    if (server == NULL) {
        (void)close(fd);
        return clm_err_set(err, CLM_E_NOMEM, "socket of the host half");
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    server->fd = fd;
    server->is_listening = is_listening;
    *out = server;
    return CLM_OK;
}

enum clm_code clm_server_inherit(struct clm_server **out, struct clm_err *err)
{
    const char *pid_text = getenv("LISTEN_PID");
    const char *fds_text = getenv("LISTEN_FDS");
    int64_t pid = (int64_t)getpid();
    int64_t fds = 0;

    if (pid_text != NULL &&
        (clm_str_to_int(pid_text, 1, INT32_MAX, &pid, NULL) != CLM_OK || pid != getpid())) {
        return clm_err_set(err, CLM_E_INVAL,
                           "LISTEN_PID is not this process; start the host half "
                           "by its socket unit");
    }
    if (fds_text == NULL || clm_str_to_int(fds_text, 1, 1, &fds, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL,
                           "no listening socket was handed over (LISTEN_FDS=1); "
                           "start the host half by its socket unit");
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    if (!socket_option_is(LISTEN_FD, SO_DOMAIN, AF_UNIX) ||
        !socket_option_is(LISTEN_FD, SO_TYPE, SOCK_STREAM) ||
        !socket_option_is(LISTEN_FD, SO_ACCEPTCONN, 1)) {
        return clm_err_set(err, CLM_E_INVAL, "descriptor 3 is no listening UNIX stream socket");
    }
    return server_new(LISTEN_FD, true, out, err);
}

enum clm_code clm_server_from_fd_take(int fd, struct clm_server **out, struct clm_err *err)
{
    if (!socket_option_is(fd, SO_DOMAIN, AF_UNIX) || !socket_option_is(fd, SO_TYPE, SOCK_STREAM) ||
        !socket_option_is(fd, SO_ACCEPTCONN, 0)) {
        (void)close(fd);
        return clm_err_set(err, CLM_E_INVAL, "descriptor %d is no connected UNIX stream socket",
                           fd);
    }
    return server_new(fd, false, out, err);
}

void clm_server_free(struct clm_server *server)
{
    if (server == NULL) {
        return;
    }
    if (server->fd >= 0) {
        (void)close(server->fd);
    }
    clm_waiting_done(&server->waiting);
    free(server);
}

/*
 * As poll(2) of one descriptor. The host half blocks SIGTERM, so that what is under way is finished
 * or undone first; here nothing is under way, and it takes its default effect. ppoll(2) lets no
 * signal through when there is something to read already: a client that never stops asking must
 * not keep this process from ending.
 */
static int wait_readable(int fd, int64_t wait_ms)
{
    const struct timespec time = {.tv_sec = (time_t)(wait_ms / 1000),
                                  .tv_nsec = (long)(wait_ms % 1000) * 1000000};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    sigset_t old;
    sigset_t mask;
    int n;
    int sys;

    (void)sigprocmask(SIG_SETMASK, NULL, &old);
    mask = old;
    (void)sigdelset(&mask, SIGTERM);
    n = ppoll(&p, 1, wait_ms < 0 ? NULL : &time, &mask);
    sys = errno;
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    errno = sys;
    return n;
}

/* *out_fd is -1 if nobody came in time. */
static enum clm_code accept_one(struct clm_server *server, int64_t deadline_ms, int *out_fd,
                                struct clm_err *err)
{
    *out_fd = -1;
    for (;;) {
        int n = wait_readable(server->fd, clm_clock_left_ms(deadline_ms));
        if (n == 0) {
            return CLM_OK;
        }
        if (n < 0 && errno != EINTR) {
            return clm_err_sys(err, errno, "wait for a client");
        }
        if (n < 0) {
            continue;
        }
        *out_fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        if (*out_fd >= 0) {
            return CLM_OK;
        }
        if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
            return clm_err_sys(err, errno, "accept a client");
        }
    }
}

enum clm_code clm_server_accept(struct clm_server *server, int idle_ms, struct clm_conn **out,
                                struct clm_err *err)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int fd = -1;

    *out = NULL;
    if (server->is_listening) {
        int64_t deadline_ms = idle_ms < 0 ? -1 : clm_clock_mono_ms() + idle_ms;
        enum clm_code code = CLM_OK;

        clm_waiting_take(&server->waiting, server->fd);
        fd = clm_waiting_next(&server->waiting);
        if (fd < 0) {
            code = accept_one(server, deadline_ms, &fd, err);
        }
        if (code != CLM_OK || fd < 0) {
            return code;
        }
    } else {
        fd = server->fd;
        server->fd = -1;
        if (fd < 0) {
            return CLM_OK;
        }
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
        int sys = errno;

        (void)close(fd);
        return clm_err_sys(err, sys, "credentials of a client");
    }
    struct clm_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        (void)close(fd);
        return clm_err_set(err, CLM_E_NOMEM, "connection of a client");
    }
    conn->fd = fd;
    conn->peer = (struct clm_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    conn->peer.is_root = cred.uid == 0 || cred.uid == geteuid();
    conn->since_ms = clm_clock_mono_ms();
    *out = conn;
    return CLM_OK;
}

void clm_conn_free(struct clm_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    (void)close(conn->fd);
    free(conn);
}

bool clm_server_turn_is_over(struct clm_server *server, const struct clm_conn *conn)
{
    if (!server->is_listening || conn->peer.is_root ||
        clm_clock_mono_ms() - conn->since_ms < CLM_SERVER_TURN_MS) {
        return false;
    }
    clm_waiting_take(&server->waiting, server->fd);
    return clm_waiting_has_root(&server->waiting);
}

const struct clm_peer *clm_conn_peer(const struct clm_conn *conn)
{
    return &conn->peer;
}

static enum clm_code check_usable(const struct clm_conn *conn, struct clm_err *err)
{
    if (conn->broken.code != CLM_OK) {
        return clm_err_set(err, CLM_E_NET, "the connection to the client is broken: %s",
                           conn->broken.msg);
    }
    return CLM_OK;
}

/* Everything after a failed read or write is out of step: the socket is shut for good. */
static enum clm_code break_off(struct clm_conn *conn, enum clm_code code, const struct clm_err *err)
{
    (void)clm_err_set(&conn->broken, code, "%s", err != NULL ? err->msg : clm_code_name(code));
    (void)shutdown(conn->fd, SHUT_RDWR);
    return code;
}

static enum clm_code parse_object(const struct clm_buf *text, struct clm_json **out,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *root = NULL;

    enum clm_code code =
        clm_json_parse(clm_buf_str(text), text->len, CLM_FRAME_BODY_MAX, &root, err);
    if (code != CLM_OK) {
        return code;
    }
    if (clm_json_kind(root) != CLM_JSON_OBJECT) {
        return clm_err_set(err, CLM_E_PARSE, "a body that is no JSON object");
    }
    *out = CLM_STEAL(root);
    return CLM_OK;
}

/* One frame that must be of this kind; *out_body stays NULL at the end of the connection. */
static enum clm_code receive_kind(struct clm_conn *conn, enum clm_frame_kind kind, int wait_ms,
                                  enum clm_op *out_op, struct clm_json **out_body,
                                  struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head;

    enum clm_code code = clm_frame_recv(conn->fd, wait_ms, CLM_FRAME_TIMEOUT_MS, &head, &text, err);
    if (code != CLM_OK) {
        return code;
    }
    *out_op = head.op;
    if (head.kind == CLM_FRAME_END) {
        return CLM_OK;
    }
    if (head.kind != kind) {
        return clm_err_set(err, CLM_E_PARSE, "%s frame in place of one of kind %s",
                           clm_frame_kind_name(head.kind), clm_frame_kind_name(kind));
    }
    return parse_object(&text, out_body, err);
}

static enum clm_code refuse(struct clm_conn *conn, enum clm_op op, struct clm_err *err)
{
    struct clm_err why = {0};
    struct clm_fail fail;

    (void)clm_err_set(&why, CLM_E_PERM, "operation '%s' is for root only", clm_op_name(op));
    clm_fail_from_err(&fail, "E_POLICY", &why, "run the command as root");
    return clm_conn_fail(conn, &fail, err);
}

enum clm_code clm_conn_receive(struct clm_conn *conn, int wait_ms, enum clm_op *out_op,
                               struct clm_json **out_body, struct clm_err *err)
{
    int64_t deadline_ms = wait_ms < 0 ? -1 : clm_clock_mono_ms() + wait_ms;

    *out_op = CLM_OP_NONE;
    *out_body = NULL;
    enum clm_code code = check_usable(conn, err);
    while (code == CLM_OK) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
        enum clm_op op = CLM_OP_NONE;
        int64_t left = clm_clock_left_ms(deadline_ms);

        (void)wait_readable(conn->fd, left);
        code = receive_kind(conn, CLM_FRAME_REQUEST, (int)left, &op, &body, err);
        if (code != CLM_OK) {
            break;
        }
        if (body == NULL) {
            return CLM_OK;
        }
        if (!clm_op_needs_root(op) || conn->peer.is_root) {
            *out_op = op;
            *out_body = CLM_STEAL(body);
            return CLM_OK;
        }
        code = refuse(conn, op, err);
    }
    return break_off(conn, code, err);
}

/* What cannot even be written was not begun: the connection is as good as before. */
static enum clm_code send_object(struct clm_conn *conn, enum clm_frame_kind kind,
                                 const struct clm_json *object, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_BODY_MAX);
    struct clm_frame_head head = {.kind = kind};

    enum clm_code code = clm_json_print(object, false, &text, err);
    if (code == CLM_OK) {
        code = clm_guard_text(text.data, text.len, err);
    }
    if (code != CLM_OK) {
        return clm_err_wrap(err, code, "%s to the client", clm_frame_kind_name(kind));
    }
    head.body_len = (uint32_t)text.len;
    code = clm_frame_send(conn->fd, &head, text.data, CLM_FRAME_TIMEOUT_MS, err);
    return code == CLM_OK ? CLM_OK : break_off(conn, code, err);
}

enum clm_code clm_conn_event(struct clm_conn *conn, const struct clm_json *event,
                             struct clm_err *err)
{
    enum clm_code code = check_usable(conn, err);

    return code == CLM_OK ? send_object(conn, CLM_FRAME_EVENT, event, err) : code;
}

enum clm_code clm_conn_probe(struct clm_conn *conn, const struct clm_endpoint *endpoint,
                             struct clm_observation *out, struct clm_err *err)
{
    /* A handshake has its own limit in the endpoint; the client may take a little longer. */
    int wait_ms = CLM_FRAME_TIMEOUT_MS + (int)(endpoint->timeout_ms % (1u << 20));
    enum clm_op op = CLM_OP_NONE;

    enum clm_code code = check_usable(conn, err);
    if (code != CLM_OK) {
        return code;
    }
    CLM_CLEANUP(clm_json_free_p) struct clm_json *call = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    clm_endpoint_to_json(endpoint, clm_json_set_object(call, "probe"));
    code = send_object(conn, CLM_FRAME_CALL, call, err);
    if (code != CLM_OK) {
        return code;
    }
    code = receive_kind(conn, CLM_FRAME_ANSWER, wait_ms, &op, &answer, err);
    if (code == CLM_OK && answer == NULL) {
        code = clm_err_set(err, CLM_E_NET, "the client left in place of making a handshake");
    }
    if (code == CLM_OK) {
        code = clm_observation_from_json(answer, out, err);
    }
    return code == CLM_OK ? CLM_OK : break_off(conn, code, err);
}

static enum clm_code send_reply(struct clm_conn *conn, const struct clm_buf *text,
                                struct clm_err *err)
{
    size_t done = 0;

    while (done < text->len) {
        struct clm_frame_head head = {.kind = CLM_FRAME_REPLY};
        size_t piece = text->len - done;

        if (piece > CLM_FRAME_BODY_MAX) {
            piece = CLM_FRAME_BODY_MAX;
            head.kind = CLM_FRAME_PART;
        }
        head.body_len = (uint32_t)piece;
        enum clm_code code =
            clm_frame_send(conn->fd, &head, text->data + done, CLM_FRAME_TIMEOUT_MS, err);
        if (code != CLM_OK) {
            return break_off(conn, code, err);
        }
        done += piece;
    }
    return CLM_OK;
}

enum clm_code clm_conn_reply(struct clm_conn *conn, const struct clm_json *reply,
                             struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(CLM_FRAME_JOINED_MAX);
    struct clm_err why = {0};
    struct clm_fail fail;

    enum clm_code code = check_usable(conn, err);
    if (code != CLM_OK) {
        return code;
    }
    code = clm_json_print(reply, false, &text, &why);
    if (code == CLM_OK) {
        code = clm_guard_text(text.data, text.len, &why);
    }
    if (code == CLM_OK) {
        return send_reply(conn, &text, err);
    }
    clm_fail_from_err(&fail, code == CLM_E_LIMIT ? "E_LIMIT" : "E_INTERNAL", &why, NULL);
    if (clm_conn_fail(conn, &fail, err) != CLM_OK) {
        return err == NULL ? CLM_E_NET : err->code;
    }
    return clm_err_set(err, code, "%s", why.msg);
}

enum clm_code clm_conn_fail(struct clm_conn *conn, const struct clm_fail *fail, struct clm_err *err)
{
    enum clm_code code = check_usable(conn, err);
    if (code != CLM_OK) {
        return code;
    }
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    clm_fail_to_json(fail, obj);
    code = clm_frame_send_json(conn->fd, CLM_FRAME_FAIL, CLM_OP_NONE, obj, err);
    return code == CLM_OK ? CLM_OK : break_off(conn, code, err);
}
