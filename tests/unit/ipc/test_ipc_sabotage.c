/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the socket while calls of libc fail: an error with a message, or all is as if
 * nothing had happened. */
#include "tests/unit/ipc/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/ipc/link.h"
#include "agent/ipc/server.h"
#include "agent/ipc/spawn.h"
#include "tests/support/sabotage.h"

#define WAIT_MS 200

struct world {
    int pair[2];
    struct clm_server *server;
    struct clm_conn *conn;
    struct clm_link *link;
    struct clm_json *reply;
    struct clm_json *body;
    struct clm_observation seen;
    enum clm_op op;
    bool leaves; /* the client ends after what it sent */
    char path[64];
    pid_t child;
};

static void close_pair(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        if (w->pair[i] >= 0) {
            (void)close(w->pair[i]);
            w->pair[i] = -1;
        }
    }
}

/* ---- the host half ---- */

static void client_asks(void *arg)
{
    struct world *w = arg;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->pair), 0);
    put(w->pair[1], CLM_FRAME_REQUEST, CLM_OP_HELLO, "{\"v\":1}");
    put(w->pair[1], CLM_FRAME_ANSWER, 0,
        "{\"result\":\"refused\",\"detail\":\"nobody\",\"at_ms\":1}");
}

static enum clm_code serve_one(void *arg, struct clm_err *err)
{
    struct world *w = arg;
    const struct clm_endpoint endpoint = {.addr = "127.0.0.1", .port = 443, .timeout_ms = 10};
    int fd = w->pair[0];

    w->pair[0] = -1; /* given away */
    enum clm_code code = clm_server_from_fd_take(fd, &w->server, err);
    if (code == CLM_OK) {
        code = clm_server_accept(w->server, WAIT_MS, &w->conn, err);
    }
    if (code == CLM_OK) {
        code = clm_conn_receive(w->conn, WAIT_MS, &w->op, &w->body, err);
    }
    if (code == CLM_OK) {
        code = clm_conn_event(w->conn, w->body, err);
    }
    if (code == CLM_OK) {
        code = clm_conn_probe(w->conn, &endpoint, &w->seen, err);
    }
    return code == CLM_OK ? clm_conn_reply(w->conn, w->body, err) : code;
}

static void client_was_served(void *arg, enum clm_code code, const char *what)
{
    struct world *w = arg;
    char text[512];

    if (code == CLM_OK) {
        if (w->op != CLM_OP_HELLO || w->body == NULL || w->seen.result != CLM_PROBE_REFUSED) {
            fail_msg("%s: not what the client said", what);
        }
        if (get(w->pair[1], text, sizeof(text)) != CLM_FRAME_EVENT ||
            get(w->pair[1], text, sizeof(text)) != CLM_FRAME_CALL ||
            get(w->pair[1], text, sizeof(text)) != CLM_FRAME_REPLY ||
            strcmp(text, "{\"v\":1}") != 0) {
            fail_msg("%s: the client read '%s'", what, text);
        }
    }
    clm_json_free(w->body);
    clm_conn_free(w->conn);
    clm_server_free(w->server);
    close_pair(w);
    *w = (struct world){.pair = {-1, -1}};
}

static void host_half_serves_or_says_why_not(void **state)
{
    struct world w = {.pair = {-1, -1}};
    const struct clm_sabotage plan = {
        .before = client_asks, .act = serve_one, .after = client_was_served, .arg = &w};

    (void)state;
    assert_true(clm_sabotage_run(&plan, NULL) > 20);
}

/* The transaction goes on, and its next look finds the client as it was. */
static void without_memory_for_a_call_the_client_can_be_asked_again(void **state)
{
    const struct clm_endpoint endpoint = {.addr = "127.0.0.1", .port = 443, .timeout_ms = 10};
    struct world w = {.pair = {-1, -1}};
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    client_asks(&w);
    assert_int_equal(clm_server_from_fd_take(w.pair[0], &w.server, NULL), CLM_OK);
    w.pair[0] = -1;
    assert_int_equal(clm_server_accept(w.server, WAIT_MS, &w.conn, NULL), CLM_OK);
    assert_int_equal(clm_conn_receive(w.conn, WAIT_MS, &w.op, &w.body, NULL), CLM_OK);
    clm_sabotage_on("realloc", 1, ENOMEM);
    assert_int_equal(clm_conn_probe(w.conn, &endpoint, &w.seen, &err), CLM_E_NOMEM);
    assert_true(clm_sabotage_off());
    assert_int_equal(strncmp(err.msg, "call to the client: ", 20), 0);
    assert_int_equal(clm_conn_event(w.conn, w.body, NULL), CLM_OK);
    assert_int_equal(clm_conn_probe(w.conn, &endpoint, &w.seen, NULL), CLM_OK);
    assert_int_equal(clm_conn_reply(w.conn, w.body, NULL), CLM_OK);
    client_was_served(&w, CLM_OK, "undisturbed");
}

