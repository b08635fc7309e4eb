/* SPDX-License-Identifier: Apache-2.0 */
/* From a certificate to the next request, what openssl reads in it, and what a CA changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/crypto/ca.h"
#include "agent/crypto/dn.h"
#include "agent/crypto/holder.h"
#include "tests/support/certs.h"
#include "tests/support/torture.h"
#include "tests/unit/crypto/oracle.h"

#define NOW_S     1795312800
#define EACH_TOLD 10 /* names of a kind that are told one by one */

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

/* A certificate that openssl made from a configuration. */
static struct clm_cert_chain *foreign(struct world *w, const char *subject, const char *extensions,
                                      const char *key_kind)
{
    struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf conf = CLM_BUF_INIT(8192);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);

    assert_int_equal(clm_buf_addf(&conf, NULL,
                                  "[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=ext\n"
                                  "string_mask=utf8only\nutf8=yes\n[dn]\n%s\n[ext]\n%s\n",
                                  subject, extensions),
                     CLM_OK);
    assert_int_equal(
        oracle_run(&w->oracle, "req", "-x509", "-nodes", "-newkey", key_kind, "-pkeyopt",
                   strcmp(key_kind, "ec") == 0 ? "ec_paramgen_curve:P-384" : "rsa_keygen_bits:2048",
                   "-keyout", "/dev/null", "-sha384", "-out",
                   oracle_put(&w->oracle, "c.pem", "", 0), "-config",
                   oracle_put(&w->oracle, "c.conf", conf.data, conf.len), NULL),
        0);
    oracle_get(&w->oracle, "c.pem", &pem);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    return chain;
}

#define SUBJECT                                                                                    \
    "C=DE\nST=Schleswig-Holstein\nL=K\xc3\xb6ln\nO=Beispiel\n0.OU=Web\n1.OU=Ops\n"                 \
    "CN=www.example.com\nemailAddress=ca@example.com\nserialNumber=42"
#define EXTENSIONS                                                                                 \
    "subjectAltName=DNS:www.example.com,IP:2001:db8::1,email:Ops@Example.com,"                     \
    "URI:spiffe://example.com/"                                                                    \
    "web\nextendedKeyUsage=serverAuth,clientAuth\ntlsfeature=status_request"

static void a_foreign_certificate_is_taken_over_whole(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_cert_chain_free_p)
    struct clm_cert_chain *chain = foreign(w, SUBJECT, EXTENSIONS, "ec");
    CLM_CLEANUP(clm_holder_done) struct clm_holder holder = {.has_eku = false};
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_strs_done) struct clm_strs changes = {NULL, 0};
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    struct clm_csr_request request;
    const char *text;

    assert_int_equal(clm_holder_from_cert(chain, 0, &holder, NULL), CLM_OK);
    assert_int_equal(holder.key_type, CLM_KEY_EC_P384);
    assert_int_equal(holder.hash, CLM_HASH_SHA384);
    assert_int_equal(holder.left_out.n, 1);
    assert_string_equal(holder.left_out.v[0], "serialNumber=42");
    request = clm_csr_request_from_holder(&holder);
    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_int_equal(oracle_run(&w->oracle, "req", "-inform", "DER", "-verify", "-noout", "-text",
                                "-nameopt", "utf8,sep_comma_plus", "-in",
                                oracle_put(&w->oracle, "r.der", der.data, der.len), NULL),
                     0);
    text = clm_buf_str(&w->oracle.out);
    assert_non_null(strstr(text,
                           "C=DE,ST=Schleswig-Holstein,L=K\xc3\xb6ln,O=Beispiel,OU=Web,OU=Ops,"
                           "CN=www.example.com,emailAddress=ca@example.com"));
    assert_non_null(strstr(text, "DNS:www.example.com, IP Address:2001:DB8:0:0:0:0:0:1, "
                                 "email:Ops@example.com, URI:spiffe://example.com/web"));
    assert_non_null(strstr(text, "TLS Web Server Authentication, TLS Web Client Authentication"));
    assert_non_null(strstr(text, "status_request"));
    assert_non_null(strstr(text, "ecdsa-with-SHA384"));

    assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
    assert_int_equal(clm_csr_compare(&info, chain, &changes, NULL), CLM_OK);
    assert_int_equal(changes.n, 1);
    assert_string_equal(changes.v[0], "the CA certified another key");
}

