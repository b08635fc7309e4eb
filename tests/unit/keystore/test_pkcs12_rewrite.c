/* SPDX-License-Identifier: Apache-2.0 */
/* Files nobody would make twice, changed and written again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/keystore/p12_made.h"

#define NOW_S 1790000000
#define OLD   "x" /* password until now */
#define NEW   "y"

#define A NAME("0041")
#define B NAME("0042")

static struct clm_test_ca *ca;

static int set_up(void **state)
{
    (void)state;
    ca = clm_test_ca_new(NOW_S);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clm_test_ca_free(ca);
    return 0;
}

static struct clm_keystore *opened(struct clm_buf file, const char *password)
{
    struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    if (p12_read(&file, password, &store, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    clm_buf_done(&file);
    return store;
}

/* What was written, opened with that password. */
static struct clm_keystore *again(const struct clm_keystore *store, const char *password)
{
    struct clm_buf bytes;
    struct clm_keystore *out = p12_again(store, clm_test_ca_rng(ca), password, &bytes);

    clm_buf_done(&bytes);
    return out;
}

static void assert_list(const struct clm_keystore *store, const char *list)
{
    char text[1000];

    p12_list(store, text, sizeof(text));
    assert_string_equal(text, list);
}

/* The localKeyId of a key that is read again. */
static struct clm_span id_of(const struct clm_keystore *store, const char *alias)
{
    const struct clm_p12 *p12 = store->extra;
    size_t i = 0;

    assert_true(clm_keystore_find(store, alias, &i));
    return p12->bags[((const struct clm_p12_link *)store->entries[i].extra)->bag].key_id;
}

static const uint8_t *find(const struct clm_buf *in, const struct clm_span *what)
{
    for (size_t i = 0; i + what->len <= in->len; i++) {
        if (memcmp(in->data + i, what->data, what->len) == 0) {
            return in->data + i;
        }
    }
    return NULL;
}

#define ANY ATTR("2a", "0500")

static void attributes_of_a_bag_are_limited(void **state)
{
    static const struct {
        const char *bags; /* %s: many attributes */
        size_t attrs;
        enum clm_code code;
    } cases[] = {
        {KEY(ATTRS(A "%s")), 62, CLM_OK},
        {KEY(ATTRS(A "%s")), 63, CLM_E_LIMIT},
        {KEY(ATTRS(A "%s")), 64, CLM_E_LIMIT},
        {CERT("01", "01", ATTRS(A "%s")), 62, CLM_OK},
        {CERT("01", "01", ATTRS(A "%s")), 63, CLM_E_LIMIT},
        {CERT("01", "01", ATTRS(A "%s")), 64, CLM_E_LIMIT},
        {CERT("01", "01", ATTRS(A JAVA "%s")), 62, CLM_OK},
    };
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *certs = p12_opened("openssl-cacerts", P12_PASSWORD);
    size_t len = 0;
    const uint8_t *der = clm_keystore_cert_der(certs, 0, 0, &len);

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        char attrs[4000];
        char bags[6000];
        struct clm_err err = {0};
        enum clm_code code;

        (void)der_repeat(ANY, cases[i].attrs, attrs, sizeof(attrs));
        (void)snprintf(bags, sizeof(bags), "%.*s%s%s",
                       (int)(strstr(cases[i].bags, "%s") - cases[i].bags), cases[i].bags, attrs,
                       strstr(cases[i].bags, "%s") + 2);
        store = opened(der_text(P12(SAFE("%s")), bags), OLD);
        if (clm_keystore_entry(store, 0)->kind == CLM_ENTRY_KEY) {
            assert_int_equal(p12_put(store, ca, "A", "a.example", NULL, NULL), CLM_OK);
        } else {
            assert_int_equal(clm_keystore_put_trusted(store, "A", der, len, 0, NULL), CLM_OK);
        }
        code = clm_keystore_write(store, clm_test_ca_rng(ca), NULL, &out, &err);
        if (code != cases[i].code) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        if (code != CLM_OK) {
            assert_string_equal(err.msg, "PKCS#12: a bag has more than 64 attributes");
            assert_int_equal(out.len, 0);
        }
    }
}

/* The id a key gets: a date (Java), a number that it had (Windows), else the hash of its
 * certificate. */
static void ids_are_those_of_their_kind_and_never_twice(void **state)
{
    static const struct {
        const char *bags;
        const char *put[2];
        const char *ids[2]; /* "": a hash */
    } cases[] = {
        {CERT("01", "01", ATTRS(JAVA)), {"A"}, {"Time 1790000000000"}},
        {CERT("01", "01", ""), {"A"}, {""}},
        {CERT("01", "01", ATTRS(ID("3737"))), {"A"}, {""}},
        {KEY(ATTRS(A ID("37"))) KEY(ATTRS(B)), {"A"}, {"7"}},
        {KEY(ATTRS(A ID("37"))) KEY(ATTRS(B ID("38"))), {"A"}, {"7"}},
        {KEY(ATTRS(A ID("37"))) KEY(ATTRS(B ID("37"))), {"A"}, {""}},
        {KEY(ATTRS(A ID("37"))) KEY(ATTRS(B ID("37"))), {"A", "B"}, {"7", ""}},
        {KEY(ATTRS(A ID("37"))) KEY(ATTRS(B ID("38"))), {"A", "B"}, {"7", "8"}},
        {KEY(ATTRS(A ID(DER_8("3737373737373737") DER_8("3737373737373737")
                            DER_8("3737373737373737") DER_8("373737373737373737")))),
         {"A"},
         {""}},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = opened(der_text(P12(SAFE("%s")), cases[i].bags), OLD);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *then = NULL;

        for (size_t k = 0; k < 2 && cases[i].put[k] != NULL; k++) {
            assert_int_equal(p12_put(store, ca, cases[i].put[k], "a.example", NULL, NULL), CLM_OK);
        }
        then = again(store, OLD);
        for (size_t k = 0; k < 2 && cases[i].put[k] != NULL; k++) {
            struct clm_span id = id_of(then, cases[i].put[k]);
            size_t want = cases[i].ids[k][0] == '\0' ? 20 : strlen(cases[i].ids[k]);

            if (id.len != want || (want != 20 && memcmp(id.data, cases[i].ids[k], want) != 0)) {
                fail_msg("case %zu, %zu: %zu bytes", i, k, id.len);
            }
        }
    }
}

/* SafeContents of which nothing changes are the same bytes, encrypted ones, too. */
static void untouched_contents_are_the_same_bytes(void **state)
{
    char hex[2000];
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = opened(
        der_text(P12(SAFE(KEY(ATTRS(A)) CERT("01", "01", "")) ENCRYPTED_SAFE(PBE, "80{%s}")),
                 p12_sealed(der_text("30{" BAG("04", "0500", "") "}"), OLD, hex, sizeof(hex))),
        OLD);
    const struct clm_p12 *p12 = store->extra;
    CLM_CLEANUP(clm_buf_done) struct clm_buf same = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf rekeyed = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text(NEW);

    (void)state;
    assert_int_equal(p12_put(store, ca, "A", "a.example", NULL, NULL), CLM_OK);
    assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(ca), NULL, &same, NULL), CLM_OK);
    assert_non_null(find(&same, &p12->safes[1].raw));
    assert_null(find(&same, &p12->safes[0].raw));
    assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(ca), &password, &rekeyed, NULL),
                     CLM_OK);
    assert_null(find(&rekeyed, &p12->safes[1].raw));
}