/* ---- the network half ---- */

static void host_answers(void *arg)
{
    struct world *w = arg;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->pair), 0);
    put(w->pair[1], CLM_FRAME_EVENT, 0, "{\"kind\":\"phase\"}");
    put(w->pair[1], CLM_FRAME_CALL, 0,
        "{\"probe\":{\"addr\":\"127.0.0.1\",\"port\":8443,\"sni\":\"\",\"timeout_ms\":1000}}");
    put(w->pair[1], CLM_FRAME_PART, 0, "{\"agent_id\":");
    put(w->pair[1], CLM_FRAME_REPLY, 0, "\"x\"}");
}

static enum clm_code ask(void *arg, struct clm_err *err)
{
    struct world *w = arg;
    struct clm_json *body = clm_json_new_object();
    int fd = w->pair[0];

    w->pair[0] = -1;
    enum clm_code code = clm_link_from_fd_take(fd, &w->link, err);
    if (code == CLM_OK) {
        clm_link_set_silence(w->link, WAIT_MS);
        code = clm_link_call(w->link, CLM_OP_STATUS, body, &w->reply, NULL, err);
    }
    clm_json_free(body);
    return code;
}

static void answer_was_taken(void *arg, enum clm_code code, const char *what)
{
    struct world *w = arg;
    char text[1024];

    if (code == CLM_OK) {
        const char *id = clm_json_text(clm_json_get(w->reply, "agent_id"));

        if (id == NULL || strcmp(id, "x") != 0 ||
            get(w->pair[1], text, sizeof(text)) != CLM_FRAME_REQUEST ||
            get(w->pair[1], text, sizeof(text)) != CLM_FRAME_ANSWER ||
            strstr(text, "no handshakes are made here") == NULL) {
            fail_msg("%s: '%s'", what, text);
        }
    } else if (w->reply != NULL) {
        fail_msg("%s: a reply and an error", what);
    } else if (w->link != NULL) { /* out of step for good: nothing more is sent or believed */
        struct clm_err err = {0};

        if (clm_link_call(w->link, CLM_OP_STATUS, NULL, NULL, NULL, &err) != CLM_E_NET) {
            fail_msg("%s: the broken link was used again", what);
        }
    }
    clm_json_free(w->reply);
    clm_link_free(w->link);
    close_pair(w);
    *w = (struct world){.pair = {-1, -1}};
}

static void network_half_asks_or_says_why_not(void **state)
{
    struct world w = {.pair = {-1, -1}};
    const struct clm_sabotage plan = {
        .before = host_answers, .act = ask, .after = answer_was_taken, .arg = &w};

    (void)state;
    assert_true(clm_sabotage_run(&plan, NULL) > 20);
}

/* ---- connecting, accepting, starting ---- */

