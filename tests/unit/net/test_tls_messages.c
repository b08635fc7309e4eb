/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/str.h"
#include "agent/net/tls_messages.h"

/* Feeds exactly the bytes of a hex text, so that a read beyond them is seen by the sanitizer. */
static enum clm_code feed(struct clm_tls_seen *seen, const char *hex, size_t cut)
{
    size_t len = strlen(hex) / 2 - cut;
    uint8_t *data = malloc(len > 0 ? len : 1);
    char text[512];
    assert_non_null(data);
    assert_true(2 * len < sizeof(text));
    memcpy(text, hex, 2 * len);
    text[2 * len] = '\0';
    assert_int_equal(clm_hex_decode(text, data, len, NULL), CLM_OK);
    enum clm_code code = clm_tls_message(seen, len > 0 ? data : NULL, len, NULL);
    free(data);
    return code;
}

#define RANDOM "0000000000000000000000000000000000000000000000000000000000000000"
/* type, length, version, random, no session id, suite, compression, extensions */
#define HELLO_12                                                                                   \
    "02000026"                                                                                     \
    "0303" RANDOM "00"                                                                             \
    "c02b"                                                                                         \
    "00"
#define HELLO_12_EXT                                                                               \
    "0200002c"                                                                                     \
    "0303" RANDOM "00"                                                                             \
    "c02b"                                                                                         \
    "00"                                                                                           \
    "0004"                                                                                         \
    "00170000"
#define HELLO_13                                                                                   \
    "0200002e"                                                                                     \
    "0303" RANDOM "00"                                                                             \
    "1301"                                                                                         \
    "00"                                                                                           \
    "0006"                                                                                         \
    "002b00020304"
#define HELLO_11                                                                                   \
    "02000026"                                                                                     \
    "0302" RANDOM "00"                                                                             \
    "002f"                                                                                         \
    "00"
#define HELLO_BODY(version, extensions) version RANDOM "00c02b00" extensions
#define HELLO(version, extensions)      "02000026" HELLO_BODY(version, extensions)
/* certificates "aabb" and "cc" */
#define CERT_12                                                                                    \
    "0b00000c"                                                                                     \
    "000009"                                                                                       \
    "000002aabb"                                                                                   \
    "000001cc"
#define CERT_13                                                                                    \
    "0b000011"                                                                                     \
    "00"                                                                                           \
    "00000d"                                                                                       \
    "000002aabb0000"                                                                               \
    "000001cc0000"

static void versions_are_told(void **state)
{
    static const struct {
        const char *hex;
        const char *expected;
    } cases[] = {
        {HELLO_12, "1.2"},
        {HELLO_12_EXT, "1.2"},
        {HELLO_13, "1.3"},
        {HELLO_11, "1.1"},
        {HELLO("0300", ""), "SSL 3"},
        {HELLO("0301", ""), "1.0"},
        {HELLO("0002", ""), ""},
        {HELLO("0305", ""), ""},
        {"02000030" HELLO_BODY("0303", "0008002b00047f1c0304"), "1.2"}, /* no single version */
        {"0200002e" HELLO_BODY("0303", "0006002b00027f1c"), ""},        /* of a draft */
        {"0200002e" HELLO_BODY("0303", "0006002b00040304"), "1.2"},     /* cut off */
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
        assert_int_equal(feed(&seen, cases[i].hex, 0), CLM_OK);
        assert_string_equal(seen.version, cases[i].expected);
    }
}

static void leaf_is_the_first_certificate_in_both_forms(void **state)
{
    static const struct {
        const char *hello;
        const char *cert;
    } cases[] = {{HELLO_12, CERT_12}, {HELLO_13, CERT_13}};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
        assert_int_equal(feed(&seen, cases[i].hello, 0), CLM_OK);
        assert_int_equal(feed(&seen, cases[i].cert, 0), CLM_OK);
        assert_int_equal(seen.chain_len, 2);
        assert_int_equal(seen.leaf.len, 2);
        assert_memory_equal(seen.leaf.data, "\xaa\xbb", 2);
        clm_buf_done(&seen.leaf);
    }
}

