/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for all formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/str.h"
#include "agent/keystore/internal.h"
#include "tests/support/torture.h"
#include "tests/unit/keystore/p12_files.h"

#define NOW_S 1800000000

static const enum clm_keystore_type types[] = {CLM_KEYSTORE_PKCS12, CLM_KEYSTORE_JKS,
                                               CLM_KEYSTORE_JCEKS};

static void types_have_names(void **state)
{
    enum clm_keystore_type type = CLM_KEYSTORE_PKCS12;
    struct clm_err err = {0};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        assert_int_equal(clm_keystore_type_parse(clm_keystore_type_name(types[i]), &type, NULL),
                         CLM_OK);
        assert_int_equal(type, types[i]);
    }
    assert_int_equal(clm_keystore_type_parse("PKCS12", &type, &err), CLM_E_INVAL);
    assert_string_equal(err.msg, "keystore type 'PKCS12' is none of pkcs12, jks, jceks");
    assert_string_equal(clm_keystore_type_name(CLM_KEYSTORE__COUNT), "unknown");
}

static void aliases_are_compared_as_in_java(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } cases[] = {
        {"www", "WWW", true},
        {"www", "www ", false},
        {"", "", true},
        {"", "a", false},
        {"\xc3\x84\xc3\x96", "\xc3\xa4\xc3\xb6", true}, /* Latin 1 */
        {"\xc5\xbd", "\xc5\xbe", true},                 /* Latin Extended-A */
        {"\xd0\x9a\xd0\x81", "\xd0\xba\xd1\x91", true}, /* Cyrillic */
        {"\xce\xa9", "\xcf\x89", true},                 /* Greek */
        {"\xc3\x97", "\xc3\xb7", false},                /* signs in between */
        {"\xc4\xae", "\xc4\xaf", true},                 /* U+012E, the last of its run */
        {"\xc4\xb0", "\xc4\xb1", false},                /* U+0130, of Turkish */
        {"\xc4\xb6", "\xc4\xb7", true},                 /* U+0136, the last of its run */
        {"\xc4\xb9", "\xc4\xba", true},                 /* U+0139, where odd is upper */
        {"\xc5\xb6", "\xc5\xb7", true},                 /* U+0176, the last of its run */
        {"\xc5\xb8", "\xc5\xb9", false},                /* U+0178 */
        {"\xff", "\xff", true},
        {"\xff", "\xfe", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        if (clm_alias_same(cases[i].a, cases[i].b) != cases[i].same ||
            clm_alias_same(cases[i].b, cases[i].a) != cases[i].same) {
            fail_msg("case %zu", i);
        }
    }
}

/* Each format: add, replace in place, remove, conflicts; nothing of a refusal sticks. */
static void every_format_is_edited_alike(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(NOW_S);
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *certs = p12_opened("openssl-cacerts", P12_PASSWORD);
    size_t len = 0;
    const uint8_t *der = clm_keystore_cert_der(certs, 0, 0, &len);

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        struct clm_keystore *store = NULL;
        struct clm_keystore *again;
        struct clm_buf bytes;
        struct clm_buf none = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
        struct clm_err err = {0};
        char long_alias[600];
        char list[256];

        assert_int_equal(clm_keystore_new(types[i], CLM_KEYSTORE_MODERN, &store, NULL), CLM_OK);
        assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(ca), NULL, &none, &err),
                         CLM_E_INVAL);
        assert_string_equal(err.msg, "a new keystore needs a password");
        assert_int_equal(p12_put(store, ca, "one", "a.example", P12_PASSWORD, NULL), CLM_OK);
        assert_int_equal(p12_put(store, ca, "two", "b.example", P12_PASSWORD, NULL), CLM_OK);
        assert_int_equal(clm_keystore_put_trusted(store, "ca", der, len, 1000, NULL), CLM_OK);
        assert_int_equal(p12_put(store, ca, "ONE", "c.example", P12_PASSWORD, NULL), CLM_OK);
        assert_int_equal(p12_put(store, ca, "CA", "c.example", P12_PASSWORD, &err), CLM_E_CONFLICT);
        assert_int_equal(clm_keystore_put_trusted(store, "two", der, len, 0, NULL), CLM_E_CONFLICT);
        assert_int_equal(p12_put(store, ca, "\xff", "c.example", P12_PASSWORD, &err), CLM_E_INVAL);
        memset(long_alias, 'x', sizeof(long_alias) - 1);
        long_alias[sizeof(long_alias) - 1] = '\0';
        assert_int_equal(p12_put(store, ca, long_alias, "c.example", P12_PASSWORD, &err),
                         CLM_E_LIMIT);
        assert_int_equal(clm_keystore_remove(store, "three", &err), CLM_E_NOTFOUND);
        assert_string_equal(err.msg, "keystore has no entry 'three'");
        again = p12_again(store, clm_test_ca_rng(ca), P12_PASSWORD, &bytes);
        p12_list(again, list, sizeof(list));
        assert_string_equal(list, "KEY one 2, KEY two 2, TRUSTED ca 1");
        assert_int_equal(clm_keystore_type_of(again), types[i]);
        clm_keystore_free(store);
        clm_keystore_free(again);
        clm_buf_done(&bytes);
    }
}

