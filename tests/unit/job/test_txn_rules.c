/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/attr.h"
#include "agent/job/txn_rules.h"

#define O CLM_SEEN_OLD
#define N CLM_SEEN_NEW
#define F CLM_SEEN_FOREIGN
#define M CLM_SEEN_MISSING

/* Every combination, written down by hand: the rules are a shorter way to say the same. */
static void undo_of_every_combination(void **state)
{
    static const struct {
        bool old_absent;
        enum clm_seen target;
        enum clm_seen temp;
        enum clm_undo want;
    } rows[] = {
        {false, O, O, CLM_UNDO_KEEP},     {false, O, N, CLM_UNDO_KEEP},
        {false, O, F, CLM_UNDO_STOP},     {false, O, M, CLM_UNDO_KEEP},
        {false, N, O, CLM_UNDO_EXCHANGE}, {false, N, N, CLM_UNDO_COPY},
        {false, N, F, CLM_UNDO_EXCHANGE}, {false, N, M, CLM_UNDO_COPY},
        {false, F, O, CLM_UNDO_STOP},     {false, F, N, CLM_UNDO_LEAVE},
        {false, F, F, CLM_UNDO_STOP},     {false, F, M, CLM_UNDO_STOP},
        {false, M, O, CLM_UNDO_PUT_BACK}, {false, M, N, CLM_UNDO_COPY},
        {false, M, F, CLM_UNDO_COPY},     {false, M, M, CLM_UNDO_COPY},
        {true, O, O, CLM_UNDO_KEEP},      {true, O, N, CLM_UNDO_KEEP},
        {true, O, F, CLM_UNDO_STOP},      {true, O, M, CLM_UNDO_KEEP},
        {true, N, O, CLM_UNDO_REMOVE},    {true, N, N, CLM_UNDO_REMOVE},
        {true, N, F, CLM_UNDO_REMOVE},    {true, N, M, CLM_UNDO_REMOVE},
        {true, F, O, CLM_UNDO_STOP},      {true, F, N, CLM_UNDO_LEAVE},
        {true, F, F, CLM_UNDO_STOP},      {true, F, M, CLM_UNDO_STOP},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        enum clm_undo got = clm_txn_undo_rule(rows[i].old_absent, rows[i].target, rows[i].temp);

        if (got != rows[i].want) {
            fail_msg("row %zu: %d, not %d", i, (int)got, (int)rows[i].want);
        }
    }
}

static void recovery_of_every_state(void **state)
{
    static const struct {
        enum clm_txn_state state;
        enum clm_recover mixed;       /* not all targets new */
        enum clm_recover new_expired; /* all new, and the old one had expired */
        enum clm_recover new_good;    /* all new, and the old one is good */
    } rows[] = {
        {CLM_TXN_NONE, CLM_RECOVER_QUARANTINE, CLM_RECOVER_QUARANTINE, CLM_RECOVER_QUARANTINE},
        {CLM_TXN_PREPARED, CLM_RECOVER_SWEEP, CLM_RECOVER_SWEEP, CLM_RECOVER_SWEEP},
        {CLM_TXN_SWAPPING, CLM_RECOVER_UNDO, CLM_RECOVER_UNDO, CLM_RECOVER_UNDO},
        {CLM_TXN_SWAPPED, CLM_RECOVER_UNDO, CLM_RECOVER_UNDO, CLM_RECOVER_UNDO},
        {CLM_TXN_RELOADED, CLM_RECOVER_UNDO, CLM_RECOVER_KEEP_NEW, CLM_RECOVER_UNDO},
        {CLM_TXN_COMMITTED, CLM_RECOVER_FINISH_NEW, CLM_RECOVER_FINISH_NEW, CLM_RECOVER_FINISH_NEW},
        {CLM_TXN_UNDOING, CLM_RECOVER_UNDO, CLM_RECOVER_UNDO, CLM_RECOVER_UNDO},
        {CLM_TXN_UNDONE, CLM_RECOVER_FINISH_OLD, CLM_RECOVER_FINISH_OLD, CLM_RECOVER_FINISH_OLD},
        {CLM_TXN_KEPT, CLM_RECOVER_FINISH_LEFT, CLM_RECOVER_FINISH_LEFT, CLM_RECOVER_FINISH_LEFT},
    };

    (void)state;
    assert_int_equal(CLM_ARRAY_LEN(rows), CLM_TXN_STATE__COUNT);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        assert_int_equal(clm_txn_recover_rule(rows[i].state, false, false), rows[i].mixed);
        assert_int_equal(clm_txn_recover_rule(rows[i].state, false, true), rows[i].mixed);
        assert_int_equal(clm_txn_recover_rule(rows[i].state, true, true), rows[i].new_expired);
        assert_int_equal(clm_txn_recover_rule(rows[i].state, true, false), rows[i].new_good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undo_of_every_combination),
        cmocka_unit_test(recovery_of_every_state),
    };

    return cmocka_run_group_tests_name("txn_rules", tests, NULL, NULL);
}