static void client_certificate_request_and_end_are_noted(void **state)
{
    struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
    (void)state;
    assert_int_equal(feed(&seen, "0d00000101", 0), CLM_OK);
    assert_true(seen.asks_client);
    assert_false(seen.is_finished);
    assert_int_equal(feed(&seen, "0e000000", 0), CLM_OK);
    assert_true(seen.is_finished);
}

/* Every message cut at every length, with its own length corrected and not. */
static void cut_messages_are_ignored(void **state)
{
    static const char *const whole[] = {HELLO_12_EXT, HELLO_13, CERT_12};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(whole); i++) {
        size_t len = strlen(whole[i]) / 2;
        for (size_t cut = 1; cut <= len; cut++) {
            struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
            assert_int_equal(feed(&seen, whole[i], cut), CLM_OK);
            assert_string_equal(seen.version, "");
            assert_int_equal(seen.leaf.len, 0);
            if (len - cut >= 4) {
                char shorter[512];
                char size[3];
                uint8_t body = (uint8_t)(len - cut - 4);
                (void)stpcpy(shorter, whole[i]);
                clm_hex_encode(&body, 1, size);
                memcpy(shorter + 6, size, 2);
                assert_int_equal(feed(&seen, shorter, cut), CLM_OK);
                assert_int_equal(seen.leaf.len, 0);
                clm_buf_done(&seen.leaf);
            }
        }
    }
}

static void lengths_that_lie_are_ignored(void **state)
{
    static const char *const messages[] = {
        "0b000006"
        "ffffff"
        "000000", /* list longer than the message */
        "0b000008"
        "000005"
        "ffffffaabb", /* certificate longer than the list */
        "0b000003"
        "000000", /* no certificate at all */
        "0b000006"
        "000003"
        "000000", /* an empty certificate */
        "0b00000a"
        "000007"
        "000001aa"
        "0000ff", /* the second one lies */
    };
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(messages); i++) {
        struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
        assert_int_equal(feed(&seen, messages[i], 0), CLM_OK);
        assert_int_equal(seen.leaf.len, 0);
        assert_int_equal(seen.chain_len, 0);
    }
}

static void record_headers_and_alerts_are_no_messages(void **state)
{
    static const char *const noise[] = {"1603030026", "15",         "0228",
                                        "16",         "1703030011", HELLO_12 "00"};
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(noise); i++) {
        struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
        assert_int_equal(feed(&seen, noise[i], 0), CLM_OK);
        assert_string_equal(seen.version, "");
        assert_false(seen.is_finished);
    }
}

static void a_leaf_too_long_is_a_limit(void **state)
{
    struct clm_tls_seen seen = CLM_TLS_SEEN_INIT;
    const size_t leaf = CLM_TLS_LEAF_MAX + 1;
    const size_t total = 4 + 3 + 3 + leaf;
    uint8_t *data = calloc(1, total);
    (void)state;
    assert_non_null(data);
    const size_t sizes[] = {total - 4, total - 7, leaf};
    const size_t places[] = {1, 4, 7};
    data[0] = 11;
    for (size_t i = 0; i < 3; i++) {
        data[places[i]] = (uint8_t)(sizes[i] >> 16);
        data[places[i] + 1] = (uint8_t)(sizes[i] >> 8);
        data[places[i] + 2] = (uint8_t)sizes[i];
    }
    assert_int_equal(clm_tls_message(&seen, data, total, NULL), CLM_E_LIMIT);
    clm_buf_done(&seen.leaf);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_told),
        cmocka_unit_test(leaf_is_the_first_certificate_in_both_forms),
        cmocka_unit_test(client_certificate_request_and_end_are_noted),
        cmocka_unit_test(cut_messages_are_ignored),
        cmocka_unit_test(lengths_that_lie_are_ignored),
        cmocka_unit_test(record_headers_and_alerts_are_no_messages),
        cmocka_unit_test(a_leaf_too_long_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