static void a_name_that_is_only_the_common_name_counts(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p)
    struct clm_cert_chain *chain =
        foreign(*state, "CN=old.example.com", "basicConstraints=CA:FALSE", "rsa");
    CLM_CLEANUP(clm_holder_done) struct clm_holder holder = {.has_eku = false};

    assert_int_equal(clm_holder_from_cert(chain, 0, &holder, NULL), CLM_OK);
    assert_int_equal(holder.sans.names.dns.n, 1);
    assert_string_equal(holder.sans.names.dns.v[0], "old.example.com");
    assert_int_equal(holder.key_type, CLM_KEY_RSA_2048);
    assert_false(holder.has_eku || holder.must_staple);
}

static void old_encodings_of_text_become_utf8(void **state)
{
    /* CN as BMPString "K" U+00F6 U+4E2D, O as T61String "K" 0xF6 */
    static const uint8_t name[] = {0x30, 0x21, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55,
                                   0x04, 0x03, 0x1e, 0x06, 0x00, 'K',  0x00, 0xf6, 0x4e,
                                   0x2d, 0x31, 0x0e, 0x30, 0x0c, 0x06, 0x03, 0x55, 0x04,
                                   0x0a, 0x14, 0x05, 'K',  0xf6, 'l',  'n',  '!'};
    CLM_CLEANUP(clm_subject_done) struct clm_subject subject = {.field = {{NULL, 0}}};

    (void)state;
    assert_int_equal(clm_dn_read(name, sizeof(name), &subject, NULL, NULL), CLM_OK);
    assert_string_equal(clm_subject_value(&subject, CLM_SUBJECT_CN), "K\xc3\xb6\xe4\xb8\xad");
    assert_string_equal(clm_subject_value(&subject, CLM_SUBJECT_O), "K\xc3\xb6ln!");
    for (size_t len = 0; len < sizeof(name); len++) {
        CLM_CLEANUP(clm_subject_done) struct clm_subject cut = {.field = {{NULL, 0}}};

        assert_int_equal(clm_dn_read(name, len, &cut, NULL, NULL), CLM_E_PARSE);
    }
}

static void openssl_reads_the_challenge_password(void **state)
{
    static char long_password[257];
    static const struct {
        const char *password;
        bool is_good;
    } rows[] = {
        {"Sesame 1+1=2", true}, {"\xc3\xb6\xc3\xa4 $%", true}, {"", false},
        {"bad \xff", false},    {long_password, false},
    };
    struct world *w = *state;

    memset(long_password, 'p', sizeof(long_password) - 1);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(512);
        CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
        CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
        struct clm_err err = {.code = CLM_OK};
        const struct clm_csr_request request = {.common_name = "a.example",
                                                .challenge_password = &password};

        assert_int_equal(clm_buf_add_str(&password, rows[i].password, NULL), CLM_OK);
        if (!rows[i].is_good) {
            assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, &err), CLM_E_INVAL);
            assert_null(strstr(err.msg, "bad"));
            continue;
        }
        assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
        assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
        assert_true(info.has_challenge_password);
        assert_int_equal(oracle_run(&w->oracle, "req", "-inform", "DER", "-noout", "-text", "-in",
                                    oracle_put(&w->oracle, "p.der", der.data, der.len), NULL),
                         0);
        assert_non_null(strstr(clm_buf_str(&w->oracle.out), "challengePassword"));
        if (i == 0) {
            assert_non_null(strstr(clm_buf_str(&w->oracle.out), rows[i].password));
        }
    }
}

/* Issues for the request below with some members changed; the sentences, one a line. */
static void compare(struct world *w, void (*change)(struct clm_ca_issue *issue), char *dst,
                    size_t size)
{
    static char email[] = "a@example.com";
    static char *emails_v[] = {email};
    static const struct clm_strs emails = {emails_v, 1};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_strs_done) struct clm_strs out = {NULL, 0};
    const struct clm_csr_request request = {.common_name = "a.example",
                                            .organization = "Org",
                                            .names = &names,
                                            .emails = &emails,
                                            .must_staple = true,
                                            .eku_server = true,
                                            .eku_client = true};
    struct clm_ca_issue issue = {.not_before_s = NOW_S, .not_after_s = NOW_S + 1000};

    clm_test_names("a.example,b.example,192.0.2.1", &names);
    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
    issue.subject = &info.dn;
    issue.names = &info.names;
    issue.emails = &info.emails;
    issue.must_staple = issue.eku_server = issue.eku_client = true;
    change(&issue);
    assert_int_equal(clm_ca_self_signed(w->rng, w->key, &issue, &pem, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_csr_compare(&info, chain, &out, NULL), CLM_OK);
    dst[0] = '\0';
    for (size_t i = 0; i < out.n; i++) {
        assert_true(strlen(dst) + strlen(out.v[i]) + 2 < size);
        (void)strcat(strcat(dst, out.v[i]), "\n");
    }
}

