/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/keystore/p12_made.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const char *p12_sealed(struct clm_buf plain, const char *password, char *dst, size_t size)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf alg_der = der_text(PBE);
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = p12_text(password);
    CLM_CLEANUP(clm_buf_done) struct clm_buf sealed = CLM_BUF_INIT(CLM_KEYSTORE_MAX);
    struct clm_der_reader r = clm_der_reader_of(alg_der.data, alg_der.len);
    struct clm_tlv alg = {0};
    struct clm_pbe pbe;

    assert_true(clm_der_next(&r, &alg));
    assert_int_equal(clm_pbe_read(&alg, &pbe, NULL), CLM_OK);
    assert_int_equal(clm_pbe_encrypt(&pbe, &text, &plain, &sealed, NULL), CLM_OK);
    clm_buf_done(&plain);
    return der_hex(&sealed, dst, size);
}

enum clm_code p12_read(const struct clm_buf *file, const char *password, struct clm_keystore **out,
                       struct clm_err *err)
{
    CLM_CLEANUP(clm_keystore_free_p) struct clm_keystore *store = NULL;
    enum clm_code code;

    assert_int_equal(clm_keystore_new(CLM_KEYSTORE_PKCS12, CLM_KEYSTORE_MODERN, &store, NULL),
                     CLM_OK);
    assert_int_equal(clm_buf_add(&store->original, file->data, file->len, NULL), CLM_OK);
    if (password != NULL) {
        store->has_password = true;
        assert_int_equal(clm_buf_add_str(&store->password, password, NULL), CLM_OK);
    }
    code = clm_pkcs12_ops.read(store, err);
    if (code == CLM_OK) {
        *out = CLM_STEAL(store);
    }
    return code;
}
