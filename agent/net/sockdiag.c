/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ATTR_CGROUP_ID 21 /* INET_DIAG_CGROUP_ID, from Linux 5.7 */
/* The kernel's own macros of these names mix signs. */
#define ALIGN_4(n) (((n) + 3u) & ~(size_t)3u)
#define HEAD_LEN   ALIGN_4(sizeof(struct nlmsghdr))
#define ATTR_LEN   ALIGN_4(sizeof(struct nlattr))

#define REPLY_MAX ((size_t)32 * 1024) /* bytes of one datagram; the kernel sends pages */
#define WAIT_S    5

struct request {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

static enum clm_code send_request(int fd, uint8_t family, struct clm_err *err)
{
    const struct timeval wait = {.tv_sec = WAIT_S};
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    const struct request request = {
        .head = {.nlmsg_len = sizeof(request),
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                 .nlmsg_seq = family},
        .body = {.sdiag_family = family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = 1u << TCP_LISTEN},
    };

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    return sendto(fd, &request, sizeof(request), 0, (const struct sockaddr *)&kernel,
                  sizeof(kernel)) == (ssize_t)sizeof(request)
               ? CLM_OK
               : clm_err_sys(err, errno, "ask the kernel for its listening sockets");
}

static uint64_t cgroup_of(const uint8_t *attrs, size_t len)
{
    while (len >= sizeof(struct nlattr)) {
        struct nlattr attr;
        size_t step;

        memcpy(&attr, attrs, sizeof(attr));
        step = ALIGN_4((size_t)attr.nla_len);
        if (attr.nla_len < ATTR_LEN || attr.nla_len > len) {
            return 0;
        }
        if (attr.nla_type == ATTR_CGROUP_ID && attr.nla_len == ATTR_LEN + sizeof(uint64_t)) {
            uint64_t id;

            memcpy(&id, attrs + ATTR_LEN, sizeof(id));
            return id;
        }
        attrs += step < len ? step : len;
        len -= step < len ? step : len;
    }
    return 0;
}

static bool parse_socket(const uint8_t *data, size_t len, struct clm_listening *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct inet_diag_msg body;
    const uint8_t *src = (const uint8_t *)body.id.idiag_src;
    int family;

    if (len < sizeof(body)) {
        return false;
    }
    memcpy(&body, data, sizeof(body));
    family = body.idiag_family;
    if (family == AF_INET6 && memcmp(src, mapped, sizeof(mapped)) == 0) {
        src += sizeof(mapped);
        family = AF_INET;
    }
    *out = (struct clm_listening){
        .port = ntohs(body.id.idiag_sport),
        .inode = body.idiag_inode,
        .cgroup = cgroup_of(data + ALIGN_4(sizeof(body)), len - ALIGN_4(sizeof(body))),
    };
    return inet_ntop(family, src, out->addr, sizeof(out->addr)) != NULL; /* or another family */
}

static enum clm_code read_message(const struct nlmsghdr *head, const uint8_t *data, size_t len,
                                  clm_io_listening_fn visit, void *arg, struct clm_err *err)
{
    struct clm_listening socket;

    if (head->nlmsg_type == NLMSG_ERROR) {
        struct nlmsgerr why = {.error = -EIO};

        if (len >= sizeof(why)) {
            memcpy(&why, data, sizeof(why));
        }
        return why.error == -ENOENT
                   ? clm_err_set(err, CLM_E_UNSUPPORTED,
                                 "the kernel does not list sockets (module tcp_diag)")
                   : clm_err_sys(err, -why.error, "the kernel's list of sockets");
    }
    if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || !parse_socket(data, len, &socket)) {
        return CLM_OK;
    }
    return visit(arg, &socket, err);
}

/* One datagram of several messages. *out_done: it was the last. */
static enum clm_code read_datagram(const uint8_t *data, size_t len, bool *out_done,
                                   clm_io_listening_fn visit, void *arg, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    while (code == CLM_OK && len >= HEAD_LEN) {
        struct nlmsghdr head;
        size_t step;

        memcpy(&head, data, sizeof(head));
        if (head.nlmsg_len < HEAD_LEN || head.nlmsg_len > len) {
            return clm_err_set(err, CLM_E_PARSE, "the kernel's list of sockets is cut off");
        }
        if (head.nlmsg_type == NLMSG_DONE) {
            *out_done = true;
            return CLM_OK;
        }
        code = read_message(&head, data + HEAD_LEN, head.nlmsg_len - HEAD_LEN, visit, arg, err);
        step = ALIGN_4((size_t)head.nlmsg_len);
        data += step < len ? step : len;
        len -= step < len ? step : len;
    }
    return code;
}

static enum clm_code read_family(int fd, uint8_t family, clm_io_listening_fn visit, void *arg,
                                 struct clm_err *err)
{
    enum clm_code code = send_request(fd, family, err);
    bool is_done = false;

    while (code == CLM_OK && !is_done) {
        uint8_t data[REPLY_MAX];
        ssize_t n = recv(fd, data, sizeof(data), 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN ? clm_err_set(err, CLM_E_TIMEOUT, "the kernel lists no sockets")
                                   : clm_err_sys(err, errno, "the kernel's list of sockets");
        }
        code = read_datagram(data, (size_t)n, &is_done, visit, arg, err);
    }
    return code;
}

enum clm_code clm_sockdiag_read(int fd, clm_io_listening_fn visit, void *arg, struct clm_err *err)
{
    enum clm_code code = read_family(fd, AF_INET, visit, arg, err);

    return code == CLM_OK ? read_family(fd, AF_INET6, visit, arg, err) : code;
}
