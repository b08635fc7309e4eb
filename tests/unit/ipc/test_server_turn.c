/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn ends when root waits; a wait for clients that is disturbed; a reply that is too long. */
#include "tests/unit/ipc/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/server.h"
#include "tests/support/sabotage.h"

#define NOBODY    65534
#define LISTEN_FD 3

static int64_t ahead_ms; /* of the real clock */

int64_t __real_clm_clock_mono_ms(void);
int64_t __wrap_clm_clock_mono_ms(void);

int64_t __wrap_clm_clock_mono_ms(void)
{
    return __real_clm_clock_mono_ms() + ahead_ms;
}

struct world {
    struct sockaddr_un addr;
    char dir[64];
    int saved_fd; /* what was descriptor 3 */
    struct clm_server *server;
};

static int world_open(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    int fd;

    w->saved_fd = dup(LISTEN_FD);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/clm-turn.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(chmod(w->dir, 0755), 0);
    w->addr.sun_family = AF_UNIX;
    (void)snprintf(w->addr.sun_path, sizeof(w->addr.sun_path), "%s/s", w->dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&w->addr, sizeof(w->addr)), 0);
    assert_int_equal(chmod(w->addr.sun_path, 0666), 0);
    assert_int_equal(listen(fd, 8), 0);
    if (fd != LISTEN_FD) {
        assert_int_equal(dup2(fd, LISTEN_FD), LISTEN_FD);
        (void)close(fd);
    }
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    assert_int_equal(clm_server_inherit(&w->server, NULL), CLM_OK);
    *state = w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;

    clm_server_free(w->server);
    (void)unlink(w->addr.sun_path);
    (void)rmdir(w->dir);
    if (w->saved_fd >= 0) {
        assert_int_equal(dup2(w->saved_fd, LISTEN_FD), LISTEN_FD);
        (void)close(w->saved_fd);
    }
    free(w);
    ahead_ms = 0;
    return 0;
}

static int come(const struct world *w, uid_t uid)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(seteuid(uid), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&w->addr, sizeof(w->addr)), 0);
    assert_int_equal(seteuid(0), 0);
    return fd;
}

static void only_others_turns_end_and_only_for_root(void **state)
{
    struct world *w = *state;
    struct clm_conn *conn = NULL;
    int fds[4];

    if (geteuid() != 0) {
        skip();
    }
    fds[0] = come(w, NOBODY);
    assert_int_equal(clm_server_accept(w->server, 1000, &conn, NULL), CLM_OK);
    assert_false(clm_conn_peer(conn)->is_root);
    fds[1] = come(w, NOBODY);
    ahead_ms = CLM_SERVER_TURN_MS + 1000;
    assert_false(clm_server_turn_is_over(w->server, conn)); /* not for one like it */
    fds[2] = come(w, 0);
    ahead_ms = 0;
    assert_false(clm_server_turn_is_over(w->server, conn)); /* it has just come */
    ahead_ms = CLM_SERVER_TURN_MS + 1000;
    assert_true(clm_server_turn_is_over(w->server, conn));
    clm_conn_free(conn);
    assert_int_equal(clm_server_accept(w->server, 1000, &conn, NULL), CLM_OK);
    assert_true(clm_conn_peer(conn)->is_root);
    fds[3] = come(w, 0);
    ahead_ms *= 2;
    assert_false(clm_server_turn_is_over(w->server, conn)); /* root's own never does */
    clm_conn_free(conn);
    for (int i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
}

/* Somebody comes once it is waited for; the first try to take him in fails with this. */
static enum clm_code accept_late(struct world *w, int sys_errno, struct clm_conn **out,
                                 struct clm_err *err)
{
    pid_t pid = fork();
    enum clm_code code;
    int status = -1;

    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        clm_clock_sleep_ms(20);
        _exit(connect(fd, (const struct sockaddr *)&w->addr, sizeof(w->addr)) == 0 ? 0 : 1);
    }
    clm_sabotage_on("accept4", 1, sys_errno);
    code = clm_server_accept(w->server, 5000, out, err);
    assert_true(clm_sabotage_off());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return code;
}

static void client_who_went_again_is_no_error(void **state)
{
    static const int passing[] = {EINTR, EAGAIN, ECONNABORTED};
    struct world *w = *state;
    struct clm_conn *conn = NULL;
    struct clm_err err = {0};

    for (size_t i = 0; i < CLM_ARRAY_LEN(passing); i++) {
        assert_int_equal(accept_late(w, passing[i], &conn, NULL), CLM_OK);
        assert_non_null(conn);
        clm_conn_free(conn);
    }
    assert_int_equal(accept_late(w, EMFILE, &conn, &err), CLM_E_IO);
    assert_null(conn);
    assert_non_null(strstr(err.msg, "accept a client"));
}

static void reply_of_more_than_four_mebibytes_becomes_a_fail(void **state)
{
    struct world *w = *state;
    struct clm_conn *conn = NULL;
    struct clm_json *reply = clm_json_new_object();
    struct clm_json *list = clm_json_set_array(reply, "list");
    struct clm_err err = {0};
    char text[1024];
    int fd = come(w, geteuid());

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i <= CLM_FRAME_JOINED_MAX / sizeof(text); i++) {
        clm_json_add_str(list, text);
    }
    assert_int_equal(clm_server_accept(w->server, 1000, &conn, NULL), CLM_OK);
    assert_int_equal(clm_conn_reply(conn, reply, &err), CLM_E_LIMIT);
    assert_int_equal(get(fd, text, sizeof(text)), CLM_FRAME_FAIL);
    assert_non_null(strstr(text, "E_LIMIT"));
    clm_json_free(reply);
    clm_conn_free(conn);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)
        IN_WORLD(only_others_turns_end_and_only_for_root),
        IN_WORLD(client_who_went_again_is_no_error),
        IN_WORLD(reply_of_more_than_four_mebibytes_becomes_a_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
