/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/ipc/waiting.h"

#define NOBODY 65534

struct place {
    struct sockaddr_un addr;
    char dir[64];
    int listen_fd;
    struct clm_waiting waiting;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/clm-waiting.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->addr.sun_family = AF_UNIX;
    (void)snprintf(p->addr.sun_path, sizeof(p->addr.sun_path), "%s/s", p->dir);
    p->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listen_fd, (struct sockaddr *)&p->addr, sizeof(p->addr)), 0);
    assert_int_equal(listen(p->listen_fd, 4 * CLM_WAITING_MAX), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    clm_waiting_done(&p->waiting);
    (void)close(p->listen_fd);
    (void)unlink(p->addr.sun_path);
    (void)rmdir(p->dir);
    free(p);
    return 0;
}

/* The letter says who it was, when it is served. */
static int come(const struct place *p, uid_t uid, char letter)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(chmod(p->dir, 0755), 0);
    assert_int_equal(chmod(p->addr.sun_path, 0666), 0);
    assert_int_equal(seteuid(uid), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&p->addr, sizeof(p->addr)), 0);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(write(fd, &letter, 1), 1);
    return fd;
}

static char served(struct place *p)
{
    int fd = clm_waiting_next(&p->waiting);
    char letter = '-';

    if (fd >= 0) {
        assert_int_equal(read(fd, &letter, 1), 1);
        (void)close(fd);
    }
    return letter;
}

static void root_is_first(void **state)
{
    struct place *p = *state;
    int fds[4];

    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(served(p), '-');
    fds[0] = come(p, NOBODY, 'a');
    fds[1] = come(p, NOBODY, 'b');
    clm_waiting_take(&p->waiting, p->listen_fd);
    assert_false(clm_waiting_has_root(&p->waiting));
    fds[2] = come(p, 0, 'r');
    fds[3] = come(p, NOBODY, 'c');
    clm_waiting_take(&p->waiting, p->listen_fd);
    assert_true(clm_waiting_has_root(&p->waiting));
    assert_int_equal(served(p), 'r');
    assert_int_equal(served(p), 'a');
    assert_int_equal(served(p), 'b');
    assert_int_equal(served(p), 'c');
    assert_int_equal(served(p), '-');
    for (int i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
}

static void a_crowd_does_not_keep_root_out(void **state)
{
    struct place *p = *state;
    int fds[3 * CLM_WAITING_MAX + 1];
    size_t n = 0;

    if (geteuid() != 0) {
        skip();
    }
    for (; n < 3 * (size_t)CLM_WAITING_MAX; n++) {
        fds[n] = come(p, NOBODY, n == 0 ? 'a' : 'n');
    }
    fds[n++] = come(p, 0, 'r');
    clm_waiting_take(&p->waiting, p->listen_fd);
    assert_int_equal(p->waiting.n, CLM_WAITING_MAX);
    assert_int_equal(served(p), 'r');
    assert_int_equal(served(p), 'a'); /* who came first is not pushed out */
    assert_int_equal(served(p), 'n');
    while (n > 0) {
        (void)close(fds[--n]);
    }
}

/* There is nobody to send away for another one of root's. */
static void queue_full_of_roots_takes_nobody_in(void **state)
{
    struct place *p = *state;
    int fds[CLM_WAITING_MAX + 1];
    char letter;
    size_t n = 0;

    for (; n <= (size_t)CLM_WAITING_MAX; n++) {
        fds[n] = come(p, geteuid(), n == 0 ? 'a' : n < CLM_WAITING_MAX ? 'r' : 'z');
    }
    clm_waiting_take(&p->waiting, p->listen_fd);
    assert_int_equal(p->waiting.n, CLM_WAITING_MAX);
    assert_true(read(fds[--n], &letter, 1) <= 0); /* who came last hears the end */
    (void)close(fds[n]);
    assert_int_equal(served(p), 'a');
    for (size_t i = 1; i < n; i++) {
        assert_int_equal(served(p), 'r');
    }
    assert_int_equal(served(p), '-');
    while (n > 0) {
        (void)close(fds[--n]);
    }
}

/* Who comes last goes if he is not root, and if somebody before root has to, it is the last of those. */
static void last_of_the_others_makes_room_for_root(void **state)
{
    struct place *p = *state;
    int fds[CLM_WAITING_MAX + 1];
    size_t n = 0;

    if (geteuid() != 0) {
        skip();
    }
    for (; n <= (size_t)CLM_WAITING_MAX; n++) {
        fds[n] = come(p, n < 2 ? NOBODY : 0, n == 0 ? 'a' : n == 1 ? 'b' : 'r');
    }
    clm_waiting_take(&p->waiting, p->listen_fd);
    for (size_t i = 2; i < n; i++) {
        assert_int_equal(served(p), 'r');
    }
    assert_int_equal(served(p), 'a');
    assert_int_equal(served(p), '-'); /* b had to go */
    while (n > 0) {
        (void)close(fds[--n]);
    }
}

/* A crowd that has gone takes no room from who comes next, root or not; who still waits keeps his place. */
static void who_hung_up_makes_room(void **state)
{
    struct place *p = *state;
    int stays;
    int comes;

    if (geteuid() != 0) {
        skip();
    }
    for (size_t i = 1; i < CLM_WAITING_MAX; i++) {
        (void)close(come(p, i % 2 == 0 ? 0 : NOBODY, 'g'));
    }
    stays = come(p, NOBODY, 's');
    clm_waiting_take(&p->waiting, p->listen_fd);
    assert_int_equal(p->waiting.n, CLM_WAITING_MAX);
    comes = come(p, NOBODY, 'c');
    clm_waiting_take(&p->waiting, p->listen_fd);
    assert_int_equal(p->waiting.n, 2);
    assert_int_equal(served(p), 's');
    assert_int_equal(served(p), 'c');
    (void)close(stays);
    (void)close(comes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(root_is_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crowd_does_not_keep_root_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queue_full_of_roots_takes_nobody_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_hung_up_makes_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(last_of_the_others_makes_room_for_root, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
