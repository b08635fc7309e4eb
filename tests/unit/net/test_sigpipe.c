/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/net/sigpipe.h"

static void write_to_nobody(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    (void)close(ends[1]);
}

static bool is_blocked(void)
{
    sigset_t mask;

    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    return sigismember(&mask, SIGPIPE) == 1;
}

static bool is_pending(void)
{
    sigset_t set;

    assert_int_equal(sigpending(&set), 0);
    return sigismember(&set, SIGPIPE) == 1;
}

static void a_peer_that_is_gone_ends_nobody(void **state)
{
    struct clm_sigpipe hold;

    (void)state;
    assert_int_equal((int)(signal(SIGPIPE, SIG_DFL) == SIG_ERR), 0);
    for (int i = 0; i < 2; i++) {
        clm_sigpipe_hold(&hold);
        assert_true(is_blocked());
        write_to_nobody();
        clm_sigpipe_release(&hold);
        assert_false(is_blocked());
    }
}

static void a_mask_and_a_signal_from_before_are_left(void **state)
{
    struct clm_sigpipe outer;
    struct clm_sigpipe inner;

    (void)state;
    clm_sigpipe_hold(&outer);
    write_to_nobody();
    clm_sigpipe_hold(&inner);
    write_to_nobody();
    clm_sigpipe_release(&inner);
    assert_true(is_blocked());
    assert_true(is_pending());
    clm_sigpipe_release(&outer);
    assert_false(is_pending());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_is_gone_ends_nobody),
        cmocka_unit_test(a_mask_and_a_signal_from_before_are_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
