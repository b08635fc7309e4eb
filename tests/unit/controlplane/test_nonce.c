/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/nonce.h"

#define NOW 1795225945

static struct clm_cp_nonces *nonces;

static int open_table(void **state)
{
    (void)state;
    return clm_cp_nonces_new(&nonces, NULL) == CLM_OK ? 0 : -1;
}

static int close_table(void **state)
{
    (void)state;
    clm_cp_nonces_free(nonces);
    return 0;
}

static bool is_fresh(const char *nonce, int64_t now_s)
{
    bool fresh = false;

    assert_int_equal(clm_cp_nonce_check(nonces, nonce, now_s, &fresh, NULL), CLM_OK);
    return fresh;
}

static void a_nonce_is_fresh_for_its_life(void **state)
{
    char nonce[CLM_CP_NONCE_SIZE];

    (void)state;
    assert_int_equal(clm_cp_nonce_make(nonces, NOW, nonce, NULL), CLM_OK);
    assert_true(is_fresh(nonce, NOW));
    assert_true(is_fresh(nonce, NOW + CLM_CP_NONCE_LIFE_S));
    assert_false(is_fresh(nonce, NOW + CLM_CP_NONCE_LIFE_S + 1));
    assert_false(is_fresh(nonce, NOW - 60));
}

static void a_used_nonce_is_not_fresh(void **state)
{
    char nonce[CLM_CP_NONCE_SIZE];
    char other[CLM_CP_NONCE_SIZE];

    (void)state;
    assert_int_equal(clm_cp_nonce_make(nonces, NOW, nonce, NULL), CLM_OK);
    assert_int_equal(clm_cp_nonce_make(nonces, NOW, other, NULL), CLM_OK);
    assert_string_not_equal(nonce, other);
    clm_cp_nonce_use(nonces, nonce);
    assert_false(is_fresh(nonce, NOW));
    assert_true(is_fresh(other, NOW));
}

static void what_we_did_not_make_is_not_fresh(void **state)
{
    static const char *const bad[] = {"", "x", "Tk5OTk5OTk5OTk5OTk5OTg",
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                      "+++++++++++++++++++++++++++++++++++++++++++"};
    struct clm_cp_nonces *others = NULL;
    char nonce[CLM_CP_NONCE_SIZE];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        assert_false(is_fresh(bad[i], 0));
        assert_false(is_fresh(bad[i], NOW));
    }
    assert_int_equal(clm_cp_nonces_new(&others, NULL), CLM_OK);
    assert_int_equal(clm_cp_nonce_make(others, NOW, nonce, NULL), CLM_OK);
    assert_false(is_fresh(nonce, NOW));
    clm_cp_nonces_free(others);
}

static void every_changed_character_is_noticed(void **state)
{
    char nonce[CLM_CP_NONCE_SIZE];

    (void)state;
    assert_int_equal(clm_cp_nonce_make(nonces, NOW, nonce, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_CP_NONCE_SIZE - 1; i++) {
        char saved = nonce[i];

        nonce[i] = saved == 'Q' ? 'R' : 'Q';
        if (is_fresh(nonce, NOW)) {
            fail_msg("character %zu does not matter", i);
        }
        nonce[i] = saved;
    }
}

int main(void)
{
#define TABLE_TEST(f) cmocka_unit_test_setup_teardown(f, open_table, close_table)
    const struct CMUnitTest tests[] = {
        TABLE_TEST(a_nonce_is_fresh_for_its_life),
        TABLE_TEST(a_used_nonce_is_not_fresh),
        TABLE_TEST(what_we_did_not_make_is_not_fresh),
        TABLE_TEST(every_changed_character_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
