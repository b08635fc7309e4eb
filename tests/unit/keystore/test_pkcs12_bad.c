/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are cut off, changed, or made to cost something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "agent/keystore/pkcs12.h"
#include "tests/unit/keystore/p12_files.h"

#define CPU_MAX_MS 1000 /* of the measured 50; sanitizers and slow machines are no failure */

static const char *const names[] = {"openssl-bare", "openssl-nomac", "openssl-clear", "ber",
                                    "windows",      "nested",        "pbmac1",        "jdk17"};

/* Does with a store all that reads. */
static void use(const struct clm_keystore *store)
{
    for (size_t i = 0; i < clm_keystore_count(store); i++) {
        CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;

        clm_ignore(clm_keystore_chain(store, i, &chain, NULL));
        if (clm_keystore_entry(store, i)->protection[0] == '\0') { /* costs nothing */
            clm_ignore(clm_keystore_key(store, i, NULL, &key, NULL));
        }
    }
}

/* The same with a changed entry, written out. */
static void change(struct clm_keystore *store, struct clm_rng *rng)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    size_t n = clm_keystore_count(store);

    if (n > 0) {
        clm_ignore(clm_keystore_remove(store, clm_keystore_entry(store, n - 1)->alias, NULL));
    }
    clm_ignore(clm_keystore_write(store, rng, NULL, &out, NULL));
}

static bool opens(const struct clm_buf *file, size_t len, const struct clm_buf *password,
                  struct clm_rng *rng)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    uint8_t *exact = len == 0 ? NULL : test_malloc(len); /* so that one byte too far is seen */
    struct clm_err err = {0};
    enum clm_code code;

    if (len > 0) {
        memcpy(exact, file->data, len);
    }
    code = clm_keystore_open(exact, len, password, &store, &err);
    if (len > 0) {
        test_free(exact);
    }
    if (code != CLM_OK) {
        assert_true(err.msg[0] != '\0');
        assert_null(strpbrk(err.msg, "\n\r"));
        return false;
    }
    use(store);
    change(store, rng);
    return true;
}

static void cut_off_at_every_byte(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text(P12_PASSWORD);
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = p12_file(names[i]);

        for (size_t len = 0; len < file.len; len++) {
            assert_false(opens(&file, len, &password, rng));
            assert_false(opens(&file, len, NULL, rng));
        }
        assert_true(opens(&file, file.len, NULL, rng));
    }
}

/* With a MAC nothing opens; without a look at it much does, and must not crash. */
static void every_byte_changed(void **state)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text(P12_PASSWORD);
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = p12_file(names[i]);

        for (size_t at = 0; at < file.len; at++) {
            for (size_t k = 0; k < CLM_ARRAY_LEN(flips); k++) {
                file.data[at] ^= flips[k];
                (void)opens(&file, file.len, NULL, rng);
                if (i < 2) { /* the others would compute a MAC each time */
                    (void)opens(&file, file.len, &password, rng);
                }
                file.data[at] ^= flips[k];
            }
        }
    }
}

static void a_changed_byte_shows_in_the_mac(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text(P12_PASSWORD);
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = p12_file("windows");
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    for (size_t at = 60; at < file.len - 90; at += 7) { /* content, not lengths in front */
        file.data[at] ^= 0x10;
        assert_false(opens(&file, file.len, &password, rng));
        file.data[at] ^= 0x10;
    }
    assert_true(opens(&file, file.len, &password, rng));
}

/* ---- files made to cost ---- */

struct made {
    uint32_t mac_iterations;  /* 0: no MAC */
    uint32_t safe_iterations; /* 0: in clear */
    size_t safes;
    size_t bags;
    size_t depth; /* of bags in bags */
    size_t salt_len;
    const struct clm_buf *bag; /* repeated */
};

static void put_content(struct clm_der *w, const struct made *m)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf in = CLM_BUF_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_INIT(CLM_KEYSTORE_MAX);
    struct clm_der d;

    for (size_t i = 0; i < m->bags; i++) {
        assert_int_equal(clm_buf_add(&in, m->bag->data, m->bag->len, NULL), CLM_OK);
    }
    for (size_t i = 0; i < m->depth; i++) {
        clm_buf_reset(&out);
        clm_der_init(&d, &out, NULL);
        clm_der_open(&d, CLM_DER_SEQUENCE);
        clm_der_oid(&d, CLM_OID(OID_P12_BAG "\x06"));
        clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
        clm_der_bytes(&d, CLM_DER_SEQUENCE, in.data, in.len);
        clm_der_close(&d);
        clm_der_close(&d);
        assert_int_equal(clm_der_done(&d), CLM_OK);
        clm_buf_reset(&in);
        assert_int_equal(clm_buf_add(&in, out.data, out.len, NULL), CLM_OK);
    }
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(OID_P12_DATA));
    clm_der_open(w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_open(w, CLM_DER_OCTET_STRING);
    clm_der_bytes(w, CLM_DER_SEQUENCE, in.data, in.len);
    clm_der_close(w);
    clm_der_close(w);
    clm_der_close(w);
}

