/* SPDX-License-Identifier: Apache-2.0 */
/* Changing: what is not meant must stay, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/crypto/digest.h"
#include "agent/keystore/pkcs12.h"
#include "tests/support/pair.h"
#include "tests/unit/keystore/p12_files.h"

#define NOW_S 1800000000
#define UTF8  "p\xc3\xa4ssw\xc3\xb6rd\xe2\x82\xac\xf0\x9f\x98\x80"

struct world {
    struct clm_test_ca *ca;
    struct clm_rng *rng;
};

static int set_up(void **state)
{
    static struct world w;

    w.ca = clm_test_ca_new(NOW_S);
    w.rng = clm_test_ca_rng(w.ca);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    clm_test_ca_free(((struct world *)*state)->ca);
    return 0;
}

static bool holds(const struct clm_span *all, const struct clm_span *part)
{
    for (size_t i = 0; part->len <= all->len && i <= all->len - part->len; i++) {
        if (memcmp(all->data + i, part->data, part->len) == 0) {
            return true;
        }
    }
    return false;
}

/* How many bags of a stand in b with the same bytes. */
static size_t same_bags(const struct clm_keystore *a, const struct clm_keystore *b)
{
    const struct clm_p12 *pa = a->extra;
    const struct clm_p12 *pb = b->extra;
    size_t n = 0;

    for (size_t i = 0; i < pa->n_bags; i++) {
        for (size_t k = 0; k < pb->n_bags; k++) {
            if (clm_span_compare(&pa->bags[i].raw, &pb->bags[k].raw) == 0) {
                n++;
                break;
            }
        }
    }
    return n;
}

static size_t count_bags(const struct clm_keystore *store)
{
    return ((const struct clm_p12 *)store->extra)->n_bags;
}

static const struct clm_p12_bag *bag_of(const struct clm_keystore *store, const char *alias)
{
    const struct clm_p12 *p12 = store->extra;
    size_t i = 0;

    assert_true(clm_keystore_find(store, alias, &i));
    return &p12->bags[((const struct clm_p12_link *)store->entries[i].extra)->bag];
}

static const struct clm_p12_bag *leaf_of(const struct clm_keystore *store, const char *alias)
{
    const struct clm_p12 *p12 = store->extra;
    size_t i = 0;

    assert_true(clm_keystore_find(store, alias, &i));
    return &p12->bags[((const struct clm_p12_link *)store->entries[i].extra)->leaf];
}

