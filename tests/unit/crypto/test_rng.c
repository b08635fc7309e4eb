/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/crypto/rng.h"

static void two_fills_differ_and_long_ones_work(void **state)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    struct clm_err err = {0};
    uint8_t a[5000] = {0}; /* more than CTR_DRBG gives at once */
    uint8_t b[5000] = {0};
    size_t zeros = 0;

    (void)state;
    assert_int_equal(clm_rng_new(&rng, &err), CLM_OK);
    assert_int_equal(clm_rng_fill(rng, a, sizeof(a), &err), CLM_OK);
    assert_int_equal(clm_rng_fill(rng, b, sizeof(b), &err), CLM_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    for (size_t i = 0; i < sizeof(a); i++) {
        zeros += a[i] == 0;
    }
    assert_in_range(zeros, 1, 100); /* 20 expected; the tail was filled, too */
    assert_memory_not_equal(a + 4900, (uint8_t[100]){0}, 100);
    assert_int_equal(clm_rng_fill(rng, a, 0, &err), CLM_OK);
}

/* Without the reseeding both processes would continue the same stream. */
static void child_does_not_repeat_its_parent(void **state)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    uint8_t mine[32];
    uint8_t its[32] = {0};
    int fds[2];
    int status = -1;
    pid_t pid;

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        uint8_t out[32];
        int ok = clm_rng_fill(rng, out, sizeof(out), NULL) == CLM_OK &&
                 write(fds[1], out, sizeof(out)) == (ssize_t)sizeof(out);

        _exit(ok ? 0 : 1);
    }
    assert_int_equal(clm_rng_fill(rng, mine, sizeof(mine), NULL), CLM_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], its, sizeof(its)), sizeof(its));
    assert_memory_not_equal(mine, its, sizeof(mine));
    (void)close(fds[0]);
    (void)close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_fills_differ_and_long_ones_work),
        cmocka_unit_test(child_does_not_repeat_its_parent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
