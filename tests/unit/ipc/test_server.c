/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ipc/peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/server.h"

#define OTHER_UID 65534 /* nobody */

struct world {
    struct clm_server *server;
    struct clm_conn *conn;
    int peer;
};

static int world_open(void **state)
{
    static struct world w;
    int pair[2];

    w = (struct world){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(clm_server_from_fd_take(pair[0], &w.server, NULL), CLM_OK);
    assert_int_equal(clm_server_accept(w.server, 1000, &w.conn, NULL), CLM_OK);
    assert_non_null(w.conn);
    w.peer = pair[1];
    *state = &w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;

    clm_conn_free(w->conn);
    clm_server_free(w->server);
    (void)close(w->peer);
    return 0;
}

static enum clm_code receive(struct world *w, enum clm_op *out_op, struct clm_err *err)
{
    struct clm_json *body = NULL;

    enum clm_code code = clm_conn_receive(w->conn, 100, out_op, &body, err);
    assert_int_equal(body != NULL, code == CLM_OK && *out_op != CLM_OP_NONE);
    clm_json_free(body);
    return code;
}

static void connected_socket_is_accepted_once(void **state)
{
    struct world *w = *state;
    struct clm_conn *second = NULL;

    assert_int_equal(clm_server_accept(w->server, 1000, &second, NULL), CLM_OK);
    assert_null(second);
    assert_int_equal(clm_conn_peer(w->conn)->uid, getuid());
    assert_int_equal(clm_conn_peer(w->conn)->pid, getpid());
    assert_true(clm_conn_peer(w->conn)->is_root);              /* its own user */
    assert_false(clm_server_turn_is_over(w->server, w->conn)); /* nobody else can come */
}

static void requests_come_in_order_and_end(void **state)
{
    struct world *w = *state;
    enum clm_op op = CLM_OP_NONE;

    put(w->peer, CLM_FRAME_REQUEST, CLM_OP_HELLO, "{\"v\":1}");
    put(w->peer, CLM_FRAME_REQUEST, CLM_OP_HISTORY, "{\"target\":\"\"}");
    assert_int_equal(shutdown(w->peer, SHUT_WR), 0);
    assert_int_equal(receive(w, &op, NULL), CLM_OK);
    assert_int_equal(op, CLM_OP_HELLO);
    assert_int_equal(receive(w, &op, NULL), CLM_OK);
    assert_int_equal(op, CLM_OP_HISTORY);
    assert_int_equal(receive(w, &op, NULL), CLM_OK);
    assert_int_equal(op, CLM_OP_NONE);
}

static void whatever_breaks_the_rules_ends_the_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum clm_code code;
        const char *why;
    } rows[] = {
#define ROW(text, code, why) {text, sizeof(text) - 1, code, why}
        ROW("GET / HTTP/1.1\r\n\r\n", CLM_E_PARSE, "another protocol"),
        ROW("\x02\0\0\0\x06\0\0\0{}", CLM_E_PARSE, "reply in the wrong direction"),
        ROW("\x02\0\0\0\x02\0\0\0{}", CLM_E_PARSE, "event in the wrong direction"),
        ROW("\x02\0\0\0\x03\0\0\0{}", CLM_E_PARSE, "call in the wrong direction"),
        ROW("\x02\0\0\0\x05\0\0\0{}", CLM_E_PARSE, "part in the wrong direction"),
        ROW("\x02\0\0\0\x07\0\0\0{}", CLM_E_PARSE, "fail in the wrong direction"),
        ROW("\x02\0\0\0\x04\0\0\0{}", CLM_E_PARSE, "answer that nobody asked for"),
        ROW("\x02\0\0\0\x01\xfe\0\0{}", CLM_E_PARSE, "unknown operation"),
        ROW("\x02\0\0\0\x01\0\0\0{}", CLM_E_PARSE, "no operation"),
        ROW("\x02\0\0\0\x01\x01\0\0[]", CLM_E_PARSE, "array"),
        ROW("\x01\0\0\0\x01\x01\0\0{", CLM_E_PARSE, "half an object"),
        ROW("\x04\0\0\0\x01\x01\0\0null", CLM_E_PARSE, "null"),
        ROW("\x03\0\0\0\x01\x01\0\0{}x", CLM_E_PARSE, "trailing byte"),
        ROW("\x04\0\0\0\x01\x01\0\0{}\0\0", CLM_E_PARSE, "trailing zeros"),
        ROW("\x0d\0\0\0\x01\x01\0\0{\"a\":1,\"a\":2}", CLM_E_PARSE, "duplicate key"),
        ROW("\x09\0\0\0\x01\x01\0\0{\"a\":\"\xff\"}", CLM_E_PARSE, "bad UTF-8"),
        ROW("\x01\0\x01\0\x01\x01\0\0", CLM_E_LIMIT, "body too long"),
        ROW("\xff\xff\xff\x7f\x01\x01\0\0", CLM_E_LIMIT, "body far too long"),
        ROW("\0\0\0\0\x01\x01\0\0", CLM_E_PARSE, "empty body"),
        ROW("\x02\0\0\0\x01\x01\x01\0{}", CLM_E_PARSE, "reserved byte"),
        ROW("\x01\0\0\0\x01\x01\0\0", CLM_E_NET, "ends before the body"),
        ROW("\x02\0\0", CLM_E_NET, "ends in the head"),
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = *state;
        struct clm_err err = {0};
        enum clm_op op = CLM_OP_HELLO;
        char byte;

        assert_int_equal(send(w->peer, rows[i].bytes, rows[i].len, 0), (ssize_t)rows[i].len);
        assert_int_equal(shutdown(w->peer, SHUT_WR), 0);
        if (receive(w, &op, &err) != rows[i].code) {
            fail_msg("row %zu (%s): %d %s", i, rows[i].why, err.code, err.msg);
        }
        assert_int_equal(op, CLM_OP_NONE);
        assert_int_equal(receive(w, &op, &err), CLM_E_NET);
        assert_int_equal(recv(w->peer, &byte, 1, 0), 0); /* the client sees the end */
        assert_int_equal(world_close(state), 0);
        assert_int_equal(world_open(state), 0);
    }
}

