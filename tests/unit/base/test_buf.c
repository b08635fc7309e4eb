/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <wchar.h>

#include "agent/base/buf.h"
#include "tests/support/torture.h"

static void empty_is_the_empty_string(void **state)
{
    struct clm_buf buf = CLM_BUF_INIT(10);

    (void)state;
    assert_string_equal(clm_buf_str(&buf), "");
    clm_buf_reset(&buf);
    clm_buf_done(&buf);
    clm_buf_done(&buf);
    assert_int_equal(buf.max, 10);
}

static void content_is_followed_by_a_nul(void **state)
{
    struct clm_buf buf = CLM_BUF_INIT(1000);

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(clm_buf_add(&buf, "x", 1, NULL), CLM_OK);
        assert_int_equal(buf.data[buf.len], 0);
        assert_true(buf.cap > buf.len);
    }
    assert_int_equal(strlen(clm_buf_str(&buf)), 1000);
    clm_buf_done(&buf);
}

static void maximum_is_exact_and_failure_changes_nothing(void **state)
{
    struct clm_buf buf = CLM_BUF_INIT(5);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_buf_add_str(&buf, "12345", &err), CLM_OK);
    assert_int_equal(clm_buf_add(&buf, "", 0, &err), CLM_OK);
    assert_int_equal(clm_buf_add(&buf, "6", 1, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "content exceeds 5 bytes");
    assert_int_equal(clm_buf_addf(&buf, &err, "%d", 6), CLM_E_LIMIT);
    assert_int_equal(clm_buf_reserve(&buf, SIZE_MAX, &err), CLM_E_LIMIT);
    assert_string_equal(clm_buf_str(&buf), "12345");
    assert_int_equal(buf.len, 5);
    clm_buf_done(&buf);
}

static void sizes_do_not_wrap_around(void **state)
{
    struct clm_buf buf = CLM_BUF_INIT(SIZE_MAX);

    (void)state;
    assert_int_equal(clm_buf_add(&buf, "abc", 3, NULL), CLM_OK);
    assert_int_equal(clm_buf_reserve(&buf, SIZE_MAX - 3, NULL), CLM_E_NOMEM);
    assert_int_equal(clm_buf_reserve(&buf, SIZE_MAX - 2, NULL), CLM_E_LIMIT);
    assert_string_equal(clm_buf_str(&buf), "abc");
    clm_buf_done(&buf);
}

static void reserve_gives_room_that_ends_in_nul(void **state)
{
    struct clm_buf buf = CLM_BUF_INIT(100);

    (void)state;
    assert_int_equal(clm_buf_add_str(&buf, "ab", NULL), CLM_OK);
    assert_int_equal(clm_buf_reserve(&buf, 98, NULL), CLM_OK);
    memcpy(buf.data + buf.len, "ccc", 3);
    buf.len += 3;
    assert_string_equal((const char *)buf.data, "abccc");
    assert_int_equal(clm_buf_reserve(&buf, 95, NULL), CLM_OK);
    memset(buf.data + buf.len, 'd', 95);
    buf.len += 1;
    assert_string_equal(clm_buf_str(&buf), "abcccd");
    clm_buf_done(&buf);
}

static void bytes_may_be_nul(void **state)
{
    struct clm_buf buf = CLM_BUF_INIT(100);

    (void)state;
    assert_int_equal(clm_buf_add(&buf, "a\0b", 3, NULL), CLM_OK);
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "a\0b", 4);
    clm_buf_done(&buf);
}

static void reset_of_a_secret_wipes_all_of_it(void **state)
{
    static const uint8_t zero[64];
    struct clm_buf buf = CLM_BUF_SECRET_INIT(1000);

    (void)state;
    assert_int_equal(clm_buf_add_str(&buf, "correct horse", NULL), CLM_OK);
    clm_buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_true(buf.cap >= sizeof(zero));
    assert_memory_equal(buf.data, zero, sizeof(zero));
    clm_buf_done(&buf);
}

static void a_secret_survives_moving(void **state)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(10000);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(clm_buf_addf(&buf, NULL, "%03d,", i), CLM_OK);
    }
    assert_int_equal(buf.len, 4000);
    assert_memory_equal(buf.data, "000,001,002,", 12);
    assert_memory_equal(buf.data + 3988, "997,998,999,", 13);
    clm_buf_done(&buf);
}

static enum clm_code fill(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf buf = *(struct clm_buf *)arg;
    enum clm_code code = CLM_OK;

    for (int i = 0; i < 100 && code == CLM_OK; i++) {
        size_t len = buf.len;

        code = clm_buf_addf(&buf, err, "line %d\n", i);
        if (code != CLM_OK) {
            assert_int_equal(buf.len, len);
            assert_true(buf.data == NULL || buf.data[len] == 0);
        }
    }
    return code;
}

static void every_allocation_may_fail(void **state)
{
    struct clm_buf plain = CLM_BUF_INIT(4096);
    struct clm_buf secret = CLM_BUF_SECRET_INIT(4096);

    (void)state;
    assert_true(clm_torture(fill, &plain) >= 4);
    assert_true(clm_torture(fill, &secret) >= 4);
}

static void a_limit_below_the_content_lets_nothing_in(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf buf = CLM_BUF_INIT(10);

    (void)state;
    assert_int_equal(clm_buf_add_str(&buf, "five.", NULL), CLM_OK);
    buf.max = 3;
    assert_int_equal(clm_buf_add_str(&buf, "", NULL), CLM_E_LIMIT);
    assert_string_equal(clm_buf_str(&buf), "five.");
}

/* The locale of tests is "C": it has no euro sign. */
static void a_text_that_cannot_be_formatted_is_refused(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf buf = CLM_BUF_INIT(10);

    (void)state;
    assert_int_equal(clm_buf_addf(&buf, NULL, "%ls", L"\x20ac"), CLM_E_LIMIT);
    assert_int_equal(buf.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_below_the_content_lets_nothing_in),
        cmocka_unit_test(a_text_that_cannot_be_formatted_is_refused),
        cmocka_unit_test(empty_is_the_empty_string),
        cmocka_unit_test(content_is_followed_by_a_nul),
        cmocka_unit_test(maximum_is_exact_and_failure_changes_nothing),
        cmocka_unit_test(sizes_do_not_wrap_around),
        cmocka_unit_test(reserve_gives_room_that_ends_in_nul),
        cmocka_unit_test(bytes_may_be_nul),
        cmocka_unit_test(reset_of_a_secret_wipes_all_of_it),
        cmocka_unit_test(a_secret_survives_moving),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
