/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/model/probe.h"
#include "tests/unit/model/json_text.h"

#define SHA_A "aacd4f2fec14dde07d89d4c80d686a4009df18e709f7f981406202ee5a37ba32"

static void an_endpoint_goes_both_ways(void **state)
{
    static const char *const rows[] = {
        "{'addr':'127.0.0.1','port':443,'sni':'www.example.com','timeout_ms':5000,'key_kind':'ec'}",
        "{'addr':'::1','port':65535,'sni':'','timeout_ms':0,'key_kind':''}",
        "{'addr':'fe80::1%eth0','port':1,'sni':'','timeout_ms':600000,'key_kind':'rsa'}",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i]);
        struct clm_json *out = clm_json_new_object();
        struct clm_endpoint endpoint = {0};
        char *want = json_quotes(rows[i]);
        char *text;

        assert_int_equal(clm_endpoint_from_json(in, &endpoint, NULL), CLM_OK);
        clm_endpoint_to_json(&endpoint, out);
        text = json_print_take(out);
        assert_string_equal(text, want);
        free(text);
        free(want);
        clm_json_free(in);
    }
}

static void bad_endpoints_are_refused(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"{'port':443}", CLM_E_PARSE, "addr"},
        {"{'addr':'localhost','port':443}", CLM_E_PARSE,
         "'addr': 'localhost' is not a numeric address"},
        {"{'addr':'127.0.0.1%lo','port':443}", CLM_E_PARSE, "is not a numeric address"},
        {"{'addr':'fe80::1%','port':443}", CLM_E_PARSE, "is not a numeric address"},
        {"{'addr':'::1'}", CLM_E_PARSE, "port"},
        {"{'addr':'::1','port':0}", CLM_E_LIMIT, "port"},
        {"{'addr':'::1','port':65536}", CLM_E_LIMIT, "port"},
        {"{'addr':'::1','port':'443'}", CLM_E_PARSE, "port"},
        {"{'addr':'::1','port':443,'sni':'a..b'}", CLM_E_INVAL, "'sni': 'a..b' is not a DNS name"},
        {"{'addr':'::1','port':443,'sni':'*.a.example'}", CLM_E_INVAL, "it has a wildcard"},
        {"{'addr':'::1','port':443,'timeout_ms':600001}", CLM_E_LIMIT, "timeout_ms"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct clm_endpoint endpoint = {.port = 7};
        struct clm_err err = {0};

        if (clm_endpoint_from_json(in, &endpoint, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        assert_int_equal(endpoint.port, 7);
        clm_json_free(in);
    }
}

static void an_observation_goes_both_ways(void **state)
{
    static const char *const rows[] = {
        "{'result':'served','leaf_sha256':'" SHA_A "','spki_sha256':'" SHA_A
        "','not_after':'2026-12-19T00:00:00Z','subject':'CN=a','issuer':'CN=b',"
        "'tls_version':'1.3','chain_len':2,'detail':'','at_ms':1795312800123}",
        "{'result':'tls_failed','leaf_sha256':'','spki_sha256':'',"
        "'not_after':'1970-01-01T00:00:00Z','subject':'','issuer':'','tls_version':'',"
        "'chain_len':0,'detail':'alert 40','at_ms':1}",
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i]);
        struct clm_json *out = clm_json_new_object();
        struct clm_observation seen = {0};
        struct clm_err err = {0};
        char *want = json_quotes(rows[i]);
        char *text;

        if (clm_observation_from_json(in, &seen, &err) != CLM_OK) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        clm_observation_to_json(&seen, out);
        text = json_print_take(out);
        assert_string_equal(text, want);
        free(text);
        free(want);
        clm_json_free(in);
    }
}

static void bad_observations_are_refused(void **state)
{
    static const struct {
        const char *in;
        enum clm_code code;
        const char *why;
    } rows[] = {
        {"{}", CLM_E_PARSE, "result"},
        {"{'result':'fine'}", CLM_E_PARSE, "'result': unknown value 'fine'"},
        {"{'result':'served'}", CLM_E_PARSE, "'leaf_sha256': must be there if and only if"},
        {"{'result':'refused','leaf_sha256':'" SHA_A "'}", CLM_E_PARSE, "if and only if"},
        {"{'result':'served','leaf_sha256':'xyz'}", CLM_E_PARSE, "'leaf_sha256': not a SHA-256"},
        {"{'result':'timeout','chain_len':-1}", CLM_E_LIMIT, "chain_len"},
        {"{'result':'timeout','at_ms':1.5}", CLM_E_PARSE, "at_ms"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_json *in = json_read(rows[i].in);
        struct clm_observation seen = {0};
        struct clm_err err = {0};

        if (clm_observation_from_json(in, &seen, &err) != rows[i].code ||
            strstr(err.msg, rows[i].why) == NULL) {
            fail_msg("row %zu: %s: '%s'", i, clm_code_name(err.code), err.msg);
        }
        clm_json_free(in);
    }
}

static void every_result_has_a_name(void **state)
{
    (void)state;
    for (int i = CLM_PROBE_SERVED; i <= CLM_PROBE_TLS_FAILED; i++) {
        assert_string_not_equal(clm_probe_result_name((enum clm_probe_result)i), "unknown");
    }
    assert_string_equal(clm_probe_result_name((enum clm_probe_result)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_goes_both_ways),
        cmocka_unit_test(bad_endpoints_are_refused),
        cmocka_unit_test(an_observation_goes_both_ways),
        cmocka_unit_test(bad_observations_are_refused),
        cmocka_unit_test(every_result_has_a_name),
    };

    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