static void a_certificate_must_be_for_the_key(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(NOW_S);
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {0};
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    struct clm_keystore_put put = {.alias = "www"};
    struct clm_err err = {0};

    (void)state;
    clm_test_leaf_make(ca, "a.example", CLM_TEST_WRONG_KEY, &leaf);
    assert_int_equal(clm_cert_chain_from_pem(leaf.full_pem.data, leaf.full_pem.len, &chain, NULL),
                     CLM_OK);
    put.key = leaf.key;
    put.chain = chain;
    assert_int_equal(clm_keystore_put_key(store, clm_test_ca_rng(ca), &put, &err), CLM_E_INVAL);
    assert_string_equal(err.msg, "certificate is for another key");
    assert_false(store->is_changed);
}

static void passwords_have_limits(void **state)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = p12_file("openssl3");
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(2000);
    struct clm_keystore *store = NULL;

    (void)state;
    assert_int_equal(clm_buf_add_str(&password, "\xff", NULL), CLM_OK);
    assert_int_equal(clm_keystore_open(file.data, file.len, &password, &store, NULL), CLM_E_INVAL);
    for (size_t i = 0; i < CLM_KEYSTORE_PASSWORD_MAX; i++) {
        assert_int_equal(clm_buf_add_str(&password, "x", NULL), CLM_OK);
    }
    assert_int_equal(clm_keystore_open(file.data, file.len, &password, &store, NULL), CLM_E_LIMIT);
}

static void entries_without_a_name_have_the_numbers_of_java(void **state)
{
    static const struct {
        enum clm_entry_kind kind;
        const char *alias;
        bool java_trusts;
    } entries[] = {
        {CLM_ENTRY_OTHER, "", false}, {CLM_ENTRY_TRUSTED, "", false}, {CLM_ENTRY_KEY, "www", false},
        {CLM_ENTRY_KEY, "", false},   {CLM_ENTRY_SECRET, "", false},  {CLM_ENTRY_TRUSTED, "", true},
    };
    static const struct {
        const char *alias;
        size_t i; /* 6: none */
    } cases[] = {{"1", 3}, {"2", 4}, {"3", 5}, {"4", 6}, {"0", 6}, {"01", 6}, {"x", 6}, {"", 0}};
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;

    (void)state;
    assert_int_equal(clm_keystore_new(CLM_KEYSTORE_PKCS12, CLM_KEYSTORE_MODERN, &store, NULL),
                     CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(entries); i++) {
        struct clm_entry *entry = clm_keystore_add_entry(store);

        assert_non_null(entry);
        entry->shown.kind = entries[i].kind;
        entry->shown.java_trusts = entries[i].java_trusts;
        assert_int_equal(
            clm_str_copy(entry->shown.alias, sizeof(entry->shown.alias), entries[i].alias, NULL),
            CLM_OK);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        size_t found = 6;

        assert_int_equal(clm_keystore_find(store, cases[i].alias, &found), cases[i].i < 6);
        assert_int_equal(found, cases[i].i);
    }
}

/* What is there already is changed, not what would be one too many. */
static void a_full_store_takes_no_more(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(NOW_S);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_keystore_new(CLM_KEYSTORE_JKS, CLM_KEYSTORE_MODERN, &store, NULL), CLM_OK);
    assert_int_equal(clm_keystore_remove(store, NULL, &err), CLM_E_NOTFOUND);
    assert_string_equal(err.msg, "keystore has no entry ''");
    /* the first key, whatever its name: there is none */
    assert_int_equal(p12_put(store, ca, NULL, "a.example", P12_PASSWORD, NULL), CLM_OK);
    assert_string_equal(clm_keystore_entry(store, 0)->alias, "");
    while (clm_keystore_count(store) < CLM_KEYSTORE_ENTRIES_MAX) {
        assert_non_null(clm_keystore_add_entry(store));
    }
    assert_int_equal(p12_put(store, ca, "new", "a.example", P12_PASSWORD, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "keystore has 10000 entries already");
    assert_int_equal(p12_put(store, ca, NULL, "b.example", P12_PASSWORD, NULL), CLM_OK);
    assert_int_equal(clm_keystore_count(store), CLM_KEYSTORE_ENTRIES_MAX);
}

