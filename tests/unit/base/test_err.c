/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/base/err.h"

static void wrap_puts_context_in_front(void **state)
{
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_err_sys(&err, ENOENT, "open '%s'", "/x"), CLM_E_NOTFOUND);
    assert_int_equal(clm_err_wrap(&err, CLM_E_BUG, "target '%s'", "web"), CLM_E_NOTFOUND);
    assert_string_equal(err.msg, "target 'web': open '/x': No such file or directory");
    assert_int_equal(err.sys_errno, ENOENT);
}

static void wrap_never_overflows(void **state)
{
    struct clm_err err = {0};

    (void)state;
    (void)clm_err_set(&err, CLM_E_IO, "%0600d", 1);
    for (int i = 0; i < 50; i++) {
        (void)clm_err_wrap(&err, CLM_E_IO, "%0100d", i);
        assert_true(strlen(err.msg) < CLM_ERR_MSG_MAX);
    }
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (int c = 0; c < CLM_E__COUNT; c++) {
        assert_non_null(clm_code_name((enum clm_code)c));
        for (int d = 0; d < c; d++) {
            assert_string_not_equal(clm_code_name((enum clm_code)c),
                                    clm_code_name((enum clm_code)d));
        }
    }
    assert_string_equal(clm_code_name(CLM_E__COUNT), "unknown");
}

static void errno_becomes_a_code(void **state)
{
    static const struct {
        int sys;
        enum clm_code code;
    } cases[] = {
        {ENOENT, CLM_E_NOTFOUND}, {EEXIST, CLM_E_EXISTS},     {EACCES, CLM_E_PERM},
        {EPERM, CLM_E_PERM},      {EROFS, CLM_E_PERM},        {ENOMEM, CLM_E_NOMEM},
        {ENOSPC, CLM_E_IO},       {ETIMEDOUT, CLM_E_TIMEOUT}, {EIO, CLM_E_IO},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        assert_int_equal(clm_err_sys(NULL, cases[i].sys, "x"), cases[i].code);
    }
}

static void no_memory_says_so(void **state)
{
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_err_set(&err, CLM_E_NOMEM, "inventory"), CLM_E_NOMEM);
    assert_string_equal(err.msg, "inventory: out of memory");
    (void)clm_err_set(&err, CLM_E_NOMEM, "out of memory for a table");
    assert_string_equal(err.msg, "out of memory for a table");
}

static void only_network_and_timeout_are_transient(void **state)
{
    (void)state;
    for (int c = 0; c < CLM_E__COUNT; c++) {
        assert_int_equal(clm_code_is_transient((enum clm_code)c),
                         c == CLM_E_NET || c == CLM_E_TIMEOUT);
    }
}

static void set_forgets_the_error_before(void **state)
{
    struct clm_err err = {.retry_after_s = 7, .remote_status = 503};

    (void)state;
    (void)clm_err_sys(&err, EIO, "read");
    assert_int_equal(clm_err_set(&err, CLM_E_PARSE, "no '%s'", "key"), CLM_E_PARSE);
    assert_string_equal(err.msg, "no 'key'");
    assert_int_equal(err.sys_errno, 0);
    assert_int_equal(err.remote_status, 0);
    assert_int_equal(err.retry_after_s, 0);
    assert_non_null(err.file);
    assert_true(err.line > 0);
}

static void null_err_is_legal(void **state)
{
    (void)state;
    assert_int_equal(clm_err_set(NULL, CLM_E_PARSE, "x"), CLM_E_PARSE);
    assert_int_equal(clm_err_wrap(NULL, CLM_E_PARSE, "x"), CLM_E_PARSE);
}

/* A message may quote what a hostile peer sent: it stays one line and steers no terminal. */
static void a_message_is_one_plain_line(void **state)
{
    struct clm_err err = {0};

    (void)state;
    (void)clm_err_set(&err, CLM_E_PARSE, "token '%s'", "a\nb\x1b[2J\xe2\x80\xae\xc3\xa9\xff");
    assert_string_equal(err.msg, "token 'a?b?[2J?\xc3\xa9?'");
    (void)clm_err_wrap(&err, CLM_E_PARSE, "%s", "x\ry");
    assert_string_equal(err.msg, "x?y: token 'a?b?[2J?\xc3\xa9?'");
    (void)clm_err_sys(&err, ENOENT, "open '%s'", "a\tb");
    assert_non_null(strstr(err.msg, "open 'a?b': "));
    (void)clm_err_set(&err, CLM_E_PARSE, "x\xe2\x80\xa8y: z\xe2\x80\xa9"); /* U+2028, U+2029 */
    assert_string_equal(err.msg, "x?y: z?");
    (void)clm_err_set(&err, CLM_E_PARSE, "%.3s", "ab\xc3\xa9"); /* cut in the middle */
    assert_string_equal(err.msg, "ab?");
}

static void a_number_the_system_does_not_know_is_shown(void **state)
{
    struct clm_err err = {0};

    (void)state;
    (void)clm_err_sys(&err, 99999, "read");
    assert_string_equal(err.msg, "read: errno 99999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_the_system_does_not_know_is_shown),
        cmocka_unit_test(wrap_puts_context_in_front),
        cmocka_unit_test(wrap_never_overflows),
        cmocka_unit_test(every_code_has_a_name),
        cmocka_unit_test(null_err_is_legal),
        cmocka_unit_test(a_message_is_one_plain_line),
        cmocka_unit_test(errno_becomes_a_code),
        cmocka_unit_test(no_memory_says_so),
        cmocka_unit_test(only_network_and_timeout_are_transient),
        cmocka_unit_test(set_forgets_the_error_before),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
