/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/crypto/csr.h"
#include "tests/support/certs.h"
#include "tests/support/torture.h"
#include "tests/unit/crypto/oracle.h"

struct world {
    struct clm_rng *rng;
    struct clm_key *key;
    struct oracle oracle;
};

static int setup(void **state)
{
    static struct world world;

    if (clm_rng_new(&world.rng, NULL) != CLM_OK ||
        clm_key_generate(world.rng, CLM_KEY_EC_P256, &world.key, NULL) != CLM_OK) {
        return -1;
    }
    oracle_init(&world.oracle);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    oracle_done(&w->oracle);
    clm_key_free(w->key);
    clm_rng_free(w->rng);
    return 0;
}

static void full_request_comes_back_and_openssl_agrees(void **state)
{
    static const enum clm_key_type types[] = {CLM_KEY_EC_P256, CLM_KEY_EC_P384, CLM_KEY_RSA_2048};
    struct world *w = *state;
    char *units[] = {(char[]){"Ops"}, (char[]){"Web"}};
    char *uri[] = {(char[]){"clm://acme/agent/agt_1"}};
    struct clm_strs ous = {units, 2};
    struct clm_strs uris = {uri, 1};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};

    clm_test_names("www.example.com,*.example.org,192.0.2.1,2001:db8::1", &names);
    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf spki = CLM_BUF_INIT(CLM_CSR_MAX);
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
        const struct clm_csr_request request = {.common_name = "www.example.com",
                                                .organization = "Example",
                                                .ous = &ous,
                                                .locality = "K\xc3\xb6ln",
                                                .state = "NRW",
                                                .country = "DE",
                                                .email = "ca@example.com",
                                                .names = &names,
                                                .uris = &uris,
                                                .hash = (enum clm_hash)i,
                                                .must_staple = true,
                                                .eku_server = true,
                                                .eku_client = i == 1};
        char hex[65];
        const char *text;

        assert_int_equal(clm_key_generate(w->rng, types[i], &key, NULL), CLM_OK);
        assert_int_equal(clm_csr_build(w->rng, key, &request, &der, NULL), CLM_OK);
        assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
        assert_string_equal(info.common_name, "www.example.com");
        assert_string_equal(info.subject, "C=DE, ST=NRW, L=K\xc3\xb6ln, O=Example, OU=Ops, OU=Web, "
                                          "CN=www.example.com, emailAddress=ca@example.com");
        assert_true(clm_names_is_subset(&names, &info.names, NULL));
        assert_true(clm_names_is_subset(&info.names, &names, NULL));
        assert_int_equal(info.uris.n, 1);
        assert_string_equal(info.uris.v[0], uri[0]);
        assert_int_equal(info.key_type, types[i]);
        assert_true(info.must_staple && info.eku_server);
        assert_int_equal(info.eku_client, i == 1);
        assert_int_equal(clm_key_spki_sha256_hex(key, hex, NULL), CLM_OK);
        assert_string_equal(info.spki_sha256, hex);
        assert_int_equal(clm_key_public_der(key, &spki, NULL), CLM_OK);
        assert_memory_equal(info.spki_der.data, spki.data, spki.len);

        assert_int_equal(oracle_run(&w->oracle, "req", "-inform", "DER", "-verify", "-noout",
                                    "-text", "-in",
                                    oracle_put(&w->oracle, "r.der", der.data, der.len), NULL),
                         0);
        text = clm_buf_str(&w->oracle.out);
        assert_non_null(strstr(text, "verify OK"));
        assert_non_null(strstr(text,
                               "DNS:www.example.com, DNS:*.example.org, IP Address:192.0.2.1, "
                               "IP Address:2001:DB8:0:0:0:0:0:1, URI:clm://acme/agent/agt_1"));
        assert_non_null(strstr(text, "status_request"));
        assert_non_null(strstr(text, "TLS Web Server Authentication"));
        assert_non_null(strstr(text, i == 0   ? "ecdsa-with-SHA256"
                                     : i == 1 ? "ecdsa-with-SHA384"
                                              : "sha512WithRSAEncryption"));
    }
}

