/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/base/fs.h"
#include "agent/net/loopback.h"
#include "agent/net/sockdiag.h"

/* One wish, answered by a child. */
static enum clm_code ask(const char *wish, int *out_fd, struct clm_err *err)
{
    enum clm_code code;
    int pair[2];
    int status = 0;
    pid_t child;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    child = fork();
    if (child == 0) {
        (void)close(pair[0]);
        _exit(clm_loopback_serve(pair[1], NULL) == CLM_OK ? 0 : 1);
    }
    (void)close(pair[1]);
    code = clm_loopback_ask(pair[0], wish, out_fd, err);
    (void)close(pair[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), code == CLM_OK ? 0 : 1);
    return code;
}

static int listen_on(int family, uint16_t *out_port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, at, &len), 0);
    *out_port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

static void a_socket_that_leads_to_this_host_is_handed_over(void **state)
{
    static const int families[] = {AF_INET, AF_INET6};
    const struct sockaddr_in away = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0xc0000201)};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(families); i++) {
        CLM_CLEANUP(clm_fs_close_p) int server = -1;
        CLM_CLEANUP(clm_fs_close_p) int fd = -1;
        CLM_CLEANUP(clm_fs_close_p) int peer = -1;
        struct sockaddr_storage at;
        socklen_t len = sizeof(at);
        uint16_t port;
        char byte = 0;

        server = listen_on(families[i], &port);
        assert_int_equal(getsockname(server, (struct sockaddr *)&at, &len), 0);
        assert_int_equal(ask(i == 0 ? "tcp4" : "tcp6", &fd, NULL), CLM_OK);
        if (i == 0) {
            assert_int_equal(connect(fd, (const struct sockaddr *)&away, sizeof(away)), -1);
        }
        assert_int_equal(connect(fd, (const struct sockaddr *)&at, len), 0);
        peer = accept(server, NULL, NULL);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(read(peer, &byte, 1), 1);
        assert_int_equal(byte, 'x');
    }
}

static void nothing_else_is(void **state)
{
    static const char *const wishes[] = {"tcp", "tcp5", "diag x", "", "udp4", "open /etc/shadow"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(wishes); i++) {
        struct clm_err err = {.code = CLM_OK};
        int fd = -1;

        assert_int_equal(ask(wishes[i], &fd, &err), CLM_E_NET);
        assert_int_equal(fd, -1);
        assert_non_null(strstr(err.msg, i == 5 ? "shorter" : "wishes are"));
    }
}

struct search {
    const char *addr;
    uint16_t port;
    int found;
};

static enum clm_code look(void *arg, const struct clm_listening *socket, struct clm_err *err)
{
    struct search *search = arg;

    (void)err;
    if (socket->port == search->port && strcmp(socket->addr, search->addr) == 0) {
        search->found++;
        assert_int_not_equal(socket->inode, 0);
    }
    return CLM_OK;
}

static void the_kernel_lists_what_listens(void **state)
{
    static const struct {
        int family;
        const char *addr;
    } rows[] = {{AF_INET, "127.0.0.1"}, {AF_INET6, "::1"}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_fs_close_p) int server = -1;
        CLM_CLEANUP(clm_fs_close_p) int fd = -1;
        struct search search = {.addr = rows[i].addr};
        struct clm_err err = {.code = CLM_OK};
        enum clm_code code;

        server = listen_on(rows[i].family, &search.port);
        assert_int_equal(ask("diag", &fd, &err), CLM_OK);
        code = clm_sockdiag_read(fd, look, &search, &err);
        if (code == CLM_E_UNSUPPORTED) {
            print_message("skipped: %s\n", err.msg);
            return;
        }
        assert_int_equal(code, CLM_OK);
        assert_int_equal(search.found, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_that_leads_to_this_host_is_handed_over),
        cmocka_unit_test(nothing_else_is),
        cmocka_unit_test(the_kernel_lists_what_listens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
