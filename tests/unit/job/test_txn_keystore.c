/* SPDX-License-Identifier: Apache-2.0 */
/* Keystores in a transaction: one entry gets the new key and chain, all others stay. */
#include "tests/unit/job/make.h"

#define TWIN "twin" /* begins the names of entries by the authority of the new certificate */

static void put_old(struct clm_keystore *store, struct clm_rng *rng, const char *alias,
                    const struct clm_buf *password)
{
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    struct clm_keystore_put put = {.alias = alias, .password = password, .now_ms = 1000};
    struct clm_err err = {0};

    const struct clm_test_leaf *leaf =
        strncmp(alias, TWIN, strlen(TWIN)) == 0 ? &certs.new_leaf : &certs.old_leaf;

    assert_int_equal(clm_key_from_pem(leaf->key_pem.data, leaf->key_pem.len, &key, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(leaf->full_pem.data, leaf->full_pem.len, &chain, NULL),
                     CLM_OK);
    put.key = key;
    put.chain = chain;
    if (clm_keystore_put_key(store, rng, &put, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

#define TRUSTED "trusted by hand"

static void put_trusted(struct clm_keystore *store)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    size_t len = 0;
    const uint8_t *der;

    assert_int_equal(clm_cert_chain_from_pem(certs.old_leaf.leaf_pem.data,
                                             certs.old_leaf.leaf_pem.len, &chain, NULL),
                     CLM_OK);
    der = clm_cert_chain_der(chain, 0, &len);
    assert_int_equal(clm_keystore_put_trusted(store, TRUSTED, der, len, 1000, NULL), CLM_OK);
}

/* A store with the old certificate under each alias, password "changeit". */
static void old_store(enum clm_file_format format, const char *const *aliases, struct clm_buf *out)
{
    static const enum clm_keystore_type types[] = {[CLM_FORMAT_PKCS12] = CLM_KEYSTORE_PKCS12,
                                                   [CLM_FORMAT_JKS] = CLM_KEYSTORE_JKS,
                                                   [CLM_FORMAT_JCEKS] = CLM_KEYSTORE_JCEKS};
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    struct clm_err err = {0};

    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    assert_int_equal(clm_buf_add_str(&password, "changeit", NULL), CLM_OK);
    assert_int_equal(clm_keystore_new(types[format], CLM_KEYSTORE_MODERN, &store, NULL), CLM_OK);
    for (; *aliases != NULL; aliases++) {
        if (strcmp(*aliases, TRUSTED) == 0) {
            put_trusted(store);
        } else {
            put_old(store, rng, *aliases, &password);
        }
    }
    if (clm_keystore_write(store, rng, &password, out, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
}

static const enum clm_file_format stores[] = {CLM_FORMAT_PKCS12, CLM_FORMAT_JKS, CLM_FORMAT_JCEKS};

static void one_entry_is_replaced_and_the_others_stay(void **state)
{
    static const char *const aliases[] = {TRUSTED, "shop", NULL};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stores); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf first = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        CLM_CLEANUP(clm_txn_parts_done) struct clm_txn_parts other = {0};
        struct make make;
        char sha256[CLM_SHA256_HEX_SIZE];
        size_t len = 0;
        const uint8_t *der;

        old_store(stores[i], aliases, &old);
        make_begin(&make, CLM_CONTENT_KEY_FULLCHAIN, stores[i]);
        strcpy(make.step->alias, "SHOP");
        must_build(&make, &old);
        expect_parts(&make);
        assert_int_equal(clm_buf_add(&first, make.out.data, make.out.len, NULL), CLM_OK);

        must_build(&make, &first); /* nothing to do: not one byte is changed */
        assert_int_equal(make.out.len, first.len);
        assert_memory_equal(make.out.data, first.data, first.len);

        strcpy(make.step->alias, TRUSTED);
        assert_int_equal(clm_txn_take_apart(&make.maker, make.step, &first, true, &other, NULL),
                         CLM_OK);
        assert_null(other.key);
        der = clm_cert_chain_der(other.chain, 0, &len);
        clm_sha256_hex(der, len, sha256);
        assert_string_equal(sha256, certs.old_bundle.leaf.sha256);
        make_end(&make);
    }
}

/* Two authorities of one name: one of the two chains would be read with the other's. */
static void a_chain_that_would_be_read_as_another_is_refused(void **state)
{
    static const char *const aliases[] = {"first", "shop", NULL};
    CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);

    (void)state;
    old_store(CLM_FORMAT_PKCS12, aliases, &old);
    for (size_t i = 0; i < 2; i++) { /* the one that is put, the one that stays */
        struct make make;

        make_begin(&make, CLM_CONTENT_KEY_FULLCHAIN, CLM_FORMAT_PKCS12);
        strcpy(make.step->alias, aliases[1 - i]);
        assert_int_equal(make_build(&make, &old), CLM_E_CONFLICT);
        assert_non_null(strstr(make.err.msg, "an issuer of the same name"));
        make_end(&make);
    }
}

static void without_an_alias_the_only_key_is_meant(void **state)
{
    static const char *const one[] = {"whatever", NULL};
    static const char *const two[] = {TWIN " a", TWIN " b", NULL};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stores); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf more = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        struct make make;

        old_store(stores[i], one, &old);
        make_begin(&make, CLM_CONTENT_KEY_FULLCHAIN, stores[i]);
        must_build(&make, &old);
        expect_parts(&make);
        old_store(stores[i], two, &more);
        if (stores[i] == CLM_FORMAT_PKCS12) { /* its order says which one Java takes */
            must_build(&make, &more);
            expect_parts(&make);
        } else {
            assert_int_equal(make_build(&make, &more), CLM_E_CONFLICT);
            assert_non_null(strstr(make.err.msg, "2 private keys"));
        }
        make_end(&make);
    }
}