static void assert_opens(const struct clm_keystore *store, const char *alias, const char *password,
                         enum clm_code want)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = p12_text(password);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    size_t i = 0;
    struct clm_err err = {0};

    assert_true(clm_keystore_find(store, alias, &i));
    if (clm_keystore_key(store, i, &text, &key, &err) != want) {
        fail_msg("%s: %s", alias, err.msg);
    }
}

/* A key in clear has no password, one with another password keeps it, one that nobody can open
 * stays. The rest is under the new password. */
static void a_new_password_is_for_what_had_the_old_one(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {0};
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *then = NULL;
    char key[2000];
    char hex[3][4000];

    (void)state;
    clm_test_leaf_make(ca, "a.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_key_to_der(leaf.key, &plain, NULL), CLM_OK);
    (void)der_hex(&plain, key, sizeof(key));
    (void)p12_sealed(der_text("%s", key), OLD, hex[0], sizeof(hex[0]));
    (void)p12_sealed(der_text("%s", key), "its own", hex[1], sizeof(hex[1]));
    (void)p12_sealed(der_text("30{" CERT("01", "01", "") "}"), OLD, hex[2], sizeof(hex[2]));
    store = opened(der_text(P12(SAFE(SHROUDED("%s", ATTRS(A)) SHROUDED("%s", ATTRS(B))
                                         BAG("01", "%s", ATTRS(NAME("0043")))
                                             BAG("02", "30{30{06{2a}} 0400}", ATTRS(NAME("0044")))
                                                 SHROUDED("%s", ATTRS(NAME("0045"))))
                                    ENCRYPTED_SAFE(PBE, "80{%s}")),
                            hex[0], hex[1], key, hex[0], hex[2]),
                   OLD);
    assert_int_equal(p12_put(store, ca, "C", "c.example", NULL, NULL), CLM_OK);
    assert_int_equal(p12_put(store, ca, "E", "e.example", NULL, NULL), CLM_OK);
    then = again(store, NEW);
    assert_opens(then, "A", NEW, CLM_OK);
    assert_opens(then, "B", "its own", CLM_OK);
    assert_opens(then, "C", "", CLM_OK);
    assert_opens(then, "D", NEW, CLM_E_UNSUPPORTED);
    assert_opens(then, "E", NEW, CLM_OK);
    assert_opens(then, "E", OLD, CLM_E_CRYPTO);
}

/* Where nothing of its kind is: keys in the clear, as they are sealed themselves; certificates
 * encrypted as the file is, if it is. */
static void what_is_new_finds_its_place(void **state)
{
    static const struct {
        const char *password;
        const char *bags; /* NULL: one SafeContents, encrypted, with a bag of no key and no
                           * certificate */
        bool is_encrypted;
        const char *protection;
    } cases[] = {
        {OLD, NULL, true, "PBE 3DES-CBC, SHA-1 1"},
        {OLD, BAG("04", "0500", ""), true, "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 10000"},
        {OLD, BAG("02", "0400", ""), true, "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 10000"},
        {OLD, BAG("02", "30{30{06{2a}} 0400}", ""), true,
         "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 10000"},
        {NULL, KEY(ATTRS(A)), false, ""},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        char hex[2000];
        char safe[4000];
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *then = NULL;
        const struct clm_p12 *p12;
        size_t at = 0;

        (void)p12_sealed(der_text("30{" BAG("04", "0500", "") "}"), OLD, hex, sizeof(hex));
        (void)snprintf(safe, sizeof(safe), ENCRYPTED_SAFE(PBE, "80{%s}"), hex);
        store = opened(cases[i].bags == NULL ? der_text(P12("%s"), safe)
                                             : der_text(P12(SAFE("%s")), cases[i].bags),
                       cases[i].password);
        assert_int_equal(p12_put(store, ca, "A", "a.example", NULL, NULL), CLM_OK);
        then = again(store, cases[i].password == NULL ? "" : OLD);
        assert_true(clm_keystore_find(then, "A", &at));
        assert_string_equal(clm_keystore_entry(then, at)->protection, cases[i].protection);
        assert_int_equal(clm_keystore_entry(then, at)->n_certs, 2);
        p12 = then->extra;
        assert_int_equal(p12->safes[p12->n_safes - 1].is_encrypted, cases[i].is_encrypted);
        for (size_t k = 0; k < p12->n_bags; k++) { /* keys are in clear contents */
            assert_true(p12->bags[k].kind != CLM_P12_SHROUDED ||
                        !p12->safes[p12->bags[k].safe].is_encrypted);
        }
    }
}

/* Two keys may lean on one certificate. Each gets its own when it is replaced. */
static void a_shared_leaf_serves_who_is_left(void **state)
{
    static const char *const put[][2] = {{"A", NULL}, {"B", NULL}, {"A", "B"}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(put); i++) {
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store =
            opened(der_text(P12(SAFE(KEY(ATTRS(A ID("37"))) KEY(ATTRS(B ID("37")))
                                         CERT("02", "01", ATTRS(ID("37"))) CERT("02", "02", "")))),
                   OLD);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *then = NULL;
        size_t n = put[i][1] == NULL ? 1 : 2;

        assert_list(store, "KEY A 2, KEY B 2");
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(p12_put(store, ca, put[i][k], "a.example", NULL, NULL), CLM_OK);
        }
        then = again(store, OLD);
        assert_list(then, "KEY A 2, KEY B 2");
        for (size_t k = 0; k < n; k++) {
            CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
            CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
            size_t at = 0;
            bool matches = false;

            assert_true(clm_keystore_find(then, put[i][k], &at));
            assert_int_equal(clm_keystore_chain(then, at, &chain, NULL), CLM_OK);
            assert_int_equal(clm_keystore_key(then, at, NULL, &key, NULL), CLM_OK);
            assert_int_equal(clm_cert_matches_key(chain, 0, key, &matches, NULL), CLM_OK);
            assert_true(matches);
        }
    }
}

