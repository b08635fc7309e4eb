/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that answers what a table says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "agent/net/sockdiag.h"

#define CGROUP_ID 21 /* INET_DIAG_CGROUP_ID */

static struct {
    uint8_t data[2][1024]; /* what it answers about IPv4, about IPv6 */
    size_t len[2];
    size_t asked;
    int send_errno;
    int recv_errno; /* once */
} kernel;

static struct {
    struct clm_listening sockets[4];
    size_t n;
    enum clm_code code; /* of the visit */
} seen;

ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len);
ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
                      socklen_t to_len)
{
    struct inet_diag_req_v2 body;

    (void)fd;
    (void)flags;
    assert_int_equal(to->sa_family, AF_NETLINK);
    assert_int_equal(to_len, sizeof(struct sockaddr_nl));
    assert_int_equal(len, sizeof(struct nlmsghdr) + sizeof(body));
    memcpy(&body, (const char *)data + sizeof(struct nlmsghdr), sizeof(body));
    assert_int_equal(body.sdiag_family, kernel.asked == 0 ? AF_INET : AF_INET6);
    if (kernel.send_errno != 0) {
        errno = kernel.send_errno;
        return -1;
    }
    kernel.asked++;
    return (ssize_t)len;
}

ssize_t __wrap_recv(int fd, void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags)
{
    size_t i = kernel.asked - 1;

    (void)fd;
    (void)flags;
    if (kernel.recv_errno != 0) {
        errno = kernel.recv_errno;
        kernel.recv_errno = 0;
        return -1;
    }
    assert_true(kernel.len[i] <= len);
    memcpy(data, kernel.data[i], kernel.len[i]);
    return (ssize_t)kernel.len[i];
}

static void say(size_t i, const void *data, size_t len)
{
    assert_true(kernel.len[i] + len + 3 <= sizeof(kernel.data[i]));
    memcpy(kernel.data[i] + kernel.len[i], data, len);
    kernel.len[i] += (len + 3) & ~(size_t)3;
}

static void say_head(size_t i, uint16_t type, size_t body_len)
{
    const struct nlmsghdr head = {.nlmsg_len = (uint32_t)(sizeof(head) + body_len),
                                  .nlmsg_type = type};

    say(i, &head, sizeof(head));
}

static void say_done(size_t i)
{
    say_head(i, NLMSG_DONE, 0);
}

/* A message about a socket, with attributes of attrs_len bytes. */
static void say_socket(size_t i, int family, const char *addr, const void *attrs, size_t attrs_len)
{
    struct inet_diag_msg body = {.idiag_family = (uint8_t)family, .idiag_inode = 77};

    body.id.idiag_sport = htons(443);
    if (addr != NULL) {
        assert_int_equal(inet_pton(family, addr, body.id.idiag_src), 1);
    }
    say_head(i, SOCK_DIAG_BY_FAMILY, sizeof(body) + attrs_len);
    say(i, &body, sizeof(body));
    say(i, attrs, attrs_len);
}

static void forget(void)
{
    memset(&kernel, 0, sizeof(kernel));
    memset(&seen, 0, sizeof(seen));
}

static enum clm_code note(void *arg, const struct clm_listening *socket, struct clm_err *err)
{
    (void)arg;
    assert_true(seen.n < CLM_ARRAY_LEN(seen.sockets));
    seen.sockets[seen.n++] = *socket;
    return seen.code == CLM_OK ? CLM_OK : clm_err_set(err, seen.code, "enough");
}

static void addresses_of_both_families_are_read(void **state)
{
    (void)state;
    forget();
    say_socket(0, AF_INET, "192.0.2.7", "", 0);
    say_socket(0, AF_UNIX, NULL, "", 0); /* no address of the net */
    say_head(0, SOCK_DIAG_BY_FAMILY, 4); /* too short to be one */
    say(0, "\0\0\0\0", 4);               /* its body */
    say_head(0, NLMSG_NOOP, 0);          /* nothing at all */
    say_done(0);
    say_socket(1, AF_INET6, "::ffff:192.0.2.8", "", 0);
    say_socket(1, AF_INET6, "2001:db8::1", "", 0);
    say_done(1);
    assert_int_equal(clm_sockdiag_read(0, note, NULL, NULL), CLM_OK);
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.sockets[0].addr, "192.0.2.7");
    assert_string_equal(seen.sockets[1].addr, "192.0.2.8");
    assert_string_equal(seen.sockets[2].addr, "2001:db8::1");
    for (size_t i = 0; i < seen.n; i++) {
        assert_int_equal(seen.sockets[i].port, 443);
        assert_int_equal(seen.sockets[i].inode, 77);
        assert_int_equal(seen.sockets[i].cgroup, 0);
    }
}

