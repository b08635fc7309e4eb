/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/str.h"
#include "agent/crypto/ber.h"

static enum clm_code convert_hex(const char *hex, char dst[512], struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(4096);
    size_t len = strlen(hex) / 2;
    uint8_t *in = malloc(len + 1); /* exact, so that ASan sees a byte too many */
    enum clm_code code;

    assert_non_null(in);
    assert_int_equal(clm_hex_decode(hex, in, len, NULL), CLM_OK);
    in = realloc(in, len > 0 ? len : 1);
    assert_non_null(in);
    code = clm_ber_to_der(in, len, &out, NULL, err);
    free(in);
    dst[0] = '\0';
    if (code == CLM_OK) {
        clm_hex_encode(out.data, out.len, dst);
    }
    return code;
}

static void makes_ber_definite(void **state)
{
    static const struct {
        const char *in;
        const char *out;
        const char *why;
    } cases[] = {
        {"020105", "020105", "DER stays"},
        {"3003020105", "3003020105", "DER with a value inside stays"},
        {"30800201050000", "3003020105", "indefinite sequence"},
        {"308030800201050000020106"
         "0000",
         "30083003020105020106", "indefinite in indefinite"},
        {"30073080020105"
         "0000",
         "30053003020105", "indefinite in definite"},
        {"02810105", "020105", "long form where the short one does"},
        {"0284000000"
         "0105",
         "020105", "leading zeros"},
        {"2480040201020401030000", "0403010203", "OCTET STRING in pieces"},
        {"240704020102040103", "0403010203", "pieces, definite"},
        {"2480248004010100000401020000", "04020102", "pieces of pieces"},
        {"24800000", "0400", "no pieces"},
        {"a0803080020105"
         "00000000",
         "a0053003020105", "context tag"},
        {"30800000", "3000", "empty"},
    };
    char out[512];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (convert_hex(cases[i].in, out, NULL) != CLM_OK || strcmp(out, cases[i].out) != 0) {
            fail_msg("case %zu (%s): '%s'", i, cases[i].why, out);
        }
    }
}

static void refuses_what_is_malformed(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } cases[] = {
        {"", CLM_E_PARSE, "nothing"},
        {"30", CLM_E_PARSE, "tag alone"},
        {"3005020105", CLM_E_PARSE, "beyond the end"},
        {"3080020105", CLM_E_PARSE, "no end"},
        {"308002010500", CLM_E_PARSE, "half an end"},
        {"0280050000", CLM_E_PARSE, "primitive without a length"},
        {"0289010000000000000000"
         "05",
         CLM_E_PARSE, "length beyond size_t"},
        {"0282"
         "01",
         CLM_E_PARSE, "length cut off"},
        {"1f8101"
         "0100",
         CLM_E_PARSE, "tag of several bytes"},
        {"02010500", CLM_E_PARSE, "bytes behind"},
        {"24800201050000", CLM_E_PARSE, "an INTEGER among pieces"},
        {"2480308004010100000000", CLM_E_PARSE, "a sequence among pieces"},
        {"3080308030803080308030803080308030803080308030803080308030803080"
         "0000000000000000"
         "0000000000000000000000000000000000000000000000000000000000000000",
         CLM_E_LIMIT, "too deep"},
    };
    char out[512];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_err err = {.code = CLM_OK};
        enum clm_code code = convert_hex(cases[i].in, out, &err);

        if (code != cases[i].code || err.msg[0] == '\0') {
            fail_msg("case %zu (%s): %s '%s'", i, cases[i].why, clm_code_name(code), err.msg);
        }
    }
}

static void tells_how_long_the_value_was(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(64);
    size_t used = 0;

    (void)state;
    assert_int_equal(
        clm_ber_to_der((const uint8_t *)"\x30\x80\x02\x01\x05\0\0\r\n", 9, &out, &used, NULL),
        CLM_OK);
    assert_int_equal(used, 7);
    assert_int_equal(out.len, 5);
}

/* What was there before stays when it fails. */
static void leaves_the_buffer_alone_on_error(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(64);

    (void)state;
    assert_int_equal(clm_buf_add_str(&out, "ab", NULL), CLM_OK);
    assert_int_equal(clm_ber_to_der((const uint8_t *)"\x30\x80\x02\x01\x05\0", 6, &out, NULL, NULL),
                     CLM_E_PARSE);
    assert_int_equal(out.len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_ber_definite),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(tells_how_long_the_value_was),
        cmocka_unit_test(leaves_the_buffer_alone_on_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