/* A key without a certificate gets one; a certificate that is trusted and an issuer stays one. */
static void what_was_missing_comes_and_what_is_needed_stays(void **state)
{
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *certs = p12_opened("openssl-cacerts", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store =
        opened(der_text(P12(SAFE(KEY(ATTRS(A)) KEY(ATTRS(B ID("37"))) CERT(
                   "02", "01", ATTRS(ID("37"))) CERT("02", "02", ATTRS(NAME("0043") JAVA))))),
               OLD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *then = NULL;
    size_t len = 0;
    const uint8_t *der = clm_keystore_cert_der(certs, 0, 0, &len);

    (void)state;
    assert_list(store, "KEY A 0, KEY B 2, TRUSTED C 1");
    assert_int_equal(p12_put(store, ca, "A", "a.example", NULL, NULL), CLM_OK);
    assert_int_equal(clm_keystore_put_trusted(store, "C", der, len, 0, NULL), CLM_OK);
    then = again(store, OLD);
    assert_list(then, "KEY A 2, KEY B 2, TRUSTED C 1, TRUSTED C 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_of_a_bag_are_limited),
        cmocka_unit_test(ids_are_those_of_their_kind_and_never_twice),
        cmocka_unit_test(untouched_contents_are_the_same_bytes),
        cmocka_unit_test(a_new_password_is_for_what_had_the_old_one),
        cmocka_unit_test(what_is_new_finds_its_place),
        cmocka_unit_test(a_shared_leaf_serves_who_is_left),
        cmocka_unit_test(what_was_missing_comes_and_what_is_needed_stays),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