static void nesting_beyond_the_limit_is_refused(void **state)
{
    struct world *w = *state;
    enum clm_op op = CLM_OP_NONE;
    char deep[256];
    size_t n = 0;

    for (int i = 0; i < 40; i++) {
        n += (size_t)snprintf(deep + n, sizeof(deep) - n, "{\"a\":");
    }
    put(w->peer, CLM_FRAME_REQUEST, CLM_OP_HELLO, deep);
    assert_int_not_equal(receive(w, &op, NULL), CLM_OK);
}

static void silent_client_is_let_go(void **state)
{
    struct world *w = *state;
    enum clm_op op = CLM_OP_NONE;

    assert_int_equal(receive(w, &op, NULL), CLM_E_TIMEOUT);
    assert_int_equal(receive(w, &op, NULL), CLM_E_NET);
}

static void probe_is_asked_and_answered(void **state)
{
    struct world *w = *state;
    struct clm_endpoint endpoint = {.addr = "127.0.0.1", .port = 443, .sni = "a.example"};
    struct clm_observation in = {.result = CLM_PROBE_REFUSED, .detail = "nobody there"};
    struct clm_observation out = {0};
    struct clm_json *answer = clm_json_new_object();
    char text[512];

    clm_observation_to_json(&in, answer);
    assert_int_equal(clm_frame_send_json(w->peer, CLM_FRAME_ANSWER, CLM_OP_NONE, answer, NULL),
                     CLM_OK);
    clm_json_free(answer);
    assert_int_equal(clm_conn_probe(w->conn, &endpoint, &out, NULL), CLM_OK);
    assert_int_equal(out.result, CLM_PROBE_REFUSED);
    assert_string_equal(out.detail, "nobody there");
    assert_int_equal(get(w->peer, text, sizeof(text)), CLM_FRAME_CALL);
    assert_non_null(strstr(text, "\"probe\":{"));
    assert_non_null(strstr(text, "a.example"));
}

