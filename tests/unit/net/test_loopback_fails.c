/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the service in one process: odd answers, and calls that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/net/loopback.h"

#define FDS_MAX 256

/* ---- calls that fail ---- */

static struct {
    const char *call; /* NULL: none */
    int sys_errno;    /* 0: the call does not fail, it does nothing */
    int service;      /* what a connection to the service is; -1: there is none */
} doom = {.service = -1};

static bool is_doomed(const char *call)
{
    if (doom.call == NULL || strcmp(doom.call, call) != 0) {
        return false;
    }
    doom.call = NULL;
    errno = doom.sys_errno;
    return true;
}

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return !is_doomed(#name) ? __real_##name args : doom.sys_errno == 0 ? 0 : -1;              \
    }

WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, bind, (int fd, const struct sockaddr *at, socklen_t len), (fd, at, len))
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int wait_ms), (fds, n, wait_ms))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(ssize_t, send, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags))
WRAP(ssize_t, recv, (int fd, void *data, size_t len, int flags), (fd, data, len, flags))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))

int __wrap_connect(int fd, const struct sockaddr *at, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *at, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)at;

    assert_int_equal(len, sizeof(*un));
    assert_string_equal(un->sun_path, "/run/clmbot-loopback.sock");
    if (doom.service < 0) {
        errno = ECONNREFUSED;
        return -1;
    }
    return dup2(doom.service, fd) < 0 ? -1 : 0;
}

/* ---- the two ends ---- */

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static unsigned count_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < FDS_MAX; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

/* Says text, with the descriptor of standard input so many times. */
static void say(int to, const char *text, size_t fds_n)
{
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = ""};
    char copy[16];
    struct iovec part = {.iov_base = copy, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    (void)snprintf(copy, sizeof(copy), "%s", text);
    if (fds_n > 0) {
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(fds_n * sizeof(int));
        message.msg_control = control.bytes;
        message.msg_controllen = control.align.cmsg_len; /* all of them are 0, stdin */
    }
    assert_int_equal(sendmsg(to, &message, 0), part.iov_len);
}

static void only_a_socket_and_ok_are_an_answer(void **state)
{
    static const struct {
        const char *text;
        size_t fds_n;
        int with_credentials; /* before the descriptor: it does not fit then */
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {"ok", 1, 0, CLM_OK, ""},
        {"ok", 2, 0, CLM_OK, ""}, /* the second one is not kept */
        {"ok", 0, 0, CLM_E_NET, "no socket came"},
        {"ok", 1, 1, CLM_E_NET, "no socket came"},
        {"not now", 1, 0, CLM_E_NET, "not now"},
        {"not now", 0, 0, CLM_E_NET, "not now"},
        {"\x1b[2J", 0, 0, CLM_E_NET, "no socket came"},
        {"", 0, 0, CLM_E_NET, "no socket came"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};
        unsigned before = count_descriptors();
        int fd = -1;
        int pair[2];

        make_pair(pair);
        assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &rows[i].with_credentials,
                                    sizeof(rows[i].with_credentials)),
                         0);
        if (rows[i].text[0] != '\0') {
            say(pair[1], rows[i].text, rows[i].fds_n);
        }
        assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
        enum clm_code code = clm_loopback_ask(pair[0], "diag", &fd, &err);
        if (code != rows[i].code || strcmp(err.msg, rows[i].msg) != 0) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(code), err.msg);
        }
        assert_int_equal(fd >= 0, code == CLM_OK);
        (void)close(fd);
        close_pair(pair);
        assert_int_equal(count_descriptors(), before);
    }
}

static void the_service_is_asked_by_name(void **state)
{
    static const struct {
        int family; /* 0: not for TCP */
        const char *wish;
    } rows[] = {{AF_INET, "tcp4"}, {AF_INET6, "tcp6"}, {0, "diag"}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};
        unsigned before = count_descriptors();
        char wish[16] = "";
        int fd = -1;
        int pair[2];

        make_pair(pair);
        say(pair[1], "ok", 1);
        doom.service = pair[0];
        enum clm_code code = rows[i].family != 0 ? clm_loopback_tcp(rows[i].family, &fd, &err)
                                                 : clm_loopback_diag(&fd, &err);
        doom.service = -1;
        assert_int_equal(code, CLM_OK);
        assert_true(read(pair[1], wish, sizeof(wish) - 1) > 0);
        assert_string_equal(wish, rows[i].wish);
        (void)close(fd);
        close_pair(pair);
        assert_int_equal(count_descriptors(), before);
    }
}