static void nothing(struct clm_ca_issue *issue)
{
    (void)issue;
}

static void drop_all(struct clm_ca_issue *issue)
{
    static char kept[] = "a.example";
    static char added[] = "c.example";
    static char *dns[] = {kept, added};
    static const struct clm_names names = {.dns = {dns, 2}};

    issue->subject = NULL;
    issue->common_name = "c.example";
    issue->names = &names;
    issue->emails = NULL;
    issue->eku_client = false;
    issue->must_staple = false;
}

/* Of a server that asked for little. */
static void add_all(struct clm_ca_issue *issue)
{
    static char uri[] = "spiffe://a.example/x";
    static char *uris_v[] = {uri};
    static const struct clm_strs uris = {uris_v, 1};
    static char dns[EACH_TOLD + 3][16];
    static char *dns_v[EACH_TOLD + 3];
    static struct clm_names names;

    for (size_t i = 0; i < CLM_ARRAY_LEN(dns); i++) {
        (void)snprintf(dns[i], sizeof(dns[i]), "n%zu.example", i);
        dns_v[i] = dns[i];
    }
    names.dns = (struct clm_strs){dns_v, CLM_ARRAY_LEN(dns)};
    issue->names = &names;
    issue->uris = &uris;
    issue->eku_server = false;
    issue->eku_client = false;
}

static void many_names_are_counted(void **state)
{
    char text[4096];

    compare(*state, add_all, text, sizeof(text));
    assert_non_null(
        strstr(text, "the CA added the name 'n9.example'\nthe CA added the name 3 more\n"));
    assert_non_null(strstr(text, "the CA added the URI 'spiffe://a.example/x'\n"));
    assert_non_null(strstr(text, "the CA dropped the purpose 'server'\n"
                                 "the CA dropped the purpose 'client'\n"));
}

/* The certificate has more than was asked for; of many units the first ones are named. */
static void what_a_ca_adds_is_told(void **state)
{
    static char units[6][65];
    static char *units_v[6];
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_strs_done) struct clm_strs out = {NULL, 0};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    const struct clm_csr_request request = {.names = &names};
    struct clm_subject subject = {.field = {{NULL, 0}}};
    const struct clm_ca_issue issue = {.subject = &subject,
                                       .names = &names,
                                       .not_before_s = NOW_S,
                                       .not_after_s = NOW_S + 1000,
                                       .must_staple = true,
                                       .eku_client = true};

    for (size_t i = 0; i < CLM_ARRAY_LEN(units); i++) {
        memset(units[i], 'a' + (int)i, sizeof(units[i]) - 1);
        units_v[i] = units[i];
    }
    subject.field[CLM_SUBJECT_OU] = (struct clm_strs){units_v, CLM_ARRAY_LEN(units)};
    clm_test_names("a.example", &names);
    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
    assert_int_equal(clm_ca_self_signed(w->rng, w->key, &issue, &pem, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_csr_compare(&info, chain, &out, NULL), CLM_OK);
    assert_int_equal(out.n, 3);
    assert_memory_equal(out.v[0], "the CA added OU 'aaa", 20);
    assert_non_null(strstr(out.v[0], "', 'bbb"));
    assert_null(strstr(out.v[0], "ddd"));
    assert_string_equal(out.v[1], "the CA added the purpose 'client'");
    assert_string_equal(out.v[2], "the CA added must-staple: the server must staple OCSP answers");
}

