/* SPDX-License-Identifier: Apache-2.0 */
/* Each call of Mbed TLS fails once: for lack of memory, and for another reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/crypto/ca.h"
#include "agent/crypto/csr.h"
#include "agent/crypto/internal.h"
#include "agent/crypto/jws.h"
#include "agent/crypto/pkcs8.h"
#include "tests/support/certs.h"

#define NOW_S 1790000000

/* ---- the calls: the linker puts these in their place (--wrap) ---- */

static size_t countdown; /* calls until one fails; 0: none will */
static int fails_with;
static const char *failed; /* its name */

static bool is_doomed(const char *name)
{
    if (countdown == 0 || --countdown > 0) {
        return false;
    }
    failed = name;
    return true;
}

#define WRAP(name, params, args)                                                                   \
    int __real_##name params;                                                                      \
    int __wrap_##name params;                                                                      \
    int __wrap_##name params                                                                       \
    {                                                                                              \
        return is_doomed(#name) ? fails_with : __real_##name args;                                 \
    }

typedef int (*random_fn)(void *ctx, unsigned char *dst, size_t len);

/* clang-format off */
WRAP(mbedtls_ctr_drbg_random, (void *ctx, unsigned char *dst, size_t len), (ctx, dst, len))
WRAP(mbedtls_ctr_drbg_seed, (mbedtls_ctr_drbg_context *ctx, random_fn source, void *arg, const unsigned char *custom, size_t len), (ctx, source, arg, custom, len))
WRAP(mbedtls_ecp_gen_key, (mbedtls_ecp_group_id group, mbedtls_ecp_keypair *key, random_fn source, void *arg), (group, key, source, arg))
WRAP(mbedtls_ecp_point_write_binary, (const mbedtls_ecp_group *group, const mbedtls_ecp_point *point, int form, size_t *n, unsigned char *dst, size_t size), (group, point, form, n, dst, size))
WRAP(mbedtls_md, (const mbedtls_md_info_t *info, const unsigned char *data, size_t len, unsigned char *out), (info, data, len, out))
WRAP(mbedtls_mpi_write_binary, (const mbedtls_mpi *number, unsigned char *dst, size_t size), (number, dst, size))
WRAP(mbedtls_pk_parse_public_key, (mbedtls_pk_context *pk, const unsigned char *der, size_t len), (pk, der, len))
WRAP(mbedtls_pk_setup, (mbedtls_pk_context *pk, const mbedtls_pk_info_t *info), (pk, info))
WRAP(mbedtls_pk_verify, (mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash, size_t hash_len, const unsigned char *sig, size_t len), (pk, md, hash, hash_len, sig, len))
WRAP(mbedtls_pk_verify_ext, (mbedtls_pk_type_t type, const void *options, mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash, size_t hash_len, const unsigned char *sig, size_t len), (type, options, pk, md, hash, hash_len, sig, len))
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
WRAP(mbedtls_pk_check_pair, (const mbedtls_pk_context *pub, const mbedtls_pk_context *prv, random_fn source, void *arg), (pub, prv, source, arg))
WRAP(mbedtls_pk_parse_key, (mbedtls_pk_context *pk, const unsigned char *der, size_t len, const unsigned char *password, size_t password_len, random_fn source, void *arg), (pk, der, len, password, password_len, source, arg))
WRAP(mbedtls_pk_sign, (mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash, size_t hash_len, unsigned char *sig, size_t size, size_t *n, random_fn source, void *arg), (pk, md, hash, hash_len, sig, size, n, source, arg))
WRAP(mbedtls_pk_write_key_der, (const mbedtls_pk_context *pk, unsigned char *dst, size_t size), (pk, dst, size))
WRAP(mbedtls_pk_write_pubkey_der, (const mbedtls_pk_context *pk, unsigned char *dst, size_t size), (pk, dst, size))
#else
WRAP(mbedtls_pk_check_pair, (const mbedtls_pk_context *pub, const mbedtls_pk_context *prv), (pub, prv))
WRAP(mbedtls_pk_parse_key, (mbedtls_pk_context *pk, const unsigned char *der, size_t len, const unsigned char *password, size_t password_len), (pk, der, len, password, password_len))
WRAP(mbedtls_pk_sign, (mbedtls_pk_context *pk, mbedtls_md_type_t md, const unsigned char *hash, size_t hash_len, unsigned char *sig, size_t *n, random_fn source, void *arg), (pk, md, hash, hash_len, sig, n, source, arg))
WRAP(mbedtls_pk_write_key_der, (mbedtls_pk_context *pk, unsigned char *dst, size_t size), (pk, dst, size))
WRAP(mbedtls_pk_write_pubkey_der, (mbedtls_pk_context *pk, unsigned char *dst, size_t size), (pk, dst, size))
#endif
/* clang-format on */

/* ---- what is done ---- */

static struct clm_test_ca *ca;
static struct clm_test_leaf leaf;
static struct clm_rng *rng;
static struct clm_buf csr;
static struct clm_buf password;

static int set_up(void **state)
{
    const struct clm_csr_request request = {.common_name = "a.example"};

    (void)state;
    ca = clm_test_ca_new(NOW_S);
    rng = clm_test_ca_rng(ca);
    clm_test_leaf_make(ca, "a.example", CLM_TEST_GOOD, &leaf);
    csr = (struct clm_buf){.max = CLM_CSR_MAX};
    password = (struct clm_buf){.max = 100, .secret = true};
    assert_int_equal(clm_buf_add_str(&password, "x", NULL), CLM_OK);
    return clm_csr_build(rng, leaf.key, &request, &csr, NULL) == CLM_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    clm_buf_done(&csr);
    clm_buf_done(&password);
    clm_test_leaf_done(&leaf);
    clm_test_ca_free(ca);
    return 0;
}

static enum clm_code make_key(struct clm_err *err)
{
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *fresh = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *again = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    enum clm_code code = clm_rng_new(&fresh, err);

    if (code == CLM_OK) {
        code = clm_key_generate(fresh, CLM_KEY_EC_P384, &key, err);
    }
    if (code == CLM_OK) {
        code = clm_key_to_der(key, &der, err);
    }
    if (code == CLM_OK) {
        code = clm_key_to_pem_password(key, fresh, &password, &sealed, err);
    }
    return code == CLM_OK ? clm_key_from_der(der.data, der.len, &again, err) : code;
}

static enum clm_code sign_request(struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    const struct clm_csr_request request = {.common_name = "a.example"};

    return clm_csr_build(rng, leaf.key, &request, &der, err);
}

static enum clm_code read_request(struct clm_err *err)
{
    CLM_CLEANUP(clm_csr_info_done) struct clm_csr_info info = {.has_other_eku = false};

    return clm_csr_parse(csr.data, csr.len, &info, err);
}

static enum clm_code check_chain(struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    bool matches = false;
    enum clm_code code =
        clm_cert_chain_from_pem(leaf.full_pem.data, leaf.full_pem.len, &chain, err);

    if (code == CLM_OK) {
        code = clm_cert_chain_sort(chain, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_chain_check(chain, NOW_S, err);
    }
    if (code == CLM_OK) {
        code = clm_cert_matches_key(chain, 0, leaf.key, &matches, err);
    }
    return code != CLM_OK || matches ? code : clm_err_set(err, CLM_E_CRYPTO, "no pair");
}

static enum clm_code describe(struct clm_err *err)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_cert_info_done) struct clm_cert_info info = {.is_ca = false};
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *own = NULL;
    enum clm_code code =
        clm_cert_chain_from_pem(leaf.leaf_pem.data, leaf.leaf_pem.len, &chain, err);

    if (code == CLM_OK) {
        code = clm_cert_info(chain, 0, &info, err);
    }
    if (code == CLM_OK) {
        code = clm_pubkey_from_cert(chain, 0, &pubkey, err);
    }
    return code == CLM_OK ? clm_pubkey_from_key(leaf.key, &own, err) : code;
}

