/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/crypto/ext.h"

/* A list with one extension of any content, n times. */
static void make(const char *oid, size_t oid_len, const void *content, size_t len, int n,
                 struct clm_buf *out)
{
    struct clm_der w;

    clm_buf_reset(out);
    clm_der_init(&w, out, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    for (int i = 0; i < n; i++) {
        clm_ext_open(&w, oid, oid_len, i == 0);
        clm_der_raw(&w, content, len);
        clm_ext_close(&w);
    }
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
}

static enum clm_code read_list(const struct clm_buf *list, enum clm_ext_names mode,
                               struct clm_ext_info *out)
{
    return clm_ext_read(list->data, list->len, mode, out, NULL);
}

static void no_extensions_are_no_names(void **state)
{
    struct clm_ext_info info;
    struct clm_tlv tlv;

    (void)state;
    assert_int_equal(clm_ext_read(NULL, 0, CLM_EXT_NAMES_STRICT, &info, NULL), CLM_OK);
    assert_false(info.has_san || info.has_eku || info.must_staple);
    assert_false(clm_ext_find(NULL, 0, CLM_OID(CLM_OID_SAN), &tlv));
    clm_ext_info_done(&info);
}

/* Two readers might each take another one of the two. */
static void extension_that_stands_twice_is_refused(void **state)
{
    static const uint8_t san[] = {0x30, 0x05, 0x82, 0x03, 'a', '.', 'b'};
    struct clm_buf list = CLM_BUF_INIT(1000);
    struct clm_ext_info info;

    (void)state;
    make(CLM_OID(CLM_OID_SAN), san, sizeof(san), 1, &list);
    assert_int_equal(read_list(&list, CLM_EXT_NAMES_STRICT, &info), CLM_OK);
    assert_int_equal(info.names.dns.n, 1);
    clm_ext_info_done(&info);
    make(CLM_OID(CLM_OID_SAN), san, sizeof(san), 2, &list);
    assert_int_equal(read_list(&list, CLM_EXT_NAMES_STRICT, &info), CLM_E_PARSE);
    clm_ext_info_done(&info);
    assert_int_equal(read_list(&list, CLM_EXT_NAMES_LENIENT, &info), CLM_E_PARSE);
    clm_ext_info_done(&info);
    make(CLM_OID("\x2a\x03"), san, sizeof(san), 2, &list); /* unknown ones are not looked at */
    assert_int_equal(read_list(&list, CLM_EXT_NAMES_STRICT, &info), CLM_OK);
    clm_ext_info_done(&info);
    clm_buf_done(&list);
}

static void odd_names_are_refused_or_left_out(void **state)
{
    static const struct {
        const char *san;
        size_t len;
    } cases[] = {
        {"\x30\x02\x82\x00", 4}, /* empty */
        {"\x30\x05\x82\x03"
         "a\0b",
         7}, /* with a NUL */
        {"\x30\x05\x82\x03"
         "a b",
         7}, /* with a space */
        {"\x30\x05\x82\x03"
         "a\xff"
         "b",
         7},                                 /* no ASCII */
        {"\x30\x05\x87\x03\x01\x02\x03", 7}, /* an address of three bytes */
        {"\x30\x04\x86\x02"
         "a\n",
         6}, /* a URI with a line end */
    };
    struct clm_buf list = CLM_BUF_INIT(1000);

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_ext_info info;

        make(CLM_OID(CLM_OID_SAN), cases[i].san, cases[i].len, 1, &list);
        if (read_list(&list, CLM_EXT_NAMES_STRICT, &info) != CLM_E_PARSE) {
            fail_msg("case %zu was read", i);
        }
        clm_ext_info_done(&info);
        assert_int_equal(read_list(&list, CLM_EXT_NAMES_LENIENT, &info), CLM_OK);
        assert_int_equal(info.names.dns.n + info.names.ip.n + info.uris.n, 0);
        assert_true(info.has_san);
        clm_ext_info_done(&info);
    }
    clm_buf_done(&list);
}

static void malformed_lists_are_refused(void **state)
{
    static const uint8_t any[] = {0x30, 0x04, 0x06, 0x02, 0x2a, 0x03};
    static const uint8_t cut_san[] = {0x30, 0x05, 0x82, 0x04, 'a', '.', 'b'};
    struct clm_buf list = CLM_BUF_INIT(1000);
    struct clm_ext_info info;

    (void)state;
    assert_int_equal(clm_ext_read(any, 5, CLM_EXT_NAMES_STRICT, &info, NULL), CLM_E_PARSE);
    clm_ext_info_done(&info);
    assert_int_equal(clm_ext_read(any, 6, CLM_EXT_NAMES_STRICT, &info, NULL), CLM_E_PARSE);
    clm_ext_info_done(&info);
    make(CLM_OID(CLM_OID_SAN), cut_san, sizeof(cut_san), 1, &list);
    assert_int_equal(read_list(&list, CLM_EXT_NAMES_LENIENT, &info), CLM_E_PARSE);
    clm_ext_info_done(&info);
    make(CLM_OID(CLM_OID_EKU), "\x04\x00", 2, 1, &list);
    assert_int_equal(read_list(&list, CLM_EXT_NAMES_LENIENT, &info), CLM_E_PARSE);
    clm_ext_info_done(&info);
    clm_buf_done(&list);
}

static void any_purpose_includes_both(void **state)
{
    static const uint8_t any[] = {0x30, 0x06, 0x06, 0x04, 0x55, 0x1d, 0x25, 0x00};
    struct clm_buf list = CLM_BUF_INIT(1000);
    struct clm_ext_info info;
    struct clm_tlv tlv;

    (void)state;
    make(CLM_OID(CLM_OID_EKU), any, sizeof(any), 1, &list);
    assert_int_equal(read_list(&list, CLM_EXT_NAMES_STRICT, &info), CLM_OK);
    assert_true(info.has_eku && info.eku_server && info.eku_client);
    clm_ext_info_done(&info);
    assert_true(clm_ext_find(list.data, list.len, CLM_OID(CLM_OID_EKU), &tlv));
    assert_int_equal(tlv.len, sizeof(any));
    assert_false(clm_ext_find(list.data, list.len, CLM_OID(CLM_OID_SAN), &tlv));
    clm_buf_done(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_extensions_are_no_names),
        cmocka_unit_test(extension_that_stands_twice_is_refused),
        cmocka_unit_test(odd_names_are_refused_or_left_out),
        cmocka_unit_test(malformed_lists_are_refused),
        cmocka_unit_test(any_purpose_includes_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
