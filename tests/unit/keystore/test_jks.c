/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The samples in tests/fixtures/keystores were written by JDK 17: "straße-鍵-🔑" (a key behind
 * "entry-Pass", two certificates), "server" (a key behind the store's "changeit", one certificate),
 * "root" (trusted); the JCEKS with a secret key holds "b", "a", "sec", "z" in this order.
 */
#define _GNU_SOURCE /* memmem */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/base/fs.h"
#include "agent/base/str.h"
#include "agent/keystore/jks.h"
#include "agent/keystore/keystore.h"
#include "tests/support/certs.h"
#include "tests/support/pair.h"

#define DIR    "tests/fixtures/keystores/"
#define NOW_S  1795312800 /* 2026-11-22T02:00:00Z */
#define NOW_MS (NOW_S * INT64_C(1000))
#define FANCY                                                                                      \
    "stra\xc3\x9f"                                                                                 \
    "e-\xe9\x8d\xb5-\xf0\x9f\x94\x91"

static const char *const samples[] = {DIR "java17.jks", DIR "java17.jceks"};

struct scene {
    struct clm_test_ca *ca;
    struct clm_test_leaf leaf;
    struct clm_cert_chain *chain;
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->ca = clm_test_ca_new(NOW_S);
    clm_test_leaf_make(s->ca, "www.example", CLM_TEST_GOOD, &s->leaf);
    assert_int_equal(
        clm_cert_chain_from_pem(s->leaf.full_pem.data, s->leaf.full_pem.len, &s->chain, NULL),
        CLM_OK);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    clm_cert_chain_free(s->chain);
    clm_test_leaf_done(&s->leaf);
    clm_test_ca_free(s->ca);
    free(s);
    return 0;
}

static struct clm_buf secret(const char *text)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(1024);

    assert_int_equal(clm_buf_add_str(&buf, text, NULL), CLM_OK);
    return buf;
}

static struct clm_buf file_of(const char *path)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);

    assert_int_equal(clm_fs_read(path, CLM_KEYSTORE_MAX, &buf, NULL), CLM_OK);
    return buf;
}

static struct clm_keystore *open_bytes(const uint8_t *data, size_t len, const char *password)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pass = secret(password);
    struct clm_keystore *store = NULL;
    struct clm_err err = {.code = CLM_OK};

    if (clm_keystore_open(data, len, &pass, &store, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    return store;
}

static struct clm_keystore *open_sample(const char *path, const char *password)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = file_of(path);

    return open_bytes(file.data, file.len, password);
}

static size_t index_of(const struct clm_keystore *store, const char *alias)
{
    size_t i = 0;

    assert_true(clm_keystore_find(store, alias, &i));
    return i;
}

/* True if the entry opens with that password and is the private half of its leaf. */
static bool key_fits(const struct clm_keystore *store, const char *alias, const char *password)
{
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
    struct clm_buf pass = secret(password != NULL ? password : "");
    size_t i = index_of(store, alias);
    enum clm_code code = clm_keystore_key(store, i, password != NULL ? &pass : NULL, &key, NULL);

    clm_buf_done(&pass);
    assert_int_equal(clm_keystore_chain(store, i, &chain, NULL), CLM_OK);
    return code == CLM_OK && is_pair(chain, 0, key);
}

static enum clm_code put(const struct scene *s, struct clm_keystore *store, const char *alias,
                         const struct clm_buf *password, struct clm_err *err)
{
    const struct clm_keystore_put what = {.alias = alias,
                                          .key = s->leaf.key,
                                          .chain = s->chain,
                                          .password = password,
                                          .now_ms = NOW_MS};

    return clm_keystore_put_key(store, clm_test_ca_rng(s->ca), &what, err);
}

/* ---- reading ---- */

