/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/job/txn_verify.h"

/* What is seen, letter by letter: N new, O old, X another, - nothing, D nothing and the unit is
 * down. The last letter is repeated for ever. */
static enum clm_served served_of(char c)
{
    switch (c) {
    case 'N':
        return CLM_SERVED_NEW;
    case 'O':
        return CLM_SERVED_OLD;
    case 'X':
        return CLM_SERVED_OTHER;
    default:
        return CLM_SERVED_NOTHING;
    }
}

/* Plays the script; returns the verdict and when it came. */
static enum clm_verdict play(const char *script, uint32_t deadline_ms, int64_t *out_ms,
                             unsigned *out_looks)
{
    struct clm_verify v;
    size_t at = 0;

    *out_looks = 0;
    clm_verify_start(&v, 0, deadline_ms);
    while (v.verdict == CLM_VERDICT_WAIT && *out_looks < 10000) {
        *out_ms = v.next_ms;
        clm_verify_feed(&v, served_of(script[at]), script[at] == 'D', v.next_ms);
        assert_true(v.next_ms > *out_ms);
        (*out_looks)++;
        at += script[at + 1] != '\0';
    }
    return v.verdict;
}

static void verdicts(void **state)
{
    static const struct {
        const char *script;
        enum clm_verdict want;
        int64_t at_least_ms;
        int64_t at_most_ms;
        const char *why;
    } rows[] = {
        {"N", CLM_VERDICT_PASS, 300, 300, "three over 300 ms"},
        {"ON", CLM_VERDICT_PASS, 325, 325, "the first look after a reload is old"},
        {"OOOOON", CLM_VERDICT_PASS, 600, 800, "old workers for a while"},
        {"NNON", CLM_VERDICT_PASS, 600, 700, "two new ones do not count before an old one"},
        {"NONONONONON", CLM_VERDICT_PASS, 1000, 5000, "workers alternate"},
        {"O", CLM_VERDICT_FAIL, 30000, 31000, "old until the deadline"},
        {"X", CLM_VERDICT_FAIL, 2000, 3000, "another one for two seconds"},
        {"-", CLM_VERDICT_FAIL, 2000, 3000, "nothing for two seconds"},
        {"D", CLM_VERDICT_FAIL, 0, 0, "the server is down"},
        {"X-X-X-X-X-X-X-X-X-X", CLM_VERDICT_FAIL, 2000, 3000, "odd in two ways"},
        {"--N", CLM_VERDICT_PASS, 300, 500, "a short refusal while it restarts"},
        {"XXXON", CLM_VERDICT_PASS, 300, 700, "odd, then old, then new"},
        {"NX", CLM_VERDICT_FAIL, 2000, 3200, "new once, then another"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        int64_t ms = -1;
        unsigned looks = 0;
        enum clm_verdict got = play(rows[i].script, 30000, &ms, &looks);

        if (got != rows[i].want || ms < rows[i].at_least_ms || ms > rows[i].at_most_ms) {
            fail_msg("row %zu (%s): verdict %d after %lld ms", i, rows[i].why, (int)got,
                     (long long)ms);
        }
    }
}

static enum clm_verdict feed_new_at(const int64_t *times, size_t n)
{
    struct clm_verify v;

    clm_verify_start(&v, 0, 30000);
    for (size_t i = 0; i < n; i++) {
        clm_verify_feed(&v, CLM_SERVED_NEW, false, times[i]);
    }
    return v.verdict;
}

/* Handshakes may be slow or fast: number and time are both asked for. */
static void three_and_300_ms_are_both_needed(void **state)
{
    static const int64_t two_slow[] = {0, 900};
    static const int64_t three_fast[] = {0, 1, 299};
    static const int64_t three_slow[] = {0, 1, 300};

    (void)state;
    assert_int_equal(feed_new_at(two_slow, 2), CLM_VERDICT_WAIT);
    assert_int_equal(feed_new_at(three_fast, 3), CLM_VERDICT_WAIT);
    assert_int_equal(feed_new_at(three_slow, 3), CLM_VERDICT_PASS);
}

static void waits_grow_to_a_second(void **state)
{
    struct clm_verify v;
    int64_t before = 0;

    (void)state;
    clm_verify_start(&v, 0, 1000000);
    clm_verify_feed(&v, CLM_SERVED_OLD, false, 0);
    assert_int_equal(v.next_ms, 25);
    for (int i = 0; i < 50; i++) {
        int64_t now = v.next_ms;

        clm_verify_feed(&v, CLM_SERVED_OLD, false, now);
        assert_true(v.next_ms - now >= before);
        assert_true(v.next_ms - now <= 1000);
        before = v.next_ms - now;
    }
    assert_int_equal(before, 1000);
}

static void an_old_certificate_costs_few_handshakes(void **state)
{
    unsigned looks = 0;
    int64_t ms = 0;

    (void)state;
    assert_int_equal(play("O", 30000, &ms, &looks), CLM_VERDICT_FAIL);
    assert_true(looks < 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(three_and_300_ms_are_both_needed),
        cmocka_unit_test(waits_grow_to_a_second),
        cmocka_unit_test(an_old_certificate_costs_few_handshakes),
    };

    return cmocka_run_group_tests_name("txn_verify", tests, NULL, NULL);
}