static void assert_key_fits(const struct clm_keystore *store, const char *alias, size_t n_certs)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_err err = {0};
    size_t i = 0;

    assert_true(clm_keystore_find(store, alias, &i));
    if (clm_keystore_key(store, i, NULL, &key, &err) != CLM_OK ||
        clm_keystore_chain(store, i, &chain, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(clm_cert_chain_count(chain), n_certs);
    assert_true(is_pair(chain, 0, key));
}

/* Which entry of each file is replaced, and how many of its bags stay. */
static const struct {
    const char *name;
    const char *password;
    const char *alias;
    size_t bags;  /* before */
    size_t same;  /* of them after */
    size_t after; /* bags then */
} edits[] = {
    {"openssl3", P12_PASSWORD, "my server", 3, 0, 3},
    {"openssl3-noname", P12_PASSWORD, NULL, 3, 0, 3},
    {"openssl3-aes128-sha512", P12_PASSWORD, "", 3, 0, 3},
    {"openssl-legacy", P12_PASSWORD, "MY SERVER", 3, 0, 3},
    {"openssl-rc2-128", P12_PASSWORD, NULL, 3, 0, 3},
    {"openssl-nomac", P12_PASSWORD, "nomac", 3, 0, 3},
    {"nomac", P12_PASSWORD, "My Server", 3, 0, 3},
    {"openssl-clear", P12_PASSWORD, "clear", 3, 0, 3},
    {"openssl-bare", NULL, "bare", 3, 0, 3},
    {"openssl-empty", "", "empty", 3, 0, 3},
    {"openssl-empty-3des", "", "empty", 3, 0, 3},
    {"openssl-utf8", UTF8, NULL, 3, 0, 3},
    {"openssl-utf8-3des", UTF8, NULL, 3, 0, 3},
    {"pbmac1", P12_PASSWORD, NULL, 3, 0, 3},
    {"ber", P12_PASSWORD, NULL, 3, 0, 3},
    {"windows", P12_PASSWORD, "TE-3F2A", 3, 0, 3},
    /* the intermediate is shop's as well, in two copies, and trusted */
    {"jdk17", P12_PASSWORD, "www", 8, 6, 9},
    {"jdk17-legacy", P12_PASSWORD, "WWW", 8, 6, 9},
    /* keys Inner, Outer; containers 2, CRL, certificates 3; containers change with their content */
    {"nested", P12_PASSWORD, "inner", 8, 4, 9},
    {"nested", P12_PASSWORD, "outer", 8, 6, 9},
};

static void replacing_leaves_everything_else_as_it_was(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(edits); i++) {
        struct clm_keystore *before = p12_opened(edits[i].name, edits[i].password);
        struct clm_keystore *store = p12_opened(edits[i].name, edits[i].password);
        struct clm_keystore *after;
        struct clm_buf bytes;
        struct clm_err err = {0};
        char old_list[256];
        char list[256];

        if (p12_put(store, w->ca, edits[i].alias, "new.example", NULL, &err) != CLM_OK) {
            fail_msg("%s: %s", edits[i].name, err.msg);
        }
        after =
            p12_again(store, w->rng, edits[i].password == NULL ? "" : edits[i].password, &bytes);
        p12_list(before, old_list, sizeof(old_list));
        p12_list(after, list, sizeof(list));
        assert_string_equal(list, old_list);
        assert_string_equal(clm_keystore_integrity(after), clm_keystore_integrity(before));
        assert_key_fits(after, edits[i].alias, 2);
        if (count_bags(before) != edits[i].bags || same_bags(before, after) != edits[i].same ||
            count_bags(after) != edits[i].after) {
            fail_msg("%s: %zu bags, %zu the same, %zu after", edits[i].name, count_bags(before),
                     same_bags(before, after), count_bags(after));
        }
        clm_keystore_free(before);
        clm_keystore_free(store);
        clm_keystore_free(after);
        clm_buf_done(&bytes);
    }
}

/* Algorithms, iterations and lengths of salts go on; RC2 becomes 3DES. */
static void ways_of_protection_go_on(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(edits); i++) {
        struct clm_keystore *before = p12_opened(edits[i].name, edits[i].password);
        struct clm_keystore *after;
        struct clm_buf bytes;
        const struct clm_p12 *pa = before->extra;
        const struct clm_p12 *pb;

        char old_protection[64];
        size_t k = 0;

        assert_true(clm_keystore_find(before, edits[i].alias, &k));
        memcpy(old_protection, before->entries[k].shown.protection, sizeof(old_protection));
        assert_int_equal(p12_put(before, w->ca, edits[i].alias, "new.example", NULL, NULL), CLM_OK);
        after =
            p12_again(before, w->rng, edits[i].password == NULL ? "" : edits[i].password, &bytes);
        pb = after->extra;
        assert_int_equal(pa->n_safes, pb->n_safes);
        for (k = 0; k < pa->n_safes; k++) {
            const struct clm_pbe *a = &pa->safes[k].pbe;
            const struct clm_pbe *b = &pb->safes[k].pbe;
            bool was_rc2 = a->cipher == CLM_CIPHER_RC2_40 || a->cipher == CLM_CIPHER_RC2_128;

            assert_int_equal(pa->safes[k].is_encrypted, pb->safes[k].is_encrypted);
            if (pa->safes[k].is_encrypted) {
                assert_int_equal(b->cipher, was_rc2 ? CLM_CIPHER_3DES : a->cipher);
                assert_int_equal(b->scheme, a->scheme);
                assert_int_equal(b->digest, a->digest);
                assert_int_equal(b->iterations, a->iterations);
                assert_int_equal(b->salt_len, a->salt_len);
                assert_int_equal(b->has_key_length, a->has_key_length);
            }
        }
        assert_int_equal(pa->mac.kdf.salt_len, pb->mac.kdf.salt_len);
        assert_true(clm_keystore_find(after, edits[i].alias, &k));
        assert_string_equal(after->entries[k].shown.protection, old_protection);
        clm_keystore_free(before);
        clm_keystore_free(after);
        clm_buf_done(&bytes);
    }
}