static void reads_what_the_jdk_writes(void **state)
{
    static const char *const protections[] = {"SHA-1 key stream", "PBE MD5 3DES 10000"};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(samples); i++) {
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = open_sample(samples[i], "changeit");
        const struct clm_keystore_entry *entry;

        assert_int_equal(clm_keystore_type_of(store),
                         i == 0 ? CLM_KEYSTORE_JKS : CLM_KEYSTORE_JCEKS);
        assert_string_equal(clm_keystore_integrity(store), "SHA-1 digest");
        assert_int_equal(clm_keystore_count(store), 3);
        entry = clm_keystore_entry(store, index_of(store, FANCY));
        assert_int_equal(entry->kind, CLM_ENTRY_KEY);
        assert_int_equal(entry->n_certs, 2);
        assert_string_equal(entry->protection, protections[i]);
        assert_int_equal(entry->created_ms / 1000000000, 1795);
        entry = clm_keystore_entry(store, index_of(store, "ROOT"));
        assert_int_equal(entry->kind, CLM_ENTRY_TRUSTED);
        assert_string_equal(entry->alias, "root");
        assert_int_equal(entry->n_certs, 1);
        assert_false(clm_keystore_is_locked(store));
    }
}

static void each_key_has_its_password(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(samples); i++) {
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = open_sample(samples[i], "changeit");

        assert_true(key_fits(store, "server", NULL));
        assert_true(key_fits(store, "server", "changeit"));
        assert_false(key_fits(store, "server", "entry-Pass"));
        assert_true(key_fits(store, FANCY, "entry-Pass"));
        assert_false(key_fits(store, FANCY, NULL));
    }
}

static void a_wrong_password_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(samples); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = file_of(samples[i]);
        CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("changeiT");
        struct clm_keystore *store = NULL;
        struct clm_err err = {.code = CLM_OK};

        assert_int_equal(clm_keystore_open(file.data, file.len, &password, &store, &err),
                         CLM_E_CRYPTO);
        assert_non_null(strstr(err.msg, "wrong password, or the file was changed"));
        assert_null(store);
    }
}

static void without_a_password_all_but_keys_is_shown(void **state)
{
    const struct scene *s = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(samples); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = file_of(samples[i]);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("changeit");
        struct clm_err err = {.code = CLM_OK};

        assert_int_equal(clm_keystore_open(file.data, file.len, NULL, &store, NULL), CLM_OK);
        assert_int_equal(clm_keystore_count(store), 3);
        assert_int_equal(clm_keystore_entry(store, index_of(store, FANCY))->n_certs, 2);
        assert_int_not_equal(clm_keystore_key(store, index_of(store, "server"), NULL, &key, NULL),
                             CLM_OK);
        assert_true(key_fits(store, "server", "changeit"));
        /* and is not changed: the digest was not checked */
        assert_int_equal(put(s, store, "server", &password, &err), CLM_E_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "without its password"));
    }
}

static void empty_stores_are_those_of_the_jdk(void **state)
{
    static const char *const bytes[] = {
        "feedfeed0000000200000000e2686e45fb43dfa4d992dd41ceb6b21c6330d792",
        "cececece0000000200000000f4922c1e8cc08b94e34d21fa489599303216d4c0"};
    static const enum clm_keystore_type types[] = {CLM_KEYSTORE_JKS, CLM_KEYSTORE_JCEKS};
    const struct scene *s = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(types); i++) {
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("changeit");
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *back = NULL;
        char hex[128];

        assert_int_equal(clm_keystore_new(types[i], CLM_KEYSTORE_MODERN, &store, NULL), CLM_OK);
        assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), &password, &out, NULL),
                         CLM_OK);
        clm_hex_encode(out.data, out.len, hex);
        assert_string_equal(hex, bytes[i]);
        back = open_bytes(out.data, out.len, "changeit");
        assert_int_equal(clm_keystore_count(back), 0);
    }
}

/* ---- changing ---- */

static void an_unchanged_store_keeps_its_bytes(void **state)
{
    const struct scene *s = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(samples); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = file_of(samples[i]);
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = open_bytes(file.data, file.len, "changeit");
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);

        assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), NULL, &out, NULL),
                         CLM_OK);
        assert_int_equal(out.len, file.len);
        assert_memory_equal(out.data, file.data, file.len);
    }
}

