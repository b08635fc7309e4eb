/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/model/cert_info.h"
#include "tests/unit/model/json_text.h"

#define SHA_A "aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"
#define SHA_B "1a66ba7253b5370bdadb5639d2b0f3a312f5e90c5111345c10d36bffdbfc9d5f"

/* The certificate of protocol.md 7.8. */
static const char sample[] =
    "{'sha256':'" SHA_A "','spki_sha256':'" SHA_B "','serial':'04a1b2c3d4',"
    "'subject':'CN=www.example.com','issuer':'C=US,O=Let`s Encrypt,CN=R11',"
    "'not_before':'2026-09-20T00:00:00Z','not_after':'2026-12-19T00:00:00Z','key':'rsa-2048',"
    "'is_ca':false,'sans':['www.example.com','example.com']}";

static void json_goes_both_ways(void **state)
{
    struct clm_json *in = json_read(sample);
    struct clm_json *out = clm_json_new_object();
    struct clm_cert_info info = {0};
    char *want = json_quotes(sample);
    char *text;

    (void)state;
    assert_int_equal(clm_cert_info_from_json(in, &info, NULL), CLM_OK);
    assert_int_equal(info.not_before_s, 1789862400);
    assert_int_equal(info.not_after_s, 1797638400);
    assert_string_equal(info.key_type, "rsa-2048");
    assert_int_equal(info.names.dns.n, 2);
    clm_cert_info_to_json(&info, out);
    text = json_print_take(out);
    assert_string_equal(text, want);
    free(text);
    free(want);
    clm_cert_info_done(&info);
    clm_cert_info_done(NULL);
    clm_json_free(in);
}

static void a_date_beyond_the_year_9999_is_left_out(void **state)
{
    struct clm_cert_info info = {.not_after_s = 253402300800, .not_before_s = -1};
    struct clm_json *out = clm_json_new_object();
    struct clm_cert_info again = {0};

    (void)state;
    strcpy(info.sha256, SHA_A);
    clm_cert_info_to_json(&info, out);
    assert_null(clm_json_get(out, "not_after"));
    assert_null(clm_json_get(out, "not_before"));
    assert_int_equal(clm_cert_info_from_json(out, &again, NULL), CLM_OK);
    assert_int_equal(again.not_after_s, 0);
    clm_json_free(out);
}

static void names_that_are_no_utf8_are_made_readable(void **state)
{
    struct clm_cert_info info = {0};
    struct clm_json *out = clm_json_new_object();

    (void)state;
    strcpy(info.sha256, SHA_A);
    strcpy(info.subject, "CN=M\xfcnchen, O=Gr\xc3\xbc\xc3\x9f, L=\xe2\x82");
    clm_cert_info_to_json(&info, out);
    assert_string_equal(clm_json_text(clm_json_get(out, "subject")),
                        "CN=M?nchen, O=Gr\xc3\xbc\xc3\x9f, L=??");
    clm_json_free(out);
}

static void bad_json_is_refused_with_its_member(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"{}", CLM_E_PARSE, "sha256"},
        {"{'sha256':''}", CLM_E_PARSE, "'sha256': not a SHA-256"},
        {"{'sha256':'AACD4F2FEC14DDE07D89D4C80D686A4009DF18E709F7F981406202EE5A37BA32'}",
         CLM_E_PARSE, "'sha256': not a SHA-256 in 64 lower-case hexadecimal digits"},
        {"{'sha256':'" SHA_A "0'}", CLM_E_LIMIT, "sha256"},
        {"{'sha256':'" SHA_A "','not_after':'yesterday'}", CLM_E_PARSE, "'not_after'"},
        {"{'sha256':'" SHA_A "','is_ca':1}", CLM_E_PARSE, "is_ca"},
        {"{'sha256':'" SHA_A "','sans':'a'}", CLM_E_PARSE, "sans"},
        {"{'sha256':'" SHA_A "','sans':['a b']}", CLM_E_INVAL, "'sans': element 0"},
        {"{'sha256':'" SHA_A "','key':'a-key-type-too-long'}", CLM_E_LIMIT, "key"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct clm_cert_info info = {0};
        struct clm_err err = {0};

        if (clm_cert_info_from_json(in, &info, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        clm_json_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(a_date_beyond_the_year_9999_is_left_out),
        cmocka_unit_test(names_that_are_no_utf8_are_made_readable),
        cmocka_unit_test(bad_json_is_refused_with_its_member),
    };

    return cmocka_run_group_tests_name("cert_info", tests, NULL, NULL);
}
