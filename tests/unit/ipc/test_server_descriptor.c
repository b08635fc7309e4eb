/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors the host half is given that are not what it is to be given. */
#include "tests/unit/ipc/peer.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "agent/ipc/server.h"

static int status_of(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void wrong_inheritance_is_refused(void **state)
{
    static const struct {
        const char *pid;
        const char *fds;
    } rows[] = {{"1", "1"}, {"x", "1"}, {NULL, NULL}, {NULL, "0"}, {NULL, "2"}, {NULL, "1"}};
    struct clm_server *server = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            (void)close(3);
            (void)unsetenv("LISTEN_PID");
            (void)unsetenv("LISTEN_FDS");
            if (rows[i].pid != NULL) {
                (void)setenv("LISTEN_PID", rows[i].pid, 1);
            }
            if (rows[i].fds != NULL) {
                (void)setenv("LISTEN_FDS", rows[i].fds, 1);
            }
            _exit(clm_server_inherit(&server, NULL) == CLM_E_INVAL ? 0 : 1);
        }
        assert_int_equal(status_of(pid), 0);
    }
}

/* Descriptor 3 is a pipe, a datagram socket, or a stream socket that does not listen. */
static void inherited_descriptor_of_another_kind_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            struct clm_server *server = NULL;
            struct clm_err err = {0};
            int fds[2];
            int made = kind == 0
                           ? pipe(fds)
                           : socketpair(AF_UNIX, kind == 1 ? SOCK_DGRAM : SOCK_STREAM, 0, fds);

            if (made != 0 || (fds[0] != 3 && dup2(fds[0], 3) != 3) ||
                setenv("LISTEN_FDS", "1", 1) != 0) {
                _exit(1);
            }
            _exit(clm_server_inherit(&server, &err) == CLM_E_INVAL && server == NULL &&
                          strstr(err.msg, "no listening") != NULL
                      ? 0
                      : 2);
        }
        assert_int_equal(status_of(pid), 0);
    }
}

static void descriptors_of_other_kinds_are_refused(void **state)
{
    struct clm_server *server = NULL;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(clm_server_from_fd_take(fds[0], &server, NULL), CLM_E_INVAL);
    (void)close(fds[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    assert_int_equal(clm_server_from_fd_take(fds[0], &server, NULL), CLM_E_INVAL);
    (void)close(fds[1]);
    assert_int_equal(clm_server_from_fd_take(-1, &server, NULL), CLM_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_inheritance_is_refused),
        cmocka_unit_test(inherited_descriptor_of_another_kind_is_refused),
        cmocka_unit_test(descriptors_of_other_kinds_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
