/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: tests/fixtures/keystore/README.md says who wrote which file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/support/pair.h"
#include "tests/unit/keystore/p12_files.h"

#define UTF8 "p\xc3\xa4ssw\xc3\xb6rd\xe2\x82\xac\xf0\x9f\x98\x80"
#define NEW  "PBES2 AES-256-CBC, PBKDF2 HMAC-SHA-256 "

static const struct {
    const char *name;
    const char *password;
    const char *list;
    const char *integrity;
    const char *protection; /* of the first key; NULL: there is none */
} files[] = {
    {"openssl3", P12_PASSWORD, "KEY My Server 2", "HMAC-SHA-256 2048", NEW "2048"},
    {"openssl3-noname", P12_PASSWORD, "KEY  2", "HMAC-SHA-256 2048", NEW "2048"},
    {"openssl3-aes128-sha512", P12_PASSWORD, "KEY  2", "HMAC-SHA-512 300",
     "PBES2 AES-128-CBC, PBKDF2 HMAC-SHA-256 300"},
    {"openssl-legacy", P12_PASSWORD, "KEY My Server 2", "HMAC-SHA-1 2048",
     "PBE 3DES-CBC, SHA-1 2048"},
    {"openssl-rc2-128", P12_PASSWORD, "KEY  2", "HMAC-SHA-1 2048",
     "PBE 2-key 3DES-CBC, SHA-1 2048"},
    {"openssl-nomac", P12_PASSWORD, "KEY nomac 2", "", NEW "2048"},
    {"nomac", P12_PASSWORD, "KEY My Server 2", "", NEW "2048"},
    {"openssl-clear", P12_PASSWORD, "KEY clear 2", "HMAC-SHA-256 2048", ""},
    {"openssl-bare", NULL, "KEY bare 2", "", ""},
    {"openssl-empty", "", "KEY empty 2", "HMAC-SHA-256 2048", NEW "2048"},
    {"openssl-empty-3des", "", "KEY empty 2", "HMAC-SHA-1 2048", "PBE 3DES-CBC, SHA-1 2048"},
    {"openssl-utf8", UTF8, "KEY Schl\xc3\xbcssel \xe2\x82\xac 2", "HMAC-SHA-256 2048", NEW "2048"},
    {"openssl-utf8-3des", UTF8, "KEY Schl\xc3\xbcssel \xe2\x82\xac 2", "HMAC-SHA-1 2048",
     "PBE 3DES-CBC, SHA-1 2048"},
    {"openssl-cacerts", P12_PASSWORD, "TRUSTED  1", "HMAC-SHA-256 2048", NULL},
    {"jdk17", P12_PASSWORD, "KEY www 2, KEY shop 2, SECRET aes 0, TRUSTED Root CA 1",
     "HMAC-SHA-256 10000", NEW "10000"},
    {"jdk17-legacy", P12_PASSWORD, "KEY www 2, KEY shop 2, SECRET aes 0, TRUSTED Root CA 1",
     "HMAC-SHA-1 100000", "PBE 3DES-CBC, SHA-1 50000"},
    {"ber", P12_PASSWORD, "KEY My Server 2", "HMAC-SHA-256 1000", NEW "2048"},
    {"windows", P12_PASSWORD, "KEY te-3f2a 2", "HMAC-SHA-256 1000", "PBE 3DES-CBC, SHA-1 2048"},
    {"nested", P12_PASSWORD, "KEY Inner 2, OTHER  0, KEY Outer 2", "HMAC-SHA-256 1000", NEW "2048"},
    {"pbmac1", P12_PASSWORD, "KEY My Server 2", "PBMAC1 HMAC-SHA-256, PBKDF2 HMAC-SHA-256 1000",
     NEW "2048"},
};

static void files_of_all_writers_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(files); i++) {
        struct clm_keystore *store = p12_opened(files[i].name, files[i].password);
        char list[512];
        size_t key = 0;

        p12_list(store, list, sizeof(list));
        if (strcmp(list, files[i].list) != 0 ||
            strcmp(clm_keystore_integrity(store), files[i].integrity) != 0) {
            fail_msg("%s: [%s] [%s]", files[i].name, list, clm_keystore_integrity(store));
        }
        assert_int_equal(clm_keystore_find(store, NULL, &key), files[i].protection != NULL);
        if (files[i].protection != NULL) {
            assert_string_equal(clm_keystore_entry(store, key)->protection, files[i].protection);
        }
        assert_false(clm_keystore_is_locked(store));
        clm_keystore_free(store);
    }
}

/* Each key opens, and is the one of the first certificate of its chain. */
static void keys_open_and_fit_their_certificates(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(files); i++) {
        struct clm_keystore *store = p12_opened(files[i].name, files[i].password);

        for (size_t k = 0; k < clm_keystore_count(store); k++) {
            CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
            CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
            struct clm_err err = {0};

            if (clm_keystore_entry(store, k)->kind != CLM_ENTRY_KEY) {
                assert_int_equal(clm_keystore_key(store, k, NULL, &key, NULL), CLM_E_INVAL);
                continue;
            }
            if (clm_keystore_key(store, k, NULL, &key, &err) != CLM_OK ||
                clm_keystore_chain(store, k, &chain, &err) != CLM_OK) {
                fail_msg("%s: %s", files[i].name, err.msg);
            }
            assert_int_equal(clm_cert_chain_count(chain), 2);
            assert_true(is_pair(chain, 0, key));
            assert_int_equal(clm_cert_chain_check(chain, 1900000000, &err), CLM_OK);
        }
        clm_keystore_free(store);
    }
}

