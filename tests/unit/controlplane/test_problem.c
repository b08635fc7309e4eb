/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/problem.h"

static void every_problem_has_a_row(void **state)
{
    (void)state;
    for (int i = 0; i < CLM_CP_PROBLEM__COUNT; i++) {
        const struct clm_cp_problem_info *info = clm_cp_problem_info((enum clm_cp_problem)i);

        if (info->code == NULL || info->title == NULL || info->status < 400 || info->status > 599) {
            fail_msg("problem %d has no complete row", i);
        }
    }
}

static void one_code_has_one_meaning(void **state)
{
    (void)state;
    for (int i = 0; i < CLM_CP_PROBLEM__COUNT; i++) {
        for (int k = 0; k < i; k++) {
            const struct clm_cp_problem_info *a = clm_cp_problem_info((enum clm_cp_problem)i);
            const struct clm_cp_problem_info *b = clm_cp_problem_info((enum clm_cp_problem)k);
            bool is_same = strcmp(a->code, b->code) == 0;

            /* 413 and 431 share "too-large": protocol.md 6.5 */
            if (is_same && strcmp(a->code, "too-large") != 0) {
                fail_msg("'%s' stands there twice", a->code);
            }
        }
    }
}

static void server_faults_and_limits_may_be_tried_again(void **state)
{
    (void)state;
    for (int i = 0; i < CLM_CP_PROBLEM__COUNT; i++) {
        const struct clm_cp_problem_info *info = clm_cp_problem_info((enum clm_cp_problem)i);

        if (info->status >= 500 || info->status == 429 || info->status == 423) {
            assert_true(info->retryable);
        }
        if (info->status == 400 || info->status == 422) {
            assert_false(info->retryable);
        }
    }
}

static void only_bad_input_is_the_clients_fault(void **state)
{
    static const enum clm_code theirs[] = {CLM_E_PARSE, CLM_E_LIMIT, CLM_E_INVAL};

    (void)state;
    for (int i = 1; i < CLM_E__COUNT; i++) {
        bool is_theirs = false;

        for (size_t k = 0; k < CLM_ARRAY_LEN(theirs); k++) {
            is_theirs |= theirs[k] == (enum clm_code)i;
        }
        assert_int_equal(clm_cp_problem_of((enum clm_code)i),
                         is_theirs ? CLM_CP_SCHEMA : CLM_CP_INTERNAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_problem_has_a_row),
        cmocka_unit_test(one_code_has_one_meaning),
        cmocka_unit_test(server_faults_and_limits_may_be_tried_again),
        cmocka_unit_test(only_bad_input_is_the_clients_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
