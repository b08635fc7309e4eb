/* SPDX-License-Identifier: Apache-2.0 */
/* make - a maker for a plan of one step, for tests of the bytes of a file; to be included once in a
 * test */
#ifndef CLM_TESTS_UNIT_JOB_MAKE_H
#define CLM_TESTS_UNIT_JOB_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/crypto/hash.h"
#include "agent/crypto/pkcs7.h"
#include "agent/crypto/pkcs8.h"
#include "agent/job/txn_build.h"
#include "agent/keystore/keystore.h"
#include "tests/support/pair.h"
#include "tests/support/scene.h"

static struct scene_certs certs;
static struct scene scene; /* for the key file */

static inline int begin(void **state)
{
    (void)state;
    scene_certs_make(&certs, CLM_TEST_GOOD);
    scene_make(&scene, SCENE_PAIR, &certs);
    return 0;
}

static inline int end(void **state)
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

static inline void make_begin(struct make *make, enum clm_content content,
                              enum clm_file_format format)
{
    memset(make, 0, sizeof(*make));
    make->step = clm_plan_add(&make->plan, CLM_STEP_FILE_PUT, NULL);
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

static inline enum clm_code make_build(struct make *make, const struct clm_buf *old)
{
    enum clm_code code = CLM_OK;

    clm_buf_reset(&make->out);
    clm_txn_maker_done(&make->maker);
    code = clm_txn_maker_load(&make->maker, &make->err);
    return code == CLM_OK ? clm_txn_build(&make->maker, make->step, old, &make->out, &make->err)
                          : code;
}

static inline void make_end(struct make *make)
{
    clm_txn_maker_done(&make->maker);
    clm_plan_done(&make->plan);
    clm_buf_done(&make->out);
}

static inline void must_build(struct make *make, const struct clm_buf *old)
{
    if (make_build(make, old) != CLM_OK) {
        fail_msg("%s as %s: %s", clm_content_name(make->step->content),
                 clm_file_format_name(make->step->format), make->err.msg);
    }
}

static inline bool is_same_chain(const struct clm_cert_chain *a, const struct clm_cert_chain *b)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem_a = CLM_BUF_INIT(CLM_TXN_FILE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem_b = CLM_BUF_INIT(CLM_TXN_FILE_MAX);

    for (size_t i = 0; i < clm_cert_chain_count(a); i++) {
        assert_int_equal(clm_cert_chain_pem(a, i, &pem_a, NULL), CLM_OK);
    }
    for (size_t i = 0; i < clm_cert_chain_count(b); i++) {
        assert_int_equal(clm_cert_chain_pem(b, i, &pem_b, NULL), CLM_OK);
    }
    return strcmp(clm_buf_str(&pem_a), clm_buf_str(&pem_b)) == 0;
}

/* Leaf first, and the key: what the step says there is, and nothing else. */
static inline void expect_parts(struct make *make)
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
        assert_true(is_pair(parts.chain, 0, parts.key));
    }
    if (is_store) {
        assert_true(is_same_chain(parts.chain, make->maker.chain));
    }
}

#endif