static enum clm_code sign_and_verify(struct clm_err *err)
{
    CLM_CLEANUP(clm_pubkey_free_p) struct clm_pubkey *pubkey = NULL;
    char thumbprint[CLM_JWK_THUMBPRINT_SIZE];
    uint8_t sig[CLM_ES256_SIG_SIZE];
    enum clm_code code = clm_key_sign_es256(rng, leaf.key, "x", 1, sig, err);

    if (code == CLM_OK) {
        code = clm_pubkey_from_key(leaf.key, &pubkey, err);
    }
    if (code == CLM_OK) {
        code = clm_pubkey_verify_es256(pubkey, "x", 1, sig, err);
    }
    return code == CLM_OK ? clm_jwk_thumbprint(leaf.key, thumbprint, err) : code;
}

static enum clm_code self_sign(struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CERT_CHAIN_PEM_MAX);
    const struct clm_ca_issue issue = {
        .common_name = "CA", .not_before_s = NOW_S, .not_after_s = NOW_S + 1000, .is_ca = true};

    return clm_ca_self_signed(rng, leaf.key, &issue, &pem, err);
}

static enum clm_code gate(struct clm_err *err)
{
    CLM_CLEANUP(clm_bundle_done) struct clm_bundle bundle = {.leaf_pem = CLM_BUF_INIT(0)};
    CLM_CLEANUP(clm_names_done) struct clm_names names = {.dns = {NULL, 0}};
    const char *root = clm_test_ca_root_pem(ca);
    enum clm_code code;

