/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/armor.h"
#include "tests/support/torture.h"

static void blocks_are_found_between_other_text(void **state)
{
    const char *text = "subject=CN = x\r\n-----BEGIN A B-----\r\nAQID\r\n-----END A B-----\r\n"
                       "see -----BEGIN NOT A LINE-----\n-----BEGIN C-----\nBAUG\n-----END C-----";
    size_t len = strlen(text);
    struct clm_armor block;
    struct clm_buf der = CLM_BUF_INIT(100);

    (void)state;
    assert_int_equal(clm_armor_next(&text, &len, &block, NULL), CLM_OK);
    assert_string_equal(block.label, "A B");
    assert_false(block.is_encrypted);
    assert_int_equal(clm_armor_decode(&block, &der, NULL), CLM_OK);
    assert_memory_equal(der.data, "\1\2\3", 3);
    assert_int_equal(clm_armor_next(&text, &len, &block, NULL), CLM_OK);
    assert_string_equal(block.label, "C");
    assert_int_equal(clm_armor_decode(&block, &der, NULL), CLM_OK);
    assert_memory_equal(der.data, "\1\2\3\4\5\6", 6);
    assert_int_equal(clm_armor_next(&text, &len, &block, NULL), CLM_E_NOTFOUND);
    clm_buf_done(&der);
}

static void headers_of_an_encrypted_block_are_seen(void **state)
{
    const char *text = "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n"
                       "DEK-Info: AES-256-CBC,00\r\n\r\nAQID\r\n-----END RSA PRIVATE KEY-----\r\n";
    size_t len = strlen(text);
    struct clm_armor block;
    struct clm_buf der = CLM_BUF_INIT(100);

    (void)state;
    assert_int_equal(clm_armor_next(&text, &len, &block, NULL), CLM_OK);
    assert_true(block.is_encrypted);
    assert_int_equal(clm_armor_decode(&block, &der, NULL), CLM_OK);
    assert_int_equal(der.len, 3);
    clm_buf_done(&der);
}

static void bad_blocks_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum clm_code next;
        enum clm_code decode;
    } cases[] = {
        {"", CLM_E_NOTFOUND, CLM_OK},
        {"-----BEGIN A", CLM_E_NOTFOUND, CLM_OK},
        {"-----BEGIN -----\nAQID\n-----END -----\n", CLM_E_NOTFOUND, CLM_OK},
        {"x-----BEGIN A-----\nAQID\n-----END A-----\n", CLM_E_NOTFOUND, CLM_OK},
        {"-----BEGIN A-----\nAQID\n", CLM_E_PARSE, CLM_OK},
        {"-----BEGIN A-----\nAQID\n-----END B-----\n", CLM_E_PARSE, CLM_OK},
        {"-----BEGIN A-----AQID\n-----END A-----\n", CLM_E_PARSE, CLM_OK},
        {"-----BEGIN A-----\nAQID\n-----END A-----x\n", CLM_E_PARSE, CLM_OK},
        {"-----BEGIN A-----\n-----END A-----\n", CLM_OK, CLM_E_PARSE},
        {"-----BEGIN A-----\nAQI\n-----END A-----\n", CLM_OK, CLM_E_PARSE},
        {"-----BEGIN A-----\nAQ*D\n-----END A-----\n", CLM_OK, CLM_E_PARSE},
        {"-----BEGIN A-----\nAQ==AQID\n-----END A-----\n", CLM_OK, CLM_E_PARSE},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        const char *text = cases[i].text;
        size_t len = strlen(text);
        struct clm_armor block;
        struct clm_buf der = CLM_BUF_INIT(100);
        struct clm_err err = {0};
        enum clm_code code = clm_armor_next(&text, &len, &block, &err);

        if (code != cases[i].next) {
            fail_msg("case %zu: %s", i, clm_code_name(code));
        }
        if (code == CLM_OK && clm_armor_decode(&block, &der, &err) != cases[i].decode) {
            fail_msg("case %zu decodes", i);
        }
        clm_buf_done(&der);
    }
}

static void writing_and_reading_are_inverse(void **state)
{
    uint8_t data[200];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 5);
    }
    for (size_t len = 1; len <= sizeof(data); len++) {
        struct clm_buf text = CLM_BUF_INIT(1000);
        struct clm_buf back = CLM_BUF_INIT(210);
        struct clm_armor block;
        const char *p;
        size_t left;

        assert_int_equal(clm_armor_write("X", data, len, &text, NULL), CLM_OK);
        for (const char *line = clm_buf_str(&text); *line != '\0';) {
            size_t n = strcspn(line, "\n");

            assert_in_range(n, 1, 64);
            line += n + 1;
        }
        p = clm_buf_str(&text);
        left = text.len;
        assert_int_equal(clm_armor_next(&p, &left, &block, NULL), CLM_OK);
        assert_int_equal(clm_armor_decode(&block, &back, NULL), CLM_OK);
        assert_int_equal(back.len, len);
        assert_memory_equal(back.data, data, len);
        clm_buf_done(&text);
        clm_buf_done(&back);
    }
}

static enum clm_code round_trip(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(1000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_INIT(210);
    struct clm_armor block;
    enum clm_code code = clm_armor_write("X", arg, 100, &text, err);
    const char *p = clm_buf_str(&text);
    size_t left = text.len;

    if (code == CLM_OK) {
        code = clm_armor_next(&p, &left, &block, err);
    }
    return code == CLM_OK ? clm_armor_decode(&block, &back, err) : code;
}

static void no_memory_is_reported(void **state)
{
    uint8_t data[100] = {1};

    (void)state;
    assert_true(clm_torture(round_trip, data) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_found_between_other_text),
        cmocka_unit_test(headers_of_an_encrypted_block_are_seen),
        cmocka_unit_test(bad_blocks_are_refused),
        cmocka_unit_test(writing_and_reading_are_inverse),
        cmocka_unit_test(no_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
