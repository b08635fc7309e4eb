/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/crypto/dn.h"

static enum clm_code write_dn(const struct clm_dn *dn, struct clm_buf *out, struct clm_err *err)
{
    struct clm_der w;

    clm_buf_reset(out);
    clm_der_init(&w, out, err);
    clm_dn_write(&w, dn);
    return clm_der_done(&w);
}

static void attributes_come_back_in_order(void **state)
{
    char *units[] = {(char[]){"Ops"}, (char[]){"Web, EU"}};
    struct clm_strs ous = {units, 2};
    struct clm_dn dn = {.country = "DE",
                        .state = "Berlin",
                        .locality = "K\xc3\xb6penick",
                        .organization = "A+B",
                        .ous = &ous,
                        .common_name = "www.example.com",
                        .email = "a@example.com"};
    struct clm_buf der = CLM_BUF_INIT(1000);
    char text[CLM_DN_TEXT_SIZE];
    char cn[65];

    (void)state;
    assert_int_equal(write_dn(&dn, &der, NULL), CLM_OK);
    assert_true(clm_dn_text(der.data, der.len, text));
    assert_string_equal(text, "C=DE, ST=Berlin, L=K\xc3\xb6penick, O=A\\+B, OU=Ops, OU=Web\\, EU, "
                              "CN=www.example.com, emailAddress=a@example.com");
    assert_true(clm_dn_common_name(der.data, der.len, cn, sizeof(cn)));
    assert_string_equal(cn, "www.example.com");
    clm_buf_done(&der);
}

static void empty_name_is_an_empty_line(void **state)
{
    struct clm_dn dn = {.common_name = ""};
    struct clm_buf der = CLM_BUF_INIT(1000);
    char text[CLM_DN_TEXT_SIZE];

    (void)state;
    assert_int_equal(write_dn(&dn, &der, NULL), CLM_OK);
    assert_memory_equal(der.data, "\x30\x00", 2);
    assert_true(clm_dn_text(der.data, der.len, text));
    assert_string_equal(text, "");
    assert_false(clm_dn_common_name(der.data, der.len, text, sizeof(text)));
    clm_buf_done(&der);
}

static void values_that_do_not_fit_are_refused(void **state)
{
    char sixty_five[66];
    const struct clm_dn cases[] = {
        {.country = "Germany"},
        {.country = "de"},
        {.country = "D"},
        {.common_name = sixty_five},
        {.organization = sixty_five},
        {.locality = "a\nb"},
        {.organization = "\xff"},
        {.email = "k\xc3\xb6@example.com"},
        {.state = "\x7f"},
    };
    struct clm_buf der = CLM_BUF_INIT(1000);

    (void)state;
    memset(sixty_five, 'x', 65);
    sixty_five[65] = '\0';
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_err err = {0};

        if (write_dn(&cases[i], &der, &err) != CLM_E_INVAL || err.msg[0] == '\0') {
            fail_msg("case %zu was written", i);
        }
    }
    sixty_five[64] = '\0';
    assert_int_equal(write_dn(&cases[3], &der, NULL), CLM_OK);
    clm_buf_done(&der);
}

/* One attribute CN of any bytes, by hand. */
static size_t one_cn(uint8_t *dst, const void *value, uint8_t len)
{
    const uint8_t head[] = {0x30, (uint8_t)(len + 11),
                            0x31, (uint8_t)(len + 9),
                            0x30, (uint8_t)(len + 7),
                            0x06, 0x03,
                            0x55, 0x04,
                            0x03, 0x0c,
                            len};

    memcpy(dst, head, sizeof(head));
    memcpy(dst + sizeof(head), value, len);
    return sizeof(head) + len;
}

/* The line goes to logs and terminals. */
static void control_characters_do_not_reach_the_line(void **state)
{
    static const struct {
        const char *value;
        uint8_t len;
        const char *text;
    } cases[] = {
        {"a\nb", 3, "CN=a?b"},      {"a\x1b[31m", 6, "CN=a?[31m"}, {"a\0b", 3, "CN=a?b"},
        {"\xff\xfe", 2, "CN=??"},   {"\xc2\x9b", 2, "CN=??"}, /* a control character of Latin-1 */
        {"x\xe2\x82", 3, "CN=x??"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        uint8_t der[64];
        char text[CLM_DN_TEXT_SIZE];
        size_t len = one_cn(der, cases[i].value, cases[i].len);

        assert_true(clm_dn_text(der, len, text));
        assert_string_equal(text, cases[i].text);
    }
}

static void common_name_with_a_nul_is_none(void **state)
{
    uint8_t der[64];
    char cn[65];
    size_t len = one_cn(der, "good.example\0.evil.example", 26);

    (void)state;
    assert_false(clm_dn_common_name(der, len, cn, sizeof(cn)));
    assert_string_equal(cn, "");
}

static void long_line_is_cut_off(void **state)
{
    uint8_t der[300];
    uint8_t value[100];
    char text[CLM_DN_TEXT_SIZE];
    struct clm_buf all = CLM_BUF_INIT(1000);
    struct clm_der w;

    (void)state;
    memset(value, 'v', sizeof(value));
    clm_der_init(&w, &all, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    for (int i = 0; i < 5; i++) {
        size_t len = one_cn(der, value, sizeof(value));

        clm_der_raw(&w, der + 2, len - 2);
    }
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
    assert_true(clm_dn_text(all.data, all.len, text));
    assert_in_range(strlen(text), 200, CLM_DN_TEXT_SIZE - 1);
    assert_string_equal(text + strlen(text) - 3, "...");
    clm_buf_done(&all);
}

static void malformed_names_are_refused(void **state)
{
    uint8_t der[64];
    char text[CLM_DN_TEXT_SIZE];
    size_t len = one_cn(der, "abc", 3);

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(clm_dn_text(der, cut, text));
    }
    for (size_t i = 0; i < len - 4; i++) { /* the outer structure only */
        uint8_t was = der[i];

        if (i < 8) {
            der[i] ^= 0x41;
            assert_false(clm_dn_text(der, len, text));
            der[i] = was;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_come_back_in_order),
        cmocka_unit_test(empty_name_is_an_empty_line),
        cmocka_unit_test(values_that_do_not_fit_are_refused),
        cmocka_unit_test(control_characters_do_not_reach_the_line),
        cmocka_unit_test(common_name_with_a_nul_is_none),
        cmocka_unit_test(long_line_is_cut_off),
        cmocka_unit_test(malformed_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