/* The bytes in front of the entry and behind it are the same; only it and the digest are new. */
static void only_the_entry_that_is_replaced_changes(void **state)
{
    static const char head[] = "\0\0\0\1\0\x06server";
    const struct scene *s = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(samples); i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = file_of(samples[i]);
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = open_bytes(file.data, file.len, "changeit");
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *back = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
        const uint8_t *at = memmem(file.data, file.len, head, sizeof(head) - 1);
        const uint8_t *next;
        size_t front = (size_t)(at - file.data);
        size_t rest;

        assert_non_null(at);
        next = memmem(at + 1, file.len - front - 1, "\0\0\0\2\0\4root", 10);
        assert_int_equal(put(s, store, "SERVER", NULL, NULL), CLM_OK);
        assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), NULL, &out, NULL),
                         CLM_OK);
        assert_memory_equal(out.data, file.data, front);
        assert_memory_equal(out.data + front, head, sizeof(head) - 1);
        if (next != NULL) { /* what stands behind it, without the digest */
            rest = file.len - 20 - (size_t)(next - file.data);
            assert_memory_equal(out.data + out.len - 20 - rest, next, rest);
        }
        back = open_bytes(out.data, out.len, "changeit");
        assert_int_equal(clm_keystore_count(back), 3);
        assert_true(key_fits(back, "server", NULL));
        assert_true(key_fits(back, FANCY, "entry-Pass"));
        assert_int_equal(clm_keystore_entry(back, index_of(back, "server"))->created_ms, NOW_MS);
        assert_string_equal(clm_keystore_entry(back, index_of(back, "server"))->protection,
                            i == 0 ? "SHA-1 key stream" : "PBE MD5 3DES 10000");
    }
}

static void an_entry_keeps_its_own_password_and_spelling(void **state)
{
    const struct scene *s = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(samples); i++) {
        CLM_CLEANUP(clm_keystore_free_p)
        struct clm_keystore *store = open_sample(samples[i], "changeit");
        CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *back = NULL;
        CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
        CLM_CLEANUP(clm_buf_done) struct clm_buf own = secret("entry-Pass");

        assert_int_equal(put(s, store, FANCY, &own, NULL), CLM_OK);
        assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), NULL, &out, NULL),
                         CLM_OK);
        back = open_bytes(out.data, out.len, "changeit");
        assert_true(key_fits(back, FANCY, "entry-Pass"));
        assert_false(key_fits(back, FANCY, NULL));
        assert_true(key_fits(back, "server", NULL));
    }
}

static void entries_are_added_and_removed(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = open_sample(samples[0], "changeit");
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *back = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    size_t len = 0;
    const uint8_t *ca = clm_cert_chain_der(s->chain, 1, &len);

    assert_int_equal(put(s, store, "New-\xc3\x84", NULL, NULL), CLM_OK);
    assert_int_equal(clm_keystore_put_trusted(store, "Issuer", ca, len, NOW_MS, NULL), CLM_OK);
    assert_int_equal(clm_keystore_remove(store, "root", NULL), CLM_OK);
    assert_int_equal(clm_keystore_remove(store, "root", NULL), CLM_E_NOTFOUND);
    assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), NULL, &out, NULL), CLM_OK);
    back = open_bytes(out.data, out.len, "changeit");
    assert_int_equal(clm_keystore_count(back), 4);
    /* in lower case: Java finds nothing else */
    assert_string_equal(clm_keystore_entry(back, 2)->alias, "new-\xc3\xa4");
    assert_string_equal(clm_keystore_entry(back, 3)->alias, "issuer");
    assert_int_equal(clm_keystore_entry(back, 3)->kind, CLM_ENTRY_TRUSTED);
    assert_true(key_fits(back, "new-\xc3\xa4", NULL));
}

static void an_alias_of_another_kind_is_a_conflict(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = open_sample(samples[0], "changeit");

    assert_int_equal(put(s, store, "root", NULL, NULL), CLM_E_CONFLICT);
}

static void the_file_can_get_another_password(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = open_sample(samples[0], "changeit");
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *back = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf other = secret("gr\xc3\xbc\xc3\x9f-\xf0\x9f\x94\x91");

    assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), &other, &out, NULL), CLM_OK);
    back = open_bytes(out.data, out.len, "gr\xc3\xbc\xc3\x9f-\xf0\x9f\x94\x91");
    assert_true(key_fits(back, "server", "changeit"));
}

