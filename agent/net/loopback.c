/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"

#define WISH_SIZE  16
#define REPLY_SIZE 256 /* "ok", or why not */

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

/* ---- asking ---- */

/* The descriptor that came with a message, -1 if none did. */
static int fd_of(struct msghdr *message)
{
    const struct cmsghdr *head = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (head != NULL && head->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    }
    return fd;
}

static enum clm_code wait_for(int fd, short events, int timeout_ms, struct clm_err *err)
{
    struct pollfd p = {.fd = fd, .events = events};
    int r;

    do {
        r = poll(&p, 1, timeout_ms);
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        return clm_err_sys(err, errno, "wait for a socket");
    }
    return r > 0 ? CLM_OK : clm_err_set(err, CLM_E_TIMEOUT, "no answer in %d ms", timeout_ms);
}

enum clm_code clm_loopback_ask(int conn, const char *wish, int *out_fd, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    union control control = {.bytes = ""};
    char text[REPLY_SIZE] = "";
    struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             /* padding has room for a second one, which nobody would close */
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    enum clm_code code = CLM_OK;

    if (send(conn, wish, strlen(wish), MSG_NOSIGNAL) != (ssize_t)strlen(wish) ||
        shutdown(conn, SHUT_WR) != 0) {
        return clm_err_sys(err, errno, "ask for a socket of this host's network");
    }
    code = wait_for(conn, POLLIN, CLM_LOOPBACK_WAIT_MS, err);
    if (code == CLM_OK && recvmsg(conn, &message, MSG_CMSG_CLOEXEC) < 0) {
        code = clm_err_sys(err, errno, "ask for a socket of this host's network");
    }
    if (code != CLM_OK) {
        return code;
    }
    fd = fd_of(&message);
    const bool is_ok = strcmp(text, "ok") == 0;
    if (fd < 0 || !is_ok) {
        const bool is_reason = !is_ok && text[0] != '\0' && clm_str_is_printable(text);
        return clm_err_set(err, CLM_E_NET, "%s", is_reason ? text : "no socket came");
    }
    *out_fd = clm_fs_steal(&fd);
    return CLM_OK;
}

static enum clm_code ask(const char *wish, int *out_fd, struct clm_err *err)
{
    const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = CLM_LOOPBACK_SOCKET};
    CLM_CLEANUP(clm_fs_close_p) int conn = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (conn < 0) {
        return clm_err_sys(err, errno, "socket");
    }
    if (connect(conn, (const struct sockaddr *)&at, sizeof(at)) != 0) {
        return clm_err_sys(err, errno, "connect to '%s' (clmbot-loopback.socket)",
                           CLM_LOOPBACK_SOCKET);
    }
    return clm_loopback_ask(conn, wish, out_fd, err);
}

enum clm_code clm_loopback_tcp(int family, int *out_fd, struct clm_err *err)
{
    return ask(family == AF_INET6 ? "tcp6" : "tcp4", out_fd, err);
}

enum clm_code clm_loopback_diag(int *out_fd, struct clm_err *err)
{
    return ask("diag", out_fd, err);
}

/* ---- answering ---- */

/* From an address of loopback the kernel lets nothing leave this host. */
static enum clm_code make_tcp(int family, int *out_fd, struct clm_err *err)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool is_v4 = family == AF_INET;
    CLM_CLEANUP(clm_fs_close_p) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return clm_err_sys(err, errno, "socket");
    }
    if (bind(fd, is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6,
             is_v4 ? sizeof(v4) : sizeof(v6)) != 0) {
        return clm_err_sys(err, errno, "bind to loopback");
    }
    *out_fd = clm_fs_steal(&fd);
    return CLM_OK;
}

static enum clm_code make(const char *wish, int *out_fd, struct clm_err *err)
{
    if (strcmp(wish, "tcp4") == 0 || strcmp(wish, "tcp6") == 0) {
        return make_tcp(wish[3] == '4' ? AF_INET : AF_INET6, out_fd, err);
    }
    if (strcmp(wish, "diag") != 0) {
        return clm_err_set(err, CLM_E_INVAL, "wishes are 'tcp4', 'tcp6' and 'diag'");
    }
    *out_fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    return *out_fd < 0 ? clm_err_sys(err, errno, "socket for sock_diag(7)") : CLM_OK;
}

/* Until the asker has nothing more to say. */
static enum clm_code read_wish(int conn, char *dst, size_t size, struct clm_err *err)
{
    size_t len = 0;

    for (;;) {
        enum clm_code code = wait_for(conn, POLLIN, CLM_LOOPBACK_WAIT_MS, err);
        ssize_t n;

        if (code != CLM_OK) {
            return code;
        }
        n = recv(conn, dst + len, size - len, 0);
        if (n < 0) {
            return clm_err_sys(err, errno, "read a wish");
        }
        if (n == 0) {
            dst[len] = '\0';
            return strlen(dst) == len ? CLM_OK : clm_err_set(err, CLM_E_INVAL, "no text");
        }
        len += (size_t)n;
        if (len == size) {
            return clm_err_set(err, CLM_E_LIMIT, "a wish is shorter");
        }
    }
}

static enum clm_code answer(int conn, const char *text, int fd, struct clm_err *err)
{
    union control control = {.bytes = ""};
    char copy[REPLY_SIZE];
    struct iovec part = {.iov_base = copy, .iov_len = 0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    (void)snprintf(copy, sizeof(copy), "%s", text);
    part.iov_len = strlen(copy);
    if (fd >= 0) {
        struct cmsghdr *head = &control.align;

        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    }
    return sendmsg(conn, &message, MSG_NOSIGNAL) >= 0
               ? CLM_OK
               : clm_err_sys(err, errno, "hand a socket over");
}

enum clm_code clm_loopback_serve(int conn, struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int fd = -1;
    struct clm_err why = {.code = CLM_OK};
    char wish[WISH_SIZE];
    enum clm_code code = read_wish(conn, wish, sizeof(wish), &why);

    if (code == CLM_OK) {
        code = make(wish, &fd, &why);
    }
    if (code == CLM_OK) {
        return answer(conn, "ok", fd, err);
    }
    clm_ignore(answer(conn, why.msg, -1, NULL));
    return clm_err_set(err, code, "%s", why.msg);
}