static void one_unit_for_another_is_a_change(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p)
    struct clm_cert_chain *chain =
        foreign(*state, "CN=a.example\n0.OU=Web\n1.OU=Ops", "subjectAltName=DNS:a.example", "ec");
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.must_staple = false};
    CLM_CLEANUP(clm_strs_done) struct clm_strs out = {NULL, 0};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    char *units[] = {(char[]){"Web"}, (char[]){"Lab"}};
    const struct clm_strs ous = {units, 2};
    const struct clm_csr_request request = {
        .common_name = "a.example", .ous = &ous, .names = &names};

    clm_test_names("a.example", &names);
    assert_int_equal(clm_csr_build(w->rng, w->key, &request, &der, NULL), CLM_OK);
    assert_int_equal(clm_csr_parse(der.data, der.len, &info, NULL), CLM_OK);
    assert_int_equal(clm_csr_compare(&info, chain, &out, NULL), CLM_OK);
    assert_string_equal(out.v[0], "the CA changed OU from 'Web', 'Lab' to 'Web', 'Ops'");
}

/* What a request of ours cannot repeat, and what it asks for then. */
static void old_and_odd_certificates_are_taken_over(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_cert_chain_free_p)
    struct clm_cert_chain *by_address =
        foreign(w, "CN=192.0.2.7", "basicConstraints=CA:FALSE", "rsa");
    CLM_CLEANUP(clm_cert_chain_free_p)
    struct clm_cert_chain *odd = foreign(
        w, "CN=a.example", "subjectAltName=RID:1.2.3.4\nextendedKeyUsage=clientAuth", "rsa");
    CLM_CLEANUP(clm_holder_done) struct clm_holder holder = {.has_eku = false};
    CLM_CLEANUP(clm_holder_done) struct clm_holder other = {.has_eku = false};

    assert_int_equal(clm_holder_from_cert(by_address, 0, &holder, NULL), CLM_OK);
    assert_int_equal(holder.sans.names.ip.n, 1);
    assert_string_equal(holder.sans.names.ip.v[0], "192.0.2.7");
    assert_true(clm_csr_request_from_holder(&holder).eku_server); /* nothing said: as always */
    assert_int_equal(clm_holder_from_cert(odd, 0, &other, NULL), CLM_OK);
    assert_int_equal(other.left_out.n, 1);
    assert_string_equal(other.left_out.v[0], "a subject alternative name of another kind");
    assert_false(clm_csr_request_from_holder(&other).eku_server);
    assert_true(clm_csr_request_from_holder(&other).eku_client);
}

static void sha1_is_not_repeated(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_holder_done) struct clm_holder holder = {.has_eku = false};

    assert_int_equal(oracle_run(&w->oracle, "req", "-x509", "-nodes", "-newkey", "rsa:2048",
                                "-keyout", "/dev/null", "-sha1", "-subj", "/CN=a.example", "-out",
                                oracle_put(&w->oracle, "s.pem", "", 0), NULL),
                     0);
    oracle_get(&w->oracle, "s.pem", &pem);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_holder_from_cert(chain, 0, &holder, NULL), CLM_OK);
    assert_int_equal(holder.hash, CLM_HASH_SHA256);
}

static void each_change_is_a_sentence(void **state)
{
    char text[4096];

    compare(*state, nothing, text, sizeof(text));
    assert_string_equal(text, "");
    compare(*state, drop_all, text, sizeof(text));
    assert_string_equal(text, "the CA dropped the name 'b.example'\n"
                              "the CA added the name 'c.example'\n"
                              "the CA dropped the address '192.0.2.1'\n"
                              "the CA dropped the mail address 'a@example.com'\n"
                              "the CA changed CN from 'a.example' to 'c.example'\n"
                              "the CA dropped O 'Org' from the subject\n"
                              "the CA dropped the purpose 'client'\n"
                              "the CA left must-staple out\n");
}

