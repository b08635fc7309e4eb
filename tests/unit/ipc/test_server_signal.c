/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ipc/peer.h"

#include <signal.h>

#include "agent/ipc/server.h"

static void on_term(int number)
{
    (void)number;
    (void)alarm(0); /* seen by the test */
}

/* A client that always has the next request ready must not keep the process from being told to stop. */
static void a_signal_gets_through_between_requests(void **state)
{
    struct clm_server *server = NULL;
    struct clm_conn *conn = NULL;
    struct clm_json *json = NULL;
    int pair[2];
    struct sigaction action = {.sa_handler = on_term};
    struct sigaction old_action;
    sigset_t term;
    sigset_t old_mask;
    sigset_t pending;
    enum clm_op op = CLM_OP_NONE;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(clm_server_from_fd_take(pair[0], &server, NULL), CLM_OK);
    assert_int_equal(clm_server_accept(server, 1000, &conn, NULL), CLM_OK);
    assert_int_equal(sigaction(SIGTERM, &action, &old_action), 0);
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &term, &old_mask), 0);
    put(pair[1], CLM_FRAME_REQUEST, CLM_OP_HELLO, "{\"v\":1}");
    assert_int_equal(raise(SIGTERM), 0);
    (void)alarm(60);
    assert_int_equal(clm_conn_receive(conn, 1000, &op, &json, NULL), CLM_OK);
    assert_int_equal(op, CLM_OP_HELLO);
    assert_int_equal(alarm(0), 0); /* the handler ran */
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &pending), 0);
    assert_int_equal(sigismember(&pending, SIGTERM), 1); /* blocked again */
    assert_int_equal(sigprocmask(SIG_SETMASK, &old_mask, NULL), 0);
    assert_int_equal(sigaction(SIGTERM, &old_action, NULL), 0);
    clm_json_free(json);
    clm_conn_free(conn);
    clm_server_free(server);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_gets_through_between_requests),
    };

    return cmocka_run_group_tests_name("server_signal", tests, NULL, NULL);
}
