/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into files: every content in every format, taken apart again, and left alone if it is
 * there already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/crypto/hash.h"
#include "agent/crypto/pkcs8.h"
#include "agent/job/txn_build.h"
#include "agent/keystore/keystore.h"
#include "tests/support/scene.h"

static struct scene_certs certs;
static struct scene scene; /* for the key file */

static int begin(void **state)
{
    (void)state;
    scene_certs_make(&certs, CLM_TEST_GOOD);
    scene_make(&scene, SCENE_PAIR, &certs);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scene_done(&scene);
    scene_certs_done(&certs);
    return 0;
}

/* A maker for a plan of one step. */
struct make {
    struct clm_plan plan;
    struct clm_step *step;
    struct clm_txn_maker maker;
    struct clm_buf out;
    struct clm_err err;
};

static void make_begin(struct make *make, enum clm_content content, enum clm_file_format format)
{
    memset(make, 0, sizeof(*make));
    make->step = clm_plan_add(&make->plan, CLM_STEP_FILE_PUT);
    assert_non_null(make->step);
    strcpy(make->plan.deployer, "file");
    strcpy(make->step->path, "/etc/x");
    make->step->content = content;
    make->step->format = format;
    if (clm_format_is_keystore(format)) {
        strcpy(make->step->store_password, "known:changeit");
    }
    make->maker.plan = &make->plan;
    make->maker.bundle = scene.bundle;
    make->maker.now_s = FAKE_IO_NOW_S;
    make->out = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
}

static enum clm_code make_build(struct make *make, const struct clm_buf *old)
{
    enum clm_code code = CLM_OK;

    clm_buf_reset(&make->out);
    clm_txn_maker_done(&make->maker);
    code = clm_txn_maker_load(&make->maker, &make->err);
    return code == CLM_OK ? clm_txn_build(&make->maker, make->step, old, &make->out, &make->err)
                          : code;
}

static void make_end(struct make *make)
{
    clm_txn_maker_done(&make->maker);
    clm_plan_done(&make->plan);
    clm_buf_done(&make->out);
}

static void must_build(struct make *make, const struct clm_buf *old)
{
    if (make_build(make, old) != CLM_OK) {
        fail_msg("%s as %s: %s", clm_content_name(make->step->content),
                 clm_file_format_name(make->step->format), make->err.msg);
    }
}

/* Leaf first, and the key: what the step says there is, and nothing else. */
static void expect_parts(struct make *make)
{
    CLM_CLEANUP(clm_txn_parts_done) struct clm_txn_parts parts = {0};
    enum clm_content content = make->step->content;
    bool is_store = clm_format_is_keystore(make->step->format);
    bool leaf = is_store || clm_content_has_leaf(content);
    bool key = is_store || clm_content_has_key(content);
    char sha256[CLM_SHA256_HEX_SIZE];
    size_t len = 0;
    const uint8_t *der;

    assert_int_equal(clm_txn_take_apart(&make->maker, make->step, &make->out, true, &parts, NULL),
                     CLM_OK);
    assert_true((parts.key != NULL) == key);
    assert_true((parts.chain != NULL) == (leaf || content == CLM_CONTENT_CHAIN));
    if (leaf) {
        der = clm_cert_chain_der(parts.chain, 0, &len);
        clm_sha256_hex(der, len, sha256);
        assert_string_equal(sha256, scene.bundle->leaf.sha256);
    }
    if (key) {
        assert_true(clm_txn_is_same_key(parts.key, make->maker.key));
    }
    if (leaf && key) {
        assert_true(clm_cert_matches_key(parts.chain, 0, parts.key));
    }
    if (is_store) {
        assert_true(clm_txn_is_same_chain(parts.chain, make->maker.chain));
    }
}

static void everything_that_is_written_can_be_taken_apart(void **state)
{
    size_t n = 0;

    (void)state;
    for (int format = 0; format < CLM_FORMAT__COUNT; format++) {
        for (int content = 0; content < CLM_CONTENT_EDIT; content++) {
            struct make make;

            make_begin(&make, (enum clm_content)content, (enum clm_file_format)format);
            if (clm_step_check(make.step, NULL) == CLM_OK &&
                (!clm_format_is_keystore(make.step->format) || content == 0)) {
                must_build(&make, NULL);
                expect_parts(&make);
                n++;
            }
            make_end(&make);
        }
    }
    assert_int_equal(n, 7 + 2 + 2 * 3 + 3);
}