static void a_chain_ends_at_an_anchor_or_not(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(NOW_S);
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *other = clm_test_ca_new(NOW_S);
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {.key = NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf both = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    const char *root = clm_test_ca_root_pem(ca);
    const char *intermediate = clm_test_ca_intermediate_pem(ca);
    const char *alien = clm_test_ca_root_pem(other);
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    clm_test_leaf_make(ca, "a.example", CLM_TEST_GOOD, &leaf);
    clm_test_leaf_bundle(&leaf, &bundle);
    assert_int_equal(clm_buf_add_str(&both, alien, NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&both, root, NULL), CLM_OK);
    assert_int_equal(clm_cert_gate_anchor(&bundle, both.data, both.len, NOW_S, 0, &err), CLM_OK);
    assert_int_equal(
        clm_cert_gate_anchor(&bundle, intermediate, strlen(intermediate), NOW_S, 0, &err), CLM_OK);
    /* the other CA has the same names and other keys */
    assert_int_equal(clm_cert_gate_anchor(&bundle, alien, strlen(alien), NOW_S, 0, &err),
                     CLM_E_CRYPTO);
    assert_non_null(strstr(err.msg, "chain does not end at a CA in the file"));
    /* a leaf is no anchor, not even its own */
    assert_int_equal(
        clm_cert_gate_anchor(&bundle, leaf.leaf_pem.data, leaf.leaf_pem.len, NOW_S, 0, &err),
        CLM_E_CRYPTO);
    /* a root that has ended anchors nothing */
    assert_int_equal(clm_cert_gate_anchor(&bundle, root, strlen(root),
                                          NOW_S + INT64_C(20) * 366 * 86400, 0, &err),
                     CLM_E_CRYPTO);
    assert_int_equal(clm_cert_gate_anchor(&bundle, "text", 4, NOW_S, 0, &err), CLM_E_NOTFOUND);
}

static void a_file_of_anchors_may_hold_other_things(void **state)
{
    static const struct {
        const char *first; /* in front of the root */
        enum clm_code code;
    } rows[] = {
        {"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", CLM_OK},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", CLM_E_PARSE},
        {"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", CLM_E_PARSE},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n", CLM_E_PARSE},
    };
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(NOW_S);
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {.key = NULL};
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;

    (void)state;
    clm_test_leaf_make(ca, "a.example", CLM_TEST_GOOD, &leaf);
    clm_test_leaf_bundle(&leaf, &bundle);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_INIT(65536);
        struct clm_err err = {.code = CLM_OK};

        assert_int_equal(clm_buf_add_str(&file, rows[i].first, NULL), CLM_OK);
        assert_int_equal(clm_buf_add_str(&file, clm_test_ca_root_pem(ca), NULL), CLM_OK);
        enum clm_code code = clm_cert_gate_anchor(&bundle, file.data, file.len, NOW_S, 0, &err);
        if (code != rows[i].code) {
            fail_msg("row %zu: %s: %s", i, clm_code_name(code), err.msg);
        }
    }
}

static void a_bundle_that_is_none_has_no_anchor(void **state)
{
    struct clm_bundle bundle = CLM_BUNDLE_INIT;
    struct clm_err err = {.code = CLM_OK};

    (void)state;
    assert_int_not_equal(clm_cert_gate_anchor(&bundle, "text", 4, NOW_S, 0, &err), CLM_OK);
    assert_int_equal(clm_buf_add_str(&bundle.leaf_pem, "no certificate", NULL), CLM_OK);
    assert_int_not_equal(clm_cert_gate_anchor(&bundle, "text", 4, NOW_S, 0, &err), CLM_OK);
    assert_true(err.msg[0] != '\0');
    clm_bundle_done(&bundle);
}

static enum clm_code holder_once(void *arg, struct clm_err *err)
{
    struct clm_holder holder;
    enum clm_code code = clm_holder_from_cert(arg, 0, &holder, err);

    clm_holder_done(&holder);
    return code;
}

static void no_memory_is_reported(void **state)
{
    CLM_CLEANUP(clm_cert_chain_free_p)
    struct clm_cert_chain *chain = foreign(*state, SUBJECT, EXTENSIONS, "ec");

    assert_true(clm_torture(holder_once, chain) >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_certificate_is_taken_over_whole),
        cmocka_unit_test(a_name_that_is_only_the_common_name_counts),
        cmocka_unit_test(old_encodings_of_text_become_utf8),
        cmocka_unit_test(openssl_reads_the_challenge_password),
        cmocka_unit_test(each_change_is_a_sentence),
        cmocka_unit_test(many_names_are_counted),
        cmocka_unit_test(what_a_ca_adds_is_told),
        cmocka_unit_test(one_unit_for_another_is_a_change),
        cmocka_unit_test(old_and_odd_certificates_are_taken_over),
        cmocka_unit_test(sha1_is_not_repeated),
        cmocka_unit_test(a_chain_ends_at_an_anchor_or_not),
        cmocka_unit_test(a_file_of_anchors_may_hold_other_things),
        cmocka_unit_test(a_bundle_that_is_none_has_no_anchor),
        cmocka_unit_test(no_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