/* ---- a secret key in JCEKS ---- */

static void a_secret_key_ends_what_is_read_and_stops_changes(void **state)
{
    const struct scene *s = *state;
    CLM_CLEANUP(clm_keystore_free_p)
    struct clm_keystore *store = open_sample(DIR "java17-secret.jceks", "changeit");
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = file_of(DIR "java17-secret.jceks");
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct clm_err err = {.code = CLM_OK};

    assert_int_equal(clm_keystore_count(store), 3);
    assert_string_equal(clm_keystore_entry(store, 0)->alias, "b");
    assert_string_equal(clm_keystore_entry(store, 1)->alias, "a");
    assert_string_equal(clm_keystore_entry(store, 2)->alias, "sec");
    assert_int_equal(clm_keystore_entry(store, 2)->kind, CLM_ENTRY_SECRET);
    assert_int_equal(put(s, store, "new", NULL, &err), CLM_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "entry 3 of 4 is a secret key"));
    assert_int_equal(clm_keystore_remove(store, "a", &err), CLM_E_UNSUPPORTED);
    assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), NULL, &out, NULL), CLM_OK);
    assert_int_equal(out.len, file.len);
    assert_memory_equal(out.data, file.data, file.len);
}

/* ---- bad input ---- */

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *hex; /* a digest of zeros is added */
        enum clm_code code;
        const char *message;
    } cases[] = {
        {"feedfeed00000002", CLM_E_PARSE, "cut off"},
        {"feedfeed0000000200000001", CLM_E_PARSE, "entry 1: kind at offset 12 goes beyond"},
        {"feedfeed0000000200000000ff", CLM_E_PARSE, "1 bytes behind the last entry"},
        {"feedfeed0000000200002711", CLM_E_LIMIT, "10001 entries; at most 10000"},
        {"feedfeed000000020000000100000003000161"
         "0000000000000000",
         CLM_E_PARSE, "entry 1: kind at offset 12 is 3"},
        {"feedfeed0000000200000001000000010002c341"
         "0000000000000000",
         CLM_E_PARSE, "entry 1: alias is not text"},
        {"feedfeed0000000200000001000000010001610000000000000000"
         "00000000"
         "00000065",
         CLM_E_LIMIT, "entry 1: chain of 101 certificates"},
        {"feedfeed0000000200000001000000010001610000000000000000"
         "7fffffff",
         CLM_E_PARSE, "entry 1: private key at offset"},
        {"feedfeed0000000200000001000000020001610000000000000000"
         "0005582e353039"
         "00000000",
         CLM_E_PARSE, "is empty"},
        {"feedfeed0000000200000001000000020001610000000000000000"
         "0005582e353039"
         "00000005",
         CLM_E_PARSE, "certificate at offset"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].hex) / 2;
        uint8_t *bytes = calloc(1, len + 20);
        struct clm_keystore *store = NULL;
        struct clm_err err = {.code = CLM_OK};
        enum clm_code code;

        assert_non_null(bytes);
        assert_int_equal(clm_hex_decode(cases[i].hex, bytes, len, NULL), CLM_OK);
        code = clm_keystore_open(bytes, len + (i == 0 ? 3 : 20), NULL, &store, &err);
        free(bytes);
        if (code != cases[i].code || strstr(err.msg, cases[i].message) == NULL) {
            fail_msg("case %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
        assert_null(store);
    }
}

/* Version 1, of the first Java: certificates without a type. It stays version 1. */
static void the_old_version_is_read_and_kept(void **state)
{
    static const char head[] = "feedfeed0000000100000001"
                               "0000000200016100000000000003e8";
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_INIT(65536);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    size_t len = 0;
    const uint8_t *der = clm_cert_chain_der(s->chain, 1, &len);
    const uint8_t size[4] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len};
    uint8_t bytes[27];

    assert_int_equal(clm_hex_decode(head, bytes, sizeof(bytes), NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&file, bytes, sizeof(bytes), NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&file, size, 4, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&file, der, len, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&file, "01234567890123456789", 20, NULL), CLM_OK);
    assert_int_equal(clm_keystore_open(file.data, file.len, NULL, &store, NULL), CLM_OK);
    assert_int_equal(clm_keystore_entry(store, 0)->created_ms, 1000);
    assert_int_equal(clm_keystore_entry(store, 0)->n_certs, 1);
}