static void the_order_in_a_file_is_that_of_its_name(void **state)
{
    static const struct {
        enum clm_content content;
        bool key_first;
        size_t n_certs;
    } rows[] = {{CLM_CONTENT_KEY_FULLCHAIN, false, 2},
                {CLM_CONTENT_KEY_FIRST, true, 2},
                {CLM_CONTENT_LEAF_KEY, false, 1}};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct make make;
        const char *text;
        size_t n = 0;

        make_begin(&make, rows[i].content, CLM_FORMAT_PEM);
        must_build(&make, NULL);
        text = clm_buf_str(&make.out);
        assert_true(clm_str_starts(text, "-----BEGIN PRIVATE KEY-----") == rows[i].key_first);
        for (const char *at = strstr(text, "BEGIN CERT"); at != NULL;
             at = strstr(at + 1, "BEGIN CERT")) {
            n++;
        }
        assert_int_equal(n, rows[i].n_certs);
        make_end(&make);
    }
}

static void a_file_for_intermediates_needs_some(void **state)
{
    static const enum clm_file_format formats[] = {CLM_FORMAT_PEM, CLM_FORMAT_PKCS7};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(formats); i++) {
        struct clm_bundle bundle = *scene.bundle;
        struct make make;

        make_begin(&make, CLM_CONTENT_CHAIN, formats[i]);
        bundle.chain_pem = CLM_BUF_INIT(0);
        make.maker.bundle = &bundle;
        assert_int_equal(make_build(&make, NULL), CLM_E_INVAL);
        assert_non_null(strstr(make.err.msg, "without intermediates"));
        make_end(&make);
    }
}

/* ---- encrypted keys ---- */

static void an_encrypted_key_is_left_alone_while_it_is_the_same(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf first = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    struct make make;

    (void)state;
    make_begin(&make, CLM_CONTENT_KEY_FULLCHAIN, CLM_FORMAT_PEM);
    strcpy(make.step->key_password, "known:open sesame");
    must_build(&make, NULL);
    assert_non_null(strstr(clm_buf_str(&make.out), "BEGIN ENCRYPTED PRIVATE KEY"));
    assert_null(strstr(clm_buf_str(&make.out), "BEGIN PRIVATE KEY"));
    expect_parts(&make);
    assert_int_equal(clm_buf_add(&first, make.out.data, make.out.len, NULL), CLM_OK);

    must_build(&make, &first); /* byte by byte, in spite of the salt */
    assert_int_equal(make.out.len, first.len);
    assert_memory_equal(make.out.data, first.data, first.len);

    strcpy(make.step->key_password, "known:another one");
    must_build(&make, &first);
    assert_true(make.out.len != first.len || memcmp(make.out.data, first.data, first.len) != 0);
    expect_parts(&make);
    make.step->key_password[0] = '\0'; /* and in clear again */
    must_build(&make, &first);
    assert_non_null(strstr(clm_buf_str(&make.out), "BEGIN PRIVATE KEY"));
    make_end(&make);
}

static void a_key_in_clear_or_another_one_is_never_kept(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *other = NULL;
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;
    struct make make;

    (void)state;
    make_begin(&make, CLM_CONTENT_KEY, CLM_FORMAT_PEM);
    must_build(&make, NULL);
    assert_int_equal(clm_buf_add(&old, make.out.data, make.out.len, NULL), CLM_OK);
    strcpy(make.step->key_password, "known:open sesame"); /* the same key, but in clear */
    must_build(&make, &old);
    assert_non_null(strstr(clm_buf_str(&make.out), "BEGIN ENCRYPTED PRIVATE KEY"));

    assert_int_equal(clm_buf_add_str(&password, "open sesame", NULL), CLM_OK);
    assert_int_equal(
        clm_key_from_pem(certs.old_leaf.key_pem.data, certs.old_leaf.key_pem.len, &other, NULL),
        CLM_OK);
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    clm_buf_reset(&old);
    assert_int_equal(clm_key_to_pem_password(other, rng, &password, &old, NULL), CLM_OK);
    must_build(&make, &old);
    assert_true(make.out.len != old.len || memcmp(make.out.data, old.data, old.len) != 0);
    expect_parts(&make);
    make_end(&make);
}