static void without_the_service_its_socket_is_named(void **state)
{
    struct clm_err err = {.code = CLM_OK};
    int fd = -1;

    (void)state;
    assert_int_not_equal(clm_loopback_diag(&fd, &err), CLM_OK);
    assert_non_null(strstr(err.msg, "'/run/clmbot-loopback.sock' (clmbot-loopback.socket): "));
    doom.call = "socket";
    doom.sys_errno = EMFILE;
    assert_int_not_equal(clm_loopback_tcp(AF_INET, &fd, &err), CLM_OK);
    assert_string_equal(err.msg, "socket: Too many open files");
    assert_int_equal(fd, -1);
}

static void an_asker_tells_what_failed(void **state)
{
    static const struct {
        const char *call;
        int sys_errno;
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {"send", EPIPE, CLM_E_IO, "ask for a socket of this host's network: Broken pipe"},
        {"shutdown", ENOTCONN, CLM_E_IO, "ask for a socket of this host's network: "},
        {"poll", ENOMEM, CLM_E_NOMEM, "wait for a socket: "},
        {"poll", EINTR, CLM_OK, ""},
        {"poll", 0, CLM_E_TIMEOUT, "no answer in 5000 ms"},
        {"recvmsg", EBADF, CLM_E_IO, "ask for a socket of this host's network: "},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};
        int fd = -1;
        int pair[2];

        make_pair(pair);
        say(pair[1], "ok", 1);
        doom.call = rows[i].call;
        doom.sys_errno = rows[i].sys_errno;
        enum clm_code code = clm_loopback_ask(pair[0], "diag", &fd, &err);
        assert_null(doom.call);
        if (code != rows[i].code || strstr(err.msg, rows[i].msg) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(code), err.msg);
        }
        assert_int_equal(fd >= 0, code == CLM_OK);
        (void)close(fd);
        close_pair(pair);
    }
}

/* The one that serves says what failed to both: to its own caller, and to the asker. */
static void a_server_tells_what_failed(void **state)
{
    static const struct {
        const char *wish;
        size_t wish_len;
        const char *call;
        int sys_errno;
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {"tcp4", 4, "socket", EMFILE, CLM_E_IO, "socket: Too many open files"},
        {"tcp6", 4, "bind", EADDRNOTAVAIL, CLM_E_IO, "bind to loopback: "},
        {"diag", 4, "socket", EAFNOSUPPORT, CLM_E_IO, "socket for sock_diag(7): "},
        {"diag", 4, "poll", 0, CLM_E_TIMEOUT, "no answer in 5000 ms"},
        {"diag", 4, "recv", EBADF, CLM_E_IO, "read a wish: "},
        {"ta\0g", 4, NULL, 0, CLM_E_INVAL, "no text"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};
        unsigned before = count_descriptors();
        char reply[256] = "";
        int pair[2];

        make_pair(pair);
        assert_int_equal(write(pair[0], rows[i].wish, rows[i].wish_len), rows[i].wish_len);
        assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
        doom.call = rows[i].call;
        doom.sys_errno = rows[i].sys_errno;
        enum clm_code code = clm_loopback_serve(pair[1], &err);
        assert_null(doom.call);
        if (code == CLM_OK || strstr(err.msg, rows[i].msg) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(code), err.msg);
        }
        assert_int_equal(code, rows[i].code);
        assert_true(read(pair[0], reply, sizeof(reply) - 1) > 0);
        assert_string_equal(reply, err.msg);
        close_pair(pair);
        assert_int_equal(count_descriptors(), before);
    }
}

static void a_socket_nobody_takes_is_closed(void **state)
{
    struct clm_err err = {.code = CLM_OK};
    unsigned before = count_descriptors();
    int pair[2];

    (void)state;
    make_pair(pair);
    assert_int_equal(write(pair[0], "tcp4", 4), 4);
    assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
    doom.call = "sendmsg";
    doom.sys_errno = EPIPE;
    assert_int_equal(clm_loopback_serve(pair[1], &err), CLM_E_IO);
    assert_string_equal(err.msg, "hand a socket over: Broken pipe");
    close_pair(pair);
    assert_int_equal(count_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_socket_and_ok_are_an_answer),
        cmocka_unit_test(the_service_is_asked_by_name),
        cmocka_unit_test(without_the_service_its_socket_is_named),
        cmocka_unit_test(an_asker_tells_what_failed),
        cmocka_unit_test(a_server_tells_what_failed),
        cmocka_unit_test(a_socket_nobody_takes_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
