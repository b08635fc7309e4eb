/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/crc32c.h"

/* RFC 3720 B.4 */
static void the_vectors_of_rfc_3720(void **state)
{
    unsigned char data[32];

    (void)state;
    assert_int_equal(clm_crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(clm_crc32c(0, "", 0), 0);
    memset(data, 0, sizeof(data));
    assert_int_equal(clm_crc32c(0, data, sizeof(data)), 0x8A9136AAu);
    memset(data, 0xff, sizeof(data));
    assert_int_equal(clm_crc32c(0, data, sizeof(data)), 0x62A8AB43u);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (unsigned char)i;
    }
    assert_int_equal(clm_crc32c(0, data, sizeof(data)), 0x46DD794Eu);
}

static void pieces_give_the_same_as_the_whole(void **state)
{
    static const char text[] = "a record in two pieces";

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        assert_int_equal(clm_crc32c(clm_crc32c(0, text, i), text + i, sizeof(text) - i),
                         clm_crc32c(0, text, sizeof(text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_3720),
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
    };

    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