/* A type of certificate that nobody writes shows that entries are kept as bytes, not written anew. */
static void what_is_not_replaced_is_not_written_anew(void **state)
{
    static const char head[] = "\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1"
                               "\0\0\0\2\0\1a\0\0\0\0\0\0\0\1\0\4X509\0\0\0\3"
                               "\x30\1\0";
    const struct scene *s = *state;
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = CLM_BUF_SECRET_INIT(1024);
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("changeit");
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    uint8_t digest[CLM_JKS_DIGEST_SIZE];

    assert_int_equal(
        clm_jks_digest(&password, (const uint8_t *)head, sizeof(head) - 1, digest, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&file, head, sizeof(head) - 1, NULL), CLM_OK);
    assert_int_equal(clm_buf_add(&file, digest, sizeof(digest), NULL), CLM_OK);
    store = open_bytes(file.data, file.len, "changeit");
    assert_int_equal(put(s, store, "new", NULL, NULL), CLM_OK);
    assert_int_equal(clm_keystore_write(store, clm_test_ca_rng(s->ca), NULL, &out, NULL), CLM_OK);
    assert_memory_equal(out.data + 12, head + 12, sizeof(head) - 1 - 12);
}

static void look_at_all(const struct clm_keystore *store, const struct clm_buf *password)
{
    for (size_t i = 0; i < clm_keystore_count(store); i++) {
        CLM_CLEANUP(clm_key_free_p) struct clm_key *key = NULL;
        CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;

        clm_ignore(clm_keystore_key(store, i, password, &key, NULL));
        clm_ignore(clm_keystore_chain(store, i, &chain, NULL));
    }
}

/* Cut off anywhere, changed anywhere: an error or an answer, never a crash. With the password, no
 * change goes unnoticed. */
static void survives_damage(void **state)
{
    (void)state;
    for (size_t k = 0; k < CLM_ARRAY_LEN(samples); k++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf file = file_of(samples[k]);
        CLM_CLEANUP(clm_buf_done) struct clm_buf password = secret("changeit");

        for (size_t i = 0; i < 2 * file.len; i++) {
            size_t len = i < file.len ? file.len : i - file.len;
            uint8_t *copy = malloc(len > 0 ? len : 1);
            struct clm_keystore *store = NULL;

            assert_non_null(copy);
            memcpy(copy, file.data, len);
            if (i < file.len) {
                copy[i] ^= (uint8_t)(1u << (i % 8));
            }
            assert_int_not_equal(clm_keystore_open(copy, len, &password, &store, NULL), CLM_OK);
            if (clm_keystore_open(copy, len, NULL, &store, NULL) == CLM_OK) {
                look_at_all(store, i % 16 == 0 ? &password : NULL);
            }
            clm_keystore_free(store);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_jdk_writes),
        cmocka_unit_test(each_key_has_its_password),
        cmocka_unit_test(a_wrong_password_is_noticed),
        cmocka_unit_test(without_a_password_all_but_keys_is_shown),
        cmocka_unit_test(empty_stores_are_those_of_the_jdk),
        cmocka_unit_test(an_unchanged_store_keeps_its_bytes),
        cmocka_unit_test(only_the_entry_that_is_replaced_changes),
        cmocka_unit_test(an_entry_keeps_its_own_password_and_spelling),
        cmocka_unit_test(entries_are_added_and_removed),
        cmocka_unit_test(an_alias_of_another_kind_is_a_conflict),
        cmocka_unit_test(the_file_can_get_another_password),
        cmocka_unit_test(a_secret_key_ends_what_is_read_and_stops_changes),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(the_old_version_is_read_and_kept),
        cmocka_unit_test(what_is_not_replaced_is_not_written_anew),
        cmocka_unit_test(survives_damage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
