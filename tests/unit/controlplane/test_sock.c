/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/sock.h"

static void addresses_that_can_be_listened_on(void **state)
{
    static const char *const good[][2] = {{"127.0.0.1:0", "127.0.0.1:"}, {"[::1]:0", "[::1]:"}};
    char bound[96];
    struct clm_err err;

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(good); i++) {
        int fd = -1;

        if (clm_cp_sock_listen(good[i][0], &fd, bound, sizeof(bound), &err) != CLM_OK) {
            fail_msg("%s: %s", good[i][0], err.msg);
        }
        assert_memory_equal(bound, good[i][1], strlen(good[i][1]));
        assert_int_not_equal(atoi(strrchr(bound, ':') + 1), 0);
        (void)close(fd);
    }
}

/* longer than any host that is looked at */
#define LONG_HOST "00000000000000000000000000000000000000000000000000000000000000000000000"

static void what_is_no_address(void **state)
{
    static const char *const bad[] = {"",
                                      ":",
                                      ":1",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "1.2.3:1",
                                      "[::1]",
                                      "[::1:1",
                                      "::1:1",
                                      "[]:1",
                                      "[1.2.3.4]:1",
                                      "[:1",
                                      "[::1:",
                                      LONG_HOST ":1",
                                      "localhost:1",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "127.0.0.1: 1"};
    char bound[96];

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(bad); i++) {
        int fd = -1;
        struct clm_err err = {0};

        if (clm_cp_sock_listen(bad[i], &fd, bound, sizeof(bound), &err) != CLM_E_INVAL) {
            fail_msg("'%s' was accepted, or failed otherwise: %s", bad[i], err.msg);
        }
        assert_false(clm_cp_sock_is_loopback(bad[i]));
    }
}

static void a_taken_port_is_an_error_that_names_it(void **state)
{
    char bound[96];
    char again[96];
    int first = -1;
    int second = -1;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_cp_sock_listen("127.0.0.1:0", &first, bound, sizeof(bound), &err), CLM_OK);
    assert_int_not_equal(clm_cp_sock_listen(bound, &second, again, sizeof(again), &err), CLM_OK);
    assert_non_null(strstr(err.msg, bound));
    (void)close(first);
}

static void loopback_is_told_from_the_rest(void **state)
{
    (void)state;
    assert_true(clm_cp_sock_is_loopback("127.0.0.1:80"));
    assert_true(clm_cp_sock_is_loopback("127.200.3.4:80"));
    assert_true(clm_cp_sock_is_loopback("[::1]:80"));
    assert_false(clm_cp_sock_is_loopback("0.0.0.0:80"));
    assert_false(clm_cp_sock_is_loopback("[::]:80"));
    assert_false(clm_cp_sock_is_loopback("192.0.2.1:80"));
    assert_false(clm_cp_sock_is_loopback("[2001:db8::1]:80"));
    assert_false(clm_cp_sock_is_loopback("[0:0:1::1]:80"));
    assert_false(clm_cp_sock_is_loopback("[::1:0:1]:80"));
    assert_false(clm_cp_sock_is_loopback("[::2]:80"));
}

static void an_address_without_a_number_has_no_text(void **state)
{
    const struct sockaddr local = {.sa_family = AF_UNIX};
    char text[64] = "?";

    (void)state;
    clm_cp_sock_text(&local, text, sizeof(text));
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_can_be_listened_on),
        cmocka_unit_test(what_is_no_address),
        cmocka_unit_test(a_taken_port_is_an_error_that_names_it),
        cmocka_unit_test(loopback_is_told_from_the_rest),
        cmocka_unit_test(an_address_without_a_number_has_no_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