static void bare_request_has_no_names(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    const struct clm_csr_request request = {.common_name = NULL};

    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
    assert_string_equal(info.subject, "");
    assert_string_equal(info.common_name, "");
    assert_int_equal(info.names.dns.n + info.names.ip.n + info.uris.n, 0);
    assert_false(info.must_staple);
}

/* Each extension alone is asked for; lists without members are none. */
static void each_wish_stands_alone(void **state)
{
    struct world *w = *state;
    char *email[] = {(char[]){"ca@a.example"}};
    char *uri[] = {(char[]){"spiffe://a.example/x"}};
    const struct clm_strs none = {NULL, 0};
    const struct clm_strs emails = {email, 1};
    const struct clm_strs uris = {uri, 1};
    const struct clm_names no_names = {.dns = {NULL, 0}};
    const struct clm_csr_request cases[] = {
        {.names = &no_names, .emails = &none, .uris = &none},
        {.names = &no_names, .emails = &emails},
        {.emails = &none, .uris = &uris},
        {.must_staple = true},
        {.eku_server = true},
        {.eku_client = true},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};

        assert_int_equal(clm_csr_build(w->rng, w->key, &cases[i], &der, NULL), CLM_OK);
        assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
        assert_int_equal(info.names.dns.n + info.names.ip.n, 0);
        assert_int_equal(info.emails.n, i == 1);
        assert_int_equal(info.uris.n, i == 2);
        assert_int_equal(info.must_staple, i == 3);
        assert_int_equal(info.eku_server, i == 4);
        assert_int_equal(info.eku_client, i == 5);
    }
}

static void bad_subject_and_names_are_refused(void **state)
{
    static char long_uri[2100];
    struct world *w = *state;
    char *bad_ip[] = {(char[]){"300.1.1.1"}};
    char *bad_dns[] = {(char[]){"k\xc3\xb6ln.example"}};
    struct clm_names ips = {.ip = {bad_ip, 1}};
    struct clm_names dns = {.dns = {bad_dns, 1}};
    char *bad_uris[][1] = {{(char[]){""}}, {long_uri}, {(char[]){"urn:\n"}}};
    const struct clm_strs uris[] = {{bad_uris[0], 1}, {bad_uris[1], 1}, {bad_uris[2], 1}};
    const struct clm_csr_request cases[] = {
        {.uris = &uris[0]},
        {.uris = &uris[1]},
        {.uris = &uris[2]},
        {.country = "d"},
        {.country = "dE"},
        {.country = "{E"},
        {.country = "De"},
        {.country = "D{"},
        {.country = "D1"},
        {.country = "Germany"},
        {.names = &ips},
        {.names = &dns},
        {.common_name = "a name of the subject that is clearly longer than the sixty-four allowed"},
    };

    memset(long_uri, 'u', sizeof(long_uri) - 1);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
        struct clm_err err = {0};

        if (clm_csr_build(w->rng, w->key, &cases[i], &der, &err) != CLM_E_INVAL) {
            fail_msg("case %zu was built", i);
        }
        assert_non_null(strstr(err.msg, "certificate request: "));
    }
}

static void any_changed_byte_breaks_it(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    const struct clm_csr_request request = {.common_name = "a.example", .names = &names};

    clm_test_names("a.example,b.example,192.0.2.1", &names);
    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    for (size_t i = 0; i < der.len; i++) {
        struct clm_csr_info info;

        der.data[i] ^= 0x04;
        assert_int_not_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
        clm_csr_info_done(&info);
        der.data[i] ^= 0x04;
        assert_int_not_equal(clm_csr_parse(der.data, i, &info, NULL), CLM_OK);
        clm_csr_info_done(&info);
    }
}

static void bytes_behind_and_oversize_are_refused(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(2 * CLM_CSR_MAX);
    const struct clm_csr_request request = {.common_name = "a.example"};
    struct clm_csr_info info;

    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&der, "\0", 1, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_E_PARSE);
    clm_csr_info_done(&info);
    assert_int_equal(clm_buf_reserve(&der, CLM_CSR_MAX, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(der.data, CLM_CSR_MAX + 1, &info, NULL), CLM_E_LIMIT);
    clm_csr_info_done(&info);
    assert_int_equal(clm_csr_parse(NULL, 0, &info, NULL), CLM_E_PARSE);
    clm_csr_info_done(&info);
}

