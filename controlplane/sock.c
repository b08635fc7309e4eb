/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* SOCK_NONBLOCK, SOCK_CLOEXEC */
#include "controlplane/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/str.h"

#define BACKLOG 511

union any_addr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum clm_code parse(const char *address, union any_addr *out, socklen_t *out_len,
                           struct clm_err *err)
{
    char host[64];
    int64_t port = 0;
    const char *colon = strrchr(address, ':');
    bool is_v6 = address[0] == '[';
    size_t skip = is_v6 ? 1 : 0;

    *out = (union any_addr){.v6 = {0}};
    if (colon == NULL || colon < address + 2 * skip || (is_v6 && colon[-1] != ']') ||
        (size_t)(colon - address) >= sizeof(host) ||
        clm_str_to_int(colon + 1, 0, UINT16_MAX, &port, NULL) != CLM_OK) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not ADDRESS:PORT or [ADDRESS]:PORT", address);
    }
    size_t len = (size_t)(colon - address) - 2 * skip;

    memcpy(host, address + skip, len);
    host[len] = '\0';
    if (is_v6 && inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        *out_len = sizeof(out->v6);
        return CLM_OK;
    }
    if (!is_v6 && inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        *out_len = sizeof(out->v4);
        return CLM_OK;
    }
    return clm_err_set(err, CLM_E_INVAL, "'%s' is not a numeric address", host);
}

static enum clm_code listen_on(int fd, const union any_addr *addr, socklen_t len,
                               const char *address, struct clm_err *err)
{
    int on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (addr->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, &addr->any, len) != 0 || listen(fd, BACKLOG) != 0) {
        return clm_err_sys(err, errno, "listen on '%s'", address);
    }
    return CLM_OK;
}

enum clm_code clm_cp_sock_listen(const char *address, int *out_fd, char *bound, size_t size,
                                 struct clm_err *err)
{
    union any_addr addr;
    socklen_t len = 0;
    enum clm_code code = parse(address, &addr, &len, err);

    if (code != CLM_OK) {
        return code;
    }
    int fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return clm_err_sys(err, errno, "socket");
    }
    code = listen_on(fd, &addr, len, address, err);
    if (code == CLM_OK && getsockname(fd, &addr.any, &len) != 0) {
        code = clm_err_sys(err, errno, "port of '%s'", address);
    }
    if (code == CLM_OK) {
        char host[64];
        bool is_v6 = addr.any.sa_family == AF_INET6;

        clm_cp_sock_text(&addr.any, host, sizeof(host));
        code = clm_str_fmt(bound, size, err, is_v6 ? "[%s]:%u" : "%s:%u", host,
                           (unsigned)ntohs(is_v6 ? addr.v6.sin6_port : addr.v4.sin_port));
    }
    if (code != CLM_OK) {
        (void)close(fd);
        return code;
    }
    *out_fd = fd;
    return CLM_OK;
}

bool clm_cp_sock_is_loopback(const char *address)
{
    union any_addr addr;
    socklen_t len = 0;

    if (parse(address, &addr, &len, NULL) != CLM_OK) {
        return false;
    }
    if (addr.any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&addr.v6.sin6_addr);
    }
    return ntohl(addr.v4.sin_addr.s_addr) >> 24 == 127;
}

void clm_cp_sock_text(const struct sockaddr *addr, char *dst, size_t size)
{
    union any_addr copy;

    dst[0] = '\0';
    if (addr->sa_family == AF_INET) {
        memcpy(&copy.v4, addr, sizeof(copy.v4));
        (void)inet_ntop(AF_INET, &copy.v4.sin_addr, dst, (socklen_t)size);
    } else if (addr->sa_family == AF_INET6) {
        memcpy(&copy.v6, addr, sizeof(copy.v6));
        (void)inet_ntop(AF_INET6, &copy.v6.sin6_addr, dst, (socklen_t)size);
    }
}