/* RFC 9879 5: salt and iterations of MacData mean nothing, and say so. */
static void pbmac1_is_written_as_its_rfc_says(void **state)
{
    static const struct clm_span marks[] = {
        {(const uint8_t *)"\x04\x08NOT USED\x02\x01\x01", 13},
        {(const uint8_t *)"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0e", 11},
    };
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = p12_opened("pbmac1", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};
    struct clm_span all;

    assert_int_equal(p12_put(store, w->ca, NULL, "new.example", NULL, NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    all = (struct clm_span){bytes.data, bytes.len};
    for (size_t i = 0; i < CLM_ARRAY_LEN(marks); i++) {
        assert_true(holds(&all, &marks[i]));
    }
}

/* Salts and IVs are never used twice. */
static void salts_are_fresh(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};
    const struct clm_p12 *pa = store->extra;
    const struct clm_p12 *pb;

    assert_int_equal(p12_put(store, w->ca, "www", "new.example", NULL, NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    pb = after->extra;
    for (size_t i = 0; i < pa->n_safes; i++) {
        if (pa->safes[i].is_encrypted) {
            assert_memory_not_equal(pa->safes[i].pbe.salt, pb->safes[i].pbe.salt, 20);
            assert_memory_not_equal(pa->safes[i].pbe.iv, pb->safes[i].pbe.iv, 16);
        }
    }
    assert_memory_not_equal(pa->mac.kdf.salt, pb->mac.kdf.salt, 20);
}

static void ids_are_of_the_kind_they_were(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"jdk17", "windows", "openssl3"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        struct clm_keystore *store = p12_opened(names[i], P12_PASSWORD);
        struct clm_keystore *after;
        struct clm_buf bytes;
        const struct clm_p12_bag *key;
        const struct clm_p12_bag *leaf;
        uint8_t sha1[20];

        assert_int_equal(p12_put(store, w->ca, NULL, "new.example", NULL, NULL), CLM_OK);
        after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
        key = bag_of(after, NULL);
        leaf = leaf_of(after, NULL);
        assert_int_equal(clm_span_compare(&key->key_id, &leaf->key_id), 0);
        if (i == 0) {
            assert_int_equal(key->key_id.len, 18);
            assert_memory_equal(key->key_id.data, "Time 1790000000000", 18);
            assert_int_equal(clm_keystore_entry(after, 0)->created_ms, 1790000000000);
        } else if (i == 1) {
            const struct clm_span csp = {(const uint8_t *)"\x2b\x06\x01\x04\x01\x82\x37\x11\x01",
                                         9};

            assert_memory_equal(key->key_id.data, "\1\0\0\0", 4);
            assert_true(holds(&key->attrs, &csp));
        } else {
            clm_digest_of(CLM_DIGEST_SHA1, leaf->value.data, leaf->value.len, sha1);
            assert_int_equal(key->key_id.len, 20);
            assert_memory_equal(key->key_id.data, sha1, 20);
        }
        clm_keystore_free(store);
        clm_keystore_free(after);
        clm_buf_done(&bytes);
    }
}

static void two_entries_of_one_moment_get_different_ids(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};

    assert_int_equal(p12_put(store, w->ca, "www", "a.example", NULL, NULL), CLM_OK);
    assert_int_equal(p12_put(store, w->ca, "shop", "b.example", NULL, NULL), CLM_OK);
    assert_int_equal(p12_put(store, w->ca, "third", "c.example", NULL, NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    assert_key_fits(after, "www", 2);
    assert_key_fits(after, "shop", 2);
    assert_key_fits(after, "third", 2);
    assert_memory_equal(bag_of(after, "third")->key_id.data, "Time 1790000000002", 18);
}

/* jdk17: www and shop have the same issuer, which is trusted besides. */
static void old_issuers_go_when_nobody_needs_them(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};
    char list[256];

    assert_int_equal(p12_put(store, w->ca, "www", "a.example", NULL, NULL), CLM_OK);
    assert_int_equal(p12_put(store, w->ca, "shop", "b.example", NULL, NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    p12_list(after, list, sizeof(list));
    assert_string_equal(list, "KEY www 2, KEY shop 2, SECRET aes 0, TRUSTED Root CA 1");
    /* two keys, two leaves, one new issuer for both, the secret key, the trusted one */
    assert_int_equal(count_bags(after), 7);
    clm_keystore_free(after);
    after = NULL;
    clm_buf_done(&bytes);
    assert_int_equal(clm_keystore_remove(store, "Shop", NULL), CLM_OK);
    assert_int_equal(clm_keystore_remove(store, "root ca", NULL), CLM_OK);
    assert_int_equal(clm_keystore_remove(store, "aes", NULL), CLM_OK);
    assert_int_equal(clm_keystore_remove(store, "aes", NULL), CLM_E_NOTFOUND);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    p12_list(after, list, sizeof(list));
    assert_string_equal(list, "KEY www 2");
    assert_int_equal(count_bags(after), 3);
    assert_key_fits(after, "www", 2);
}

static void removing_one_leaves_what_the_others_need(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};

    assert_int_equal(clm_keystore_remove(store, "www", NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    assert_int_equal(count_bags(after), 6);
    assert_int_equal(same_bags(store, after), 6);
    assert_key_fits(after, "shop", 2);
}

static void an_emptied_store_is_still_a_store(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = p12_opened("openssl3", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};

    assert_int_equal(clm_keystore_remove(store, NULL, NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    assert_int_equal(clm_keystore_count(after), 0);
    assert_string_equal(clm_keystore_integrity(after), "HMAC-SHA-256 2048");
}

static void new_stores_follow_their_profile(void **state)
{
    static const struct {
        enum clm_keystore_profile profile;
        const char *integrity;
        const char *protection;
    } cases[] = {
        {CLM_KEYSTORE_MODERN, "HMAC-SHA-256 10000", "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 10000"},
        {CLM_KEYSTORE_LEGACY, "HMAC-SHA-1 2048", "PBE 3DES-CBC, SHA-1 2048"},
    };
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *cas = p12_opened("openssl-cacerts", P12_PASSWORD);
    size_t len = 0;
    const uint8_t *der = clm_keystore_cert_der(cas, 0, 0, &len);

    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        struct clm_keystore *store = NULL;
        struct clm_keystore *after;
        struct clm_buf bytes;
        struct clm_err err = {0};
        char list[256];

        assert_int_equal(clm_keystore_new(CLM_KEYSTORE_PKCS12, cases[i].profile, &store, NULL),
                         CLM_OK);
        assert_int_equal(p12_put(store, w->ca, "A", "a.example", NULL, &err), CLM_E_INVAL);
        assert_string_equal(err.msg, "a key in a new keystore needs a password");
        assert_int_equal(p12_put(store, w->ca, "A", "a.example", P12_PASSWORD, NULL), CLM_OK);
        assert_int_equal(p12_put(store, w->ca, "Schl\xc3\xbcssel", "b.example", P12_PASSWORD, NULL),
                         CLM_OK);
        assert_int_equal(clm_keystore_put_trusted(store, "ca", der, len, 5, &err), CLM_OK);
        after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
        p12_list(after, list, sizeof(list));
        assert_string_equal(list, "KEY A 2, KEY Schl\xc3\xbcssel 2, TRUSTED ca 1");
        assert_string_equal(clm_keystore_integrity(after), cases[i].integrity);
        assert_string_equal(clm_keystore_entry(after, 0)->protection, cases[i].protection);
        assert_true(clm_keystore_entry(after, 2)->java_trusts);
        assert_int_equal(clm_keystore_entry(after, 0)->created_ms, 1790000000000);
        assert_key_fits(after, "a", 2);
        assert_true(((const struct clm_p12 *)after->extra)->safes[1].is_encrypted);
        clm_keystore_free(store);
        clm_keystore_free(after);
        clm_buf_done(&bytes);
    }
}

static void a_new_password_is_for_everything(void **state)
{
    static const char *const names[] = {"jdk17", "jdk17-legacy", "nested", "openssl-legacy",
                                        "pbmac1"};
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        struct clm_keystore *store = p12_opened(names[i], P12_PASSWORD);
        struct clm_keystore *after;
        struct clm_keystore *locked = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf old = p12_text(P12_PASSWORD);
        struct clm_buf bytes;
        char before_list[256];
        char list[256];

        p12_list(store, before_list, sizeof(before_list));
        after = p12_again(store, w->rng, "another-one", &bytes);
        p12_list(after, list, sizeof(list));
        assert_string_equal(list, before_list);
        assert_key_fits(after, NULL, 2);
        assert_int_equal(clm_keystore_open(bytes.data, bytes.len, &old, &locked, NULL),
                         CLM_E_CRYPTO);
        assert_string_equal(clm_keystore_entry(after, 0)->protection,
                            clm_keystore_entry(store, 0)->protection);
        clm_keystore_free(store);
        clm_keystore_free(after);
        clm_buf_done(&bytes);
    }
}

static void a_key_with_its_own_password_keeps_it(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf own = p12_text("own");
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;

    assert_int_equal(p12_put(store, w->ca, "www", "a.example", "own", NULL), CLM_OK);
    after = p12_again(store, w->rng, "another-one", &bytes);
    assert_int_equal(clm_keystore_key(after, 0, NULL, &key, NULL), CLM_E_CRYPTO);
    assert_int_equal(clm_keystore_key(after, 0, &own, &key, NULL), CLM_OK);
}

static void trusted_certificates_are_replaced_in_their_place(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = p12_opened("openssl-cacerts", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *other = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};
    size_t len = 0;
    const uint8_t *der = clm_keystore_cert_der(other, 0, 0, &len);
    struct clm_err err = {0};
    char list[256];

    assert_int_equal(clm_keystore_put_trusted(store, "", der, len, 0, NULL), CLM_OK);
    assert_int_equal(clm_keystore_put_trusted(store, "More", der, len, 0, NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    p12_list(after, list, sizeof(list));
    assert_string_equal(list, "TRUSTED  1, TRUSTED More 1");
    assert_true(clm_keystore_entry(after, 0)->java_trusts);
    assert_int_equal(clm_keystore_put_trusted(after, "x", (const uint8_t *)"0", 1, 0, NULL),
                     CLM_E_PARSE);
    assert_int_equal(p12_put(after, w->ca, "more", "a.example", NULL, &err), CLM_E_CONFLICT);
    assert_string_equal(err.msg, "alias 'more' belongs to an entry of another kind");
}

/* Java could not read it. */
static void a_modern_store_wants_a_password_in_ascii(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *legacy = NULL;

    assert_int_equal(clm_keystore_new(CLM_KEYSTORE_PKCS12, CLM_KEYSTORE_MODERN, &store, NULL),
                     CLM_OK);
    assert_int_equal(clm_keystore_new(CLM_KEYSTORE_PKCS12, CLM_KEYSTORE_LEGACY, &legacy, NULL),
                     CLM_OK);
    assert_int_equal(p12_put(store, w->ca, "a", "a.example", UTF8, NULL), CLM_E_UNSUPPORTED);
    assert_int_equal(clm_keystore_count(store), 0);
    assert_int_equal(p12_put(legacy, w->ca, "a", "a.example", UTF8, NULL), CLM_OK);
}

/* CRL and its attribute in a bag in a bag. */
static void bags_in_bags_keep_what_they_hold(void **state)
{
    struct world *w = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = p12_opened("nested", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *after = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf bytes = {.max = 0};
    const struct clm_p12 *was = store->extra;
    const struct clm_p12 *is;

    assert_int_equal(p12_put(store, w->ca, "Inner", "a.example", NULL, NULL), CLM_OK);
    after = p12_again(store, w->rng, P12_PASSWORD, &bytes);
    is = after->extra;
    for (size_t i = 0; i < was->n_bags; i++) {
        if (was->bags[i].kind == CLM_P12_CRL) {
            assert_int_equal(is->bags[i + 1].kind, CLM_P12_CRL); /* behind a new issuer */
            assert_int_equal(clm_span_compare(&was->bags[i].raw, &is->bags[i + 1].raw), 0);
            return;
        }
    }
    fail_msg("no CRL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replacing_leaves_everything_else_as_it_was),
        cmocka_unit_test(ways_of_protection_go_on),
        cmocka_unit_test(pbmac1_is_written_as_its_rfc_says),
        cmocka_unit_test(salts_are_fresh),
        cmocka_unit_test(ids_are_of_the_kind_they_were),
        cmocka_unit_test(two_entries_of_one_moment_get_different_ids),
        cmocka_unit_test(old_issuers_go_when_nobody_needs_them),
        cmocka_unit_test(removing_one_leaves_what_the_others_need),
        cmocka_unit_test(an_emptied_store_is_still_a_store),
        cmocka_unit_test(new_stores_follow_their_profile),
        cmocka_unit_test(a_new_password_is_for_everything),
        cmocka_unit_test(a_key_with_its_own_password_keeps_it),
        cmocka_unit_test(trusted_certificates_are_replaced_in_their_place),
        cmocka_unit_test(a_modern_store_wants_a_password_in_ascii),
        cmocka_unit_test(bags_in_bags_keep_what_they_hold),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