/* Attributes are struct nlattr: length, type, and then their bytes. */
static void the_control_group_is_one_of_the_attributes(void **state)
{
    static const struct {
        uint16_t words[12]; /* in host order, as in the kernel's messages */
        size_t len;
        uint64_t cgroup;
    } rows[] = {
        {{12, CGROUP_ID, 0x1234, 0, 0, 0}, 12, 0x1234},
        {{5, 8, 0x7f, 0, 12, CGROUP_ID, 9, 0, 0, 0}, 20, 9},
        {{8, CGROUP_ID, 9, 0}, 8, 0}, /* not as long as such a number */
        {{16, CGROUP_ID, 9, 0, 0, 0, 0}, 16, 0},
        {{3, 8, 9, 0}, 8, 0},                 /* shorter than its own head */
        {{40, CGROUP_ID, 9, 0, 0, 0}, 12, 0}, /* longer than the message */
        {{7, 8, 9, 0}, 7, 0},                 /* the last one is not filled up */
        {{0}, 2, 0},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        forget();
        say_socket(0, AF_INET, "127.0.0.1", rows[i].words, rows[i].len);
        say_done(0);
        say_done(1);
        assert_int_equal(clm_sockdiag_read(0, note, NULL, NULL), CLM_OK);
        assert_int_equal(seen.n, 1);
        if (seen.sockets[0].cgroup != rows[i].cgroup) {
            fail_msg("row %zu: %llu", i, (unsigned long long)seen.sockets[0].cgroup);
        }
    }
}

static void what_the_kernel_refuses_is_said(void **state)
{
    static const struct {
        int error;
        bool is_short;
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {-ENOENT, false, CLM_E_UNSUPPORTED, "tcp_diag"},
        {-EPERM, false, CLM_E_PERM, "Operation not permitted"},
        {-EPERM, true, CLM_E_IO, "Input/output error"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct nlmsgerr why = {.error = rows[i].error};
        size_t len = rows[i].is_short ? sizeof(why) - 4 : sizeof(why);
        struct clm_err err = {.code = CLM_OK};

        forget();
        say_head(0, NLMSG_ERROR, len);
        say(0, &why, len);
        assert_int_equal(clm_sockdiag_read(0, note, NULL, &err), rows[i].code);
        assert_non_null(strstr(err.msg, rows[i].msg));
        assert_int_equal(kernel.asked, 1);
    }
}

static void lengths_are_not_believed(void **state)
{
    static const uint32_t lengths[] = {0, 15, 21, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(lengths); i++) {
        const struct nlmsghdr head = {.nlmsg_len = lengths[i], .nlmsg_type = SOCK_DIAG_BY_FAMILY};
        struct clm_err err = {.code = CLM_OK};

        forget();
        say(0, &head, sizeof(head));
        say(0, "rest", 4);
        assert_int_equal(clm_sockdiag_read(0, note, NULL, &err), CLM_E_PARSE);
        assert_non_null(strstr(err.msg, "cut off"));
    }
}

static void a_message_may_end_before_it_is_filled_up(void **state)
{
    (void)state;
    forget();
    say_socket(0, AF_INET, "127.0.0.1", "\5\0\0\0x", 5);
    kernel.len[0] -= 3;
    seen.code = CLM_E_LIMIT; /* it ends the reading: no NLMSG_DONE is needed */
    assert_int_equal(clm_sockdiag_read(0, note, NULL, NULL), CLM_E_LIMIT);
    assert_int_equal(seen.n, 1);
}

static void calls_that_fail_are_told(void **state)
{
    static const struct {
        int send_errno;
        int recv_errno;
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {EPERM, 0, CLM_E_PERM, "ask the kernel"},
        {0, EINTR, CLM_OK, ""},
        {0, EAGAIN, CLM_E_TIMEOUT, "lists no sockets"},
        {0, ENOBUFS, CLM_E_IO, "the kernel's list of sockets: "},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_err err = {.code = CLM_OK};

        forget();
        say_done(0);
        say_done(1);
        kernel.send_errno = rows[i].send_errno;
        kernel.recv_errno = rows[i].recv_errno;
        enum clm_code code = clm_sockdiag_read(0, note, NULL, &err);
        if (code != rows[i].code || strstr(err.msg, rows[i].msg) == NULL) {
            fail_msg("row %zu: %s: %s", i, clm_code_name(code), err.msg);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_both_families_are_read),
        cmocka_unit_test(the_control_group_is_one_of_the_attributes),
        cmocka_unit_test(what_the_kernel_refuses_is_said),
        cmocka_unit_test(lengths_are_not_believed),
        cmocka_unit_test(a_message_may_end_before_it_is_filled_up),
        cmocka_unit_test(calls_that_fail_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
