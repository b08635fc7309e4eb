/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/unit/keystore/p12_files.h"

struct clm_buf p12_file(const char *name)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(65536);
    char path[128];
    FILE *in;

    (void)snprintf(path, sizeof(path), "tests/fixtures/keystore/%s.p12", name);
    in = fopen(path, "rb");
    assert_non_null(in);
    assert_int_equal(clm_buf_reserve(&buf, 65535, NULL), CLM_OK);
    buf.len = fread(buf.data, 1, 65535, in);
    assert_int_equal(fclose(in), 0);
    return buf;
}

struct clm_buf p12_text(const char *text)
{
    struct clm_buf buf = CLM_BUF_SECRET_INIT(2048);

    assert_int_equal(clm_buf_add_str(&buf, text, NULL), CLM_OK);
    return buf;
}

enum clm_code p12_open(const char *name, const char *password, struct clm_keystore **out,
                       struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf file = p12_file(name);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = p12_text(password == NULL ? "" : password);

    return clm_keystore_open(file.data, file.len, password == NULL ? NULL : &text, out, err);
}

struct clm_keystore *p12_opened(const char *name, const char *password)
{
    struct clm_keystore *store = NULL;
    struct clm_err err = {0};

    if (p12_open(name, password, &store, &err) != CLM_OK) {
        fail_msg("%s: %s", name, err.msg);
    }
    return store;
}

struct clm_keystore *p12_again(const struct clm_keystore *store, struct clm_rng *rng,
                               const char *password, struct clm_buf *out_bytes)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = p12_text(password);
    struct clm_keystore *again = NULL;
    struct clm_err err = {0};

    *out_bytes = CLM_BUF_SECRET_INIT(CLM_KEYSTORE_MAX);
    if (clm_keystore_write(store, rng, &text, out_bytes, &err) != CLM_OK ||
        clm_keystore_open(out_bytes->data, out_bytes->len, &text, &again, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    return again;
}

void p12_list(const struct clm_keystore *store, char *dst, size_t size)
{
    static const char *const kinds[] = {"KEY", "TRUSTED", "SECRET", "OTHER"};
    size_t used = 0;

    dst[0] = '\0';
    for (size_t i = 0; i < clm_keystore_count(store); i++) {
        const struct clm_keystore_entry *entry = clm_keystore_entry(store, i);

        used += (size_t)snprintf(dst + used, size - used, "%s%s %s %zu", i > 0 ? ", " : "",
                                 kinds[entry->kind], entry->alias, entry->n_certs);
        assert_true(used < size);
    }
}

enum clm_code p12_put(struct clm_keystore *store, struct clm_test_ca *ca, const char *alias,
                      const char *names, const char *password, struct clm_err *err)
{
    CLM_CLEANUP(clm_test_leaf_done) struct clm_test_leaf leaf = {0};
    CLM_CLEANUP(clm_cert_chain_free_p) struct clm_cert_chain *chain = NULL;
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = p12_text(password == NULL ? "" : password);
    struct clm_keystore_put put = {
        .alias = alias, .password = password == NULL ? NULL : &text, .now_ms = 1790000000000};

    clm_test_leaf_make(ca, names, CLM_TEST_GOOD, &leaf);
    assert_int_equal(clm_cert_chain_from_pem(leaf.full_pem.data, leaf.full_pem.len, &chain, NULL),
                     CLM_OK);
    put.key = leaf.key;
    put.chain = chain;
    return clm_keystore_put_key(store, clm_test_ca_rng(ca), &put, err);
}