static void answers_that_do_not_fit_the_call_end_the_connection(void **state)
{
    static const struct {
        unsigned kind;
        unsigned op;
        const char *body;
        const char *why;
    } rows[] = {
        {CLM_FRAME_REQUEST, CLM_OP_HELLO, "{}", "request in place of the answer"},
        {CLM_FRAME_REPLY, 0, "{}", "reply in place of the answer"},
        {CLM_FRAME_ANSWER, 0, "{}", "empty answer"},
        {CLM_FRAME_ANSWER, 0, "{\"result\":\"perfect\"}", "unknown result"},
        {CLM_FRAME_ANSWER, 0, "[]", "answer that is no object"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world *w = *state;
        struct clm_endpoint endpoint = {.addr = "127.0.0.1", .port = 443};
        struct clm_observation out = {0};
        struct clm_err err = {0};
        struct clm_json *event = clm_json_new_object();

        put(w->peer, rows[i].kind, rows[i].op, rows[i].body);
        if (clm_conn_probe(w->conn, &endpoint, &out, &err) != CLM_E_PARSE) {
            fail_msg("row %zu (%s): %d %s", i, rows[i].why, err.code, err.msg);
        }
        /* The transaction goes on: sending costs no time, it only fails. */
        assert_int_equal(clm_conn_event(w->conn, event, NULL), CLM_E_NET);
        assert_int_equal(clm_conn_probe(w->conn, &endpoint, &out, NULL), CLM_E_NET);
        char reason[CLM_ERR_MSG_MAX];

        memcpy(reason, err.msg, sizeof(reason)); /* ... and says why, whenever it is tried */
        assert_int_equal(clm_conn_reply(w->conn, event, &err), CLM_E_NET);
        assert_non_null(strstr(err.msg, reason));
        clm_json_free(event);
        assert_int_equal(world_close(state), 0);
        assert_int_equal(world_open(state), 0);
    }
}

static void second_answer_to_one_call_ends_the_connection(void **state)
{
    struct world *w = *state;
    struct clm_endpoint endpoint = {.addr = "127.0.0.1", .port = 443};
    struct clm_observation in = {.result = CLM_PROBE_TIMEOUT};
    struct clm_observation out = {0};
    struct clm_json *answer = clm_json_new_object();
    enum clm_op op = CLM_OP_NONE;

    clm_observation_to_json(&in, answer);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clm_frame_send_json(w->peer, CLM_FRAME_ANSWER, CLM_OP_NONE, answer, NULL),
                         CLM_OK);
    }
    clm_json_free(answer);
    assert_int_equal(clm_conn_probe(w->conn, &endpoint, &out, NULL), CLM_OK);
    assert_int_equal(receive(w, &op, NULL), CLM_E_PARSE);
}

static void client_gone_during_a_call_is_noticed(void **state)
{
    struct world *w = *state;
    struct clm_endpoint endpoint = {.addr = "127.0.0.1", .port = 443};
    struct clm_observation out = {0};

    assert_int_equal(shutdown(w->peer, SHUT_WR), 0);
    assert_int_equal(clm_conn_probe(w->conn, &endpoint, &out, NULL), CLM_E_NET);
}

static void long_reply_goes_in_parts(void **state)
{
    static char text[CLM_FRAME_BODY_MAX + 1];
    struct world *w = *state;
    struct clm_json *reply = clm_json_new_object();
    struct clm_json *list = clm_json_set_array(reply, "list");
    static char line[1001];
    size_t total = 0;
    unsigned kind = CLM_FRAME_PART;

    memset(line, 'x', sizeof(line) - 1);
    for (int i = 0; i < 150; i++) {
        clm_json_add_str(list, line);
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(clm_conn_reply(w->conn, reply, NULL) == CLM_OK ? 0 : 1);
    }
    int parts = 0;
    while (kind == CLM_FRAME_PART) {
        kind = get(w->peer, text, sizeof(text));
        total += strlen(text);
        parts++;
    }
    assert_int_equal(kind, CLM_FRAME_REPLY);
    assert_int_equal(parts, 3);
    assert_int_equal(total, strlen("{\"list\":[]}") + 150 * 1002 + 149);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    clm_json_free(reply);
}

