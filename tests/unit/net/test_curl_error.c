/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/base/str.h"
#include "agent/net/curl_error.h"

static void a_failed_transfer_is_a_code_and_a_sentence(void **state)
{
    static const struct {
        CURLcode curl;
        const char *reason;
        int sys_errno;
        enum clm_code code;
        const char *msg;
    } rows[] = {
        {CURLE_COULDNT_CONNECT, "", 0, CLM_E_NET,
         "cannot connect to 'a.example:443': Couldn't connect"},
        {CURLE_COULDNT_CONNECT, "x", ECONNREFUSED, CLM_E_NET,
         "cannot connect to 'a.example:443': Connection refused"},
        {CURLE_COULDNT_CONNECT, "x", EACCES, CLM_E_NET,
         "cannot connect to 'a.example:443': Permission denied"},
        {CURLE_COULDNT_CONNECT, "x", ETIMEDOUT, CLM_E_TIMEOUT,
         "cannot connect to 'a.example:443': Connection timed out"},
        {CURLE_OPERATION_TIMEDOUT, "late", 0, CLM_E_TIMEOUT,
         "no complete answer in time from 'a.example:443' (limit 700 ms): late"},
        {CURLE_FAILED_INIT, "odd", 0, CLM_E_NET, "the exchange failed with 'a.example:443': odd"},
        {CURLE_SEND_ERROR, "tlsv1 alert unknown ca", 0, CLM_E_AUTH,
         "the own certificate was refused by 'a.example:443': tlsv1 alert unknown ca"},
        {CURLE_RECV_ERROR, "Certificate is required", 0, CLM_E_AUTH,
         "the own certificate was refused by 'a.example:443': Certificate is required"},
        {CURLE_SEND_ERROR, "reset", 0, CLM_E_NET,
         "connection broke while sending to 'a.example:443': reset"},
        {CURLE_PEER_FAILED_VERIFICATION, "alert unknown ca", 0, CLM_E_AUTH,
         "the TLS certificate is not trusted of 'a.example:443': alert unknown ca"},
        {CURLE_PEER_FAILED_VERIFICATION, "name '\x1b[2J\x7f' ~\xc3\xa4", 0, CLM_E_AUTH,
         "the TLS certificate is not trusted of 'a.example:443': name '?[2J?' ~\xc3\xa4"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        const struct clm_curl_failure failure = {.curl = rows[i].curl,
                                                 .reason = rows[i].reason,
                                                 .peer = "a.example:443",
                                                 .sys_errno = rows[i].sys_errno,
                                                 .timeout_ms = 700};
        struct clm_err err = {.code = CLM_OK};

        if (clm_curl_error(&failure, &err) != rows[i].code || err.code != rows[i].code ||
            !clm_str_starts(err.msg, rows[i].msg)) {
            fail_msg("row %zu: %s: %s", i, clm_code_name(err.code), err.msg);
        }
        assert_int_equal(clm_curl_error(&failure, NULL), rows[i].code);
    }
}

static void a_long_reason_is_cut(void **state)
{
    char text[5];

    (void)state;
    clm_curl_clean(text, sizeof(text), "a\tb c d");
    assert_string_equal(text, "a?b ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_transfer_is_a_code_and_a_sentence),
        cmocka_unit_test(a_long_reason_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
