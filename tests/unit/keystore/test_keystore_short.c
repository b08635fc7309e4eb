/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of each format while memory, room in the buffer or random numbers are short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/keystore/jks.h"
#include "tests/support/torture.h"
#include "tests/unit/keystore/p12_made.h"

#define NOW_S 1790000000

/* What is put: one key with its chain, and a root. */
static struct clm_test_ca *ca;
static struct clm_test_leaf leaf;
static struct clm_cert_chain *chain;
static struct clm_cert_chain *root;

static int set_up(void **state)
{
    const char *pem;

    (void)state;
    ca = clm_test_ca_new(NOW_S);
    pem = clm_test_ca_root_pem(ca);
    clm_test_leaf_make(ca, "a.example", CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_cert_chain_from_pem(leaf.full_pem.data, leaf.full_pem.len, &chain, NULL),
                     CLM_OK);
    assert_int_equal(clm_cert_chain_from_pem(pem, strlen(pem), &root, NULL), CLM_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    clm_cert_chain_free(chain);
    clm_cert_chain_free(root);
    clm_test_leaf_done(&leaf);
    clm_test_ca_free(ca);
    return 0;
}

/* ---- random numbers ---- */

enum clm_code __real_clm_rng_fill(struct clm_rng *rng, void *dst, size_t len, struct clm_err *err);
enum clm_code __wrap_clm_rng_fill(struct clm_rng *rng, void *dst, size_t len, struct clm_err *err);

static size_t fills;     /* until one fails; 0: none will */
static bool is_all_zero; /* the next one makes zeros */

enum clm_code __wrap_clm_rng_fill(struct clm_rng *rng, void *dst, size_t len, struct clm_err *err)
{
    if (fills > 0 && --fills == 0) {
        return clm_err_set(err, CLM_E_CRYPTO, "no random numbers");
    }
    if (is_all_zero) {
        is_all_zero = false;
        memset(dst, 0, len);
        return CLM_OK;
    }
    return __real_clm_rng_fill(rng, dst, len, err);
}

/* ---- a store that is changed in every way ---- */

struct work {
    enum clm_keystore_type type;
    struct clm_buf file; /* empty: a new store */
    struct clm_buf password;
    struct clm_buf next; /* to write with */
    const char *put[4];  /* keys; NULL ends them */
    const char *trusted;
    const char *removed;
    struct clm_keystore *store; /* as it is before it is written */
};

static enum clm_code edit(const struct work *w, struct clm_keystore *store, struct clm_err *err)
{
    size_t len = 0;
    const uint8_t *der = clm_cert_chain_der(root, 0, &len);
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && w->put[i] != NULL; i++) {
        const struct clm_keystore_put put = {.alias = w->put[i],
                                             .key = leaf.key,
                                             .chain = chain,
                                             .password = &w->password,
                                             .now_ms = 1};

        code = clm_keystore_put_key(store, clm_test_ca_rng(ca), &put, err);
    }
    if (code == CLM_OK && w->trusted != NULL) {
        code = clm_keystore_put_trusted(store, w->trusted, der, len, 1, err);
    }
    return code == CLM_OK && w->removed != NULL ? clm_keystore_remove(store, w->removed, err)
                                                : code;
}

static enum clm_code make(const struct work *w, struct clm_keystore **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    enum clm_code code =
        w->file.len > 0 ? clm_keystore_open(w->file.data, w->file.len, &w->password, &store, err)
                        : clm_keystore_new(w->type, CLM_KEYSTORE_LEGACY, &store, err);

    if (code == CLM_OK) {
        code = edit(w, store, err);
    }
    if (code == CLM_OK) {
        *out = CLM_STEAL(store);
    }
    return code;
}

static enum clm_code open_edit_write(void *arg, struct clm_err *err)
{
    const struct work *w = arg;
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    enum clm_code code = make(w, &store, err);

    return code == CLM_OK ? clm_keystore_write(store, clm_test_ca_rng(ca), &w->next, &out, err)
                          : code;
}

/* All that a PKCS#12 file can hold, under a hash of one iteration. */
static struct clm_buf full_p12(const char *password)
{
    static char key[1000];
    static char sealed[2000];
    static char safe[2000];
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);

    assert_int_equal(clm_key_to_der(leaf.key, &plain, NULL), CLM_OK);
    (void)der_hex(&plain, key, sizeof(key));
    (void)p12_sealed(der_text("%s", key), password, sealed, sizeof(sealed));
    (void)p12_sealed(der_text("30{" CERT("01", "01", ATTRS(NAME("0054") JAVA)) "}"), password, safe,
                     sizeof(safe));
    return der_text(
        P12(SAFE(SHROUDED("%s", ATTRS(NAME("0041") ID("37"))) SHROUDED("%s", ATTRS(NAME("0042")))
                     BAG("06", "30{" SHROUDED("%s", ATTRS(NAME("0043"))) "}", ATTRS(NAME("004e")))
                         BAG("01", "%s", "")) ENCRYPTED_SAFE(PBE, "80{%s}")
                SAFE(BAG("04", "3080 0000", ""))),
        sealed, sealed, sealed, key, safe);
}

/* Nothing but an encrypted bag of no use: all that comes gets a place of its own. */
static struct clm_buf bare_p12(const char *password)
{
    static char safe[2000];

    (void)p12_sealed(der_text("30{" BAG("04", "0500", "") "}"), password, safe, sizeof(safe));
    return der_text(P12(ENCRYPTED_SAFE(PBE, "a0{04{%.32s} 04{%s}}")), safe, safe + 32);
}

