/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/model/names.h"
#include "agent/model/probe.h"
#include "tests/unit/model/json_text.h"

#define L63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static void normalise_writes_lower_case_without_trailing_dot(void **state)
{
    static const struct {
        const char *in;
        bool wildcard;
        const char *out;
    } rows[] = {
        {"WWW.Example.COM", false, "www.example.com"},
        {"example.com.", false, "example.com"},
        {"localhost", false, "localhost"},
        {"_acme-challenge.example.com", false, "_acme-challenge.example.com"},
        {"*.Example.com", true, "*.example.com"},
        {"xn--bcher-kva.example", false, "xn--bcher-kva.example"},
        {L63 ".com", false, L63 ".com"},
        {L63 "." L63 "." L63 "."
             "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg",
         false,
         L63 "." L63 "." L63 "."
             "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char out[CLM_DNS_NAME_SIZE];
        struct clm_err err = {0};

        if (clm_dns_normalise(rows[i].in, rows[i].wildcard, out, &err) != CLM_OK) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        assert_string_equal(out, rows[i].out);
    }
}

static void normalise_refuses_what_is_no_dns_name(void **state)
{
    static const struct {
        const char *in;
        bool wildcard;
        const char *why;
    } rows[] = {
        {"", false, "'' is not a DNS name: it is empty"},
        {".", false, "it is empty"},
        {"a..b", false, "it has an empty label"},
        {".a.b", false, "it has an empty label"},
        {"a.b..", false, "it has an empty label"},
        {"h" L63 ".com", false, "it has a label of more than 63 characters"},
        {L63 "." L63 "." L63 "." L63, false, "it has more than 253 characters"},
        {"b\xc3\xbc"
         "cher.example",
         false, "write it in its xn-- form"},
        {"a b.example", false, "a character that DNS names do not have"},
        {"a/b", false, "a character that DNS names do not have"},
        {"a\nb", false, "a character that DNS names do not have"},
        {"*.example.com", false, "it has a wildcard"},
        {"*", true, "a '*' that is not the whole first label"},
        {"*.", true, "a '*' that is not the whole first label"},
        {"w*.example.com", true, "a '*' that is not the whole first label"},
        {"a.*.example.com", true, "a '*' that is not the whole first label"},
        {"*.*.example.com", true, "a '*' that is not the whole first label"},
        {"-a.example", false, "a label that begins or ends with '-'"},
        {"a.b-.example", false, "a label that begins or ends with '-'"},
        {"a.example-", false, "a label that begins or ends with '-'"},
        {"*.-a.example", true, "a label that begins or ends with '-'"},
        {"192.0.2.1", false, "it is an IP address"},
        {"2001:db8::1", true, "it is an IP address"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char out[CLM_DNS_NAME_SIZE] = "untouched";
        struct clm_err err = {0};

        if (clm_dns_normalise(rows[i].in, rows[i].wildcard, out, &err) != CLM_E_INVAL) {
            fail_msg("row %zu was accepted as '%s'", i, out);
        }
        if (strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: '%s'", i, err.msg);
        }
        assert_string_equal(out, "");
    }
}

static void names_are_kept_once_and_in_order(void **state)
{
    struct clm_names names = {0};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_names_add_dns(&names, "b.example", &err), CLM_OK);
    assert_int_equal(clm_names_add_dns(&names, "a.example", &err), CLM_OK);
    assert_int_equal(clm_names_add_dns(&names, "B.EXAMPLE.", &err), CLM_OK);
    assert_int_equal(names.dns.n, 2);
    assert_string_equal(names.dns.v[0], "b.example");
    assert_int_equal(clm_names_add_ip(&names, "2001:DB8:0::1", &err), CLM_OK);
    assert_int_equal(clm_names_add_ip(&names, "2001:db8::1", &err), CLM_OK);
    assert_int_equal(names.ip.n, 1);
    assert_string_equal(names.ip.v[0], "2001:db8::1");
    assert_int_equal(clm_names_add_ip(&names, "192.0.2.256", &err), CLM_E_INVAL);
    assert_string_equal(err.msg, "'192.0.2.256' is not an IP address");
    clm_names_done(&names);
    clm_names_done(&names);
    clm_names_done(NULL);
}

static void addresses_are_written_in_one_way(void **state)
{
    static const struct {
        const char *in;
        const char *out; /* NULL: refused */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"2001:DB8:0:0::0:1", "2001:db8::1"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.01", NULL},
        {"fe80::1%eth0", NULL},
        {"[::1]", NULL},
        {"0x7f000001", NULL},
        {"localhost", NULL},
        {"::1 ", NULL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        char out[CLM_ADDR_SIZE] = "untouched";
        struct clm_err err = {0};
        enum clm_code code = clm_ip_normalise(rows[i].in, out, &err);

        if (code != (rows[i].out == NULL ? CLM_E_INVAL : CLM_OK)) {
            fail_msg("row %zu: '%s'", i, out);
        }
        assert_string_equal(out, rows[i].out == NULL ? "" : rows[i].out);
    }
}

static void a_wildcard_covers_exactly_one_label(void **state)
{
    static const struct {
        const char *have;
        const char *host;
        bool covered;
    } rows[] = {
        {"www.example.com", "www.example.com", true},
        {"www.example.com", "WWW.example.com.", true},
        {"*.example.com", "www.example.com", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", "a.b.example.com", false},
        {"*.example.com", "wwwexample.com", false},
        {"*.example.com", "*.example.com", false},
        {"*.example.com", "", false},
        {"example.com", "www.example.com", false},
        {"a.example.com", "b.example.com", false},
        {"*.com", "com", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_names names = {0};

        assert_int_equal(clm_names_add_dns(&names, rows[i].have, NULL), CLM_OK);
        if (clm_names_covers_dns(&names, rows[i].host) != rows[i].covered) {
            fail_msg("row %zu: '%s' against '%s'", i, rows[i].host, rows[i].have);
        }
        clm_names_done(&names);
    }
}

static void a_subset_needs_wildcards_to_be_equal(void **state)
{
    struct clm_names want = {0};
    struct clm_names have = {0};
    const char *missing = NULL;

    (void)state;
    assert_int_equal(clm_names_add_dns(&have, "*.example.com", NULL), CLM_OK);
    assert_int_equal(clm_names_add_ip(&have, "192.0.2.1", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&want, "a.example.com", NULL), CLM_OK);
    assert_int_equal(clm_names_add_dns(&want, "*.example.com", NULL), CLM_OK);
    assert_int_equal(clm_names_add_ip(&want, "192.0.2.1", NULL), CLM_OK);
    assert_true(clm_names_is_subset(&want, &have, &missing));
    assert_null(missing);
    assert_int_equal(clm_names_add_dns(&want, "*.a.example.com", NULL), CLM_OK);
    assert_false(clm_names_is_subset(&want, &have, &missing));
    assert_string_equal(missing, "*.a.example.com");
    assert_false(clm_names_is_subset(&want, &have, NULL));
    clm_names_done(&want);
    assert_true(clm_names_is_subset(&want, &have, NULL));
    assert_int_equal(clm_names_add_ip(&want, "192.0.2.2", NULL), CLM_OK);
    assert_false(clm_names_is_subset(&want, &have, &missing));
    assert_string_equal(missing, "192.0.2.2");
    clm_names_done(&want);
    clm_names_done(&have);
}

static void json_goes_both_ways(void **state)
{
    struct clm_json *in = json_read("{'dns':['b.example','*.a.example'],'ip':['::1']}");
    struct clm_json *out = clm_json_new_object();
    struct clm_names names = {0};
    char *text;

    (void)state;
    assert_int_equal(clm_names_from_json(in, &names, NULL), CLM_OK);
    clm_names_to_json(&names, out);
    clm_names_to_list(&names, "all", out);
    text = json_print_take(out);
    assert_string_equal(text, "{\"dns\":[\"b.example\",\"*.a.example\"],\"ip\":[\"::1\"],"
                              "\"all\":[\"b.example\",\"*.a.example\",\"::1\"]}");
    free(text);
    clm_names_done(&names);
    clm_json_free(in);
}

static void a_list_tells_names_from_addresses(void **state)
{
    struct clm_json *in = json_read("{'sans':['192.0.2.1','a.example','2001:db8::1']}");
    struct clm_names names = {0};

    (void)state;
    assert_int_equal(clm_names_from_list(in, "sans", &names, NULL), CLM_OK);
    assert_int_equal(names.dns.n, 1);
    assert_int_equal(names.ip.n, 2);
    clm_names_done(&names);
    assert_int_equal(clm_names_from_list(in, "other", &names, NULL), CLM_OK);
    assert_int_equal(names.dns.n + names.ip.n, 0);
    clm_json_free(in);
}

static void bad_json_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"{'dns':'a.example'}", CLM_E_PARSE, "dns"},
        {"{'dns':['a.example',1]}", CLM_E_PARSE, "'dns': element 1 is no string"},
        {"{'dns':['a..b']}", CLM_E_INVAL, "'dns': element 0: 'a..b' is not a DNS name"},
        {"{'ip':['localhost']}", CLM_E_INVAL, "'ip': element 0: 'localhost' is not an IP address"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct clm_names names = {0};
        struct clm_err err = {0};

        if (clm_names_from_json(in, &names, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        assert_int_equal(names.dns.n, 0);
        clm_json_free(in);
    }
}

static void more_than_a_hundred_names_are_refused(void **state)
{
    struct clm_json *in = clm_json_new_object();
    struct clm_json *dns = clm_json_set_array(in, "dns");
    struct clm_json *ip = clm_json_set_array(in, "ip");
    struct clm_names names = {0};
    struct clm_err err = {0};
    char name[32];

    (void)state;
    for (int i = 0; i < CLM_NAMES_MAX; i++) {
        assert_int_equal(clm_str_fmt(name, sizeof(name), NULL, "n%d.example", i), CLM_OK);
        clm_json_add_str(dns, name);
    }
    assert_int_equal(clm_names_from_json(in, &names, &err), CLM_OK);
    clm_names_done(&names);
    clm_json_add_str(ip, "::1");
    assert_int_equal(clm_names_from_json(in, &names, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "101 names, the limit is 100");
    clm_json_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalise_writes_lower_case_without_trailing_dot),
        cmocka_unit_test(normalise_refuses_what_is_no_dns_name),
        cmocka_unit_test(names_are_kept_once_and_in_order),
        cmocka_unit_test(addresses_are_written_in_one_way),
        cmocka_unit_test(a_wildcard_covers_exactly_one_label),
        cmocka_unit_test(a_subset_needs_wildcards_to_be_equal),
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(a_list_tells_names_from_addresses),
        cmocka_unit_test(bad_json_is_refused_with_its_place),
        cmocka_unit_test(more_than_a_hundred_names_are_refused),
    };

    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