static int listen_at(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static enum clm_code meet(void *arg, struct clm_err *err)
{
    struct world *w = arg;

    enum clm_code code = clm_link_connect(w->path, &w->link, err);
    if (code == CLM_OK) {
        code = clm_server_accept(w->server, -1, &w->conn, err);
    }
    if (code == CLM_OK && w->conn == NULL) {
        return clm_err_set(err, CLM_E_NET, "nobody came");
    }
    return code;
}

static void have_met(void *arg, enum clm_code code, const char *what)
{
    struct world *w = arg;
    struct clm_conn *late = NULL;

    if (code == CLM_OK && clm_conn_peer(w->conn)->pid != getpid()) {
        fail_msg("%s: another client", what);
    }
    clm_conn_free(w->conn);
    clm_link_free(w->link);
    if (code != CLM_OK && clm_server_accept(w->server, 0, &late, NULL) == CLM_OK) {
        clm_conn_free(late); /* one whose connection is waiting still; none is fine, too */
    }
    w->conn = NULL;
    w->link = NULL;
}

/* A client that comes once the server waits for it. */
static void client_comes_soon(void *arg)
{
    struct world *w = arg;

    w->child = fork();
    assert_true(w->child >= 0);
    if (w->child == 0) {
        struct clm_link *link = NULL;

        clm_clock_sleep_ms(20);
        _exit(clm_link_connect(w->path, &link, NULL) == CLM_OK ? 0 : 1);
    }
}

static enum clm_code wait_for_client(void *arg, struct clm_err *err)
{
    struct world *w = arg;

    return clm_server_accept(w->server, 5000, &w->conn, err);
}

static void client_has_come(void *arg, enum clm_code code, const char *what)
{
    struct world *w = arg;
    int status = -1;

    if ((code == CLM_OK) != (w->conn != NULL)) {
        fail_msg("%s: %s", what, clm_code_name(code));
    }
    if (w->conn != NULL) {
        assert_true(clm_conn_peer(w->conn)->is_root);
        assert_false(clm_server_turn_is_over(w->server, w->conn)); /* root's never is */
    }
    clm_conn_free(w->conn);
    w->conn = NULL;
    assert_int_equal(waitpid(w->child, &status, 0), w->child);
    assert_int_equal(status, 0);
    if (code != CLM_OK && clm_server_accept(w->server, 0, &w->conn, NULL) == CLM_OK) {
        clm_conn_free(w->conn); /* nobody is forgotten for it */
        w->conn = NULL;
    }
}

/* The listening socket comes as systemd gives it, on descriptor 3. */
static void clients_are_accepted_or_it_is_said_why_not(void **state)
{
    struct world w = {.pair = {-1, -1}};
    const struct clm_sabotage plan = {.act = meet, .after = have_met, .arg = &w};
    const struct clm_sabotage soon = {
        .before = client_comes_soon, .act = wait_for_client, .after = client_has_come, .arg = &w};
    int saved = dup(3);

    (void)state;
    (void)snprintf(w.path, sizeof(w.path), "/tmp/clm-ipc.%d", (int)getpid());
    int fd = listen_at(w.path);
    if (fd != 3) {
        assert_int_equal(dup2(fd, 3), 3);
        (void)close(fd);
    }
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    clm_sabotage_on("calloc", 1, ENOMEM);
    assert_int_equal(clm_server_inherit(&w.server, NULL), CLM_E_NOMEM);
    assert_true(clm_sabotage_off());
    assert_null(w.server);
    fd = listen_at(strcat(w.path, "2")); /* the first one is closed, its name stays */
    if (fd != 3) {
        assert_int_equal(dup2(fd, 3), 3);
        (void)close(fd);
    }
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(clm_server_inherit(&w.server, NULL), CLM_OK);
    assert_true(clm_sabotage_run(&plan, NULL) > 8);
    assert_true(clm_sabotage_run(&soon, "ppoll poll accept4 calloc getsockopt") >= 6);
    clm_server_free(w.server);
    assert_int_equal(unlink(w.path), 0);
    w.path[strlen(w.path) - 1] = '\0';
    assert_int_equal(unlink(w.path), 0);
    if (saved >= 0) {
        assert_int_equal(dup2(saved, 3), 3);
        (void)close(saved);
    }
}

static enum clm_code start(void *arg, struct clm_err *err)
{
    struct world *w = arg;

    return clm_link_spawn("/bin/true", NULL, &w->link, err);
}

static void is_started(void *arg, enum clm_code code, const char *what)
{
    struct world *w = arg;

    if ((code == CLM_OK) != (w->link != NULL)) {
        fail_msg("%s: %s", what, clm_code_name(code));
    }
    clm_link_free(w->link);
    w->link = NULL;
}

static void host_half_is_started_or_it_is_said_why_not(void **state)
{
    struct world w = {.pair = {-1, -1}};
    const struct clm_sabotage plan = {.act = start, .after = is_started, .arg = &w};

    (void)state;
    assert_true(clm_sabotage_run(&plan, "socketpair fork calloc waitpid") >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_half_serves_or_says_why_not),
        cmocka_unit_test(without_memory_for_a_call_the_client_can_be_asked_again),
        cmocka_unit_test(network_half_asks_or_says_why_not),
        cmocka_unit_test(clients_are_accepted_or_it_is_said_why_not),
        cmocka_unit_test(host_half_is_started_or_it_is_said_why_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