static void reply_that_cannot_be_sent_becomes_a_fail(void **state)
{
    struct world *w = *state;
    struct clm_json *reply = clm_json_new_object();
    struct clm_err err = {0};
    char text[1024];

    clm_json_set_str(reply, "csr", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE");
    assert_int_equal(clm_conn_reply(w->conn, reply, &err), CLM_E_BUG);
    assert_int_equal(get(w->peer, text, sizeof(text)), CLM_FRAME_FAIL);
    assert_null(strstr(text, "MHcCAQEE"));
    assert_null(strstr(text, "PRIVATE"));
    assert_int_equal(clm_conn_event(w->conn, reply, &err), CLM_E_BUG);
    clm_json_free(reply);
    assert_int_equal(recv(w->peer, text, 1, MSG_DONTWAIT), -1);
}

/* A server on a real listening socket in a child, which tells what it received. */
static pid_t serve(int listen_fd, bool with_pid)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct clm_server *server = NULL;
        struct clm_conn *conn = NULL;
        struct clm_json *body = NULL;
        enum clm_op op = CLM_OP_NONE;
        char text[16];

        if (listen_fd != 3) {
            (void)dup2(listen_fd, 3);
        }
        (void)snprintf(text, sizeof(text), "%d", (int)getpid());
        if (with_pid) {
            (void)setenv("LISTEN_PID", text, 1);
        }
        (void)setenv("LISTEN_FDS", "1", 1);
        if (clm_server_inherit(&server, NULL) != CLM_OK || getenv("LISTEN_FDS") != NULL) {
            _exit(100);
        }
        if (clm_server_accept(server, 5000, &conn, NULL) != CLM_OK || conn == NULL) {
            _exit(101);
        }
        if (clm_conn_receive(conn, 5000, &op, &body, NULL) != CLM_OK) {
            _exit(102);
        }
        _exit((int)op);
    }
    return pid;
}