/* ---- text ---- */

static const char old_text[] = "<Connector port=\"8443\"/>\n";

static enum clm_code edit(struct make *make, const char *text, uint64_t offset, uint64_t len,
                          const char *with)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_INIT(1000);

    assert_int_equal(clm_buf_add_str(&old, text, NULL), CLM_OK);
    assert_int_equal(clm_step_add_edit(make->step, offset, len, with, NULL), CLM_OK);
    clm_sha256_hex(old_text, strlen(old_text), make->step->expect_sha256);
    return make_build(make, &old);
}

static void text_is_replaced_where_the_plan_says(void **state)
{
    struct make make;

    (void)state;
    make_begin(&make, CLM_CONTENT_EDIT, CLM_FORMAT_PEM);
    assert_int_equal(edit(&make, old_text, 0, 0, "<!-- -->"), CLM_OK);
    assert_string_equal(clm_buf_str(&make.out), "<!-- --><Connector port=\"8443\"/>\n");
    assert_int_equal(edit(&make, old_text, 17, 4, "443"), CLM_OK);
    assert_int_equal(edit(&make, old_text, strlen(old_text), 0, "end"), CLM_OK);
    assert_string_equal(clm_buf_str(&make.out), "<!-- --><Connector port=\"443\"/>\nend");
    make_end(&make);
}

static void text_that_is_not_as_it_was_is_left_alone(void **state)
{
    static const struct {
        const char *text;
        uint64_t offset;
        uint64_t len;
        enum clm_code code;
    } rows[] = {
        {"<Connector port=\"8444\"/>\n", 0, 1, CLM_E_CONFLICT},
        {"", 0, 0, CLM_E_CONFLICT},
        {old_text, sizeof(old_text), 0, CLM_E_INVAL},
        {old_text, sizeof(old_text) - 2, 2, CLM_E_INVAL},
        {old_text, 0, 1000000, CLM_E_INVAL},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct make make;

        make_begin(&make, CLM_CONTENT_EDIT, CLM_FORMAT_PEM);
        if (edit(&make, rows[i].text, rows[i].offset, rows[i].len, "x") != rows[i].code) {
            fail_msg("row %zu: %s", i, make.err.msg);
        }
        assert_int_equal(make_build(&make, NULL), CLM_E_CONFLICT); /* no file at all */
        make_end(&make);
    }
}

/* ---- keystores ---- */

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

static void a_key_that_is_not_the_certificates_is_refused(void **state)
{
    struct clm_bundle bundle = *scene.bundle;
    struct make make;

    (void)state;
    make_begin(&make, CLM_CONTENT_LEAF, CLM_FORMAT_JKS);
    memcpy(bundle.key_path, scene.files[1].path, sizeof(bundle.key_path)); /* the old key */
    make.maker.bundle = &bundle;
    assert_int_equal(make_build(&make, NULL), CLM_E_INVAL);
    assert_non_null(strstr(make.err.msg, "the key is not the certificate's"));
    make_end(&make);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_is_written_can_be_taken_apart),
        cmocka_unit_test(the_order_in_a_file_is_that_of_its_name),
        cmocka_unit_test(a_file_for_intermediates_needs_some),
        cmocka_unit_test(an_encrypted_key_is_left_alone_while_it_is_the_same),
        cmocka_unit_test(a_key_in_clear_or_another_one_is_never_kept),
        cmocka_unit_test(text_is_replaced_where_the_plan_says),
        cmocka_unit_test(text_that_is_not_as_it_was_is_left_alone),
        cmocka_unit_test(one_entry_is_replaced_and_the_others_stay),
        cmocka_unit_test(a_chain_that_would_be_read_as_another_is_refused),
        cmocka_unit_test(without_an_alias_the_only_key_is_meant),
        cmocka_unit_test(a_store_that_cannot_be_opened_is_left_alone),
        cmocka_unit_test(a_key_that_is_not_the_certificates_is_refused),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
