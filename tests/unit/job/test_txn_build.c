/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into files: every content in every format, taken apart again, and left alone if it is
 * there already. */
#include "tests/unit/job/make.h"

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

/* What is not to be opened, or lies behind a NUL, is replaced like a key that was never there. */
static void an_old_file_without_a_key_gets_one(void **state)
{
    static const char begun[] = "-----BEGIN X-----\nQUJD\n";
    static const char broken[] = "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n";
    static const char *const texts[] = {"", "no PEM at all\n", begun, broken};
    CLM_CLEANUP(clm_buf_done) struct clm_buf old = CLM_BUF_SECRET_INIT(CLM_TXN_FILE_MAX);
    struct make make;

    (void)state;
    make_begin(&make, CLM_CONTENT_KEY, CLM_FORMAT_PEM);
    strcpy(make.step->key_password, "known:open sesame");
    for (size_t i = 0; i < CLM_ARRAY_LEN(texts); i++) {
        clm_buf_reset(&old);
        assert_int_equal(clm_buf_add_str(&old, texts[i], NULL), CLM_OK);
        must_build(&make, &old);
        expect_parts(&make);
    }
    clm_buf_reset(&old);
    assert_int_equal(clm_buf_add(&old, "x\0\n", 3, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&old, make.out.data, make.out.len, NULL), CLM_OK);
    must_build(&make, &old);
    assert_null(memchr(make.out.data, '\0', make.out.len));
    expect_parts(&make);

    strcpy(make.step->key_password, "file:/nowhere"); /* nobody is here who could read it */
    assert_int_equal(make_build(&make, &old), CLM_E_UNSUPPORTED);
    strcpy(make.step->key_password, "of no kind");
    assert_int_equal(make_build(&make, &old), CLM_E_PARSE);
    make_end(&make);
}

/* Half a certificate or key is none; that is no error, for there is nothing to take. */
static void what_cannot_be_read_is_not_there(void **state)
{
    static const struct {
        enum clm_content content;
        enum clm_file_format format;
        const char *data;
    } rows[] = {
        {CLM_CONTENT_KEY_FULLCHAIN, CLM_FORMAT_PEM, "text"},
        {CLM_CONTENT_LEAF, CLM_FORMAT_DER, "\x30\x03\x02\x01\x01"},
        {CLM_CONTENT_KEY, CLM_FORMAT_DER, "\x30\x03\x02\x01\x01"},
        {CLM_CONTENT_CHAIN, CLM_FORMAT_PKCS7, "\x30\x03\x02\x01\x01"},
        {CLM_CONTENT_FULLCHAIN, CLM_FORMAT_PKCS7_PEM, "text"},
        {CLM_CONTENT_LEAF, CLM_FORMAT_JKS, "text"},
        {CLM_CONTENT_LEAF, CLM_FORMAT_PKCS12, "\x30\x03\x02\x01\x01"},
        {CLM_CONTENT_EDIT, CLM_FORMAT_PEM, "text"},
        {CLM_CONTENT_KEY, CLM_FORMAT_PEM, ""},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_INIT(100);
        CLM_CLEANUP(clm_txn_parts_done) struct clm_txn_parts parts = {0};
        struct make make;

        assert_int_equal(clm_buf_add_str(&data, rows[i].data, NULL), CLM_OK);
        make_begin(&make, rows[i].content, rows[i].format);
        if (clm_txn_take_apart(&make.maker, make.step, &data, true, &parts, &make.err) != CLM_OK) {
            fail_msg("row %zu: %s", i, make.err.msg);
        }
        assert_null(parts.chain);
        assert_null(parts.key);
        make_end(&make);
    }
}

/* Certificates of several authorities have no order. */
static void certificates_that_are_no_chain_are_not_taken(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_TXN_FILE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf data = CLM_BUF_INIT(CLM_TXN_FILE_MAX);
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_txn_parts_done) struct clm_txn_parts parts = {0};
    struct make make;

    (void)state;
    assert_int_equal(
        clm_buf_add(&pem, certs.new_leaf.leaf_pem.data, certs.new_leaf.leaf_pem.len, NULL), CLM_OK);
    assert_int_equal(
        clm_buf_add(&pem, certs.old_leaf.leaf_pem.data, certs.old_leaf.leaf_pem.len, NULL), CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(pem.data, pem.len, &chain, NULL), CLM_OK);
    assert_int_equal(clm_pkcs7_to_der(chain, &data, NULL), CLM_OK);
    make_begin(&make, CLM_CONTENT_FULLCHAIN, CLM_FORMAT_PKCS7);
    assert_int_equal(clm_txn_take_apart(&make.maker, make.step, &data, false, &parts, NULL),
                     CLM_OK);
    assert_null(parts.chain);
    make_end(&make);
}

static void a_step_that_contradicts_itself_is_refused(void **state)
{
    struct make make;

    (void)state;
    make_begin(&make, CLM_CONTENT_FULLCHAIN, CLM_FORMAT_DER);
    assert_int_equal(make_build(&make, NULL), CLM_E_PARSE);
    assert_non_null(strstr(make.err.msg, "cannot hold content"));
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
        cmocka_unit_test(an_old_file_without_a_key_gets_one),
        cmocka_unit_test(what_cannot_be_read_is_not_there),
        cmocka_unit_test(certificates_that_are_no_chain_are_not_taken),
        cmocka_unit_test(a_step_that_contradicts_itself_is_refused),
        cmocka_unit_test(text_is_replaced_where_the_plan_says),
        cmocka_unit_test(text_that_is_not_as_it_was_is_left_alone),
        cmocka_unit_test(a_key_that_is_not_the_certificates_is_refused),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