static void unchanged_stores_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(files); i++) {
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = p12_opened(files[i].name, files[i].password);
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = p12_file(files[i].name);
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);

        assert_int_equal(clm_keystore_write(store, NULL, NULL, &out, NULL), CLM_OK);
        assert_int_equal(out.len, file.len);
        assert_memory_equal(out.data, file.data, file.len);
    }
}

static void wrong_passwords_are_refused(void **state)
{
    static const char *const wrong[] = {"", "Changeit", "changeit ", UTF8};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(files); i++) {
        for (size_t k = 0; k < CLM_ARRAY_LEN(wrong); k++) {
            struct clm_keystore *store = NULL;
            struct clm_err err = {0};

            if (files[i].integrity[0] == '\0' || strcmp(wrong[k], files[i].password) == 0) {
                continue;
            }
            assert_int_equal(p12_open(files[i].name, wrong[k], &store, &err), CLM_E_CRYPTO);
            assert_string_equal(err.msg, "wrong password, or the file was changed");
        }
    }
}

static void a_wrong_password_shows_without_a_mac_too(void **state)
{
    struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(p12_open("nomac", "wrong", &store, &err), CLM_E_CRYPTO);
    assert_string_equal(err.msg, "wrong password, or the content was changed");
}

/* Without a password keys are listed (they are not in the encrypted part), certificates are not. */
static void without_a_password_a_store_is_locked(void **state)
{
    CLM_CLEANUP(clm_test_ca_free_p) struct clm_test_ca *ca = clm_test_ca_new(1790000000);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", NULL);
    struct clm_key *key = NULL;
    struct clm_err err = {0};
    char list[256];

    (void)state;
    p12_list(store, list, sizeof(list));
    assert_string_equal(list, "KEY www 0, KEY shop 0, SECRET aes 0");
    assert_true(clm_keystore_is_locked(store));
    assert_int_equal(clm_keystore_key(store, 0, NULL, &key, &err), CLM_E_CRYPTO);
    assert_int_equal(p12_put(store, ca, "www", "www.example", P12_PASSWORD, &err),
                     CLM_E_UNSUPPORTED);
    assert_string_equal(err.msg, "keystore cannot be changed: it was opened without its password");
    assert_int_equal(clm_keystore_remove(store, "www", &err), CLM_E_UNSUPPORTED);
}

static void an_entry_may_have_a_password_of_its_own(void **state)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_buf_done) struct clm_buf wrong = p12_text("other");
    CLM_CLEANUP(clm_buf_done) struct clm_buf right = p12_text(P12_PASSWORD);
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(clm_keystore_key(store, 0, &wrong, &key, &err), CLM_E_CRYPTO);
    assert_int_equal(clm_keystore_key(store, 0, &right, &key, &err), CLM_OK);
}

static void what_java_ignores_and_dates_are_told(void **state)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *jdk = p12_opened("jdk17", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *ca = p12_opened("openssl-cacerts", P12_PASSWORD);
    size_t i = 0;

    (void)state;
    assert_true(clm_keystore_find(jdk, "ROOT ca", &i));
    assert_true(clm_keystore_entry(jdk, i)->java_trusts);
    assert_true(clm_keystore_entry(jdk, 0)->created_ms > 1700000000000);
    assert_false(clm_keystore_entry(ca, 0)->java_trusts);
    assert_int_equal(clm_keystore_entry(ca, 0)->created_ms, 0);
}

static void aliases_are_found_without_regard_to_case(void **state)
{
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = p12_opened("openssl-utf8", UTF8);
    size_t i = 9;

    (void)state;
    assert_true(clm_keystore_find(store, "SCHL\xc3\x9cSSEL \xe2\x82\xac", &i));
    assert_int_equal(i, 0);
    assert_false(clm_keystore_find(store, "schlussel \xe2\x82\xac", &i));
    assert_false(clm_keystore_find(store, "schl\xc3\xbcssel", &i));
}

/* Java shows such entries as "1", "2" ... */
static void entries_without_a_name_are_found_by_number(void **state)
{
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = p12_opened("openssl3-noname", P12_PASSWORD);
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *ca = p12_opened("openssl-cacerts", P12_PASSWORD);
    size_t i = 9;

    (void)state;
    assert_true(clm_keystore_find(store, "1", &i));
    assert_int_equal(i, 0);
    assert_false(clm_keystore_find(store, "2", &i));
    assert_false(clm_keystore_find(store, "01", &i));
    assert_false(clm_keystore_find(ca, "1", &i)); /* no entry for Java */
}

static void a_mac_with_a_short_key_is_refused(void **state)
{
    struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    (void)state;
    assert_int_equal(p12_open("pbmac1-short-key", P12_PASSWORD, &store, &err), CLM_E_LIMIT);
    assert_string_equal(err.msg, "PKCS#12: PBMAC1 with a key of 1 bytes; 20 to 64 are accepted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_all_writers_are_read),
        cmocka_unit_test(keys_open_and_fit_their_certificates),
        cmocka_unit_test(unchanged_stores_come_out_as_they_went_in),
        cmocka_unit_test(wrong_passwords_are_refused),
        cmocka_unit_test(a_wrong_password_shows_without_a_mac_too),
        cmocka_unit_test(without_a_password_a_store_is_locked),
        cmocka_unit_test(an_entry_may_have_a_password_of_its_own),
        cmocka_unit_test(what_java_ignores_and_dates_are_told),
        cmocka_unit_test(aliases_are_found_without_regard_to_case),
        cmocka_unit_test(entries_without_a_name_are_found_by_number),
        cmocka_unit_test(a_mac_with_a_short_key_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