static int listen_at(struct sockaddr_un *addr, const char *dir)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/s", dir);
    assert_int_equal(bind(fd, (const struct sockaddr *)addr, sizeof(*addr)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static int status_of(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void only_root_may_ask_for_local_operations(void **state)
{
    char dir[] = "/tmp/clm-server-XXXXXX";
    struct sockaddr_un addr;
    char text[512];

    (void)state;
    if (getuid() != 0) {
        return; /* needs a second user; the build machine runs tests as root */
    }
    assert_non_null(mkdtemp(dir));
    int fd = listen_at(&addr, dir);
    assert_int_equal(chown(addr.sun_path, OTHER_UID, OTHER_UID), 0);
    assert_int_equal(chown(dir, OTHER_UID, OTHER_UID), 0);
    pid_t server = serve(fd, true);
    pid_t client = fork();
    assert_true(client >= 0);
    if (client == 0) {
        if (setgid(OTHER_UID) != 0 || setuid(OTHER_UID) != 0) {
            _exit(1);
        }
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(s, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
            _exit(2);
        }
        put(s, CLM_FRAME_REQUEST, CLM_OP_TRUST_PUT, "{}");
        if (get(s, text, sizeof(text)) != CLM_FRAME_FAIL ||
            strstr(text, "\"permission\"") == NULL || strstr(text, "trust_put") == NULL) {
            _exit(3);
        }
        put(s, CLM_FRAME_REQUEST, CLM_OP_SCAN, "{}");
        _exit(0);
    }
    assert_int_equal(status_of(client), 0);
    assert_int_equal(status_of(server), CLM_OP_SCAN);
    (void)close(fd);
    (void)unlink(addr.sun_path);
    (void)rmdir(dir);
}

static void inherited_socket_is_served_with_and_without_a_pid(void **state)
{
    char dir[] = "/tmp/clm-server-XXXXXX";
    struct sockaddr_un addr;

    (void)state;
    assert_non_null(mkdtemp(dir));
    int fd = listen_at(&addr, dir);
    for (int with_pid = 0; with_pid < 2; with_pid++) {
        pid_t server = serve(fd, with_pid != 0);
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(s, (const struct sockaddr *)&addr, sizeof(addr)), 0);
        put(s, CLM_FRAME_REQUEST, CLM_OP_TRUST_PUT, "{}");
        assert_int_equal(status_of(server), CLM_OP_TRUST_PUT);
        (void)close(s);
    }
    (void)close(fd);
    (void)unlink(addr.sun_path);
    (void)rmdir(dir);
}

/* -1 waits until somebody comes, and until he says something. */
static void without_a_limit_it_waits(void **state)
{
    struct world *w = *state;
    enum clm_op op = CLM_OP_NONE;
    struct clm_json *body = NULL;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        clm_clock_sleep_ms(20);
        put(w->peer, CLM_FRAME_REQUEST, CLM_OP_HELLO, "{}");
        _exit(0);
    }
    assert_int_equal(clm_conn_receive(w->conn, -1, &op, &body, NULL), CLM_OK);
    assert_int_equal(op, CLM_OP_HELLO);
    clm_json_free(body);
    assert_int_equal(status_of(pid), 0);
}

static void nothing_more_is_sent_to_a_client_that_left(void **state)
{
    for (int with_err = 0; with_err < 2; with_err++) {
        struct world *w = *state;
        struct clm_json *long_one = clm_json_new_object();
        struct clm_err err = {0};
        const struct clm_fail fail = {.code = CLM_E_IO, .problem = "E_INTERNAL", .message = "m"};

        /* A key is never sent, the fail in its place cannot be. */
        clm_json_set_str(long_one, "pem", "-----BEGIN PRIVATE KEY-----");
        (void)close(w->peer);
        assert_int_equal(clm_conn_reply(w->conn, long_one, with_err ? &err : NULL), CLM_E_NET);
        assert_int_equal(with_err != 0, err.code == CLM_E_NET);
        assert_null(strstr(err.msg, "PRIVATE"));
        assert_int_equal(clm_conn_fail(w->conn, &fail, NULL), CLM_E_NET);
        assert_int_equal(clm_conn_event(w->conn, long_one, NULL), CLM_E_NET);
        clm_json_free(long_one);
        clm_conn_free(w->conn);
        clm_server_free(w->server);
        assert_int_equal(world_open(state), 0);
    }
    clm_server_free(NULL);
    clm_conn_free(NULL);
}

static void nobody_coming_in_time_is_no_error(void **state)
{
    char dir[] = "/tmp/clm-server-XXXXXX";
    struct sockaddr_un addr;

    (void)state;
    assert_non_null(mkdtemp(dir));
    int fd = listen_at(&addr, dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct clm_server *server = NULL;
        struct clm_conn *conn = NULL;

        (void)dup2(fd, 3);
        (void)setenv("LISTEN_FDS", "1", 1);
        if (clm_server_inherit(&server, NULL) != CLM_OK) {
            _exit(1);
        }
        _exit(clm_server_accept(server, 20, &conn, NULL) == CLM_OK && conn == NULL ? 0 : 2);
    }
    assert_int_equal(status_of(pid), 0);
    (void)close(fd);
    (void)unlink(addr.sun_path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)
        IN_WORLD(connected_socket_is_accepted_once),
        IN_WORLD(requests_come_in_order_and_end),
        IN_WORLD(whatever_breaks_the_rules_ends_the_connection),
        IN_WORLD(nesting_beyond_the_limit_is_refused),
        IN_WORLD(silent_client_is_let_go),
        IN_WORLD(probe_is_asked_and_answered),
        IN_WORLD(answers_that_do_not_fit_the_call_end_the_connection),
        IN_WORLD(second_answer_to_one_call_ends_the_connection),
        IN_WORLD(client_gone_during_a_call_is_noticed),
        IN_WORLD(long_reply_goes_in_parts),
        IN_WORLD(reply_that_cannot_be_sent_becomes_a_fail),
        IN_WORLD(without_a_limit_it_waits),
        IN_WORLD(nothing_more_is_sent_to_a_client_that_left),
        cmocka_unit_test(only_root_may_ask_for_local_operations),
        cmocka_unit_test(inherited_socket_is_served_with_and_without_a_pid),
        cmocka_unit_test(nobody_coming_in_time_is_no_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