    clm_test_leaf_bundle(&leaf, &bundle);
    clm_test_names("a.example", &names);
    code = clm_cert_gate(&bundle, leaf.key, &names, NOW_S, 0, err);
    return code == CLM_OK ? clm_cert_gate_anchor(&bundle, root, strlen(root), NOW_S, 0, err) : code;
}

static const struct {
    const char *name;
    enum clm_code (*act)(struct clm_err *err);
} acts[] = {
    {"make_key", make_key},         {"sign_request", sign_request},
    {"read_request", read_request}, {"check_chain", check_chain},
    {"describe", describe},         {"sign_and_verify", sign_and_verify},
    {"self_sign", self_sign},       {"gate", gate},
};

/* Returns how many calls failed. */
static size_t run(size_t act, int rc, bool is_memory)
{
    for (size_t n = 1;; n++) {
        struct clm_err err = {0};
        enum clm_code code;

        failed = NULL;
        fails_with = rc;
        countdown = n;
        code = acts[act].act(&err);
        countdown = 0;
        if (failed == NULL) {
            if (code != CLM_OK) {
                fail_msg("%s: %s", acts[act].name, err.msg);
            }
            return n - 1;
        }
        if (code == CLM_OK && !is_memory && strcmp(failed, "mbedtls_pk_parse_key") == 0) {
            continue; /* read as another form, then */
        }
        if (code == CLM_OK || err.msg[0] == '\0' || (is_memory && code != CLM_E_NOMEM)) {
            fail_msg("%s, call %zu (%s): %s '%s'", acts[act].name, n, failed, clm_code_name(code),
                     err.msg);
        }
    }
}

static void lack_of_memory_is_no_bad_signature(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(acts); i++) {
        assert_true(run(i, MBEDTLS_ERR_PK_ALLOC_FAILED, true) > 0);
    }
}

static void every_failure_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(acts); i++) {
        assert_true(run(i, MBEDTLS_ERR_PK_BAD_INPUT_DATA, false) > 0);
    }
}

/* One of them is in the high part of a code, another in the low part. */
static void all_codes_for_lack_of_memory_are_known(void **state)
{
    static const struct {
        int rc;
        bool is_nomem;
    } cases[] = {
        {MBEDTLS_ERR_X509_ALLOC_FAILED, true},
        {MBEDTLS_ERR_PK_ALLOC_FAILED, true},
        {MBEDTLS_ERR_MD_ALLOC_FAILED, true},
        {MBEDTLS_ERR_ECP_ALLOC_FAILED, true},
        {MBEDTLS_ERR_MPI_ALLOC_FAILED, true},
        {MBEDTLS_ERR_ASN1_ALLOC_FAILED, true},
        {MBEDTLS_ERR_RSA_PUBLIC_FAILED + MBEDTLS_ERR_MPI_ALLOC_FAILED, true},
        {MBEDTLS_ERR_X509_INVALID_FORMAT + MBEDTLS_ERR_ASN1_OUT_OF_DATA, false},
        {MBEDTLS_ERR_PK_BAD_INPUT_DATA, false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_err err = {0};

        assert_int_equal(clm_mbed_err(&err, CLM_E_CRYPTO, cases[i].rc, "case %zu", i),
                         cases[i].is_nomem ? CLM_E_NOMEM : CLM_E_CRYPTO);
        assert_memory_equal(err.msg, "case ", 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lack_of_memory_is_no_bad_signature),
        cmocka_unit_test(every_failure_is_told),
        cmocka_unit_test(all_codes_for_lack_of_memory_are_known),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
