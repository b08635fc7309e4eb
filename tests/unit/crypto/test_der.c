/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/der.h"

static void lengths_have_the_shortest_form(void **state)
{
    static const struct {
        size_t len;
        const char *head;
    } cases[] = {
        {0, "0400"},     {1, "0401"},       {127, "047f"},       {128, "048180"},
        {255, "0481ff"}, {256, "04820100"}, {65535, "0482ffff"}, {65536, "0483010000"},
    };
    static const uint8_t zeros[65536];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_buf out = CLM_BUF_INIT(70000);
        struct clm_der_reader r;
        struct clm_tlv tlv;
        struct clm_der w;
        char hex[16];

        clm_der_init(&w, &out, NULL);
        clm_der_bytes(&w, CLM_DER_OCTET_STRING, zeros, cases[i].len);
        assert_int_equal(clm_der_done(&w), CLM_OK);
        clm_hex_encode(out.data, strlen(cases[i].head) / 2, hex);
        assert_string_equal(hex, cases[i].head);
        r = clm_der_reader_of(out.data, out.len);
        assert_true(clm_der_take(&r, CLM_DER_OCTET_STRING, &tlv));
        assert_int_equal(tlv.len, cases[i].len);
        assert_int_equal(tlv.raw_len, out.len);
        assert_true(clm_der_at_end(&r));
        clm_buf_done(&out);
    }
}

static void nested_values_close_inside_out(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(1000);
    struct clm_der w;
    char hex[64];

    (void)state;
    clm_der_init(&w, &out, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_small_int(&w, 5);
    clm_der_open_bits(&w);
    clm_der_true(&w);
    clm_der_close(&w);
    clm_der_oid(&w, CLM_OID(CLM_OID_CN));
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
    clm_hex_encode(out.data, out.len, hex);
    assert_string_equal(hex, "300e020105030400"
                             "0101ff"
                             "0603550403");
    clm_buf_done(&out);
}

static void integers_are_positive_and_short(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"00", "020100"},       {"01", "020101"},   {"80", "02020080"},
        {"0000ff", "020200ff"}, {"007f", "02017f"}, {"0100", "02020100"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_buf out = CLM_BUF_INIT(100);
        struct clm_der w;
        uint8_t bytes[4];
        char hex[64];

        assert_int_equal(clm_hex_decode(cases[i].in, bytes, strlen(cases[i].in) / 2, NULL), CLM_OK);
        clm_der_init(&w, &out, NULL);
        clm_der_positive(&w, bytes, strlen(cases[i].in) / 2);
        assert_int_equal(clm_der_done(&w), CLM_OK);
        clm_hex_encode(out.data, out.len, hex);
        assert_string_equal(hex, cases[i].out);
        clm_buf_done(&out);
    }
}

/* RFC 5280 4.1.2.5: the form changes with the year 2050. */
static void times_change_their_form_in_2050(void **state)
{
    static const struct {
        int64_t unix_s;
        const char *text;
    } cases[] = {
        {0, "700101000000Z"},
        {2524607999, "491231235959Z"},
        {2524608000, "20500101000000Z"},
    };
    struct clm_buf out = CLM_BUF_INIT(100);
    struct clm_err err = {0};
    struct clm_der w;

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        clm_buf_reset(&out);
        clm_der_init(&w, &out, NULL);
        clm_der_time(&w, cases[i].unix_s);
        assert_int_equal(clm_der_done(&w), CLM_OK);
        assert_int_equal(out.data[0],
                         strlen(cases[i].text) == 13 ? CLM_DER_UTC_TIME : CLM_DER_GENERALIZED_TIME);
        assert_string_equal((char *)out.data + 2, cases[i].text);
    }
    clm_der_init(&w, &out, &err);
    clm_der_time(&w, 400000000000);
    assert_int_equal(clm_der_done(&w), CLM_E_INVAL);
    clm_buf_done(&out);
}

static void full_buffer_is_reported_once_at_the_end(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(100);
    struct clm_err err = {0};
    struct clm_der w;

    (void)state;
    clm_der_init(&w, &out, &err);
    for (int i = 0; i < 20; i++) {
        clm_der_open(&w, CLM_DER_SEQUENCE);
        clm_der_bytes(&w, CLM_DER_OCTET_STRING, "0123456789", 10);
        clm_der_close(&w);
    }
    assert_int_equal(clm_der_done(&w), CLM_E_LIMIT);
    assert_int_equal(err.code, CLM_E_LIMIT);
    clm_buf_done(&out);
}

/* What BER allows and DER does not, and what runs over the end. */
static void malformed_values_are_refused(void **state)
{
    static const char *const cases[] = {
        "",         "048101ff", "0482000100",     "04",       "0401",
        "048101",   "04810000", "0480",           "04800000", "0485000000000100",
        "04820080", "1f0100",   "0484ffffffff00", "04ff",     "0482ff",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        uint8_t bytes[16];
        size_t len = strlen(cases[i]) / 2;
        struct clm_der_reader r = clm_der_reader_of(bytes, len);
        struct clm_tlv tlv;

        assert_int_equal(clm_hex_decode(cases[i], bytes, len, NULL), CLM_OK);
        if (clm_der_next(&r, &tlv)) {
            fail_msg("case %zu '%s' was read", i, cases[i]);
        }
        assert_ptr_equal(r.p, bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_have_the_shortest_form),
        cmocka_unit_test(nested_values_close_inside_out),
        cmocka_unit_test(integers_are_positive_and_short),
        cmocka_unit_test(times_change_their_form_in_2050),
        cmocka_unit_test(full_buffer_is_reported_once_at_the_end),
        cmocka_unit_test(malformed_values_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