static void put_sealed(struct clm_der *w, const struct made *m)
{
    static const uint8_t block[32];
    struct clm_pbe pbe = {.scheme = CLM_PBE_PBES2,
                          .cipher = CLM_CIPHER_AES256,
                          .digest = CLM_DIGEST_SHA256,
                          .iterations = m->safe_iterations,
                          .salt_len = 8};

    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(OID_P12_ENCRYPTED));
    clm_der_open(w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_small_int(w, 0);
    clm_der_open(w, CLM_DER_SEQUENCE);
    clm_der_oid(w, CLM_OID(OID_P12_DATA));
    clm_pbe_write(w, &pbe);
    clm_der_bytes(w, CLM_DER_CONTEXT(0), block, sizeof(block));
    for (int i = 0; i < 4; i++) {
        clm_der_close(w);
    }
}

static struct clm_buf make(const struct made *m)
{
    static const uint8_t zeros[4096];
    struct clm_buf out = CLM_BUF_INIT(CLM_KEYSTORE_MAX);
    struct clm_der w;

    clm_der_init(&w, &out, NULL);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_small_int(&w, 3);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    clm_der_oid(&w, CLM_OID(OID_P12_DATA));
    clm_der_open(&w, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_open(&w, CLM_DER_OCTET_STRING);
    clm_der_open(&w, CLM_DER_SEQUENCE);
    for (size_t i = 0; i < m->safes; i++) {
        if (m->safe_iterations > 0) {
            put_sealed(&w, m);
        } else {
            put_content(&w, m);
        }
    }
    for (int i = 0; i < 4; i++) {
        clm_der_close(&w);
    }
    if (m->mac_iterations > 0) {
        clm_der_open(&w, CLM_DER_SEQUENCE);
        clm_der_open(&w, CLM_DER_SEQUENCE);
        clm_digest_write(&w, false, CLM_DIGEST_SHA256);
        clm_der_bytes(&w, CLM_DER_OCTET_STRING, zeros, 32);
        clm_der_close(&w);
        clm_der_bytes(&w, CLM_DER_OCTET_STRING, zeros, m->salt_len);
        clm_der_put_uint32(&w, m->mac_iterations);
        clm_der_close(&w);
    }
    clm_der_close(&w);
    assert_int_equal(clm_der_done(&w), CLM_OK);
    return out;
}

/* A certificate bag, shortest possible: one byte of subject and issuer. */
static struct clm_buf cert_bag(void)
{
    static const uint8_t cert[] = "\x30\x16\x30\x14\x02\x01\x01\x30\x00\x30\x03\x02\x01\x07"
                                  "\x30\x03\x02\x01\x00\x30\x03\x02\x01\x07";
    struct clm_buf out = CLM_BUF_INIT(1000);
    struct clm_der d;

    clm_der_init(&d, &out, NULL);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_oid(&d, CLM_OID(OID_P12_BAG "\x03"));
    clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_oid(&d, CLM_OID(OID_P12_X509));
    clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_bytes(&d, CLM_DER_OCTET_STRING, cert, 24);
    for (int i = 0; i < 3; i++) {
        clm_der_close(&d);
    }
    clm_der_open(&d, CLM_DER_SET);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_oid(&d, CLM_OID(OID_P12_LOCAL_KEY_ID));
    clm_der_open(&d, CLM_DER_SET);
    clm_der_bytes(&d, CLM_DER_OCTET_STRING, "1", 1);
    for (int i = 0; i < 4; i++) {
        clm_der_close(&d);
    }
    assert_int_equal(clm_der_done(&d), CLM_OK);
    return out;
}

/* A key bag with the same id, and another certificate with it: the worst for looking up. */
static struct clm_buf key_and_cert(void)
{
    struct clm_buf out = CLM_BUF_INIT(1000);
    struct clm_buf cert = cert_bag();
    struct clm_der d;

