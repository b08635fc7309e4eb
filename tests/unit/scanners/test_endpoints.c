/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scanners/endpoints.h"

static void wildcards_are_reached_over_loopback(void **state)
{
    struct clm_strs taken = {0};
    char addr[CLM_ADDR_SIZE];

    (void)state;
    assert_int_equal(clm_probe_addr("0.0.0.0", 443, &taken, addr, NULL), CLM_OK);
    assert_string_equal(addr, "127.0.0.1");
    assert_int_equal(clm_probe_addr("::", 443, &taken, addr, NULL), CLM_OK);
    assert_string_equal(addr, "::1");
    assert_int_equal(clm_probe_addr("192.0.2.1", 443, &taken, addr, NULL), CLM_OK);
    assert_string_equal(addr, "192.0.2.1");

    assert_int_equal(clm_strs_add(&taken, "127.0.0.1 443", NULL), CLM_OK);
    assert_int_equal(clm_strs_add(&taken, "::1 443", NULL), CLM_OK);
    assert_int_equal(clm_probe_addr("0.0.0.0", 443, &taken, addr, NULL), CLM_OK);
    assert_string_equal(addr, "127.0.0.2");
    assert_int_equal(clm_probe_addr("0.0.0.0", 444, &taken, addr, NULL), CLM_OK);
    assert_string_equal(addr, "127.0.0.1");
    assert_int_equal(clm_probe_addr("::", 443, &taken, addr, NULL), CLM_E_NOTFOUND);
    clm_strs_done(&taken);
}

static void names_to_ask_for(void **state)
{
    static const struct {
        const char *name;
        const char *sni;
    } cases[] = {
        {"a.example", "a.example"},
        {"A.Example", "a.example"},
        {"*.a.example", "clmbot-probe.a.example"},
        {"_", ""},
        {"", ""},
        {"~^www", ""},
        {"a.*", ""},
        {"$hostname", ""},
        {"192.0.2.1", ""},
        {"a b", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sni[CLM_DNS_NAME_SIZE];

        clm_probe_sni(cases[i].name, sni);
        if (strcmp(sni, cases[i].sni) != 0) {
            fail_msg("case %zu: '%s'", i, sni);
        }
    }
}

static void ids_are_unique_in_a_service(void **state)
{
    static const char *const want[] = {"nginx:a.example", "nginx:a.example#2", "nginx:default",
                                       "nginx:default#2", "nginx:*.a.example"};
    static const char *const names[] = {"A.example", "a.example", "_", "~x", "*.a.example"};
    struct clm_service service = {.kind = "nginx"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct clm_target *target = clm_service_add_target(&service);

        assert_non_null(target);
        assert_int_equal(clm_target_name(&service, target, "nginx", names[i], NULL), CLM_OK);
        assert_string_equal(target->id, want[i]);
        assert_true(clm_target_id_is_valid(target->id));
    }
    clm_service_done(&service);
}

static void endpoints_are_counted_once_and_limited(void **state)
{
    struct clm_target target = {.n_endpoints = 0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) {
            char name[32];

            (void)snprintf(name, sizeof(name), "h%d.example", i);
            assert_int_equal(clm_target_want_endpoint(&target, "::1", 443, name, NULL), CLM_OK);
        }
    }
    assert_int_equal(target.n_endpoints, CLM_ENDPOINTS_MAX);
    clm_target_done(&target);
}

static void addresses_are_names_too(void **state)
{
    static const char *const names[] = {"192.0.2.1", "2001:db8::1", "a.example",
                                        "_",         "no name",     "a.example"};
    struct clm_target target = {.n_endpoints = 0};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        assert_int_equal(clm_target_add_name(&target, names[i], NULL), CLM_OK);
    }
    assert_int_equal(target.names.ip.n, 2);
    assert_int_equal(target.names.dns.n, 1);
    clm_target_done(&target);
}

/* A name as long as names may be does not fit beside a label of ours, nor into an id. */
static void the_longest_names_are_left_out(void **state)
{
    char name[CLM_DNS_NAME_SIZE];
    char sni[CLM_DNS_NAME_SIZE];
    struct clm_service service = {.kind = "nginx"};
    struct clm_target *target = clm_service_add_target(&service);

    (void)state;
    memset(name, 'a', sizeof(name));
    for (size_t i = 60; i < 250; i += 60) {
        name[i] = '.';
    }
    name[0] = '*';
    name[1] = '.';
    name[250] = '\0';
    clm_probe_sni(name, sni);
    assert_string_equal(sni, "");
    assert_int_equal(clm_target_name(&service, target, "nginx", name, NULL), CLM_OK);
    assert_string_equal(target->id, "nginx:default");
    clm_service_done(&service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_are_reached_over_loopback),
        cmocka_unit_test(names_to_ask_for),
        cmocka_unit_test(ids_are_unique_in_a_service),
        cmocka_unit_test(endpoints_are_counted_once_and_limited),
        cmocka_unit_test(addresses_are_names_too),
        cmocka_unit_test(the_longest_names_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