/* Made by openssl: signed by another key than the one inside, and names that are none. */
static void request_of_a_stolen_public_key_is_refused(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf a = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf b = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *other = NULL;
    const struct clm_csr_request request = {.common_name = "a.example"};
    struct clm_csr_info info;
    struct clm_err err = {0};
    size_t at;

    assert_int_equal(clm_key_generate(w->rng, CLM_KEY_EC_P256, &other, NULL), CLM_OK);
    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &a, NULL), CLM_OK);
    assert_int_equal(clm_csr_build(w->rng, other, &request, &b, NULL), CLM_OK);
    at = 0;
    while (memcmp(a.data + at, "\x03\x42\x00\x04", 4) != 0) {
        at++;
    }
    memcpy(a.data + at, b.data + at, 68); /* the other's public key */
    assert_int_equal(clm_csr_parse(a.data, a.len, &info, &err), CLM_E_CRYPTO);
    assert_non_null(strstr(err.msg, "signature is not by the key in the request"));
    clm_csr_info_done(&info);
}

static void names_that_are_none_are_refused(void **state)
{
    static const char *const sans[] = {"DNS:a b.example", "DNS:a..example", "DNS:*.*.example",
                                       "DNS:a_!b.example"};
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(sans); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
        struct clm_csr_info info;
        char ext[128] = "subjectAltName=";

        strcat(ext, sans[i]);
        assert_int_equal(oracle_run(&w->oracle, "req", "-new", "-newkey", "ec", "-pkeyopt",
                                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null",
                                    "-subj", "/", "-addext", ext, "-outform", "DER", NULL),
                         0);
        /* openssl prints dots of progress in front: the request starts at the first 0x30 0x81/2 */
        for (size_t k = 0; k + 1 < w->oracle.out.len; k++) {
            if (w->oracle.out.data[k] == 0x30 && (w->oracle.out.data[k + 1] & 0xfcu) == 0x80) {
                assert_int_equal(
                    clm_buf_add(&der, w->oracle.out.data + k, w->oracle.out.len - k, NULL), CLM_OK);
                break;
            }
        }
        if (clm_csr_parse(der.data, der.len, &info, NULL) != CLM_E_PARSE) {
            fail_msg("'%s' was read", sans[i]);
        }
        clm_csr_info_done(&info);
    }
}