    clm_der_init(&d, &out, NULL);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_oid(&d, CLM_OID(OID_P12_BAG "\x01"));
    clm_der_open(&d, CLM_DER_CONTEXT_CONSTRUCTED(0));
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_small_int(&d, 0);
    clm_der_close(&d);
    clm_der_close(&d);
    clm_der_open(&d, CLM_DER_SET);
    clm_der_open(&d, CLM_DER_SEQUENCE);
    clm_der_oid(&d, CLM_OID(OID_P12_LOCAL_KEY_ID));
    clm_der_open(&d, CLM_DER_SET);
    clm_der_bytes(&d, CLM_DER_OCTET_STRING, "1", 1);
    for (int i = 0; i < 4; i++) {
        clm_der_close(&d);
    }
    clm_der_raw(&d, cert.data, cert.len);
    assert_int_equal(clm_der_done(&d), CLM_OK);
    clm_buf_done(&cert);
    return out;
}

static void costs_are_limited_before_they_arise(void **state)
{
    struct clm_buf cert = cert_bag();
    struct clm_buf pair = key_and_cert();
    const struct {
        struct made made;
        enum clm_code code;
        const char *msg;
    } cases[] = {
        {{.mac_iterations = 5000001, .salt_len = 8},
         CLM_E_LIMIT,
         "PKCS#12: MAC of 5000001 iterations; 1 to 5000000 are accepted"},
        {{.mac_iterations = 0xffffffff, .salt_len = 8},
         CLM_E_LIMIT,
         "PKCS#12: MAC of 4294967295 iterations; 1 to 5000000 are accepted"},
        {{.mac_iterations = 1, .salt_len = 1025},
         CLM_E_LIMIT,
         "PKCS#12: MAC with a salt of 1025 bytes"},
        {{.safe_iterations = 5000001, .safes = 1},
         CLM_E_LIMIT,
         "password hash of 5000001 iterations; 1 to 5000000 are accepted"},
        {{.mac_iterations = 1, .salt_len = 8}, CLM_E_CRYPTO, NULL},
        {{.safes = 1001, .bag = &cert}, CLM_E_LIMIT, "PKCS#12: more than 1000 SafeContents"},
        {{.safes = 1, .bags = 20001, .bag = &cert}, CLM_E_LIMIT, "PKCS#12: more than 20000 bags"},
        {{.safes = 1, .bags = 10001, .bag = &cert},
         CLM_E_LIMIT,
         "keystore has more than 10000 entries"},
        {{.safes = 1, .bags = 10000, .bag = &cert}, CLM_OK, NULL},
        {{.safes = 1, .bags = 10000, .bag = &pair}, CLM_OK, NULL},
        {{.safes = 1, .bags = 1, .depth = 8, .bag = &cert}, CLM_OK, NULL},
        {{.safes = 1, .bags = 1, .depth = 9, .bag = &cert},
         CLM_E_LIMIT,
         "PKCS#12: bags are nested deeper than 8"},
    };
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text(P12_PASSWORD);

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_buf file = make(&cases[i].made);
        struct clm_keystore *store = NULL;
        struct clm_err err = {0};
        clock_t start = clock();
        enum clm_code code = clm_keystore_open(file.data, file.len, &password, &store, &err);

        assert_true((clock() - start) / (CLOCKS_PER_SEC / 1000) < CPU_MAX_MS);
        if (code != cases[i].code || (cases[i].msg != NULL && strcmp(err.msg, cases[i].msg) != 0)) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        clm_keystore_free(store);
        clm_buf_done(&file);
    }
    clm_buf_done(&cert);
    clm_buf_done(&pair);
}

/* Each alone is allowed; many together would be work for minutes. */
static void iterations_are_counted_together(void **state)
{
    struct clm_p12 p12 = {.budget = 2500000};
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_p12_spend(&p12, 2499999, NULL), CLM_OK);
    assert_int_equal(clm_p12_spend(&p12, 2, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg,
                        "PKCS#12: password hashes of more than 5000000 iterations altogether");
    assert_int_equal(clm_p12_spend(&p12, 1, NULL), CLM_OK);
}

static void other_files_are_refused_by_name(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum clm_code code;
        const char *msg;
    } cases[] = {
        {"", 0, CLM_E_PARSE, "file is empty"},
        {"hello", 5, CLM_E_PARSE, "file is no keystore (PKCS#12, JKS or JCEKS)"},
        {"-----BEGIN CERTIFICATE-----\nMIIB\n", 33, CLM_E_UNSUPPORTED,
         "file is no PKCS#12, JKS or JCEKS, but PEM text"},
        {"\x30\x16\x02\x01\x03\x30\x11\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x04\x04\x02"
         "\x30\x00",
         24, CLM_E_UNSUPPORTED,
         "PKCS#12: signed files (public-key integrity mode) are not supported"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_keystore *store = NULL;
        struct clm_err err = {0};

        assert_int_equal(
            clm_keystore_open((const uint8_t *)cases[i].bytes, cases[i].len, NULL, &store, &err),
            cases[i].code);
        assert_string_equal(err.msg, cases[i].msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_off_at_every_byte),
        cmocka_unit_test(every_byte_changed),
        cmocka_unit_test(a_changed_byte_shows_in_the_mac),
        cmocka_unit_test(costs_are_limited_before_they_arise),
        cmocka_unit_test(iterations_are_counted_together),
        cmocka_unit_test(other_files_are_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
