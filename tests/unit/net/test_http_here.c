/* SPDX-License-Identifier: Apache-2.0 */
/* clm_http_do_here() against tests/unit/net/peer.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/net/http.h"
#include "tests/unit/net/peer.h"

static enum clm_code socket_of_somebody(int family, int *out_fd, struct clm_err *err)
{
    assert_int_equal(family, AF_INET);
    *out_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return *out_fd >= 0 ? CLM_OK : clm_err_sys(err, errno, "socket");
}

static enum clm_code nobodys_socket(int family, int *out_fd, struct clm_err *err)
{
    (void)family;
    (void)out_fd;
    return clm_err_set(err, CLM_E_NET, "not today");
}

static void a_socket_may_come_from_somebody_else(void **state)
{
    const struct peer *peer = *state;
    struct clm_http_response r;
    struct clm_err err;
    char url[128];
    const struct clm_http_request request = {
        .method = "GET", .url = url, .response_max = 65536, .timeout_ms = 5000};

    for (int i = 0; i < 2; i++) {
        (void)snprintf(url, sizeof(url), "%s://127.0.0.1:%u/echo", i == 0 ? "http" : "https",
                       peer_port(peer, i == 0 ? "http" : "self"));
        if (clm_http_do_here(&request, socket_of_somebody, &r, &err) != CLM_OK) {
            fail_msg("%s: %s", url, err.msg);
        }
        assert_int_equal(r.status, 200);
        clm_buf_done(&r.body);
    }
    assert_int_equal(clm_http_do_here(&request, nobodys_socket, &r, &err), CLM_E_NET);
    assert_string_equal(err.msg, "not today");
}

static void this_host_is_asked_whoever_answers_and_no_other(void **state)
{
    static const char *const elsewhere[] = {"http://localhost/echo", "https://192.0.2.1/echo",
                                            "http://127.0.0.1.example.com/echo"};
    const struct peer *peer = *state;
    struct clm_http_response r;
    struct clm_err err;
    char url[128];
    struct clm_http_request request = {
        .method = "GET", .url = url, .response_max = 65536, .timeout_ms = 5000};

    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    (void)snprintf(url, sizeof(url), "https://127.0.0.1:%u/echo", peer_port(peer, "self"));
    assert_int_equal(clm_http_do_here(&request, NULL, &r, &err), CLM_OK);
    assert_int_equal(r.status, 200);
    clm_buf_done(&r.body);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", peer_port(peer, "http"));
    assert_int_equal(clm_http_do_here(&request, NULL, &r, &err), CLM_OK);
    assert_int_equal(r.status, 200);
    clm_buf_done(&r.body);
    request.connect_to = "192.0.2.1:80";
    assert_int_equal(clm_http_do_here(&request, NULL, &r, &err), CLM_E_INVAL);
    request.connect_to = NULL;
    for (size_t i = 0; i < CLM_ARRAY_LEN(elsewhere); i++) {
        request.url = elsewhere[i];
        assert_int_equal(clm_http_do_here(&request, NULL, &r, &err), CLM_E_INVAL);
    }
    (void)unsetenv("http_proxy");
    (void)unsetenv("https_proxy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_may_come_from_somebody_else),
        cmocka_unit_test(this_host_is_asked_whoever_answers_and_no_other),
    };

    return cmocka_run_group_tests(tests, peer_start, peer_stop);
}