static void pem_form_is_read_with_both_labels(void **state)
{
    static const char *const labels[] = {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"};
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(2 * CLM_CSR_MAX);
    const struct clm_csr_request request = {.common_name = "a.example"};

    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_int_equal(clm_csr_to_pem(der.data, der.len, &pem, NULL), CLM_OK);
    assert_int_equal(oracle_run(&w->oracle, "req", "-verify", "-noout", "-in",
                                oracle_put(&w->oracle, "r.pem", pem.data, pem.len), NULL),
                     0);
    for (size_t i = 0; i < CLM_ARRAY_LEN(labels); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(2 * CLM_CSR_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf back = CLM_BUF_INIT(CLM_CSR_MAX);
        const char *body = strchr(clm_buf_str(&pem), '\n');
        size_t body_len = (size_t)(strstr(body, "-----END") - body);

        assert_int_equal(clm_buf_addf(&text, NULL, "-----BEGIN %s-----%.*s-----END %s-----\n",
                                      labels[i], (int)body_len, body, labels[i]),
                         CLM_OK);
        assert_int_equal(clm_csr_from_pem(text.data, text.len, &back, NULL), CLM_OK);
        assert_int_equal(back.len, der.len);
        assert_memory_equal(back.data, der.data, der.len);
    }
    assert_int_equal(clm_csr_from_pem("x", 1, &pem, NULL), CLM_E_NOTFOUND);
}

/* Texts that people paste: the label alone says what they are. */
static void a_text_must_be_one_request_and_nothing_else(void **state)
{
    static const struct {
        const char *text; /* %s: a request */
        const char *msg;  /* "": it is good */
    } rows[] = {
        {"%s", ""},
        {"words around\n%s\nit", ""},
        {"%s%s", "certificate request: the text holds more than one request"},
        {"nothing", "certificate request: the text holds no request in PEM"},
        {"", "certificate request: the text holds no request in PEM"},
        {"%s-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
         "certificate request: the text holds a private key, which must never leave its host"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n%s",
         "certificate request: the text holds a certificate, not only a request"},
        {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
         "certificate request: the text holds something else, not only a request"},
        {"-----BEGIN CERTIFICATE REQUEST-----\n!\n-----END CERTIFICATE REQUEST-----\n",
         "certificate request: "},
        {"-----BEGIN NEW CERTIFICATE REQUEST-----\nAAAA\n-----END NEW CERTIFICATE REQUEST-----\n",
         "certificate request"},
        {"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n", "certificate request: "},
    };
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf made = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    const struct clm_csr_request request = {.common_name = "a.example"};

    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &made, NULL), CLM_OK);
    assert_int_equal(clm_csr_to_pem(made.data, made.len, &pem, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(65536);
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
        struct clm_err err = {.code = CLM_OK};

        for (const char *p = rows[i].text; *p != '\0'; p++) {
            bool is_request = p[0] == '%';

            assert_int_equal(clm_buf_add(&text, is_request ? clm_buf_str(&pem) : p,
                                         is_request ? pem.len : 1, NULL),
                             CLM_OK);
            p += is_request;
        }
        enum clm_code code = clm_csr_from_text(clm_buf_str(&text), &der, &info, &err);
        if ((code == CLM_OK) != (rows[i].msg[0] == '\0') || strstr(err.msg, rows[i].msg) == NULL) {
            fail_msg("row %zu: %s: %s", i, clm_code_name(code), err.msg);
        }
    }
}

static void a_text_has_a_limit(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(10000000);
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    for (int i = 0; i < 1000000; i++) {
        assert_int_equal(clm_buf_add(&text, "t", 1, NULL), CLM_OK);
    }
    assert_int_equal(clm_csr_from_text(clm_buf_str(&text), &der, &info, &err), CLM_E_LIMIT);
    assert_non_null(strstr(err.msg, "certificate request: longer than "));
}

static void hash_names_are_one_to_one(void **state)
{
    enum clm_hash hash = CLM_HASH_SHA512;

    (void)state;
    for (unsigned i = 0; i < CLM_HASH__COUNT; i++) {
        assert_int_equal(clm_hash_parse(clm_hash_name((enum clm_hash)i), &hash, NULL), CLM_OK);
        assert_int_equal(hash, i);
    }
    assert_int_equal(clm_hash_parse("sha1", &hash, NULL), CLM_E_INVAL);
}

static enum clm_code parse_once(void *arg, struct clm_err *err)
{
    const struct clm_buf *der = arg;
    struct clm_csr_info info;
    enum clm_code code = clm_csr_parse(der->data, der->len, &info, err);

    clm_csr_info_done(&info);
    return code;
}

static void no_memory_is_reported(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    const struct clm_csr_request request = {.common_name = "a.example", .names = &names};

    clm_test_names("a.example,192.0.2.1", &names);
    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_true(clm_torture(parse_once, &der) >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_request_comes_back_and_openssl_agrees),
        cmocka_unit_test(bare_request_has_no_names),
        cmocka_unit_test(each_wish_stands_alone),
        cmocka_unit_test(bad_subject_and_names_are_refused),
        cmocka_unit_test(any_changed_byte_breaks_it),
        cmocka_unit_test(bytes_behind_and_oversize_are_refused),
        cmocka_unit_test(request_of_a_stolen_public_key_is_refused),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test(pem_form_is_read_with_both_labels),
        cmocka_unit_test(a_text_must_be_one_request_and_nothing_else),
        cmocka_unit_test(a_text_has_a_limit),
        cmocka_unit_test(hash_names_are_one_to_one),
        cmocka_unit_test(no_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
