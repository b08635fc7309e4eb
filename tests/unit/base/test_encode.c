/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "tests/support/torture.h"

static void hex_goes_there_and_back(void **state)
{
    uint8_t bytes[4] = {0};
    char text[9];

    (void)state;
    clm_hex_encode("\x00\x7f\x80\xff", 4, text);
    assert_string_equal(text, "007f80ff");
    assert_int_equal(clm_hex_decode("007F80fF", bytes, 4, NULL), CLM_OK);
    assert_memory_equal(bytes, "\x00\x7f\x80\xff", 4);
    clm_hex_encode("", 0, text);
    assert_string_equal(text, "");
    assert_int_equal(clm_hex_decode("", bytes, 0, NULL), CLM_OK);
}

static void hex_refuses_the_rest(void **state)
{
    static const char *const bad[] = {"",     "0",    "000",  "00000", "0g00",
                                      "00 0", "+000", "0x00", "::00"};
    uint8_t bytes[2];
    struct clm_err err = {0};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        if (clm_hex_decode(bad[i], bytes, 2, &err) != CLM_E_PARSE) {
            fail_msg("accepted '%s'", bad[i]);
        }
    }
    assert_string_equal(err.msg, "not 4 hexadecimal digits");
}

/* RFC 4648 10 */
static const struct {
    const char *plain;
    const char *padded;
    const char *url;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
};

static void base64_matches_the_vectors(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(100);

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(vectors); i++) {
        size_t len = strlen(vectors[i].plain);

        clm_buf_reset(&out);
        assert_int_equal(clm_b64_encode(vectors[i].plain, len, &out, NULL), CLM_OK);
        assert_string_equal(clm_buf_str(&out), vectors[i].padded);
        clm_buf_reset(&out);
        assert_int_equal(clm_b64url_encode(vectors[i].plain, len, &out, NULL), CLM_OK);
        assert_string_equal(clm_buf_str(&out), vectors[i].url);
        clm_buf_reset(&out);
        assert_int_equal(clm_b64_decode(vectors[i].padded, strlen(vectors[i].padded), &out, NULL),
                         CLM_OK);
        assert_string_equal(clm_buf_str(&out), vectors[i].plain);
        assert_int_equal(out.len, len);
        clm_buf_reset(&out);
        assert_int_equal(clm_b64url_decode(vectors[i].url, strlen(vectors[i].url), &out, NULL),
                         CLM_OK);
        assert_string_equal(clm_buf_str(&out), vectors[i].plain);
        assert_int_equal(out.len, len);
    }
    clm_buf_done(&out);
}

static void every_byte_survives(void **state)
{
    uint8_t bytes[256];
    struct clm_buf text = CLM_BUF_INIT(1000);
    struct clm_buf back = CLM_BUF_INIT(1000);

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        clm_buf_reset(&text);
        clm_buf_reset(&back);
        assert_int_equal(clm_b64url_encode(bytes, len, &text, NULL), CLM_OK);
        assert_int_equal(clm_b64url_decode(clm_buf_str(&text), text.len, &back, NULL), CLM_OK);
        assert_int_equal(clm_b64_encode(bytes, len, &text, NULL), CLM_OK);
        assert_int_equal(back.len, len);
        assert_memory_equal(clm_buf_str(&back), bytes, len);
    }
    clm_buf_done(&text);
    clm_buf_done(&back);
}

static void white_space_may_stand_between_groups(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(100);
    const char *text = "\r\n Zm9v\n\tYmFy \n Zg== \n";

    (void)state;
    assert_int_equal(clm_b64_decode(text, strlen(text), &out, NULL), CLM_OK);
    assert_string_equal(clm_buf_str(&out), "foobarf");
    clm_buf_done(&out);
}

static void decoding_appends_or_changes_nothing(void **state)
{
    static const struct {
        const char *text;
        bool is_url;
    } bad[] = {
        {"Z", false},        {"Zg", false},       {"Zg=", false},   {"Zm9", false},
        {"Zg==Zg==", false}, {"=Zg=", false},     {"Z===", false},  {"====", false},
        {"Zm9v=", false},    {"Zm9v====", false}, {"Z m9v", false}, {"Zh==", false},
        {"Zm9=", false},     {"-_-_", false},     {"Zm9v!", false}, {"Zm9v\x80m9v", false},
        {"Zg==x", false},    {"Z", true},         {"Zg==", true},   {"Zm8=", true},
        {"Zm9v ", true},     {"Zm9v\n", true},    {" Zm9", true},   {"Zh", true},
        {"Zm9", true},       {"+/+/", true},      {"Zm9v.", true},  {"Zm9vY", true},
    };
    struct clm_buf out = CLM_BUF_INIT(100);

    (void)state;
    assert_int_equal(clm_buf_add_str(&out, "kept", NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        size_t len = strlen(bad[i].text);
        struct clm_err err = {0};
        enum clm_code code = bad[i].is_url ? clm_b64url_decode(bad[i].text, len, &out, &err)
                                           : clm_b64_decode(bad[i].text, len, &out, &err);

        if (code != CLM_E_PARSE || err.msg[0] == '\0') {
            fail_msg("case %zu: accepted '%s'", i, bad[i].text);
        }
        assert_string_equal(clm_buf_str(&out), "kept");
        assert_int_equal(out.len, 4);
    }
    clm_buf_done(&out);
}

static void nul_in_the_text_is_refused(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(100);

    (void)state;
    assert_int_equal(clm_b64_decode("Zm\0v", 4, &out, NULL), CLM_E_PARSE);
    assert_int_equal(clm_b64url_decode("Zm\0v", 4, &out, NULL), CLM_E_PARSE);
    clm_buf_done(&out);
}

static void maximum_of_the_buffer_holds(void **state)
{
    struct clm_buf out = CLM_BUF_INIT(3);

    (void)state;
    assert_int_equal(clm_b64_encode("f", 1, &out, NULL), CLM_E_LIMIT);
    assert_int_equal(clm_b64url_encode("f", 1, &out, NULL), CLM_OK);
    clm_buf_reset(&out);
    assert_int_equal(clm_b64url_decode("Zm9v", 4, &out, NULL), CLM_OK);
    assert_int_equal(clm_b64url_decode("Zm9v", 4, &out, NULL), CLM_E_LIMIT);
    clm_buf_done(&out);
}

static enum clm_code encode_all(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(100);
    CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_INIT(100);
    enum clm_code code = clm_b64_encode("foobar", 6, &out, err);

    (void)arg;
    return code != CLM_OK ? code : clm_b64_decode(clm_buf_str(&out), out.len, &back, err);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(clm_torture(encode_all, NULL), 2);
}

static void more_than_memory_holds_is_a_limit(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(10);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_b64_encode("x", SIZE_MAX, &out, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "too much data for Base64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_memory_holds_is_a_limit),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(hex_refuses_the_rest),
        cmocka_unit_test(base64_matches_the_vectors),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(white_space_may_stand_between_groups),
        cmocka_unit_test(decoding_appends_or_changes_nothing),
        cmocka_unit_test(nul_in_the_text_is_refused),
        cmocka_unit_test(maximum_of_the_buffer_holds),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
