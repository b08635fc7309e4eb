/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/rand.h"

static void bytes_differ(void **state)
{
    uint8_t a[300] = {0};
    uint8_t b[300] = {0};

    (void)state;
    assert_int_equal(clm_rand_bytes(a, sizeof(a), NULL), CLM_OK);
    assert_int_equal(clm_rand_bytes(b, sizeof(b), NULL), CLM_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 284, b + 284, 16);
    assert_int_equal(clm_rand_bytes(a, 0, NULL), CLM_OK);
}

static void below_covers_its_range(void **state)
{
    unsigned seen[7] = {0};

    (void)state;
    assert_int_equal(clm_rand_below(0), 0);
    assert_int_equal(clm_rand_below(1), 0);
    for (int i = 0; i < 7000; i++) {
        uint32_t value = clm_rand_below(7);

        assert_true(value < 7);
        seen[value]++;
    }
    /* 1000 expected, standard deviation 29: ten of them. */
    for (int i = 0; i < 7; i++) {
        assert_in_range(seen[i], 710, 1290);
    }
    for (int i = 0; i < 100; i++) {
        assert_true(clm_rand_below(UINT32_MAX) < UINT32_MAX);
    }
}

/* The time of a ULID, for comparison with the clock. */
static int64_t ulid_ms(const char *ulid)
{
    int64_t ms = 0;

    for (int i = 0; i < 10; i++) {
        const char *digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

        ms = ms * 32 + (strchr(digits, ulid[i]) - digits);
    }
    return ms;
}

static void ulid_starts_with_the_time(void **state)
{
    char ulid[CLM_ULID_SIZE];
    char other[CLM_ULID_SIZE];
    int64_t before_ms = clm_clock_now_ms();

    (void)state;
    assert_int_equal(clm_ulid_new(ulid, NULL), CLM_OK);
    assert_int_equal(clm_ulid_new(other, NULL), CLM_OK);
    assert_int_equal(strlen(ulid), 26);
    assert_true(ulid_ms(ulid) >= before_ms && ulid_ms(ulid) <= clm_clock_now_ms());
    assert_string_not_equal(ulid, other);
}

static void identifiers_are_prefix_and_ulid(void **state)
{
    char id[CLM_ID_SIZE];

    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(clm_id_new("job", id, NULL), CLM_OK);
        assert_int_equal(strlen(id), 30);
        assert_true(clm_id_is_valid("job", id));
        assert_false(clm_id_is_valid("agt", id));
        assert_false(clm_id_is_valid("jo", id));
    }
    assert_int_equal(clm_id_new("abcd", id, NULL), CLM_OK);
    assert_true(clm_id_is_valid("abcd", id));
}

static void prefix_is_two_to_four_small_letters(void **state)
{
    static const char *const bad[] = {"", "a", "abcde", "AB", "a1", "a_", "ab "};
    char id[CLM_ID_SIZE] = "x";

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        assert_int_equal(clm_id_new(bad[i], id, NULL), CLM_E_INVAL);
        assert_string_equal(id, "");
        assert_false(clm_id_is_valid(bad[i], "ab_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    }
}

static void other_identifiers_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "job",
        "job_",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FA",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAVX",
        "job_01arz3ndektsv4rrffq69g5fav",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAL",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAO",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAV/..",
        "job-01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FA/",
        "job_../../../../../etc/passwd0",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FA\n",
        "Job_01ARZ3NDEKTSV4RRFFQ69G5FAV",
    };

    (void)state;
    assert_true(clm_id_is_valid("job", "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        if (clm_id_is_valid("job", bad[i])) {
            fail_msg("accepted '%s'", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_differ),
        cmocka_unit_test(below_covers_its_range),
        cmocka_unit_test(ulid_starts_with_the_time),
        cmocka_unit_test(identifiers_are_prefix_and_ulid),
        cmocka_unit_test(prefix_is_two_to_four_small_letters),
        cmocka_unit_test(other_identifiers_are_refused),
    };

    return cmocka_run_group_tests_name("rand", tests, NULL, NULL);
}
