/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that are right in everything but what every client refuses; made by openssl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/crypto/cert.h"
#include "tests/unit/crypto/oracle.h"

#define SERVER "subjectAltName=DNS:a.example"

/* A leaf below a CA of its own. digest and extension are the leaf's. */
struct recipe {
    const char *digest;
    const char *extension;
    bool is_weak_ca;
    const char *says; /* NULL: it passes */
};

static void make_key(struct oracle *o, const char *name, bool is_weak)
{
    const char *const out = oracle_put(o, name, NULL, 0);

    assert_int_equal(oracle_run(o, "genpkey", "-algorithm", is_weak ? "RSA" : "EC", "-pkeyopt",
                                is_weak ? "rsa_keygen_bits:1024" : "ec_paramgen_curve:P-256",
                                "-out", out, NULL),
                     0);
}

static void make_ca(struct oracle *o, bool is_weak)
{
    const char *const key = oracle_put(o, "ca.key", NULL, 0);
    const char *const out = oracle_put(o, "ca.pem", NULL, 0);

    make_key(o, "ca.key", is_weak);
    assert_int_equal(oracle_run(o, "req", "-x509", "-key", key, "-days", "30", "-subj", "/CN=CA",
                                "-out", out, NULL),
                     0);
}

static void make_leaf(struct oracle *o, const struct recipe *recipe, struct clm_buf *out)
{
    char conf[256];
    const char *const key = oracle_put(o, "leaf.key", NULL, 0);
    const char *const csr = oracle_put(o, "leaf.csr", NULL, 0);
    const char *const pem = oracle_put(o, "leaf.pem", NULL, 0);
    const char *const ca = oracle_put(o, "ca.pem", NULL, 0);
    const char *const ca_key = oracle_put(o, "ca.key", NULL, 0);

    (void)snprintf(conf, sizeof(conf), SERVER "\n%s\n", recipe->extension);
    const char *const ext = oracle_put(o, "ext", conf, strlen(conf));

    make_key(o, "leaf.key", false);
    assert_int_equal(
        oracle_run(o, "req", "-new", "-key", key, "-subj", "/CN=a.example", "-out", csr, NULL), 0);
    assert_int_equal(oracle_run(o, "x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-out",
                                pem, recipe->digest, "-extfile", ext, NULL),
                     0);
    oracle_get(o, "leaf.pem", out);
}

/* The CA stands in the chain as an issuer would: the gate sees it as it comes. */
static void check(const struct recipe *recipe)
{
    CLM_CLEANUP(oracle_done) struct oracle o;
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = CLM_BUNDLE_INIT;
    struct clm_names wanted = {.dns = {NULL, 0}};
    struct clm_err err = {0};

    oracle_init(&o);
    make_ca(&o, recipe->is_weak_ca);
    make_leaf(&o, recipe, &bundle.leaf_pem);
    oracle_get(&o, "ca.pem", &bundle.chain_pem);
    assert_int_equal(clm_names_add_dns(&wanted, "a.example", &err), CLM_OK);
    enum clm_code code = clm_cert_gate(&bundle, NULL, &wanted, (int64_t)time(NULL), 300, &err);

    clm_names_done(&wanted);
    if (recipe->says == NULL) {
        assert_int_equal(code, CLM_OK);
        return;
    }
    assert_int_equal(code, CLM_E_CRYPTO);
    assert_string_equal(err.msg, recipe->says);
}

static void what_clients_refuse_is_refused(void **state)
{
    static const struct recipe recipes[] = {
        {"-sha256", "", false, NULL},
        {"-sha256", "keyUsage=critical,digitalSignature", false, NULL},
        {"-sha256", "1.3.6.1.4.1.99999.1=DER:0500", false, NULL},
        {"-sha1", "", false,
         "clients refuse certificate 'CN=a.example': it is signed with MD5 or SHA-1"},
        {"-sha256", "1.3.6.1.4.1.99999.1=critical,DER:0500", false,
         "clients refuse certificate 'CN=a.example': it has a critical extension that clients do "
         "not know"},
        {"-sha256", "1.3.6.1.4.1.11129.2.4.3=critical,DER:0500", false,
         "clients refuse certificate 'CN=a.example': it has a critical extension that clients do "
         "not know"},
        {"-sha256", "", true,
         "clients refuse CA certificate 'CN=CA': its key is too weak or of an unknown kind"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(recipes); i++) {
        check(&recipes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_clients_refuse_is_refused),
    };

    return cmocka_run_group_tests_name("cert_clients", tests, NULL, NULL);
}