static void a_store_that_cannot_be_opened_is_left_alone(void **state)
{
    static const char *const aliases[] = {"shop", NULL};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stores); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        struct make make;

        old_store(stores[i], aliases, &old);
        make_begin(&make, CLM_CONTENT_KEY_FULLCHAIN, stores[i]);
        strcpy(make.step->store_password, "known:wrong-one");
        assert_int_equal(make_build(&make, &old), CLM_E_CRYPTO);
        assert_null(strstr(make.err.msg, "wrong-one"));
        strcpy(make.step->store_password, "file:/nowhere"); /* nobody is here who could read it */
        assert_int_equal(make_build(&make, &old), CLM_E_UNSUPPORTED);
        strcpy(make.step->store_password, "known:changeit");
        old.data[old.len - 1] ^= 1;
        assert_int_not_equal(make_build(&make, &old), CLM_OK);
        old.data[old.len - 1] ^= 1;
        make.step->format = stores[(i + 1) % CLM_ARRAY_LEN(stores)];
        assert_int_equal(make_build(&make, &old), CLM_E_CONFLICT);
        assert_non_null(strstr(make.err.msg, "is of type"));
        make_end(&make);
    }
}

/* A chain that is too short, an entry that is none of a key, one that is not there yet. */
static void an_entry_that_is_not_as_wanted_is_made_so(void **state)
{
    static const char *const aliases[] = {TRUSTED, NULL};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stores); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf shorter = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        struct clm_bundle bundle = *scene.bundle; /* borrowed, without intermediates */
        struct make make;

        old_store(stores[i], aliases, &old);
        make_begin(&make, CLM_CONTENT_KEY_FULLCHAIN, stores[i]);
        strcpy(make.step->alias, "fresh");
        must_build(&make, &old);
        expect_parts(&make);
        strcpy(make.step->alias, TRUSTED);
        assert_int_equal(make_build(&make, &old), CLM_E_CONFLICT);
        assert_non_null(strstr(make.err.msg, TRUSTED));

        if (stores[i] != CLM_FORMAT_PKCS12) { /* which has no chains, but a heap of certificates */
            make.step->alias[0] = '\0';
            bundle.chain_pem.len = 0;
            make.maker.bundle = &bundle;
            must_build(&make, NULL);
            assert_int_equal(clm_buf_add(&shorter, make.out.data, make.out.len, NULL), CLM_OK);
            make.maker.bundle = scene.bundle;
            must_build(&make, &shorter);
            expect_parts(&make);
        }
        make_end(&make);
    }
}

static void what_a_store_does_not_show_is_not_there(void **state)
{
    static const char *const aliases[] = {"shop", NULL};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(stores); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
        CLM_CLEANUP(clm_txn_parts_done) struct clm_txn_parts parts = {0};
        struct make make;

        old_store(stores[i], aliases, &old);
        make_begin(&make, CLM_CONTENT_KEY_FULLCHAIN, stores[i]);
        strcpy(make.step->alias, "another");
        assert_int_equal(clm_txn_take_apart(&make.maker, make.step, &old, true, &parts, &make.err),
                         CLM_OK);
        assert_null(parts.chain);
        strcpy(make.step->alias, "shop");
        assert_int_equal(clm_txn_take_apart(&make.maker, make.step, &old, false, &parts, &make.err),
                         CLM_OK);
        assert_non_null(parts.chain);
        assert_null(parts.key);
        clm_txn_parts_done(&parts);
        strcpy(make.step->store_password, "known:wrong-one");
        assert_int_equal(clm_txn_take_apart(&make.maker, make.step, &old, true, &parts, &make.err),
                         CLM_E_CRYPTO);
        strcpy(make.step->store_password, "file:/nowhere");
        assert_int_equal(clm_txn_take_apart(&make.maker, make.step, &old, true, &parts, &make.err),
                         CLM_E_UNSUPPORTED);
        make_end(&make);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_entry_is_replaced_and_the_others_stay),
        cmocka_unit_test(a_chain_that_would_be_read_as_another_is_refused),
        cmocka_unit_test(without_an_alias_the_only_key_is_meant),
        cmocka_unit_test(a_store_that_cannot_be_opened_is_left_alone),
        cmocka_unit_test(an_entry_that_is_not_as_wanted_is_made_so),
        cmocka_unit_test(what_a_store_does_not_show_is_not_there),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