static void trusted_certificates_are_checked_like_keys(void **state)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *locked = p12_opened("jdk17", NULL);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_keystore_put_trusted(locked, "a", (const uint8_t *)"", 0, 0, &err),
                     CLM_E_UNSUPPORTED);
    assert_string_equal(err.msg, "keystore cannot be changed: it was opened without its password");
    assert_int_equal(clm_keystore_put_trusted(store, "\xff", (const uint8_t *)"", 0, 0, &err),
                     CLM_E_INVAL);
    assert_string_equal(err.msg, "alias is not UTF-8");
    assert_int_equal(clm_keystore_put_trusted(store, "a", (const uint8_t *)"0", 1, 0, &err),
                     CLM_E_PARSE);
}

/* The bytes it was, if nothing changed: not even the password. */
static void only_the_same_password_leaves_a_file_as_it_is(void **state)
{
    static const struct {
        const char *file;
        const char *opened; /* NULL: without a password */
        const char *written;
        enum clm_code code;
        bool is_same;
    } cases[] = {
        {"nomac", P12_PASSWORD, P12_PASSWORD, CLM_OK, true},
        {"nomac", P12_PASSWORD, "changeIt", CLM_OK, false},
        {"nomac", P12_PASSWORD, "longer than it was", CLM_OK, false},
        {"openssl-clear", NULL, "x", CLM_E_UNSUPPORTED, false},
        {"openssl-empty-3des", "", "", CLM_OK, true},
    };
    CLM_CLEANUP(clm_rng_free_p) struct clm_rng *rng = NULL;

    (void)state;
    assert_int_equal(clm_rng_new(&rng, NULL), CLM_OK);
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = p12_file(cases[i].file);
        CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text(cases[i].written);
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = p12_opened(cases[i].file, cases[i].opened);
        struct clm_err err = {0};

        assert_string_equal(clm_keystore_read_only(store), "");
        if (clm_keystore_write(store, rng, &password, &out, &err) != cases[i].code) {
            fail_msg("case %zu: %s", i, err.msg);
        }
        assert_int_equal(out.len == file.len && memcmp(out.data, file.data, file.len) == 0,
                         cases[i].is_same);
    }
}

static void files_have_a_limit(void **state)
{
    struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    (void)state;
    /* said before a byte of it is looked at */
    assert_int_equal(
        clm_keystore_open((const uint8_t *)"", CLM_KEYSTORE_MAX + 1, NULL, &store, &err),
        CLM_E_LIMIT);
    assert_string_equal(err.msg, "keystore is larger than 16777216 bytes");
}

/* ---- no memory ---- */

struct scene {
    struct clm_rng *rng;
    struct clm_key *key;
    struct clm_cert_chain *chain;
    struct clm_buf file;
    struct clm_buf password;
};

static enum clm_code open_put_write(void *arg, struct clm_err *err)
{
    struct scene *s = arg;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    const struct clm_keystore_put put = {
        .alias = "Inner", .key = s->key, .chain = s->chain, .now_ms = 1};
    enum clm_code code = clm_keystore_open(s->file.data, s->file.len, &s->password, &store, err);

    if (code == CLM_OK) {
        code = clm_keystore_put_key(store, s->rng, &put, err);
    }
    if (code == CLM_OK) {
        code = clm_keystore_remove(store, "outer", err);
    }
    return code == CLM_OK ? clm_keystore_write(store, s->rng, NULL, &out, err) : code;
}

static void lack_of_memory_is_said_and_leaks_nothing(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(NOW_S);
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {0};
    struct scene s = {.rng = clm_test_ca_rng(ca)};

    (void)state;
    clm_test_leaf_make(ca, "a.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_cert_chain_from_pem(leaf.full_pem.data, leaf.full_pem.len, &s.chain, NULL),
                     CLM_OK);
    s.key = leaf.key;
    s.file = p12_file("nested");
    s.password = p12_text(P12_PASSWORD);
    assert_true(clm_torture(open_put_write, &s) > 30);
    clm_cert_chain_free(s.chain);
    clm_buf_done(&s.file);
    clm_buf_done(&s.password);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_names),
        cmocka_unit_test(aliases_are_compared_as_in_java),
        cmocka_unit_test(every_format_is_edited_alike),
        cmocka_unit_test(a_certificate_must_be_for_the_key),
        cmocka_unit_test(passwords_have_limits),
        cmocka_unit_test(entries_without_a_name_have_the_numbers_of_java),
        cmocka_unit_test(a_full_store_takes_no_more),
        cmocka_unit_test(trusted_certificates_are_checked_like_keys),
        cmocka_unit_test(only_the_same_password_leaves_a_file_as_it_is),
        cmocka_unit_test(files_have_a_limit),
        cmocka_unit_test(lack_of_memory_is_said_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