static void work_begin(struct work *w, size_t i)
{
    static const struct work all[] = {
        {.type = CLM_KEYSTORE_PKCS12, .put = {"A", "N1", "N2"}, .trusted = "T", .removed = "C"},
        {.type = CLM_KEYSTORE_PKCS12, .put = {"N1", "N2"}, .trusted = "T"},
        {.type = CLM_KEYSTORE_PKCS12, .trusted = "T"},
        {.type = CLM_KEYSTORE_JKS, .put = {"one", "two", "ONE"}, .trusted = "T", .removed = "two"},
    };

    *w = all[i];
    w->password = p12_text("x");
    w->next = p12_text("y");
    w->file = CLM_BUF_INIT(0);
    if (i == 0) {
        w->file = full_p12("x");
    } else if (i == 1) {
        w->file = bare_p12("x");
    }
}

#define WORKS 4

static void work_end(struct work *w)
{
    clm_buf_done(&w->password);
    clm_buf_done(&w->next);
    clm_buf_done(&w->file);
    clm_keystore_free(w->store);
}

static void memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORKS; i++) {
        struct work w;

        work_begin(&w, i);
        assert_true(clm_torture(open_edit_write, &w) > 10);
        work_end(&w);
    }
}

/* Whatever fits: nothing of it stays when all does not. */
static void room(void **state)
{
    /* a new PKCS#12 takes hashes of 2048 iterations each time */
    static const size_t steps[WORKS] = {3, 3, 499, 1};

    (void)state;
    for (size_t i = 0; i < WORKS; i++) {
        CLM_CLEANUP(clm_buf_done) struct clm_buf all = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
        struct work w;

        work_begin(&w, i);
        assert_int_equal(make(&w, &w.store, NULL), CLM_OK);
        assert_int_equal(clm_keystore_write(w.store, clm_test_ca_rng(ca), &w.next, &all, NULL),
                         CLM_OK);
        for (size_t max = 0; max < all.len; max += steps[i]) {
            CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(max);
            struct clm_err err = {0};

            assert_int_equal(clm_keystore_write(w.store, clm_test_ca_rng(ca), &w.next, &out, &err),
                             CLM_E_LIMIT);
            assert_true(err.msg[0] != '\0');
            assert_int_equal(out.len, 0);
        }
        work_end(&w);
    }
}

static void random_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORKS; i++) {
        size_t n = 1;
        struct work w;

        work_begin(&w, i);
        for (;; n++) {
            struct clm_err err = {0};
            enum clm_code code;

            fills = n;
            code = open_edit_write(&w, &err);
            if (fills > 0) { /* it needed fewer */
                fills = 0;
                assert_int_equal(code, CLM_OK);
                break;
            }
            assert_int_equal(code, CLM_E_CRYPTO);
            assert_true(err.msg[0] != '\0');
        }
        assert_true(n > 2);
        work_end(&w);
    }
}

/* ---- keys of JKS and JCEKS ---- */

#define JKS_OLD   "30{30{06{2b060104012a02110101} 0500} 0400}"
#define JCEKS_OLD "30{30{06{2b060104012a021301} 30{04{0102030405060708} 020114}} 0400}"

struct sealing {
    struct clm_entry old;
    struct clm_buf password;
};

static enum clm_code seal_unseal(void *arg, struct clm_err *err)
{
    const struct sealing *s = arg;
    const struct clm_keystore store = {.ops = &clm_jceks_ops};
    const struct clm_seal how = {
        .rng = clm_test_ca_rng(ca), .old = &s->old, .key = leaf.key, .password = &s->password};
    CLM_CLEANUP(clm_buf_done) struct clm_buf plain = CLM_BUF_SECRET_INIT(CLM_KEY_DER_MAX);
    struct clm_entry made = {.sealed_key = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX)};
    char protection[64];
    enum clm_code code = clm_jks_seal(&store, &how, &made.sealed_key, protection, err);

    if (code == CLM_OK) {
        code = clm_jks_unseal(&store, &made, &s->password, &plain, err);
    }
    clm_buf_done(&made.sealed_key);
    return code;
}

static void keys_of_java(void **state)
{
    static const char *const olds[] = {JKS_OLD, JCEKS_OLD};

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(olds); i++) {
        struct sealing s = {.password = p12_text("x")};
        struct clm_err err = {0};

        s.old.sealed_key = der_text("%s", olds[i]);
        assert_true(clm_torture(seal_unseal, &s) > 5);
        fills = 1;
        assert_int_equal(seal_unseal(&s, &err), CLM_E_CRYPTO);
        assert_string_equal(err.msg, "no random numbers");
        clm_buf_done(&s.password);
        clm_buf_done(&s.old.sealed_key);
    }
}

/* The two JDKs do not agree on what a salt of equal halves means. */
static void a_salt_of_equal_halves_is_not_used(void **state)
{
    static const uint8_t zeros[] = {0x04, 0x08, 0, 0, 0, 0, 0, 0, 0, 0};
    const struct clm_keystore store = {.ops = &clm_jceks_ops};
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = p12_text("x");
    CLM_CLEANUP(clm_buf_done) struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    struct clm_entry old = {.sealed_key = der_text(JCEKS_OLD)};
    const struct clm_seal how = {
        .rng = clm_test_ca_rng(ca), .old = &old, .key = leaf.key, .password = &password};
    char protection[64];

    (void)state;
    is_all_zero = true;
    assert_int_equal(clm_jks_seal(&store, &how, &out, protection, NULL), CLM_OK);
    assert_false(is_all_zero);
    for (size_t i = 0; i + sizeof(zeros) <= out.len; i++) {
        assert_memory_not_equal(out.data + i, zeros, sizeof(zeros));
    }
    clm_buf_done(&old.sealed_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),
        cmocka_unit_test(room),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(keys_of_java),
        cmocka_unit_test(a_salt_of_equal_halves_is_not_used),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
